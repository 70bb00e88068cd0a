/* test_store_share — the same file in many torrents: kept once, held by each,
 * and told of while they are open. Each test runs over the disk and the memory
 * store, but those that look at what is on disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/index_vfs_job.h"
#include "cache/store.h"
#include "cache/store_share.h"
#include "cache/store_disk.h"
#include "cache/store_mem.h"
#include "tests/lib/v2_fix.h"

enum {
	MEM_BYTES = 64 << 20,
	BIG = 300000, /* 19 leaves, the last one short */
	SMALL = 40000,
	LONG = 500000,
	LEAF = MERKLE_LEAF_BYTES,
	KILLED = 42,
	MAX_PIECES = 64,
};

/* ---- Fixture: three torrents with one file in common ---- */

struct peer { /* a torrent, and what its owner was told */
	struct v2_source src;
	struct metainfo *mi;
	struct fix_answer open;
	unsigned n_gained, n_lost, n_disputed;
	bool has_gained[MAX_PIECES];
	bool has_lost[MAX_PIECES];
	bool has_leaf[1024];
};

struct fix {
	struct fix_loop l;
	char dir[64];
	char why[160];
	bool is_mem;
	uint64_t quota_bytes; /* of the disk store */
	struct store *s;
	struct peer a, b, h; /* v2 of 16 KiB, v2 of 64 KiB, a hybrid */
};

static void make(struct fix *f)
{
	f->a.mi = v2_torrent(&f->l, &f->a.src);
	f->b.mi = v2_torrent(&f->l, &f->b.src);
	f->h.mi = v2_torrent(&f->l, &f->h.src);
}

static void fix_init(struct fix *f, const char *dir)
{
	fix_loop_init(&f->l, 2);
	snprintf(f->dir, sizeof(f->dir), "%s", dir);
	f->a.src = (struct v2_source){.name = "a",
				      .files = {{.seed = 1, .len = BIG}},
				      .n = 1,
				      .piece_bytes = 16 << 10};
	f->b.src = (struct v2_source){
		.name = "b",
		.files = {{.seed = 2, .len = SMALL}, {.seed = 1, .len = BIG}},
		.n = 2,
		.piece_bytes = 64 << 10};
	f->h.src = (struct v2_source){
		.name = "h",
		.files = {{.seed = 1, .len = BIG}, {.seed = 3, .len = SMALL}},
		.n = 2,
		.piece_bytes = 32 << 10,
		.is_hybrid = true};
}

static int set_up(void **state, bool is_mem)
{
	struct fix *f = mem_new(struct fix);
	char dir[64];

	fix_dir_make(dir, sizeof(dir));
	fix_init(f, dir);
	f->is_mem = is_mem;
	make(f);
	*state = f;
	return 0;
}

static int set_up_disk(void **state)
{
	return set_up(state, false);
}

static int set_up_mem(void **state)
{
	return set_up(state, true);
}

static struct peer *const *peers(struct fix *f)
{
	static struct peer *p[3];

	p[0] = &f->a;
	p[1] = &f->b;
	p[2] = &f->h;
	return p;
}

static void peer_close(struct peer *p)
{
	if (p->open.st != NULL)
		store_close(p->open.st);
	p->open.st = NULL;
}

static void stop(struct fix *f)
{
	for (unsigned i = 0; i < 3; i++)
		peer_close(peers(f)[i]);
	store_free(f->s);
	f->s = NULL;
}

static int tear_down(void **state)
{
	struct fix *f = *state;

	stop(f);
	for (unsigned i = 0; i < 3; i++) {
		bits_fini(&peers(f)[i]->open.held);
		metainfo_free(peers(f)[i]->mi);
	}
	fix_loop_fini(&f->l);
	fix_dir_remove(f->dir);
	mem_free(f);
	return 0;
}

/* ---- Helpers ---- */

/* Stand before libc's: syncs of files can be made to fail, and the process to
 * end at the n-th step that changes the disk. */
static atomic_bool syncs_fail;
static atomic_int steps_left = -1;

static void step(void)
{
	if (atomic_load(&steps_left) >= 0 &&
	    atomic_fetch_sub(&steps_left, 1) == 0)
		_exit(KILLED);
}

int fdatasync(int fd)
{
	char link[64], path[256];
	ssize_t n;

	step();
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	if (atomic_load(&syncs_fail) && strstr(path, "/files/") != NULL) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
	step();
	return (int)syscall(SYS_fsync, fd);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to,
	      unsigned flags)
{
	int r;

	step();
	r = (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
	step();
	return r;
}

int unlinkat(int fd, const char *name, int flags)
{
	step();
	return (int)syscall(SYS_unlinkat, fd, name, flags);
}

static void start(struct fix *f)
{
	struct store_disk_cfg cfg = {.loop = f->l.loop,
				     .workers = f->l.workers,
				     .thread = f->l.thread,
				     .dir = f->dir,
				     .quota_bytes = f->quota_bytes};

	if (f->is_mem)
		fix_must(store_mem_new(f->l.loop, MEM_BYTES, &f->s), "mem");
	else
		fix_must(store_disk_new(&cfg, &f->s, f->why), "disk");
}

static void on_gained(void *arg, uint32_t ix)
{
	struct peer *p = arg;

	p->n_gained++;
	p->has_gained[ix] = true;
}

static void on_gained_leaves(void *arg, uint32_t ix, uint32_t at, uint32_t len)
{
	struct peer *p = arg;
	uint64_t off = (uint64_t)ix * p->mi->piece_bytes + at;

	assert_int_equal(at % LEAF, 0);
	for (uint64_t end = off + len; off < end; off += LEAF)
		p->has_leaf[off / LEAF] = true;
}

static void on_lost(void *arg, uint32_t ix)
{
	struct peer *p = arg;
	uint64_t off = (uint64_t)ix * p->mi->piece_bytes;

	p->n_lost++;
	p->has_lost[ix] = true;
	p->has_gained[ix] = false;
	for (uint32_t at = 0; at < p->mi->piece_bytes; at += LEAF)
		p->has_leaf[(off + at) / LEAF] = false;
}

static void on_disputed(void *arg, uint32_t ix)
{
	((struct peer *)arg)->n_disputed++;
}

static const struct store_share_ops share_ops = {
	.on_gained = on_gained,
	.on_gained_leaves = on_gained_leaves,
	.on_lost = on_lost,
	.on_disputed = on_disputed,
};

static void on_open(void *arg, int err, struct store_torrent *st,
		    const struct bits *held)
{
	struct peer *p = arg;

	fix_on_open(&p->open, err, st, held);
	if (err == 0)
		store_watch(st, &share_ops, p);
}

static void peer_open(struct fix *f, struct peer *p)
{
	struct v2_source src = p->src;
	struct metainfo *mi = p->mi;

	bits_fini(&p->open.held);
	*p = (struct peer){.src = src, .mi = mi};
	fix_must(store_open(f->s, mi, on_open, p), "store_open");
	fix_until(&f->l, fix_is_set, &p->open.is_done);
	assert_int_equal(p->open.err, 0);
}

static void start_all(struct fix *f)
{
	start(f);
	for (unsigned i = 0; i < 3; i++)
		peer_open(f, peers(f)[i]);
}

static struct blk *bytes_of(struct fix *f, const struct peer *p, uint32_t ix,
			    uint32_t at, uint32_t len)
{
	struct blk *b = blk_new(f->l.pool, len);

	v2_fill(&p->src, p->mi, (uint64_t)ix * p->mi->piece_bytes + at, len,
		b->data);
	return b;
}

static void put(struct fix *f, struct peer *p, uint32_t ix,
		struct fix_answer *a)
{
	struct blk *b = bytes_of(f, p, ix, 0, metainfo_piece_bytes(p->mi, ix));

	fix_must(store_put(p->open.st, ix, b, fix_on_put, a), "store_put");
	blk_drop(b);
}

static void put_leaves(struct fix *f, struct peer *p, uint32_t ix, uint32_t at,
		       uint32_t len, struct fix_answer *a)
{
	struct blk *b = bytes_of(f, p, ix, at, len);

	fix_must(store_put_leaves(p->open.st, ix, at, b, fix_on_put, a),
		 "store_put_leaves");
	blk_drop(b);
}

/* Until all is durable that was put, and all that follows from it said. */
static void settle(struct fix *f)
{
	fix_must(fix_flush(&f->l, f->s), "flush");
	fix_quiet(&f->l);
	fix_must(fix_flush(&f->l, f->s), "flush");
	for (unsigned i = 0; f->is_mem && i < 200; i++) /* its hashes */
		fix_quiet(&f->l);
}

static void put_all(struct fix *f, struct peer *p)
{
	struct fix_answer a = {0};

	for (uint32_t ix = 0; ix < p->mi->n_pieces; ix++)
		put(f, p, ix, &a);
	settle(f);
	assert_int_equal(a.n_durable, p->mi->n_pieces);
}

static void on_stage(void *arg, int err)
{
	struct fix_answer *a = arg;

	a->is_done = true;
	a->err = err;
}

static void stage_only(struct fix *f, struct peer *p, uint32_t ix,
		       bool is_wrong)
{
	struct fix_answer a = {0};
	struct blk *b = bytes_of(f, p, ix, 0, metainfo_body_bytes(p->mi, ix));

	if (is_wrong)
		memset(b->data, 0xee, b->len);
	fix_must(store_stage(p->open.st, ix, 0, b, on_stage, &a), "stage");
	blk_drop(b);
	fix_until(&f->l, fix_is_set, &a.is_done);
	assert_int_equal(a.err, 0);
}

/* A piece by way of store_stage. */
static void stage(struct fix *f, struct peer *p, uint32_t ix)
{
	struct fix_answer a = {0};

	stage_only(f, p, ix, false);
	fix_must(store_put(p->open.st, ix, NULL, fix_on_put, &a), "put");
	settle(f);
	assert_int_equal(a.n_durable, 1);
}

static int remove_it(struct fix *f, const struct peer *p)
{
	struct fix_answer a = {0};

	fix_must(store_remove(f->s, &p->mi->id, fix_on_done, &a), "remove");
	fix_until(&f->l, fix_is_set, &a.is_done);
	return a.err;
}

static uint64_t held_bytes(struct fix *f)
{
	struct store_stats st;

	store_stats(f->s, &st);
	return st.held_bytes;
}

/* Bytes on disk below DIR/`sub`, but for info dictionaries; and how many files
 * they are. */
static uint64_t du_of(struct fix *f, const char *sub, unsigned *n)
{
	char path[512];
	uint64_t sum = 0;
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "%s/%s", f->dir, sub);
	d = opendir(path);
	if (d == NULL)
		return 0;
	while ((e = readdir(d)) != NULL) {
		char below[512];
		struct stat sb;

		if (e->d_name[0] == '.' || strcmp(e->d_name, "info") == 0)
			continue;
		snprintf(below, sizeof(below), "%s/%s", sub, e->d_name);
		fstatat(dirfd(d), e->d_name, &sb, 0);
		if (S_ISDIR(sb.st_mode)) {
			sum += du_of(f, below, n);
			continue;
		}
		++*n;
		sum += (uint64_t)sb.st_blocks * 512;
	}
	closedir(d);
	return sum;
}

static void exec_index(struct fix *f, const char *sql)
{
	char path[96];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/index.db", f->dir);
	assert_int_equal(index_vfs_init(), SQLITE_OK);
	assert_int_equal(
		sqlite3_open_v2(path, &db,
				SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
				INDEX_VFS),
		SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* ---- Assertions ---- */

static void assert_reads(struct fix *f, struct peer *p, uint64_t off,
			 uint32_t len)
{
	uint8_t *got = mem_alloc(len), *want = mem_alloc(len);

	v2_fill(&p->src, p->mi, off, len, want);
	assert_int_equal(fix_read(&f->l, p->open.st, off, len, got), 0);
	assert_memory_equal(got, want, len);
	memset(got, 0xaa, len);
	if (store_read_now(p->open.st, off, len, got) == 0)
		assert_memory_equal(got, want, len);
	mem_free(got);
	mem_free(want);
}

/* The pieces of file `n` of a torrent, pads not counted. */
static void pieces_of(const struct peer *p, uint32_t n, uint32_t *first,
		      uint32_t *last)
{
	uint32_t ix = 0;

	for (;; ix++)
		if (!(p->mi->files[ix].attr & MI_ATTR_PAD) && n-- == 0)
			break;
	*first = (uint32_t)(p->mi->files[ix].off_bytes / p->mi->piece_bytes);
	*last = (uint32_t)((p->mi->files[ix].off_bytes +
			    p->mi->files[ix].len_bytes - 1) /
			   p->mi->piece_bytes);
}

static void assert_gained(struct fix *f, struct peer *p, uint32_t n)
{
	uint32_t first, last;

	pieces_of(p, n, &first, &last);
	for (uint32_t ix = first; ix <= last; ix++) {
		assert_true(p->has_gained[ix]);
		assert_reads(f, p, (uint64_t)ix * p->mi->piece_bytes,
			     metainfo_piece_bytes(p->mi, ix));
	}
	assert_int_equal(p->n_gained, last - first + 1);
}

static void assert_holds(struct fix *f, struct peer *p, uint32_t n)
{
	uint32_t first, last;

	pieces_of(p, n, &first, &last);
	for (uint32_t ix = first; ix <= last; ix++) {
		assert_true(bits_has(&p->open.held, ix));
		assert_reads(f, p, (uint64_t)ix * p->mi->piece_bytes,
			     metainfo_piece_bytes(p->mi, ix));
	}
	assert_int_equal(p->open.held.n_set, last - first + 1);
}

/* ---- Tests: live ---- */

/* What one torrent puts the others have, each in its own pieces; it is there
 * once, on disk and in the figures. */
static void one_for_all(void **state)
{
	struct fix *f = *state;
	unsigned n = 0;

	start_all(f);
	put_all(f, &f->a);
	assert_int_equal(f->a.n_gained, 0);
	assert_gained(f, &f->b, 1);
	assert_gained(f, &f->h, 0);
	assert_int_equal(held_bytes(f), BIG);
	if (f->is_mem)
		return;
	assert_in_range(du_of(f, "files", &n), BIG, BIG + 8192);
	assert_int_equal(n, 1);
	assert_int_equal(du_of(f, "torrents", &n), 0);
	assert_int_equal(n, 1);
}

/* A hybrid's pieces go to the others, too; the pad's zeros do not. */
static void from_a_hybrid(void **state)
{
	struct fix *f = *state;

	start_all(f);
	put_all(f, &f->h);
	assert_gained(f, &f->b, 1);
	assert_gained(f, &f->a, 0);
	assert_int_equal(held_bytes(f), BIG + SMALL);
	assert_reads(f, &f->h, 0, (uint32_t)f->h.mi->total_bytes);
}

/* Pieces of a longer one: its leaves are told first, then it. */
static void leaves_come_first(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};
	uint32_t first, last;

	start_all(f);
	pieces_of(&f->b, 1, &first, &last);
	put(f, &f->a, 1, &a);
	settle(f);
	assert_int_equal(f->b.n_gained, 0);
	assert_true(f->b.has_leaf[first * 4 + 1]);
	assert_false(f->b.has_leaf[first * 4]);
	assert_reads(f, &f->b, (uint64_t)first * (64 << 10) + LEAF, LEAF);
	for (uint32_t ix = 0; ix < 4; ix++)
		put(f, &f->a, ix, &a);
	settle(f);
	assert_int_equal(f->b.n_gained, 1);
	assert_true(f->b.has_gained[first]);
}

/* All that was put is held by all after a restart, at once. */
static void held_after_restart(void **state)
{
	struct fix *f = *state;

	if (f->is_mem)
		skip();
	start_all(f);
	put_all(f, &f->a);
	stop(f);
	start_all(f);
	assert_holds(f, &f->a, 0);
	assert_holds(f, &f->b, 1);
	assert_holds(f, &f->h, 0);
	settle(f);
	assert_int_equal(f->h.n_gained, 0);
	assert_int_equal(held_bytes(f), BIG);
}

/* A torrent that is opened later has what is there; a hybrid when its v1 hash
 * was asked, which it is once. */
static void later_ones(void **state)
{
	struct fix *f = *state;

	start(f);
	peer_open(f, &f->a);
	put_all(f, &f->a);
	peer_close(&f->a);
	peer_open(f, &f->b);
	assert_holds(f, &f->b, 1);
	peer_open(f, &f->h);
	assert_int_equal(f->h.open.held.n_set, 0);
	assert_non_null(store_leaves(f->h.open.st));
	settle(f);
	assert_gained(f, &f->h, 0);
	peer_close(&f->h);
	peer_open(f, &f->h);
	assert_holds(f, &f->h, 0);
	assert_null(store_leaves(f->h.open.st));
}

/* A hybrid whose two sides disagree never holds what another brought. */
static void liar_holds_nothing(void **state)
{
	struct fix *f = *state;

	metainfo_free(f->h.mi);
	f->h.src.v1_lies = true;
	f->h.mi = v2_torrent(&f->l, &f->h.src);
	start_all(f);
	put_all(f, &f->a);
	assert_int_equal(f->h.n_gained, 0);
	assert_int_equal(f->h.n_disputed, 1);
	assert_true(f->h.has_leaf[0]);
	assert_gained(f, &f->b, 1);
}

/* What cannot be read any more is lost for all; what is left is told. */
static void lost_for_all(void **state)
{
	struct fix *f = *state;
	uint32_t first, last;

	start_all(f);
	put_all(f, &f->a);
	pieces_of(&f->b, 1, &first, &last);
	store_forget(f->a.open.st, 1);
	settle(f);
	assert_int_equal(f->a.n_lost, 0);
	assert_int_equal(f->b.n_lost, 1);
	assert_true(f->b.has_lost[first]);
	assert_true(f->b.has_leaf[first * 4]);
	assert_false(f->b.has_leaf[first * 4 + 1]);
	assert_int_equal(f->h.n_lost, 1);
	assert_int_equal(held_bytes(f), BIG - LEAF);
	for (unsigned i = 0; i < 3; i++) {
		peer_close(peers(f)[i]);
		settle(f);
		peer_open(f, peers(f)[i]);
	}
	assert_int_equal(f->a.open.held.n_set, f->a.mi->n_pieces - 1);
	assert_false(bits_has(&f->b.open.held, first));
	assert_true(bits_has(store_leaves(f->b.open.st), first * 4 + 2));
	assert_false(bits_has(store_leaves(f->b.open.st), first * 4 + 1));
	assert_false(bits_has(&f->h.open.held, 0));
}

/* Leaves of a piece that is not whole are kept over a restart; when they are
 * all there it is held, and its own torrent hears of it. */
static void unfinished_pieces(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};
	uint32_t first, last;

	start_all(f);
	pieces_of(&f->b, 1, &first, &last);
	put_leaves(f, &f->b, first, LEAF, 2 * LEAF, &a);
	put_leaves(f, &f->b, last, 2 * LEAF, BIG % LEAF, &a);
	settle(f);
	assert_int_equal(a.n_written, 2);
	assert_int_equal(a.n_durable, 2);
	assert_int_equal(f->a.n_gained, 3);
	assert_reads(f, &f->b, (uint64_t)first * (64 << 10) + LEAF, 2 * LEAF);
	assert_int_equal(held_bytes(f), 2 * LEAF + BIG % LEAF);
	peer_close(&f->b);
	settle(f);
	peer_open(f, &f->b);
	assert_int_equal(f->b.open.held.n_set, 0);
	assert_int_equal(store_leaves(f->b.open.st)->n_set, 3);
	put_leaves(f, &f->b, first, 0, LEAF, &a);
	put_leaves(f, &f->b, first, 3 * LEAF, LEAF, &a);
	settle(f);
	assert_int_equal(f->b.n_gained, 1);
	assert_true(f->b.has_gained[first]);
	peer_close(&f->b);
	settle(f);
	peer_open(f, &f->b);
	assert_true(bits_has(&f->b.open.held, first));
	assert_reads(f, &f->b, (uint64_t)first * (64 << 10), 64 << 10);
}

/* A hybrid's leaves are a piece when v1's hash says so, too; it is not asked
 * again after a restart. */
static void leaves_become_a_hybrids_piece(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};

	start_all(f);
	put_leaves(f, &f->h, 1, LEAF, LEAF, &a);
	settle(f);
	assert_int_equal(f->h.n_gained, 0);
	put_leaves(f, &f->h, 1, 0, LEAF, &a);
	settle(f);
	settle(f);
	assert_int_equal(f->h.n_gained, 1);
	assert_true(f->h.has_gained[1]);
	assert_reads(f, &f->h, 32 << 10, 32 << 10);
	peer_close(&f->h);
	settle(f);
	peer_open(f, &f->h);
	assert_true(bits_has(&f->h.open.held, 1));
}

/* Where v1's hash says otherwise they are none. */
static void liars_leaves_are_no_piece(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};

	metainfo_free(f->h.mi);
	f->h.src.v1_lies = true;
	f->h.mi = v2_torrent(&f->l, &f->h.src);
	start_all(f);
	put_leaves(f, &f->h, 1, 0, 2 * LEAF, &a);
	settle(f);
	settle(f);
	assert_int_equal(a.n_durable, 1);
	assert_int_equal(f->h.n_gained, 0);
	assert_int_equal(f->h.n_disputed, 1);
}

/* A file that a torrent has twice is one file. */
static void twice_in_one(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};

	metainfo_free(f->b.mi);
	f->b.src.files[0] = f->b.src.files[1];
	f->b.mi = v2_torrent(&f->l, &f->b.src);
	start_all(f);
	put(f, &f->b, 1, &a);
	settle(f);
	assert_int_equal(f->b.n_gained, 1);
	assert_true(f->b.has_gained[6]);
	assert_reads(f, &f->b, 6 * (64 << 10), 64 << 10);
}

/* The same root with another length is another file. */
static void length_is_identity(void **state)
{
	struct fix *f = *state;

	metainfo_free(f->b.mi);
	f->b.src.files[0] = (struct v2_file){.seed = 2,
					     .len = SMALL + 10000,
					     .root_seed = 3,
					     .root_len = SMALL};
	f->b.mi = v2_torrent(&f->l, &f->b.src);
	start_all(f);
	put_all(f, &f->h);
	assert_gained(f, &f->b, 1); /* and not the other one */
	assert_false(f->b.has_gained[0]);
	assert_false(f->b.has_leaf[0]);
}

/* A hybrid's piece that only v1 has proven is for nobody else, until its layer
 * is known. */
static void v1_proves_no_root(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};
	unsigned n = 0;

	metainfo_free(f->h.mi);
	f->h.src.has_no_layers = true;
	f->h.mi = v2_torrent(&f->l, &f->h.src);
	start_all(f);
	put(f, &f->h, 0, &a);
	settle(f);
	assert_int_equal(a.n_durable, 1);
	assert_int_equal(f->a.n_gained, 0);
	assert_reads(f, &f->h, 0, 32 << 10);
	store_vouch(f->h.open.st, 1);
	put(f, &f->h, 1, &a);
	settle(f);
	assert_int_equal(f->a.n_gained, 2);
	assert_reads(f, &f->h, 0, 64 << 10);
	peer_close(&f->h);
	settle(f);
	peer_open(f, &f->h);
	assert_int_equal(f->h.open.held.n_set, 2);
	assert_reads(f, &f->h, 0, 64 << 10);
	if (!f->is_mem)
		assert_true(du_of(f, "torrents", &n) > 0);
}

/* What is staged is nobody else's, right or wrong, and does not come over what
 * others have. */
static void staged_is_ones_own(void **state)
{
	struct fix *f = *state;
	uint32_t first, last;

	start_all(f);
	pieces_of(&f->b, 1, &first, &last);
	put_all(f, &f->a);
	stage_only(f, &f->b, first, true);
	assert_gained(f, &f->b, 1);
	store_unstage(f->b.open.st, first);
	assert_reads(f, &f->a, 0, BIG);
	stage(f, &f->b, 0);
	assert_reads(f, &f->b, 0, SMALL);
	assert_int_equal(f->a.n_lost, 0);
}

/* What was staged and is right is everybody's, like what was put; the room that
 * it was staged in is given back. A hybrid's is, too, if v2 has proven it. */
static void staged_is_for_all_in_the_end(void **state)
{
	struct fix *f = *state;
	unsigned n = 0;

	start_all(f);
	for (uint32_t ix = 0; ix < f->b.mi->n_pieces; ix++)
		stage(f, &f->b, ix);
	assert_gained(f, &f->a, 0);
	assert_gained(f, &f->h, 0);
	assert_reads(f, &f->b, 0, (uint32_t)f->b.mi->total_bytes);
	assert_int_equal(f->b.n_lost, 0);
	assert_int_equal(held_bytes(f), BIG + SMALL);
	if (f->is_mem)
		return;
	settle(f);
	assert_int_equal(du_of(f, "torrents", &n), 0);
	assert_in_range(du_of(f, "files", &n), BIG + SMALL,
			BIG + SMALL + 16384);
	stop(f);
	start_all(f);
	assert_holds(f, &f->a, 0);
	assert_int_equal(f->b.open.held.n_set, f->b.mi->n_pieces);
}

/* The same from a hybrid. */
static void staged_from_a_hybrid(void **state)
{
	struct fix *f = *state;

	start_all(f);
	for (uint32_t ix = 0; ix < f->h.mi->n_pieces; ix++)
		stage(f, &f->h, ix);
	assert_gained(f, &f->a, 0);
	assert_gained(f, &f->b, 1);
	assert_reads(f, &f->h, 0, (uint32_t)f->h.mi->total_bytes);
	assert_int_equal(held_bytes(f), BIG + SMALL);
}

/* A hybrid's that only v1 has proven stays its own. */
static void staged_by_v1_alone(void **state)
{
	struct fix *f = *state;

	metainfo_free(f->h.mi);
	f->h.src.has_no_layers = true;
	f->h.mi = v2_torrent(&f->l, &f->h.src);
	start_all(f);
	stage(f, &f->h, 0);
	assert_int_equal(f->a.n_gained, 0);
	store_vouch(f->h.open.st, 1);
	stage(f, &f->h, 1);
	assert_int_equal(f->a.n_gained, 2);
	assert_reads(f, &f->h, 0, 64 << 10);
}

/* There is no room for a second copy, and nothing that could go for it: what
 * was staged is kept where it is. */
static void staged_without_room_stays(void **state)
{
	struct fix *f = *state;
	unsigned n = 0;

	f->quota_bytes = ((1280 + 128) << 10) + 3 * LONG / 2;
	f->a.src.files[0].len = f->b.src.files[0].len = LONG;
	f->b.src.n = 1;
	f->b.src.files[0].seed = 1;
	f->b.src.piece_bytes = 512 << 10;
	metainfo_free(f->a.mi);
	metainfo_free(f->b.mi);
	f->a.mi = v2_torrent(&f->l, &f->a.src);
	f->b.mi = v2_torrent(&f->l, &f->b.src);
	start_all(f);
	stage(f, &f->b, 0);
	assert_int_equal(f->a.n_gained, 0);
	assert_int_equal(held_bytes(f), LONG);
	assert_reads(f, &f->b, 0, LONG);
	assert_in_range(du_of(f, "torrents", &n), LONG, LONG + 8192);
	stop(f);
	start_all(f); /* its blob is everybody's now */
	assert_int_equal(f->b.open.held.n_set, 1);
	assert_int_equal(du_of(f, "torrents", &n), 0);
	assert_reads(f, &f->b, 0, LONG);
}

/* Three torrents have it, and the quota has room for it once. */
static void the_quota_counts_it_once(void **state)
{
	struct fix *f = *state;

	f->quota_bytes = ((1280 + 128) << 10) + 2 * BIG + 100000;
	start_all(f);
	put_all(f, &f->a);
	put_all(f, &f->b);
	assert_reads(f, &f->h, 0, BIG);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(peers(f)[i]->n_lost, 0);
	assert_int_equal(held_bytes(f), BIG + SMALL);
	assert_reads(f, &f->b, 0, (uint32_t)f->b.mi->total_bytes);
}

/* Nodes of a hash tree are there for all, and zeros where none were put. */
static void keeps_nodes(void **state)
{
	static const uint8_t zeros[HASH_SHA256_BYTES];
	struct fix *f = *state;
	uint8_t in[4][HASH_SHA256_BYTES], out[5][HASH_SHA256_BYTES];
	struct fix_answer a = {0};

	memset(in, 7, sizeof(in));
	start_all(f);
	store_put_nodes(f->a.open.st, 0, 2, 1, 4, in[0]);
	store_put_nodes(f->a.open.st, 0, 0, 17, 2, in[0]);
	store_put_nodes(f->a.open.st, 0, 0, 18, 2, in[0]); /* 19 leaves */
	settle(f);
	fix_must(store_read_nodes(f->b.open.st, 1, 2, 0, 5, out[0], fix_on_done,
				  &a),
		 "read nodes");
	fix_until(&f->l, fix_is_set, &a.is_done);
	assert_int_equal(a.err, 0);
	assert_memory_equal(out[0], zeros, sizeof(zeros));
	assert_memory_equal(out[1], in, sizeof(in));
	assert_int_equal(store_read_nodes(f->b.open.st, 1, 2, 1, 5, out[0],
					  fix_on_done, &a),
			 EINVAL);
	assert_int_equal(store_read_nodes(f->b.open.st, 1, 6, 0, 1, out[0],
					  fix_on_done, &a),
			 EINVAL);
	a.is_done = false;
	fix_must(store_read_nodes(f->h.open.st, 0, 0, 16, 3, out[0],
				  fix_on_done, &a),
		 "read nodes");
	fix_until(&f->l, fix_is_set, &a.is_done);
	assert_memory_equal(out[0], zeros, sizeof(zeros));
	assert_memory_equal(out[1], in, 2 * sizeof(in[0]));
}

/* ---- Tests: removing ---- */

/* One torrent less: the others have all that they had. None: it is gone. */
static void last_one_takes_it(void **state)
{
	struct fix *f = *state;
	unsigned n = 0;

	start_all(f);
	put_all(f, &f->a);
	assert_int_equal(remove_it(f, &f->a), EBUSY);
	peer_close(&f->a);
	assert_int_equal(remove_it(f, &f->a), 0);
	assert_int_equal(remove_it(f, &f->a), ENOENT);
	assert_int_equal(f->b.n_lost, 0);
	assert_gained(f, &f->b, 1);
	assert_gained(f, &f->h, 0);
	assert_int_equal(held_bytes(f), BIG);
	peer_close(&f->h);
	assert_int_equal(remove_it(f, &f->h), 0);
	assert_reads(f, &f->b, 64 << 10, BIG);
	peer_close(&f->b);
	assert_int_equal(remove_it(f, &f->b), 0);
	assert_int_equal(held_bytes(f), 0);
	if (!f->is_mem) {
		assert_int_equal(du_of(f, "files", &n), 0);
		assert_int_equal(du_of(f, "torrents", &n), 0);
		assert_int_equal(n, 0);
	}
	peer_open(f, &f->a);
	assert_int_equal(f->a.open.held.n_set, 0);
	put_all(f, &f->a);
	assert_reads(f, &f->a, 0, BIG);
}

/* A put that is on its way when its torrent is closed and removed is first. */
static void remove_waits_for_puts(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};

	start(f);
	peer_open(f, &f->a);
	put(f, &f->a, 0, &a);
	peer_close(&f->a);
	assert_int_equal(remove_it(f, &f->a), 0);
	assert_int_equal(a.n_durable, 1);
	assert_int_equal(store_err(f->s), 0);
	assert_int_equal(held_bytes(f), 0);
}

/* ---- Tests: what goes wrong on disk ---- */

/* A sync that fails takes back what the others were told. */
static void failed_sync_is_loss(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};

	start_all(f);
	atomic_store(&syncs_fail, true);
	put(f, &f->a, 0, &a);
	(void)fix_flush(&f->l, f->s);
	fix_quiet(&f->l);
	atomic_store(&syncs_fail, false);
	assert_int_equal(a.n_written, 1);
	assert_int_equal(a.err, EIO);
	assert_false(f->b.has_leaf[4]);
	assert_int_equal(f->b.n_lost, 1);
}

/* A blob that is gone at the start is gone for all of them. */
static void missing_blob_is_missing_for_all(void **state)
{
	struct fix *f = *state;
	unsigned n = 0;
	char cmd[256];

	start_all(f);
	put_all(f, &f->a);
	stop(f);
	snprintf(cmd, sizeof(cmd), "%s/files", f->dir);
	fix_dir_remove(cmd);
	start_all(f);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(peers(f)[i]->open.held.n_set, 0);
	assert_int_equal(held_bytes(f), 0);
	put_all(f, &f->b);
	assert_gained(f, &f->a, 0);
	assert_gained(f, &f->h, 0);
	assert_true(du_of(f, "files", &n) > 0);
}

/* ---- Tests: a store of format 2 ---- */

/* As format 2 had it: every file in its torrent's directory. */
static void make_format_2(struct fix *f)
{
	char sql[1200];
	int len;

	start(f);
	peer_open(f, &f->b);
	for (uint32_t ix = 0; ix < f->b.mi->n_pieces; ix++)
		if (ix != 2)
			stage_only(f, &f->b, ix, false);
	stop(f);
	len = snprintf(sql, sizeof(sql),
		       "INSERT INTO held SELECT id, 0, %u, x'dc",
		       BIG + SMALL - (64 << 10)); /* of 6 pieces, not 2 */
	for (unsigned i = 1; i < 512; i++)
		len += snprintf(sql + len, sizeof(sql) - (size_t)len, "00");
	snprintf(sql + len, sizeof(sql) - (size_t)len, "' FROM torrent");
	exec_index(f, sql);
	exec_index(f, "DROP TABLE member; DROP TABLE leaf; DROP TABLE agreed;"
		      "DROP TABLE file; DROP TABLE leaving;"
		      "DROP TABLE own_stamp; DROP TABLE file_stamp;"
		      "DROP TABLE tally; DROP TABLE departed;"
		      "PRAGMA user_version = 2");
}

static void check_migrated(struct fix *f)
{
	unsigned n = 0;
	uint64_t size;

	start_all(f);
	settle(f);
	assert_int_equal(f->b.open.held.n_set, f->b.mi->n_pieces - 1);
	for (uint32_t ix = 0; ix < f->b.mi->n_pieces; ix++)
		if (ix != 2)
			assert_reads(f, &f->b, (uint64_t)ix * (64 << 10),
				     metainfo_piece_bytes(f->b.mi, ix));
	assert_int_equal(f->a.open.held.n_set + f->a.n_gained, 19 - 4);
	assert_int_equal(held_bytes(f), BIG + SMALL - (64 << 10));
	assert_int_equal(du_of(f, "torrents", &n), 0);
	size = du_of(f, "files", &n);
	assert_in_range(size, BIG + SMALL - (64 << 10), BIG + SMALL + 16384);
	assert_int_equal(n, 2);
	stop(f);
}

/* Its blobs get their new names; nothing is copied, nothing hashed. */
static void migrates(void **state)
{
	struct fix *f = *state;

	make_format_2(f);
	check_migrated(f);
	check_migrated(f);
}

/* What children of the next tests do, this program run again. */
static int act(const char *dir, const char *what, int n_steps)
{
	struct fix f = {0};

	fix_init(&f, dir);
	make(&f);
	atomic_store(&steps_left, n_steps);
	start(&f);
	if (strcmp(what, "open") == 0) {
		peer_open(&f, &f.b);
	} else if (remove_it(&f, &f.a) != 0 || remove_it(&f, &f.b) != 0) {
		_exit(3);
	}
	stop(&f);
	_exit(0);
}

/* True: it was killed at that step; false: there are not so many. */
static bool killed_at(struct fix *f, const char *what, int n_steps)
{
	char n[16];
	int status;
	pid_t pid;

	snprintf(n, sizeof(n), "%d", n_steps);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		execl("/proc/self/exe", "test_store_share", f->dir, what, n,
		      NULL);
		_exit(5);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == KILLED)
		return true;
	assert_int_equal(WEXITSTATUS(status), 0);
	return false;
}

static void copy_dir(const char *from, const char *to)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		execlp("cp", "cp", "-aT", from, to, NULL);
		_exit(5);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Put the store aside, to begin each time from it; `was` gets where. */
static void keep_aside(struct fix *f, char *was, size_t size)
{
	fix_dir_make(was, size);
	copy_dir(f->dir, was);
}

static void start_over(struct fix *f, const char *was)
{
	fix_dir_remove(f->dir);
	copy_dir(was, f->dir);
}

/* Killed at any step of it, it goes on where it was, and nothing is lost. */
static void migration_survives_kill(void **state)
{
	struct fix *f = *state;
	char was[64];
	int n = 0;

	make_format_2(f);
	keep_aside(f, was, sizeof(was));
	for (bool was_killed = true; was_killed; n++) {
		was_killed = killed_at(f, "open", n);
		check_migrated(f);
		start_over(f, was);
	}
	fix_dir_remove(was);
	assert_true(n > 10);
}

/* Killed while two torrents are removed: each is there whole, or not at all,
 * and the third has all that it had. */
static void removal_survives_kill(void **state)
{
	struct fix *f = *state;
	char was[64];
	int n = 0;

	start_all(f);
	put_all(f, &f->b);
	stop(f);
	keep_aside(f, was, sizeof(was));
	for (bool was_killed = true; was_killed; n++) {
		unsigned n_files = 0;
		uint64_t want;

		was_killed = killed_at(f, "remove", n);
		start(f);
		peer_open(f, &f->h);
		settle(f);
		assert_reads(f, &f->h, 0, BIG);
		want = held_bytes(f);
		assert_true(want == BIG || want == BIG + SMALL);
		assert_in_range(du_of(f, "files", &n_files), want,
				want + 16384);
		assert_int_equal(n_files, want == BIG ? 1 : 2);
		stop(f);
		start_over(f, was);
	}
	fix_dir_remove(was);
	assert_true(n > 10);
}

#define DISK(name) cmocka_unit_test_setup_teardown(name, set_up_disk, tear_down)
#define MEM(name)  cmocka_unit_test_setup_teardown(name, set_up_mem, tear_down)
#define BOTH(name) DISK(name), MEM(name)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		BOTH(one_for_all),
		BOTH(from_a_hybrid),
		BOTH(leaves_come_first),
		DISK(held_after_restart),
		BOTH(later_ones),
		BOTH(liar_holds_nothing),
		BOTH(lost_for_all),
		BOTH(unfinished_pieces),
		BOTH(leaves_become_a_hybrids_piece),
		BOTH(liars_leaves_are_no_piece),
		BOTH(twice_in_one),
		BOTH(length_is_identity),
		BOTH(v1_proves_no_root),
		BOTH(staged_is_ones_own),
		BOTH(staged_is_for_all_in_the_end),
		BOTH(staged_from_a_hybrid),
		BOTH(staged_by_v1_alone),
		DISK(staged_without_room_stays),
		DISK(the_quota_counts_it_once),
		BOTH(keeps_nodes),
		BOTH(last_one_takes_it),
		BOTH(remove_waits_for_puts),
		DISK(failed_sync_is_loss),
		DISK(missing_blob_is_missing_for_all),
		DISK(migrates),
		DISK(migration_survives_kill),
		DISK(removal_survives_kill),
	};

	if (argc == 4)
		return act(argv[1], argv[2], (int)strtol(argv[3], NULL, 10));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
