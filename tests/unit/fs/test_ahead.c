/* test_ahead — the read-ahead window, against what the kernel really sends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fs/ahead.h"

/* ---- Fixture ---- */

#define KIB  UINT64_C(1024)
#define MIB  (1024 * KIB)
#define SIZE (1024 * MIB)

static const struct ahead_net lan = {.rate_Bps = 400000000,
				     .rtt_us = 200,
				     .piece_bytes = 1 << 20,
				     .room_bytes = 0};
static const struct ahead_net unknown = {.piece_bytes = 1 << 20,
					 .room_bytes = 0};

static bool rd(struct ahead *a, uint64_t off, uint64_t len,
	       const struct ahead_net *net)
{
	return ahead_on_read(a, off, (uint32_t)len, SIZE, net);
}

/* ---- Assertions ---- */

/* The window is whole, in the file, and begins where the reader goes on or
 * before; it covers what is next. */
static void assert_sound(const struct ahead *a)
{
	assert_true(a->window_bytes <= AHEAD_MAX_BYTES);
	assert_true(a->from_bytes <= a->next_bytes);
	if (a->window_bytes != 0)
		assert_true(a->from_bytes + a->window_bytes <= SIZE);
}

/* ---- Tests ---- */

/* head -c1: one read, no window. */
static void first_read_gets_none(void **state)
{
	struct ahead a;

	ahead_init(&a);
	assert_false(rd(&a, 0, 16 * KIB, &lan));
	assert_int_equal(a.window_bytes, 0);
}

/* The second read in sequence is evidence: a window of one piece, right after
 * what was read. */
static void second_read_gets_one(void **state)
{
	struct ahead a;

	ahead_init(&a);
	rd(&a, 0, 16 * KIB, &lan);
	assert_true(rd(&a, 16 * KIB, 128 * KIB, &lan));
	assert_true(a.from_bytes == 144 * KIB);
	assert_true(a.window_bytes == AHEAD_MIN_BYTES);
}

/* Pieces larger than the smallest window: the window holds one. */
static void holds_a_piece(void **state)
{
	struct ahead_net net = {.piece_bytes = 16 << 20};
	struct ahead a;

	ahead_init(&a);
	rd(&a, 0, 128 * KIB, &net);
	rd(&a, 128 * KIB, 128 * KIB, &net);
	assert_true(a.window_bytes == 16 * MIB);
}

/* dd on a fast network: 32 MiB of window within the first 12 MiB. */
static void dd_gets_up_to_speed(void **state)
{
	struct ahead a;
	uint64_t off = 0;

	ahead_init(&a);
	while (a.window_bytes < 32 * MIB) {
		rd(&a, off, 128 * KIB, &lan);
		assert_sound(&a);
		off += 128 * KIB;
		assert_true(off <= 12 * MIB);
	}
}

/* While nothing is known of the network 16 MiB are reached all the same; and
 * not more. */
static void unknown_network(void **state)
{
	struct ahead a;

	ahead_init(&a);
	for (uint64_t off = 0; off < 64 * MIB; off += 128 * KIB)
		rd(&a, off, 128 * KIB, &unknown);
	assert_true(a.window_bytes == 16 * MIB);
}

/* cat: pairs of 256 KiB, the second of each pair first. The same window as in
 * order, never a seek. */
static void reordered_pairs(void **state)
{
	struct ahead a;

	ahead_init(&a);
	rd(&a, 0, 256 * KIB, &lan);
	for (uint64_t off = 256 * KIB; off < 20 * MIB; off += 512 * KIB) {
		rd(&a, off + 256 * KIB, 256 * KIB, &lan);
		assert_true(a.window_bytes > 0);
		rd(&a, off, 256 * KIB, &lan);
		assert_true(a.window_bytes > 0);
		assert_sound(&a);
	}
	assert_true(a.window_bytes >= 32 * MIB);
}

/* Whatever the steps of reporting, a sequential reader always has at least
 * half of what he had a right to before him. */
static void window_keeps_ahead(void **state)
{
	struct ahead a;

	ahead_init(&a);
	for (uint64_t off = 0; off < 200 * MIB; off += 128 * KIB) {
		rd(&a, off, 128 * KIB, &lan);
		if (off > 32 * MIB)
			assert_true(a.from_bytes + a.window_bytes >=
				    a.next_bytes + 32 * MIB);
	}
}

/* Moving the cursor costs: one read in eight does, fewer with large pieces.
 * And no step asks for much at once, however long the window has become. */
static void moves_in_steps(void **state)
{
	struct ahead_net large = {50000000, 50000, 4 << 20, 0, 0};
	unsigned reports = 0, large_reports = 0, reads = 0;
	struct ahead a, b;

	ahead_init(&a);
	ahead_init(&b);
	for (uint64_t off = 0; off < 512 * MIB; off += 128 * KIB, reads++) {
		uint64_t end = a.from_bytes + a.window_bytes;

		if (rd(&a, off, 128 * KIB, &lan)) {
			reports++;
			if (off > 64 * MIB)
				assert_true(a.from_bytes + a.window_bytes <=
					    end + MIB + 128 * KIB);
		}
		large_reports += rd(&b, off, 128 * KIB, &large);
	}
	assert_true(reports > 0 && large_reports > 0);
	assert_true(reports < reads / 7);
	assert_true(large_reports < reads / 25);
}

/* A seek drops the window at once; the read there gets none of its own until
 * it is continued. */
static void seek_starts_anew(void **state)
{
	struct ahead a;

	ahead_init(&a);
	for (uint64_t off = 0; off < 8 * MIB; off += 128 * KIB)
		rd(&a, off, 128 * KIB, &lan);
	assert_true(a.window_bytes > 4 * MIB);
	assert_true(rd(&a, 600 * MIB, 128 * KIB, &lan));
	assert_int_equal(a.window_bytes, 0);
	assert_true(rd(&a, 600 * MIB + 128 * KIB, 128 * KIB, &lan));
	assert_true(a.from_bytes == 600 * MIB + 256 * KIB);
	assert_true(a.window_bytes == AHEAD_MIN_BYTES);
}

/* Reading again what lies far back is a seek as well. */
static void far_back_is_a_seek(void **state)
{
	struct ahead a;

	ahead_init(&a);
	for (uint64_t off = 0; off < 8 * MIB; off += 128 * KIB)
		rd(&a, off, 128 * KIB, &lan);
	assert_true(rd(&a, 0, 128 * KIB, &lan));
	assert_int_equal(a.window_bytes, 0);
}

/* Reading again what lies near changes nothing, and does not count twice. */
static void near_back_counts_nothing(void **state)
{
	struct ahead a, before;

	ahead_init(&a);
	for (uint64_t off = 0; off < 4 * MIB; off += 128 * KIB)
		rd(&a, off, 128 * KIB, &lan);
	before = a;
	for (int i = 0; i < 100; i++)
		assert_false(rd(&a, 3 * MIB, 128 * KIB, &lan));
	assert_memory_equal(&a, &before, sizeof(a));
}

/* Random reads all over a file never get a window. */
static void random_reads_get_none(void **state)
{
	uint64_t off = 12345 * KIB;
	struct ahead a;

	ahead_init(&a);
	for (int i = 0; i < 1000; i++) {
		off = (off * 7 + 333 * MIB) % (SIZE - MIB);
		rd(&a, off & ~UINT64_C(4095), 4 * KIB, &lan);
		if (i > 0)
			assert_true(a.window_bytes <= AHEAD_MIN_BYTES);
	}
}

/* Small scattered reads near each other get a window in proportion to what
 * was read, not to how far they reach. */
static void scattered_reads_stay_small(void **state)
{
	struct ahead a;

	ahead_init(&a);
	for (uint64_t off = 0; off < 40 * MIB; off += MIB)
		rd(&a, off, 4 * KIB, &lan);
	assert_true(a.window_bytes == AHEAD_MIN_BYTES);
}

/* mmap: requests of 128 KiB around each fault, which overlap. */
static void mmap_faults(void **state)
{
	struct ahead a;

	ahead_init(&a);
	for (uint64_t at = 64 * KIB; at < 20 * MIB; at += 64 * KIB)
		rd(&a, at - 64 * KIB, 128 * KIB, &lan);
	assert_true(a.window_bytes >= 32 * MIB);
	assert_true(a.run_bytes <= 20 * MIB + 128 * KIB);
}

/* Two readers with a handle each do not disturb each other. */
static void two_handles(void **state)
{
	struct ahead a, b;

	ahead_init(&a);
	ahead_init(&b);
	for (uint64_t off = 0; off < 16 * MIB; off += 128 * KIB) {
		rd(&a, off, 128 * KIB, &lan);
		rd(&b, 500 * MIB + off, 128 * KIB, &lan);
	}
	assert_true(a.window_bytes >= 32 * MIB);
	assert_true(b.window_bytes >= 32 * MIB);
}

/* The window ends with the file, the last step is reported, and at the end
 * there is none. */
static void ends_with_the_file(void **state)
{
	uint64_t size = 5 * MIB + 1000, covered = 0;
	struct ahead a;

	ahead_init(&a);
	for (uint64_t off = 0; off < size; off += 128 * KIB) {
		uint64_t len = size - off < 128 * KIB ? size - off : 128 * KIB;

		ahead_on_read(&a, off, (uint32_t)len, size, &lan);
		assert_true(a.from_bytes + a.window_bytes <= size);
		if (a.from_bytes + a.window_bytes > covered)
			covered = a.from_bytes + a.window_bytes;
	}
	assert_true(covered == size);
	assert_int_equal(a.window_bytes, 0);
}

/* A fast far network gets the most, a slow one what it brings in two seconds,
 * whatever nonsense is measured. */
static void follows_the_network(void **state)
{
	struct ahead_net far = {50000000, 150000, 1 << 20, 0, 0};
	struct ahead_net slow = {100000, 50000, 1 << 18, 0, 0};
	struct ahead_net wild = {UINT64_MAX, UINT32_MAX, UINT32_MAX, 0, 0};
	struct ahead a, b, c;

	ahead_init(&a);
	ahead_init(&b);
	ahead_init(&c);
	for (uint64_t off = 0; off < 100 * MIB; off += 128 * KIB) {
		rd(&a, off, 128 * KIB, &far);
		rd(&b, off, 128 * KIB, &slow);
		rd(&c, off, 128 * KIB, &wild);
	}
	assert_true(a.window_bytes == AHEAD_MAX_BYTES);
	assert_true(b.window_bytes == 16 * MIB);
	assert_true(c.window_bytes == AHEAD_MAX_BYTES);
}

/* What cannot be kept until it is read is not fetched: the window is what there
 * is room for, and where that is not two pieces it is what the kernel asks for
 * next. */
static void fits_the_room(void **state)
{
	struct ahead_net small = lan, tiny = lan;
	struct ahead a, b;

	small.room_bytes = 8 * MIB;
	tiny.room_bytes = MIB + 1;
	ahead_init(&a);
	ahead_init(&b);
	for (uint64_t off = 0; off < 32 * MIB; off += 128 * KIB) {
		rd(&a, off, 128 * KIB, &small);
		rd(&b, off, 128 * KIB, &tiny);
		assert_sound(&a);
		assert_true(a.window_bytes <= 8 * MIB);
		assert_true(b.window_bytes <= 256 * KIB);
	}
	assert_int_equal(a.window_bytes, 8 * MIB);
	assert_true(b.window_bytes > 0);
}

/* A read that was not answered stays in the window, through what the kernel
 * sends next, until its pages were asked for one by one. */
static void owed_bytes_stay(void **state)
{
	struct ahead a;

	ahead_init(&a);
	rd(&a, 0, 512 * KIB, &lan);
	assert_true(ahead_owe(&a, 0, 512 * KIB));
	assert_int_equal(a.from_bytes, 0);
	assert_int_equal(a.window_bytes, 512 * KIB);
	rd(&a, 0, 4 * KIB, &lan);
	assert_true(rd(&a, 512 * KIB, 512 * KIB, &lan));
	assert_sound(&a);
	assert_true(a.from_bytes <= 4 * KIB);
	assert_true(a.from_bytes + a.window_bytes >= 2 * MIB);
	assert_true(ahead_owe(&a, 512 * KIB, 512 * KIB));
	assert_true(a.from_bytes <= 4 * KIB);
	for (uint64_t at = 4 * KIB; at < MIB; at += 4 * KIB)
		rd(&a, at, 4 * KIB, &lan);
	assert_true(rd(&a, MIB, 512 * KIB, &lan));
	assert_int_equal(a.from_bytes, MIB + 512 * KIB);
	assert_sound(&a);
}

/* Nor is it kept for ever: who goes on without, or elsewhere, does not want it.
 * What is no part of the run is nobody's. */
static void owed_bytes_go(void **state)
{
	struct ahead a;

	ahead_init(&a);
	assert_false(ahead_owe(&a, 0, 512 * KIB));
	rd(&a, 0, 512 * KIB, &lan);
	assert_true(ahead_owe(&a, 0, 512 * KIB));
	for (uint64_t at = 512 * KIB; at < 8 * MIB; at += 128 * KIB)
		rd(&a, at, 128 * KIB, &lan);
	assert_true(a.from_bytes >= 4 * MIB);
	assert_false(ahead_owe(&a, 0, 512 * KIB));
	assert_true(ahead_owe(&a, 7 * MIB, 512 * KIB));
	assert_true(rd(&a, 100 * MIB, 4 * KIB, &lan));
	assert_int_equal(a.window_bytes, 0);
	rd(&a, 100 * MIB + 4 * KIB, 4 * KIB, &lan);
	assert_int_equal(a.from_bytes, 100 * MIB + 8 * KIB);
	ahead_drop(&a);
	assert_int_equal(a.window_bytes, 0);
	assert_sound(&a);
}

/* Of a reader who has found here all that he read only a long run counts; the
 * moment he does not, the whole of it does. */
static void quiet_readers_get_none(void **state)
{
	struct ahead_net quiet = lan;
	struct ahead a;

	quiet.quiet_bytes = 8 * MIB;
	ahead_init(&a);
	for (uint64_t off = 0; off < 8 * MIB; off += 128 * KIB)
		assert_false(rd(&a, off, 128 * KIB, &quiet));
	assert_int_equal(a.window_bytes, 0);
	assert_true(rd(&a, 8 * MIB, 128 * KIB, &quiet));
	assert_int_equal(a.window_bytes, 4 * (8 * MIB + 128 * KIB));
	ahead_init(&a);
	for (uint64_t off = 0; off < MIB; off += 128 * KIB)
		assert_false(rd(&a, off, 128 * KIB, &quiet));
	assert_true(rd(&a, MIB, 128 * KIB, &lan));
	assert_int_equal(a.window_bytes, 4 * (MIB + 128 * KIB));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_read_gets_none),
		cmocka_unit_test(second_read_gets_one),
		cmocka_unit_test(holds_a_piece),
		cmocka_unit_test(dd_gets_up_to_speed),
		cmocka_unit_test(unknown_network),
		cmocka_unit_test(reordered_pairs),
		cmocka_unit_test(window_keeps_ahead),
		cmocka_unit_test(moves_in_steps),
		cmocka_unit_test(seek_starts_anew),
		cmocka_unit_test(far_back_is_a_seek),
		cmocka_unit_test(near_back_counts_nothing),
		cmocka_unit_test(random_reads_get_none),
		cmocka_unit_test(scattered_reads_stay_small),
		cmocka_unit_test(mmap_faults),
		cmocka_unit_test(two_handles),
		cmocka_unit_test(ends_with_the_file),
		cmocka_unit_test(follows_the_network),
		cmocka_unit_test(fits_the_room),
		cmocka_unit_test(owed_bytes_stay),
		cmocka_unit_test(owed_bytes_go),
		cmocka_unit_test(quiet_readers_get_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
