/* shares — start-time fair queueing on a tree.
 *
 * Words. Clock: what a share took, over its weight. Now, of a node: where the
 * clocks of those below it stand: that of the last one served, as it was when
 * he was, or less if one who waits is further behind. Who comes is set to it,
 * unless he is further than that; so whoever leaves for the time of his turn
 * alone, and comes back, has lost nothing.
 *
 * Those that wait below a node are looked through one by one: they are as many
 * as a torrent has peers or the engine torrents that move, and it happens once
 * a turn, of 16 KiB and more, and only while a limit binds.
 *
 * Invariants (shares_check): a node that is no root is on the list of the one
 * above it iff is_waiting; whoever is above one that waits, waits. */
#include "net/shares.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

/* Units of a clock for a byte at weight 1. With the greatest weight, a block
 * is still 2^10 of them; 2^52 bytes at weight 1 are all that 64 bits hold. */
enum { CLOCK_UNITS = 1 << 12 };

void shares_init(struct share *s, struct share *above)
{
	memset(s, 0, sizeof(*s));
	TAILQ_INIT(&s->below);
	s->above = above;
	s->weight = 1;
}

static uint64_t now_of(const struct share *node, enum shares_rank rank)
{
	uint64_t least = node->now[rank];
	const struct share *s;

	TAILQ_FOREACH (s, &node->below, link)
		if (s->rank == rank && s->clock[rank] < least)
			least = s->clock[rank];
	return least;
}

static void enter(struct share *s, enum shares_rank rank)
{
	uint64_t now = now_of(s->above, rank);

	if (s->clock[rank] < now)
		s->clock[rank] = now;
	s->rank = rank;
	if (!s->is_waiting)
		TAILQ_INSERT_TAIL(&s->above->below, s, link);
	s->is_waiting = true;
}

void shares_wait(struct share *s, enum shares_rank rank, uint64_t lead_bytes)
{
	s->lead = lead_bytes * CLOCK_UNITS;
	if (!s->is_waiting || s->rank != rank)
		enter(s, rank);
	while ((s = s->above)->above != NULL && !s->is_waiting)
		enter(s, SHARES_FIRST);
}

void shares_leave(struct share *s)
{
	while (s->is_waiting && TAILQ_EMPTY(&s->below)) {
		TAILQ_REMOVE(&s->above->below, s, link);
		s->is_waiting = false;
		s = s->above;
	}
}

/* Is `a` further behind? Clocks only differ by so much. */
static bool is_before(const struct share *a, const struct share *b)
{
	if (a->rank != b->rank)
		return a->rank < b->rank;
	return (int64_t)(a->clock[a->rank] - a->lead -
			 (b->clock[b->rank] - b->lead)) < 0;
}

static struct share *first_below(const struct share *node)
{
	struct share *first = TAILQ_FIRST(&node->below), *s;

	TAILQ_FOREACH (s, &node->below, link)
		if (is_before(s, first))
			first = s;
	return first;
}

struct share *shares_next(const struct share *root)
{
	struct share *s = first_below(root);

	while (s != NULL && !TAILQ_EMPTY(&s->below))
		s = first_below(s);
	return s;
}

static uint32_t weight_of(const struct share *s)
{
	if (s->weight == 0)
		return 1;
	return s->weight < SHARES_WEIGHT_MAX ? s->weight : SHARES_WEIGHT_MAX;
}

void shares_charge(struct share *s, int64_t bytes)
{
	for (; s->above != NULL; s = s->above) {
		int64_t units = bytes * CLOCK_UNITS / weight_of(s);

		if (units > 0)
			s->above->now[s->rank] = s->clock[s->rank];
		s->clock[s->rank] += (uint64_t)units;
	}
}

void shares_check(const struct share *root)
{
#ifdef SHOAL_CHECKS
	const struct share *s;

	TAILQ_FOREACH (s, &root->below, link) {
		assert(s->is_waiting && s->above == root);
		shares_check(s);
	}
#else
	(void)root;
#endif
}
