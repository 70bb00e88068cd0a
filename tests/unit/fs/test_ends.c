/* test_ends — whose ends matter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fs/ends.h"

/* Films and archives, whatever the case. */
static void containers_matter(void **state)
{
	assert_true(ends_matter("A Film (2001).mkv"));
	assert_true(ends_matter("clip.MP4"));
	assert_true(ends_matter("data.tar.zip"));
}

/* Data, names without an extension, hidden files: nothing more than is read. */
static void others_do_not(void **state)
{
	assert_false(ends_matter("other.bin"));
	assert_false(ends_matter("mkv"));
	assert_false(ends_matter(".mkv"));
	assert_false(ends_matter("film.mkv.part"));
	assert_false(ends_matter("film."));
	assert_false(ends_matter(""));
}

/* Near is within what would be fetched; all of a small file is near. */
static void near_is_what_is_fetched(void **state)
{
	uint64_t size = UINT64_C(1) << 32;

	assert_true(ends_are_near(0, size));
	assert_true(ends_are_near(ENDS_BYTES - 1, size));
	assert_false(ends_are_near(ENDS_BYTES, size));
	assert_false(ends_are_near(size / 2, size));
	assert_true(ends_are_near(size - 1, size));
	assert_true(ends_are_near(500, 1000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(containers_matter),
		cmocka_unit_test(others_do_not),
		cmocka_unit_test(near_is_what_is_fetched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
