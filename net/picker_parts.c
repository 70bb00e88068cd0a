/* picker_parts — what of a piece is wanted.
 *
 * Purpose: in most cases a piece is wanted as a whole, for nobody can say
 * whether a part of it is right. Where the leaves of its hash tree are to be
 * had (BEP 52) a reader needs only his own blocks, of a long piece a
 * thousandth. So a piece has parts, each wanted in its own way; usually one,
 * all of it.
 *
 * Parts may overlap: a block that one of them has asked for is not free for the
 * other. Each remembers from where on it has free blocks, so that a pass
 * does not look through what came long ago.
 *
 * Pure. */
#include <string.h>

#include "core/err.h"
#include "core/mem.h"
#include "net/picker_internal.h"
#include "net/rarity.h"

void picker_parts_free(struct pick_piece *pp)
{
	if (pp->parts != &pp->whole)
		mem_free(pp->parts);
	pp->parts = &pp->whole;
	pp->n_parts = 1;
}

void picker_parts_init(struct pick_piece *pp)
{
	uint32_t at = pp->parts == &pp->whole ? pp->whole.at : 0;

	picker_parts_free(pp);
	pp->whole = (struct pick_part){
		.end = pp->n_blocks, .at = at, .class = pp->class};
}

/* A part that was there before knows where its free blocks begin. */
static bool is_same(const struct pick_piece *pp,
		    const struct pick_range *ranges, unsigned n)
{
	if (n != pp->n_parts || pp->parts == &pp->whole)
		return false;
	for (unsigned k = 0; k < n; k++) {
		const struct pick_part *part = &pp->parts[k];

		if (part->first != ranges[k].first ||
		    part->end != ranges[k].end ||
		    part->class != ranges[k].class)
			return false;
	}
	return true;
}

int picker_want_only(struct picker *p, uint32_t piece_ix,
		     const struct pick_range *ranges, unsigned n)
{
	struct pick_piece *pp = picker_find(p, piece_ix);
	struct pick_part *parts;

	if (n == 0) {
		if (pp->parts != &pp->whole)
			picker_parts_init(pp);
		return 0;
	}
	if (is_same(pp, ranges, n))
		return 0;
	parts = mem_alloc(n * sizeof(*parts));
	if (!parts)
		return ENOMEM;
	for (unsigned k = 0; k < n; k++)
		parts[k] = (struct pick_part){.first = ranges[k].first,
					      .end = ranges[k].end,
					      .at = ranges[k].first,
					      .class = ranges[k].class};
	picker_parts_free(pp);
	pp->parts = parts;
	pp->n_parts = n;
	return 0;
}

void picker_parts_on_free(struct pick_piece *pp, uint32_t i)
{
	for (unsigned k = 0; k < pp->n_parts; k++) {
		struct pick_part *part = &pp->parts[k];

		if (i >= part->first && i < part->at)
			part->at = i;
	}
}

uint32_t picker_part_free(const struct pick_piece *pp, struct pick_part *part)
{
	while (pp->blocks && part->at < part->end) {
		uint32_t i = part->at;

		if (picker_segment(pp, i)->n_free == 0) {
			uint32_t end = picker_segment_end(pp, i);

			part->at = end < part->end ? end : part->end;
		} else if (pp->blocks[i].has_arrived ||
			   pp->blocks[i].n_out > 0) {
			part->at++;
		} else {
			break;
		}
	}
	return part->at;
}

uint32_t picker_free_as(const struct pick_piece *pp, enum want_class c)
{
	for (unsigned k = 0; k < pp->n_parts; k++) {
		struct pick_part *part = &pp->parts[k];
		uint32_t i;

		if (part->class != c)
			continue;
		i = picker_part_free(pp, part);
		if (i < part->end)
			return i;
	}
	return pp->n_blocks;
}

bool picker_is_promised(const struct picker *p, uint32_t piece_ix,
			uint32_t first, uint32_t end, bool only_asked)
{
	const struct pick_piece *pp = picker_find(p, piece_ix);

	if (!pp || !pp->blocks || pp->class == WANT_NONE)
		return false;
	for (uint32_t i = first; i < end && i < pp->n_blocks; i++)
		if (!pp->blocks[i].has_arrived && pp->blocks[i].n_out == 0 &&
		    (only_asked || !picker_is_as(pp, i, WANT_BACKGROUND)))
			return false;
	return true;
}

bool picker_is_asked(const struct picker *p, uint32_t piece_ix)
{
	const struct pick_piece *pp = picker_find(p, piece_ix);

	return pp && pp->n_asked > 0;
}

void picker_wanted(const struct picker *p, uint32_t piece_ix, uint32_t *first,
		   uint32_t *end)
{
	const struct pick_piece *pp = picker_find(p, piece_ix);

	*first = 0;
	*end = UINT32_MAX;
	if (!pp || pp->parts == &pp->whole)
		return;
	*first = pp->n_blocks;
	*end = 0;
	for (unsigned k = 0; k < pp->n_parts; k++) {
		if (pp->parts[k].first < *first)
			*first = pp->parts[k].first;
		if (pp->parts[k].end > *end)
			*end = pp->parts[k].end;
	}
}

bool picker_is_as(const struct pick_piece *pp, uint32_t i, enum want_class c)
{
	for (unsigned k = 0; k < pp->n_parts; k++) {
		const struct pick_part *part = &pp->parts[k];

		if (part->class >= c && i >= part->first && i < part->end)
			return true;
	}
	return false;
}

/* ---- of the piece ---- */

static bool may_ask_background(const struct picker *p)
{
	const struct pick_piece *pp;

	if (p->is_resting)
		return false;
	if (p->rarity && rarity_count(p->rarity) > 0)
		return true;
	TAILQ_FOREACH (pp, &p->background, link)
		if (picker_free_blocks(pp) > 0 || pp->n_asked > 0)
			return true;
	return false;
}

enum want_class picker_next_class(const struct picker *p)
{
	const struct pick_piece *pp;
	bool has_window = false;

	TAILQ_FOREACH (pp, &p->wanted, link) {
		if (pp->class == WANT_WINDOW && has_window)
			break;
		if (pp->class == WANT_URGENT &&
		    (pp->n_asked > 0 ||
		     picker_free_as(pp, WANT_URGENT) < pp->n_blocks))
			return WANT_URGENT;
		has_window = has_window ||
			     picker_free_as(pp, WANT_WINDOW) < pp->n_blocks;
		if (pp->class == WANT_WINDOW && has_window)
			break;
	}
	if (has_window)
		return WANT_WINDOW;
	return may_ask_background(p) ? WANT_BACKGROUND : WANT_NONE;
}

bool picker_has_urgent(const struct picker *p)
{
	const struct pick_piece *pp;

	TAILQ_FOREACH (pp, &p->wanted, link) {
		if (pp->class != WANT_URGENT)
			break;
		if (picker_free_as(pp, WANT_URGENT) < pp->n_blocks)
			return true;
	}
	return false;
}

static bool part_lacks(const struct pick_piece *pp, struct pick_part *part)
{
	uint32_t i = picker_part_free(pp, part);

	if (i < part->end)
		return true;
	for (i = part->first; i < part->end && pp->n_asked > 0; i++)
		if (pp->blocks[i].n_out > 0)
			return true;
	return false;
}

bool picker_lacks(const struct picker *p)
{
	const struct pick_piece *pp;

	TAILQ_FOREACH (pp, &p->wanted, link) {
		if (pp->parts == &pp->whole)
			return true; /* not right, if it is there */
		for (unsigned k = 0; k < pp->n_parts; k++)
			if (part_lacks(pp, &pp->parts[k]))
				return true;
	}
	return false;
}

bool picker_is_busy(const struct picker *p, uint32_t piece_ix,
		    uint32_t at_bytes)
{
	const struct pick_piece *pp = picker_find(p, piece_ix);
	uint32_t i = at_bytes / WIRE_BLOCK_BYTES;
	uint32_t end;

	if (!pp || !pp->blocks)
		return false;
	if (picker_segment(pp, i)->n_asked > 0)
		return true;
	end = picker_segment_end(pp, i);
	for (i -= i % pp->segment_blocks; i < end; i++)
		if (!pp->blocks[i].has_arrived &&
		    picker_is_as(pp, i, WANT_BACKGROUND))
			return true;
	return false;
}
