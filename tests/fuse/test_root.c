/* test_root — what the kernel may keep of directories, and when it is told. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/metainfo.h"
#include "fs/fs_limits.h"
#include "fs/inode.h"
#include "kernel.h"
#include "tests/lib/fake_torrent.h"

/* ---- Fixture ---- */

static const struct fake_file files[] = {
	{"a.mkv", 5000, 0}, {"b/c.srt", 3000, 0}, {"d.txt", 70, 0}};

struct fixture {
	struct kernel *k;
	struct metainfo *mi;
	uint64_t top;
};

static struct metainfo *show(struct kernel *k, const char *name, uint8_t byte)
{
	struct metainfo *mi = fake_metainfo_new(name, byte, files, 3);
	struct torrent *t = fake_add(k->engine, &mi->id);

	fake_ready(t, mi);
	assert_int_equal(mount_on_ready(k->m, t), 0);
	return mi;
}

static struct fixture setup(uint32_t flags)
{
	struct fixture f;
	struct fuse_attr_out a;

	kernel_offer_too(flags);
	f.k = kernel_new(1000, 1000);
	kernel_offer_too(0);
	f.mi = show(f.k, "one", 0xaa);
	f.top = inode_base(&f.mi->id);
	assert_int_equal(kernel_getattr(f.k, f.top, &a), 0); /* and is told */
	return f;
}

static void teardown(struct fixture *f)
{
	kernel_free(f->k);
	fake_metainfo_free(f->mi);
}

/* ---- Helpers ---- */

static void opendir_of(struct fixture *f, uint64_t dir)
{
	struct fuse_open_in in = {0};

	kernel_wait(f->k, kernel_send(f->k, FUSE_OPENDIR, dir, &in, sizeof(in),
				      NULL));
}

/* A listing to its end; how many replies had entries. */
static int list(struct fixture *f, uint64_t dir, uint32_t opcode)
{
	struct fuse_read_in in = {.size = 4096};

	for (int n = 0;; n++) {
		kernel_wait(f->k, kernel_send(f->k, opcode, dir, &in,
					      sizeof(in), NULL));
		assert_int_equal(f->k->err, 0);
		if (f->k->len == 0)
			return n;
		in.offset = INT64_MAX; /* behind all */
	}
}

/* What READDIRPLUS says of `name` in a listing of `dir` that goes on behind
 * `off`; a copy. */
static struct fuse_entry_out plus_from(struct fixture *f, uint64_t dir,
				       uint64_t off, const char *name)
{
	struct fuse_read_in in = {.size = 4096, .offset = off};
	size_t at = 0;

	kernel_wait(f->k, kernel_send(f->k, FUSE_READDIRPLUS, dir, &in,
				      sizeof(in), NULL));
	assert_int_equal(f->k->err, 0);
	while (at < f->k->len) {
		const struct fuse_direntplus *d =
			(const void *)(f->k->data + at);

		if (d->dirent.namelen == strlen(name) &&
		    memcmp(d->dirent.name, name, strlen(name)) == 0) {
			assert_int_equal(d->dirent.type,
					 strchr(name, '.') ? DT_REG : DT_DIR);
			return d->entry_out;
		}
		at += FUSE_DIRENTPLUS_SIZE(d);
	}
	fail_msg("%s is not listed", name);
	return (struct fuse_entry_out){0};
}

static struct fuse_entry_out plus(struct fixture *f, const char *name)
{
	return plus_from(f, f->top, 0, name);
}

static int told(const struct fixture *f)
{
	return f->k->notified[FUSE_NOTIFY_INVAL_INODE];
}

/* ---- Tests ---- */

/* A kernel that can do without OPENDIR is told to; another is answered. */
static void nothing_is_opened(void **state)
{
	struct fixture f = setup(FUSE_NO_OPENDIR_SUPPORT);

	opendir_of(&f, f.top);
	assert_int_equal(f.k->err, ENOSYS);
	opendir_of(&f, INODE_ROOT);
	assert_int_equal(f.k->err, ENOSYS);
	teardown(&f);
	f = setup(0);
	opendir_of(&f, f.top);
	assert_int_equal(f.k->err, 0);
	teardown(&f);
}

/* The root's attributes are good for long, and taken back when a torrent
 * comes. */
static void attributes_are_taken_back(void **state)
{
	struct fixture f = setup(0);
	struct fuse_attr_out a;
	struct metainfo *mi;
	int before;

	assert_int_equal(kernel_getattr(f.k, INODE_ROOT, &a), 0);
	assert_int_equal(a.attr_valid, 3600);
	before = told(&f);
	mi = show(f.k, "two", 0xbb);
	assert_int_equal(kernel_getattr(f.k, INODE_ROOT, &a), 0);
	assert_int_equal(told(&f), before + 1);
	assert_int_equal(a.attr.nlink, 4);
	teardown(&f);
	fake_metainfo_free(mi);
}

/* What the kernel kept of a listing of the root is dropped before it is
 * complete; that of a torrent, which never changes, is not. */
static void root_is_not_kept(void **state)
{
	struct fixture f = setup(FUSE_NO_OPENDIR_SUPPORT);
	int before = told(&f);

	assert_int_equal(list(&f, f.top, FUSE_READDIR), 1);
	assert_int_equal(told(&f), before);
	assert_int_equal(list(&f, INODE_ROOT, FUSE_READDIR), 1);
	assert_int_equal(told(&f), before + 1);
	assert_int_equal(list(&f, INODE_ROOT, FUSE_READDIRPLUS), 1);
	assert_int_equal(told(&f), before + 2);
	teardown(&f);
}

/* Files are listed by name alone, directories whole; after a file was looked
 * up, so many directories are listed with all. */
static void files_are_bare(void **state)
{
	struct fixture f = setup(0);
	struct fuse_entry_out e;

	for (int i = 0; i < 2; i++) {
		assert_true(plus(&f, "a.mkv").nodeid == 0);
		assert_true(plus(&f, "b").nodeid == (f.top | 4));
		assert_int_equal(kernel_lookup(f.k, f.top, "b", &e), 0);
	}
	assert_int_equal(kernel_lookup(f.k, f.top, "d.txt", &e), 0);
	for (int i = 0; i < OPS_PLUS_LISTINGS; i++)
		assert_true(plus(&f, "a.mkv").nodeid == (f.top | 1));
	assert_true(plus(&f, "a.mkv").nodeid == 0);
	teardown(&f);
}

/* Directories come whole while who asks also goes into them, be it by name or
 * by their listing; to one who only lists they soon are bare. */
static void directories_are_bare_to_who_stays_out(void **state)
{
	struct fixture f = setup(0);
	struct fuse_entry_out e;

	for (int i = 0; i < 3; i++) /* listed from the beginning each time */
		assert_true(plus(&f, "b").nodeid == (f.top | 4));
	f.k->m->n_told_dirs = OPS_TOLD_MAX;
	assert_true(plus_from(&f, INODE_ROOT, 1, "one").nodeid == 0);
	assert_int_equal(kernel_lookup(f.k, f.top, "b", &e), 0);
	assert_true(plus_from(&f, INODE_ROOT, 1, "one").nodeid == f.top);
	assert_true(plus_from(&f, INODE_ROOT, 1, "one").nodeid == f.top);
	assert_true(plus_from(&f, INODE_ROOT, 1, "one").nodeid == 0);
	(void)list(&f, f.top, FUSE_READDIRPLUS);
	assert_true(plus_from(&f, INODE_ROOT, 1, "one").nodeid == f.top);
	teardown(&f);
}

/* The kernel is offered a buffer for a listing that is as large as it needs. */
static void small_directories_say_so(void **state)
{
	struct fixture f = setup(0);
	struct fuse_attr_out a;

	assert_int_equal(kernel_getattr(f.k, f.top, &a), 0);
	assert_int_equal(a.attr.blksize, 4096);
	assert_int_equal(kernel_getattr(f.k, INODE_ROOT, &a), 0);
	assert_true(a.attr.blksize > 4096);
	teardown(&f);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_opened),
		cmocka_unit_test(attributes_are_taken_back),
		cmocka_unit_test(root_is_not_kept),
		cmocka_unit_test(files_are_bare),
		cmocka_unit_test(directories_are_bare_to_who_stays_out),
		cmocka_unit_test(small_directories_say_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
