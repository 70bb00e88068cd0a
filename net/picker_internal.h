/* picker_internal — the picker's structs, for picker.c, picker_assign.c and
 * their tests. */
#ifndef SHOAL_NET_PICKER_INTERNAL_H
#define SHOAL_NET_PICKER_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/queue.h"
#include "net/picker.h"

struct hmap;
struct rarity;

/* A block of an open piece.
 *
 *   state     has_arrived  n_out
 *   free      no           0
 *   asked     no           1 … PICKER_COPIES_MAX
 *   arrived   yes          0 */
struct pick_block {
	uint64_t asked_us; /* the latest copy */
	uint64_t due_us;   /* the soonest copy's predicted arrival */
	uint32_t peer[PICKER_COPIES_MAX];
	uint8_t n_out;
	bool has_arrived;
};

/* A piece with demand, or open, or both. On one of the picker's lists:
 * `wanted` (URGENT before WINDOW, then by deadline, then by index),
 * `background` (open, BACKGROUND, in the order in which they became both) or
 * `idle` (open, WANT_NONE). A BACKGROUND piece that is not open is a bit and a
 * place in `rarity`, and no pick_piece. */
struct pick_piece {
	TAILQ_ENTRY(pick_piece) link;
	uint32_t ix;
	uint32_t len_bytes;
	uint32_t n_blocks;
	uint32_t n_arrived;
	uint32_t n_asked;    /* blocks, not copies */
	uint32_t first_free; /* no free block lies before it */
	uint64_t deadline_us;
	enum want_class class;
	struct pick_block *blocks; /* NULL: not open */
};

TAILQ_HEAD(pick_list, pick_piece);

struct picker {
	struct picker_cfg cfg;
	struct hmap *by_ix;
	struct pick_list wanted, background, idle;
	struct rarity *rarity; /* NULL: there was never a background */
	bool is_resting;
	uint32_t n_out;	   /* requests, copies counted */
	uint32_t n_copies; /* of them second and third ones */
	uint64_t next_late_us;
};

/* picker_open — make the blocks of a piece, if the owner has the memory.
 * picker_open_background — of one that is in `rarity`; NULL: no memory. */
bool picker_open(struct picker *p, struct pick_piece *pp);
struct pick_piece *picker_open_background(struct picker *p, uint32_t piece_ix);

static inline uint32_t picker_free_blocks(const struct pick_piece *pp)
{
	return pp->n_blocks - pp->n_arrived - pp->n_asked;
}

static inline struct wire_block picker_block(const struct pick_piece *pp,
					     uint32_t i)
{
	uint32_t begin = i * WIRE_BLOCK_BYTES;
	uint32_t left = pp->len_bytes - begin;

	return (struct wire_block){
		.piece_ix = pp->ix,
		.begin_bytes = begin,
		.len_bytes = left < WIRE_BLOCK_BYTES ? left : WIRE_BLOCK_BYTES,
	};
}

#endif
