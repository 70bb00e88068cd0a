/* verify — what is held is hashed again: a path that somebody names, all that
 * may be wrong after a start, and in the end, slowly, everything. Thread: loop.
 *
 * One *round* is a walk over torrents, one after the other; each is woken for
 * it. */
#ifndef SHOAL_FS_VERIFY_H
#define SHOAL_FS_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/bits.h"
#include "core/queue.h"
#include "net/scrub.h"

struct loop_timer;
struct mount;
struct shown;
struct verify_round;

LIST_HEAD(verify_rounds, verify_round);

struct verifies {
	struct verify_rounds rounds;
	unsigned n_asked; /* rounds that somebody asked for */
	uint64_t last_id;
	struct verify_round *own; /* that nobody asked for; or NULL */
	struct loop_timer *next;  /* when the next of these begins */
	struct scrub_sums sums;	  /* of all that are over */
};

struct verify_view {
	struct scrub_sums sums;
	uint32_t torrents, torrents_done;
	bool is_done;
};

int verify_init(struct mount *m);

/* verify_end — the mount is over; before the engine goes. */
void verify_end(struct mount *m);

/* verify_begin — the mount serves: rounds of its own begin, the first at once
 * if the store says that much is doubtful. */
void verify_begin(struct mount *m);

/* verify_on_ready — a torrent is; on this turn nothing happens yet. */
void verify_on_ready(struct mount *m);

/* verify_start — a round over one torrent, or (NULL) over all; `pieces` (taken
 * on success; no data: all) of the one. 0, and its number; EBUSY: there are
 * too many; ENOMEM. */
int verify_start(struct mount *m, const struct shown *s, struct bits *pieces,
		 uint64_t *id);

/* verify_view — false: there is no such round. One that is done is told once,
 * and forgotten. */
bool verify_view(struct mount *m, uint64_t id, struct verify_view *out);

#endif
