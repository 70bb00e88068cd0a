/* store_share — what a torrent hears of what it has: by others that have the
 * same files, by the store that needs room; and what the store asks it. Thread:
 * loop. */
#ifndef SHOAL_CACHE_STORE_SHARE_H
#define SHOAL_CACHE_STORE_SHARE_H

#include <stdbool.h>
#include <stdint.h>

struct store_torrent;

/* What the torrent has now, or has not any more, by what another one with the
 * same file (or another file of its own with the same root) did, because its
 * own leaves have become a piece, or because the store needs the room. Each
 * call runs on a turn of its own; what it says may be known already. */
struct store_share_ops {
	/* The piece is held. */
	void (*on_gained)(void *arg, uint32_t piece_ix);
	/* Leaves [at, at + len) of a piece that is not held are there. */
	void (*on_gained_leaves)(void *arg, uint32_t piece_ix,
				 uint32_t at_bytes, uint32_t len_bytes);
	/* The piece is not held any more, or leaves of it were lost. Those
	 * that are still there are told anew behind this. A put of it that is
	 * under way says for itself how it ends. */
	void (*on_lost)(void *arg, uint32_t piece_ix);
	/* Some pieces are offered that were not (store_vet.h). NULL: never. */
	void (*on_offered)(void *arg);
	/* All leaves of a hybrid's piece are there, and its v1 hash is another
	 * one's: the torrent contradicts itself. */
	void (*on_disputed)(void *arg, uint32_t piece_ix);
	/* When will somebody read of this piece? 0: he waits; UINT64_MAX:
	 * nobody will, as if it were NULL. What is needed later goes first. */
	uint64_t (*due_us)(void *arg, uint32_t piece_ix);
	/* When is this part put? UINT64_MAX, or NULL: nobody knows, or, of
	 * `only_asked`, something of it is not there and was asked of nobody.
	 */
	uint64_t (*coming_us)(void *arg, uint32_t piece_ix, uint32_t at_bytes,
			      uint32_t len_bytes, bool only_asked);
};

/* store_watch — be told; only from within store_open's `done`, and until
 * store_close. Keeps ops. */
void store_watch(struct store_torrent *st, const struct store_share_ops *ops,
		 void *arg);
/* store_coming_us — the latest coming_us of whatever else has bytes of it. */
uint64_t store_coming_us(struct store_torrent *st, uint32_t piece_ix,
			 uint32_t at_bytes, uint32_t len_bytes,
			 bool only_asked);

#endif
