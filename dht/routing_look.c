/* routing_look — the table looked at: who is told to others, with whom a search
 * begins, who is to be asked whether he lives. Nothing changes here but marks
 * of who was asked.
 *
 * Upkeep looks after each answer, so a look at a whole table is a plain walk of
 * one array: what is near is a range of it, and no distance is computed. */
#include <assert.h>
#include <string.h>

#include "dht/dht_limits.h"
#include "dht/routing_internal.h"

enum {
	/* A contact that comes is asked no sooner. */
	QUIET_MAX_S = DHT_REFRESH_NEAR_S,
	QUIET_TICKS = QUIET_MAX_S / CONTACT_TICK_S,
};

/* ---- one contact ---- */

uint32_t contact_age_s(const struct contact *c, uint16_t tick)
{
	return (uint32_t)(uint16_t)(tick - c->seen) * CONTACT_TICK_S;
}

bool contact_is_good(const struct contact *c, uint16_t tick)
{
	return c->fails == 0 && (c->flags & CONTACT_VERIFIED) &&
	       contact_age_s(c, tick) <= DHT_GOOD_S;
}

static bool may_begin(const struct contact *c, uint16_t tick)
{
	return c->fails == 0;
}

/* ---- the closest ---- */

uint32_t routing_good(const struct routing *r, const struct dht_id *target,
		      uint16_t tick, struct contact **out, uint32_t most)
{
	return shelf_closest(&r->table, target, contact_is_good, tick, out,
			     most);
}

uint32_t routing_any(const struct routing *r, const struct dht_id *target,
		     uint16_t tick, struct contact **out, uint32_t most)
{
	uint32_t n =
		shelf_closest(&r->table, target, may_begin, tick, out, most);

	/* Behind the verified: whoever needs them in order sorts them. */
	return n + shelf_closest(&r->spare, target, may_begin, tick, out + n,
				 most - n);
}

int routing_near(const struct routing *r)
{
	struct shelf_range deep =
		shelf_range(&r->table, &r->self, ROUTING_COUNTED);
	uint32_t n = (uint32_t)(deep.to - deep.from);
	int near = n > 0 ? ROUTING_COUNTED : 0;

	/* Deeper ones are crowded only where somebody made ids for it: they
	 * are all near then. */
	for (int b = ROUTING_COUNTED - 1; b >= 0 && n < DHT_NODES_TOLD; b--) {
		n += r->n_in[b];
		near = r->n_in[b] > 0 ? b : near;
	}
	return near;
}

/* ---- who is to be asked ---- */

/* Seconds until `c` is to be asked; 0: now. */
static uint32_t ask_in_s(const struct contact *c, uint16_t tick, uint32_t least)
{
	uint32_t age = contact_age_s(c, tick);

	if (c->fails > 0 || !(c->flags & CONTACT_VERIFIED) || age >= least)
		return 0;
	return least - age;
}

/* Is `c` to be asked before `best`? */
static bool is_staler(const struct contact *c, const struct contact *best,
		      uint16_t tick)
{
	if (!best || ((c->flags ^ best->flags) & CONTACT_TRIED))
		return !best || !(c->flags & CONTACT_TRIED);
	return contact_age_s(c, tick) > contact_age_s(best, tick);
}

/* All that could be asked were, in vain: from the beginning. */
static void forget_tries(struct shelf *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		shelf_at(s, i)->flags &= (uint8_t)~CONTACT_TRIED;
}

static struct contact *stalest_spare(const struct routing *r)
{
	struct contact *best = NULL;

	for (uint32_t i = 0; i < r->spare.n; i++) {
		struct contact *c = shelf_at(&r->spare, i);

		if ((c->flags & CONTACT_WAITING) ||
		    !routing_has_room(r, &c->id))
			continue;
		if (!(c->flags & CONTACT_TRIED))
			return c;
		best = best ? best : c;
	}
	return best;
}

static struct contact *stalest_contact(const struct routing *r, uint16_t tick,
				       uint32_t *wait_s)
{
	struct shelf_range near =
		shelf_range(&r->table, &r->self, routing_near(r));
	struct contact *best = NULL;

	for (uint32_t i = 0; i < r->table.n; i++) {
		struct contact *c = shelf_at(&r->table, i);
		bool is_near = i >= near.from && i < near.to;
		uint32_t in_s = ask_in_s(
			c, tick, is_near ? DHT_REFRESH_NEAR_S : DHT_GOOD_S);

		if (c->flags & CONTACT_WAITING)
			continue;
		if (in_s > 0)
			*wait_s = in_s < *wait_s ? in_s : *wait_s;
		else if (is_staler(c, best, tick))
			best = c;
	}
	return best;
}

struct contact *routing_stalest(struct routing *r, uint16_t tick,
				uint32_t *wait_s)
{
	uint32_t quiet_s = QUIET_MAX_S;
	struct contact *best, *spare;

	if (r->is_quiet && (uint16_t)(r->quiet_tick - tick - 1) < QUIET_TICKS) {
		uint32_t left_s = (uint32_t)(uint16_t)(r->quiet_tick - tick) *
				  CONTACT_TICK_S;

		*wait_s = left_s < *wait_s ? left_s : *wait_s;
		return NULL;
	}
	best = stalest_contact(r, tick, &quiet_s);
	*wait_s = quiet_s < *wait_s ? quiet_s : *wait_s;
	if (!best || (best->flags & CONTACT_TRIED)) {
		spare = stalest_spare(r);
		if (!best || (spare && !(spare->flags & CONTACT_TRIED)))
			best = spare;
	}
	if (best && (best->flags & CONTACT_TRIED)) {
		forget_tries(&r->table);
		forget_tries(&r->spare);
	}
	r->is_quiet = !best;
	r->quiet_tick = (uint16_t)(tick + quiet_s / CONTACT_TICK_S);
	if (best)
		best->flags |= CONTACT_WAITING;
	return best;
}

/* ---- counts ---- */

uint32_t routing_count_good(const struct routing *r, uint16_t tick)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < r->table.n; i++)
		n += contact_is_good(shelf_at(&r->table, i), tick);
	return n;
}

bool routing_has_good(const struct routing *r, uint16_t tick, uint32_t least)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < r->table.n && n < least; i++)
		n += contact_is_good(shelf_at(&r->table, i), tick);
	return n >= least;
}

int routing_deepest(const struct routing *r)
{
	int deepest = -1;

	for (uint32_t i = 0; i < r->table.n; i++) {
		int b = nodeid_common(&r->self, &shelf_at(&r->table, i)->id);

		deepest = b > deepest ? b : deepest;
	}
	return deepest;
}

/* ---- invariants ---- */

/* Contacts of `s` in the bucket of `c`. */
static uint32_t beside(const struct routing *r, const struct shelf *s,
		       const struct contact *c)
{
	int bucket = nodeid_common(&r->self, &c->id);
	struct shelf_range range = shelf_range(s, &c->id, bucket + 1);

	return (uint32_t)(range.to - range.from);
}

static void check_contact(const struct routing *r, uint32_t i)
{
	const struct contact *c = shelf_at(&r->table, i);
	int bucket = nodeid_common(&r->self, &c->id);
	struct addr a = contact_addr(&r->table, c);

	assert(bucket < DHT_ID_BITS);
	assert((c->flags & CONTACT_VERIFIED) || c->fails == 0);
	assert(beside(r, &r->table, c) <= routing_room(r, bucket));
	assert(bucket >= ROUTING_COUNTED ||
	       beside(r, &r->table, c) == r->n_in[bucket]);
	assert(!shelf_find(&r->spare, &c->id));
	for (uint32_t j = 0; j < i; j++)
		assert((c->flags & CONTACT_LOCAL) ||
		       !contact_same_host(&r->table, shelf_at(&r->table, j),
					  &a));
	assert(i == 0 || nodeid_below(&shelf_at(&r->table, i - 1)->id, &c->id));
}

void routing_check(const struct routing *r)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < r->table.n; i++)
		check_contact(r, i);
	for (int b = 0; b < ROUTING_COUNTED; b++)
		n += r->n_in[b];
	assert(n <= r->table.n);
	for (uint32_t i = 0; i < r->spare.n; i++) {
		const struct contact *c = shelf_at(&r->spare, i);

		assert(nodeid_common(&r->self, &c->id) < DHT_ID_BITS);
		assert(beside(r, &r->spare, c) <= routing_spare_room(r));
	}
}
