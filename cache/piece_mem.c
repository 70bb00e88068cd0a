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
 * One piece may always begin, however large: a cap smaller than a piece would
 * otherwise mean that nothing is ever read. Pieces longer than
 * `whole_max_bytes` never ask for so much: stage.c.
 *
 * Invariants
 *   1. unverified_bytes = the sum of the lengths of all slots that are counted,
 *      and of what stages have counted
 *   2. recent_bytes = the same of all slots in `recent`
 *   3. no slot is both. */
#include "cache/pieces_internal.h"

#include <assert.h>
#include <errno.h>

#include "core/blk.h"
#include "core/mem.h"
#include "core/rng.h"

int piece_mem_new(const struct piece_mem_cfg *cfg, struct piece_mem **out)
{
	struct piece_mem *pm = mem_new(struct piece_mem);

	if (pm == NULL)
		return ENOMEM;
	pm->pool = cfg->pool;
	pm->max_unverified_bytes = cfg->unverified_bytes;
	pm->max_recent_bytes = cfg->recent_bytes;
	pm->whole_max_bytes = cfg->whole_max_bytes != 0 ? cfg->whole_max_bytes
							: PIECE_WHOLE_MAX_BYTES;
	pm->segment_bytes = cfg->segment_bytes != 0 ? cfg->segment_bytes
						    : STAGE_SEGMENT_BYTES;
	assert(pm->segment_bytes % VERIFY_BLOCK_BYTES == 0);
	rng_bytes(&pm->key, sizeof(pm->key));
	TAILQ_INIT(&pm->recent);
	TAILQ_INIT(&pm->starved);
	*out = pm;
	return 0;
}

void piece_mem_free(struct piece_mem *pm)
{
	if (pm == NULL)
		return;
	assert(pm->unverified_bytes == 0 && pm->recent_bytes == 0);
	assert(TAILQ_EMPTY(&pm->starved));
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

int piece_mem_count(struct piece_mem *pm, struct pieces *ps, uint64_t bytes)
{
	if (pm->unverified_bytes > 0 &&
	    pm->unverified_bytes + bytes > pm->max_unverified_bytes) {
		if (!ps->is_starved) {
			ps->is_starved = true;
			TAILQ_INSERT_TAIL(&pm->starved, ps, starved);
		}
		return EAGAIN;
	}
	pm->unverified_bytes += bytes;
	return 0;
}

void piece_mem_force(struct piece_mem *pm, uint64_t bytes)
{
	pm->unverified_bytes += bytes;
}

void piece_mem_uncount(struct piece_mem *pm, uint64_t bytes)
{
	struct pieces *ps;

	assert(pm->unverified_bytes >= bytes);
	pm->unverified_bytes -= bytes;
	while ((ps = TAILQ_FIRST(&pm->starved)) != NULL) {
		piece_mem_unstarve(ps);
		loop_defer(ps->cfg.loop, &ps->room_task);
	}
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
	s->is_counted = false;
	piece_mem_uncount(s->ps->cfg.mem, s->blk->len);
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

void piece_mem_trim(struct piece_mem *pm)
{
	while (pm->recent_bytes > pm->max_recent_bytes)
		pieces_drop_recent(TAILQ_FIRST(&pm->recent));
}
