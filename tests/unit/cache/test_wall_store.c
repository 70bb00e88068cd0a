/* test_wall_store — the wall clock jumps by years, forward and back, between
 * any two changes of a file and any two looks at it: the store keeps all and
 * trusts it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "cache/store.h"
#include "cache/store_disk.h"
#include "cache/store_tally.h"
#include "cache/store_vet.h"
#include "tests/lib/cache_fix.h"
#include "tests/lib/wall_jumps.h"

enum { RUNS = 6, PIECES_A_RUN = 3 };

/* ---- the times of files, as a kernel with such a clock sets them ---- */

static void jump(struct timespec *t, uint64_t ino)
{
	uint64_t when = (uint64_t)t->tv_sec * 1000000000 + (uint64_t)t->tv_nsec;

	t->tv_sec += wall_jump(when ^ ino << 40);
}

int fstat(int fd, struct stat *sb)
{
	int r = (int)syscall(SYS_newfstatat, fd, "", sb, AT_EMPTY_PATH);

	if (r == 0) {
		jump(&sb->st_mtim, sb->st_ino);
		jump(&sb->st_ctim, sb->st_ino);
	}
	return r;
}

int fstatat(int fd, const char *path, struct stat *sb, int flags)
{
	int r = (int)syscall(SYS_newfstatat, fd, path, sb, flags);

	if (r == 0) {
		jump(&sb->st_mtim, sb->st_ino);
		jump(&sb->st_ctim, sb->st_ino);
	}
	return r;
}

/* ---- Helpers ---- */

static void check_all(struct fix_loop *l, struct store_torrent *st,
		      const struct metainfo *mi, const struct bits *held)
{
	static uint8_t got[FIX_PIECE_BYTES];

	for (uint32_t ix = bits_next(held, 0); ix < held->n;
	     ix = bits_next(held, ix + 1)) {
		uint64_t off = (uint64_t)ix * FIX_PIECE_BYTES;
		uint32_t len = metainfo_piece_bytes(mi, ix);

		assert_false(store_is_doubtful(st, ix));
		assert_int_equal(fix_read(l, st, off, len, got), 0);
		assert_true(fix_matches(got, off, len));
	}
}

/* ---- Tests ---- */

/* Some pieces more each run: what was put is there, is right, needs no hash,
 * and what was counted is counted. */
static void all_is_kept(void **state)
{
	const uint64_t lens[] = {150000, 5, 160000};
	const struct traffic some = {.up_bytes = 7};
	struct fix_loop l;
	struct store_disk_cfg cfg = {0};
	struct metainfo *mi;
	struct traffic all;
	char dir[64], why[160];

	fix_loop_init(&l, 1); /* whose looks are one after the other */
	fix_dir_make(dir, sizeof(dir));
	mi = fix_torrent(&l, "three", lens, 3);
	cfg = (struct store_disk_cfg){.loop = l.loop,
				      .workers = l.workers,
				      .thread = l.thread,
				      .dir = dir};
	for (uint32_t run = 0; run < RUNS; run++) {
		struct fix_answer open = {0}, put = {0};
		struct store *s;

		fix_must(store_disk_new(&cfg, &s, why), why);
		fix_must(fix_open(&l, s, mi, &open), "open");
		assert_int_equal(open.held.n_set, run * PIECES_A_RUN);
		check_all(&l, open.st, mi, &open.held);
		(void)store_traffic(s, NULL, &all);
		assert_int_equal(all.up_bytes, 7 * run);
		store_count(s, &mi->id, &some);
		for (uint32_t i = 0; i < PIECES_A_RUN; i++)
			fix_put(&l, open.st, mi, run * PIECES_A_RUN + i, &put);
		assert_int_equal(fix_flush(&l, s), 0);
		assert_int_equal(put.n_durable, PIECES_A_RUN);
		store_close(open.st);
		fix_quiet(&l);
		store_free(s);
		bits_fini(&open.held);
	}
	assert_true(atomic_load(&wall_n_looks) > 0);
	metainfo_free(mi);
	fix_loop_fini(&l);
	fix_dir_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(all_is_kept)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
