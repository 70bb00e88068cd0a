/* pieces_internal — what pieces*.c, piece_mem.c and stage.c share. */
#ifndef SHOAL_CACHE_PIECES_INTERNAL_H
#define SHOAL_CACHE_PIECES_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/cache_limits.h"
#include "cache/piece_mem.h"
#include "cache/pieces.h"
#include "cache/pieces_leaf.h"
#include "cache/pieces_vet.h"
#include "cache/verify_queue.h"
#include "core/loop.h"
#include "core/queue.h"
#include "core/siphash.h"

struct hasher;
struct hmap;
struct slot;
struct stage;

TAILQ_HEAD(slot_list, slot);
TAILQ_HEAD(starved_list, pieces);
TAILQ_HEAD(offer_list, offers);
LIST_HEAD(slot_drift, slot);
LIST_HEAD(piece_waits, piece_wait);

/* The leaves of a piece under way (pieces_leaf.c): those whose bytes are there,
 * and of them those that are right. */
struct leaves {
	struct bits here, right;
	struct bits put;   /* given to the store, which may take it or not */
	struct blk *again; /* staged bytes, read back: … */
	uint32_t again_at; /* … of the piece from here on */
	bool is_reading;   /* into `again` */
};

/* The memory of a piece that has a buffer, a stage or a job. All others are one
 * byte in pieces->marks.
 *
 *   piece is        in slots  holds  counted  recent   has_job  unkept
 *   FETCHING        yes       one    iff blk  no       no       no
 *   CHECKING        yes       one    iff blk  no       iff blk  no
 *   SETTLING
 *     not written   yes       blk    yes      no       put      no
 *     written       yes       blk,   no       iff blk  put      no
 *                             none
 *   CLEAN           iff blk   blk    no       yes      no       any
 *   lost while
 *     SETTLING      no        none   no       no       put      no
 *   adrift          no        any    no       no       blk: yes no
 *
 * One: a blk, or a stage, which counts for itself and has its own jobs. A stage
 * that is adrift still writes: its slot is in pieces->drift, and the piece
 * cannot begin anew before it is out. */
struct slot {
	struct pieces *ps; /* Owner */
	uint32_t ix;
	struct blk *blk;
	struct stage *stage;
	uint64_t *digests; /* room for them; NULL: there was no memory */
	bool was_wrong;
	bool is_counted; /* blk, in piece_mem's unverified_bytes */
	bool is_queued;	 /* … and in its queued_bytes */
	bool is_recent;	 /* in piece_mem's recent */
	bool has_job;
	bool is_unkept;	  /* the store does not have it */
	bool is_adrift;	  /* not in pieces->slots: lost, given up, or closed */
	bool is_lacking;  /* CHECKING, and its v2 hash is not known */
	bool is_hopeless; /* nor will it be */
	struct leaves *leaves; /* FETCHING, CHECKING of v2; else NULL */
	uint64_t whole_us;     /* when it became CHECKING, or leaves were put */
	bool is_due;	       /* in pieces->due */
	TAILQ_ENTRY(slot) due;
	uint8_t *leaf_hashes; /* the verify_job's; NULL: none */
	TAILQ_ENTRY(slot) recent;
	LIST_ENTRY(slot) drift;
	struct verify_job verify;
};

struct piece_mem {
	struct blk_pool *pool;
	uint64_t max_unverified_bytes;
	uint64_t max_recent_bytes, max_recent_long_bytes;
	uint32_t whole_max_bytes;
	uint32_t segment_bytes;
	struct siphash_key key; /* of digests */
	uint64_t unverified_bytes;
	uint64_t queued_bytes; /* of those, what the workers have */
	unsigned n_torrents;
	uint64_t recent_bytes;
	struct slot_list recent; /* least recently used first */
	struct starved_list starved;
	struct verify_queue to_verify;
	unsigned n_offers;	  /* that are being hashed */
	struct offer_list offers; /* who has more, and waits for these */
};

enum {
	MARK_STATE = 0x07,  /* enum piece_state */
	MARK_WAITED = 0x08, /* some piece_wait is for it */
	MARK_GAINED = 0x10, /* the store has all of it, while it is under way
			     */
};

struct pieces {
	struct pieces_cfg cfg;
	struct store_torrent *st; /* NULL until open, and once closed */
	uint8_t *marks;		  /* a byte a piece */
	struct bits have;
	struct hmap *slots; /* piece index -> struct slot */
	struct slot_drift drift;
	int put_err;	  /* of the last piece that was to be kept */
	int stage_err;	  /* why nothing is staged … */
	uint64_t rest_us; /* … before this time */
	struct piece_waits waits[PIECES_WAIT_LISTS]; /* by index */
	uint64_t n_hashed;
	struct vets vets;
	struct offers offers;
	struct hasher *hasher; /* of leaves, on the loop; NULL: no v2 */
	struct slot_list due;  /* somebody waits for leaves of theirs */
	struct loop_task due_task;
	struct bits kept; /* leaves of piece space that the store has; no data:
			     none */
	uint64_t n_forgets;	   /* times some of them were forgotten */
	uint64_t n_losses;	   /* times right leaves were lost */
	unsigned n_jobs;	   /* whatever still calls back, the open too */
	uint64_t unverified_bytes; /* its part of piece_mem's */
	bool is_starved;	   /* in piece_mem's list */
	bool is_barred;		   /* a piece that drifts was asked to begin */
	TAILQ_ENTRY(pieces) starved;
	struct loop_task room_task;
	struct loop_task gain_task;
	pieces_open_fn *open_done;
	void *open_arg;
	/* once closed */
	bool is_closed;
	void (*gone)(void *arg);
	void *gone_arg;
	struct loop_task gone_task;
};

static inline enum piece_state piece_state(const struct pieces *ps, uint32_t ix)
{
	return (enum piece_state)(ps->marks[ix] & MARK_STATE);
}

/* ---- pieces_fill.c ---- */

/* pieces_knows_root — may the piece be judged? Then `root` is what it must come
 * to on v2's side. */
bool pieces_knows_root(struct slot *s, struct verify_root *root);

/* ---- pieces_pad.c ---- */

/* pieces_pad_start — hold what is padding; true: pieces_opened follows. */
bool pieces_pad_start(struct pieces *ps);

/* ---- pieces_gain.c ---- */

void pieces_gain_init(struct pieces *ps);

/* pieces_gain_watch — hear of what other torrents do to this one's pieces. */
void pieces_gain_watch(struct pieces *ps);

/* pieces_gain_on_move — the piece has just got another state. */
void pieces_gain_on_move(struct pieces *ps, uint32_t ix);

/* ---- pieces.c ---- */

struct slot *pieces_slot(const struct pieces *ps, uint32_t ix);

/* pieces_opened — all that is held is known: whoever opens hears of it. */
void pieces_opened(struct pieces *ps);

/* pieces_slot_new — in the table, with nothing in it. NULL: no memory. */
struct slot *pieces_slot_new(struct pieces *ps, uint32_t ix);

/* pieces_slot_release — out of the table; freed now, or by its last job. */
void pieces_slot_release(struct slot *s);
void pieces_slot_job_begin(struct slot *s);
void pieces_slot_job_end(struct slot *s);

/* pieces_on_stage_gone — stage.h's on_gone. */
void pieces_on_stage_gone(struct slot *s);

/* pieces_move — a move of the table in pieces.h. */
void pieces_move(struct pieces *ps, uint32_t ix, enum piece_state to);

/* pieces_settle — the whole piece is right: SETTLING. */
void pieces_settle(struct slot *s);

/* pieces_settle_staged — the same of a staged one; or an error, and then
 * nothing has changed. */
int pieces_settle_staged(struct slot *s);

/* pieces_wait_of — a wait for the piece, the next behind `w` (NULL: the first);
 * NULL. pieces_wait_end — it is over. */
struct piece_wait *pieces_wait_of(struct pieces *ps, uint32_t ix,
				  struct piece_wait *w);
void pieces_wait_end(struct pieces *ps, struct piece_wait *w, int err);

/* pieces_call_waiters — end all waits for the piece. */
void pieces_call_waiters(struct pieces *ps, uint32_t ix, int err);

/* pieces_drop_recent — the buffer made room: what that means for its piece. */
void pieces_drop_recent(struct slot *s);

/* pieces_drop_have — the piece is ABSENT now; no slot has it. */
void pieces_drop_have(struct pieces *ps, uint32_t ix);

/* pieces_lose — a read of the piece failed; no buffer has it. */
void pieces_lose(struct pieces *ps, uint32_t ix);

/* pieces_drop_digests — there are none of this piece. */
void pieces_drop_digests(struct slot *s);

/* pieces_job_begin — there is one more. pieces_job_end — one of n_jobs
 * is over; `ps` may be gone after this turn. */
void pieces_job_begin(struct pieces *ps);
void pieces_job_end(struct pieces *ps);

/* pieces_check_piece — the table, for one piece; checks builds only. */
#ifdef SHOAL_CHECKS
void pieces_check_piece(const struct pieces *ps, uint32_t ix);
#else
static inline void pieces_check_piece(const struct pieces *ps, uint32_t ix)
{
}
#endif

#endif
