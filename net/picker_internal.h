/* picker_internal — the picker's structs, for picker.c, picker_assign.c,
 * picker_choose.c and their tests. */
#ifndef SHOAL_NET_PICKER_INTERNAL_H
#define SHOAL_NET_PICKER_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/queue.h"
#include "net/picker.h"
#include "net/picker_parts.h"

struct hmap;
struct rarity;

/* A block of an open piece.
 *
 *   state     has_arrived  n_out
 *   free      no           0
 *   asked     no           1 … PICKER_COPIES_MAX
 *   arrived   yes          0 */
struct pick_block {
	uint64_t asked_us;  /* the latest copy */
	uint64_t due_us;    /* the soonest copy's predicted arrival */
	uint64_t last_byte; /* it is whole when the peer of the latest copy has
			       sent so many: they come as they were asked for */
	uint32_t peer[PICKER_COPIES_MAX];
	uint8_t n_out;
	bool has_arrived;
};

/* A run of blocks that gets its memory together. Its blocks are counted by
 * state, so that a pass looks only at segments where there is something to do:
 * the blocks of a long piece are many. */
struct pick_segment {
	uint32_t n_free, n_asked, n_arrived;
	bool is_open;
};

/* Blocks of a piece that are wanted alike (picker_parts.c). */
struct pick_part {
	uint32_t first, end;
	uint32_t at; /* no block of [first, at) is free */
	enum want_class class;
};

/* A piece with demand, or open, or both. On one of the picker's lists:
 * `wanted` (URGENT before WINDOW, then by deadline, then by index),
 * `background` (open, BACKGROUND; a pass puts it into its order) or `idle`
 * (open, WANT_NONE). A BACKGROUND piece that is not open is a bit and a place
 * in `rarity`, and no pick_piece. */
struct pick_piece {
	TAILQ_ENTRY(pick_piece) link;
	uint32_t ix;
	uint32_t len_bytes;
	uint32_t n_blocks;
	uint32_t n_arrived;
	uint32_t n_asked; /* blocks, not copies */
	uint64_t deadline_us;
	uint64_t hope_us; /* when somebody last was asked, or could be */
	uint32_t level;	  /* of rarity, in the last pass; of the background */
	enum want_class class;
	struct pick_part whole;
	struct pick_part *parts; /* what of it is wanted; else &whole */
	unsigned n_parts;
	struct pick_block *blocks;     /* NULL: not open, and then … */
	struct pick_segment *segments; /* … NULL */
	uint32_t segment_blocks;
	uint32_t n_hot; /* segments that are open and not full */
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
	uint64_t pass_us;  /* the last one */
	uint64_t next_late_us;
	/* Bytes that may still come twice; a debt when below 0. */
	int64_t waste_left;
	uint64_t urgent_us; /* the last pass with urgent demand */
	uint64_t stream_us; /* when that demand began */
};

struct pick_piece *picker_find(const struct picker *p, uint32_t ix);

/* picker_open — make the blocks of a piece, if the owner has the memory for the
 * segment of block `i`. picker_open_background — of one that is in `rarity`;
 * NULL: no memory. */
bool picker_open(struct picker *p, struct pick_piece *pp, uint32_t i);
struct pick_piece *picker_open_background(struct picker *p, uint32_t piece_ix);

/* picker_open_segment — is block `i`'s segment open, or can it be? */
bool picker_open_segment(struct picker *p, struct pick_piece *pp, uint32_t i);

static inline struct pick_segment *picker_segment(const struct pick_piece *pp,
						  uint32_t i)
{
	return &pp->segments[i / pp->segment_blocks];
}

static inline bool picker_segment_is_hot(const struct pick_segment *seg)
{
	return seg->is_open && seg->n_free + seg->n_asked > 0;
}

/* picker_fill — need free block `i` not be asked for, now? */
bool picker_fill(struct picker *p, struct pick_piece *pp, uint32_t i);

/* picker_comes_before — the order of the list of wanted pieces. */
bool picker_comes_before(const struct pick_piece *a,
			 const struct pick_piece *b);

/* The first block behind the segment of block `i`. */
static inline uint32_t picker_segment_end(const struct pick_piece *pp,
					  uint32_t i)
{
	uint32_t end = (i / pp->segment_blocks + 1) * pp->segment_blocks;

	return end < pp->n_blocks ? end : pp->n_blocks;
}

/* From block `i` on, the first in whose segment something is out; n_blocks:
 * none is. */
static inline uint32_t picker_next_out(const struct pick_piece *pp, uint32_t i)
{
	while (i < pp->n_blocks && picker_segment(pp, i)->n_asked == 0)
		i = picker_segment_end(pp, i);
	return i;
}

/* ---- a pass ---- */

enum {
	PICKER_CANDIDATES_MAX = 256,
	/* Copies of this much before anything came. */
	PICKER_WASTE_FIRST = 256 << 10,
};

/* How far a peer's word goes, the best first. */
enum pick_tier {
	TIER_PROVEN,
	TIER_NEW,
	TIER_DOUBTFUL,
	TIER_GUESS,
	TIER_SNUBBED,
};

struct pick_pass {
	struct picker *p;
	struct pick_peer *peers;
	unsigned n_peers;
	uint64_t now_us;
	uint64_t mean_Bps;
	uint64_t room;	     /* of all peers */
	unsigned n_doubtful; /* peers on whose word nothing is left waiting */
	struct pick *out;
	unsigned n, max;
	bool begins_none; /* but what is urgent */
	/* Peers that may deliver the piece at hand, and what earlier urgent
	 * blocks that wait for a peer's window will add to its queue. */
	unsigned cand[PICKER_CANDIDATES_MAX];
	enum pick_tier tier[PICKER_CANDIDATES_MAX];
	unsigned n_cand;
	unsigned n_at_hand;    /* TIER_PROVEN */
	bool is_anyone_proven; /* be he doubtful just now */
	uint64_t waiting_bytes[PICKER_CANDIDATES_MAX]; /* by peer */
};

/* picker_may_begin — may the piece be opened, which is not open? */
bool picker_may_begin(struct pick_pass *ps, uint32_t ix, enum want_class c);

/* picker_count_peers — what is told of all of them, at a pass's begin. */
void picker_count_peers(struct pick_pass *ps);

/* picker_find_candidates — who has piece `ix` and may be asked for it. */
void picker_find_candidates(struct pick_pass *ps, uint32_t ix);

/* picker_predict_us — microseconds until `len` more bytes asked now would be
 * here. picker_is_doubtful — nothing should be left waiting for it. */
uint64_t picker_predict_us(const struct pick_pass *ps, unsigned peer_ix,
			   uint32_t len);
bool picker_is_doubtful(const struct pick_pass *ps, const struct pick_peer *pr);

/* picker_peer_of — by id; NULL: it is not there now. */
const struct pick_peer *picker_peer_of(const struct pick_pass *ps, uint32_t id);

/* Whom a block is asked of: an index into `peers`, or n_peers: of nobody now.
 * `us` gets the prediction.
 *   any         the soonest who has room, whatever was said of him
 *   urgent      as picker.h says of a free urgent block; n_peers and `*waits`:
 *               it waits for somebody's window
 *   instead     of a block that only the doubtful owe: the proven and the new
 *   copy        of a block that somebody else is at work on: the proven */
unsigned picker_choose_any(const struct pick_pass *ps, uint32_t len,
			   uint64_t *us);
unsigned picker_choose_urgent(struct pick_pass *ps, uint32_t len, uint64_t *us,
			      bool *waits);
unsigned picker_choose_instead(const struct pick_pass *ps,
			       const struct pick_block *b, uint32_t len,
			       uint64_t *us);
unsigned picker_choose_copy(const struct pick_pass *ps,
			    const struct pick_block *b, uint32_t len,
			    uint64_t *us);

/* ---- steps of a pass, of one piece whose candidates were found ---- */

/* picker_ask_free — of the blocks that are free and wanted as `c`, what can be
 * asked now. _instead: blocks that only the doubtful owe. _late: copies. */
void picker_ask_free(struct pick_pass *ps, struct pick_piece *pp,
		     enum want_class c);
void picker_ask_instead(struct pick_pass *ps, struct pick_piece *pp,
			enum want_class c);
void picker_ask_late(struct pick_pass *ps, struct pick_piece *pp,
		     enum want_class c);

/* picker_look_at — there is to be a pass at that time. */
void picker_look_at(struct pick_pass *ps, uint64_t us);

/* picker_assign_background — what room is left. */
void picker_assign_background(struct pick_pass *ps);

/* picker_earn — bytes of use came: some more may come twice. */
void picker_earn(struct picker *p, uint32_t bytes);

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
