/* test_name — the sanitiser. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/core_limits.h"
#include "core/name.h"

/* ---- helpers ---- */

static void expect(const char *raw, size_t len, const char *want)
{
	char out[NAME_BUF_BYTES];
	char again[NAME_BUF_BYTES];

	name_clean(raw, len, out);
	assert_string_equal(out, want);
	name_clean(out, strlen(out), again);
	assert_string_equal(again, out);
}

#define EXPECT(raw, want) expect(raw, sizeof(raw) - 1, want)

/* ---- tests ---- */

/* Ordinary names, in any script, stay as they are. */
static void keeps_good_names(void **state)
{
	EXPECT("a", "a");
	EXPECT("foo... bar", "foo... bar");
	EXPECT("...", "...");
	EXPECT(".profile", ".profile");
	EXPECT(" spaced ", " spaced ");
	EXPECT("back\\slash", "back\\slash");
	EXPECT("-rf", "-rf");
	EXPECT("\xc3\xa9\xe6\xbc\xa2\xf0\x9f\x90\x9f.mkv",
	       "\xc3\xa9\xe6\xbc\xa2\xf0\x9f\x90\x9f.mkv");
}

/* What could leave the directory, or is no name, becomes '_'. */
static void cannot_leave_the_directory(void **state)
{
	EXPECT("", "_");
	EXPECT(".", "_");
	EXPECT("..", "_");
	EXPECT("/", "_");
	EXPECT("a/b", "a_b");
	EXPECT("../../etc/passwd", ".._.._etc_passwd");
	EXPECT("a\0b", "a_b");
	EXPECT(".\xe2\x80\x8b.", "_");
	EXPECT("\xe2\x80\x8b", "_");
	EXPECT("\xef\xbb\xbf..", "_");
}

/* Control characters of both sets become '_'. */
static void control_characters(void **state)
{
	EXPECT("\x1b[31m", "_[31m");
	EXPECT("a\nb\tc\x7f", "a_b_c_");
	EXPECT("\xc2\x80\xc2\x9f\xc2\xa0", "__\xc2\xa0");
}

/* Directional marks and zero-width characters vanish. */
static void invisible_characters(void **state)
{
	EXPECT("exe\xe2\x80\xae"
	       "gpj",
	       "exegpj");
	EXPECT("a\xd8\x9c"
	       "b\xe2\x80\x8f"
	       "c\xe2\x81\xa0"
	       "d\xe2\x81\xa9"
	       "e\xef\xbb\xbf",
	       "abcde");
	EXPECT("\xe2\x80\x8a|\xe2\x80\x90", "\xe2\x80\x8a|\xe2\x80\x90");
}

/* Bytes that are no UTF-8 become '_', also overlong and surrogate forms. */
static void invalid_utf8(void **state)
{
	EXPECT("\xc0\xae", "__");
	EXPECT("\xc0\xaf.txt", "__.txt");
	EXPECT("\xe0\x80\xaf", "___");
	EXPECT("\xf0\x80\x80\xaf", "____");
	EXPECT("\xed\xa0\x80", "___");
	EXPECT("\xf4\x90\x80\x80", "____");
	EXPECT("\xff\xfe", "__");
	EXPECT("\xe6\xbc", "__");
	EXPECT("\xe6"
	       "a",
	       "_a");
	EXPECT("\x80", "_");
	/* A dropped character does not join what stood around it. */
	EXPECT("\xc3\xe2\x80\x8b\xa9", "__");
}

/* Long names are cut between code points and keep a short extension. */
static void cuts_long_names(void **state)
{
	char raw[1000];
	char out[NAME_BUF_BYTES];

	memset(raw, 'x', sizeof(raw));
	name_clean(raw, NAME_MAX_BYTES, out);
	assert_int_equal(strlen(out), NAME_MAX_BYTES);
	memcpy(raw + 300, ".mkv", 4);
	name_clean(raw, 304, out);
	assert_int_equal(strlen(out), NAME_MAX_BYTES);
	assert_string_equal(out + NAME_MAX_BYTES - 5, "x.mkv");
	memcpy(raw + 300, ".0123456789", 11);
	name_clean(raw, 311, out);
	assert_string_equal(out + NAME_MAX_BYTES - 12, "x.0123456789");
	memcpy(raw + 300, ".0123456789a", 12);
	name_clean(raw, 312, out);
	assert_string_equal(out + NAME_MAX_BYTES - 2, "xx");

	for (size_t i = 0; i < 300; i += 3)
		memcpy(raw + i, "\xe6\xbc\xa2", 3);
	memcpy(raw + 300, ".ab", 3);
	name_clean(raw, 303, out);
	assert_int_equal(strlen(out), 240); /* 79 characters and ".ab" */
	assert_string_equal(out + 237, ".ab");
}

/* Any two bytes around a dot give a clean name that stays as it is. */
static void is_idempotent(void **state)
{
	char raw[3] = {0, '.', 0};
	char once[NAME_BUF_BYTES];
	char twice[NAME_BUF_BYTES];

	for (unsigned i = 0; i < 65536; i++) {
		raw[0] = (char)(i >> 8);
		raw[2] = (char)i;
		name_clean(raw, 3, once);
		name_clean(once, strlen(once), twice);
		assert_string_equal(once, twice);
		assert_null(strchr(once, '/'));
	}
}

/* A suffix goes before the extension and never makes a name too long. */
static void suffixes(void **state)
{
	static const char *const rows[][2] = {
		{"a", "a.7"},
		{"a.txt", "a.7.txt"},
		{".profile", ".profile.7"},
		{"a.tar.gz", "a.tar.7.gz"},
		{"a.", "a..7"},
		{"a.not-an-extension", "a.not-an-extension.7"},
	};
	char name[NAME_BUF_BYTES];
	char again[NAME_BUF_BYTES];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		(void)snprintf(name, sizeof(name), "%s", rows[i][0]);
		name_suffix(name, 7);
		assert_string_equal(name, rows[i][1]);
	}
	memset(name, 'x', NAME_MAX_BYTES);
	memcpy(name + NAME_MAX_BYTES - 4, ".mkv", 5);
	name_suffix(name, UINT32_MAX);
	assert_int_equal(strlen(name), NAME_MAX_BYTES);
	assert_string_equal(name + NAME_MAX_BYTES - 15, ".4294967295.mkv");
	name_clean(name, strlen(name), again);
	assert_string_equal(again, name);
}

/* Elements that are left out of paths. */
static void skipped_elements(void **state)
{
	assert_true(name_is_skipped("", 0));
	assert_true(name_is_skipped(NULL, 0));
	assert_true(name_is_skipped(".", 1));
	assert_true(name_is_skipped("..", 2));
	assert_false(name_is_skipped("...", 3));
	assert_false(name_is_skipped(".a", 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_good_names),
		cmocka_unit_test(cannot_leave_the_directory),
		cmocka_unit_test(control_characters),
		cmocka_unit_test(invisible_characters),
		cmocka_unit_test(invalid_utf8),
		cmocka_unit_test(cuts_long_names),
		cmocka_unit_test(is_idempotent),
		cmocka_unit_test(suffixes),
		cmocka_unit_test(skipped_elements),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
