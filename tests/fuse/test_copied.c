/* Files that are being copied in: what is in them, their names, their ends, and
 * how much there may be of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/core_limits.h"
#include "core/err.h"
#include "core/mem.h"
#include "fs/fs_limits.h"
#include "fs/inode.h"
#include "fs/upload.h"
#include "kernel.h"

/* ---- Fixture ---- */

static int setup(void **state)
{
	*state = kernel_new(40, 40);
	return 0;
}

static int teardown(void **state)
{
	kernel_free(*state);
	return 0;
}

static struct mount *mount_of(void **state)
{
	return ((struct kernel *)*state)->m;
}

static struct upload *make(struct mount *m, const char *name)
{
	struct upload *u;

	assert_int_equal(upload_new(m, name, 0100644, &u), 0);
	return u;
}

/* ---- Tests ---- */

/* What lies between writes is zeros, also where something was cut off. */
static void holes_are_zeros(void **state)
{
	static const uint8_t want[8] = {'a', 'b', 0, 0, 0, 0, 'x', 'y'};
	struct mount *m = mount_of(state);
	struct upload *u = make(m, "x");
	struct span b;

	assert_int_equal(upload_write(m, u, "abcdefgh", 8, 0), 0);
	assert_int_equal(upload_cut(m, u, 2), 0);
	assert_int_equal(upload_write(m, u, "", 0, 1000), 0);
	assert_int_equal(upload_bytes(u).len, 2); /* no byte, no length */
	assert_int_equal(upload_write(m, u, "xy", 2, 6), 0);
	b = upload_bytes(u);
	assert_int_equal(b.len, 8);
	assert_memory_equal(b.ptr, want, 8);
	assert_int_equal(upload_cut(m, u, 0), 0);
	assert_int_equal(upload_bytes(u).len, 0);
	upload_unlink(m, u);
	assert_int_equal(m->uploads.n, 1); /* it is open */
	upload_close(m, u);
	assert_int_equal(m->uploads.n, 0);
	assert_int_equal(m->uploads.bytes, 0);
}

/* A position near the end of numbers does not come round. */
static void no_torrent_is_so_long(void **state)
{
	struct mount *m = mount_of(state);
	struct upload *u = make(m, "x");

	assert_int_equal(upload_write(m, u, "x", 1, METAINFO_MAX_BYTES), EFBIG);
	assert_int_equal(upload_write(m, u, "xy", 2, METAINFO_MAX_BYTES - 1),
			 EFBIG);
	assert_int_equal(upload_write(m, u, "x", 1, UINT64_MAX), EFBIG);
	assert_int_equal(upload_cut(m, u, UINT64_C(1) << 63), EFBIG);
	assert_int_equal(upload_bytes(u).len, 0);
	assert_int_equal(upload_write(m, u, "x", 1, METAINFO_MAX_BYTES - 1), 0);
	assert_int_equal(upload_bytes(u).len, METAINFO_MAX_BYTES);
	upload_unlink(m, u);
	upload_close(m, u);
	assert_int_equal(m->uploads.bytes, 0);
}

/* All together are bounded, in number and in memory; what is gone makes room.
 */
static void all_together_are_bounded(void **state)
{
	struct mount *m = mount_of(state);
	struct upload *u[UPLOADS_MAX], *over;
	char name[16];
	int r = 0;
	unsigned n;

	for (n = 0; n < UPLOADS_MAX; n++) {
		(void)snprintf(name, sizeof(name), "%u", n);
		u[n] = make(m, name);
	}
	assert_int_equal(upload_new(m, "over", 0644, &over), ENOSPC);
	for (n = 0; n < UPLOADS_MAX && r == 0; n++)
		r = upload_write(m, u[n], "x", 1, (4 << 20) - 1);
	assert_int_equal(r, ENOSPC);
	assert_true(m->uploads.bytes <= UPLOADS_MAX_BYTES);
	assert_int_equal(n - 1, UPLOADS_MAX_BYTES / (4 << 20));
	upload_unlink(m, u[0]);
	upload_close(m, u[0]);
	assert_int_equal(upload_write(m, u[n - 1], "x", 1, (4 << 20) - 1), 0);
	assert_int_equal(upload_new(m, "over", 0644, &over), 0);
}

/* Numbers go round, past those in use. */
static void numbers_are_not_given_twice(void **state)
{
	struct mount *m = mount_of(state);
	struct upload *first, *second, *third;

	m->uploads.next_number = INODE_UPLOAD_LAST;
	first = make(m, "a");
	m->uploads.next_number = INODE_UPLOAD_LAST;
	second = make(m, "b");
	assert_true(upload_number(first) == INODE_UPLOAD_LAST);
	assert_true(upload_number(second) == INODE_UPLOAD_FIRST);
	m->uploads.next_number = INODE_UPLOAD_LAST;
	third = make(m, "c");
	assert_true(upload_number(third) == INODE_UPLOAD_FIRST + 1);
	assert_ptr_equal(upload_by_number(m, INODE_UPLOAD_FIRST), second);
	assert_null(upload_by_number(m, INODE_UPLOAD_FIRST + 2));
}

/* What had the name goes; but who has it open keeps it. */
static void renamed_over(void **state)
{
	struct mount *m = mount_of(state);
	struct upload *a = make(m, "a"), *b = make(m, "b"), *c = make(m, "c");

	upload_close(m, c); /* it waits to be renamed */
	assert_int_equal(m->uploads.n, 3);
	assert_int_equal(upload_rename(m, a, "c"), 0);
	assert_int_equal(m->uploads.n, 2);
	assert_int_equal(upload_rename(m, a, "c"), 0); /* to itself */
	assert_ptr_equal(upload_by_name(m, "c"), a);
	assert_int_equal(upload_write(m, b, "b", 1, 0), 0);
	assert_int_equal(upload_rename(m, a, "b"), 0);
	assert_ptr_equal(upload_by_name(m, "b"), a);
	assert_int_equal(upload_bytes(b).len, 1);
	assert_int_equal(upload_write(m, b, "b", 1, 1), 0);
	assert_false(upload_is_due(b)); /* it has no name */
	upload_close(m, b);
	assert_int_equal(m->uploads.n, 1);
	assert_null(upload_by_name(m, "a"));
}

/* NAME.torrent goes with its close, unless it was added: then it stays a while,
 * as a name. What is opened again meanwhile stays. */
static void ends(void **state)
{
	struct mount *m = mount_of(state);
	struct upload *bad = make(m, "bad.torrent");
	struct upload *good = make(m, "good.torrent");

	assert_true(upload_is_due(bad));
	upload_close(m, bad);
	assert_null(upload_by_name(m, "bad.torrent"));
	upload_taken(good);
	upload_added(good);
	assert_false(upload_is_due(good));
	upload_close(m, good);
	assert_ptr_equal(upload_by_name(m, "good.torrent"), good);
	upload_open(good);
	kernel_run(*state, UPLOAD_GHOST_MS + 50);
	assert_ptr_equal(upload_by_name(m, "good.torrent"), good);
	upload_close(m, good);
	kernel_run(*state, UPLOAD_GHOST_MS + 50);
	assert_null(upload_by_name(m, "good.torrent"));
	assert_int_equal(m->uploads.n, 0);
}

static void only_whole_endings_count(void **state)
{
	assert_true(upload_is_torrent("a.torrent"));
	assert_false(upload_is_torrent(".torrent"));
	assert_false(upload_is_torrent("torrent"));
	assert_false(upload_is_torrent("a.torrent.part"));
	assert_false(upload_is_torrent("a.Torrent"));
	assert_false(upload_is_torrent(""));
}

/* Without memory nothing is there, or as it was. */
static void without_memory(void **state)
{
	struct mount *m = mount_of(state);
	struct upload *u = NULL;
	int r = ENOMEM;
	uint64_t n;

	for (n = 0; r == ENOMEM; n++) {
		mem_fail_after(n, 0);
		r = upload_new(m, "a", 0644, &u);
		mem_fail_after(UINT64_MAX, 0);
		assert_int_equal(m->uploads.n, r == 0);
	}
	assert_true(n > 1);
	mem_fail_after(0, 1);
	assert_int_equal(upload_write(m, u, "x", 1, 0), ENOMEM);
	assert_int_equal(upload_rename(m, u, "b"), ENOMEM);
	mem_fail_after(UINT64_MAX, 0);
	assert_int_equal(upload_bytes(u).len, 0);
	assert_int_equal(m->uploads.bytes, 0);
	assert_ptr_equal(upload_by_name(m, "a"), u);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(holes_are_zeros),
		TEST(no_torrent_is_so_long),
		TEST(all_together_are_bounded),
		TEST(numbers_are_not_given_twice),
		TEST(renamed_over),
		TEST(ends),
		TEST(only_whole_endings_count),
		TEST(without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
