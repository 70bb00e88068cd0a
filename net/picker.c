/* picker — what is wanted and what is out.
 *
 * Purpose: the bookkeeping half: pieces by demand, blocks by state. Whom a
 * block is asked of is decided in picker_assign.c.
 *
 * Words: a piece is *wanted* while it has a class, *open* once its blocks
 * exist (one was picked, so some of its memory exists), a segment *hot* while
 * it is open and not full. Pieces that readers want are one sorted list; open
 * pieces that nobody wants any more are another, from which the owner takes
 * memory back. The background may want every piece of a large torrent: those
 * that are not open are kept by rarity.c, at no cost for the lists, and those
 * that are open are the third list.
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
#include "net/rarity.h"

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
	p->waste_left = PICKER_WASTE_FIRST;
	TAILQ_INIT(&p->wanted);
	TAILQ_INIT(&p->background);
	TAILQ_INIT(&p->idle);
	*out = p;
	return 0;
}

struct pick_piece *picker_find(const struct picker *p, uint32_t ix)
{
	return hmap_get(p->by_ix, &ix);
}

static struct pick_list *list_of(struct picker *p, enum want_class c)
{
	switch (c) {
	case WANT_NONE:
		return &p->idle;
	case WANT_BACKGROUND:
		return &p->background;
	case WANT_WINDOW:
	case WANT_URGENT:
		break;
	}
	return &p->wanted;
}

static void unlink_piece(struct picker *p, struct pick_piece *pp)
{
	TAILQ_REMOVE(list_of(p, pp->class), pp, link);
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
	picker_parts_free(pp);
	mem_free(pp->blocks);
	mem_free(pp->segments);
	mem_free(pp);
}

void picker_free(struct picker *p)
{
	struct pick_piece *pp, *next;

	if (!p)
		return;
	TAILQ_FOREACH_SAFE (pp, &p->wanted, link, next)
		free_piece(p, pp);
	TAILQ_FOREACH_SAFE (pp, &p->background, link, next)
		free_piece(p, pp);
	TAILQ_FOREACH_SAFE (pp, &p->idle, link, next)
		free_piece(p, pp);
	rarity_free(p->rarity);
	hmap_free(p->by_ix);
	mem_free(p);
}

/* ---- demand ---- */

bool picker_comes_before(const struct pick_piece *a, const struct pick_piece *b)
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

	if (pp->class <= WANT_BACKGROUND) {
		TAILQ_INSERT_TAIL(list_of(p, pp->class), pp, link);
		return;
	}
	if (pp->class == WANT_URGENT) {
		TAILQ_FOREACH (at, &p->wanted, link) {
			if (picker_comes_before(pp, at)) {
				TAILQ_INSERT_BEFORE(at, pp, link);
				return;
			}
		}
		TAILQ_INSERT_TAIL(&p->wanted, pp, link);
		return;
	}
	at = TAILQ_LAST(&p->wanted, pick_list);
	while (at && picker_comes_before(pp, at))
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
	picker_parts_init(pp);
	link_piece(p, pp);
	return 0;
}

static bool is_in_background(const struct picker *p, uint32_t ix)
{
	return p->rarity && rarity_wants(p->rarity, ix);
}

static void set_in_background(struct picker *p, uint32_t ix, bool is_in)
{
	assert(!is_in || p->rarity);
	if (is_in)
		rarity_want(p->rarity, ix);
	else if (p->rarity)
		rarity_unwant(p->rarity, ix);
}

int picker_want(struct picker *p, uint32_t piece_ix, enum want_class c,
		uint64_t deadline_us)
{
	struct pick_piece *pp = picker_find(p, piece_ix);
	int r = 0;

	if (!pp && c > WANT_BACKGROUND)
		r = add_piece(p, piece_ix, c, deadline_us);
	if (!pp && r == 0)
		set_in_background(p, piece_ix, c == WANT_BACKGROUND);
	if (!pp || (pp->class == c && pp->deadline_us == deadline_us))
		return r;
	unlink_piece(p, pp);
	if (c <= WANT_BACKGROUND && !pp->blocks) {
		free_piece(p, pp);
		set_in_background(p, piece_ix, c == WANT_BACKGROUND);
		return 0;
	}
	pp->class = c;
	pp->deadline_us = deadline_us;
	if (c <= WANT_BACKGROUND || pp->parts == &pp->whole)
		picker_parts_init(pp);
	link_piece(p, pp);
	return 0;
}

enum want_class picker_class(const struct picker *p, uint32_t piece_ix)
{
	const struct pick_piece *pp = picker_find(p, piece_ix);

	if (pp)
		return pp->class;
	return is_in_background(p, piece_ix) ? WANT_BACKGROUND : WANT_NONE;
}

bool picker_is_open(const struct picker *p, uint32_t piece_ix)
{
	const struct pick_piece *pp = picker_find(p, piece_ix);

	return pp && pp->blocks;
}

/* ---- segments ---- */

static uint32_t n_segments(const struct pick_piece *pp)
{
	return (pp->n_blocks + pp->segment_blocks - 1) / pp->segment_blocks;
}

static void set_open(struct pick_piece *pp, struct pick_segment *seg,
		     bool is_open)
{
	seg->is_open = is_open;
	pp->n_hot += is_open ? 1u : UINT32_MAX;
}

static void close_records(struct pick_piece *pp)
{
	mem_free(pp->blocks);
	mem_free(pp->segments);
	pp->blocks = NULL;
	pp->segments = NULL;
	pp->n_hot = 0;
}

static bool make_records(struct picker *p, struct pick_piece *pp)
{
	uint32_t bytes = p->cfg.segment(p->cfg.arg, pp->ix);
	uint32_t n, i;

	pp->segment_blocks = (bytes + WIRE_BLOCK_BYTES - 1) / WIRE_BLOCK_BYTES;
	n = n_segments(pp);
	pp->blocks = mem_zalloc(pp->n_blocks, sizeof(*pp->blocks));
	pp->segments = mem_zalloc(n, sizeof(*pp->segments));
	if (!pp->blocks || !pp->segments) {
		close_records(pp);
		return false;
	}
	for (i = 0; i < pp->n_blocks; i = picker_segment_end(pp, i))
		picker_segment(pp, i)->n_free = picker_segment_end(pp, i) - i;
	return true;
}

bool picker_open(struct picker *p, struct pick_piece *pp, uint32_t i)
{
	if (pp->blocks)
		return true;
	if (!make_records(p, pp))
		return false;
	if (picker_open_segment(p, pp, i))
		return true;
	close_records(pp);
	return false;
}

bool picker_open_segment(struct picker *p, struct pick_piece *pp, uint32_t i)
{
	struct pick_segment *seg = picker_segment(pp, i);

	if (seg->is_open)
		return true;
	if (!p->cfg.open(p->cfg.arg, pp->ix, i * WIRE_BLOCK_BYTES))
		return false;
	set_open(pp, seg, true);
	return true;
}

/* All its blocks are free, and its memory is gone. */
static void empty_segment(struct picker *p, struct pick_piece *pp, uint32_t i)
{
	struct pick_segment *seg = picker_segment(pp, i);
	uint32_t end = picker_segment_end(pp, i);

	pp->n_arrived -= seg->n_arrived;
	pp->n_asked -= seg->n_asked;
	if (picker_segment_is_hot(seg))
		set_open(pp, seg, false);
	*seg = (struct pick_segment){.n_free = end - i};
	for (; i < end; i++) {
		forget_requests(p, &pp->blocks[i]);
		pp->blocks[i].has_arrived = false;
		picker_parts_on_free(pp, i);
	}
}

struct pick_piece *picker_open_background(struct picker *p, uint32_t piece_ix)
{
	struct pick_piece *pp;

	if (add_piece(p, piece_ix, WANT_BACKGROUND, 0) != 0)
		return NULL;
	pp = picker_find(p, piece_ix);
	if (!picker_open(p, pp, 0)) {
		unlink_piece(p, pp);
		free_piece(p, pp);
		return NULL;
	}
	set_in_background(p, piece_ix, false);
	return pp;
}

void picker_drop(struct picker *p, uint32_t piece_ix)
{
	struct pick_piece *pp = picker_find(p, piece_ix);

	if (!pp) {
		set_in_background(p, piece_ix, false);
		return;
	}
	unlink_piece(p, pp);
	free_piece(p, pp);
}

void picker_empty(struct picker *p, uint32_t piece_ix, uint32_t at_bytes)
{
	struct pick_piece *pp = picker_find(p, piece_ix);
	uint32_t i = at_bytes / WIRE_BLOCK_BYTES;

	if (pp && pp->blocks)
		empty_segment(p, pp, i - i % pp->segment_blocks);
}

void picker_shut(struct picker *p, uint32_t piece_ix)
{
	struct pick_piece *pp = picker_find(p, piece_ix);

	if (!pp || !pp->blocks)
		return;
	for (uint32_t i = 0; i < pp->n_blocks; i = picker_segment_end(pp, i))
		if (picker_segment_is_hot(picker_segment(pp, i)))
			empty_segment(p, pp, i);
}

void picker_shut_segment(struct picker *p, uint32_t piece_ix, uint32_t at_bytes)
{
	struct pick_piece *pp = picker_find(p, piece_ix);
	uint32_t i = at_bytes / WIRE_BLOCK_BYTES;

	if (pp && pp->blocks && picker_segment_is_hot(picker_segment(pp, i)))
		empty_segment(p, pp, i - i % pp->segment_blocks);
}

bool picker_is_hot(const struct picker *p, uint32_t piece_ix, uint32_t at_bytes)
{
	const struct pick_piece *pp = picker_find(p, piece_ix);

	return pp && pp->blocks &&
	       picker_segment_is_hot(
		       picker_segment(pp, at_bytes / WIRE_BLOCK_BYTES));
}

void picker_close(struct picker *p, uint32_t piece_ix)
{
	struct pick_piece *pp = picker_find(p, piece_ix);

	if (!pp || !pp->blocks)
		return;
	if (pp->class <= WANT_BACKGROUND) {
		bool is_wanted = pp->class == WANT_BACKGROUND;

		picker_drop(p, piece_ix);
		set_in_background(p, piece_ix, is_wanted);
		return;
	}
	for (uint32_t i = 0; i < pp->n_blocks; i = picker_segment_end(pp, i))
		empty_segment(p, pp, i);
	close_records(pp);
}

uint32_t picker_first_idle(const struct picker *p)
{
	const struct pick_piece *pp;
	uint32_t found = UINT32_MAX;

	TAILQ_FOREACH (pp, &p->idle, link) {
		if (pp->n_asked > 0 || pp->n_arrived == pp->n_blocks)
			continue;
		if (pp->n_hot > 0)
			return pp->ix;
		if (found == UINT32_MAX)
			found = pp->ix;
	}
	return found;
}

uint32_t picker_last_background(const struct picker *p)
{
	const struct pick_piece *pp, *found = NULL;

	TAILQ_FOREACH (pp, &p->background, link) {
		if (pp->n_hot > 0 &&
		    (!found || pp->n_arrived <= found->n_arrived))
			found = pp;
	}
	return found ? found->ix : UINT32_MAX;
}

uint32_t picker_last_window(const struct picker *p)
{
	const struct pick_piece *pp;

	TAILQ_FOREACH_REVERSE(pp, &p->wanted, pick_list, link)
	{
		if (pp->class != WANT_WINDOW)
			break;
		if (pp->n_hot > 0)
			return pp->ix;
	}
	return UINT32_MAX;
}

/* ---- the background ---- */

int picker_start_background(struct picker *p, uint32_t n_pieces, uint64_t seed)
{
	return p->rarity ? 0 : rarity_new(n_pieces, seed, &p->rarity);
}

struct rarity *picker_rarity(const struct picker *p)
{
	return p->rarity;
}

void picker_rest(struct picker *p, bool is_resting)
{
	p->is_resting = is_resting;
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

static void note_arrival(struct pick_piece *pp, const struct pick_block *pb)
{
	struct pick_segment *seg =
		picker_segment(pp, (uint32_t)(pb - pp->blocks));

	if (pb->n_out > 0) {
		pp->n_asked--;
		seg->n_asked--;
	} else {
		seg->n_free--;
	}
	pp->n_arrived++;
	seg->n_arrived++;
	if (seg->is_open && seg->n_free + seg->n_asked == 0)
		pp->n_hot--;
}

bool picker_fill(struct picker *p, struct pick_piece *pp, uint32_t i)
{
	struct wire_block b = picker_block(pp, i);

	switch (p->cfg.fill ? p->cfg.fill(p->cfg.arg, &b) : PICKER_FILL_NOT) {
	case PICKER_FILL_NOT:
		return false;
	case PICKER_FILL_WAIT:
		break;
	case PICKER_FILL_DONE:
		note_arrival(pp, &pp->blocks[i]);
		pp->blocks[i].has_arrived = true;
		break;
	}
	return true;
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
	note_arrival(pp, pb);
	for (unsigned i = 0; i < pb->n_out; i++) {
		if (pb->peer[i] != peer_id)
			others[(*n_others)++] = pb->peer[i];
	}
	forget_requests(p, pb);
	picker_earn(p, b->len_bytes);
	pb->has_arrived = true;
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
	picker_segment(pp, i)->n_asked--;
	picker_segment(pp, i)->n_free++;
	picker_parts_on_free(pp, i);
}

void picker_take_back(struct picker *p, const struct wire_block *b)
{
	struct pick_piece *pp;
	struct pick_block *pb = find_block(p, b, &pp);
	uint32_t i = b->begin_bytes / WIRE_BLOCK_BYTES;
	struct pick_segment *seg;

	if (!pb || !pb->has_arrived)
		return;
	seg = picker_segment(pp, i);
	if (seg->is_open && !picker_segment_is_hot(seg))
		pp->n_hot++;
	pb->has_arrived = false;
	pp->n_arrived--;
	seg->n_arrived--;
	seg->n_free++;
	picker_parts_on_free(pp, i);
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
