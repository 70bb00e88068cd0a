/* Unit: mounthelper. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cmd/mounthelper.h"

#define WORD(text) ((char[]){text})

/* What mount(8) passes, and what is left of it. */
static void drops_what_is_not_ours(void **state)
{
	char *argv[] = {WORD("/sbin/mount.shoalfs"),
			WORD("magnet:?x"),
			WORD("/mnt"),
			WORD("-sn"),
			WORD("-v"),
			WORD("-t"),
			WORD("shoalfs"),
			WORD("-o"),
			WORD("ro,wait=1"),
			NULL};
	bool is_fake = true;

	assert_true(mounthelper_is(argv[0]));
	assert_int_equal(mounthelper_words(9, argv, &is_fake), 5);
	assert_false(is_fake);
	assert_string_equal(argv[1], "magnet:?x");
	assert_string_equal(argv[2], "/mnt");
	assert_string_equal(argv[3], "-o");
	assert_string_equal(argv[4], "ro,wait=1");
	assert_null(argv[5]);
}

/* -f is mount(8)'s: nothing is mounted. */
static void fake_is_not_front(void **state)
{
	char *argv[] = {WORD("mount.shoalfs"), WORD("a"),    WORD("b"),
			WORD("-fv"),	       WORD("-oro"), NULL};
	char *bad[] = {WORD("mount.shoalfs"), WORD("a"), WORD("b"), WORD("-x"),
		       NULL};
	bool is_fake = false;

	assert_int_equal(mounthelper_words(5, argv, &is_fake), 4);
	assert_true(is_fake);
	assert_string_equal(argv[3], "-oro");
	assert_int_equal(mounthelper_words(4, bad, &is_fake), -1);
	assert_false(mounthelper_is("/usr/bin/shoalfs"));
	assert_false(mounthelper_is(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(drops_what_is_not_ours),
		cmocka_unit_test(fake_is_not_front),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
