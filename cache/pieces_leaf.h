/* pieces_leaf — what pieces_leaf.c and pieces_kept.c do for the other files of
 * pieces. Thread: loop. */
#ifndef SHOAL_CACHE_PIECES_LEAF_H
#define SHOAL_CACHE_PIECES_LEAF_H

#include <stdbool.h>
#include <stdint.h>

struct blk;
struct pieces;
struct slot;

/* ---- pieces_leaf.c ---- */

int pieces_leaf_open(struct pieces *ps);
void pieces_leaf_close(struct pieces *ps);

/* pieces_leaf_new — of a slot that begins; without memory there are none, and
 * the piece is right or wrong as a whole. _free: all of them are lost, unless
 * the piece is in have. */
void pieces_leaf_new(struct slot *s);
void pieces_leaf_free(struct slot *s);

/* pieces_leaf_lose — those of a stretch of the piece. */
void pieces_leaf_lose(struct slot *s, uint32_t at_bytes, uint32_t len_bytes);

/* pieces_leaf_look — somebody waits: look at them at the end of the turn. */
void pieces_leaf_look(struct slot *s);

/* pieces_leaf_is_right — in memory, or staged. `s` may be NULL. */
bool pieces_leaf_is_right(const struct slot *s, uint32_t i);

/* pieces_end_right_waits — of those for the piece. */
void pieces_end_right_waits(struct pieces *ps, uint32_t ix);

/* pieces_leaf_blame — the piece is wrong: say which leaves are, as far as their
 * hashes are known. False: of none that is so. */
bool pieces_leaf_blame(struct slot *s);

/* pieces_leaf_lend — a stretch of a slot that is not in have, right or not, if
 * it is in memory in one run; lends. */
struct blk *pieces_leaf_lend(const struct slot *s, uint32_t at_bytes,
			     uint32_t len_bytes, uint8_t **data);

/* ---- pieces_kept.c ---- */

/* pieces_kept_open — what the store has; from within its `done`. */
void pieces_kept_open(struct pieces *ps);
bool pieces_kept_has(const struct pieces *ps, uint32_t ix, uint32_t leaf);

/* pieces_kept_gain — the store has these leaves now. */
void pieces_kept_gain(struct pieces *ps, uint32_t ix, uint32_t at_bytes,
		      uint32_t len_bytes);

/* pieces_kept_forget — of this piece the store has none. */
void pieces_kept_forget(struct pieces *ps, uint32_t ix);

/* pieces_keep_slot — right leaves of a stretch, within one segment, to the
 * store. */
void pieces_keep_slot(struct slot *s, uint32_t at_bytes, uint32_t len_bytes);

#endif
