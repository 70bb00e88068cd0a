/* fetch — a .torrent from an http(s) address, before there is a mount. */
#ifndef SHOAL_CMD_FETCH_H
#define SHOAL_CMD_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/exits.h"

bool fetch_is(const char *text);

/* fetch_bytes — what lies there, at most METAINFO_WIRE_BYTES, within half a
 * minute. Blocks. Gives. 0, or an errno with one line in `why`. */
int fetch_bytes(const char *url, uint8_t **out, size_t *len,
		char why[WHY_BYTES]);

#endif
