/* routing — Kademlia's table with wide buckets, after BEP 5 and BEP 42.
 *
 * Who stays: contacts that answer. One is replaced only when it is dead, when
 * its address answers with another id, or by one whose id BEP 42 allows when
 * its own is not; so whoever floods us with nodes displaces nobody.
 *
 * Failures count while anybody at all answers; the caller sees to that.
 *
 * Age wraps: a contact that was not heard of for three days would look young.
 * None gets so old: who is silent for DHT_GOOD_S is asked, and leaves after
 * DHT_FAILS_MAX failures. */
#include "dht/routing.h"

#include <assert.h>
#include <string.h>

#include "dht/dht_limits.h"

void routing_init(struct routing *r, bool is_6, const struct dht_id *self,
		  uint16_t widest)
{
	*r = (struct routing){.self = *self, .widest = widest};
	shelf_init(&r->table, is_6);
	shelf_init(&r->spare, is_6);
}

void routing_fini(struct routing *r)
{
	shelf_fini(&r->table);
	shelf_fini(&r->spare);
}

/* ---- contacts ---- */

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

static void see(struct contact *c, uint16_t tick)
{
	c->seen = tick;
	if ((uint32_t)(uint16_t)(tick - c->born) * CONTACT_TICK_S >
	    DHT_SETTLED_S)
		c->flags |= CONTACT_SETTLED;
}

/* RFC 6298's smoothing, in units of 128 µs; never 0. */
static void take_rtt(struct contact *c, uint64_t rtt_us)
{
	uint64_t units = rtt_us / CONTACT_RTT_UNIT_US + 1;
	uint32_t rtt = units < UINT16_MAX ? (uint32_t)units : UINT16_MAX;
	uint32_t off = c->srtt > rtt ? c->srtt - rtt : rtt - c->srtt;

	if (c->srtt == 0) {
		c->srtt = (uint16_t)rtt;
		c->rttvar = (uint16_t)(rtt / 2);
		return;
	}
	c->rttvar = (uint16_t)((c->rttvar * 3u + off) / 4);
	c->srtt = (uint16_t)((c->srtt * 7u + rtt) / 8);
	if (c->srtt == 0)
		c->srtt = 1;
}

/* ---- buckets ---- */

static uint32_t bucket_room(const struct routing *r, int bucket)
{
	uint32_t room = bucket < 16 ? (uint32_t)r->widest >> bucket : 0;

	return room > DHT_BUCKET_MIN ? room : DHT_BUCKET_MIN;
}

/* A small table is a small node's: few spares too. */
static uint32_t spare_room(const struct routing *r)
{
	return r->widest >= 64 ? DHT_SPARE_BUCKET : 2;
}

/* Those of `s` in the bucket of `id`, which is not ours. */
static struct shelf_range bucket_of(const struct shelf *s,
				    const struct dht_id *id, int bucket)
{
	return shelf_range(s, id, bucket + 1);
}

static uint32_t length(struct shelf_range range)
{
	return (uint32_t)(range.to - range.from);
}

bool routing_has_room(const struct routing *r, const struct dht_id *id)
{
	int bucket = nodeid_common(&r->self, id);

	return bucket < DHT_ID_BITS &&
	       length(bucket_of(&r->table, id, bucket)) <
		       bucket_room(r, bucket);
}

/* May `a` enter the bucket, beside those of its host and network? Local
 * addresses are many nodes of one machine or house. */
static bool may_enter(const struct routing *r, struct shelf_range bucket,
		      const struct addr *a, const struct contact *but)
{
	uint32_t n_net = 0;

	if (addr_is_local(a))
		return true;
	for (uint32_t i = 0; i < r->table.n; i++) {
		const struct contact *c = shelf_at(&r->table, i);

		if (c == but || !contact_same_net(&r->table, c, a))
			continue;
		if (contact_same_host(&r->table, c, a))
			return false;
		if (i >= bucket.from && i < bucket.to)
			n_net++;
	}
	return n_net < DHT_NET_CONTACTS;
}

/* Whose place a verified newcomer may take. */
static struct contact *weakest(const struct routing *r,
			       struct shelf_range bucket, bool newcomer_fits)
{
	struct contact *worst = NULL;

	for (uint32_t i = bucket.from; i < bucket.to; i++) {
		struct contact *c = shelf_at(&r->table, i);

		if (c->fails > 0 || !(c->flags & CONTACT_VERIFIED))
			return c;
		if (newcomer_fits && !(c->flags & CONTACT_FITS))
			worst = c;
	}
	return worst;
}

/* ---- spares ---- */

/* The least useful spare of a bucket: only heard of, failed, or the oldest. */
static struct contact *worst_spare(const struct routing *r,
				   struct shelf_range range, uint16_t tick)
{
	struct contact *worst = NULL;
	uint64_t most = 0;

	for (uint32_t i = range.from; i < range.to; i++) {
		struct contact *c = shelf_at(&r->spare, i);
		uint64_t badness =
			((uint64_t)c->fails << 40) + contact_age_s(c, tick) + 1;

		if (!(c->flags & CONTACT_VERIFIED))
			badness += UINT64_C(1) << 32;
		if (!(c->flags & CONTACT_FITS))
			badness += UINT64_C(1) << 31;
		if (badness > most) {
			most = badness;
			worst = c;
		}
	}
	return worst;
}

/* Keep as a spare. An unverified one does not displace a verified one. */
static struct contact *add_spare(struct routing *r, const struct dht_id *id,
				 const struct addr *a, bool is_verified,
				 uint16_t tick)
{
	int bucket = nodeid_common(&r->self, id);
	struct shelf_range range = bucket_of(&r->spare, id, bucket);
	struct contact *c;

	if (length(range) >= spare_room(r)) {
		c = worst_spare(r, range, tick);
		if (!is_verified && c->fails == 0)
			return NULL;
		shelf_del(&r->spare, c);
	}
	c = shelf_add(&r->spare, id, a);
	if (!c)
		return NULL;
	c->seen = c->born = tick;
	if (is_verified)
		c->flags |= CONTACT_VERIFIED;
	return c;
}

/* The best verified spare of a bucket that lost a contact takes its place. */
static void promote(struct routing *r, const struct dht_id *id, uint16_t tick)
{
	int bucket = nodeid_common(&r->self, id);
	struct shelf_range range = bucket_of(&r->spare, id, bucket);
	struct contact *best = NULL;
	struct contact *c;
	struct addr a;

	for (uint32_t i = range.from; i < range.to; i++) {
		c = shelf_at(&r->spare, i);
		a = contact_addr(&r->spare, c);
		if (contact_is_good(c, tick) &&
		    (!best || (uint16_t)(tick - c->seen) <
				      (uint16_t)(tick - best->seen)) &&
		    may_enter(r, bucket_of(&r->table, id, bucket), &a, NULL))
			best = c;
	}
	if (!best)
		return;
	a = contact_addr(&r->spare, best);
	c = shelf_add(&r->table, &best->id, &a);
	if (!c)
		return;
	memcpy(c, best, r->table.stride);
	shelf_del(&r->spare, best);
}

/* ---- what happens ---- */

/* A verified one into the table, if anybody can be found to make room. */
static struct contact *add_contact(struct routing *r, const struct dht_id *id,
				   const struct addr *a)
{
	int bucket = nodeid_common(&r->self, id);
	struct shelf_range range = bucket_of(&r->table, id, bucket);
	struct contact *gone = NULL;

	if (length(range) >= bucket_room(r, bucket)) {
		gone = weakest(r, range, nodeid_fits(id, a));
		if (!gone)
			return NULL;
	}
	if (!may_enter(r, range, a, gone))
		return NULL;
	if (gone)
		shelf_del(&r->table, gone);
	return shelf_add(&r->table, id, a);
}

/* The contact of this id, if it is where it was; an id that has moved, or an
 * address that has another id, is forgotten. */
static struct contact *known(struct routing *r, struct shelf *s,
			     const struct dht_id *id, const struct addr *a)
{
	struct contact *c = shelf_find(s, id);

	if (c && contact_has_addr(s, c, a))
		return c;
	/* Who answers from a new address may have taken the id of somebody
	 * who is fine: he keeps it until he fails. */
	if (c && c->fails == 0 && s == &r->table)
		return NULL;
	if (c)
		shelf_del(s, c);
	c = shelf_find_addr(s, a);
	if (c)
		shelf_del(s, c);
	return NULL;
}

bool routing_on_answer(struct routing *r, const struct dht_id *id,
		       const struct addr *a, uint64_t rtt_us, uint16_t tick)
{
	struct contact *c = known(r, &r->table, id, a);
	bool is_new = false;

	if (nodeid_eq(id, &r->self))
		return false;
	if (!c && shelf_find(&r->table, id))
		return false;
	if (!c) {
		struct contact *spare = known(r, &r->spare, id, a);

		c = add_contact(r, id, a);
		is_new = c != NULL;
		if (is_new && spare)
			shelf_del(&r->spare, spare);
		if (!is_new)
			c = spare ? spare : add_spare(r, id, a, true, tick);
		if (!c)
			return false;
		if (!spare || is_new)
			c->born = tick;
	}
	c->fails = 0;
	c->flags |= CONTACT_VERIFIED;
	c->flags &= (uint8_t)~CONTACT_WAITING;
	take_rtt(c, rtt_us);
	see(c, tick);
	return is_new;
}

bool routing_on_query(struct routing *r, const struct dht_id *id,
		      const struct addr *a, uint16_t tick)
{
	struct contact *c = shelf_find(&r->table, id);

	/* BEP 5: who has ever answered and asks is good. A failure is not
	 * forgiven for it: he may hear nothing of us. */
	if (c && contact_has_addr(&r->table, c, a))
		see(c, tick);
	return c;
}

bool routing_wants(const struct routing *r, const struct dht_id *id,
		   const struct addr *a)
{
	int bucket = nodeid_common(&r->self, id);

	return bucket < DHT_ID_BITS && routing_has_room(r, id) &&
	       !shelf_find(&r->table, id) && !shelf_find(&r->spare, id) &&
	       may_enter(r, bucket_of(&r->table, id, bucket), a, NULL);
}

void routing_on_silence(struct routing *r, const struct dht_id *id,
			const struct addr *a, uint16_t tick)
{
	struct contact *c = shelf_find(&r->table, id);
	struct shelf *s = &r->table;
	struct dht_id was = *id;
	uint32_t most = DHT_FAILS_MAX;

	if (!c) {
		c = shelf_find(&r->spare, id);
		s = &r->spare;
	}
	if (c && (s == &r->spare || !(c->flags & CONTACT_VERIFIED)))
		most = 1;
	if (!c || !contact_has_addr(s, c, a))
		return;
	c->flags &= (uint8_t)~CONTACT_WAITING;
	if (c->fails < UINT8_MAX)
		c->fails++;
	if (c->fails < most)
		return;
	shelf_del(s, c);
	if (s == &r->table)
		promote(r, &was, tick);
}

void routing_hear(struct routing *r, const struct dht_id *id,
		  const struct addr *a, uint16_t tick)
{
	if (nodeid_eq(id, &r->self) || !routing_has_room(r, id) ||
	    shelf_find(&r->table, id) || shelf_find(&r->spare, id))
		return;
	(void)add_spare(r, id, a, false, tick);
}

void routing_set_self(struct routing *r, const struct dht_id *self)
{
	struct contact *c;

	r->self = *self;
	/* Buckets are other ranges now: walk them from the last contact down,
	 * so that deleting moves only what was looked at. */
	for (uint32_t i = r->table.n; i-- > 0;) {
		int bucket;

		c = shelf_at(&r->table, i);
		bucket = nodeid_common(self, &c->id);
		if (bucket == DHT_ID_BITS ||
		    length(bucket_of(&r->table, &c->id, bucket)) >
			    bucket_room(r, bucket))
			shelf_del(&r->table, c);
	}
	for (uint32_t i = r->spare.n; i-- > 0;) {
		int bucket;

		c = shelf_at(&r->spare, i);
		bucket = nodeid_common(self, &c->id);
		if (bucket == DHT_ID_BITS ||
		    length(bucket_of(&r->spare, &c->id, bucket)) >
			    spare_room(r))
			shelf_del(&r->spare, c);
	}
}

/* ---- questions ---- */

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
	struct contact *closest[DHT_NODES_TOLD];
	uint32_t n = shelf_closest(&r->table, &r->self, NULL, 0, closest,
				   DHT_NODES_TOLD);

	return n > 0 ? nodeid_common(&r->self, &closest[n - 1]->id) : 0;
}

/* Seconds until `c` is to be asked; 0: now. */
static uint32_t ask_in_s(const struct routing *r, const struct contact *c,
			 uint16_t tick, int near)
{
	uint32_t least = nodeid_common(&r->self, &c->id) >= near
				 ? DHT_REFRESH_NEAR_S
				 : DHT_GOOD_S;
	uint32_t age = contact_age_s(c, tick);

	if (c->fails > 0 || !(c->flags & CONTACT_VERIFIED) || age >= least)
		return 0;
	return least - age;
}

struct contact *routing_stalest(struct routing *r, uint16_t tick,
				uint32_t *wait_s)
{
	struct contact *best = NULL;
	int near = routing_near(r);

	for (uint32_t i = 0; i < r->table.n; i++) {
		struct contact *c = shelf_at(&r->table, i);
		uint32_t in_s = ask_in_s(r, c, tick, near);

		if (c->flags & CONTACT_WAITING)
			continue;
		if (in_s > 0)
			*wait_s = in_s < *wait_s ? in_s : *wait_s;
		else if (!best ||
			 contact_age_s(c, tick) > contact_age_s(best, tick))
			best = c;
	}
	for (uint32_t i = 0; i < r->spare.n && !best; i++) {
		struct contact *c = shelf_at(&r->spare, i);

		if (!(c->flags & CONTACT_WAITING) &&
		    routing_has_room(r, &c->id))
			best = c;
	}
	if (best)
		best->flags |= CONTACT_WAITING;
	return best;
}

void routing_load(struct routing *r, const struct dht_id *id,
		  const struct addr *a, uint16_t tick)
{
	struct shelf_range range;
	struct contact *c;
	int bucket = nodeid_common(&r->self, id);

	if (bucket == DHT_ID_BITS || !routing_has_room(r, id) ||
	    shelf_find(&r->table, id) || shelf_find(&r->spare, id))
		return;
	range = bucket_of(&r->table, id, bucket);
	if (!may_enter(r, range, a, NULL))
		return;
	c = shelf_add(&r->table, id, a);
	if (c)
		c->seen = c->born = tick;
}

void routing_doubt(struct routing *r, uint16_t tick)
{
	for (uint32_t i = 0; i < r->table.n; i++)
		shelf_at(&r->table, i)->seen =
			(uint16_t)(tick - DHT_GOOD_S / CONTACT_TICK_S - 1);
}

struct contact *routing_find(const struct routing *r, const struct dht_id *id,
			     const struct addr *a)
{
	struct contact *c = shelf_find(&r->table, id);

	if (c && contact_has_addr(&r->table, c, a))
		return c;
	c = shelf_find(&r->spare, id);
	return c && contact_has_addr(&r->spare, c, a) ? c : NULL;
}

uint16_t routing_count_good(const struct routing *r, uint16_t tick)
{
	uint16_t n = 0;

	for (uint32_t i = 0; i < r->table.n; i++)
		n = (uint16_t)(n +
			       contact_is_good(shelf_at(&r->table, i), tick));
	return n;
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

static void check_table(const struct routing *r)
{
	for (uint32_t i = 0; i < r->table.n; i++) {
		const struct contact *c = shelf_at(&r->table, i);
		int bucket = nodeid_common(&r->self, &c->id);
		struct addr a = contact_addr(&r->table, c);

		assert(bucket < DHT_ID_BITS);
		assert((c->flags & CONTACT_VERIFIED) || c->fails == 0);
		assert(length(bucket_of(&r->table, &c->id, bucket)) <=
		       bucket_room(r, bucket));
		assert(!shelf_find(&r->spare, &c->id));
		for (uint32_t j = 0; j < i; j++)
			assert((c->flags & CONTACT_LOCAL) ||
			       !contact_same_host(&r->table,
						  shelf_at(&r->table, j), &a));
		assert(i == 0 || memcmp(shelf_at(&r->table, i - 1)->id.b,
					c->id.b, DHT_ID_BYTES) < 0);
	}
}

void routing_check(const struct routing *r)
{
	check_table(r);
	for (uint32_t i = 0; i < r->spare.n; i++) {
		const struct contact *c = shelf_at(&r->spare, i);
		int bucket = nodeid_common(&r->self, &c->id);

		assert(bucket < DHT_ID_BITS);
		assert(length(bucket_of(&r->spare, &c->id, bucket)) <=
		       spare_room(r));
	}
}
