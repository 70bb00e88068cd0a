/* rarity — an order of up to millions of pieces that each HAVE may change.
 *
 * Words. Level: an availability; all from LEVELS - 1 on are one.
 *
 * `order` holds the wanted pieces level by level; `end[a]` is where level a
 * ends, so level a is order[end[a - 1]] … order[end[a] - 1]. A piece whose
 * count goes up by one changes places with the last of its level, and the end
 * of the level moves before it: it is the first of the next one then. Going
 * down is the mirror of it. A piece that becomes wanted enters behind all and
 * sinks: each level above its own gives up its first place and gets a last
 * one. So a HAVE costs a constant, and a wish as many steps as there are
 * levels above it that anybody is in.
 *
 * Ties: whoever enters a level changes places with a random one of it. So
 * peers that follow the same rule fetch different pieces, and have something
 * for each other.
 *
 * Invariants (rarity_check)
 *   1. end[] never falls; the last is n_wanted
 *   2. order[i] is in the level of its count; pos[order[i]] == i
 *   3. `wanted` has exactly what is in order; pos of others is NOWHERE
 *   4. no level above `top` has a piece */
#include "net/rarity.h"

#include <assert.h>
#include <string.h>

#include "core/bits.h"
#include "core/err.h"
#include "core/mem.h"
#include "core/rng.h"

enum { LEVELS = 128 };
#define NOWHERE UINT32_MAX

struct rarity {
	uint32_t n;
	uint16_t *count; /* peers that have the piece */
	uint32_t *order;
	uint32_t *pos; /* in order */
	uint32_t end[LEVELS];
	unsigned top;
	struct bits wanted;
	struct rng rng;
};

int rarity_new(uint32_t n, uint64_t seed, struct rarity **out)
{
	struct rarity *r = mem_new(struct rarity);

	if (r == NULL)
		return ENOMEM;
	r->n = n;
	rng_seed(&r->rng, seed);
	r->count = mem_zalloc(n, sizeof(*r->count));
	r->order = mem_zalloc(n, sizeof(*r->order));
	r->pos = mem_zalloc(n, sizeof(*r->pos));
	if (r->count == NULL || r->order == NULL || r->pos == NULL ||
	    bits_init(&r->wanted, n) != 0) {
		rarity_free(r);
		return ENOMEM;
	}
	memset(r->pos, 0xff, n * sizeof(*r->pos));
	*out = r;
	return 0;
}

void rarity_free(struct rarity *r)
{
	if (r == NULL)
		return;
	mem_free(r->count);
	mem_free(r->order);
	mem_free(r->pos);
	bits_fini(&r->wanted);
	mem_free(r);
}

static unsigned level_of(const struct rarity *r, uint32_t ix)
{
	return r->count[ix] < LEVELS ? r->count[ix] : LEVELS - 1;
}

static uint32_t begin_of(const struct rarity *r, unsigned level)
{
	return level == 0 ? 0 : r->end[level - 1];
}

static void place(struct rarity *r, uint32_t ix, uint32_t at)
{
	r->order[at] = ix;
	r->pos[ix] = at;
}

static void swap(struct rarity *r, uint32_t a, uint32_t b)
{
	uint32_t ix = r->order[a];

	place(r, r->order[b], a);
	place(r, ix, b);
}

static void shuffle_in(struct rarity *r, uint32_t ix, unsigned level)
{
	uint32_t begin = begin_of(r, level);
	uint64_t n = r->end[level] - begin;

	swap(r, r->pos[ix], begin + (uint32_t)rng_below(&r->rng, n));
}

/* ---- what peers have ---- */

void rarity_on_have(struct rarity *r, uint32_t ix)
{
	unsigned from = level_of(r, ix), to;

	if (r->count[ix] == UINT16_MAX)
		return;
	r->count[ix]++;
	to = level_of(r, ix);
	if (r->pos[ix] == NOWHERE || to == from)
		return;
	if (to > r->top) {
		r->top = to;
		r->end[to] = r->end[from];
	}
	swap(r, r->pos[ix], r->end[from] - 1);
	r->end[from]--;
	shuffle_in(r, ix, to);
}

void rarity_on_lost(struct rarity *r, uint32_t ix)
{
	unsigned from = level_of(r, ix), to;

	if (r->count[ix] == 0)
		return;
	r->count[ix]--;
	to = level_of(r, ix);
	if (r->pos[ix] == NOWHERE || to == from)
		return;
	swap(r, r->pos[ix], begin_of(r, from));
	r->end[to]++;
	shuffle_in(r, ix, to);
}

void rarity_add_set(struct rarity *r, const struct bits *have)
{
	uint32_t ix = bits_next(have, 0);

	for (; ix < r->n; ix = bits_next(have, ix + 1))
		rarity_on_have(r, ix);
}

void rarity_del_set(struct rarity *r, const struct bits *have)
{
	uint32_t ix = bits_next(have, 0);

	for (; ix < r->n; ix = bits_next(have, ix + 1))
		rarity_on_lost(r, ix);
}

/* ---- what is wanted ---- */

void rarity_want(struct rarity *r, uint32_t ix)
{
	unsigned level = level_of(r, ix), a;
	uint32_t hole = r->wanted.n_set;

	if (r->pos[ix] != NOWHERE)
		return;
	for (; r->top < level; r->top++)
		r->end[r->top + 1] = hole;
	for (a = r->top; a > level; a--) {
		uint32_t first = r->end[a - 1];

		if (first < hole)
			place(r, r->order[first], hole);
		r->end[a]++;
		hole = first;
	}
	r->end[level]++;
	place(r, ix, hole);
	bits_set(&r->wanted, ix);
	shuffle_in(r, ix, level);
}

void rarity_unwant(struct rarity *r, uint32_t ix)
{
	uint32_t hole = r->pos[ix];
	unsigned a;

	if (hole == NOWHERE)
		return;
	for (a = level_of(r, ix); a <= r->top; a++) {
		uint32_t last = --r->end[a];

		if (last != hole)
			place(r, r->order[last], hole);
		hole = last;
	}
	r->pos[ix] = NOWHERE;
	bits_clear(&r->wanted, ix);
	while (r->top > 0 && r->end[r->top] == r->end[r->top - 1])
		r->top--;
}

bool rarity_wants(const struct rarity *r, uint32_t ix)
{
	return r->pos[ix] != NOWHERE;
}

uint32_t rarity_count(const struct rarity *r)
{
	return r->wanted.n_set;
}

uint32_t rarity_at(const struct rarity *r, uint32_t at)
{
	assert(at < r->wanted.n_set);
	return r->order[at];
}

uint32_t rarity_level(const struct rarity *r, uint32_t ix)
{
	return level_of(r, ix);
}

/* The first of [from, end) that is in all three sets, a byte at a time where
 * there is none. */
static uint32_t first_common(const struct rarity *r, const struct bits *have,
			     const struct bits *only, uint32_t from,
			     uint32_t end)
{
	uint32_t ix = from;

	while (ix < end) {
		uint8_t byte = r->wanted.data[ix >> 3] & have->data[ix >> 3];

		if (only != NULL)
			byte &= only->data[ix >> 3];
		byte &= (uint8_t)(0xffu >> (ix & 7));
		if (byte != 0) {
			ix = (ix & ~7u) +
			     (uint32_t)__builtin_clz((unsigned)byte << 24);
			return ix < end ? ix : NOWHERE;
		}
		ix = (ix | 7u) + 1;
	}
	return NOWHERE;
}

uint32_t rarity_any(struct rarity *r, const struct bits *have,
		    const struct bits *only)
{
	uint32_t from, ix;

	if (r->wanted.n_set == 0)
		return NOWHERE;
	from = (uint32_t)rng_below(&r->rng, r->n);
	ix = first_common(r, have, only, from, r->n);
	return ix != NOWHERE ? ix : first_common(r, have, only, 0, from);
}

void rarity_check(const struct rarity *r)
{
	uint32_t i = 0, ix;
	unsigned a;

	for (a = 0; a <= r->top; a++) {
		assert(r->end[a] >= i);
		for (; i < r->end[a]; i++) {
			assert(level_of(r, r->order[i]) == a);
			assert(r->pos[r->order[i]] == i);
			assert(bits_has(&r->wanted, r->order[i]));
		}
	}
	assert(i == r->wanted.n_set);
	for (ix = 0; ix < r->n; ix++)
		assert((r->pos[ix] == NOWHERE) == !bits_has(&r->wanted, ix));
}
