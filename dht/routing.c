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
#include "dht/routing_internal.h"

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

uint32_t routing_room(const struct routing *r, int bucket)
{
	uint32_t room = bucket < 16 ? (uint32_t)r->widest >> bucket : 0;

	return room > DHT_BUCKET_MIN ? room : DHT_BUCKET_MIN;
}

/* A small table is a small node's: few spares too. */
uint32_t routing_spare_room(const struct routing *r)
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

/* Contacts of the table in the bucket of `id`. */
static uint32_t in_bucket(const struct routing *r, const struct dht_id *id,
			  int bucket)
{
	if (bucket < ROUTING_COUNTED)
		return r->n_in[bucket];
	return length(bucket_of(&r->table, id, bucket));
}

static struct contact *table_add(struct routing *r, const struct dht_id *id,
				 const struct addr *a)
{
	int bucket = nodeid_common(&r->self, id);
	struct contact *c = shelf_add(&r->table, id, a);

	if (c && bucket < ROUTING_COUNTED)
		r->n_in[bucket]++;
	return c;
}

/* What is near may change with it, and a spare has room now. */
static void table_del(struct routing *r, struct contact *c)
{
	int bucket = nodeid_common(&r->self, &c->id);

	r->is_quiet = false;
	if (bucket < ROUTING_COUNTED)
		r->n_in[bucket]--;
	shelf_del(&r->table, c);
}

/* Out of the table, or out of the spares. */
static void del(struct routing *r, struct shelf *s, struct contact *c)
{
	if (s == &r->table)
		table_del(r, c);
	else
		shelf_del(s, c);
}

static void count_again(struct routing *r)
{
	memset(r->n_in, 0, sizeof(r->n_in));
	for (uint32_t i = 0; i < r->table.n; i++) {
		int b = nodeid_common(&r->self, &shelf_at(&r->table, i)->id);

		if (b < ROUTING_COUNTED)
			r->n_in[b]++;
	}
}

bool routing_has_room(const struct routing *r, const struct dht_id *id)
{
	int bucket = nodeid_common(&r->self, id);

	return bucket < DHT_ID_BITS &&
	       in_bucket(r, id, bucket) < routing_room(r, bucket);
}

/* May `a` enter the bucket, beside those of its host and network? Local
 * addresses are many nodes of one machine or house. */
static bool may_enter(const struct routing *r, struct shelf_range bucket,
		      const struct addr *a, const struct contact *but)
{
	const struct contact *c;
	uint32_t n_net = 0, at = 0;

	if (addr_is_local(a))
		return true;
	while ((c = shelf_next_beside(&r->table, a, &at)) != NULL) {
		if (c == but)
			continue;
		if (contact_same_host(&r->table, c, a))
			return false;
		if (at > bucket.from && at <= bucket.to)
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

	if (length(range) >= routing_spare_room(r)) {
		c = worst_spare(r, range, tick);
		if (!is_verified && c->fails == 0)
			return NULL;
		shelf_del(&r->spare, c);
	}
	c = shelf_add(&r->spare, id, a);
	if (!c)
		return NULL;
	r->is_quiet = false;
	c->seen = tick;
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
	c = table_add(r, &best->id, &a);
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

	if (length(range) >= routing_room(r, bucket)) {
		gone = weakest(r, range, nodeid_fits(id, a));
		if (!gone)
			return NULL;
	}
	if (!may_enter(r, range, a, gone))
		return NULL;
	if (gone)
		table_del(r, gone);
	return table_add(r, id, a);
}

/* The contact of this id, if it is where it was; an id that has moved, or an
 * address that has another id, is forgotten. */
static struct contact *known(struct routing *r, struct shelf *s,
			     const struct dht_id *id, const struct addr *a,
			     bool *is_taken)
{
	struct contact *c = shelf_find(s, id);

	if (c && contact_has_addr(s, c, a))
		return c;
	/* Who answers from a new address may have taken the id of somebody
	 * who is fine: he keeps it until he fails. */
	*is_taken = c && c->fails == 0 && s == &r->table;
	if (*is_taken)
		return NULL;
	if (c)
		del(r, s, c);
	c = shelf_find_addr(s, a);
	if (c)
		del(r, s, c);
	return NULL;
}

bool routing_on_answer(struct routing *r, const struct dht_id *id,
		       const struct addr *a, uint64_t rtt_us, uint16_t tick)
{
	bool is_new = false, is_taken = false;
	struct contact *c = known(r, &r->table, id, a, &is_taken);

	if (is_taken || nodeid_eq(id, &r->self))
		return false;
	if (!c) {
		struct contact *spare = known(r, &r->spare, id, a, &is_taken);

		c = add_contact(r, id, a);
		is_new = c != NULL;
		if (is_new && spare)
			shelf_del(&r->spare, spare);
		if (!is_new)
			c = spare ? spare : add_spare(r, id, a, true, tick);
		if (!c)
			return false;
	}
	c->fails = 0;
	c->flags |= CONTACT_VERIFIED;
	c->flags &= (uint8_t) ~(CONTACT_WAITING | CONTACT_TRIED);
	take_rtt(c, rtt_us);
	c->seen = tick;
	return is_new;
}

bool routing_on_query(struct routing *r, const struct dht_id *id,
		      const struct addr *a, uint16_t tick)
{
	struct contact *c = shelf_find(&r->table, id);

	/* BEP 5: who has ever answered and asks is good. A failure is not
	 * forgiven for it: he may hear nothing of us. */
	if (c && contact_has_addr(&r->table, c, a))
		c->seen = tick;
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
	r->is_quiet = false;
	c->flags &= (uint8_t)~CONTACT_WAITING;
	if (c->fails < UINT8_MAX)
		c->fails++;
	if (c->fails < most)
		return;
	del(r, s, c);
	if (s == &r->table)
		promote(r, &was, tick);
}

void routing_on_outage(struct routing *r, const struct dht_id *id,
		       const struct addr *a)
{
	struct contact *c = routing_find(r, id, a);

	if (!c)
		return;
	r->is_quiet = false;
	c->flags &= (uint8_t)~CONTACT_WAITING;
	c->flags |= CONTACT_TRIED;
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
	struct addr a;

	r->self = *self;
	r->is_quiet = false;
	count_again(r);
	/* Buckets are other ranges now, and two of one network may have come
	 * into one: walk them from the last contact down, so that deleting
	 * moves only what was looked at. */
	for (uint32_t i = r->table.n; i-- > 0;) {
		int bucket;

		c = shelf_at(&r->table, i);
		a = contact_addr(&r->table, c);
		bucket = nodeid_common(self, &c->id);
		if (bucket == DHT_ID_BITS ||
		    in_bucket(r, &c->id, bucket) > routing_room(r, bucket) ||
		    !may_enter(r, bucket_of(&r->table, &c->id, bucket), &a, c))
			table_del(r, c);
	}
	for (uint32_t i = r->spare.n; i-- > 0;) {
		int bucket;

		c = shelf_at(&r->spare, i);
		bucket = nodeid_common(self, &c->id);
		if (bucket == DHT_ID_BITS ||
		    length(bucket_of(&r->spare, &c->id, bucket)) >
			    routing_spare_room(r))
			shelf_del(&r->spare, c);
	}
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
	r->is_quiet = false;
	c = table_add(r, id, a);
	if (c)
		c->seen = tick;
}

void routing_forgo(struct routing *r, struct contact *c)
{
	r->is_quiet = false;
	c->flags &= (uint8_t)~CONTACT_WAITING;
}

void routing_doubt(struct routing *r, uint16_t tick)
{
	r->is_quiet = false;
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
