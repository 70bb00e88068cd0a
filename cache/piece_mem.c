/* piece_mem — how much memory all torrents' pieces may take together.
 *
 * Purpose: two numbers that the user's machine depends on, kept in one place:
 * bytes that came from strangers and are not proven (a hard cap), and proven
 * bytes kept for readers close behind (dropped, least recently used first).
 *
 * Starved: a torrent that was refused memory. When some is given back, every
 * starved torrent is told, once, on a turn of its own, in the order they were
 * refused; who comes too late is starved again.
 *
 * Shares. The cap is one for all torrents, and pieces whose end nobody sends
 * keep what they have: one torrent must not have it all. So while there are
 * others a torrent may have SHARE times what it leaves free, no more: alone in
 * being busy three quarters of the cap, two of them three sevenths each. There
 * is always something left for one more, and nothing has to be known of who
 * wants what.
 *
 * Queue. Full pieces that wait for a worker, are hashed or are written have a
 * part of the cap, and no more: while they fill it no other piece begins but
 * those that a reader waits for. More of them would not be hashed any sooner,
 * and what is hashed and written soon after it came is still in the processor's
 * cache: with 8 MiB instead of all of the cap a pin of pieces of 1 MiB took a
 * third less of the processor.
 *
 * Recent. A reader is as far behind the network as a piece is long, and what he
 * reads from memory is not copied twice. So of long pieces the last two are
 * kept; of what is unverified and recent together there is not more for that.
 *
 * One piece may always begin, however large: a cap smaller than a piece would
 * otherwise mean that nothing is ever read. Pieces longer than
 * `whole_max_bytes` never ask for so much: stage.c.
 *
 * Invariants
 *   1. unverified_bytes = the sum of the lengths of all slots that are counted,
 *      and of what stages have counted; so of each torrent
 *   2. recent_bytes = the same of all slots in `recent`
 *   3. no slot is both
 *   4. queued_bytes = the same of all slots that are queued; they are counted.
 */
#include "cache/pieces_internal.h"

#include <assert.h>
#include <errno.h>

#include "core/blk.h"
#include "core/mem.h"
#include "core/rng.h"

enum { SHARE = 3, QUEUE_BYTES = 8 << 20, QUEUE_PIECES = 3, RECENT_LONG = 2 };

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

int piece_mem_new(const struct piece_mem_cfg *cfg, struct piece_mem **out)
{
	struct piece_mem *pm = mem_new(struct piece_mem);

	if (pm == NULL)
		return ENOMEM;
	pm->pool = cfg->pool;
	pm->max_unverified_bytes = cfg->unverified_bytes;
	pm->max_recent_bytes = cfg->recent_bytes;
	pm->max_recent_long_bytes = cfg->recent_long_bytes;
	pm->whole_max_bytes = cfg->whole_max_bytes != 0 ? cfg->whole_max_bytes
							: PIECE_WHOLE_MAX_BYTES;
	pm->segment_bytes = cfg->segment_bytes != 0 ? cfg->segment_bytes
						    : STAGE_SEGMENT_BYTES;
	assert(pm->segment_bytes % VERIFY_BLOCK_BYTES == 0);
	rng_bytes(&pm->key, sizeof(pm->key));
	TAILQ_INIT(&pm->recent);
	TAILQ_INIT(&pm->starved);
	verify_queue_init(&pm->to_verify);
	TAILQ_INIT(&pm->offers);
	*out = pm;
	return 0;
}

void piece_mem_free(struct piece_mem *pm)
{
	if (pm == NULL)
		return;
	assert(pm->unverified_bytes == 0 && pm->recent_bytes == 0);
	assert(TAILQ_EMPTY(&pm->starved) && pm->queued_bytes == 0);
	verify_queue_fini(&pm->to_verify);
	mem_free(pm);
}

uint64_t piece_mem_unverified_bytes(const struct piece_mem *pm)
{
	return pm->unverified_bytes;
}

uint64_t piece_mem_recent_bytes(const struct piece_mem *pm)
{
	return pm->recent_bytes;
}

/* ---- unverified ---- */

void piece_mem_join(struct piece_mem *pm)
{
	pm->n_torrents++;
}

void piece_mem_part(struct piece_mem *pm)
{
	pm->n_torrents--;
}

/* A torrent that has nothing gets what there is. */
static bool has_share(const struct piece_mem *pm, const struct pieces *ps,
		      uint64_t bytes)
{
	uint64_t free_bytes = pm->max_unverified_bytes - pm->unverified_bytes;

	return pm->n_torrents <= 1 || ps->unverified_bytes == 0 ||
	       ps->unverified_bytes + bytes <= SHARE * free_bytes;
}

static bool has_room(const struct piece_mem *pm, const struct pieces *ps,
		     uint64_t bytes)
{
	if (pm->unverified_bytes == 0)
		return true;
	return pm->unverified_bytes + bytes <= pm->max_unverified_bytes &&
	       has_share(pm, ps, bytes);
}

static int starve(struct piece_mem *pm, struct pieces *ps)
{
	if (!ps->is_starved) {
		ps->is_starved = true;
		TAILQ_INSERT_TAIL(&pm->starved, ps, starved);
	}
	return EAGAIN;
}

static void feed_starved(struct piece_mem *pm)
{
	struct pieces *ps;

	while ((ps = TAILQ_FIRST(&pm->starved)) != NULL) {
		piece_mem_unstarve(ps);
		loop_defer(ps->cfg.loop, &ps->room_task);
	}
}

static void shed(struct piece_mem *pm);

int piece_mem_count(struct piece_mem *pm, struct pieces *ps, uint64_t bytes)
{
	if (!has_room(pm, ps, bytes))
		return starve(pm, ps);
	piece_mem_force(pm, ps, bytes);
	shed(pm);
	return 0;
}

/* As many of the longest as all workers can have under way, and one more. */
bool piece_mem_may_begin(struct piece_mem *pm, struct pieces *ps,
			 uint32_t bytes)
{
	uint64_t most = (uint64_t)QUEUE_PIECES * bytes;

	if (most < QUEUE_BYTES)
		most = QUEUE_BYTES;
	if (pm->queued_bytes < most)
		return true;
	starve(pm, ps);
	return false;
}

void piece_mem_queue(struct slot *s)
{
	assert(s->is_counted && !s->is_queued);
	s->is_queued = true;
	s->ps->cfg.mem->queued_bytes += s->blk->len;
}

void piece_mem_unqueue(struct slot *s)
{
	struct piece_mem *pm = s->ps->cfg.mem;

	if (!s->is_queued)
		return;
	s->is_queued = false;
	pm->queued_bytes -= s->blk->len;
	feed_starved(pm);
}

void piece_mem_force(struct piece_mem *pm, struct pieces *ps, uint64_t bytes)
{
	pm->unverified_bytes += bytes;
	ps->unverified_bytes += bytes;
}

void piece_mem_uncount(struct piece_mem *pm, struct pieces *ps, uint64_t bytes)
{
	assert(pm->unverified_bytes >= bytes && ps->unverified_bytes >= bytes);
	pm->unverified_bytes -= bytes;
	ps->unverified_bytes -= bytes;
	feed_starved(pm);
}

void piece_mem_unstarve(struct pieces *ps)
{
	if (!ps->is_starved)
		return;
	ps->is_starved = false;
	TAILQ_REMOVE(&ps->cfg.mem->starved, ps, starved);
}

void piece_mem_uncount_slot(struct slot *s)
{
	if (!s->is_counted)
		return;
	piece_mem_unqueue(s);
	s->is_counted = false;
	piece_mem_uncount(s->ps->cfg.mem, s->ps, s->blk->len);
}

/* ---- recent ---- */

void piece_mem_keep(struct slot *s)
{
	struct piece_mem *pm = s->ps->cfg.mem;

	assert(!s->is_recent && !s->is_counted && s->blk != NULL);
	s->is_recent = true;
	pm->recent_bytes += s->blk->len;
	TAILQ_INSERT_TAIL(&pm->recent, s, recent);
}

void piece_mem_use(struct slot *s)
{
	struct piece_mem *pm = s->ps->cfg.mem;

	if (!s->is_recent)
		return;
	TAILQ_REMOVE(&pm->recent, s, recent);
	TAILQ_INSERT_TAIL(&pm->recent, s, recent);
}

void piece_mem_forget(struct slot *s)
{
	struct piece_mem *pm = s->ps->cfg.mem;

	if (!s->is_recent)
		return;
	s->is_recent = false;
	pm->recent_bytes -= s->blk->len;
	TAILQ_REMOVE(&pm->recent, s, recent);
}

/* Two of the last that came, if what is unverified leaves so much. */
static uint64_t recent_cap(const struct piece_mem *pm)
{
	const struct slot *last = TAILQ_LAST(&pm->recent, slot_list);
	uint64_t all = pm->max_unverified_bytes + pm->max_recent_bytes;
	uint64_t cap = last != NULL ? RECENT_LONG * last->blk->len : 0;

	cap = least(cap, pm->max_recent_long_bytes);
	cap = least(cap, all - least(all, pm->unverified_bytes));
	return cap > pm->max_recent_bytes ? cap : pm->max_recent_bytes;
}

void piece_mem_trim(struct piece_mem *pm)
{
	while (pm->recent_bytes > recent_cap(pm))
		pieces_drop_recent(TAILQ_FIRST(&pm->recent));
}

/* Unverified bytes need the room. Nobody loses anything by this. */
static void shed(struct piece_mem *pm)
{
	struct slot *s;

	while (pm->recent_bytes > recent_cap(pm)) {
		s = TAILQ_FIRST(&pm->recent);
		if (s->is_unkept)
			return;
		pieces_drop_recent(s);
	}
}
