/* Unit tests of dht/flights, and of the small values beside it: rttmodel,
 * hostset, votes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "core/mem.h"
#include "core/rng.h"
#include "dht/dht_limits.h"
#include "dht/flights.h"
#include "dht/hostset.h"
#include "dht/rttmodel.h"
#include "dht/shelf.h"
#include "dht/votes.h"

static struct addr parsed(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, text), 0);
	return a;
}

/* ---- flights ---- */

/* Each query is found by its id and address, and by nothing else; next_us is
 * never later than the first that is due. */
static void flights_as_a_list(void **state)
{
	struct flight model[600];
	struct flights f;
	struct rng rng;
	uint32_t n = 0;

	(void)state;
	rng_seed(&rng, 1);
	flights_init(&f);
	for (uint32_t i = 0; i < 20000; i++) {
		if (n < 600 && rng_below(&rng, 2) == 0) {
			struct flight like = {
				.what = FLIGHT_TABLE,
				.due_us = 1 + rng_below(&rng, 1000),
				.to = parsed("1.2.3.4:5"),
			};
			struct flight *fl;

			addr_set_port(&like.to, (uint16_t)(1 + i % 60000));
			fl = flights_add(&f, &like, (uint32_t)rng_next(&rng));
			assert_non_null(fl);
			model[n++] = *fl;
		} else if (n > 0) {
			uint32_t at = (uint32_t)rng_below(&rng, n);
			struct addr other = parsed("9.9.9.9:9");
			struct flight *fl =
				flights_match(&f, model[at].tid, &model[at].to);

			assert_non_null(fl);
			assert_true(addr_eq(&fl->to, &model[at].to));
			assert_null(flights_match(&f, model[at].tid, &other));
			assert_null(flights_match(&f, model[at].tid ^ 1u << 31,
						  &model[at].to));
			flights_del(&f, fl);
			assert_null(flights_match(&f, model[at].tid,
						  &model[at].to));
			model[at] = model[--n];
		}
		assert_int_equal(f.n, n);
		for (uint32_t k = 0; k < n; k++)
			assert_true(f.next_us <= model[k].due_us);
	}
	/* In the order of time, each once. */
	for (uint64_t now_us = 0; now_us <= 1000; now_us++) {
		struct flight *fl;

		while ((fl = flights_due(&f, now_us)) != NULL) {
			assert_true(fl->due_us <= now_us);
			flights_del(&f, fl);
			n--;
		}
		assert_true(f.next_us > now_us);
	}
	assert_int_equal(n, 0);
	assert_int_equal(f.next_us, UINT64_MAX);
	flights_fini(&f);
}

/* There is a limit; without memory there is none in flight. */
static void flights_full(void **state)
{
	struct flight like = {.what = FLIGHT_TABLE, .due_us = 5};
	struct flights f;

	(void)state;
	flights_init(&f);
	mem_fail_after(0, 0);
	assert_null(flights_add(&f, &like, 1));
	mem_fail_after(UINT64_MAX, 0);
	for (uint32_t i = 0; i < DHT_WAITING_MAX; i++)
		assert_non_null(flights_add(&f, &like, i * 7919));
	assert_null(flights_add(&f, &like, 1));
	flights_fini(&f);
}

/* ---- rttmodel ---- */

/* Percentiles of what came, within a bin's width; what is old fades. */
static void percentiles(void **state)
{
	struct rttmodel m;

	(void)state;
	rttmodel_init(&m);
	assert_in_range(rttmodel_percent_us(&m, 75), 200000, 700000);
	for (uint32_t i = 0; i < 2000; i++)
		rttmodel_add(&m, 1000 * (1 + i % 100));
	assert_in_range(rttmodel_percent_us(&m, 50), 42000, 58000);
	assert_in_range(rttmodel_percent_us(&m, 90), 80000, 102000);
	assert_true(rttmodel_percent_us(&m, 10) < rttmodel_percent_us(&m, 50));
	for (uint32_t i = 0; i < 3000; i++)
		rttmodel_add(&m, 2000000);
	assert_in_range(rttmodel_percent_us(&m, 50), 1600000, 2400000);
	rttmodel_add(&m, 0);
	rttmodel_add(&m, UINT64_MAX);
}

/* ---- hostset ---- */

/* What is added is there until it is too old, deleted or pushed out; the set
 * stays within its limit. */
static void hosts_for_a_while(void **state)
{
	struct hostset s;
	struct rng rng;
	uint32_t n_there = 0;

	(void)state;
	rng_seed(&rng, 3);
	hostset_init(&s, 1024);
	assert_false(hostset_has(&s, 5, 0, 100));
	hostset_add(&s, UINT64_C(5) << 32, 10);
	assert_true(hostset_has(&s, UINT64_C(5) << 32, 10, 100));
	assert_true(hostset_has(&s, UINT64_C(5) << 32, 35, 100));
	assert_false(hostset_has(&s, UINT64_C(5) << 32, 36, 100));
	hostset_del(&s, UINT64_C(5) << 32);
	assert_false(hostset_has(&s, UINT64_C(5) << 32, 10, 100));
	for (uint32_t i = 0; i < 400; i++)
		hostset_add(&s, rng_next(&rng), 0);
	rng_seed(&rng, 3);
	for (uint32_t i = 0; i < 400; i++)
		n_there += hostset_has(&s, rng_next(&rng), 0, 100) ? 1 : 0;
	assert_true(n_there > 250);
	for (uint32_t i = 0; i < 100000; i++)
		hostset_add(&s, rng_next(&rng), 0);
	assert_int_equal(s.slots, 1024);
	hostset_fini(&s);
	mem_fail_after(0, 1);
	hostset_add(&s, 7, 0);
	mem_fail_after(UINT64_MAX, 0);
	assert_false(hostset_has(&s, 7, 0, 100));
	hostset_fini(&s);
}

/* ---- votes ---- */

/* Three networks that lie, however often, do not turn us; four that say the
 * same do. */
static void a_voice_a_network(void **state)
{
	struct addr lie = parsed("66.66.66.66:1");
	struct addr truth = parsed("77.77.77.77:1");
	char text[ADDR_TEXT_BYTES];
	struct votes v = {0};

	(void)state;
	for (uint32_t i = 0; i < 1000; i++) {
		struct addr from;

		(void)snprintf(text, sizeof(text), "50.%u.%u.1:1", i % 3,
			       i % 200);
		from = parsed(text);
		assert_false(votes_add(&v, &from, &lie));
	}
	for (uint32_t i = 0; i < 4; i++) {
		struct addr from;

		(void)snprintf(text, sizeof(text), "51.%u.1.1:1", i);
		from = parsed(text);
		assert_int_equal(votes_add(&v, &from, &truth), i == 3);
	}
}

/* Sixteen that each say something else are no majority. */
static void no_majority(void **state)
{
	char text[ADDR_TEXT_BYTES];
	struct votes v = {0};

	(void)state;
	for (uint32_t i = 0; i < 64; i++) {
		struct addr from, says;

		(void)snprintf(text, sizeof(text), "50.%u.1.1:1", i);
		from = parsed(text);
		(void)snprintf(text, sizeof(text), "60.1.1.%u:1", 1 + i % 4);
		says = parsed(text);
		assert_false(votes_add(&v, &from, &says));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flights_as_a_list),
		cmocka_unit_test(flights_full),
		cmocka_unit_test(percentiles),
		cmocka_unit_test(hosts_for_a_while),
		cmocka_unit_test(a_voice_a_network),
		cmocka_unit_test(no_majority),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
