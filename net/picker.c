/* picker — what is wanted and what is out.
 *
 * Purpose: the bookkeeping half: pieces by demand, blocks by state. Whom a
 * block is asked of is decided in picker_assign.c.
 *
 * Words: a piece is *wanted* while it has a class, *open* once its blocks
 * exist (one was picked, so its buffer exists). Wanted pieces are one sorted
 * list; open pieces that nobody wants any more are another, from which the
 * owner takes memory back.
 *
 * A request is known by (peer, block). The picker forgets requests when their
 * piece is restarted or dropped; a peer that answers such a one later is
 * simply told PICKER_UNWANTED, or delivers a block that was missing, which is
 * welcome from anybody.
 *
 * Invariants: picker_check. Pure; the owner's thread. */
#include <assert.h>

#include "core/err.h"
#include "core/hmap.h"
#include "core/mem.h"
#include "net/picker_internal.h"

int picker_new(const struct picker_cfg *cfg, struct picker **out)
{
	struct picker *p = mem_new(struct picker);
	int r;

	if (!p)
		return ENOMEM;
	r = hmap_new(sizeof(uint32_t), &p->by_ix);
	if (r) {
		mem_free(p);
		return r;
	}
	p->cfg = *cfg;
	p->next_late_us = UINT64_MAX;
	TAILQ_INIT(&p->wanted);
	TAILQ_INIT(&p->idle);
	*out = p;
	return 0;
}

static struct pick_piece *picker_find(const struct picker *p, uint32_t ix)
{
	return hmap_get(p->by_ix, &ix);
}

static void unlink_piece(struct picker *p, struct pick_piece *pp)
{
	if (pp->class == WANT_NONE)
		TAILQ_REMOVE(&p->idle, pp, link);
	else
		TAILQ_REMOVE(&p->wanted, pp, link);
}

static void forget_requests(struct picker *p, struct pick_block *b)
{
	if (b->n_out == 0)
		return;
	p->n_out -= b->n_out;
	p->n_copies -= b->n_out - 1u;
	b->n_out = 0;
}

static void free_piece(struct picker *p, struct pick_piece *pp)
{
	for (uint32_t i = 0; pp->blocks && i < pp->n_blocks; i++)
		forget_requests(p, &pp->blocks[i]);
	(void)hmap_del(p->by_ix, &pp->ix);
	mem_free(pp->blocks);
	mem_free(pp);
}

void picker_free(struct picker *p)
{
	struct pick_piece *pp, *next;

	if (!p)
		return;
	TAILQ_FOREACH_SAFE (pp, &p->wanted, link, next)
		free_piece(p, pp);
	TAILQ_FOREACH_SAFE (pp, &p->idle, link, next)
		free_piece(p, pp);
	hmap_free(p->by_ix);
	mem_free(p);
}

/* ---- demand ---- */

static bool comes_before(const struct pick_piece *a, const struct pick_piece *b)
{
	if (a->class != b->class)
		return a->class > b->class;
	if (a->deadline_us != b->deadline_us)
		return a->deadline_us < b->deadline_us;
	return a->ix < b->ix;
}

/* New window pieces belong near the tail and new urgent ones near the head, so
 * each is searched for from its own end. */
static void link_piece(struct picker *p, struct pick_piece *pp)
{
	struct pick_piece *at;

	if (pp->class == WANT_NONE) {
		TAILQ_INSERT_TAIL(&p->idle, pp, link);
		return;
	}
	if (pp->class == WANT_URGENT) {
		TAILQ_FOREACH (at, &p->wanted, link) {
			if (comes_before(pp, at)) {
				TAILQ_INSERT_BEFORE(at, pp, link);
				return;
			}
		}
		TAILQ_INSERT_TAIL(&p->wanted, pp, link);
		return;
	}
	at = TAILQ_LAST(&p->wanted, pick_list);
	while (at && comes_before(pp, at))
		at = TAILQ_PREV(at, pick_list, link);
	if (at)
		TAILQ_INSERT_AFTER(&p->wanted, at, pp, link);
	else
		TAILQ_INSERT_HEAD(&p->wanted, pp, link);
}

static int add_piece(struct picker *p, uint32_t ix, enum want_class c,
		     uint64_t deadline_us)
{
	struct pick_piece *pp = mem_new(struct pick_piece);
	int r;

	if (!pp)
		return ENOMEM;
	r = hmap_put(p->by_ix, &ix, pp);
	if (r) {
		mem_free(pp);
		return r;
	}
	pp->ix = ix;
	pp->len_bytes = p->cfg.len(p->cfg.arg, ix);
	pp->n_blocks =
		(pp->len_bytes + WIRE_BLOCK_BYTES - 1) / WIRE_BLOCK_BYTES;
	pp->class = c;
	pp->deadline_us = deadline_us;
	link_piece(p, pp);
	return 0;
}

int picker_want(struct picker *p, uint32_t piece_ix, enum want_class c,
		uint64_t deadline_us)
{
	struct pick_piece *pp = picker_find(p, piece_ix);

	if (!pp)
		return c == WANT_NONE ? 0
				      : add_piece(p, piece_ix, c, deadline_us);
	if (pp->class == c && pp->deadline_us == deadline_us)
		return 0;
	unlink_piece(p, pp);
	if (c == WANT_NONE && !pp->blocks) {
		free_piece(p, pp);
		return 0;
	}
	pp->class = c;
	pp->deadline_us = deadline_us;
	link_piece(p, pp);
	return 0;
}

enum want_class picker_class(const struct picker *p, uint32_t piece_ix)
{
	const struct pick_piece *pp = picker_find(p, piece_ix);

	return pp ? pp->class : WANT_NONE;
}

enum want_class picker_next_class(const struct picker *p)
{
	const struct pick_piece *pp;

	TAILQ_FOREACH (pp, &p->wanted, link)
		if (picker_free_blocks(pp) > 0 ||
		    (pp->class == WANT_URGENT && pp->n_asked > 0))
			return pp->class;
	return WANT_NONE;
}

bool picker_is_open(const struct picker *p, uint32_t piece_ix)
{
	const struct pick_piece *pp = picker_find(p, piece_ix);

	return pp && pp->blocks;
}

bool picker_open(struct picker *p, struct pick_piece *pp)
{
	struct pick_block *blocks;

	if (pp->blocks)
		return true;
	blocks = mem_zalloc(pp->n_blocks, sizeof(*blocks));
	if (!blocks)
		return false;
	if (!p->cfg.open(p->cfg.arg, pp->ix)) {
		mem_free(blocks);
		return false;
	}
	pp->blocks = blocks;
	return true;
}

void picker_drop(struct picker *p, uint32_t piece_ix)
{
	struct pick_piece *pp = picker_find(p, piece_ix);

	if (!pp)
		return;
	unlink_piece(p, pp);
	free_piece(p, pp);
}

void picker_restart(struct picker *p, uint32_t piece_ix)
{
	struct pick_piece *pp = picker_find(p, piece_ix);

	if (!pp || !pp->blocks)
		return;
	for (uint32_t i = 0; i < pp->n_blocks; i++) {
		forget_requests(p, &pp->blocks[i]);
		pp->blocks[i].has_arrived = false;
	}
	pp->n_arrived = 0;
	pp->n_asked = 0;
	pp->first_free = 0;
}

void picker_close(struct picker *p, uint32_t piece_ix)
{
	struct pick_piece *pp = picker_find(p, piece_ix);

	if (!pp || !pp->blocks)
		return;
	if (pp->class == WANT_NONE) {
		picker_drop(p, piece_ix);
		return;
	}
	picker_restart(p, piece_ix);
	mem_free(pp->blocks);
	pp->blocks = NULL;
}

uint32_t picker_first_idle(const struct picker *p)
{
	const struct pick_piece *pp;

	TAILQ_FOREACH (pp, &p->idle, link) {
		if (pp->n_asked == 0 && pp->n_arrived < pp->n_blocks)
			return pp->ix;
	}
	return UINT32_MAX;
}

uint32_t picker_last_window(const struct picker *p)
{
	const struct pick_piece *pp;

	TAILQ_FOREACH_REVERSE(pp, &p->wanted, pick_list, link)
	{
		if (pp->class != WANT_WINDOW)
			break;
		if (pp->blocks && pp->n_arrived < pp->n_blocks)
			return pp->ix;
	}
	return UINT32_MAX;
}

/* ---- what became of requests ---- */

/* A block must be one of ours to the byte: what a peer sends names it. */
static struct pick_block *find_block(const struct picker *p,
				     const struct wire_block *b,
				     struct pick_piece **piece)
{
	struct pick_piece *pp = picker_find(p, b->piece_ix);
	uint32_t i = b->begin_bytes / WIRE_BLOCK_BYTES;

	if (!pp || !pp->blocks || i >= pp->n_blocks ||
	    b->begin_bytes % WIRE_BLOCK_BYTES != 0 ||
	    b->len_bytes != picker_block(pp, i).len_bytes)
		return NULL;
	*piece = pp;
	return &pp->blocks[i];
}

enum picker_arrival picker_on_arrived(struct picker *p, uint32_t peer_id,
				      const struct wire_block *b,
				      uint32_t others[PICKER_COPIES_MAX],
				      unsigned *n_others)
{
	struct pick_piece *pp;
	struct pick_block *pb = find_block(p, b, &pp);

	*n_others = 0;
	if (!pb || pb->has_arrived)
		return PICKER_UNWANTED;
	if (pb->n_out > 0)
		pp->n_asked--;
	for (unsigned i = 0; i < pb->n_out; i++) {
		if (pb->peer[i] != peer_id)
			others[(*n_others)++] = pb->peer[i];
	}
	forget_requests(p, pb);
	pb->has_arrived = true;
	pp->n_arrived++;
	return pp->n_arrived == pp->n_blocks ? PICKER_WHOLE : PICKER_BLOCK;
}

void picker_on_gone(struct picker *p, uint32_t peer_id,
		    const struct wire_block *b)
{
	struct pick_piece *pp;
	struct pick_block *pb = find_block(p, b, &pp);
	unsigned i = 0;

	if (!pb)
		return;
	while (i < pb->n_out && pb->peer[i] != peer_id)
		i++;
	if (i == pb->n_out)
		return;
	pb->peer[i] = pb->peer[pb->n_out - 1u];
	pb->n_out--;
	p->n_out--;
	if (pb->n_out > 0) {
		p->n_copies--;
		return;
	}
	pp->n_asked--;
	i = b->begin_bytes / WIRE_BLOCK_BYTES;
	if (i < pp->first_free)
		pp->first_free = i;
}

bool picker_is_missing(const struct picker *p, const struct wire_block *b)
{
	struct pick_piece *pp;
	const struct pick_block *pb = find_block(p, b, &pp);

	return pb && !pb->has_arrived;
}

uint32_t picker_outstanding(const struct picker *p)
{
	return p->n_out;
}

static void check_piece(const struct pick_piece *pp, uint32_t *n_out,
			uint32_t *n_copies)
{
	uint32_t n_arrived = 0, n_asked = 0;

	for (uint32_t i = 0; pp->blocks && i < pp->n_blocks; i++) {
		const struct pick_block *b = &pp->blocks[i];

		assert(!b->has_arrived || b->n_out == 0);
		assert(b->n_out <= PICKER_COPIES_MAX);
		assert(i >= pp->first_free || b->has_arrived || b->n_out > 0);
		n_arrived += b->has_arrived;
		n_asked += b->n_out > 0;
		*n_out += b->n_out;
		*n_copies += b->n_out > 1 ? b->n_out - 1u : 0u;
	}
	assert(n_arrived == pp->n_arrived && n_asked == pp->n_asked);
}

void picker_check(const struct picker *p)
{
	const struct pick_piece *pp, *last = NULL;
	uint32_t n_out = 0, n_copies = 0;
	size_t n = 0;

	TAILQ_FOREACH (pp, &p->wanted, link) {
		assert(pp->class != WANT_NONE);
		assert(!last || comes_before(last, pp));
		(void)last;
		check_piece(pp, &n_out, &n_copies);
		last = pp;
		n++;
	}
	TAILQ_FOREACH (pp, &p->idle, link) {
		assert(pp->class == WANT_NONE && pp->blocks);
		check_piece(pp, &n_out, &n_copies);
		n++;
	}
	assert(n == hmap_count(p->by_ix));
	assert(n_out == p->n_out && n_copies == p->n_copies);
}
