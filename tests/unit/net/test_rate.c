/* Meters, request windows and buckets, under a clock of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net/rate.h"

/* A peer that answers each request `rtt` later at no more than `Bps`, always
 * with as much out as the window allows; runs for `us`. */
static void run_peer(struct rate_window *w, uint64_t *now, uint64_t us,
		     uint64_t Bps, uint32_t rtt_us)
{
	uint64_t end = *now + us, owed = 0;

	while (*now < end) {
		uint64_t cap = Bps / 1000;
		uint64_t asked = (uint64_t)w->window_bytes * 1000 / rtt_us;

		*now += 1000;
		owed += cap < asked ? cap : asked;
		rate_window_on_rtt(w, rtt_us);
		while (owed >= 16384) {
			rate_window_on_bytes(w, 16384, false, *now);
			owed -= 16384;
		}
	}
}

/* The window finds bandwidth × delay of a fast line and of a slow one, and
 * stays near it: a tenth below would starve it, thrice would delay seeks. */
static void window_finds_bdp(void **state)
{
	const struct {
		uint64_t Bps;
		uint32_t rtt_us;
	} line[] = {{12500000, 50000}, {125000000, 50000}, {1000000, 150000}};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct rate_window w;
		uint64_t now = 1000000;
		uint64_t bdp = line[i].Bps * line[i].rtt_us / 1000000;

		rate_window_init(&w, now);
		run_peer(&w, &now, 4000000, line[i].Bps, line[i].rtt_us);
		assert_false(w.is_growing);
		assert_true(w.window_bytes > bdp);
		assert_true(w.window_bytes < 3 * bdp + (128 << 10));
		assert_in_range(w.rate_Bps, line[i].Bps * 8 / 10,
				line[i].Bps * 12 / 10);
	}
}

/* A line that gets faster is noticed. */
static void window_follows_rate(void **state)
{
	struct rate_window w;
	uint64_t now = 1000000, before;

	(void)state;
	rate_window_init(&w, now);
	run_peer(&w, &now, 2000000, 1000000, 50000);
	before = w.window_bytes;
	run_peer(&w, &now, 5000000, 8000000, 50000);
	assert_true(w.window_bytes > 4 * before);
}

/* Rounds in which we asked for little do not lower the rate. */
static void limited_rounds_do_not_count(void **state)
{
	struct rate_window w;
	uint64_t now = 1000000, rate;

	(void)state;
	rate_window_init(&w, now);
	run_peer(&w, &now, 2000000, 10000000, 20000);
	rate = w.rate_Bps;
	for (int i = 0; i < 100; i++) {
		now += 50000;
		rate_window_on_bytes(&w, 16384, true, now);
	}
	assert_int_equal(w.rate_Bps, rate);
}

/* A stall goes back to the smallest window, and out of it again. */
static void stall_starts_over(void **state)
{
	struct rate_window w;
	uint64_t now = 1000000;

	(void)state;
	rate_window_init(&w, now);
	run_peer(&w, &now, 2000000, 10000000, 20000);
	rate_window_on_stall(&w, now);
	assert_int_equal(w.window_bytes, RATE_WINDOW_MIN_BYTES);
	run_peer(&w, &now, 2000000, 10000000, 20000);
	assert_true(w.window_bytes > 200000);
}

/* The stall timeout grows with what is out and stays in its bounds. */
static void timeout_bounds(void **state)
{
	struct rate_window w;
	uint64_t now = 1000000;

	(void)state;
	rate_window_init(&w, now);
	assert_true(rate_window_timeout_us(&w, 0) >= 500000);
	run_peer(&w, &now, 2000000, 1000000, 50000);
	assert_true(rate_window_timeout_us(&w, 1000000) >
		    rate_window_timeout_us(&w, 16384) + 1000000);
	assert_int_equal(rate_window_timeout_us(&w, UINT32_MAX), 20000000);
}

/* The meter shows a steady rate, and nothing after a silence. */
static void meter_steady_and_silent(void **state)
{
	struct rate_meter m;
	uint64_t now = 5000000;

	(void)state;
	rate_meter_init(&m, 2000000, now);
	for (int i = 0; i < 4000; i++) {
		now += 1000;
		rate_meter_add(&m, 5000, now);
	}
	assert_in_range(rate_meter_Bps(&m, now), 4900000, 5100000);
	assert_int_equal(rate_meter_Bps(&m, now + 3000000), 0);
}

/* A bucket lets its rate through and no more, and says how long to wait. */
static void bucket_holds_rate(void **state)
{
	struct rate_bucket b;
	uint64_t now = 1000000, sent = 0, end = now + 10000000;

	(void)state;
	rate_bucket_init(&b, 1000000, now);
	while (now < end) {
		if (rate_bucket_may(&b, now)) {
			rate_bucket_take(&b, 16384);
			sent += 16384;
		} else {
			now += rate_bucket_wait_us(&b, now);
		}
	}
	assert_in_range(sent, 9900000, 10300000);
	rate_bucket_init(&b, 0, now);
	assert_true(rate_bucket_may(&b, now));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(window_finds_bdp),
		cmocka_unit_test(window_follows_rate),
		cmocka_unit_test(limited_rounds_do_not_count),
		cmocka_unit_test(stall_starts_over),
		cmocka_unit_test(timeout_bounds),
		cmocka_unit_test(meter_steady_and_silent),
		cmocka_unit_test(bucket_holds_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
