/* test_symlink — what links of a torrent say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/err.h"
#include "core/metainfo.h"
#include "fs/symlink.h"

static int text_of(const char *dir, const char *target, char *out, size_t room)
{
	static char link[] = "link", copy[64], aim[64];
	char *path[8];
	struct mi_file f = {.path = path, .symlink = target ? aim : NULL};
	char *rest;

	if (target)
		(void)snprintf(aim, sizeof(aim), "%s", target);
	(void)snprintf(copy, sizeof(copy), "%s", dir);
	for (char *p = strtok_r(copy, "/", &rest); p;
	     p = strtok_r(NULL, "/", &rest))
		path[f.n_path++] = p;
	path[f.n_path++] = link;
	return symlink_text(&f, out, room);
}

/* Up from the link's own directory as far as needed, then down. */
static void from_where_it_lies(void **state)
{
	static const struct {
		const char *dir;
		const char *target;
		const char *text;
	} rows[] = {
		{"", "a", "a"},
		{"", "a/b", "a/b"},
		{"a", "b", "../b"},
		{"a", "a/b", "b"},
		{"a", "ab", "../ab"},
		{"ab", "a", "../a"},
		{"a/b/c", "a/x/y", "../../x/y"},
		{"a/b", "a/b", "."},
		{"a/b", "a", "../."},
		{"a/b", "b/a", "../../b/a"},
	};
	char out[64];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(
			text_of(rows[i].dir, rows[i].target, out, sizeof(out)),
			0);
		assert_string_equal(out, rows[i].text);
	}
}

/* What may not be shown is EPERM; what is too long is refused to the byte. */
static void refusals(void **state)
{
	char out[64];

	assert_int_equal(text_of("a", NULL, out, sizeof(out)), EPERM);
	assert_int_equal(text_of("a", "b", out, 5), 0);
	assert_int_equal(text_of("a", "b", out, 4), ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(from_where_it_lies),
		cmocka_unit_test(refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
