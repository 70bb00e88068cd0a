/* picker_check — the invariants of the picker, asserted.
 *
 * Purpose: documentation that fails when it is false. Each count is counted
 * again, each list looked through; the swarm does so before and after a pass
 * in checks builds, and tests after each step. Pure. */
#include <assert.h>

#include "core/hmap.h"
#include "net/picker_internal.h"
#include "net/rarity.h"

static void check_block(const struct pick_piece *pp, uint32_t i)
{
	const struct pick_block *b = &pp->blocks[i];

	assert(!b->has_arrived || b->n_out == 0);
	assert(b->n_out <= PICKER_COPIES_MAX);
}

/* One segment from block `i` on. */
static void check_segment(const struct pick_piece *pp, uint32_t i,
			  uint32_t *n_out, uint32_t *n_copies)
{
	const struct pick_segment *seg = picker_segment(pp, i);
	uint32_t n_arrived = 0, n_asked = 0, n = picker_segment_end(pp, i) - i;

	for (uint32_t end = i + n; i < end; i++) {
		const struct pick_block *b = &pp->blocks[i];

		check_block(pp, i);
		n_arrived += b->has_arrived;
		n_asked += b->n_out > 0;
		*n_out += b->n_out;
		*n_copies += b->n_out > 1 ? b->n_out - 1u : 0u;
	}
	assert(n_arrived == seg->n_arrived && n_asked == seg->n_asked);
	assert(n - n_arrived - n_asked == seg->n_free);
	assert(seg->is_open || seg->n_asked == 0);
}

static void check_parts(const struct pick_piece *pp)
{
	assert(pp->n_parts > 0);
	assert(pp->parts == &pp->whole || pp->class > WANT_BACKGROUND);
	for (unsigned k = 0; k < pp->n_parts; k++) {
		const struct pick_part *part = &pp->parts[k];

		assert(part->first <= part->at && part->at <= part->end);
		assert(part->end <= pp->n_blocks && part->class <= pp->class);
		for (uint32_t i = part->first; i < part->at; i++)
			assert(pp->blocks && (pp->blocks[i].has_arrived ||
					      pp->blocks[i].n_out > 0));
	}
}

static void check_piece(const struct pick_piece *pp, uint32_t *n_out,
			uint32_t *n_copies)
{
	uint32_t n_arrived = 0, n_asked = 0, n_hot = 0, i = 0;

	while (pp->blocks && i < pp->n_blocks) {
		const struct pick_segment *seg = picker_segment(pp, i);

		check_segment(pp, i, n_out, n_copies);
		n_arrived += seg->n_arrived;
		n_asked += seg->n_asked;
		n_hot += picker_segment_is_hot(seg);
		i = picker_segment_end(pp, i);
	}
	assert(n_arrived == pp->n_arrived && n_asked == pp->n_asked);
	assert(n_hot == pp->n_hot);
	check_parts(pp);
}

void picker_check(const struct picker *p)
{
	const struct pick_piece *pp, *last = NULL;
	uint32_t n_out = 0, n_copies = 0;
	size_t n = 0;

	TAILQ_FOREACH (pp, &p->wanted, link) {
		assert(pp->class > WANT_BACKGROUND);
		assert(!last || picker_comes_before(last, pp));
		(void)last;
		check_piece(pp, &n_out, &n_copies);
		last = pp;
		n++;
	}
	TAILQ_FOREACH (pp, &p->background, link) {
		assert(pp->class == WANT_BACKGROUND && pp->blocks);
		check_piece(pp, &n_out, &n_copies);
		n++;
	}
	TAILQ_FOREACH (pp, &p->idle, link) {
		assert(pp->class == WANT_NONE && pp->blocks);
		check_piece(pp, &n_out, &n_copies);
		n++;
	}
	if (p->rarity)
		rarity_check(p->rarity);
	assert(n == hmap_count(p->by_ix));
	assert(n_out == p->n_out && n_copies == p->n_copies);
}
