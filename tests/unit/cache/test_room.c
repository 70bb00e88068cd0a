/* test_room — the disk store under a quota: never too much on the disk, nothing
 * wrong read, and what is wanted stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "cache/cache_limits.h"
#include "cache/store.h"
#include "cache/store_share.h"
#include "cache/store_disk.h"
#include "tests/lib/cache_fix.h"
#include "tests/lib/v2_fix.h"

enum {
	PIECE = 64 << 10,
	N_PIECES = 512, /* 32 MiB */
	QUOTA = 16 << 20,
	SEGMENT = 16 << 10,
};

/* ---- Fixture: a store with a quota, and whoever has a torrent open ---- */

struct fix {
	struct fix_loop l;
	char dir[64];
	char why[160];
	uint64_t quota_bytes;
	struct store *s;
	struct metainfo *mi;
	struct fix_answer open;
	struct fix_answer puts;
	bool has[N_PIECES];
	uint64_t due_us[N_PIECES]; /* 0 stands for "nobody wants it" */
	unsigned n_lost;
	uint64_t most_bytes; /* that were ever on the disk */
};

static const uint64_t one_file[] = {(uint64_t)N_PIECES * PIECE - 100};

static int set_up(void **state)
{
	struct fix *f = mem_new(struct fix);

	fix_loop_init(&f->l, 2);
	fix_dir_make(f->dir, sizeof(f->dir));
	f->quota_bytes = QUOTA;
	f->mi = fix_torrent_of(&f->l, "one", one_file, 1, PIECE);
	*state = f;
	return 0;
}

/* Ends that are at odd places of their blocks. */
static int set_up_odd(void **state)
{
	static const uint64_t lens[] = {5000001, 77, 9000003, 12000007, 4097};
	struct fix *f = mem_new(struct fix);

	fix_loop_init(&f->l, 2);
	fix_dir_make(f->dir, sizeof(f->dir));
	f->quota_bytes = QUOTA;
	f->mi = fix_torrent_of(&f->l, "odd", lens, 5, PIECE);
	*state = f;
	return 0;
}

static void on_gained(void *arg, uint32_t ix)
{
}

static void on_gained_leaves(void *arg, uint32_t ix, uint32_t at, uint32_t len)
{
}

static void on_lost(void *arg, uint32_t ix)
{
	struct fix *f = arg;

	assert_true(f->has[ix]);
	f->has[ix] = false;
	f->n_lost++;
}

static uint64_t due_us(void *arg, uint32_t ix)
{
	const struct fix *f = arg;

	return f->due_us[ix] != 0 ? f->due_us[ix] : UINT64_MAX;
}

static const struct store_share_ops share_ops = {
	.on_gained = on_gained,
	.on_gained_leaves = on_gained_leaves,
	.on_lost = on_lost,
	.due_us = due_us,
};

static void on_open(void *arg, int err, struct store_torrent *st,
		    const struct bits *held)
{
	struct fix *f = arg;

	fix_on_open(&f->open, err, st, held);
	memset(f->has, 0, sizeof(f->has));
	for (uint32_t ix = 0; err == 0 && ix < held->n; ix++)
		f->has[ix] = bits_has(held, ix);
	if (err == 0)
		store_watch(st, &share_ops, f);
}

static void start(struct fix *f)
{
	struct store_disk_cfg cfg = {.loop = f->l.loop,
				     .workers = f->l.workers,
				     .thread = f->l.thread,
				     .dir = f->dir,
				     .quota_bytes = f->quota_bytes};

	assert_int_equal(store_disk_new(&cfg, &f->s, f->why), 0);
	bits_fini(&f->open.held);
	f->open = (struct fix_answer){0};
	fix_must(store_open(f->s, f->mi, on_open, f), "store_open");
	fix_until(&f->l, fix_is_set, &f->open.is_done);
	assert_int_equal(f->open.err, 0);
	fix_quiet(&f->l);
}

static void stop(struct fix *f)
{
	if (f->open.st != NULL)
		store_close(f->open.st);
	f->open.st = NULL;
	store_free(f->s);
	f->s = NULL;
}

static int tear_down(void **state)
{
	struct fix *f = *state;

	stop(f);
	bits_fini(&f->open.held);
	metainfo_free(f->mi);
	fix_loop_fini(&f->l);
	fix_dir_remove(f->dir);
	mem_free(f);
	return 0;
}

/* ---- Helpers ---- */

static uint64_t du_sum;

static int du_entry(const char *path, const struct stat *sb, int type,
		    struct FTW *ftw)
{
	du_sum += (uint64_t)sb->st_blocks * 512;
	return 0;
}

/* As du says it, of all of the store. */
static uint64_t du(const struct fix *f)
{
	du_sum = 0;
	assert_int_equal(nftw(f->dir, du_entry, 16, FTW_PHYS), 0);
	return du_sum;
}

static void look(struct fix *f)
{
	uint64_t now = du(f);

	if (now > f->most_bytes)
		f->most_bytes = now;
	if (now > f->quota_bytes)
		fail_msg("%llu bytes under a quota of %llu",
			 (unsigned long long)now,
			 (unsigned long long)f->quota_bytes);
}

struct putting {
	struct fix *f;
	unsigned n;
};

static void on_put(void *arg, uint32_t ix, enum store_phase phase, int err)
{
	struct fix *f = arg;

	fix_on_put(&f->puts, ix, phase, err);
	if (err == 0 && phase == STORE_WRITTEN)
		f->has[ix] = true;
	if (err != 0)
		f->has[ix] = false;
}

static bool is_put(void *arg)
{
	const struct putting *p = arg;

	return p->f->puts.n_durable + p->f->puts.n_failed >= p->n;
}

/* Put piece `ix`, and wait until it is durable or refused; its err. */
static int put(struct fix *f, uint32_t ix)
{
	struct putting p = {f, f->puts.n_durable + f->puts.n_failed + 1};
	struct blk *b = fix_piece(&f->l, f->mi, ix);
	struct fix_answer flushed = {0};

	f->puts.err = 0;
	fix_must(store_put(f->open.st, ix, b, on_put, f), "store_put");
	blk_drop(b);
	fix_must(store_flush(f->s, fix_on_done, &flushed), "store_flush");
	fix_until(&f->l, is_put, &p);
	fix_until(&f->l, fix_is_set, &flushed.is_done);
	return f->puts.err;
}

/* Several at once, as a stream does. */
static void put_many(struct fix *f, uint32_t first, uint32_t n)
{
	struct putting p = {f, f->puts.n_durable + f->puts.n_failed + n};
	struct fix_answer flushed = {0};

	for (uint32_t ix = first; ix < first + n; ix++) {
		if (f->has[ix]) {
			p.n--;
			continue;
		}
		struct blk *b = fix_piece(&f->l, f->mi, ix);

		fix_must(store_put(f->open.st, ix, b, on_put, f), "store_put");
		blk_drop(b);
	}
	fix_must(store_flush(f->s, fix_on_done, &flushed), "store_flush");
	fix_until(&f->l, is_put, &p);
	fix_until(&f->l, fix_is_set, &flushed.is_done);
	look(f);
}

/* All behind the third file of the odd ones. */
static void put_others(struct fix *f)
{
	for (uint32_t ix = 220; ix + 16 <= f->mi->n_pieces; ix += 16)
		put_many(f, ix, 16);
}

static unsigned n_held(const struct fix *f)
{
	unsigned n = 0;

	for (uint32_t ix = 0; ix < f->mi->n_pieces; ix++)
		n += f->has[ix];
	return n;
}

/* Whatever is said to be held reads right. */
static void check_all(struct fix *f)
{
	static uint8_t buf[PIECE];

	for (uint32_t ix = 0; ix < f->mi->n_pieces; ix++) {
		uint64_t off = (uint64_t)ix * PIECE;
		uint32_t len = metainfo_piece_bytes(f->mi, ix);

		if (!f->has[ix])
			continue;
		assert_int_equal(fix_read(&f->l, f->open.st, off, len, buf), 0);
		assert_true(fix_matches(buf, off, len));
	}
}

/* ---- Tests ---- */

/* Twice as much as there is room for: never more on the disk than the quota, at
 * least half of it used, all that is held is right, then and after a restart.
 */
static void keeps_the_quota(void **state)
{
	struct fix *f = *state;
	unsigned n;

	start(f);
	for (uint32_t ix = 0; ix + 16 <= f->mi->n_pieces; ix += 16)
		put_many(f, ix, 16);
	assert_int_equal(f->puts.n_failed, 0);
	assert_true(f->n_lost > 0);
	assert_true(f->most_bytes > QUOTA / 2);
	check_all(f);
	n = n_held(f);
	assert_true((uint64_t)n * PIECE > QUOTA / 2);
	stop(f);
	start(f);
	assert_in_range(n_held(f), n - 16, n); /* there is room to spare */
	check_all(f);
	look(f);
}

/* Pieces that begin in the middle of a block, of files of any length: what is
 * evicted leaves nothing behind. */
static void leaves_nothing(void **state)
{
	struct fix *f = *state;
	uint32_t n = f->mi->n_pieces;

	start(f);
	for (unsigned round = 0; round < 2; round++)
		for (uint32_t i = 0; i < n / 8; i++) {
			/* not in order: neighbours come and go */
			uint32_t first = (i * 37 % (n / 8)) * 8;

			put_many(f, first, 8);
		}
	assert_int_equal(f->puts.n_failed, 0);
	check_all(f);
	stop(f);
	f->quota_bytes = 4 << 20;
	start(f);
	fix_quiet(&f->l);
	check_all(f);
	look(f);
}

/* A quota that is lower than last time is kept from the start. */
static void shrinks(void **state)
{
	struct fix *f = *state;

	start(f);
	put_many(f, 0, 128);
	stop(f);
	f->quota_bytes = 5 << 20;
	start(f);
	for (unsigned i = 0; i < 4; i++)
		fix_quiet(&f->l);
	look(f);
	assert_true(n_held(f) < 128 && n_held(f) > 32);
	check_all(f);
}

/* What a reader will come to is not evicted for what nobody waits for; for what
 * is wanted sooner it is. */
static void spares_the_wanted(void **state)
{
	struct fix *f = *state;

	start(f);
	for (uint32_t ix = 0; ix < 100; ix++)
		f->due_us[ix] = 1000000 + ix;
	put_many(f, 0, 100);
	for (uint32_t ix = 100; ix + 16 <= 500; ix += 16)
		put_many(f, ix, 16);
	for (uint32_t ix = 0; ix < 100; ix++)
		assert_true(f->has[ix]);
	/* now all are wanted, and one more, sooner than the last of them */
	for (uint32_t ix = 0; ix < N_PIECES; ix++)
		f->due_us[ix] = 1000000 + ix;
	f->due_us[501] = 500;
	while (n_held(f) < 512 && put(f, 501) == 0 && f->n_lost < 400) {
		f->has[501] = true;
		break;
	}
	assert_true(f->has[501]);
	check_all(f);
}

/* Pinned files stay. */
static void spares_the_pinned(void **state)
{
	struct fix *f = *state;
	struct bits pins = {0};

	start(f);
	assert_int_equal(bits_init(&pins, f->mi->n_files), 0);
	put_many(f, 0, 60); /* in the first file */
	bits_set(&pins, 0);
	assert_int_equal(store_keep_pins(f->open.st, &pins), 0);
	put_many(f, 80, 60); /* in the third */
	bits_set(&pins, 2);
	assert_int_equal(store_keep_pins(f->open.st, &pins), 0);
	for (unsigned turn = 0; turn < 2; turn++)
		put_others(f);
	for (uint32_t ix = 0; ix < 60; ix++)
		assert_true(f->has[ix] && f->has[80 + ix]);
	check_all(f);
	bits_fini(&pins);
}

static bool is_given(void *arg)
{
	return *(int *)arg != 0;
}

static void on_blob(void *arg, int err, int fd)
{
	*(int *)arg = err == 0 ? fd : -err;
}

/* The third file is whole, and its blob is given away. */
static int give(struct fix *f)
{
	int fd = 0;

	put_many(f, 76, 138);
	assert_int_equal(store_blob(f->open.st, 2, on_blob, &fd), 0);
	fix_until(&f->l, is_given, &fd);
	assert_true(fd > 0);
	return fd;
}

static bool is_all_there(const struct fix *f)
{
	for (uint32_t ix = 76; ix < 214; ix++)
		if (!f->has[ix])
			return false;
	return true;
}

/* What a reader of the descriptor sees: no hole, ever. */
static bool is_right(const struct fix *f, int fd)
{
	static uint8_t buf[PIECE];
	const struct mi_file *file = &f->mi->files[2];

	for (uint64_t at = 0; at < file->len_bytes; at += PIECE) {
		ssize_t n = pread(fd, buf, PIECE, (off_t)at);

		if (n <= 0 ||
		    !fix_matches(buf, file->off_bytes + at, (size_t)n))
			return false;
	}
	return true;
}

/* A file that somebody reads by himself stays as long as he does, mapped or
 * open; then it goes like every other. */
static void spares_the_read(void **state)
{
	struct fix *f = *state;
	void *map;
	int fd;

	start(f);
	fd = give(f);
	put_others(f);
	assert_true(is_all_there(f) && is_right(f, fd));
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	close(fd);
	usleep(ROOM_LOOK_MS * 1000);
	put_others(f);
	put_others(f);
	assert_true(is_all_there(f));
	munmap(map, 4096);
	for (unsigned turn = 0; is_all_there(f); turn++) {
		assert_true(turn < 20);
		usleep(ROOM_LOOK_MS / 5 * 1000);
		put_others(f);
	}
	assert_int_equal(f->puts.n_failed, 0);
	check_all(f);
	look(f);
}

/* Who got his descriptor from a program before us reads no zeros either. */
static void spares_who_was_before(void **state)
{
	struct fix *f = *state;
	int fd;

	start(f);
	fd = give(f);
	stop(f);
	start(f);
	assert_true(is_all_there(f));
	for (unsigned turn = 0; turn < 3; turn++)
		put_others(f);
	assert_true(is_right(f, fd));
	check_all(f);
	close(fd);
	stop(f);
	start(f);
	for (unsigned turn = 0; turn < 3; turn++)
		put_others(f);
	assert_false(is_all_there(f));
	check_all(f);
	look(f);
}

/* All is pinned: what comes is refused, at once, and nothing is harmed. */
static void refuses(void **state)
{
	struct fix *f = *state;
	struct bits pins = {0};
	unsigned n;

	start(f);
	assert_int_equal(bits_init(&pins, f->mi->n_files), 0);
	bits_set(&pins, 0);
	assert_int_equal(store_keep_pins(f->open.st, &pins), 0);
	for (uint32_t ix = 0; ix < 304; ix += 16)
		put_many(f, ix, 16);
	n = n_held(f);
	assert_true(f->puts.n_failed > 0 && n > 100);
	assert_int_equal(f->n_lost, 0);
	assert_int_equal(put(f, 400), ENOSPC);
	look(f);
	/* and when it is not any more, there is room */
	bits_clear(&pins, 0);
	assert_int_equal(store_keep_pins(f->open.st, &pins), 0);
	assert_int_equal(put(f, 400), 0);
	check_all(f);
	bits_fini(&pins);
}

/* What is evicted and comes again is written anew. */
static void comes_again(void **state)
{
	struct fix *f = *state;

	start(f);
	for (unsigned round = 0; round < 2; round++)
		for (uint32_t ix = 0; ix < f->mi->n_pieces; ix += 16)
			put_many(f, ix, 16);
	assert_int_equal(f->puts.n_failed, 0);
	check_all(f);
}

/* Staged pieces count before they are right, and are punched when they are
 * given up. */
static void counts_staged(void **state)
{
	struct fix *f = *state;
	struct store_stats stats;

	start(f);
	for (uint32_t ix = 0; ix < 100; ix++) {
		for (uint32_t at = 0; at < PIECE; at += SEGMENT) {
			struct blk *b = blk_new(f->l.pool, SEGMENT);
			struct fix_answer a = {0};

			memset(b->data, 0x5a, b->len);
			fix_must(store_stage(f->open.st, ix, at, b, fix_on_done,
					     &a),
				 "store_stage");
			fix_until(&f->l, fix_is_set, &a.is_done);
			assert_int_equal(a.err, 0);
			blk_drop(b);
		}
		if (ix % 32 == 31)
			look(f);
		store_unstage(f->open.st, ix);
	}
	fix_quiet(&f->l);
	fix_quiet(&f->l);
	store_stats(f->s, &stats);
	assert_true(stats.used_bytes < QUOTA / 8);
	assert_true(du(f) < QUOTA / 8);
}

/* A store that is full of a torrent that nobody opened makes room all the same.
 */
static void other_torrents_go(void **state)
{
	struct fix *f = *state;
	struct metainfo *old = f->mi;

	start(f);
	put_many(f, 0, 200);
	stop(f);
	f->mi = fix_torrent_of(&f->l, "other", one_file, 1, PIECE);
	start(f);
	for (uint32_t ix = 0; ix + 16 <= 320; ix += 16)
		put_many(f, ix, 16);
	assert_int_equal(f->puts.n_failed, 0);
	assert_true((uint64_t)n_held(f) * PIECE > QUOTA / 2);
	check_all(f);
	metainfo_free(old);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(keeps_the_quota, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(leaves_nothing, set_up_odd,
						tear_down),
		cmocka_unit_test_setup_teardown(shrinks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(spares_the_wanted, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(spares_the_pinned, set_up_odd,
						tear_down),
		cmocka_unit_test_setup_teardown(spares_the_read, set_up_odd,
						tear_down),
		cmocka_unit_test_setup_teardown(spares_who_was_before,
						set_up_odd, tear_down),
		cmocka_unit_test_setup_teardown(refuses, set_up, tear_down),
		cmocka_unit_test_setup_teardown(comes_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(counts_staged, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(other_torrents_go, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
