/* pieces_internal — what pieces.c, pieces_read.c and piece_mem.c share. */
#ifndef SHOAL_CACHE_PIECES_INTERNAL_H
#define SHOAL_CACHE_PIECES_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/cache_limits.h"
#include "cache/pieces.h"
#include "cache/verify_job.h"
#include "core/loop.h"
#include "core/queue.h"

struct hmap;
struct slot;

TAILQ_HEAD(slot_list, slot);
TAILQ_HEAD(starved_list, pieces);
LIST_HEAD(piece_waits, piece_wait);

/* The memory of a piece that has a buffer or a job. All others are one byte in
 * pieces->marks.
 *
 *   piece is        in slots  blk  counted  recent   has_job  unkept
 *   FETCHING        yes       yes  yes      no       no       no
 *   CHECKING        yes       yes  yes      no       hash     no
 *   SETTLING
 *     not written   yes       yes  yes      no       put      no
 *     written       yes       any  no       iff blk  put      no
 *   CLEAN           iff blk   yes  no       yes      no       any
 *   lost while
 *     SETTLING      no        no   no       no       put      no
 *   any, closed     no        any  no       no       yes      no
 */
struct slot {
	struct pieces *ps; /* Owner */
	uint32_t ix;
	struct blk *blk;
	bool is_counted; /* in piece_mem's unverified_bytes */
	bool is_recent;	 /* in piece_mem's recent */
	bool has_job;
	bool is_unkept; /* the store does not have it */
	bool is_adrift; /* not in pieces->slots: lost, or closed */
	TAILQ_ENTRY(slot) recent;
	struct verify_job verify;
};

struct piece_mem {
	struct blk_pool *pool;
	uint64_t max_unverified_bytes;
	uint64_t max_recent_bytes;
	uint64_t unverified_bytes;
	uint64_t recent_bytes;
	struct slot_list recent; /* least recently used first */
	struct starved_list starved;
};

enum {
	MARK_STATE = 0x07,  /* enum piece_state */
	MARK_WAITED = 0x08, /* some piece_wait is for it */
};

struct pieces {
	struct pieces_cfg cfg;
	struct store_torrent *st; /* NULL until open, and once closed */
	uint8_t *marks;		  /* a byte a piece */
	struct bits have;
	struct hmap *slots; /* piece index -> struct slot */
	struct piece_waits waits[PIECES_WAIT_LISTS]; /* by index */
	uint64_t n_hashed;
	unsigned n_jobs; /* whatever still calls back, the open too */
	bool is_starved; /* in piece_mem's list */
	TAILQ_ENTRY(pieces) starved;
	struct loop_task room_task;
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

/* ---- piece_mem.c ---- */

/* piece_mem_count — `s` has unverified bytes from now on. EAGAIN over the cap;
 * its pieces are starved then. */
int piece_mem_count(struct piece_mem *pm, struct pieces *ps, uint32_t len);
void piece_mem_uncount(struct slot *s);
void piece_mem_unstarve(struct pieces *ps);

/* piece_mem_keep — the slot's buffer is recent now. _use: was used. _forget:
 * is not any more; the buffer stays. */
void piece_mem_keep(struct slot *s);
void piece_mem_use(struct slot *s);
void piece_mem_forget(struct slot *s);

/* piece_mem_trim — drop buffers until the cap is kept; on_lost may run. */
void piece_mem_trim(struct piece_mem *pm);

/* ---- pieces.c ---- */

struct slot *pieces_slot(const struct pieces *ps, uint32_t ix);

/* pieces_drop_recent — the buffer made room: what that means for its piece. */
void pieces_drop_recent(struct slot *s);

/* pieces_lose — a read of the piece failed; no buffer has it. */
void pieces_lose(struct pieces *ps, uint32_t ix);

/* pieces_job_end — one of n_jobs is over; `ps` may be gone after this turn. */
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
