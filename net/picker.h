/* picker — which block is asked of which peer next. Pure: state in, time and
 * peers in, decisions out; no I/O and no clock, so that a simulator runs it as
 * the loop does.
 *
 * Demand is per piece, or of some of its blocks, and has three classes: URGENT
 * (some reader is parked on it) before WINDOW (read-ahead), each by earliest
 * deadline, before BACKGROUND (somebody wants to keep it), the rarest first,
 * and few begun at once. Each free block, in that order, goes to the peer that
 * has the piece, has room in its request window, and is predicted to deliver it
 * first:
 *
 *     C(p) = now + (out + len) / rate + rtt
 *
 * so the blocks of one urgent piece spread over all peers that help it along,
 * and all are done at about the same time. An urgent block rather waits for a
 * fast peer whose window is full than go to one that would bring it later.
 *
 * What a peer promises counts little before it has kept one promise: it is new
 * until a block of it came, then proven, and doubtful while nothing comes of
 * what it owes. An urgent block that only the doubtful owe is as good as free.
 * Any other that is late is asked of a second peer; the first copy to arrive
 * wins (the caller cancels the others).
 * That goes for urgent pieces; and for the background's when some peer could be
 * asked for more and there is nothing left that it could be asked for.
 *
 * The caller reports every end of a request: arrived, or gone (rejected,
 * timed out, choked, peer lost). */
#ifndef SHOAL_NET_PICKER_H
#define SHOAL_NET_PICKER_H

#include <stdbool.h>
#include <stdint.h>

#include "net/wire.h"

struct bits;
struct picker;
struct rarity;

enum want_class { WANT_NONE, WANT_BACKGROUND, WANT_WINDOW, WANT_URGENT };

enum { PICKER_COPIES_MAX = 3 };

/* A piece lies in memory by segments, in most cases one; in very long ones only
 * a few are there at a time. Asked when the first block of a segment is about
 * to be picked: is there memory for what begins at byte `at`? False leaves it
 * for a later pass; segments that are open are filled meanwhile. */
typedef bool picker_open_fn(void *arg, uint32_t piece_ix, uint32_t at_bytes);

/* How long the segments of a piece are that is about to be opened. */
typedef uint32_t picker_segment_fn(void *arg, uint32_t piece_ix);

/* The length in bytes of a piece. */
typedef uint32_t picker_len_fn(void *arg, uint32_t piece_ix);

/* May it be begun now? _NOT: others bring it; _NONE: nor any but the urgent. */
enum picker_begin { PICKER_BEGIN, PICKER_BEGIN_NOT, PICKER_BEGIN_NONE };
typedef enum picker_begin picker_begin_fn(void *arg, uint32_t piece_ix);

/* A free block is about to be asked for. */
enum picker_fill {
	PICKER_FILL_NOT,  /* it must be asked for */
	PICKER_FILL_DONE, /* it was at hand, is in its place, and has arrived */
	PICKER_FILL_WAIT, /* others bring it: it is for a later pass */
};
typedef enum picker_fill picker_fill_fn(void *arg, const struct wire_block *b);

struct picker_cfg {
	picker_open_fn *open;
	picker_begin_fn *begin; /* NULL: always */
	picker_fill_fn *fill;	/* NULL: never */
	picker_segment_fn *segment;
	picker_len_fn *len;
	void *arg;
};

/* picker_new — cfg is copied. 0 or ENOMEM. */
int picker_new(const struct picker_cfg *cfg, struct picker **out);
void picker_free(struct picker *p);

/* ---- demand ---- */

/* picker_want — the piece's demand is this from now on. A piece that has
 * blocks under way stays open at WANT_NONE: its requests go on, no new ones
 * are made (picker_drop ends it). WANT_BACKGROUND is for after
 * picker_start_background, and has no deadline. 0 or ENOMEM; never the latter
 * for WANT_NONE and WANT_BACKGROUND. */
int picker_want(struct picker *p, uint32_t piece_ix, enum want_class c,
		uint64_t deadline_us);
enum want_class picker_class(const struct picker *p, uint32_t piece_ix);

/* Blocks [first, end) of a piece. */
struct pick_range {
	uint32_t first, end;
	enum want_class class;
};

enum { PICKER_RANGES_MAX = 16 };

/* picker_want_only — of a piece that is URGENT or WINDOW these blocks alone are
 * wanted from now on, the first of the `n` ranges before the others of its
 * class: URGENT ones as the piece is, WINDOW ones after everything urgent.
 * n 0: all of it, as the piece, which is also what becomes of one that turns
 * BACKGROUND or NONE. The piece is on the picker's lists. 0 or ENOMEM, and then
 * nothing has changed. */
int picker_want_only(struct picker *p, uint32_t piece_ix,
		     const struct pick_range *ranges, unsigned n);

/* picker_lacks — some block that readers want has not arrived. */
bool picker_lacks(const struct picker *p);

/* picker_is_busy — of the segment of byte `at` of an open piece something is
 * out, or free and wanted by readers. */
bool picker_is_busy(const struct picker *p, uint32_t piece_ix,
		    uint32_t at_bytes);

/* picker_next_class — the greatest demand for which the next pass may ask for
 * something: a free block, or one that is out and might get a copy. When it
 * says WANT_NONE there will be none. */
enum want_class picker_next_class(const struct picker *p);

/* picker_is_open — its buffer exists: some block was picked or arrived. */
bool picker_is_open(const struct picker *p, uint32_t piece_ix);

/* picker_drop — forget the piece and its blocks (done, or abandoned). */
void picker_drop(struct picker *p, uint32_t piece_ix);

/* picker_empty — the bytes of the segment of byte `at` were wrong: every block
 * is free again, and it must be opened anew. */
void picker_empty(struct picker *p, uint32_t piece_ix, uint32_t at_bytes);

/* picker_close — its bytes are given back: all its blocks are free and its
 * demand is what it was; without demand it is forgotten. */
void picker_close(struct picker *p, uint32_t piece_ix);

/* picker_shut_segment — that of byte `at`, not full, is to be opened anew. */
void picker_shut_segment(struct picker *p, uint32_t piece_ix,
			 uint32_t at_bytes);

/* picker_shut — the memory of the segments that are open and not full is given
 * back: their blocks are free. What is full stays. */
void picker_shut(struct picker *p, uint32_t piece_ix);

/* picker_is_hot — the segment of this block is open and not full. */
bool picker_is_hot(const struct picker *p, uint32_t piece_ix,
		   uint32_t at_bytes);

/* Candidates for giving memory back, never a piece that is whole. first_idle:
 * open with WANT_NONE and no request out, one with a segment that is not full
 * before one without. left_background: BACKGROUND with such a segment, and for
 * long nobody could be asked for more of it. last_background: the BACKGROUND
 * piece with one of which the least is there. last_window: the WINDOW piece
 * with one whose deadline is the latest. UINT32_MAX: none. */
uint32_t picker_first_idle(const struct picker *p);
uint32_t picker_left_background(const struct picker *p);
uint32_t picker_last_background(const struct picker *p);
uint32_t picker_last_window(const struct picker *p);

/* ---- the background ---- */

/* picker_start_background — from now on there can be WANT_BACKGROUND among
 * `n_pieces`; `seed`: of the random numbers that break ties. Until then no
 * memory is spent on it. 0, also when it was started before, or ENOMEM.
 * picker_rarity — where the caller counts what peers have; NULL before. */
int picker_start_background(struct picker *p, uint32_t n_pieces, uint64_t seed);
struct rarity *picker_rarity(const struct picker *p);

/* picker_rest — while it rests, nothing new is asked for the background. */
void picker_rest(struct picker *p, bool is_resting);

/* ---- assigning ---- */

struct pick_peer {
	uint32_t id; /* the caller's; stable while requests are out */
	const struct bits *have; /* pieces it has */
	const struct bits
		*only;	   /* choked: the allowed-fast pieces; else NULL */
	uint64_t rate_Bps; /* bytes a second; 0: not known yet */
	uint32_t rtt_us;
	uint32_t out_bytes;  /* asked, not arrived; kept up to date */
	uint32_t room;	     /* blocks that may still be asked; kept too */
	uint64_t down_bytes; /* of blocks, ever */
	uint64_t heard_us;   /* when bytes of a block last came; 0: never */
	/* It owes blocks, and is doubtful when nothing came of them by then;
	 * UINT64_MAX: it owes nothing. */
	uint64_t doubt_us;
	bool is_proven;	 /* what it was asked for came, and no stall since */
	bool is_snubbed; /* gets nothing urgent that others can do */
	bool is_guess;	 /* nobody knows yet what it has: gets only what is
			    urgent and nobody else could be asked for */
};

struct pick {
	uint32_t peer_ix; /* into the array of peers */
	struct wire_block block;
	bool is_urgent; /* a read waits for it */
	bool is_copy;	/* it is out to somebody else already */
	/* 0, or a peer of whom the picker does not expect it any more: should
	 * it come from there all the same it is welcome. */
	uint32_t instead_of;
};

/* picker_assign — up to `max` decisions into `out`; how many is returned. They
 * count as asked from now on. */
unsigned picker_assign(struct picker *p, struct pick_peer *peers,
		       unsigned n_peers, uint64_t now_us, struct pick *out,
		       unsigned max);

/* picker_next_late_us — when an urgent block will count as late and a copy
 * could be asked, or a piece of the background as left and others be begun: the
 * time of the next pass; UINT64_MAX: there is nothing of the kind. */
uint64_t picker_next_late_us(const struct picker *p);

/* ---- what became of it ---- */

enum picker_arrival {
	PICKER_UNWANTED, /* not open, or the block had already arrived */
	PICKER_BLOCK,	 /* fine, the piece needs more */
	PICKER_WHOLE,	 /* this was the last one */
};

/* picker_on_arrived — `others` gets the peers that were asked for the same
 * block and still owe it (at most PICKER_COPIES_MAX); they count as not asked
 * any more. */
enum picker_arrival picker_on_arrived(struct picker *p, uint32_t peer_id,
				      const struct wire_block *b,
				      uint32_t others[PICKER_COPIES_MAX],
				      unsigned *n_others);

/* picker_on_gone — peer `peer_id` will not send this block. */
void picker_on_gone(struct picker *p, uint32_t peer_id,
		    const struct wire_block *b);

/* picker_on_waste — so many bytes came that were of no use any more: copies
 * have to be fewer. */
void picker_on_waste(struct picker *p, uint32_t bytes);

/* picker_take_back — a block that had arrived is not believed any more, and
 * its segment still has its memory: it is missing again. */
void picker_take_back(struct picker *p, const struct wire_block *b);

/* picker_is_missing — the block has not arrived; its piece is open. */
bool picker_is_missing(const struct picker *p, const struct wire_block *b);

/* picker_outstanding — blocks that are out, all copies counted. */
uint32_t picker_outstanding(const struct picker *p);

void picker_check(const struct picker *p);

#endif
