/* test_keylink — links to what keys name, without a kernel and without a DHT.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "core/btpk.h"
#include "core/err.h"
#include "core/metainfo.h"
#include "fs/inode.h"
#include "fs/keylink.h"
#include "kernel.h"
#include "tests/lib/fake_signpost.h"
#include "tests/lib/fake_torrent.h"

#define KEY  "8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e"
#define NAME "btpk-" KEY "-6e"
#define AAAA "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define BBBB "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

enum { READ_MS = 40, LOOKUP_MS = 300 };

/* ---- Helpers ---- */

static struct kernel *setup(void)
{
	fake_signpost_forget();
	return kernel_new(READ_MS, LOOKUP_MS);
}

static struct btpk key(void)
{
	struct btpk b;

	assert_int_equal(btpk_parse(&b, NAME), 0);
	return b;
}

/* The look at NAME's key ends. */
static void tell(struct kernel *k, uint8_t fill, int64_t seq, int err)
{
	struct btpk b = key();

	mount_on_signpost(k->m, fake_signpost_tell(&b, fill, seq, err));
}

static uint64_t look_up(struct kernel *k, const char *name)
{
	return kernel_send(k, FUSE_LOOKUP, INODE_ROOT, NULL, 0, name);
}

static const char *read_link(struct kernel *k, uint64_t node)
{
	kernel_wait(k, kernel_send(k, FUSE_READLINK, node, NULL, 0, NULL));
	if (k->err != 0)
		return "";
	k->data[k->len] = '\0';
	return (const char *)k->data;
}

/* How often the root lists `name`, and as what. */
static unsigned list(struct kernel *k, const char *name, unsigned *type)
{
	struct fuse_read_in in = {.size = 64 << 10};
	unsigned n = 0;

	kernel_wait(k, kernel_send(k, FUSE_READDIR, INODE_ROOT, &in, sizeof(in),
				   NULL));
	assert_int_equal(k->err, 0);
	for (size_t at = 0; at < k->len;) {
		const struct fuse_dirent *d =
			(const struct fuse_dirent *)(k->data + at);

		if (d->namelen == strlen(name) &&
		    memcmp(d->name, name, d->namelen) == 0) {
			*type = d->type;
			n++;
		}
		at += FUSE_DIRENT_SIZE(d);
	}
	return n;
}

/* ---- Tests ---- */

/* Who names a key waits until it is known, and is told of a link, which the
 * root lists from then on. */
static void key_becomes_a_link(void **state)
{
	struct kernel *k = setup();
	struct fuse_entry_out e;
	unsigned type = 0;
	uint64_t one, two;

	one = look_up(k, NAME);
	two = look_up(k, NAME);
	kernel_turn(k);
	assert_false(kernel_poll(k, one) || kernel_poll(k, two));
	assert_int_equal(list(k, NAME, &type), 0);
	tell(k, 0xaa, 1, 0);
	kernel_wait(k, one);
	assert_int_equal(k->err, 0);
	kernel_wait(k, two);
	assert_int_equal(k->err, 0);
	memcpy(&e, k->data, sizeof(e));
	assert_true(S_ISLNK(e.attr.mode));
	assert_int_equal(e.attr.size, 40);
	assert_int_equal(e.entry_valid, 0);
	assert_true(inode_is_link(e.nodeid));
	assert_int_equal(e.attr.ino, e.nodeid);
	assert_string_equal(read_link(k, e.nodeid), AAAA);
	assert_int_equal(list(k, NAME, &type), 1);
	assert_int_equal(type, DT_LNK);
	kernel_free(k);
}

/* An update is another link; of the one before nobody knows any more. */
static void updates_are_new_links(void **state)
{
	struct kernel *k = setup();
	struct fuse_entry_out e, old;

	tell(k, 0xaa, 1, 0);
	assert_int_equal(kernel_lookup(k, INODE_ROOT, NAME, &old), 0);
	tell(k, 0xbb, 2, 0);
	assert_int_equal(kernel_lookup(k, INODE_ROOT, NAME, &e), 0);
	assert_int_not_equal(e.nodeid, old.nodeid);
	assert_string_equal(read_link(k, e.nodeid), BBBB);
	assert_string_equal(read_link(k, old.nodeid), "");
	assert_int_equal(k->err, ESTALE);
	kernel_free(k);
}

static void nobodys_key_is_not_there(void **state)
{
	struct kernel *k = setup();
	struct fuse_entry_out e;
	uint64_t id = look_up(k, NAME);
	unsigned type;

	kernel_turn(k);
	tell(k, 0, 0, ENOENT);
	kernel_wait(k, id);
	assert_int_equal(k->err, ENOENT);
	assert_int_equal(kernel_lookup(k, INODE_ROOT, NAME, &e), ENOENT);
	assert_int_equal(list(k, NAME, &type), 0);
	kernel_free(k);
}

/* Each wait ends: by its deadline, by an interrupt, with the look. */
static void waits_end(void **state)
{
	struct kernel *k = setup();
	uint64_t late = look_up(k, NAME), off, last;

	kernel_run(k, LOOKUP_MS + 5);
	kernel_wait(k, late);
	assert_int_equal(k->err, ETIMEDOUT);
	off = look_up(k, NAME);
	kernel_turn(k);
	kernel_interrupt(k, off);
	kernel_wait(k, off);
	assert_int_equal(k->err, EINTR);
	last = look_up(k, NAME);
	kernel_turn(k);
	assert_false(kernel_poll(k, last));
	tell(k, 0, 0, ETIMEDOUT);
	kernel_wait(k, last);
	assert_int_equal(k->err, ETIMEDOUT);
	kernel_free(k);
}

static void other_names_are_nobodys(void **state)
{
	static const char *const names[] = {"btpk-", "btpk-" KEY "-",
					    "btpk-" KEY "-6", "BTPK-" KEY,
					    "btpk-" KEY ".tmp"};
	struct kernel *k = setup();
	struct fuse_entry_out e;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(kernel_lookup(k, INODE_ROOT, names[i], &e),
				 ENOENT);
	assert_int_equal(fake_signpost_looks(), 0);
	kernel_free(k);
}

/* A link is no file. */
static void links_are_not_opened(void **state)
{
	struct kernel *k = setup();
	struct fuse_entry_out e;
	struct fuse_open_out o;
	struct fuse_attr_out a;

	tell(k, 0xaa, 1, 0);
	assert_int_equal(kernel_lookup(k, INODE_ROOT, NAME, &e), 0);
	assert_int_equal(kernel_open(k, e.nodeid, 0, &o), ELOOP);
	assert_int_equal(kernel_getattr(k, e.nodeid, &a), 0);
	assert_true(a.attr_valid > 0);
	assert_int_equal(
		kernel_getxattr(k, e.nodeid, "user.shoalfs.infohash", 100),
		ENODATA);
	kernel_free(k);
}

/* rm of a link forgets the key; a link that is not there cannot be removed, and
 * nor can one by rmdir. */
static void a_link_is_removed(void **state)
{
	struct kernel *k = setup();
	unsigned type = 0;

	tell(k, 0xaa, 1, 0);
	assert_int_equal(list(k, NAME, &type), 1);
	kernel_wait(k, kernel_send(k, FUSE_RMDIR, INODE_ROOT, NULL, 0, NAME));
	assert_int_equal(k->err, EROFS);
	kernel_wait(k, kernel_send(k, FUSE_UNLINK, INODE_ROOT, NULL, 0, NAME));
	assert_int_equal(k->err, 0);
	assert_int_equal(list(k, NAME, &type), 0);
	kernel_wait(k, kernel_send(k, FUSE_UNLINK, INODE_ROOT, NULL, 0, NAME));
	assert_int_equal(k->err, ENOENT);
	kernel_free(k);
}

/* A torrent cannot stand in for a key. */
static void torrents_do_not_take_keys_names(void **state)
{
	static const struct fake_file files[] = {{"a", 1, 0}, {"b", 1, 0}};
	struct kernel *k = setup();
	struct metainfo *mi = fake_metainfo_new(NAME, 0xaa, files, 2);
	struct torrent *t = fake_add(k->engine, &mi->id);
	struct fuse_entry_out e;
	unsigned type = 0;

	fake_ready(t, mi);
	assert_int_equal(mount_on_ready(k->m, t), 0);
	assert_int_equal(list(k, NAME, &type), 0);
	assert_int_equal(list(k, NAME " [aaaaaaaa]", &type), 1);
	tell(k, 0xbb, 1, 0);
	assert_int_equal(kernel_lookup(k, INODE_ROOT, NAME, &e), 0);
	assert_string_equal(read_link(k, e.nodeid), BBBB);
	kernel_free(k);
	fake_metainfo_free(mi);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_becomes_a_link),
		cmocka_unit_test(updates_are_new_links),
		cmocka_unit_test(a_link_is_removed),
		cmocka_unit_test(nobodys_key_is_not_there),
		cmocka_unit_test(waits_end),
		cmocka_unit_test(other_names_are_nobodys),
		cmocka_unit_test(links_are_not_opened),
		cmocka_unit_test(torrents_do_not_take_keys_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
