/* test_links — links of a torrent (BEP 47), as the kernel asks for them. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "core/err.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "fs/inode.h"
#include "kernel.h"
#include "tests/lib/fake_torrent.h"

/* ---- Fixture ---- */

static const struct fake_file files[] = {
	{"a/real", 20000, 0},
	{"a/b/down", 0, MI_ATTR_SYMLINK},
	{"up", 0, MI_ATTR_SYMLINK | MI_ATTR_EXEC},
	{"dir", 0, MI_ATTR_SYMLINK},
	{"out", 0, MI_ATTR_SYMLINK},
	{"long", 0, MI_ATTR_SYMLINK},
	{"empty", 0, 0},
};

enum { FILES = sizeof(files) / sizeof(files[0]) };

static char long_target[PATH_MAX + 16];
static char real[] = "a/real", gone[] = "a/gone", dir[] = "a";

/* Targets count from the top, as core/ has resolved them; "out" left it. */
static char *const targets[FILES] = {NULL, real, gone, dir, NULL, long_target};

struct fixture {
	struct kernel *k;
	struct metainfo *mi;
	uint64_t top;
};

static struct fixture setup(void)
{
	struct fixture f = {.k = kernel_new(1000, 1000)};
	struct torrent *t;

	memset(long_target, 'x', sizeof(long_target) - 1);
	for (size_t i = 200; i < sizeof(long_target) - 2; i += 200)
		long_target[i] = '/';
	f.mi = fake_metainfo_new("links", 0xaa, files, FILES);
	for (unsigned i = 0; i < FILES; i++)
		f.mi->files[i].symlink = targets[i];
	t = fake_add(f.k->engine, &f.mi->id);
	fake_ready(t, f.mi);
	assert_int_equal(mount_on_ready(f.k->m, t), 0);
	f.top = inode_base(&f.mi->id);
	return f;
}

static void teardown(struct fixture *f)
{
	kernel_free(f->k);
	fake_metainfo_free(f->mi);
}

/* ---- Helpers ---- */

static struct fuse_entry_out find(struct fixture *f, uint64_t at,
				  const char *name)
{
	struct fuse_entry_out e;

	assert_int_equal(kernel_lookup(f->k, at, name, &e), 0);
	return e;
}

static int readlink_of(struct fixture *f, uint64_t node)
{
	kernel_wait(f->k,
		    kernel_send(f->k, FUSE_READLINK, node, NULL, 0, NULL));
	return f->k->err;
}

static void assert_leads(struct fixture *f, uint64_t node, const char *text)
{
	assert_int_equal(readlink_of(f, node), 0);
	assert_int_equal(f->k->len, strlen(text)); /* no NUL */
	assert_memory_equal(f->k->data, text, strlen(text));
}

/* ---- Tests ---- */

/* A link says how to get from where it lies to its target, be that there or
 * not, and its size is as long as that. Its mode gives nothing. */
static void links_say_where_they_lead(void **state)
{
	static const struct {
		const char *name;
		const char *text;
	} rows[] = {{"up", "a/gone"}, {"dir", "a"}};
	struct fixture f = setup();
	struct fuse_attr_out a;
	struct fuse_entry_out e;
	uint64_t sub;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		e = find(&f, f.top, rows[i].name);
		assert_int_equal(e.attr.mode, S_IFLNK | 0777);
		assert_int_equal(e.attr.size, strlen(rows[i].text));
		assert_int_equal(e.attr.nlink, 1);
		assert_leads(&f, e.nodeid, rows[i].text);
	}
	sub = find(&f, find(&f, f.top, "a").nodeid, "b").nodeid;
	e = find(&f, sub, "down");
	assert_leads(&f, e.nodeid, "../real");
	assert_int_equal(kernel_getattr(f.k, e.nodeid, &a), 0);
	assert_int_equal(a.attr.mode, S_IFLNK | 0777);
	assert_int_equal(a.attr.size, strlen("../real"));
	teardown(&f);
}

/* By the torrent's hash there is the very same link. */
static void by_hash_it_is_the_same(void **state)
{
	struct fixture f = setup();
	char hex[TORRENT_HEX_BYTES];
	uint64_t twin, link;

	(void)state;
	torrent_id_hex(&f.mi->id, hex);
	twin = find(&f, INODE_ROOT, hex).nodeid;
	link = find(&f, twin, "dir").nodeid;
	assert_true(link == find(&f, f.top, "dir").nodeid);
	assert_leads(&f, link, "a");
	teardown(&f);
}

/* What leads out of the torrent is there, of no size, and says nothing; nor
 * does what is too long for a path. */
static void what_may_not_be_shown(void **state)
{
	struct fixture f = setup();
	struct fuse_entry_out out, too_long;

	(void)state;
	out = find(&f, f.top, "out");
	assert_int_equal(out.attr.mode, S_IFLNK | 0777);
	assert_int_equal(out.attr.size, 0);
	assert_int_equal(readlink_of(&f, out.nodeid), EPERM);
	assert_int_equal(f.k->len, 0);
	too_long = find(&f, f.top, "long");
	assert_int_equal(too_long.attr.size, 0);
	assert_int_equal(readlink_of(&f, too_long.nodeid), ENAMETOOLONG);
	teardown(&f);
}

/* What is no link has no text; what is nothing is stale. */
static void what_is_no_link(void **state)
{
	struct fixture f = setup();
	uint64_t sub = find(&f, f.top, "a").nodeid;

	(void)state;
	assert_int_equal(readlink_of(&f, INODE_ROOT), EINVAL);
	assert_int_equal(readlink_of(&f, f.top), EINVAL);
	assert_int_equal(readlink_of(&f, sub), EINVAL);
	assert_int_equal(readlink_of(&f, find(&f, sub, "real").nodeid), EINVAL);
	assert_int_equal(readlink_of(&f, find(&f, f.top, "empty").nodeid),
			 EINVAL);
	assert_int_equal(readlink_of(&f, INODE_CONTROL), EINVAL);
	assert_int_equal(readlink_of(&f, f.top | 0xfffff), ESTALE);
	assert_int_equal(readlink_of(&f, 0), ESTALE);
	assert_int_equal(readlink_of(&f, UINT64_MAX), ESTALE);
	teardown(&f);
}

/* A link is followed by the kernel, and never opened, listed or searched. */
static void links_are_not_opened(void **state)
{
	struct fixture f = setup();
	uint64_t link = find(&f, f.top, "up").nodeid;
	struct fuse_open_out open;
	struct fuse_entry_out e;
	struct fuse_open_in in = {.flags = O_RDONLY};

	(void)state;
	assert_int_equal(kernel_open(f.k, link, O_RDONLY, &open), ELOOP);
	assert_int_equal(kernel_open(f.k, link, O_RDWR, &open), EROFS);
	assert_int_equal(kernel_lookup(f.k, link, "x", &e), ENOTDIR);
	kernel_wait(f.k, kernel_send(f.k, FUSE_OPENDIR, link, &in, sizeof(in),
				     NULL));
	assert_int_equal(f.k->err, ENOTDIR);
	teardown(&f);
}

/* Listings say that it is one. */
static void listings_tell_links(void **state)
{
	struct fixture f = setup();
	struct fuse_read_in in = {.size = 4096};
	unsigned n_links = 0;

	(void)state;
	kernel_wait(f.k, kernel_send(f.k, FUSE_READDIR, f.top, &in, sizeof(in),
				     NULL));
	assert_int_equal(f.k->err, 0);
	for (size_t at = 0; at < f.k->len;) {
		const struct fuse_dirent *d = (const void *)(f.k->data + at);

		n_links += d->type == DT_LNK;
		at += FUSE_DIRENT_SIZE(d);
	}
	assert_int_equal(n_links, 4);
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(links_say_where_they_lead),
		cmocka_unit_test(by_hash_it_is_the_same),
		cmocka_unit_test(what_may_not_be_shown),
		cmocka_unit_test(what_is_no_link),
		cmocka_unit_test(links_are_not_opened),
		cmocka_unit_test(listings_tell_links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
