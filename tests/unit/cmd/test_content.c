/* What a torrent is made of: order, sizes, and what is left out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cmd/content.h"
#include "core/err.h"
#include "core/loop.h"
#include "core/metainfo.h"

/* ---- Fixture: an empty directory ---- */

static int setup(void **state)
{
	char *dir = strdup("/tmp/test_content.XXXXXX");

	*state = mkdtemp(dir);
	return *state ? 0 : -1;
}

static void make(const char *dir, const char *rel, size_t len)
{
	char path[512];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, rel);
	f = fopen(path, "w");
	assert_non_null(f);
	for (size_t i = 0; i < len; i++)
		(void)fputc('x', f);
	assert_int_equal(fclose(f), 0);
}

static void make_dir(const char *dir, const char *rel)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, rel);
	assert_int_equal(mkdir(path, 0755), 0);
}

static int teardown(void **state)
{
	static const char *const made[] = {"a/c", "a/link", "a-b",     "a.x",
					   "b",	  "a",	    "z/empty", "z"};
	char path[512];

	for (unsigned i = 0; i < sizeof(made) / sizeof(made[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", (char *)*state,
			       made[i]);
		(void)remove(path);
	}
	assert_int_equal(rmdir(*state), 0);
	free(*state);
	return 0;
}

static int scan(const char *path, unsigned want, struct content *c,
		char why[WHY_BYTES])
{
	struct loop *loop;
	int r;

	assert_int_equal(loop_new(&loop), 0);
	r = content_scan(loop, path, want, c, why);
	loop_free(loop);
	return r;
}

/* ---- Tests ---- */

/* Files come sorted by element, not by joined text; links are left out, empty
 * files stay, offsets add up. */
static void tree_in_order(void **state)
{
	static const char *const order[] = {"a/c", "a-b", "a.x", "b",
					    "z/empty"};
	char why[WHY_BYTES], path[512];
	struct content c;

	make_dir(*state, "a");
	make_dir(*state, "z");
	make(*state, "b", 5);
	make(*state, "a.x", 3);
	make(*state, "a-b", 2);
	make(*state, "a/c", 7);
	make(*state, "z/empty", 0);
	(void)snprintf(path, sizeof(path), "%s/a/link", (char *)*state);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(scan(*state, 0, &c, why), 0);
	assert_false(c.is_single);
	assert_int_equal(c.n_files, 5);
	for (uint32_t i = 0; i < 5; i++)
		assert_string_equal(c.files[i].rel, order[i]);
	assert_int_equal(c.files[0].n_path, 2);
	assert_string_equal(c.files[0].path[1], "c");
	assert_int_equal(c.files[3].off_bytes, 12);
	assert_int_equal(c.total_bytes, 17);
	content_fini(&c);
}

/* A single file has its own name and no directory. */
static void single_file(void **state)
{
	char why[WHY_BYTES], path[512];
	struct content c;

	make(*state, "b", 100);
	(void)snprintf(path, sizeof(path), "%s/b", (char *)*state);
	assert_int_equal(scan(path, 0, &c, why), 0);
	assert_true(c.is_single);
	assert_string_equal(c.name, "b");
	assert_string_equal(c.files[0].rel, "b");
	content_fini(&c);
}

/* Nothing there, or nothing in it: one line that names the path. */
static void nothing_to_share(void **state)
{
	char why[WHY_BYTES];
	struct content c;

	assert_int_equal(scan(*state, 0, &c, why), ENODATA);
	assert_non_null(strstr(why, *state));
	assert_int_equal(scan("/nonexistent", 0, &c, why), ENOENT);
	assert_non_null(strstr(why, "/nonexistent"));
}

/* Symlinks that stay inside are kept when asked for, with their targets from
 * the top; those that leave it, absolute or not, are left out. */
static void links_are_resolved(void **state)
{
	char why[WHY_BYTES], path[512], target[512];
	struct content c;

	make_dir(*state, "a");
	make_dir(*state, "z");
	make(*state, "a/c", 7);
	(void)snprintf(path, sizeof(path), "%s/a/link", (char *)*state);
	assert_int_equal(symlink("./../z/../a/c", path), 0);
	(void)snprintf(path, sizeof(path), "%s/a.x", (char *)*state);
	assert_int_equal(symlink("../x", path), 0);
	(void)snprintf(path, sizeof(path), "%s/b", (char *)*state);
	(void)snprintf(target, sizeof(target), "%s/a", (char *)*state);
	assert_int_equal(symlink(target, path), 0);
	(void)snprintf(path, sizeof(path), "%s/z/empty", (char *)*state);
	assert_int_equal(symlink("..", path), 0);
	assert_int_equal(scan(*state, CONTENT_LINKS | CONTENT_EXEC, &c, why),
			 0);
	assert_int_equal(c.n_files, 3);
	assert_string_equal(c.files[1].rel, "a/link");
	assert_int_equal(c.files[1].attr, MI_ATTR_SYMLINK | MI_ATTR_EXEC);
	assert_int_equal(c.files[1].n_link, 2);
	assert_string_equal(c.files[1].link[0], "a");
	assert_string_equal(c.files[1].link[1], "c");
	assert_string_equal(c.files[2].rel, "b");
	assert_int_equal(c.files[2].n_link, 1);
	assert_string_equal(c.files[2].link[0], "a");
	assert_int_equal(c.total_bytes, 7);
	content_fini(&c);
}

/* Piece sizes are libtorrent's, at each of its bounds. */
static void piece_sizes(void **state)
{
	static const uint64_t bounds[] = {
		2684355,      10737418,	    42949673,	 171798692,
		687194767,    2748779069,   10995116278, 43980465111,
		175921860444, 703687441777,
	};
	struct content c = {.total_bytes = 1};

	(void)state;
	assert_int_equal(content_piece_bytes(&c), 16 << 10);
	for (unsigned i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
		c.total_bytes = bounds[i];
		assert_int_equal(content_piece_bytes(&c), 16384 << i);
		c.total_bytes++;
		assert_int_equal(content_piece_bytes(&c), 16384 << (i + 1));
	}
	c.total_bytes = UINT64_C(1) << 45;
	assert_int_equal(content_piece_bytes(&c), 16 << 20);
}

static void lay_out(const char *dir, struct content *c, struct content_kind k)
{
	char why[WHY_BYTES];

	assert_int_equal(scan(dir, 0, c, why), 0);
	assert_int_equal(content_layout(c, 16384, k, why), 0);
}

/* v1 lays files end to end; v2 begins each at a piece; a hybrid has pad files,
 * behind the last file too, but none where nothing is between. */
static void layouts(void **state)
{
	struct content c;

	make(*state, "a.x", 20000);
	make(*state, "a-b", 16384);
	make(*state, "b", 0);
	lay_out(*state, &c, (struct content_kind){.has_v1 = true});
	assert_int_equal(c.n_files, 3);
	assert_int_equal(c.total_bytes, 36384);
	assert_int_equal(content_n_pieces(&c, 16384), 3);
	content_fini(&c);
	make(*state, "a", 5);
	lay_out(*state, &c, (struct content_kind){.has_v2 = true});
	assert_int_equal(c.n_files, 4);
	assert_int_equal(c.files[1].off_bytes, 16384);
	assert_int_equal(c.files[2].off_bytes, 32768);
	assert_int_equal(c.total_bytes, 52768);
	content_fini(&c);
	lay_out(*state, &c, (struct content_kind){true, true});
	assert_int_equal(c.n_files, 6);
	assert_int_equal(c.files[1].attr, MI_ATTR_PAD);
	assert_int_equal(c.files[1].len_bytes, 16379);
	assert_string_equal(c.files[1].path[0], ".pad");
	assert_string_equal(c.files[1].path[1], "16379");
	assert_null(c.files[1].rel);
	assert_int_equal(c.files[4].attr, MI_ATTR_PAD);
	assert_int_equal(c.files[4].len_bytes, 12768);
	assert_int_equal(c.total_bytes, 65536);
	content_fini(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(tree_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(single_file, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_to_share, setup,
						teardown),
		cmocka_unit_test_setup_teardown(links_are_resolved, setup,
						teardown),
		cmocka_unit_test_setup_teardown(layouts, setup, teardown),
		cmocka_unit_test(piece_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
