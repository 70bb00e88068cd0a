/* reclaim — whose unverified bytes are given up when a torrent is short of
 * memory. Thread: loop. */
#ifndef SHOAL_NET_RECLAIM_H
#define SHOAL_NET_RECLAIM_H

#include <stdbool.h>

struct swarm;

/* reclaim_for — a piece of `sw` could not be opened (intake's is_short, and
 * short_for): have one other piece give its memory back. False: there is none
 * that is wanted less. */
bool reclaim_for(struct swarm *sw);

#endif
