/* source — what a person calls a torrent, turned into one: a .torrent file, a
 * magnet link, or an info-hash in hex. */
#ifndef SHOAL_CMD_SOURCE_H
#define SHOAL_CMD_SOURCE_H

#include "cmd/exits.h"
#include "net/engine.h"

struct hasher;

/* source_load — read and parse `text`. 0; EINVAL: not something we know, or a
 * malformed link (a usage error); else an errno of the file, or EBADMSG /
 * EFBIG for what is in it. `why` is one line that names the source. */
int source_load(const char *text, struct hasher *h, struct engine_source *out,
		char why[WHY_BYTES]);

/* source_free — of one that was not given to the engine. */
void source_free(struct engine_source *src);

#endif
