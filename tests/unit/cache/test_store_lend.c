/* test_store_lend — the user's files, lent to a torrent over a disk store: what
 * is right is held, nothing else is believed, nothing of theirs is written,
 * whatever happens to them meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/path_job.h"
#include "cache/pieces.h"
#include "cache/store_disk.h"
#include "cache/store_lend.h"
#include "tests/lib/cache_fix.h"

/* ---- Fixture: a torrent of three files; a folder for what the user has ----
 */

struct fix {
	struct fix_loop l;
	char dir[64];	    /* the folder … */
	char top[96];	    /* … the torrent's directory in it */
	char store_dir[64]; /* and the store's own */
	struct store *s;
	struct piece_mem *mem;
	struct metainfo *mi;
	struct pieces *ps;
	bool is_open, is_gone;
	unsigned n_lost, n_room;
	/* the door: the n-th open from now on fails */
	unsigned fails_in;
	int fails_with;
};

/* f0 ends in piece 2, f1 lies in it, f2 goes on to piece 4. */
static const uint64_t lens[] = {40000, 5, 30000};

static const char *path_of(struct fix *f, unsigned n)
{
	static char path[160];

	snprintf(path, sizeof(path), "%s/f%u", f->top, n);
	return path;
}

static void write_to(const char *path, uint64_t at, uint64_t len)
{
	uint8_t *bytes = mem_alloc(len);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	fix_fill(bytes, at, len);
	if (fd < 0 || write(fd, bytes, len) != (ssize_t)len)
		fix_die("cannot write");
	close(fd);
	mem_free(bytes);
}

static uint64_t at_of(unsigned n)
{
	return n == 0 ? 0 : n == 1 ? lens[0] : lens[0] + lens[1];
}

static void give(struct fix *f, unsigned n)
{
	write_to(path_of(f, n), at_of(n), lens[n]);
}

static int set_up(void **state)
{
	struct piece_mem_cfg mem = {.unverified_bytes = 1 << 20};
	struct fix *f = mem_new(struct fix);

	*state = f;
	fix_loop_init(&f->l, 2);
	fix_dir_make(f->dir, sizeof(f->dir));
	fix_dir_make(f->store_dir, sizeof(f->store_dir));
	snprintf(f->top, sizeof(f->top), "%s/three", f->dir);
	fix_must(mkdir(f->top, 0700), "mkdir");
	f->mi = fix_torrent(&f->l, "three", lens, 3);
	mem.pool = f->l.pool;
	fix_must(piece_mem_new(&mem, &f->mem), "memory");
	for (unsigned n = 0; n < 3; n++)
		give(f, n);
	return 0;
}

static int door_open(void *ctx, int dir_fd, const char *path)
{
	struct fix *f = ctx;

	if (__atomic_load_n(&f->fails_in, __ATOMIC_RELAXED) > 0 &&
	    __atomic_sub_fetch(&f->fails_in, 1, __ATOMIC_RELAXED) == 0) {
		if (f->fails_with == EBADF) /* it opens, and cannot be read */
			return path_job_open(dir_fd, path, O_WRONLY, 0);
		errno = f->fails_with;
		return -1;
	}
	return path_job_open(dir_fd, path, O_RDONLY | O_NONBLOCK, 0);
}

static void start(struct fix *f)
{
	struct store_disk_cfg disk = {.loop = f->l.loop,
				      .workers = f->l.workers,
				      .thread = f->l.thread,
				      .dir = f->store_dir};
	struct store_lend_cfg cfg = {.loop = f->l.loop,
				     .workers = f->l.workers,
				     .thread = f->l.thread,
				     .door = {door_open, f}};

	fix_must(store_disk_new(&disk, &cfg.below, NULL), "store");
	fix_must(store_lend_new(&cfg, &f->s), "lend");
}

/* ---- what pieces says ---- */

static void on_piece(void *arg, uint32_t ix)
{
}

static void on_lost(void *arg, uint32_t ix)
{
	((struct fix *)arg)->n_lost++;
}

static void on_room(void *arg)
{
	((struct fix *)arg)->n_room++;
}

static void on_error(void *arg, uint32_t ix, int err)
{
}

static void on_opened(void *arg, int err, struct pieces *ps)
{
	struct fix *f = arg;

	fix_must(err, "open");
	f->is_open = true;
}

static void on_gone(void *arg)
{
	((struct fix *)arg)->is_gone = true;
}

static void open_pieces(struct fix *f)
{
	static const struct pieces_ops ops = {
		.on_verified = on_piece,
		.on_bad = on_piece,
		.on_disputed = on_piece,
		.on_lacking = on_piece,
		.on_failed = on_error,
		.on_brought = on_piece,
		.on_room = on_room,
		.on_lost = on_lost,
	};
	struct pieces_cfg cfg = {.loop = f->l.loop,
				 .workers = f->l.workers,
				 .store = f->s,
				 .mem = f->mem,
				 .mi = f->mi,
				 .ops = &ops,
				 .arg = f};

	f->is_open = false;
	f->n_lost = 0;
	fix_must(pieces_open_start(&cfg, on_opened, f, &f->ps), "pieces");
	fix_until(&f->l, fix_is_set, &f->is_open);
}

static void close_all(struct fix *f)
{
	if (f->ps != NULL) {
		pieces_check(f->ps);
		f->is_gone = false;
		pieces_close(f->ps, on_gone, f);
		f->ps = NULL;
		fix_until(&f->l, fix_is_set, &f->is_gone);
	}
	store_free(f->s);
	f->s = NULL;
}

static int tear_down(void **state)
{
	struct fix *f = *state;

	close_all(f);
	piece_mem_free(f->mem);
	metainfo_free(f->mi);
	fix_loop_fini(&f->l);
	fix_dir_remove(f->dir);
	fix_dir_remove(f->store_dir);
	mem_free(f);
	return 0;
}

/* ---- Helpers ---- */

static void lend_dir(struct fix *f, const char *dir)
{
	struct fix_answer a = {0};
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	fix_must(store_lend_add(f->s, &f->mi->id, dir, fd, fix_on_done, &a),
		 "lend");
	fix_until(&f->l, fix_is_set, &a.is_done);
	assert_int_equal(a.err, 0);
}

static bool is_hashed(void *arg)
{
	const struct fix *f = arg;

	return !pieces_is_offered(f->ps);
}

/* All that is offered was hashed. */
static void settle(struct fix *f)
{
	fix_quiet(&f->l);
	fix_until(&f->l, is_hashed, f);
}

static void begin(struct fix *f)
{
	start(f);
	lend_dir(f, f->dir);
	open_pieces(f);
	settle(f);
}

static void restart(struct fix *f)
{
	close_all(f);
	start(f);
	open_pieces(f);
}

/* Which pieces are held, as a number: the first is the lowest bit. */
static unsigned held(const struct fix *f)
{
	unsigned set = 0;

	for (uint32_t ix = 0; ix < f->mi->n_pieces; ix++)
		set |= (unsigned)bits_has(pieces_have(f->ps), ix) << ix;
	return set;
}

static int read_piece(struct fix *f, uint32_t ix)
{
	uint8_t *dst = mem_zalloc(1, FIX_PIECE_BYTES);
	uint64_t off = (uint64_t)ix * FIX_PIECE_BYTES;
	uint32_t len = metainfo_piece_bytes(f->mi, ix);
	struct fix_answer a = {0};
	int err = pieces_read(f->ps, off, len, dst, fix_on_done, &a);

	if (err == 0) {
		fix_until(&f->l, fix_is_set, &a.is_done);
		err = a.err;
	}
	if (err == 0)
		assert_true(fix_matches(dst, off, len));
	mem_free(dst);
	return err;
}

/* Change one byte, and no length; the clock has ticked before. */
static void flip(const char *path, off_t at)
{
	int fd = open(path, O_RDWR);
	uint8_t byte;

	usleep(12000);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 0x40;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

struct want {
	struct fix *f;
	unsigned set;
};

static bool is_held(void *arg)
{
	const struct want *w = arg;

	return held(w->f) == w->set;
}

static void wait_held(struct fix *f, unsigned set)
{
	struct want w = {f, set};

	fix_until(&f->l, is_held, &w);
}

/* ---- Tests: what is there ---- */

/* All that is right is held, read from there, and no byte of it counts. */
static void holds_what_the_user_has(void **state)
{
	struct fix *f = *state;
	struct store_stats stats;

	begin(f);
	assert_int_equal(held(f), 31);
	assert_int_equal(pieces_hashed(f->ps), 5);
	for (uint32_t ix = 0; ix < 5; ix++)
		assert_int_equal(read_piece(f, ix), 0);
	store_stats(f->s, &stats);
	assert_int_equal(stats.held_bytes, 0);
	assert_int_equal(stats.puts, 0);
}

/* A torrent that is open already, and the directory itself. */
static void takes_a_directory_later(void **state)
{
	struct fix *f = *state;

	start(f);
	open_pieces(f);
	settle(f);
	assert_int_equal(held(f), 0);
	lend_dir(f, f->top);
	wait_held(f, 31);
	assert_int_equal(store_lend_add(f->s, &f->mi->id, "/",
					open("/", O_RDONLY), fix_on_done, NULL),
			 EBUSY);
}

/* A file that lacks takes its pieces along, and no others. */
static void leaves_out_what_is_missing(void **state)
{
	struct fix *f = *state;

	fix_must(unlink(path_of(f, 2)), "unlink");
	begin(f);
	assert_int_equal(held(f), 3);
	give(f, 2);
	lend_dir(f, f->dir);
	wait_held(f, 31);
}

static void leaves_out_what_is_short(void **state)
{
	struct fix *f = *state;

	fix_must(truncate(path_of(f, 0), 39999), "truncate");
	begin(f);
	assert_int_equal(held(f), 24);
	assert_int_equal(pieces_hashed(f->ps), 2);
}

static void leaves_out_what_is_wrong(void **state)
{
	struct fix *f = *state;

	flip(path_of(f, 0), 20000);
	begin(f);
	assert_int_equal(held(f), 29);
	assert_int_equal(read_piece(f, 1), ENOENT);
}

/* No link is followed, to a file or to the directory. */
static void follows_no_link(void **state)
{
	struct fix *f = *state;
	char away[160];

	snprintf(away, sizeof(away), "%s/away", f->dir);
	fix_must(rename(path_of(f, 0), away), "rename");
	fix_must(symlink(away, path_of(f, 0)), "symlink");
	begin(f);
	assert_int_equal(held(f), 24);
	close_all(f);
	snprintf(away, sizeof(away), "%s/real", f->dir);
	fix_must(rename(f->top, away), "rename");
	fix_must(symlink(away, f->top), "symlink");
	start(f);
	open_pieces(f);
	settle(f);
	assert_int_equal(held(f), 0);
	fix_must(unlink(f->top), "unlink");
}

/* ---- Tests: another run ---- */

static void believes_what_is_as_it_was(void **state)
{
	struct fix *f = *state;

	begin(f);
	restart(f);
	assert_int_equal(held(f), 31);
	settle(f);
	assert_int_equal(pieces_hashed(f->ps), 0);
	assert_int_equal(read_piece(f, 3), 0);
}

static void hashes_a_changed_file_anew(void **state)
{
	struct fix *f = *state;

	begin(f);
	close_all(f);
	flip(path_of(f, 0), 20000);
	start(f);
	open_pieces(f);
	assert_int_equal(held(f), 24);
	wait_held(f, 29);
	settle(f);
	assert_int_equal(pieces_hashed(f->ps), 3);
}

/* A removed torrent has no directory any more; the files stay. */
static void forgets_a_removed_torrent(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};

	begin(f);
	close_all(f);
	start(f);
	fix_must(store_remove(f->s, &f->mi->id, fix_on_done, &a), "remove");
	fix_until(&f->l, fix_is_set, &a.is_done);
	restart(f);
	settle(f);
	assert_int_equal(held(f), 0);
	assert_int_equal(access(path_of(f, 0), R_OK), 0);
}

/* The directory is not there at the start, and comes later. */
static void waits_for_a_directory(void **state)
{
	struct fix *f = *state;
	char away[80];

	begin(f);
	close_all(f);
	snprintf(away, sizeof(away), "%.60s.away", f->dir);
	fix_must(rename(f->dir, away), "rename");
	start(f);
	open_pieces(f);
	settle(f);
	assert_int_equal(held(f), 0);
	fix_must(rename(away, f->dir), "rename");
	lend_dir(f, f->dir);
	wait_held(f, 31);
}

/* ---- Tests: while it is open ---- */

/* The piece that was changed is lost; those beside it are hashed, and right. */
static void notices_a_changed_byte(void **state)
{
	struct fix *f = *state;

	begin(f);
	assert_int_equal(read_piece(f, 1), 0);
	flip(path_of(f, 0), 20000);
	assert_int_equal(read_piece(f, 1), ENOENT);
	assert_int_not_equal(read_piece(f, 1), 0);
	assert_int_equal(held(f), 29);
	assert_int_equal(read_piece(f, 0), 0);
	assert_int_equal(f->n_lost, 1);
	flip(path_of(f, 0), 20000);
	assert_int_equal(read_piece(f, 0), ENOENT); /* it has changed */
	wait_held(f, 31);
}

static void notices_a_cut_file(void **state)
{
	struct fix *f = *state;

	begin(f);
	assert_int_equal(read_piece(f, 0), 0);
	fix_must(truncate(path_of(f, 0), 100), "truncate");
	assert_int_not_equal(read_piece(f, 0), 0);
	wait_held(f, 24);
	assert_int_equal(read_piece(f, 4), 0);
}

/* Another file by the same name is hashed, and if it is right held. */
static void takes_a_file_that_replaces_one(void **state)
{
	struct fix *f = *state;
	char other[160];

	begin(f);
	assert_int_equal(read_piece(f, 0), 0);
	snprintf(other, sizeof(other), "%s/other", f->dir);
	write_to(other, at_of(0), lens[0]);
	fix_must(rename(other, path_of(f, 0)), "rename");
	assert_int_not_equal(read_piece(f, 0), 0);
	wait_held(f, 24);
	wait_held(f, 31);
	assert_int_equal(read_piece(f, 0), 0);
}

/* The kernel is given no file that others may write to. */
static void gives_no_descriptor_away(void **state)
{
	struct fix *f = *state;

	begin(f);
	assert_int_equal(pieces_blob(f->ps, 0, NULL, NULL), ENOENT);
}

/* What is offered is not fetched before it was hashed. */
static void bars_what_is_offered(void **state)
{
	struct fix *f = *state;

	flip(path_of(f, 2), 0);
	start(f);
	lend_dir(f, f->dir);
	open_pieces(f);
	assert_int_equal(pieces_begin(f->ps, 2), EBUSY);
	assert_int_equal(pieces_begin(f->ps, 4), EBUSY);
	f->n_room = 0;
	wait_held(f, 27);
	settle(f);
	assert_true(f->n_room > 0);
	assert_int_equal(pieces_begin(f->ps, 2), 0);
	pieces_abandon(f->ps, 2);
}

/* Whatever an open fails with, the bytes are fetched; but for a lack of ours,
 * which says nothing of them. */
static void survives_a_door_that_fails(void **state)
{
	struct fix *f = *state;

	begin(f);
	for (unsigned i = 0; i < 2; i++) {
		restart(f);
		settle(f);
		assert_int_equal(held(f), 31);
		f->fails_with = i == 0 ? EMFILE : EACCES;
		f->fails_in = 1;
		assert_int_equal(read_piece(f, 0), i == 0 ? EMFILE : EIO);
		if (i == 0)
			assert_int_equal(held(f), 31);
	}
	wait_held(f, 24);
	wait_held(f, 31); /* it is looked at again */
}

/* What cannot be read is fetched, as what is not there. */
static void survives_a_read_that_fails(void **state)
{
	struct fix *f = *state;

	begin(f);
	restart(f);
	f->fails_with = EBADF;
	f->fails_in = 1;
	assert_int_equal(read_piece(f, 0), EIO);
	assert_int_equal(held(f), 30);
	assert_int_equal(f->n_lost, 1);
	assert_int_equal(pieces_begin(f->ps, 0), 0);
	pieces_abandon(f->ps, 0);
}

/* The n-th allocation fails: nothing wrong is read, and nothing hangs. */
static void survives_without_memory(void **state)
{
	struct fix *f = *state;
	bool has_failed = true;

	start(f);
	lend_dir(f, f->dir);
	for (unsigned n = 0; has_failed; n++) {
		struct fix_answer a = {0};

		mem_fail_after(n, 0);
		if (store_open(f->s, f->mi, fix_on_open, &a) == 0)
			fix_until(&f->l, fix_is_set, &a.is_done);
		else
			a.err = ENOMEM;
		has_failed = mem_has_failed();
		mem_fail_after(UINT64_MAX, 0);
		if (a.err == 0)
			store_close(a.st);
		bits_fini(&a.held);
		fix_quiet(&f->l);
	}
}

static void close_at_once(void *arg, int err, struct store_torrent *st,
			  const struct bits *held)
{
	assert_int_equal(err, 0);
	store_close(st);
	*(bool *)arg = true;
}

/* By who hears that it is open; with files lent, and without. */
static void may_be_closed_at_once(void **state)
{
	struct fix *f = *state;
	bool is_done;

	start(f);
	for (unsigned i = 0; i < 2; i++) {
		is_done = false;
		fix_must(store_open(f->s, f->mi, close_at_once, &is_done),
			 "open");
		fix_until(&f->l, fix_is_set, &is_done);
		fix_quiet(&f->l);
		if (i == 0)
			lend_dir(f, f->dir);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(holds_what_the_user_has),
		TEST(takes_a_directory_later),
		TEST(leaves_out_what_is_missing),
		TEST(leaves_out_what_is_short),
		TEST(leaves_out_what_is_wrong),
		TEST(follows_no_link),
		TEST(believes_what_is_as_it_was),
		TEST(hashes_a_changed_file_anew),
		TEST(forgets_a_removed_torrent),
		TEST(waits_for_a_directory),
		TEST(notices_a_changed_byte),
		TEST(notices_a_cut_file),
		TEST(takes_a_file_that_replaces_one),
		TEST(gives_no_descriptor_away),
		TEST(bars_what_is_offered),
		TEST(may_be_closed_at_once),
		TEST(survives_a_door_that_fails),
		TEST(survives_a_read_that_fails),
		TEST(survives_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
