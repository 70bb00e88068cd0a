/* control_internal — words and names that the two forms of the status share. */
#ifndef SHOAL_FS_CONTROL_INTERNAL_H
#define SHOAL_FS_CONTROL_INTERNAL_H

#include <stdint.h>

#include "net/torrent.h"
#include "net/tracker.h"

struct mount;

enum { CONTROL_URL_BYTES = 512 }; /* longer ones are cut */

const char *control_state(enum torrent_state state);
const char *control_tracker_state(enum tracker_state state);

/* control_name — the torrent's name in the root, or what it will be called. */
const char *control_name(const struct torrent *t);
uint64_t control_uptime_s(const struct mount *m);

#endif
