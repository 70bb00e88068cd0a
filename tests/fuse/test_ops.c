/* test_ops — every FUSE operation, without a kernel. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "core/err.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "fs/fs_limits.h"
#include "fs/ahead.h"
#include "fs/inode.h"
#include "kernel.h"
#include "tests/lib/fake_torrent.h"

/* ---- Fixture ---- */

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

enum {
	BIG_BYTES = 1000000,
	READ_MS = 40,
	LOOKUP_MS = 40,
	LIST_BYTES = 512,
};

static const struct fake_file movie_files[] = {
	{"movie.mkv", BIG_BYTES, 0}, {"subs/en.srt", 3000, 0},
	{"subs/de/x.srt", 7, 0},     {"run.sh", 10, MI_ATTR_EXEC},
	{".pad/5", 5, MI_ATTR_PAD},  {"empty", 0, 0},
};

struct fixture {
	struct kernel *k;
	struct metainfo *mi;
	struct torrent *t;
	uint64_t top;
};

static struct fixture setup(void)
{
	struct fixture f = {.k = kernel_new(READ_MS, LOOKUP_MS)};

	f.mi = fake_metainfo_new("movie", 0xaa, movie_files, 6);
	f.t = fake_add(f.k->engine, &f.mi->id);
	fake_ready(f.t, f.mi);
	assert_int_equal(mount_on_ready(f.k->m, f.t), 0);
	f.top = inode_base(&f.mi->id);
	return f;
}

static void teardown(struct fixture *f)
{
	kernel_free(f->k);
	fake_metainfo_free(f->mi);
}

/* ---- Helpers ---- */

static uint64_t find(struct fixture *f, uint64_t dir, const char *name)
{
	struct fuse_entry_out e;

	assert_int_equal(kernel_lookup(f->k, dir, name, &e), 0);
	return e.nodeid;
}

static uint64_t open_file(struct fixture *f, uint64_t node)
{
	struct fuse_open_out o;

	assert_int_equal(kernel_open(f->k, node, O_RDONLY, &o), 0);
	return o.fh;
}

static void assert_bytes(const struct kernel *k, uint64_t pos, size_t len)
{
	assert_int_equal(k->err, 0);
	assert_int_equal(k->len, len);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(k->data[i], fake_byte(pos + i));
}

/* The names of a listing, a space after each, from replies of `size`. */
static void list(struct kernel *k, uint64_t dir, uint32_t size,
		 char out[LIST_BYTES])
{
	struct fuse_read_in in = {.size = size};
	size_t at, len = 0;

	for (out[0] = '\0';;) {
		kernel_wait(k, kernel_send(k, FUSE_READDIR, dir, &in,
					   sizeof(in), NULL));
		assert_int_equal(k->err, 0);
		assert_true(k->len <= size);
		if (k->len == 0)
			return;
		for (at = 0; at < k->len;) {
			const struct fuse_dirent *d =
				(const void *)(k->data + at);

			len += (size_t)snprintf(out + len, LIST_BYTES - len,
						"%.*s ", (int)d->namelen,
						d->name);
			assert_true(len < LIST_BYTES);
			assert_true(d->off > in.offset);
			in.offset = d->off;
			at += FUSE_DIRENT_SIZE(d);
		}
	}
}

static const char *read_status(struct fixture *f, const char *name)
{
	uint64_t dir = find(f, INODE_ROOT, ".shoalfs");
	uint64_t node = find(f, dir, name);
	struct fuse_open_out o;

	assert_int_equal(kernel_open(f->k, node, O_RDONLY, &o), 0);
	assert_true(o.open_flags & FOPEN_DIRECT_IO);
	kernel_wait(f->k, kernel_read_start(f->k, node, o.fh, 0, 100000));
	assert_int_equal(f->k->err, 0);
	f->k->data[f->k->len] = '\0';
	return mem_strdup((const char *)f->k->data);
}

/* ---- Tests: names and attributes ---- */

/* A torrent is a directory in the root; its numbers are st_ino; nothing is
 * where nothing is. */
static void names_lead_to_files(void **state)
{
	struct fixture f = setup();
	struct fuse_entry_out e;

	assert_int_equal(kernel_lookup(f.k, INODE_ROOT, "movie", &e), 0);
	assert_true(e.nodeid == f.top);
	assert_true(e.attr.ino == f.top);
	assert_int_equal(e.generation, 0);
	assert_int_equal(e.entry_valid, 3600);
	assert_int_equal(e.attr.mode, S_IFDIR | 0555);
	assert_int_equal(e.attr.nlink, 3);
	assert_true(find(&f, f.top, "movie.mkv") == (f.top | 1));
	assert_true(find(&f, find(&f, f.top, "subs"), "en.srt") == (f.top | 2));
	assert_int_equal(kernel_lookup(f.k, INODE_ROOT, "nope", &e), ENOENT);
	assert_int_equal(kernel_lookup(f.k, f.top, ".pad", &e), ENOENT);
	assert_int_equal(kernel_lookup(f.k, f.top | 1, "x", &e), ENOTDIR);
	assert_int_equal(kernel_lookup(f.k, f.top | 5, ".", &e), ESTALE);
	assert_int_equal(kernel_lookup(f.k, 999, "x", &e), ESTALE);
	teardown(&f);
}

/* NFS asks for "." of any node and ".." of directories. */
static void dots_are_known(void **state)
{
	struct fixture f = setup();
	uint64_t subs = find(&f, f.top, "subs");
	uint64_t de = find(&f, subs, "de");

	assert_true(find(&f, de, "..") == subs);
	assert_true(find(&f, subs, "..") == f.top);
	assert_true(find(&f, f.top, "..") == INODE_ROOT);
	assert_true(find(&f, f.top | 1, ".") == (f.top | 1));
	teardown(&f);
}

/* A name that no directory can hold says so; the longest that it can does
 * not. */
static void long_names(void **state)
{
	struct fixture f = setup();
	struct fuse_entry_out e;
	char name[257];

	memset(name, 'x', 256);
	name[256] = '\0';
	assert_int_equal(kernel_lookup(f.k, f.top, name, &e), ENAMETOOLONG);
	name[255] = '\0';
	assert_int_equal(kernel_lookup(f.k, f.top, name, &e), ENOENT);
	teardown(&f);
}

/* Size, owner, mode, times; st_blocks is what is held and never 0. */
static void attributes(void **state)
{
	struct fixture f = setup();
	struct fuse_attr_out a;

	assert_int_equal(kernel_getattr(f.k, f.top | 1, &a), 0);
	assert_true(a.attr.size == BIG_BYTES);
	assert_int_equal(a.attr.mode, S_IFREG | 0444);
	assert_int_equal(a.attr.uid, 1000);
	assert_int_equal(a.attr.gid, 100);
	assert_int_equal(a.attr.nlink, 1);
	assert_int_equal(a.attr.mtime, 1700000000);
	assert_int_equal(a.attr.ctime, 1700000000);
	assert_int_equal(a.attr.atime, 1700000000);
	assert_int_equal(a.attr.blocks, 8);
	assert_int_equal(a.attr.blksize, 128 << 10);
	assert_int_equal(a.attr_valid, 1);
	fake_hold(f.t, BIG_BYTES);
	assert_int_equal(kernel_getattr(f.k, f.top | 1, &a), 0);
	assert_int_equal(a.attr.blocks, BIG_BYTES / 512);
	assert_int_equal(a.attr_valid, 3600);
	assert_int_equal(kernel_getattr(f.k, f.top | 4, &a), 0);
	assert_int_equal(a.attr.mode, S_IFREG | 0555);
	assert_int_equal(kernel_getattr(f.k, f.top | 6, &a), 0);
	assert_int_equal(a.attr.blocks, 0);
	assert_int_equal(kernel_getattr(f.k, INODE_ROOT, &a), 0);
	assert_int_equal(a.attr.mode, S_IFDIR | 0755);
	assert_int_equal(a.attr.nlink, 3);
	assert_int_equal(a.attr_valid, 3600);
	assert_int_equal(kernel_getattr(f.k, f.top | 77, &a), ESTALE);
	teardown(&f);
}

/* Listings come whole through any size of reply, in order, without the
 * hidden directory and without pads. */
static void listings(void **state)
{
	struct fixture f = setup();
	char names[LIST_BYTES];

	list(f.k, INODE_ROOT, 4096, names);
	assert_string_equal(names, ". .. .trackerignore movie ");
	list(f.k, f.top, 4096, names);
	assert_string_equal(names, ". .. empty movie.mkv run.sh subs ");
	list(f.k, f.top, 64, names);
	assert_string_equal(names, ". .. empty movie.mkv run.sh subs ");
	list(f.k, INODE_CONTROL, 4096, names);
	assert_string_equal(names, ". .. status status.json dht ");
	list(f.k, INODE_DHT, 4096, names);
	assert_string_equal(names, ". .. id status status.json table sample ");
	teardown(&f);
}

/* READDIRPLUS says what lookup says. */
static void listing_plus(void **state)
{
	struct fixture f = setup();
	struct fuse_read_in in = {.size = 4096, .offset = 3};
	const struct fuse_direntplus *d = (const void *)f.k->data;

	(void)find(&f, f.top, "movie.mkv"); /* who asks for one */
	kernel_wait(f.k, kernel_send(f.k, FUSE_READDIRPLUS, f.top, &in,
				     sizeof(in), NULL));
	assert_int_equal(f.k->err, 0);
	assert_memory_equal(d->dirent.name, "movie.mkv", 9);
	assert_true(d->entry_out.nodeid == (f.top | 1));
	assert_true(d->entry_out.attr.size == BIG_BYTES);
	assert_true(d->dirent.ino == (f.top | 1));
	teardown(&f);
}

/* A torrent added while the root is listed appears at the end. */
static void root_grows_at_its_end(void **state)
{
	struct fixture f = setup();
	struct metainfo *mi = fake_metainfo_new("a", 0xbb, movie_files, 1);
	struct torrent *t = fake_add(f.k->engine, &mi->id);
	char names[LIST_BYTES];

	fake_ready(t, mi);
	assert_int_equal(mount_on_ready(f.k->m, t), 0);
	list(f.k, INODE_ROOT, 64, names);
	assert_string_equal(names, ". .. .trackerignore movie a ");
	teardown(&f);
	fake_metainfo_free(mi);
}

/* Equal names: who comes later gets the suffix. Names that mean something
 * else always get it. The same torrent is not shown twice. */
static void equal_names(void **state)
{
	static const char *const names[] = {"movie", HEX_A, ".shoalfs"};
	struct fixture f = setup();
	struct metainfo *mi[3];
	char listed[LIST_BYTES];

	for (unsigned i = 0; i < 3; i++) {
		struct torrent *t;

		mi[i] = fake_metainfo_new(names[i], (uint8_t)(0xb0 + i),
					  movie_files, 1);
		t = fake_add(f.k->engine, &mi[i]->id);
		fake_ready(t, mi[i]);
		assert_int_equal(mount_on_ready(f.k->m, t), 0);
	}
	list(f.k, INODE_ROOT, 4096, listed);
	assert_string_equal(listed,
			    ". .. .trackerignore movie movie [b0b0b0b0] " HEX_A
			    " [b1b1b1b1] .shoalfs [b2b2b2b2] ");
	assert_int_equal(mount_on_ready(f.k->m, f.t), 0);
	assert_true(find(&f, INODE_ROOT, "movie") == f.top);
	assert_true(find(&f, INODE_ROOT, "movie [b0b0b0b0]") ==
		    inode_base(&mi[0]->id));
	teardown(&f);
	for (unsigned i = 0; i < 3; i++)
		fake_metainfo_free(mi[i]);
}

/* statfs: used is what is held. */
static void statfs(void **state)
{
	struct fixture f = setup();
	const struct fuse_statfs_out *s = (const void *)f.k->data;

	fake_hold(f.t, 500 * 1024);
	kernel_wait(f.k,
		    kernel_send(f.k, FUSE_STATFS, INODE_ROOT, NULL, 0, NULL));
	assert_int_equal(f.k->err, 0);
	assert_int_equal(s->st.bsize, 4096);
	assert_int_equal(s->st.frsize, 4096);
	assert_int_equal(s->st.blocks, (BIG_BYTES + 3022 + 4095) / 4096);
	assert_int_equal(s->st.blocks - s->st.bfree, 125);
	assert_true(s->st.bfree == s->st.bavail);
	assert_int_equal(s->st.namelen, 255);
	teardown(&f);
}

/* ---- Tests: names that may wait ---- */

/* An info-hash leads to the torrent's directory under a number of its own for
 * directories, while files and st_ino are the same. */
static void hash_is_a_twin(void **state)
{
	struct fixture f = setup();
	struct fuse_entry_out e;
	uint64_t twin, subs;

	assert_int_equal(kernel_lookup(f.k, INODE_ROOT, HEX_A, &e), 0);
	twin = e.nodeid;
	assert_true(twin == (f.top | INODE_TWIN));
	assert_true(e.attr.ino == f.top);
	subs = find(&f, twin, "subs");
	assert_true(inode_is_twin(subs));
	assert_true(find(&f, subs, "..") == twin);
	assert_true(find(&f, subs, "en.srt") == (f.top | 2));
	teardown(&f);
}

/* A file that is held when it is looked up has a number of its own for the
 * kernel to read it by itself; both are good for ever, and st_ino is one. A
 * torrent that has no blob to give is read through us all the same. */
static void whole_files_have_a_twin(void **state)
{
	struct fixture f;
	struct fuse_entry_out e;
	struct fuse_open_out open;
	uint64_t file, u;

	kernel_offer(1 << 5);
	f = setup();
	assert_int_equal(kernel_lookup(f.k, f.top, "movie.mkv", &e), 0);
	file = e.nodeid;
	assert_false(inode_is_twin(file));
	assert_true(e.entry_valid <= 1);
	fake_hold(f.t, f.mi->total_bytes);
	assert_int_equal(kernel_lookup(f.k, f.top, "movie.mkv", &e), 0);
	assert_true(e.nodeid == (file | INODE_TWIN));
	assert_true(e.attr.ino == file);
	assert_true(e.entry_valid > 1000);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(kernel_open(f.k, e.nodeid, O_RDONLY, &open),
				 0);
		assert_true(open.open_flags & FOPEN_KEEP_CACHE);
		u = kernel_read_start(f.k, e.nodeid, open.fh, 0, 4096);
		kernel_wait(f.k, u);
		assert_int_equal(f.k->len, 4096);
		kernel_release(f.k, e.nodeid, open.fh);
	}
	for (int i = 0; i < 2; i++) {
		uint64_t number = i == 0 ? file : file | INODE_TWIN;

		assert_int_equal(kernel_lookup(f.k, number, ".", &e), 0);
		assert_true(e.nodeid == number);
		assert_true(e.attr.ino == file);
	}
	teardown(&f);
	kernel_offer(0);
}

/* The kernel goes on with handles that a predecessor gave it; a release of one
 * that is not known, or was released already, is no error. */
static void handles_of_a_predecessor(void **state)
{
	struct fixture f = setup();
	uint64_t file = find(&f, f.top, "movie.mkv");
	uint64_t fh = open_file(&f, file) + 1000000;

	fake_hold(f.t, f.mi->total_bytes);
	kernel_release(f.k, file, fh - 1000000);
	kernel_wait(f.k, kernel_read_start(f.k, file, fh, 8192, 4096));
	assert_bytes(f.k, 8192, 4096);
	kernel_wait(f.k, kernel_read_start(f.k, file, fh, 0, 4096));
	assert_bytes(f.k, 0, 4096);
	kernel_wait(f.k, kernel_read_start(f.k, f.top, fh + 1, 0, 4096));
	assert_int_equal(f.k->err, ESTALE);
	kernel_release(f.k, file, fh);
	kernel_release(f.k, file, fh);
	teardown(&f);
}

/* Only the hash of a torrent that somebody added waits; it is answered when
 * the torrent is shown. */
static void hash_waits_for_metadata(void **state)
{
	struct fixture f = setup();
	struct fuse_entry_out e;
	struct metainfo *mi = fake_metainfo_new("late", 0xbb, movie_files, 1);
	struct torrent *t = fake_add(f.k->engine, &mi->id);
	char hex[TORRENT_HEX_BYTES];
	uint64_t u;

	torrent_id_hex(&mi->id, hex);
	u = kernel_send(f.k, FUSE_LOOKUP, INODE_ROOT, NULL, 0, hex);
	assert_false(kernel_poll(f.k, u));
	hex[0] = 'c';
	assert_int_equal(kernel_lookup(f.k, INODE_ROOT, hex, &e), ENOENT);
	fake_ready(t, mi);
	assert_int_equal(mount_on_ready(f.k->m, t), 0);
	kernel_wait(f.k, u);
	assert_int_equal(f.k->err, 0);
	teardown(&f);
	fake_metainfo_free(mi);
}

/* Metadata that does not come: ETIMEDOUT. A torrent that failed: EIO, at once
 * and for who waits. An interrupt: EINTR. */
static void hash_does_not_wait_for_ever(void **state)
{
	struct fixture f = setup();
	struct torrent_id id = {.v1 = {.len = 20}};
	struct torrent *t = fake_add(f.k->engine, &id);
	const char *hex = "0000000000000000000000000000000000000000";
	uint64_t u;

	u = kernel_send(f.k, FUSE_LOOKUP, INODE_ROOT, NULL, 0, hex);
	assert_false(kernel_poll(f.k, u));
	kernel_run(f.k, LOOKUP_MS + 5);
	kernel_wait(f.k, u);
	assert_int_equal(f.k->err, ETIMEDOUT);
	u = kernel_send(f.k, FUSE_LOOKUP, INODE_ROOT, NULL, 0, hex);
	assert_false(kernel_poll(f.k, u));
	kernel_interrupt(f.k, u);
	kernel_wait(f.k, u);
	assert_int_equal(f.k->err, EINTR);
	u = kernel_send(f.k, FUSE_LOOKUP, INODE_ROOT, NULL, 0, hex);
	assert_false(kernel_poll(f.k, u));
	fake_set_failed(t);
	mount_on_failed(f.k->m, t);
	kernel_wait(f.k, u);
	assert_int_equal(f.k->err, EIO);
	kernel_wait(f.k,
		    kernel_send(f.k, FUSE_LOOKUP, INODE_ROOT, NULL, 0, hex));
	assert_int_equal(f.k->err, EIO);
	teardown(&f);
}

/* A hash that nobody added is looked for, if there is a DHT: it waits; who asks
 * meanwhile waits for the same. That nobody has it is said to both, and to who
 * asks again at once; it is forgotten after that. */
static void named_hash_is_looked_for(void **state)
{
	struct fixture f = setup();
	const char *hex = "0000000000000000000000000000000000000000";
	struct fuse_entry_out e;
	struct torrent *t;
	uint64_t u, v;

	assert_int_equal(kernel_lookup(f.k, INODE_ROOT, hex, &e), ENOENT);
	fake_set_dht(f.k->engine);
	u = kernel_send(f.k, FUSE_LOOKUP, INODE_ROOT, NULL, 0, hex);
	v = kernel_send(f.k, FUSE_LOOKUP, INODE_ROOT, NULL, 0, hex);
	assert_false(kernel_poll(f.k, u));
	t = engine_next(f.k->engine, f.t);
	assert_non_null(t);
	assert_null(engine_next(f.k->engine, t));
	fake_set_failed(t);
	mount_on_failed(f.k->m, t);
	assert_null(engine_next(f.k->engine, f.t));
	kernel_wait(f.k, u);
	assert_int_equal(f.k->err, ENOENT);
	kernel_wait(f.k, v);
	assert_int_equal(f.k->err, ENOENT);
	assert_int_equal(kernel_lookup(f.k, INODE_ROOT, hex, &e), ENOENT);
	assert_null(engine_next(f.k->engine, f.t));
	kernel_run(f.k, GUESTS_STAND_MS + 50);
	u = kernel_send(f.k, FUSE_LOOKUP, INODE_ROOT, NULL, 0, hex);
	assert_false(kernel_poll(f.k, u));
	t = engine_next(f.k->engine, f.t);
	assert_non_null(t);
	fake_set_failed(t);
	mount_on_failed(f.k->m, t);
	kernel_wait(f.k, u);
	assert_int_equal(f.k->err, ENOENT);
	teardown(&f);
}

/* Only 40 or 64 hex digits, and nothing else beside them, are looked for. */
static void other_names_stay_here(void **state)
{
	static const char *const names[] = {
		"000000000000000000000000000000000000000",
		"00000000000000000000000000000000000000000",
		"000000000000000000000000000000000000000g",
		" 000000000000000000000000000000000000000",
		"0x00000000000000000000000000000000000000",
		"000000000000000000000000000000000000000.",
		"000000000000000000000000000000000000000\n",
		"-000000000000000000000000000000000000000",
		"00000000000000000000000000000000"
		"0000000000000000000000000000000",
		"00000000000000000000000000000000"
		"000000000000000000000000000000000",
		"00000000000000000000000000000000"
		"0000000000000000000000000000000z",
		".hidden",
		"autorun.inf",
	};
	struct fixture f = setup();
	struct fuse_entry_out e;

	fake_set_dht(f.k->engine);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(kernel_lookup(f.k, INODE_ROOT, names[i], &e),
				 ENOENT);
		assert_null(engine_next(f.k->engine, f.t));
	}
	teardown(&f);
}

/* ---- Tests: reading ---- */

/* Held bytes are answered at once, from the right place, cut at the end of
 * the file and nowhere else. */
static void reads_what_is_held(void **state)
{
	struct fixture f = setup();
	uint64_t fh = open_file(&f, f.top | 1);
	uint64_t srt = open_file(&f, f.top | 2);

	fake_hold(f.t, f.mi->total_bytes);
	kernel_wait(f.k, kernel_read_start(f.k, f.top | 1, fh, 4096, 131072));
	assert_bytes(f.k, 4096, 131072);
	kernel_wait(f.k, kernel_read_start(f.k, f.top | 1, fh, BIG_BYTES - 10,
					   131072));
	assert_bytes(f.k, BIG_BYTES - 10, 10);
	kernel_wait(f.k,
		    kernel_read_start(f.k, f.top | 1, fh, BIG_BYTES, 4096));
	assert_bytes(f.k, 0, 0);
	kernel_wait(f.k, kernel_read_start(f.k, f.top | 1, fh, INT64_MAX - 4095,
					   4096));
	assert_bytes(f.k, 0, 0);
	kernel_wait(f.k, kernel_read_start(f.k, f.top | 2, srt, 0, 4096));
	assert_bytes(f.k, BIG_BYTES, 3000);
	assert_int_equal(fake_reads(f.t), 0);
	kernel_release(f.k, f.top | 1, fh);
	kernel_release(f.k, f.top | 2, srt);
	teardown(&f);
}

/* Files are opened cached; what would write is refused. */
static void opens_cached_and_read_only(void **state)
{
	struct fixture f = setup();
	struct fuse_open_out o;

	assert_int_equal(kernel_open(f.k, f.top | 1, O_RDONLY, &o), 0);
	assert_int_equal(o.open_flags, FOPEN_KEEP_CACHE | FOPEN_NOFLUSH);
	assert_int_equal(kernel_open(f.k, f.top | 1, O_RDWR, &o), EROFS);
	assert_int_equal(kernel_open(f.k, f.top | 1, O_WRONLY, &o), EROFS);
	assert_int_equal(kernel_open(f.k, f.top, O_RDONLY, &o), EISDIR);
	assert_int_equal(kernel_open(f.k, f.top | 5, O_RDONLY, &o), ESTALE);
	teardown(&f);
}

/* What is not held waits and is answered whole; other requests are answered
 * meanwhile. */
static void parks_and_answers(void **state)
{
	struct fixture f = setup();
	uint64_t fh = open_file(&f, f.top | 1), u;
	struct fuse_attr_out a;

	u = kernel_read_start(f.k, f.top | 1, fh, 0, 65536);
	assert_false(kernel_poll(f.k, u));
	assert_int_equal(kernel_getattr(f.k, f.top | 1, &a), 0);
	assert_int_equal(fake_reads(f.t), 1);
	fake_hold(f.t, 65536);
	kernel_wait(f.k, u);
	assert_bytes(f.k, 0, 65536);
	teardown(&f);
}

/* Not a byte within the time: EIO. The kernel's second try for one page of it
 * follows at once and fails at once; a read after that waits anew. */
static void ends_at_the_deadline(void **state)
{
	struct fixture f = setup();
	uint64_t fh = open_file(&f, f.top | 1), u;

	u = kernel_read_start(f.k, f.top | 1, fh, 0, 65536);
	assert_false(kernel_poll(f.k, u));
	kernel_run(f.k, READ_MS + 5);
	kernel_wait(f.k, u);
	assert_int_equal(f.k->err, EIO);
	assert_int_equal(fake_reads(f.t), 0);
	kernel_wait(f.k, kernel_read_start(f.k, f.top | 1, fh, 8192, 4096));
	assert_int_equal(f.k->err, EIO);
	u = kernel_read_start(f.k, f.top | 1, fh, 65536, 4096);
	assert_false(kernel_poll(f.k, u));
	kernel_run(f.k, HANDLE_AGAIN_US / 1000 + 5);
	kernel_wait(f.k, u);
	u = kernel_read_start(f.k, f.top | 1, fh, 8192, 4096);
	assert_false(kernel_poll(f.k, u));
	fake_hold(f.t, 65536);
	kernel_wait(f.k, u);
	assert_bytes(f.k, 8192, 4096);
	teardown(&f);
}

/* As long as bytes arrive for it a read goes on waiting. */
static void progress_moves_the_deadline(void **state)
{
	struct fixture f = setup();
	uint64_t fh = open_file(&f, f.top | 1), u;

	u = kernel_read_start(f.k, f.top | 1, fh, 0, 4096);
	for (int i = 0; i < 4; i++) {
		assert_false(kernel_poll(f.k, u));
		kernel_run(f.k, READ_MS * 3 / 4);
		fake_progress(f.t);
	}
	assert_false(kernel_poll(f.k, u));
	kernel_run(f.k, READ_MS + 5);
	kernel_wait(f.k, u);
	assert_int_equal(f.k->err, EIO);
	teardown(&f);
}

/* The kernel's own time limit is a bound that progress does not move. */
static void kernel_limit_is_firm(void **state)
{
	struct fixture f = setup();
	uint64_t fh = open_file(&f, f.top | 1), u;

	f.k->m->request_limit_us = 20000;
	u = kernel_read_start(f.k, f.top | 1, fh, 0, 4096);
	assert_false(kernel_poll(f.k, u));
	kernel_run(f.k, 12);
	fake_progress(f.t);
	assert_false(kernel_poll(f.k, u));
	kernel_run(f.k, 10);
	kernel_wait(f.k, u);
	assert_int_equal(f.k->err, EIO);
	teardown(&f);
}

/* An interrupt ends a waiting read with EINTR, also one that comes before its
 * request, and one for a request that was answered is nothing. */
static void interrupts(void **state)
{
	struct fixture f = setup();
	uint64_t fh = open_file(&f, f.top | 1), u;
	struct fuse_attr_out a;

	u = kernel_read_start(f.k, f.top | 1, fh, 0, 4096);
	assert_false(kernel_poll(f.k, u));
	kernel_interrupt(f.k, u);
	kernel_wait(f.k, u);
	assert_int_equal(f.k->err, EINTR);
	assert_int_equal(fake_reads(f.t), 0);
	kernel_interrupt(f.k, f.k->last + 2);
	u = kernel_read_start(f.k, f.top | 1, fh, 0, 4096);
	kernel_wait(f.k, u);
	assert_int_equal(f.k->err, EINTR);
	fake_hold(f.t, 4096);
	kernel_wait(f.k, kernel_read_start(f.k, f.top | 1, fh, 0, 4096));
	assert_int_equal(kernel_getattr(f.k, f.top, &a), 0);
	teardown(&f);
}

/* A read of the kernel's read-ahead that waits is nudged: EINTR, what was asked
 * of the torrent stays, then as read-ahead, and the page that is asked for next
 * waits on: it is an interrupt, the bytes or the deadline, counted from the
 * first request, that ends it. */
static void waits_are_nudged(void **state)
{
	struct fixture f = setup();
	uint64_t fh = open_file(&f, f.top | 1), u, off, len;

	f.k->m->nudge_us = 5000;
	f.k->m->read_timeout_us = 200000;
	u = kernel_read_start(f.k, f.top | 1, fh, 0, 65536);
	assert_false(kernel_poll(f.k, u));
	kernel_run(f.k, 10);
	kernel_wait(f.k, u);
	assert_int_equal(f.k->err, EINTR);
	assert_int_equal(fake_reads(f.t), 1);
	fake_window(f.t, &off, &len);
	assert_int_equal(len, 65536);
	u = kernel_read_start(f.k, f.top | 1, fh, 8192, 4096);
	assert_false(kernel_poll(f.k, u));
	assert_int_equal(fake_reads(f.t), 2);
	kernel_run(f.k, HANDLE_AGAIN_US / 1000 + 5);
	assert_int_equal(fake_reads(f.t), 1);
	assert_false(kernel_poll(f.k, u));
	kernel_run(f.k, 145);
	kernel_wait(f.k, u);
	assert_int_equal(f.k->err, EIO);
	kernel_run(f.k, HANDLE_AGAIN_US / 1000 + 5);
	u = kernel_read_start(f.k, f.top | 1, fh, 12288, 8192);
	assert_false(kernel_poll(f.k, u));
	kernel_run(f.k, 10);
	assert_false(kernel_poll(f.k, u));
	kernel_interrupt(f.k, u);
	kernel_wait(f.k, u);
	assert_int_equal(f.k->err, EINTR);
	teardown(&f);
}

/* With O_DIRECT the error would be the reader's: no nudge. A handle may be
 * closed while what it asked for is still asked of the torrent. */
static void who_is_not_nudged(void **state)
{
	struct fixture f = setup();
	uint64_t fh = open_file(&f, f.top | 1), u;
	struct fuse_read_in in = {
		.fh = fh, .size = 65536, .flags = O_RDONLY | O_DIRECT};

	f.k->m->nudge_us = 2000;
	u = kernel_send(f.k, FUSE_READ, f.top | 1, &in, sizeof(in), NULL);
	assert_false(kernel_poll(f.k, u));
	kernel_run(f.k, 8);
	assert_false(kernel_poll(f.k, u));
	kernel_interrupt(f.k, u);
	kernel_wait(f.k, u);
	u = kernel_read_start(f.k, f.top | 1, fh, 0, 65536);
	assert_false(kernel_poll(f.k, u));
	kernel_run(f.k, 8);
	kernel_wait(f.k, u);
	assert_int_equal(f.k->err, EINTR);
	kernel_release(f.k, f.top | 1, fh);
	assert_int_equal(fake_reads(f.t), 0);
	teardown(&f);
}

/* Whatever the torrent's error is, a reader gets EIO. */
static void errors_become_eio(void **state)
{
	struct fixture f = setup();
	uint64_t fh = open_file(&f, f.top | 1), u;

	u = kernel_read_start(f.k, f.top | 1, fh, 0, 4096);
	assert_false(kernel_poll(f.k, u));
	fake_fail_reads(f.t, ESHUTDOWN);
	kernel_wait(f.k, u);
	assert_int_equal(f.k->err, EIO);
	fake_set_failed(f.t);
	kernel_wait(f.k, kernel_read_start(f.k, f.top | 1, fh, 0, 4096));
	assert_int_equal(f.k->err, EIO);
	teardown(&f);
}

/* A hundred readers of what is not there do not delay a reader of what is. */
static void stalled_readers_delay_nobody(void **state)
{
	struct fixture f = setup();
	uint64_t fh = open_file(&f, f.top | 1);
	uint64_t srt = open_file(&f, f.top | 2), u;

	fake_hold(f.t, 4096);
	for (int i = 0; i < 100; i++) {
		kernel_read_start(f.k, f.top | 1, fh, 8192 + 4096 * (uint64_t)i,
				  4096);
		if (i % 16 == 15)
			kernel_turn(f.k);
	}
	u = kernel_read_start(f.k, f.top | 1, fh, 0, 4096);
	for (int i = 0; i < 4; i++)
		kernel_turn(f.k);
	kernel_wait(f.k, u);
	assert_bytes(f.k, 0, 4096);
	assert_int_equal(fake_reads(f.t), 100);
	mount_stop(f.k->m);
	kernel_turn(f.k);
	assert_true(srt != 0);
	teardown(&f);
}

/* The window follows evidence, in the torrent's own positions, and goes with
 * the handle. */
static void window_follows_the_reader(void **state)
{
	static const struct fake_file files[] = {
		{"first", 5000, 0},
		{"large", 64 << 20, 0},
	};
	struct kernel *k = kernel_new(READ_MS, LOOKUP_MS);
	struct metainfo *mi = fake_metainfo_new("m", 0xcc, files, 2);
	struct torrent *t = fake_add(k->engine, &mi->id);
	uint64_t top = inode_base(&mi->id), off, len, unique;
	struct fuse_open_out o;

	fake_ready(t, mi);
	assert_int_equal(mount_on_ready(k->m, t), 0);
	assert_int_equal(kernel_open(k, top | 2, O_RDONLY, &o), 0);
	unique = kernel_read_start(k, top | 2, o.fh, 0, 16384);
	kernel_turn(k);
	assert_int_equal(fake_cursors(t), 0);
	fake_hold(t, mi->total_bytes);
	kernel_wait(k, unique);
	kernel_wait(k, kernel_read_start(k, top | 2, o.fh, 16384, 16384));
	assert_int_equal(fake_cursors(t), 1);
	fake_window(t, &off, &len);
	assert_int_equal(off, 5000 + 32768);
	assert_int_equal(len, 1 << 20);
	kernel_wait(k, kernel_read_start(k, top | 2, o.fh, 40 << 20, 16384));
	fake_window(t, &off, &len);
	assert_int_equal(len, 0);
	kernel_release(k, top | 2, o.fh);
	assert_int_equal(fake_cursors(t), 0);
	kernel_free(k);
	fake_metainfo_free(mi);
}

static void read_on(struct kernel *k, uint64_t node, uint64_t fh, uint64_t from,
		    uint64_t to)
{
	for (uint64_t off = from; off < to; off += 128 << 10)
		kernel_wait(k, kernel_read_start(k, node, fh, off, 128 << 10));
}

/* Who finds here all that he reads may be one who only looks, as somebody did
 * before: what that one did not read is not fetched for him. Until he reads
 * something that is not here, or on for longer than who looks. */
static void who_finds_all_here_has_no_window(void **state)
{
	static const struct fake_file files[] = {{"film.mkv", 64 << 20, 0}};
	struct kernel *k = kernel_new(READ_MS, LOOKUP_MS);
	struct metainfo *mi = fake_metainfo_new("m", 0xcc, files, 1);
	struct torrent *t = fake_add(k->engine, &mi->id);
	uint64_t top = inode_base(&mi->id), off, len, unique;
	struct fuse_open_out o;

	fake_ready(t, mi);
	assert_int_equal(mount_on_ready(k->m, t), 0);
	fake_hold(t, 2 << 20);
	assert_int_equal(kernel_open(k, top | 1, O_RDONLY, &o), 0);
	read_on(k, top | 1, o.fh, 0, 2 << 20);
	assert_int_equal(fake_cursors(t), 0);
	unique = kernel_read_start(k, top | 1, o.fh, 2 << 20, 128 << 10);
	kernel_turn(k);
	assert_int_equal(fake_cursors(t), 1);
	fake_window(t, &off, &len);
	assert_int_equal(off, (2 << 20) + (128 << 10));
	assert_true(len >= 8 << 20);
	fake_hold(t, 32 << 20);
	kernel_wait(k, unique);
	kernel_release(k, top | 1, o.fh);

	assert_int_equal(kernel_open(k, top | 1, O_RDONLY, &o), 0);
	read_on(k, top | 1, o.fh, 0, AHEAD_QUIET_BYTES);
	assert_int_equal(fake_cursors(t), 0);
	read_on(k, top | 1, o.fh, AHEAD_QUIET_BYTES, AHEAD_QUIET_BYTES + 1);
	assert_int_equal(fake_cursors(t), 1);
	kernel_release(k, top | 1, o.fh);
	kernel_free(k);
	fake_metainfo_free(mi);
}

/* The first read of a film asks for its tail as well, but not one that begins
 * in its middle, nor one that finds its bytes here: somebody has looked at it
 * before. The tail is let go with the handle. */
static void a_film_is_asked_for_at_both_ends(void **state)
{
	static const struct fake_file files[] = {{"film.mkv", 64 << 20, 0}};
	struct kernel *k = kernel_new(READ_MS, LOOKUP_MS);
	struct metainfo *mi = fake_metainfo_new("m", 0xcc, files, 1);
	struct torrent *t = fake_add(k->engine, &mi->id);
	uint64_t top = inode_base(&mi->id), off, len, unique;
	struct fuse_open_out o;

	fake_ready(t, mi);
	assert_int_equal(mount_on_ready(k->m, t), 0);
	assert_int_equal(kernel_open(k, top | 1, O_RDONLY, &o), 0);
	unique = kernel_read_start(k, top | 1, o.fh, 0, 16384);
	kernel_turn(k);
	assert_int_equal(fake_cursors(t), 2);
	fake_window(t, &off, &len);
	assert_int_equal(off, 63 << 20);
	assert_int_equal(len, 1 << 20);
	fake_hold(t, mi->total_bytes);
	kernel_wait(k, unique);
	kernel_release(k, top | 1, o.fh);
	assert_int_equal(fake_cursors(t), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(kernel_open(k, top | 1, O_RDONLY, &o), 0);
		kernel_wait(k, kernel_read_start(k, top | 1, o.fh,
						 i == 0 ? 0 : 30 << 20, 16384));
		assert_int_equal(fake_cursors(t), 0);
		kernel_release(k, top | 1, o.fh);
	}
	kernel_free(k);
	fake_metainfo_free(mi);
}

/* ---- Tests: extended attributes and status ---- */

static void assert_xattr(struct fixture *f, uint64_t node, const char *name,
			 const char *want)
{
	assert_int_equal(kernel_getxattr(f->k, node, name, 256), 0);
	assert_int_equal(f->k->len, strlen(want));
	assert_memory_equal(f->k->data, want, strlen(want));
}

/* Values, sizes, ENODATA for what users may have and EOPNOTSUPP for what
 * nothing here has. */
static void xattrs(void **state)
{
	struct fixture f = setup();
	const struct fuse_getxattr_out *size = (const void *)f.k->data;

	fake_hold(f.t, 600000);
	assert_xattr(&f, f.top, "user.shoalfs.infohash", HEX_A);
	assert_xattr(&f, f.top | 1, "user.shoalfs.infohash", HEX_A);
	assert_xattr(&f, f.top, "user.shoalfs.held", "600000");
	assert_xattr(&f, f.top | 1, "user.shoalfs.held", "600000");
	assert_xattr(&f, f.top | 2, "user.shoalfs.held", "0");
	assert_xattr(&f, f.top, "user.shoalfs.pieces", "2/4");
	assert_xattr(&f, f.top | 1, "user.shoalfs.pieces", "2/4");
	assert_xattr(&f, f.top | 2, "user.shoalfs.pieces", "0/1");
	assert_xattr(&f, f.top | 6, "user.shoalfs.pieces", "0/0");
	assert_int_equal(
		kernel_getxattr(f.k, f.top, "user.shoalfs.infohash", 0), 0);
	assert_int_equal(size->size, 40);
	assert_int_equal(
		kernel_getxattr(f.k, f.top, "user.shoalfs.infohash", 39),
		ERANGE);
	assert_int_equal(kernel_getxattr(f.k, f.top, "user.other", 99),
			 ENODATA);
	assert_int_equal(
		kernel_getxattr(f.k, f.top | 1, "security.capability", 99),
		EOPNOTSUPP);
	assert_int_equal(
		kernel_getxattr(f.k, f.top, "system.posix_acl_access", 0),
		EOPNOTSUPP);
	assert_int_equal(kernel_getxattr(f.k, 1, "user.shoalfs.held", 99),
			 ENODATA);
	assert_int_equal(kernel_getxattr(f.k, f.top | 1, "user.shoalfs.why", 9),
			 ENODATA);
	teardown(&f);
}

/* A list names exactly what can be got; `why` only while somebody waits. */
static void xattr_lists(void **state)
{
	static const char plain[] = "user.shoalfs.infohash\0"
				    "user.shoalfs.held\0"
				    "user.shoalfs.pieces";
	static const char waited[] = "user.shoalfs.infohash\0"
				     "user.shoalfs.held\0"
				     "user.shoalfs.pieces\0"
				     "user.shoalfs.why";
	struct fuse_getxattr_in in = {.size = 1000};
	struct fixture f = setup();
	uint64_t fh = open_file(&f, f.top | 1), u;

	kernel_wait(f.k, kernel_send(f.k, FUSE_LISTXATTR, f.top | 1, &in,
				     sizeof(in), NULL));
	assert_int_equal(f.k->len, sizeof(plain));
	assert_memory_equal(f.k->data, plain, sizeof(plain));
	u = kernel_read_start(f.k, f.top | 1, fh, 0, 4096);
	assert_false(kernel_poll(f.k, u));
	kernel_wait(f.k, kernel_send(f.k, FUSE_LISTXATTR, f.top | 1, &in,
				     sizeof(in), NULL));
	assert_memory_equal(f.k->data, waited, sizeof(waited));
	assert_xattr(&f, f.top | 1, "user.shoalfs.why", "no peers");
	fake_hold(f.t, 4096);
	kernel_wait(f.k, u);
	kernel_wait(f.k, kernel_send(f.k, FUSE_LISTXATTR, INODE_ROOT, &in,
				     sizeof(in), NULL));
	assert_int_equal(f.k->err, 0);
	assert_int_equal(f.k->len, 0);
	teardown(&f);
}

/* The text says what a person asks: state, why a read waits; and neither
 * passkeys nor what a peer would do to a terminal. */
static void status_text(void **state)
{
	struct fixture f = setup();
	uint64_t fh = open_file(&f, f.top | 1);
	const char *s;

	fake_hold(f.t, 600000);
	kernel_read_start(f.k, f.top | 1, fh, 700000, 4096);
	kernel_turn(f.k);
	s = read_status(&f, "status");
	assert_non_null(strstr(s, "movie\n"));
	assert_non_null(strstr(s, HEX_A));
	assert_non_null(strstr(s, "state    ready"));
	assert_non_null(strstr(s, "2 of 4 pieces"));
	assert_non_null(strstr(
		s, "movie/movie.mkv: 4096 bytes at 700000, for 0.0 s: no "
		   "peers"));
	assert_non_null(strstr(s, "10.0.0.1:6881"));
	assert_null(strstr(s, "s3cr3t"));
	for (const char *p = s; *p != '\0'; p++)
		assert_true(*p == '\n' || (*p >= ' ' && *p <= '~'));
	mem_free((void *)(uintptr_t)s);
	mount_stop(f.k->m);
	teardown(&f);
}

/* The JSON is one, whatever peers call themselves, and says the same. */
static void status_json(void **state)
{
	struct fixture f = setup();
	uint64_t fh = open_file(&f, f.top | 1);
	json_t *root, *t, *reads, *peer;
	const char *s;

	kernel_read_start(f.k, f.top | 1, fh, 700000, 4096);
	kernel_turn(f.k);
	s = read_status(&f, "status.json");
	root = json_loads(s, 0, NULL);
	assert_non_null(root);
	t = json_array_get(json_object_get(root, "torrents"), 0);
	assert_string_equal(json_string_value(json_object_get(t, "info_hash")),
			    HEX_A);
	assert_int_equal(json_integer_value(json_object_get(t, "pieces")), 4);
	assert_int_equal(json_array_size(json_object_get(t, "peers")), 1);
	peer = json_array_get(json_object_get(t, "peers"), 0);
	assert_true(json_is_true(json_object_get(peer, "interesting")));
	assert_true(json_is_false(json_object_get(peer, "interested_in_us")));
	reads = json_object_get(root, "reads");
	assert_int_equal(json_array_size(reads), 1);
	assert_string_equal(json_string_value(json_object_get(
				    json_array_get(reads, 0), "path")),
			    "movie/movie.mkv");
	assert_null(strstr(s, "s3cr3t"));
	json_decref(root);
	mem_free((void *)(uintptr_t)s);
	mount_stop(f.k->m);
	teardown(&f);
}

/* A status file keeps the text of its opening, however it is read. */
static void status_is_one_moment(void **state)
{
	struct fixture f = setup();
	struct fuse_open_out o;
	char first[64];

	assert_int_equal(kernel_open(f.k, INODE_STATUS, O_RDONLY, &o), 0);
	kernel_wait(f.k, kernel_read_start(f.k, INODE_STATUS, o.fh, 10, 50));
	assert_int_equal(f.k->len, 50);
	memcpy(first, f.k->data, 50);
	fake_hold(f.t, 600000);
	kernel_wait(f.k, kernel_read_start(f.k, INODE_STATUS, o.fh, 0, 4096));
	assert_memory_equal(f.k->data + 10, first, 50);
	assert_null(strstr((char *)f.k->data, "2 of 4"));
	kernel_wait(f.k,
		    kernel_read_start(f.k, INODE_STATUS, o.fh, 1 << 20, 4096));
	assert_int_equal(f.k->len, 0);
	kernel_release(f.k, INODE_STATUS, o.fh);
	teardown(&f);
}

/* ---- Tests: what must not happen, and the end ---- */

/* Operations that we have not, and numbers that nobody has: an error each,
 * and the mount goes on. */
static void unknown_requests(void **state)
{
	static const uint32_t codes[] = {FUSE_MKDIR, FUSE_LSEEK, FUSE_RENAME,
					 FUSE_IOCTL, 49,	 63,
					 1000,	     UINT32_MAX};
	struct fixture f = setup();
	uint8_t zeros[128] = {0};
	struct fuse_attr_out a;

	for (unsigned i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		kernel_wait(f.k, kernel_send(f.k, codes[i], f.top, zeros,
					     sizeof(zeros), NULL));
		assert_int_not_equal(f.k->err, 0);
	}
	assert_int_equal(kernel_getattr(f.k, f.top, &a), 0);
	teardown(&f);
}

/* Node numbers of every kind of nonsense are stale, for every operation. */
static void stale_numbers(void **state)
{
	static const uint32_t codes[] = {
		FUSE_LOOKUP,  FUSE_GETATTR,	FUSE_OPEN,     FUSE_OPENDIR,
		FUSE_READDIR, FUSE_READDIRPLUS, FUSE_GETXATTR, FUSE_LISTXATTR};
	struct fixture f = setup();
	const uint64_t nodes[] = {0,
				  100,
				  UINT64_MAX,
				  f.top | 0xfffff,
				  f.top | 5,
				  f.top + (UINT64_C(1) << 20),
				  INODE_TWIN | 1};
	uint8_t zeros[128] = {0};

	for (unsigned c = 0; c < sizeof(codes) / sizeof(codes[0]); c++)
		for (unsigned n = 0; n < sizeof(nodes) / sizeof(nodes[0]);
		     n++) {
			kernel_wait(f.k,
				    kernel_send(f.k, codes[c], nodes[n], zeros,
						sizeof(zeros), "name"));
			assert_int_equal(f.k->err, ESTALE);
		}
	teardown(&f);
}

/* FORGET is not answered, and nothing depends on it. */
static void forget_is_nothing(void **state)
{
	struct fixture f = setup();
	struct fuse_forget_in in = {.nlookup = 1000};
	struct fuse_attr_out a;

	f.k->answers[kernel_send(f.k, FUSE_FORGET, f.top, &in, sizeof(in),
				 NULL)] = 1;
	assert_int_equal(kernel_getattr(f.k, f.top, &a), 0);
	teardown(&f);
}

/* mount_stop: every parked read and lookup ends with an error, once; the
 * kernel's side sees the end; on_end comes later and once. */
static void stop_ends_everything(void **state)
{
	struct fixture f = setup();
	struct torrent_id id = {.v1 = {.len = 20}};
	uint64_t fh = open_file(&f, f.top | 1), first;
	char byte;

	fake_add(f.k->engine, &id);
	first = kernel_read_start(f.k, f.top | 1, fh, 0, 4096);
	for (int i = 1; i < 64; i++) {
		kernel_read_start(f.k, f.top | 1, fh, (uint64_t)i * 4096, 4096);
		if (i % 8 == 0)
			kernel_turn(f.k);
	}
	kernel_send(f.k, FUSE_LOOKUP, INODE_ROOT, NULL, 0,
		    "0000000000000000000000000000000000000000");
	for (int i = 0; i < 4; i++)
		kernel_turn(f.k);
	assert_int_equal(fake_reads(f.t), 64);
	mount_stop(f.k->m);
	mount_stop(f.k->m);
	assert_int_equal(f.k->ends, 0);
	for (int i = 0; i < 65; i++) {
		kernel_wait(f.k, first + (uint64_t)i);
		assert_int_equal(f.k->err, EIO);
	}
	assert_int_equal(f.k->ends, 1);
	assert_int_equal(f.k->why, MOUNT_END_STOPPED);
	assert_int_equal(recv(f.k->fd, &byte, 1, MSG_DONTWAIT), 0);
	assert_int_equal(fake_reads(f.t), 0);
	assert_int_equal(fake_cursors(f.t), 0);
	teardown(&f);
}

/* The kernel ends it (umount): on_end once, parked reads are dropped. */
static void unmount_ends_it(void **state)
{
	struct fixture f = setup();
	uint64_t fh = open_file(&f, f.top | 1), u;

	u = kernel_read_start(f.k, f.top | 1, fh, 0, 4096);
	assert_false(kernel_poll(f.k, u));
	shutdown(f.k->fd, SHUT_RDWR);
	kernel_turn(f.k);
	assert_int_equal(f.k->ends, 1);
	assert_int_equal(f.k->why, MOUNT_END_UNMOUNTED);
	assert_int_equal(fake_reads(f.t), 0);
	f.k->answers[u] = 1; /* nobody was left to take it */
	teardown(&f);
}

/* Send `opcode` with the n-th allocation failing, for n = 0, 1, … until it
 * passes untouched or is parked: until then it is answered, with ENOMEM. */
static uint64_t sweep(struct fixture *f, uint32_t opcode, uint64_t node,
		      const void *in, size_t in_len, const char *name)
{
	for (uint64_t n = 0; n < 200; n++) {
		uint64_t u;
		bool answered;

		mem_fail_after(n, 0);
		u = kernel_send(f->k, opcode, node, in, in_len, name);
		answered = kernel_poll(f->k, u);
		mem_fail_after(UINT64_MAX, 0);
		if (!answered || f->k->err != ENOMEM)
			return u;
	}
	fail_msg("it never has enough memory");
	return 0;
}

/* An allocation that fails costs one request, not the mount. */
static void no_memory_costs_one_request(void **state)
{
	struct fixture f = setup();
	struct torrent_id id = {.v1 = {.len = 20}};
	uint64_t fh = open_file(&f, f.top | 1), u;
	struct fuse_read_in rd = {.fh = fh, .size = 4096};
	struct fuse_open_in op = {.flags = O_RDONLY};
	struct fuse_getxattr_in xa = {.size = 100};

	fake_add(f.k->engine, &id);
	sweep(&f, FUSE_OPEN, INODE_STATUS_JSON, &op, sizeof(op), NULL);
	assert_int_equal(f.k->err, 0);
	sweep(&f, FUSE_OPEN, INODE_STATUS, &op, sizeof(op), NULL);
	assert_int_equal(f.k->err, 0);
	sweep(&f, FUSE_OPEN, f.top | 1, &op, sizeof(op), NULL);
	assert_int_equal(f.k->err, 0);
	sweep(&f, FUSE_GETXATTR, f.top | 1, &xa, sizeof(xa),
	      "user.shoalfs.held");
	assert_int_equal(f.k->err, 0);
	u = sweep(&f, FUSE_LOOKUP, INODE_ROOT, NULL, 0,
		  "0000000000000000000000000000000000000000");
	kernel_interrupt(f.k, u);
	kernel_wait(f.k, u);
	assert_int_equal(f.k->err, EINTR);
	u = sweep(&f, FUSE_READ, f.top | 1, &rd, sizeof(rd), NULL);
	fake_hold(f.t, 4096);
	kernel_wait(f.k, u);
	assert_bytes(f.k, 0, 4096);
	teardown(&f);
}

/* Nor does one in mount_on_ready change what is shown. */
static void no_memory_shows_nothing(void **state)
{
	struct fixture f = setup();
	struct metainfo *mi = fake_metainfo_new("a", 0xbb, movie_files, 3);
	struct torrent *t = fake_add(f.k->engine, &mi->id);
	char names[LIST_BYTES];
	int r = ENOMEM;

	fake_ready(t, mi);
	for (uint64_t n = 0; r == ENOMEM; n++) {
		assert_true(n < 100);
		list(f.k, INODE_ROOT, 4096, names);
		assert_string_equal(names, ". .. .trackerignore movie ");
		mem_fail_after(n, 0);
		r = mount_on_ready(f.k->m, t);
		mem_fail_after(UINT64_MAX, 0);
	}
	assert_int_equal(r, 0);
	list(f.k, INODE_ROOT, 4096, names);
	assert_string_equal(names, ". .. .trackerignore movie a ");
	teardown(&f);
	fake_metainfo_free(mi);
}

static void on_nothing(void *arg)
{
	(void)arg;
}

/* A mount that cannot be made leaves nothing behind. */
static void no_memory_makes_no_mount(void **state)
{
	struct mount_cfg cfg = {0};
	struct mount *m = NULL;
	struct loop_timer *timer;
	uint64_t before;
	int r = ENOMEM;

	assert_int_equal(loop_new(&cfg.loop), 0);
	/* What the loop has for the first is not given back. */
	assert_int_equal(loop_timer_new(cfg.loop, on_nothing, NULL, &timer), 0);
	loop_timer_free(timer);
	before = mem_in_use_bytes();
	for (uint64_t n = 0; r == ENOMEM; n++) {
		int fds[2];

		assert_true(n < 100);
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds),
				 0);
		mem_fail_after(n, 0);
		r = mount_new_on_fd(&cfg, fds[1], &kernel_device, &m);
		mem_fail_after(UINT64_MAX, 0);
		if (r != 0) {
			assert_int_equal(recv(fds[0], &r, 1, MSG_DONTWAIT), 0);
			assert_true(mem_in_use_bytes() == before);
			r = ENOMEM;
		}
		close(fds[0]);
	}
	assert_int_equal(r, 0);
	mount_free(m);
	loop_free(cfg.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_lead_to_files),
		cmocka_unit_test(dots_are_known),
		cmocka_unit_test(long_names),
		cmocka_unit_test(attributes),
		cmocka_unit_test(listings),
		cmocka_unit_test(listing_plus),
		cmocka_unit_test(root_grows_at_its_end),
		cmocka_unit_test(equal_names),
		cmocka_unit_test(statfs),
		cmocka_unit_test(hash_is_a_twin),
		cmocka_unit_test(whole_files_have_a_twin),
		cmocka_unit_test(handles_of_a_predecessor),
		cmocka_unit_test(hash_waits_for_metadata),
		cmocka_unit_test(hash_does_not_wait_for_ever),
		cmocka_unit_test(named_hash_is_looked_for),
		cmocka_unit_test(other_names_stay_here),
		cmocka_unit_test(reads_what_is_held),
		cmocka_unit_test(opens_cached_and_read_only),
		cmocka_unit_test(parks_and_answers),
		cmocka_unit_test(ends_at_the_deadline),
		cmocka_unit_test(progress_moves_the_deadline),
		cmocka_unit_test(kernel_limit_is_firm),
		cmocka_unit_test(interrupts),
		cmocka_unit_test(waits_are_nudged),
		cmocka_unit_test(who_is_not_nudged),
		cmocka_unit_test(errors_become_eio),
		cmocka_unit_test(stalled_readers_delay_nobody),
		cmocka_unit_test(window_follows_the_reader),
		cmocka_unit_test(who_finds_all_here_has_no_window),
		cmocka_unit_test(a_film_is_asked_for_at_both_ends),
		cmocka_unit_test(xattrs),
		cmocka_unit_test(xattr_lists),
		cmocka_unit_test(status_text),
		cmocka_unit_test(status_json),
		cmocka_unit_test(status_is_one_moment),
		cmocka_unit_test(unknown_requests),
		cmocka_unit_test(stale_numbers),
		cmocka_unit_test(forget_is_nothing),
		cmocka_unit_test(stop_ends_everything),
		cmocka_unit_test(unmount_ends_it),
		cmocka_unit_test(no_memory_costs_one_request),
		cmocka_unit_test(no_memory_shows_nothing),
		cmocka_unit_test(no_memory_makes_no_mount),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
