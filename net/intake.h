/* intake — blocks on their way into pieces: where their bytes go, who sent
 * them, what a whole piece leads to. Thread: loop. Owner: the swarm, from
 * READY on. */
#ifndef SHOAL_NET_INTAKE_H
#define SHOAL_NET_INTAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/queue.h"
#include "net/picker.h"
#include "net/wire.h"

struct hmap;
struct peer;
struct swarm;
struct webseed;

/* Who delivered a block: a peer, known by its address, or a web seed. */
struct intake_sender {
	uint32_t id;
	bool is_web;
	struct addr addr; /* a peer's */
};

/* A piece under way. `holder` of a block: the id of the peer to which its
 * place was last handed out; 0: nobody. `sender`: who delivered what lies there
 * now. `n_missing` of a segment: its blocks that have not arrived. The suspect
 * part is blame.c's. */
struct intake_piece {
	LIST_ENTRY(intake_piece) link;
	uint32_t ix, n_blocks, n_arrived;
	uint32_t *holder;
	struct intake_sender *sender;
	uint32_t segment_blocks;
	uint32_t *n_missing;
	uint64_t came_us;  /* when it was begun, or last got a block */
	uint32_t n_filled; /* of those that arrived, from the store */

	bool is_suspect;
	uint32_t only_peer; /* the one peer that is asked; 0: a suspect piece
			       waits for one, any other is everybody's */
	struct intake_sender *bad_sender; /* of the version that was wrong */
	uint64_t *bad_digest;

	/* custody.c's */
	TAILQ_ENTRY(intake_piece) held;
	bool is_held, is_handed;
	uint32_t last_bytes; /* where the block was that made it whole */
	uint64_t whole_us;
};

struct intake {
	struct swarm *sw; /* Owner: */
	struct hmap *by_ix;
	LIST_HEAD(, intake_piece) pieces;
	unsigned n_suspects;
	bool has_alone;	 /* pieces that are not suspect have an only_peer */
	bool is_short;	 /* a piece could not be opened for want of memory, */
	bool is_lacking; /* some piece is whole and its v2 hash is not known */
	bool is_nomem;	 /* and nobody will say when there is some again; */
	bool has_filled; /* some piece got blocks of the store's in this pass */
	/* intake_joint.c's: in this pass something was left to others, and then
	 * it is in the engine's list; and in the last one somebody was at work
	 * here. */
	bool has_held_back, was_at_work;
	LIST_ENTRY(intake) held_back;
	enum want_class short_for;	 /* the best such piece's */
	TAILQ_HEAD(, intake_piece) held; /* whole, custody.c's */
	bool has_news;			 /* that may let one of them go … */
	uint64_t look_us; /* … or the time to look all the same */
	uint64_t mark;
};

int intake_new(struct swarm *sw, struct intake **out);
void intake_free(struct intake *in);

/* intake_open — picker_open_fn's work. */
bool intake_open(struct intake *in, uint32_t piece_ix, uint32_t at_bytes);

/* intake_give_back — the memory of a piece that is under way; what has come of
 * it is lost, its demand is not. A staged piece loses what is in memory; asked
 * again, all. False: it is too late, it is being hashed. */
bool intake_give_back(struct intake *in, uint32_t piece_ix);

/* intake_hung — a piece that reads wait for, which keeps memory and of which
 * nothing came for RECLAIM_HUNG_MS; UINT32_MAX: none. */
uint32_t intake_hung(const struct intake *in, uint64_t now_us);

/* intake_unwant — nobody wants the piece any more: keep what has come, give
 * back what has not begun. */
void intake_unwant(struct intake *in, uint32_t piece_ix);

/* intake_begin_slots — `p` is about to ask for places. intake_place — where
 * the bytes of this block go; NULL: drop them. */
void intake_begin_slots(struct peer *p);
uint8_t *intake_place(struct peer *p, const struct wire_block *b);

/* intake_on_block — a block is whole and lies at `dst` (NULL: dropped). */
void intake_on_block(struct peer *p, const struct wire_block *b, uint8_t *dst);

/* intake_on_web_block — a web seed's block, whole; the bytes are lent. */
void intake_on_web_block(struct webseed *ws, const struct wire_block *b,
			 const uint8_t *bytes);

/* intake_disbelieve — what this sender, a convict, brought of pieces that are
 * not hashed yet is missing again. Of those that are whole and likely right the
 * hash tells. */
void intake_disbelieve(struct intake *in, const struct intake_sender *from);

/* intake_is_same — one and the same sender. */
bool intake_is_same(const struct intake_sender *a,
		    const struct intake_sender *b);

/* intake_on_verified / intake_on_bad — what the hash of a piece said. */
void intake_on_verified(struct intake *in, uint32_t piece_ix);
void intake_on_bad(struct intake *in, uint32_t piece_ix);

/* intake_on_bad_leaf — this block is wrong, and so is who sent it. */
void intake_on_bad_leaf(struct intake *in, uint32_t piece_ix,
			uint32_t at_bytes);

/* intake_find_hashes — in each pass: pieces that are whole and lack their v2
 * hash are asked about, or do without. */
void intake_find_hashes(struct intake *in);

/* intake_on_failed — it cannot be staged: give it up. */
void intake_on_failed(struct intake *in, uint32_t piece_ix);

/* intake_on_brought — nothing more of it is needed: give it up. */
void intake_on_brought(struct intake *in, uint32_t piece_ix);

/* intake_on_segment — all of the segment of this block came. */
void intake_on_segment(struct intake *in, struct intake_piece *ip,
		       uint32_t block);

/* intake_is_right — the leaf of block `i` was verified. */
bool intake_is_right(const struct intake *in, const struct intake_piece *ip,
		     uint32_t i);

/* intake_abandon — for intake_verdict.c: give a piece up. */
void intake_abandon(struct intake *in, struct intake_piece *ip);

struct intake_piece *intake_find(const struct intake *in, uint32_t piece_ix);

#endif
