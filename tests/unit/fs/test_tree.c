/* test_tree — a torrent's files as directories. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/err.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "fs/inode.h"
#include "fs/tree.h"

/* ---- Fixture ---- */

enum { MAX_FILES = 64, MAX_DEPTH = 8 };

struct fixture {
	struct metainfo mi;
	struct mi_file files[MAX_FILES];
	char *paths[MAX_FILES][MAX_DEPTH];
	char text[MAX_FILES][256];
	struct tree *t;
};

/* `path` with '|' between elements, so that an element may contain '/'. */
static void add(struct fixture *f, const char *path, unsigned attr)
{
	uint32_t i = f->mi.n_files++;
	char *save = NULL;

	snprintf(f->text[i], sizeof(f->text[i]), "%s", path);
	f->mi.files = f->files;
	f->files[i].path = f->paths[i];
	f->files[i].attr = attr;
	for (char *s = strtok_r(f->text[i], "|", &save); s != NULL;
	     s = strtok_r(NULL, "|", &save))
		f->paths[i][f->files[i].n_path++] = s;
}

static void make(struct fixture *f)
{
	assert_int_equal(tree_new(&f->mi, &f->t), 0);
	tree_check(f->t);
}

static void drop(struct fixture *f)
{
	tree_free(f->t);
}

/* ---- Helpers ---- */

static uint32_t at(const struct fixture *f, const char *path)
{
	char copy[256], *save = NULL;
	uint32_t ix = TREE_TOP;

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *s = strtok_r(copy, "/", &save); s != NULL;
	     s = strtok_r(NULL, "/", &save))
		assert_int_equal(tree_lookup(f->t, ix, s, &ix), 0);
	return ix;
}

/* The names in a directory, joined by a space. */
static const char *names(const struct fixture *f, uint32_t dir, char out[256])
{
	const char *name;
	size_t len = 0;
	uint32_t ix;

	out[0] = '\0';
	for (uint32_t n = 0; tree_child(f->t, dir, n, &ix, &name); n++)
		len += (size_t)snprintf(out + len, 256 - len, "%s%s",
					n > 0 ? " " : "", name);
	return out;
}

/* ---- Tests ---- */

/* Every file is found under its path, with its index; directories come after
 * the files, in the order in which the metainfo names them first. */
static void numbers_files_and_directories(void **state)
{
	struct fixture f = {0};

	add(&f, "z|deep|one", 0);
	add(&f, "a|two", 0);
	add(&f, "top.txt", 0);
	add(&f, "z|three", 0);
	make(&f);
	assert_int_equal(at(&f, "z/deep/one"), 1);
	assert_int_equal(at(&f, "a/two"), 2);
	assert_int_equal(at(&f, "top.txt"), 3);
	assert_int_equal(at(&f, "z/three"), 4);
	assert_int_equal(at(&f, "z"), 5);
	assert_int_equal(at(&f, "z/deep"), 6);
	assert_int_equal(at(&f, "a"), 7);
	assert_int_equal(tree_file(4), 3);
	assert_int_equal(tree_parent(f.t, 6), 5);
	assert_int_equal(tree_parent(f.t, 5), TREE_TOP);
	assert_int_equal(tree_parent(f.t, TREE_TOP), TREE_TOP);
	assert_int_equal(tree_subdirs(f.t, TREE_TOP), 2);
	assert_int_equal(tree_subdirs(f.t, 5), 1);
	assert_int_equal(tree_subdirs(f.t, 7), 0);
	assert_int_equal(tree_count(f.t), 8);
	drop(&f);
}

/* A listing has every name once, sorted; looking up what it lists finds it. */
static void lists_sorted(void **state)
{
	struct fixture f = {0};
	char out[256];

	add(&f, "d|x", 0);
	add(&f, "b", 0);
	add(&f, "d|a", 0);
	add(&f, "c|q", 0);
	add(&f, "d.txt", 0);
	add(&f, "d|m|n", 0);
	make(&f);
	assert_string_equal(names(&f, TREE_TOP, out), "b c d d.txt");
	assert_string_equal(names(&f, at(&f, "d"), out), "a m x");
	assert_string_equal(names(&f, at(&f, "d/m"), out), "n");
	drop(&f);
}

/* Pad files and names that no file system has are hidden from
 * listing and lookup alike, and take their empty directories with them. */
static void hides_what_is_no_file(void **state)
{
	struct fixture f = {0};
	uint32_t ix;
	char out[256];

	add(&f, "a", 0);
	add(&f, ".pad|77", MI_ATTR_PAD);
	add(&f, "link", MI_ATTR_SYMLINK);
	add(&f, "..|etc", 0);
	add(&f, "x/y", 0);
	add(&f, "b", MI_ATTR_EXEC);
	make(&f);
	assert_string_equal(names(&f, TREE_TOP, out), "a b link");
	assert_int_equal(tree_lookup(f.t, TREE_TOP, ".pad", &ix), ENOENT);
	assert_int_equal(tree_lookup(f.t, TREE_TOP, "..", &ix), ENOENT);
	assert_true(tree_has(f.t, 1));
	assert_false(tree_has(f.t, 2));
	assert_true(tree_has(f.t, 3));
	assert_false(tree_has(f.t, 4));
	assert_false(tree_has(f.t, 5));
	assert_true(tree_has(f.t, 6));
	assert_false(tree_has(f.t, 7));
	assert_false(tree_has(f.t, UINT32_MAX));
	drop(&f);
}

/* A torrent without a file that can be shown is an empty directory. */
static void empty_is_a_directory(void **state)
{
	struct fixture f = {0};
	const char *name;
	uint32_t ix;

	add(&f, "pad", MI_ATTR_PAD);
	make(&f);
	assert_true(tree_has(f.t, TREE_TOP));
	assert_true(tree_is_dir(f.t, TREE_TOP));
	assert_false(tree_child(f.t, TREE_TOP, 0, &ix, &name));
	drop(&f);
}

/* Directories of one name in different places are different. */
static void same_names_elsewhere(void **state)
{
	struct fixture f = {0};

	add(&f, "a|s|f", 0);
	add(&f, "b|s|f", 0);
	add(&f, "s|s|s|f", 0);
	make(&f);
	assert_int_not_equal(at(&f, "a/s"), at(&f, "b/s"));
	assert_int_equal(at(&f, "a/s/f"), 1);
	assert_int_equal(at(&f, "b/s/f"), 2);
	assert_int_equal(at(&f, "s/s/s/f"), 3);
	drop(&f);
}

/* More nodes than numbers: refused before anything is built. */
static void refuses_too_many(void **state)
{
	struct metainfo mi = {.n_files = INODE_IX_MAX + 1};
	struct tree *t;

	assert_int_equal(tree_new(&mi, &t), E2BIG);
}

/* Whichever allocation fails, the answer is ENOMEM and nothing leaks. */
static void survives_no_memory(void **state)
{
	struct fixture f = {0};
	uint64_t before = mem_in_use_bytes();
	int r = ENOMEM;

	add(&f, "z|deep|one", 0);
	add(&f, "a|two", 0);
	for (uint64_t n = 0; r == ENOMEM; n++) {
		assert_true(n < 50);
		mem_fail_after(n, 0);
		r = tree_new(&f.mi, &f.t);
		mem_fail_after(UINT64_MAX, 0);
		if (r != 0)
			assert_true(mem_in_use_bytes() == before);
	}
	assert_int_equal(r, 0);
	drop(&f);
}

/* 100 000 files in 1000 directories: every one is found, and the tree takes
 * less than ten bytes a file. */
static void large_torrents_are_frugal(void **state)
{
	enum { N = 100000, DIRS = 1000 };
	struct metainfo mi = {.n_files = N};
	char(*text)[2][16] = mem_zalloc(N, sizeof(*text));
	char **paths = mem_zalloc((size_t)2 * N, sizeof(char *));
	uint64_t before;
	struct tree *t;

	mi.files = mem_zalloc(N, sizeof(*mi.files));
	for (uint32_t i = 0; i < N; i++) {
		snprintf(text[i][0], 16, "d%u", i * 7 % DIRS);
		snprintf(text[i][1], 16, "f%u", i);
		paths[2 * i] = text[i][0];
		paths[2 * i + 1] = text[i][1];
		mi.files[i].path = &paths[2 * i];
		mi.files[i].n_path = 2;
	}
	before = mem_in_use_bytes();
	assert_int_equal(tree_new(&mi, &t), 0);
	assert_true(mem_in_use_bytes() - before < 10 * N);
	for (uint32_t i = 0; i < N; i += 97) {
		uint32_t dir, ix;

		assert_int_equal(tree_lookup(t, TREE_TOP, text[i][0], &dir), 0);
		assert_int_equal(tree_lookup(t, dir, text[i][1], &ix), 0);
		assert_int_equal(ix, i + 1);
	}
	tree_free(t);
	mem_free(mi.files);
	mem_free(paths);
	mem_free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_files_and_directories),
		cmocka_unit_test(lists_sorted),
		cmocka_unit_test(hides_what_is_no_file),
		cmocka_unit_test(empty_is_a_directory),
		cmocka_unit_test(same_names_elsewhere),
		cmocka_unit_test(refuses_too_many),
		cmocka_unit_test(survives_no_memory),
		cmocka_unit_test(large_torrents_are_frugal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
