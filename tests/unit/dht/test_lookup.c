/* Unit tests of dht/lookup. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "core/mem.h"
#include "core/rng.h"
#include "dht/lookup.h"

static struct rng rng;
static struct lookup l;
static struct dht_id target;

/* ---- fixture ---- */

static int set_up(void **state)
{
	(void)state;
	rng_seed(&rng, 1);
	for (size_t i = 0; i < DHT_ID_BYTES; i++)
		target.b[i] = (uint8_t)rng_next(&rng);
	lookup_init(&l, &target);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	lookup_check(&l);
	lookup_fini(&l);
	return 0;
}

/* ---- helpers ---- */

static struct addr addr_no(uint32_t i)
{
	struct addr a = {0};

	a.in4.sin_family = AF_INET;
	a.in4.sin_port = htons(1000);
	a.in4.sin_addr.s_addr = htonl(0x14000001 + i * 256);
	return a;
}

/* An id at a distance: `far` is its first differing byte. */
static struct dht_id at(uint8_t far)
{
	struct dht_id id = target;

	id.b[0] ^= far;
	for (size_t i = 4; i < DHT_ID_BYTES - 1; i++)
		id.b[i] = (uint8_t)rng_next(&rng);
	return id;
}

/* The place of a new candidate at that distance, at its own address; it is
 * made to fit by BEP 42, since tests want it counted. */
static int add(uint8_t far, uint32_t host)
{
	struct addr a = addr_no(host);
	struct dht_id id = at(far);
	struct candidate *c = lookup_add(&l, &id, &a, NULL);

	if (!c)
		return -1;
	c->fits = true;
	return (int)(c - l.cands);
}

static struct dht_id id_of(int place)
{
	return l.cands[place].id;
}

static void answer(int place)
{
	struct dht_id id = id_of(place);

	lookup_on_answer(&l, place, &id);
}

/* ---- tests ---- */

/* The closest are asked first, eight at most, and it is done when they have
 * answered. */
static void the_closest_eight(void **state)
{
	int place, n = 0;

	(void)state;
	for (uint8_t far = 40; far > 0; far--)
		assert_true(add(far, far) >= 0);
	while ((place = lookup_next(&l)) >= 0) {
		lookup_on_asked(&l, place);
		n++;
		assert_int_equal(id_of(place).b[0] ^ target.b[0], n);
	}
	assert_int_equal(n, 8);
	assert_int_equal(l.n_out, 8);
	for (uint32_t i = 0; i < 8; i++) {
		assert_false(lookup_is_complete(&l));
		answer(l.order[i]);
	}
	assert_true(lookup_is_complete(&l));
	assert_int_equal(lookup_next(&l), -1);
}

/* A stalled query lets another leave in its place, and is waited for until it
 * is late; its answer still counts. */
static void stalled_and_late(void **state)
{
	int places[9];

	(void)state;
	for (uint8_t far = 1; far <= 9; far++)
		places[far - 1] = add(far, far);
	for (int i = 0; i < 8; i++)
		lookup_on_asked(&l, lookup_next(&l));
	assert_int_equal(lookup_next(&l), -1);
	lookup_on_stall(&l, places[0]);
	assert_int_equal(l.n_out, 7);
	assert_int_equal(lookup_next(&l), places[8]);
	lookup_on_asked(&l, places[8]);
	for (int i = 1; i < 9; i++)
		answer(places[i]);
	assert_false(lookup_is_complete(&l));
	lookup_on_late(&l, places[0]);
	assert_true(lookup_is_complete(&l));
	answer(places[0]);
	assert_int_equal(l.n_answered, 9);
	assert_true(lookup_is_complete(&l));
}

/* Who fails is passed over; nobody left and nobody answered: starved. */
static void starved(void **state)
{
	int a = add(1, 1), b = add(2, 2);

	(void)state;
	lookup_on_asked(&l, a);
	lookup_on_asked(&l, b);
	lookup_on_failed(&l, a);
	assert_false(lookup_is_starved(&l));
	lookup_on_failed(&l, b);
	assert_true(lookup_is_starved(&l));
	assert_false(lookup_is_complete(&l));
	add(3, 3);
	assert_false(lookup_is_starved(&l));
}

/* One candidate of a network, until it has failed; on loopback each port is
 * one of its own. */
static void one_of_a_network(void **state)
{
	struct addr a = addr_no(1), mate = a, local;
	struct dht_id id = at(1), other = at(2);
	struct candidate *c = lookup_add(&l, &id, &a, NULL);

	(void)state;
	mate.in4.sin_addr.s_addr = htonl(0x14000001 + 256 + 77);
	assert_non_null(c);
	assert_null(lookup_add(&l, &other, &mate, NULL));
	lookup_on_asked(&l, (int)(c - l.cands));
	lookup_on_failed(&l, (int)(c - l.cands));
	assert_null(lookup_add(&l, &id, &a, NULL));
	assert_non_null(lookup_add(&l, &other, &mate, NULL));
	for (uint16_t port = 1; port < 10; port++) {
		assert_int_equal(addr_parse(&local, "127.0.0.1:1"), 0);
		addr_set_port(&local, port);
		id = at((uint8_t)(10 + port));
		assert_non_null(lookup_add(&l, &id, &local, NULL));
		assert_null(lookup_add(&l, &id, &local, NULL));
	}
}

/* Ids that BEP 42 does not allow do not end a search: then sixteen answer. */
static void ids_that_do_not_fit(void **state)
{
	(void)state;
	for (uint8_t far = 1; far <= 20; far++) {
		int place = add(far, far);

		l.cands[place].fits = far > 12;
	}
	for (int i = 0; i < 16; i++) {
		int place = lookup_next(&l);

		assert_false(lookup_is_complete(&l));
		assert_true(place >= 0);
		lookup_on_asked(&l, place);
		answer(place);
		lookup_set_token(&l, place, span_str("token"));
	}
	assert_true(lookup_is_complete(&l));
	{
		uint8_t out[DHT_STORERS_MAX];

		/* The closest eight, of whom none fits, and all that do: there
		 * are four. Whoever refuses is replaced by the next. */
		assert_int_equal(lookup_storers(&l, out), 12);
		for (int i = 0; i < 12; i++)
			assert_int_equal(l.cands[out[i]].fits, i >= 8);
		l.cands[out[0]].store = STORE_REFUSED;
		assert_int_equal(lookup_storers(&l, out), 12);
		for (int i = 0; i < 12; i++)
			assert_int_equal(l.cands[out[i]].fits, i >= 8);
	}
}

/* The wave goes to the fastest of the closest. */
static void fastest_of_the_closest(void **state)
{
	uint8_t out[DHT_WAVE];
	uint32_t n;

	(void)state;
	for (uint8_t far = 1; far <= DHT_WAVE_OF + 5; far++) {
		int place = add(far, far);

		l.cands[place].srtt = (uint16_t)(1000 - far);
	}
	n = lookup_wave(&l, out, DHT_WAVE, 500);
	assert_int_equal(n, DHT_WAVE);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(id_of(out[i]).b[0] ^ target.b[0],
				 DHT_WAVE_OF - i);
}

/* An endpoint comes last, and has its place when its id is known. */
static void endpoints(void **state)
{
	struct addr a = addr_no(50);
	struct dht_id id = at(1);
	struct candidate *c;
	int place;

	(void)state;
	add(5, 5);
	c = lookup_add(&l, NULL, &a, NULL);
	assert_non_null(c);
	add(9, 9);
	place = (int)(c - l.cands);
	assert_int_equal(l.order[2], place);
	lookup_on_asked(&l, place);
	lookup_on_answer(&l, place, &id);
	assert_int_equal(l.order[0], place);
}

/* It keeps the closest DHT_CANDIDATES_MAX, and whoever is in flight, without
 * memory too. */
static void full(void **state)
{
	int asked;

	(void)state;
	asked = add(255, 255);
	lookup_on_asked(&l, asked);
	for (uint32_t i = 0; i < 3000; i++) {
		if (i == 40)
			mem_fail_after(0, 0);
		(void)add((uint8_t)(1 + rng_below(&rng, 250)), 1000 + i);
		mem_fail_after(UINT64_MAX, 0);
		lookup_check(&l);
	}
	assert_int_equal(l.n, DHT_CANDIDATES_MAX);
	assert_int_equal(l.cands[asked].state, CANDIDATE_ASKED);
	assert_true((id_of(l.order[DHT_CANDIDATES_MAX - 2]).b[0] ^
		     target.b[0]) < 30);
	assert_int_equal(add(200, 7000), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_closest_eight),
		TEST(stalled_and_late),
		TEST(starved),
		TEST(one_of_a_network),
		TEST(ids_that_do_not_fit),
		TEST(fastest_of_the_closest),
		TEST(endpoints),
		TEST(full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
