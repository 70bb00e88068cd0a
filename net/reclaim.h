/* reclaim — whose unverified bytes are given up when a torrent is short of
 * memory. Thread: loop. */
#ifndef SHOAL_NET_RECLAIM_H
#define SHOAL_NET_RECLAIM_H

#include <stdbool.h>
#include <stdint.h>

struct swarm;

/* reclaim_for — a piece of `sw` could not be opened (intake's is_short, and
 * short_for): have one other piece give its memory back. False: there is none
 * that is wanted less. */
bool reclaim_for(struct swarm *sw);

/* reclaim_wake_us — when to try again though nothing else has changed;
 * UINT64_MAX: no need. */
uint64_t reclaim_wake_us(const struct swarm *sw, uint64_t now_us);

#endif
