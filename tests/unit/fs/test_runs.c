/* test_runs — several places of one open file, against readers that seek,
 * alternate, or read at random. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fs/runs.h"

/* ---- Fixture ---- */

#define KIB  UINT64_C(1024)
#define MIB  (1024 * KIB)
#define SIZE (4096 * MIB)

static const struct ahead_net lan = {
	.rate_Bps = 400000000, .rtt_us = 200, .piece_bytes = 1 << 20};

/* ---- Helpers ---- */

static unsigned rd(struct runs *rs, uint64_t off, uint64_t len)
{
	return runs_on_read(rs, off, (uint32_t)len, SIZE, &lan);
}

static void read_on(struct runs *rs, uint64_t from, uint64_t bytes)
{
	for (uint64_t off = from; off < from + bytes; off += 128 * KIB)
		rd(rs, off, 128 * KIB);
}

/* All windows together. */
static uint64_t windows(const struct runs *rs)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < RUNS_MAX; i++)
		sum += rs->run[i].ahead.window_bytes;
	return sum;
}

static uint64_t window_at(const struct runs *rs)
{
	return rs->run[rs->at].ahead.window_bytes;
}

/* ---- Tests ---- */

/* One reader is served as by one window. */
static void one_reader_has_one_run(void **state)
{
	struct runs rs;

	runs_init(&rs);
	read_on(&rs, 0, 16 * MIB);
	assert_true(window_at(&rs) >= 32 * MIB);
	assert_int_equal(windows(&rs), window_at(&rs));
}

/* A seek drops the window that is left, and says so. */
static void a_seek_drops_the_window(void **state)
{
	struct runs rs;
	unsigned left;

	runs_init(&rs);
	read_on(&rs, 0, 16 * MIB);
	left = rs.at;
	assert_int_equal(rd(&rs, 600 * MIB, 128 * KIB), 1u << left);
	assert_int_equal(windows(&rs), 0);
}

/* Who seeks again and again never has more than the window he reads in. */
static void a_seeker_has_one_window(void **state)
{
	struct runs rs;

	runs_init(&rs);
	for (unsigned i = 0; i < 20; i++) {
		read_on(&rs, (uint64_t)i * 150 * MIB, 4 * MIB);
		assert_int_equal(windows(&rs), window_at(&rs));
		assert_true(window_at(&rs) > 0);
	}
}

/* Who comes back finds his window as large as it was. */
static void who_returns_goes_on(void **state)
{
	struct runs rs;
	uint64_t before;

	runs_init(&rs);
	read_on(&rs, 0, 16 * MIB);
	before = window_at(&rs);
	rd(&rs, 3000 * MIB, 64 * KIB);
	assert_int_equal(windows(&rs), 0);
	assert_int_not_equal(rd(&rs, 16 * MIB, 128 * KIB), 0);
	assert_true(window_at(&rs) >= before);
}

/* Index and frames by turns, gigabytes apart: after the first turns neither
 * window is dropped any more, and both grow. */
static void two_places_by_turns_both_have_windows(void **state)
{
	struct runs rs;
	unsigned i;

	runs_init(&rs);
	for (i = 0; i < 64; i++) {
		rd(&rs, 10 * MIB + i * 128 * KIB, 128 * KIB);
		rd(&rs, 3000 * MIB + i * 9 * KIB, 9 * KIB);
		if (i < 3)
			continue;
		assert_true(rs.run[0].ahead.window_bytes > 0);
		assert_true(rs.run[1].ahead.window_bytes > 0);
	}
	assert_true(rs.run[0].ahead.window_bytes >= 16 * MIB);
}

/* A place that was read by turns and then left loses its window in the end. */
static void an_idle_place_is_given_up(void **state)
{
	struct runs rs;
	unsigned i;

	runs_init(&rs);
	for (i = 0; i < 8; i++) {
		rd(&rs, i * 128 * KIB, 128 * KIB);
		rd(&rs, 3000 * MIB + i * 128 * KIB, 128 * KIB);
	}
	assert_true(windows(&rs) > window_at(&rs));
	read_on(&rs, MIB, 16 * MIB);
	assert_int_equal(windows(&rs), window_at(&rs));
}

/* Four threads with one descriptor, each reading on in pairs that come in
 * disorder: each has its window. */
static void four_threads_have_four_windows(void **state)
{
	struct runs rs;
	uint64_t off;
	unsigned i;

	runs_init(&rs);
	for (off = 0; off < 16 * MIB; off += 256 * KIB)
		for (i = 0; i < 4; i++) {
			rd(&rs, i * 1000 * MIB + off + 128 * KIB, 128 * KIB);
			rd(&rs, i * 1000 * MIB + off, 128 * KIB);
		}
	for (i = 0; i < 4; i++)
		assert_true(rs.run[i].ahead.window_bytes >= 16 * MIB);
}

/* Reads at random places get next to no window, however many are remembered. */
static void random_reads_get_next_to_nothing(void **state)
{
	uint64_t off = 12345 * KIB, got = 0;
	struct runs rs;
	unsigned i;

	runs_init(&rs);
	for (i = 0; i < 1000; i++) {
		off = (off * 7 + 333 * MIB + i * 4097 * KIB) % (SIZE - MIB);
		rd(&rs, off & ~UINT64_C(4095), 4 * KIB);
		got += window_at(&rs);
	}
	assert_true(got <= 10 * MIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_reader_has_one_run),
		cmocka_unit_test(a_seek_drops_the_window),
		cmocka_unit_test(a_seeker_has_one_window),
		cmocka_unit_test(who_returns_goes_on),
		cmocka_unit_test(two_places_by_turns_both_have_windows),
		cmocka_unit_test(an_idle_place_is_given_up),
		cmocka_unit_test(four_threads_have_four_windows),
		cmocka_unit_test(random_reads_get_next_to_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
