/* test_stamp — how a file was is written down, and read back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cache/stamp.h"

static void a_stamp_survives_the_index(void **state)
{
	const struct stamp s = {.size_bytes = UINT64_MAX,
				.inode = 1,
				.mtime_ns = -5,
				.ctime_ns = INT64_MAX};
	uint8_t raw[STAMP_BYTES];
	struct stamp back;

	(void)state;
	stamp_encode(&s, raw);
	stamp_decode(raw, &back);
	assert_true(stamp_is_equal(&s, &back));
}

static void any_difference_is_one(void **state)
{
	const struct stamp s = {100, 7, 10, 11};
	const struct stamp others[] = {
		{101, 7, 10, 11},
		{100, 8, 10, 11},
		{100, 7, 9, 11},
		{100, 7, 10, 10},
	};

	(void)state;
	assert_true(stamp_is_equal(&s, &s));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_false(stamp_is_equal(&s, &others[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stamp_survives_the_index),
		cmocka_unit_test(any_difference_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
