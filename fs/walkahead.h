/* walkahead — read-ahead of metadata: who walks through the library finds the
 * torrents that he comes to next WARM (warmth.h).
 *
 * Thread: loop. */
#ifndef SHOAL_FS_WALKAHEAD_H
#define SHOAL_FS_WALKAHEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "core/loop.h"
#include "fs/fs_limits.h"

struct mount;
struct shown;

/* Of inode numbers, which is that of the listing; of names. */
enum walk_order { WALK_BY_BASE, WALK_BY_NAME, WALK_ORDERS };

/* Somebody who lists one torrent after the other; places are those in the
 * roster's list of his order.
 *
 *   at < ahead <= told
 *   ahead <= at + 1 + WALKAHEAD_MAX, told at most twice as far */
struct walk {
	enum walk_order order;
	uint32_t row;	/* torrents, each the next of the last; 0: nobody */
	uint32_t at;	/* the last of them */
	uint32_t ahead; /* the first that was not made WARM, or tried */
	uint32_t told;	/* the first that the keeper does not know of */
	uint64_t bytes; /* what those between `at` and `ahead` take, about */
	uint64_t used;	/* n_seen, when he was seen last */
	bool is_cold;	/* something of it was not in the page cache */
};

struct walkahead {
	struct walk walks[WALK_ORDERS][WALKAHEAD_WALKS];
	struct walk *walker; /* who was seen last; NULL: nothing to do */
	uint64_t n_seen;
	uint64_t n_changes; /* the roster's: what places are good for */
	struct loop_task task;
};

void walkahead_init(struct mount *m);
void walkahead_end(struct mount *m);

/* walkahead_seen — the top directory of `s` is listed, from its beginning. */
void walkahead_seen(struct mount *m, const struct shown *s);

/* walkahead_step — for when there is time: at most one torrent is made WARM, in
 * well below a millisecond. False: there was nothing to do. */
bool walkahead_step(struct mount *m);

#endif
