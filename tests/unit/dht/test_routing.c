/* Unit tests of dht/routing and dht/shelf. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/mem.h"
#include "core/rng.h"
#include "dht/dht_limits.h"
#include "dht/routing.h"

static struct rng rng;
static struct dht_id self;
static struct routing r;

/* ---- fixture ---- */

static struct dht_id random_id(void)
{
	struct dht_id id;

	for (size_t i = 0; i < DHT_ID_BYTES; i++)
		id.b[i] = (uint8_t)rng_next(&rng);
	return id;
}

static int set_up(void **state)
{
	(void)state;
	rng_seed(&rng, 1);
	self = random_id();
	routing_init(&r, false, &self, 8);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	routing_check(&r);
	routing_fini(&r);
	return 0;
}

/* ---- helpers ---- */

/* The i-th address: of its own network, or of network 0. */
static struct addr addr_no(uint32_t i)
{
	struct addr a = {0};

	a.in4.sin_family = AF_INET;
	a.in4.sin_port = htons(1000);
	a.in4.sin_addr.s_addr = htonl(0x14000001 + i * 256);
	return a;
}

static struct addr same_net(uint32_t i)
{
	struct addr a = addr_no(0);

	a.in4.sin_addr.s_addr = htonl(0x28000001 + i);
	return a;
}

/* An id in a bucket. */
static struct dht_id in_bucket(int bucket)
{
	struct dht_id random = random_id();
	struct dht_id id;

	nodeid_within(&id, &self, bucket, random.b);
	return id;
}

static bool answers(const struct dht_id *id, const struct addr *a,
		    uint16_t tick)
{
	return routing_on_answer(&r, id, a, 50000, tick);
}

/* ---- shelf ---- */

static const struct dht_id *sort_target;

static int by_distance(const void *a, const void *b)
{
	const struct contact *x = *(struct contact *const *)a;
	const struct contact *y = *(struct contact *const *)b;

	return nodeid_closer(sort_target, &x->id, &y->id) ? -1 : 1;
}

static bool is_odd(const struct contact *c, uint16_t tick)
{
	(void)tick;
	return c->port & 1;
}

/* The closest to any target are those that sorting them all finds. */
static void closest_as_sorted(void **state)
{
	struct contact *all[300], *found[20];
	struct shelf s;

	(void)state;
	shelf_init(&s, false);
	for (uint32_t i = 0; i < 300; i++) {
		struct addr a = addr_no(i);
		struct dht_id id = random_id();

		addr_set_port(&a, (uint16_t)(1 + i));
		/* Some crowd together. */
		if (i % 3 == 0)
			memcpy(id.b, self.b, i % 7);
		assert_non_null(shelf_add(&s, &id, &a));
		assert_null(shelf_add(&s, &id, &a));
	}
	for (uint32_t round = 0; round < 200; round++) {
		bool odd = round & 1;
		struct dht_id target = random_id();
		uint32_t n_all = 0, n;

		if (round % 5 == 0)
			memcpy(target.b, self.b, 5);
		for (uint32_t i = 0; i < s.n; i++)
			if (!odd || is_odd(shelf_at(&s, i), 0))
				all[n_all++] = shelf_at(&s, i);
		sort_target = &target;
		qsort(all, n_all, sizeof(*all), by_distance);
		n = shelf_closest(&s, &target, odd ? is_odd : NULL, 0, found,
				  20);
		assert_int_equal(n, 20);
		for (uint32_t i = 0; i < n; i++)
			assert_ptr_equal(found[i], all[i]);
	}
	shelf_fini(&s);
}

/* ---- who stays ---- */

/* A full bucket takes nobody; the newcomer is a spare, and gets the place of
 * the first who dies. */
static void full_bucket(void **state)
{
	struct dht_id ids[9];

	(void)state;
	for (uint32_t i = 0; i < 9; i++) {
		struct addr a = addr_no(i);

		ids[i] = in_bucket(0);
		assert_int_equal(answers(&ids[i], &a, 0), i < 8);
	}
	assert_int_equal(r.table.n, 8);
	assert_int_equal(r.spare.n, 1);
	routing_check(&r);
	for (uint32_t i = 0; i < DHT_FAILS_MAX; i++) {
		struct addr a = addr_no(3);

		assert_non_null(shelf_find(&r.table, &ids[3]));
		routing_on_silence(&r, &ids[3], &a, 1);
	}
	assert_null(shelf_find(&r.table, &ids[3]));
	assert_non_null(shelf_find(&r.table, &ids[8]));
	assert_int_equal(r.spare.n, 0);
}

/* Who failed once makes room for who answers. */
static void failing_make_room(void **state)
{
	struct dht_id ids[9];

	(void)state;
	for (uint32_t i = 0; i < 9; i++) {
		struct addr a = addr_no(i);

		ids[i] = in_bucket(0);
		if (i == 8) {
			struct addr failing = addr_no(2);

			routing_on_silence(&r, &ids[2], &failing, 1);
		}
		assert_true(answers(&ids[i], &a, 1));
	}
	assert_null(shelf_find(&r.table, &ids[2]));
	assert_int_equal(r.table.n, 8);
}

/* An id that BEP 42 allows takes the place of one that it does not. */
static void fitting_ids_first(void **state)
{
	struct dht_id id;
	uint32_t n_in = 0;

	(void)state;
	for (uint32_t i = 0; i < 8; i++) {
		struct addr a = addr_no(i);

		id = in_bucket(0);
		assert_true(answers(&id, &a, 0));
	}
	for (uint32_t i = 100; i < 200; i++) {
		struct addr a = addr_no(i);
		struct dht_id random = random_id();

		nodeid_for(&id, &a, random.b);
		if (nodeid_common(&self, &id) == 0)
			n_in += answers(&id, &a, 0) ? 1 : 0;
	}
	assert_int_equal(n_in, 8);
	for (uint32_t i = 0; i < r.table.n; i++)
		if (nodeid_common(&self, &shelf_at(&r.table, i)->id) == 0)
			assert_true(shelf_at(&r.table, i)->flags &
				    CONTACT_FITS);
}

/* One contact of a host, one of a network in a bucket; of local addresses any.
 */
static void one_of_a_host(void **state)
{
	struct dht_id id;
	struct addr a;
	uint32_t n = 0;

	(void)state;
	for (uint32_t i = 0; i < 8; i++) {
		a = same_net(i);
		id = in_bucket(2);
		n += answers(&id, &a, 0) ? 1 : 0;
	}
	assert_int_equal(n, DHT_NET_CONTACTS);
	a = same_net(0);
	addr_set_port(&a, 2000);
	id = in_bucket(5);
	assert_false(answers(&id, &a, 0));
	for (uint32_t i = 0; i < 8; i++) {
		assert_int_equal(addr_parse(&a, "127.0.0.1:1"), 0);
		addr_set_port(&a, (uint16_t)(100 + i));
		id = in_bucket(3);
		assert_true(answers(&id, &a, 0));
	}
}

/* An address that answers with another id is another contact, and the first is
 * gone; an id that answers from elsewhere does not displace one who is fine. */
static void changed_ids(void **state)
{
	struct addr a = addr_no(1), b = addr_no(2);
	struct dht_id first = in_bucket(1), second = in_bucket(1);

	(void)state;
	assert_true(answers(&first, &a, 0));
	assert_true(answers(&second, &a, 0));
	assert_null(shelf_find(&r.table, &first));
	assert_false(answers(&second, &b, 0));
	assert_non_null(routing_find(&r, &second, &a));
	routing_on_silence(&r, &second, &a, 1);
	assert_true(answers(&second, &b, 1));
	assert_non_null(routing_find(&r, &second, &b));
	assert_int_equal(r.table.n, 1);
}

/* What was heard of or loaded is told to nobody before it has answered, and
 * goes when it does not. */
static void hearsay(void **state)
{
	struct addr a = addr_no(1), b = addr_no(2);
	struct dht_id heard = in_bucket(1), loaded = in_bucket(1);
	struct contact *out[8];
	uint32_t wait_s = UINT32_MAX;
	struct contact *c;

	(void)state;
	routing_hear(&r, &heard, &a, 0);
	routing_load(&r, &loaded, &b, 0);
	assert_int_equal(routing_good(&r, &self, 0, out, 8), 0);
	assert_int_equal(routing_any(&r, &self, 0, out, 8), 2);
	c = routing_stalest(&r, 0, &wait_s);
	assert_true(nodeid_eq(&c->id, &loaded));
	c = routing_stalest(&r, 0, &wait_s);
	assert_true(nodeid_eq(&c->id, &heard));
	assert_null(routing_stalest(&r, 0, &wait_s));
	routing_on_silence(&r, &loaded, &b, 1);
	assert_int_equal(r.table.n, 0);
	assert_true(answers(&heard, &a, 1));
	assert_int_equal(routing_good(&r, &self, 1, out, 8), 1);
	assert_int_equal(r.spare.n, 0);
}

/* Contacts are asked again when they have been silent for fifteen minutes, the
 * closest after five; not earlier, and not while they are being asked. */
static void who_is_asked(void **state)
{
	uint16_t near_tick = DHT_REFRESH_NEAR_S / CONTACT_TICK_S;
	uint16_t far_tick = DHT_GOOD_S / CONTACT_TICK_S;
	uint32_t wait_s = UINT32_MAX;
	uint32_t n = 0;

	(void)state;
	for (uint32_t i = 0; i < 16; i++) {
		struct addr a = addr_no(i);
		struct dht_id id = in_bucket(i < 8 ? 0 : 5);

		assert_true(answers(&id, &a, 0));
	}
	assert_null(routing_stalest(&r, (uint16_t)(near_tick - 1), &wait_s));
	assert_int_equal(wait_s, CONTACT_TICK_S);
	while (routing_stalest(&r, near_tick, &wait_s))
		n++;
	assert_int_equal(n, 8);
	while (routing_stalest(&r, far_tick, &wait_s))
		n++;
	assert_int_equal(n, 16);
}

/* That nobody is to be asked yet is remembered, until something happens that
 * changes it: a query that failed, somebody heard of for whom there is room, a
 * contact that is gone, a saved table, a move. */
static void quiet_ends(void **state)
{
	uint32_t wait_s = UINT32_MAX;
	struct addr a[3] = {addr_no(0), addr_no(1), addr_no(2)};
	struct dht_id id[3] = {in_bucket(0), in_bucket(1), in_bucket(2)};
	struct contact *c;

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_true(answers(&id[i], &a[i], 0));
	assert_null(routing_stalest(&r, 1, &wait_s));
	routing_on_silence(&r, &id[0], &a[0], 1);
	c = routing_stalest(&r, 1, &wait_s);
	assert_ptr_equal(c, routing_find(&r, &id[0], &a[0]));
	assert_null(routing_stalest(&r, 1, &wait_s));
	routing_forgo(&r, c);
	assert_ptr_equal(routing_stalest(&r, 1, &wait_s), c);
	assert_null(routing_stalest(&r, 1, &wait_s));
	routing_hear(&r, &id[2], &a[2], 1);
	c = routing_stalest(&r, 1, &wait_s);
	assert_ptr_equal(c, routing_find(&r, &id[2], &a[2]));
	assert_null(routing_stalest(&r, 1, &wait_s));
	routing_doubt(&r, 1);
	assert_non_null(routing_stalest(&r, 1, &wait_s));
}

/* There are so many good ones, or there are not. */
static void has_good(void **state)
{
	(void)state;
	assert_true(routing_has_good(&r, 0, 0));
	assert_false(routing_has_good(&r, 0, 1));
	for (uint32_t i = 0; i < 6; i++) {
		struct addr a = addr_no(i);
		struct dht_id id = in_bucket(i % 3 != 0);

		assert_true(answers(&id, &a, 0));
		assert_true(routing_has_good(&r, 0, i + 1));
		assert_false(routing_has_good(&r, 0, i + 2));
		assert_int_equal(routing_count_good(&r, 0), i + 1);
	}
	assert_false(routing_has_good(&r, DHT_GOOD_S / CONTACT_TICK_S + 1, 1));
}

/* While nobody answers each has his turn before one is asked again: the oldest
 * may be those that are gone. */
static void all_are_tried(void **state)
{
	uint16_t tick = DHT_GOOD_S / CONTACT_TICK_S;
	uint32_t wait_s = UINT32_MAX;
	bool asked[12] = {false};

	(void)state;
	for (uint32_t i = 0; i < 12; i++) {
		struct addr a = addr_no(i);
		struct dht_id id = in_bucket(i < 6 ? 0 : 1);

		assert_true(answers(&id, &a, (uint16_t)(i / 4)));
	}
	tick = (uint16_t)(tick + 100);
	for (int round = 0; round < 24; round++) {
		struct contact *c = routing_stalest(&r, tick, &wait_s);
		struct addr a = contact_addr(&r.table, c);
		struct dht_id id = c->id;
		uint32_t place = 0;

		while (shelf_at(&r.table, place) != c)
			place++;
		if (round < 12)
			assert_false(asked[place]);
		asked[place] = true;
		routing_on_outage(&r, &id, &a);
	}
}

/* Round trips are smoothed; a query of a contact makes it young again, but does
 * not forgive it a failure. */
static void what_is_learned(void **state)
{
	struct addr a = addr_no(1);
	struct dht_id id = in_bucket(1);
	struct contact *c;

	(void)state;
	assert_true(answers(&id, &a, 0));
	c = routing_find(&r, &id, &a);
	assert_int_equal(c->srtt, 50000 / CONTACT_RTT_UNIT_US + 1);
	for (int i = 0; i < 50; i++)
		(void)routing_on_answer(&r, &id, &a, 100000, 1);
	assert_in_range(c->srtt, 770, 782);
	assert_in_range(c->rttvar, 0, 20);
	routing_on_silence(&r, &id, &a, 2);
	assert_false(contact_is_good(c, 2));
	assert_true(routing_on_query(&r, &id, &a, 300));
	assert_false(routing_wants(&r, &id, &a));
	assert_int_equal(contact_age_s(c, 300), 0);
	assert_false(contact_is_good(c, 300));
	assert_false(answers(&id, &a, 301));
	assert_true(contact_is_good(c, 301));
}

/* With another id of ours no bucket has too many, and nobody is lost who has a
 * place. */
static void another_self(void **state)
{
	struct dht_id other;
	uint32_t before;

	(void)state;
	for (uint32_t i = 0; i < 500; i++) {
		struct addr a = addr_no(i);
		struct dht_id id = random_id();

		(void)answers(&id, &a, 0);
	}
	before = r.table.n;
	self = other = random_id();
	routing_set_self(&r, &other);
	routing_check(&r);
	assert_in_range(r.table.n, 12, before);
}

/* Whatever happens in whatever order, with memory failing now and then, the
 * invariants hold. */
static void anything(void **state)
{
	struct dht_id ids[64];
	struct addr addrs[64];
	uint16_t tick = 0;

	(void)state;
	for (uint32_t i = 0; i < 64; i++) {
		ids[i] = i % 2 ? random_id() : in_bucket((int)(i % 9));
		addrs[i] = i % 5 == 0 ? same_net(i / 5) : addr_no(i);
	}
	for (uint32_t i = 0; i < 20000; i++) {
		const struct dht_id *id = &ids[rng_below(&rng, 64)];
		const struct addr *a = &addrs[rng_below(&rng, 64)];
		uint32_t wait_s = 100;

		if (rng_below(&rng, 50) == 0)
			mem_fail_after(0, 0);
		switch (rng_below(&rng, 8)) {
		case 0:
		case 1:
		case 2:
			(void)answers(id, a, tick);
			break;
		case 3:
			(void)routing_on_query(&r, id, a, tick);
			break;
		case 4:
			routing_on_silence(&r, id, a, tick);
			break;
		case 5:
			routing_hear(&r, id, a, tick);
			break;
		case 6:
			routing_load(&r, id, a, tick);
			break;
		default:
			(void)routing_stalest(&r, tick, &wait_s);
		}
		mem_fail_after(UINT64_MAX, 0);
		if (i % 1000 == 0) {
			self = random_id();
			routing_set_self(&r, &self);
		}
		tick = (uint16_t)(tick + rng_below(&rng, 3));
		routing_check(&r);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(closest_as_sorted), TEST(full_bucket),
		TEST(failing_make_room), TEST(fitting_ids_first),
		TEST(one_of_a_host),	 TEST(changed_ids),
		TEST(hearsay),		 TEST(who_is_asked),
		TEST(quiet_ends),	 TEST(has_good),
		TEST(all_are_tried),	 TEST(what_is_learned),
		TEST(another_self),	 TEST(anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
