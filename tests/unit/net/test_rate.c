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

/* A peer at the end of a short wire whose answers take `answer_us` all the
 * same, and come in order at no more than `Bps`. */
struct slow_peer {
	struct rate_window w;
	struct {
		uint64_t asked_us, due_us;
		uint32_t ahead;
	} q[4096];
	unsigned head, tail;
	uint64_t now_us, free_us, got_bytes;
	uint32_t out_bytes;
};

enum { BLOCK = 16384, SLOTS = 4096 };

static void slow_ask(struct slow_peer *p, uint64_t Bps, uint32_t answer_us)
{
	unsigned at = p->tail++ % SLOTS;
	uint64_t due = p->now_us + answer_us;

	p->free_us += BLOCK * UINT64_C(1000000) / Bps;
	if (p->free_us < due)
		p->free_us = due;
	p->q[at].asked_us = p->now_us;
	p->q[at].due_us = p->free_us;
	p->q[at].ahead = p->out_bytes;
	p->out_bytes += BLOCK;
}

/* Runs with the window always used up; the rate that came of it. */
static uint64_t run_slow(struct slow_peer *p, uint64_t us, uint64_t Bps,
			 uint32_t answer_us)
{
	uint64_t end = p->now_us + us;

	p->got_bytes = 0;
	for (; p->now_us < end; p->now_us += 1000) {
		rate_window_on_rtt(&p->w, 1000);
		while (p->head != p->tail &&
		       p->q[p->head % SLOTS].due_us <= p->now_us) {
			unsigned at = p->head++ % SLOTS;

			p->out_bytes -= BLOCK;
			p->got_bytes += BLOCK;
			rate_window_on_answer(&p->w,
					      p->now_us - p->q[at].asked_us,
					      p->q[at].ahead, p->now_us);
			rate_window_on_bytes(&p->w, BLOCK, false, p->now_us);
		}
		while (p->out_bytes < p->w.window_bytes)
			slow_ask(p, Bps, answer_us);
	}
	return p->got_bytes * 1000000 / us;
}

static void slow_init(struct slow_peer *p)
{
	p->head = p->tail = 0;
	p->out_bytes = 0;
	p->now_us = 1000000;
	p->free_us = 0;
	rate_window_init(&p->w, p->now_us);
}

/* How long a seek waits behind what is out. */
static uint64_t queue_us(const struct slow_peer *p, uint64_t Bps)
{
	return p->w.window_bytes * UINT64_C(1000000) / Bps;
}

/* A peer whose answers take far longer than its round trip (a busy disk, a
 * proxy) is kept busy for good, and seeks do not wait behind much more than
 * its delay. */
static void slow_answers_are_filled(void **state)
{
	static struct slow_peer p;
	const uint32_t answer[] = {1000, 60000, 100000, 150000};
	const uint64_t line[] = {1000000, 12500000, 60000000};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		for (unsigned k = 0; k < 3; k++) {
			uint64_t Bps = line[k];

			slow_init(&p);
			run_slow(&p, 4000000, Bps, answer[i]);
			for (int n = 0; n < 10; n++) {
				assert_true(
					run_slow(&p, 6000000, Bps, answer[i]) >
					Bps * 94 / 100);
				assert_true(queue_us(&p, Bps) <
					    2 * answer[i] + 150000);
			}
		}
	}
}

/* A delay that grows is met within some seconds; one that goes leaves no
 * queue behind. */
static void delay_is_followed(void **state)
{
	static struct slow_peer p;

	(void)state;
	slow_init(&p);
	run_slow(&p, 8000000, 12500000, 1000);
	run_slow(&p, 3000000, 12500000, 150000);
	assert_true(run_slow(&p, 8000000, 12500000, 150000) > 11000000);
	run_slow(&p, 12000000, 12500000, 1000);
	assert_true(run_slow(&p, 8000000, 12500000, 1000) > 11000000);
	assert_true(queue_us(&p, 12500000) < 130000);
	run_slow(&p, 12000000, 12500000, 80000);
	assert_true(run_slow(&p, 8000000, 12500000, 80000) > 11000000);
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

/* When a peer begins to send, the time before says nothing of its rate. */
static void first_bytes_are_no_round(void **state)
{
	struct rate_window w;
	uint64_t now = 1000000;

	(void)state;
	rate_window_init(&w, now);
	rate_window_on_rtt(&w, 50000);
	now += 400000;
	rate_window_on_bytes(&w, 1448, false, now);
	assert_int_equal(w.rate_Bps, 0);
	for (unsigned i = 0; i < 50; i++)
		rate_window_on_bytes(&w, 10000, false, now += 1000);
	assert_in_range(w.rate_Bps, 8000000, 11000000);
}

/* What had piled up while we did not read comes faster than any line; it says
 * nothing of the peer. */
static void deaf_rounds_do_not_count(void **state)
{
	struct rate_window w;
	uint64_t now = 1000000, rate;

	(void)state;
	rate_window_init(&w, now);
	run_peer(&w, &now, 2000000, 10000000, 20000);
	rate = w.rate_Bps;
	now += 3000000;
	rate_window_on_deaf(&w, now);
	rate_window_on_bytes(&w, 4 << 20, false, now + 100);
	rate_window_on_bytes(&w, 16384, false, now + 20000);
	now += 20000;
	assert_int_equal(w.rate_Bps, rate);
	run_peer(&w, &now, 2000000, 10000000, 20000);
	assert_in_range(w.rate_Bps, 8000000, 12000000);
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
	assert_true(rate_window_timeout_us(&w, 0) > 2000000);
	run_peer(&w, &now, 2000000, 1000000, 50000);
	assert_true(rate_window_timeout_us(&w, 1000000) >
		    rate_window_timeout_us(&w, 16384) + 1000000);
	assert_int_equal(rate_window_timeout_us(&w, UINT32_MAX), 20000000);
}

/* A sender that deals out its share every half second, as dense as the line
 * takes it, is taken for what it brings in all; the window lasts from one share
 * to the next, and no pause of the usual length is a stall. */
static void bursts_are_not_a_rate(void **state)
{
	struct rate_window w;
	uint64_t now = 1000000;

	(void)state;
	rate_window_init(&w, now);
	rate_window_on_rtt(&w, 1000);
	for (int burst = 0; burst < 20; burst++) {
		now += 500000;
		rate_window_on_gap(&w, 500000, now);
		for (int i = 0; i < 8; i++) {
			rate_window_on_bytes(&w, 16384, false, now);
			now += 100;
		}
		now -= 800;
	}
	assert_in_range(w.rate_Bps, 200000, 350000);
	assert_in_range(w.window_bytes, 131072, 400000);
	assert_true(rate_window_timeout_us(&w, 16384) >= 1000000);
}

/* One long pause is an accident: no window is made for it. */
static void one_pause_is_no_habit(void **state)
{
	struct rate_window w;
	uint64_t now = 1000000;
	uint32_t before;

	(void)state;
	rate_window_init(&w, now);
	run_peer(&w, &now, 2000000, 10000000, 20000);
	before = w.window_bytes;
	rate_window_on_gap(&w, 2000000, now);
	run_peer(&w, &now, 1000000, 10000000, 20000);
	assert_in_range(w.window_bytes, before / 2, before * 2);
}

/* Doubt comes long before a stall, a little after an answer is due. */
static void doubt_comes_first(void **state)
{
	struct rate_window w;
	uint64_t now = 1000000;

	(void)state;
	rate_window_init(&w, now);
	rate_window_on_rtt(&w, 50000);
	assert_in_range(rate_window_doubt_us(&w), 100000, 250000);
	run_peer(&w, &now, 2000000, 1000000, 50000);
	assert_in_range(rate_window_doubt_us(&w), 60000, 400000);
	assert_true(rate_window_doubt_us(&w) <
		    rate_window_timeout_us(&w, w.window_bytes));
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

/* Takes `turn` bytes whenever it may until `end_us`, looking no sooner than
 * every `tick_us`; returns how many in all. */
static uint64_t drain(struct rate_bucket *b, int64_t turn, uint64_t tick_us,
		      uint64_t *now, uint64_t end_us)
{
	uint64_t taken = 0, wait;

	while (*now < end_us) {
		if (rate_bucket_may(b, *now)) {
			rate_bucket_take(b, turn);
			taken += (uint64_t)turn;
			continue;
		}
		wait = rate_bucket_wait_us(b, 1, *now);
		*now += wait > tick_us ? wait : tick_us;
	}
	return taken;
}

/* A bucket lets its rate through and no more, from the first moment on, and
 * says how long to wait; at any rate, and however often it is looked at. */
static void bucket_holds_rate(void **state)
{
	static const uint64_t rates[] = {700, 15000, 1000000, 50000000,
					 1000000000};
	struct rate_bucket b;
	uint64_t now = 1000000, taken;

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		rate_bucket_init(&b, rates[i], now);
		taken = drain(&b, 16384, 1, &now, now + 10000000);
		assert_in_range(taken, rates[i] * 10 * 99 / 100,
				rates[i] * 10 * 101 / 100 + 16384);
	}
	rate_bucket_init(&b, 15000, now);
	taken = 0;
	for (unsigned i = 0; i < 1000000; i++) {
		if (rate_bucket_may(&b, now += 7)) {
			rate_bucket_take(&b, 1);
			taken++;
		}
	}
	assert_in_range(taken, 7 * 15000 - 2, 7 * 15000 + 2);
}

/* After a pause there is an eighth of a second's worth, however long it was. */
static void bucket_saves_little(void **state)
{
	struct rate_bucket b;
	uint64_t now = 5000000;

	(void)state;
	rate_bucket_init(&b, 800000, now);
	assert_false(rate_bucket_may(&b, now));
	now += UINT64_C(86400) * 1000000;
	assert_in_range(rate_bucket_tokens(&b, now), 100000, 100001);
	rate_bucket_take(&b, -5000);
	assert_in_range(rate_bucket_tokens(&b, now), 100000, 100001);
	rate_bucket_take(&b, 100001);
	assert_false(rate_bucket_may(&b, now));
}

/* A debt is made good at the rate, be it of many seconds, and the wait for any
 * part of it is known. */
static void bucket_makes_good(void **state)
{
	struct rate_bucket b;
	uint64_t now = 5000000;

	(void)state;
	rate_bucket_init(&b, 1000, now);
	rate_bucket_take(&b, 10000);
	assert_in_range(rate_bucket_wait_us(&b, -4000, now), 6000000, 6000001);
	now += 9500000;
	assert_int_equal(rate_bucket_tokens(&b, now), -500);
	assert_false(rate_bucket_may(&b, now));
	now += rate_bucket_wait_us(&b, 1, now);
	assert_true(rate_bucket_may(&b, now));
}

/* A changed rate counts from now on: what was taken stays taken. Without a
 * rate nothing waits, and nothing is remembered. */
static void bucket_changes_rate(void **state)
{
	struct rate_bucket b;
	uint64_t now = 5000000;

	(void)state;
	rate_bucket_init(&b, 1000, now);
	rate_bucket_take(&b, 2000);
	rate_bucket_set(&b, 4000, now + 1000000);
	assert_int_equal(rate_bucket_tokens(&b, now + 1000000), -1000);
	assert_true(rate_bucket_may(&b, now + 1250000 + 1000));
	rate_bucket_set(&b, 0, now + 2000000);
	assert_true(rate_bucket_may(&b, now + 2000000));
	rate_bucket_take(&b, 1 << 30);
	assert_int_equal(rate_bucket_wait_us(&b, 1, now + 2000000), 0);
	rate_bucket_set(&b, 1000, now + 2000000);
	assert_int_equal(rate_bucket_tokens(&b, now + 2000000), 0);
}

/* Of a fast peer on the same wire a few milliseconds' worth is out, not tens:
 * some senders go through their whole queue for each answer. */
static void a_near_peers_queue_is_short(void **state)
{
	const uint64_t Bps = 600000000;
	struct rate_window w;
	uint64_t now = 1000000;

	(void)state;
	rate_window_init(&w, now);
	run_peer(&w, &now, 1000000, Bps, 500);
	assert_false(w.is_growing);
	assert_in_range(w.window_bytes, Bps / 1000 * 3, Bps / 1000 * 8);
	assert_in_range(rate_window_calm_bytes(&w), Bps / 1000 * 3,
			Bps / 1000 * 6);
}

/* What nobody waits for is asked for in a smaller window than what somebody
 * reads, once the rate is known; it never is more. */
static void calm_window_is_smaller(void **state)
{
	struct rate_window w;

	(void)state;
	rate_window_init(&w, 0);
	assert_int_equal(rate_window_calm_bytes(&w), w.window_bytes);
	w.is_growing = false;
	w.rate_Bps = 10000000;
	w.delay_us = 50000;
	w.window_bytes = 1000000;
	assert_int_equal(rate_window_calm_bytes(&w), 800000);
	w.window_bytes = 300000;
	assert_int_equal(rate_window_calm_bytes(&w), 300000);
}

/* A slow start on a line of 12.5 MB/s, 50 ms away: the line is not full in the
 * pauses of its rounds, and is when there are none and more is out than it
 * brings in two delays. */
static void a_line_is_full(void **state)
{
	uint64_t now = 1000000, end;
	struct rate_line l;

	(void)state;
	rate_line_init(&l, now);
	assert_false(rate_line_is_full(&l, 100 << 20, 50000, now));
	for (uint32_t burst = 60000; burst < 600000; burst *= 2) {
		end = now + 50000;
		for (uint32_t came = 0; came < burst; came += 12500)
			rate_line_on_bytes(&l, 12500, now += 1000);
		if (burst < 400000)
			assert_false(
				rate_line_is_full(&l, 100 << 20, 50000, end));
		now = end;
	}
	for (unsigned i = 0; i < 60; i++)
		rate_line_on_bytes(&l, 12500, now += 1000);
	assert_true(rate_line_is_full(&l, 1400000, 50000, now));
	assert_false(rate_line_is_full(&l, 1000000, 50000, now));
	assert_false(rate_line_is_full(&l, 1400000, 50000, now + 30000));
}

/* While the line is full a window keeps its size. */
static void a_held_window_does_not_grow(void **state)
{
	struct rate_window w;
	uint64_t now = 1000000;

	(void)state;
	rate_window_init(&w, now);
	w.is_held = true;
	rate_window_on_bytes(&w, 16384, false, now += 1000);
	assert_int_equal(w.window_bytes, RATE_WINDOW_MIN_BYTES);
	w.is_held = false;
	rate_window_on_bytes(&w, 16384, false, now += 1000);
	assert_int_equal(w.window_bytes, RATE_WINDOW_MIN_BYTES + 16384);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_full),
		cmocka_unit_test(a_held_window_does_not_grow),
		cmocka_unit_test(a_near_peers_queue_is_short),
		cmocka_unit_test(calm_window_is_smaller),
		cmocka_unit_test(window_finds_bdp),
		cmocka_unit_test(slow_answers_are_filled),
		cmocka_unit_test(delay_is_followed),
		cmocka_unit_test(window_follows_rate),
		cmocka_unit_test(limited_rounds_do_not_count),
		cmocka_unit_test(stall_starts_over),
		cmocka_unit_test(timeout_bounds),
		cmocka_unit_test(doubt_comes_first),
		cmocka_unit_test(one_pause_is_no_habit),
		cmocka_unit_test(bursts_are_not_a_rate),
		cmocka_unit_test(meter_steady_and_silent),
		cmocka_unit_test(first_bytes_are_no_round),
		cmocka_unit_test(deaf_rounds_do_not_count),
		cmocka_unit_test(bucket_holds_rate),
		cmocka_unit_test(bucket_saves_little),
		cmocka_unit_test(bucket_makes_good),
		cmocka_unit_test(bucket_changes_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
