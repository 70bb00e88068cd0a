/* test_rng — random numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"

/* The stream is splitmix64: the first values of seed 1234567 are known. */
static void stream_is_splitmix64(void **state)
{
	struct rng r;

	rng_seed(&r, 1234567);
	assert_true(rng_next(&r) == UINT64_C(6457827717110365317));
	assert_true(rng_next(&r) == UINT64_C(3203168211198807973));
	assert_true(rng_next(&r) == UINT64_C(9817491932198370423));
}

/* One seed, one stream; another seed, another. */
static void replays(void **state)
{
	struct rng a, b, c;
	bool same = true;

	rng_seed(&a, 7);
	rng_seed(&b, 7);
	rng_seed(&c, 8);
	for (int i = 0; i < 100; i++) {
		uint64_t v = rng_next(&a);

		assert_true(v == rng_next(&b));
		same = same && v == rng_next(&c);
	}
	assert_false(same);
}

/* rng_below stays below, reaches every value, and about equally often. */
static void below_is_uniform(void **state)
{
	unsigned seen[7] = {0};
	struct rng r;

	rng_seed(&r, 1);
	for (int i = 0; i < 7000; i++)
		seen[rng_below(&r, 7)]++;
	for (int i = 0; i < 7; i++)
		assert_in_range(seen[i], 850, 1150);
	assert_int_equal(rng_below(&r, 1), 0);
	for (int i = 0; i < 100; i++)
		assert_true(rng_below(&r, UINT64_MAX) < UINT64_MAX);
}

/* The kernel's bytes fill all that was asked for, and never repeat. */
static void kernel_fills_all(void **state)
{
	static const uint8_t zeros[16];
	uint8_t a[1000] = {0};

	rng_bytes(a, sizeof(a));
	for (size_t i = 0; i + 16 <= sizeof(a); i += 16)
		assert_memory_not_equal(a + i, zeros, 16);
	rng_bytes(a, 0);
	assert_true(rng_u64() != rng_u64());
	assert_true(rng_u32() != rng_u32() || rng_u32() != rng_u32());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stream_is_splitmix64),
		cmocka_unit_test(replays),
		cmocka_unit_test(below_is_uniform),
		cmocka_unit_test(kernel_fills_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
