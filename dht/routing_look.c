/* routing_look — the table looked at: who is told to others, with whom a search
 * begins, who is to be asked whether he lives. Nothing changes here but marks
 * of who was asked.
 *
 * Upkeep looks after each answer, so a look at a whole table is a plain walk of
 * one array: what is near is a range of it, and no distance is computed. */
#include <assert.h>
#include <string.h>

#include "core/be.h"
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

/* *n: how many could be asked. */
static struct contact *stalest_contact(const struct routing *r, uint16_t tick,
				       uint32_t *wait_s, uint32_t *n)
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
		if (in_s > 0) {
			*wait_s = in_s < *wait_s ? in_s : *wait_s;
			continue;
		}
		++*n;
		if (is_staler(c, best, tick))
			best = c;
	}
	return best;
}

struct contact *routing_stalest(struct routing *r, uint16_t tick,
				uint32_t *wait_s)
{
	uint32_t quiet_s = QUIET_MAX_S, n = 0;
	struct contact *best, *spare;

	if (r->is_quiet && (uint16_t)(r->quiet_tick - tick - 1) < QUIET_TICKS) {
		uint32_t left_s = (uint32_t)(uint16_t)(r->quiet_tick - tick) *
				  CONTACT_TICK_S;

		*wait_s = left_s < *wait_s ? left_s : *wait_s;
		return NULL;
	}
	best = stalest_contact(r, tick, &quiet_s, &n);
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
	/* Nor is anybody behind the only one: no second walk for that. */
	r->is_quiet = !best || (n == 1 && !(best->flags & CONTACT_TRIED) &&
				!stalest_spare(r));
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

/* ---- invariants: a pass each, so that a simulator can ask at every event ----
 */

/* Those of one bucket stand side by side. */
static void check_bucket(const struct routing *r, const struct shelf *s,
			 int bucket, uint32_t n)
{
	if (n == 0)
		return;
	assert(bucket < DHT_ID_BITS);
	assert(n <= (s == &r->table ? routing_room(r, bucket)
				    : routing_spare_room(r)));
	assert(s != &r->table || bucket >= ROUTING_COUNTED ||
	       n == r->n_in[bucket]);
}

static void check_order(const struct routing *r, const struct shelf *s)
{
	int bucket = 0;
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n; i++) {
		const struct contact *c = shelf_at(s, i);
		int b = nodeid_common(&r->self, &c->id);

		assert(i == 0 || nodeid_below(&shelf_at(s, i - 1)->id, &c->id));
		if (b != bucket) {
			check_bucket(r, s, bucket, n);
			n = 0;
		}
		bucket = b;
		n++;
	}
	check_bucket(r, s, bucket, n);
}

/* The two have no id in common. */
static void check_apart(const struct routing *r)
{
	uint32_t i = 0, j = 0;

	while (i < r->table.n && j < r->spare.n) {
		const struct dht_id *x = &shelf_at(&r->table, i)->id;
		const struct dht_id *y = &shelf_at(&r->spare, j)->id;

		assert(!nodeid_eq(x, y));
		if (nodeid_below(x, y))
			i++;
		else
			j++;
	}
}

/* Contacts by their network: 1 + place, by open addressing. */
struct nets {
	uint16_t at[8192];
};

static void check_host(const struct routing *r, struct nets *seen, uint32_t i)
{
	const struct contact *c = shelf_at(&r->table, i), *other;
	struct addr a = contact_addr(&r->table, c);
	uint64_t net = a.sa.sa_family == AF_INET6 ? be64_get(c->ip)
						  : be32_get(c->ip) >> 8;
	uint32_t at = (uint32_t)(net * UINT64_C(0x9e3779b97f4a7c15) >> 51);

	for (; seen->at[at] != 0; at = (at + 1) % 8192) {
		other = shelf_at(&r->table, seen->at[at] - 1u);
		assert(!contact_same_host(&r->table, other, &a));
		assert(!contact_same_net(&r->table, other, &a) ||
		       nodeid_common(&r->self, &other->id) !=
			       nodeid_common(&r->self, &c->id));
	}
	seen->at[at] = (uint16_t)(i + 1);
}

void routing_check(const struct routing *r)
{
	struct nets seen = {{0}};
	uint32_t n = 0;

	_Static_assert(DHT_NET_CONTACTS == 1, "check_host has it so");
	for (uint32_t i = 0; i < r->table.n; i++) {
		const struct contact *c = shelf_at(&r->table, i);

		assert((c->flags & CONTACT_VERIFIED) || c->fails == 0);
		if (!(c->flags & CONTACT_LOCAL) && i < sizeof(seen.at) / 4)
			check_host(r, &seen, i);
	}
	for (int b = 0; b < ROUTING_COUNTED; b++)
		n += r->n_in[b];
	assert(n <= r->table.n);
	check_order(r, &r->table);
	check_order(r, &r->spare);
	check_apart(r);
}
