/* test_sweep — what a power cut left in blobs, and no row speaks of, is given
 * back when the torrent is opened; nothing else is touched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "cache/index_job.h"
#include "cache/store.h"
#include "cache/store_disk.h"
#include "cache/store_vet.h"
#include "cache/sweep_job.h"
#include "core/bits.h"
#include "tests/lib/cache_fix.h"
#include "tests/lib/v2_fix.h"

enum { FILE_BYTES = 2 << 20, SLACK = 64 << 10 };

/* ---- Fixture ---- */

struct fix {
	struct fix_loop l;
	char dir[64], why[160];
	struct store *s;
	struct v2_source src;
	struct metainfo *mi; /* v1; three files, borders within pieces */
	struct metainfo *v2; /* one file */
	struct fix_answer open;
	uint64_t full_bytes; /* used when all was there */
};

static int set_up(void **state)
{
	static const uint64_t lens[] = {5000, FILE_BYTES, 7000};
	struct fix *f = mem_new(struct fix);

	fix_loop_init(&f->l, 2);
	fix_dir_make(f->dir, sizeof(f->dir));
	f->mi = fix_torrent(&f->l, "three", lens, 3);
	f->src = (struct v2_source){.name = "two",
				    .files = {{.seed = 1, .len = FILE_BYTES}},
				    .n = 1,
				    .piece_bytes = 64 << 10};
	f->v2 = v2_torrent(&f->l, &f->src);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fix *f = *state;

	bits_fini(&f->open.held);
	metainfo_free(f->mi);
	metainfo_free(f->v2);
	fix_loop_fini(&f->l);
	fix_dir_remove(f->dir);
	mem_free(f);
	return 0;
}

/* ---- Helpers ---- */

static void start(struct fix *f, const struct metainfo *mi)
{
	fix_must(fix_disk(&f->l, f->dir, f->why, &f->s), f->why);
	fix_must(fix_open(&f->l, f->s, mi, &f->open), "open");
}

static void stop(struct fix *f)
{
	store_close(f->open.st);
	fix_quiet(&f->l);
	store_free(f->s);
}

static void fill_piece(struct fix *f, const struct metainfo *mi, uint32_t ix,
		       uint8_t *dst)
{
	uint64_t off = (uint64_t)ix * mi->piece_bytes;
	uint32_t len = metainfo_piece_bytes(mi, ix);

	if (mi == f->v2)
		v2_fill(&f->src, mi, off, len, dst);
	else
		fix_fill(dst, off, len);
}

static uint64_t used(const struct fix *f)
{
	struct store_stats stats;

	store_stats(f->s, &stats);
	return stats.used_bytes;
}

/* All of it, durably. */
static void fill(struct fix *f, const struct metainfo *mi)
{
	struct fix_answer a = {0};

	start(f, mi);
	for (uint32_t ix = 0; ix < mi->n_pieces; ix++) {
		struct blk *b =
			blk_new(f->l.pool, metainfo_piece_bytes(mi, ix));

		fill_piece(f, mi, ix, b->data);
		fix_must(store_put(f->open.st, ix, b, fix_on_put, &a), "put");
		blk_drop(b);
	}
	assert_int_equal(fix_flush(&f->l, f->s), 0);
	assert_int_equal(a.n_durable, mi->n_pieces);
	f->full_bytes = used(f);
	stop(f);
}

/* By the store's own VFS, which knows how pages are sealed, if it has one. */
static void exec_index(struct fix *f, const char *sql)
{
	static const char vfs[] = "shoal-index";
	char path[128];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/index.db", f->dir);
	assert_int_equal(
		sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE,
				sqlite3_vfs_find(vfs) != NULL ? vfs : NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static const char *blob(const struct fix *f, const struct metainfo *mi,
			unsigned n)
{
	static char path[320];
	char hex[TORRENT_HEX_BYTES], name[INDEX_PATH_BYTES];

	if (mi == f->v2)
		index_file_path(mi->files[n].root, mi->files[n].len_bytes,
				name);
	else
		snprintf(name, sizeof(name), "torrents/%s/%u",
			 torrent_id_hex(&mi->id, hex), n);
	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	return path;
}

static uint64_t takes(const struct fix *f, const struct metainfo *mi,
		      unsigned n)
{
	struct stat sb;

	assert_int_equal(stat(blob(f, mi, n), &sb), 0);
	return (uint64_t)sb.st_blocks * 512;
}

static void check_held(struct fix *f, const struct metainfo *mi,
		       uint32_t n_held, bool is_doubtful)
{
	static uint8_t got[64 << 10], want[64 << 10];

	assert_int_equal(f->open.held.n_set, n_held);
	for (uint32_t ix = bits_next(&f->open.held, 0); ix < mi->n_pieces;
	     ix = bits_next(&f->open.held, ix + 1)) {
		uint32_t len = metainfo_piece_bytes(mi, ix);

		assert_int_equal(store_is_doubtful(f->open.st, ix),
				 is_doubtful);
		assert_int_equal(fix_read(&f->l, f->open.st,
					  (uint64_t)ix * mi->piece_bytes, len,
					  got),
				 0);
		fill_piece(f, mi, ix, want);
		assert_memory_equal(got, want, len);
	}
}

/* ---- Tests ---- */

/* The rows of an eviction went, and the power before the holes came: the holes
 * come now, what is left is right and trusted, then and at the next start. */
static void cut_between_row_and_hole(void **state)
{
	struct fix *f = *state;
	uint64_t before;

	fill(f, f->mi);
	exec_index(f, "UPDATE held SET bytes = 3 * 16384,"
		      " bits = CAST(x'8021' || zeroblob(510) AS BLOB)");
	before = takes(f, f->mi, 1);
	assert_true(before >= FILE_BYTES);
	start(f, f->mi);
	assert_in_range(takes(f, f->mi, 1), 2 * FIX_PIECE_BYTES, SLACK + SLACK);
	assert_true(used(f) + FILE_BYTES - SLACK - SLACK < f->full_bytes);
	check_held(f, f->mi, 3, false);
	stop(f);
	start(f, f->mi);
	check_held(f, f->mi, 3, false);
	stop(f);
}

/* The same of a file that torrents share. */
static void shared_blobs(void **state)
{
	struct fix *f = *state;

	fill(f, f->v2);
	/* 128 leaves, the first piece's and the last one's are held */
	exec_index(f, "UPDATE leaf SET bytes = 8 * 16384,"
		      " bits = x'f000000000000000000000000000000f'");
	assert_true(takes(f, f->v2, 0) >= FILE_BYTES);
	start(f, f->v2);
	assert_in_range(takes(f, f->v2, 0), 128 << 10, (128 << 10) + SLACK);
	check_held(f, f->v2, 2, false);
	stop(f);
	start(f, f->v2);
	check_held(f, f->v2, 2, false);
	stop(f);
}

/* Nothing of it is claimed at all. */
static void nothing_is_claimed(void **state)
{
	struct fix *f = *state;

	fill(f, f->mi);
	exec_index(f, "DELETE FROM held");
	start(f, f->mi);
	assert_in_range(takes(f, f->mi, 1), 0, SLACK);
	assert_int_equal(f->open.held.n_set, 0);
	stop(f);
}

/* What was written behind the last commit goes; what it was written beside is
 * doubtful, as it was. */
static void written_and_not_committed(void **state)
{
	static uint8_t junk[512 << 10];
	struct fix *f = *state;
	int fd;

	fill(f, f->mi);
	exec_index(f, "UPDATE held SET bytes = 16384,"
		      " bits = CAST(x'80' || zeroblob(511) AS BLOB)");
	start(f, f->mi);
	stop(f);
	memset(junk, 0x5a, sizeof(junk));
	fd = open(blob(f, f->mi, 1), O_WRONLY);
	assert_int_equal(pwrite(fd, junk, sizeof(junk), 1 << 20), sizeof(junk));
	close(fd);
	start(f, f->mi);
	assert_in_range(takes(f, f->mi, 1), 0, SLACK);
	check_held(f, f->mi, 1, true);
	stop(f);
}

/* A blob that the kernel may read by itself is left alone. */
static void given_away(void **state)
{
	struct fix *f = *state;

	fill(f, f->mi);
	assert_int_equal(chmod(blob(f, f->mi, 1), 01600), 0);
	exec_index(f, "UPDATE held SET bytes = 16384,"
		      " bits = CAST(x'80' || zeroblob(511) AS BLOB)");
	start(f, f->mi);
	assert_true(takes(f, f->mi, 1) >= FILE_BYTES);
	stop(f);
}

/* Stretches of a file that begins and ends within pieces. */
static void stretches(void **state)
{
	struct sweep_claims c = {
		.unit_bytes = 100, .off_bytes = 250, .len_bytes = 500};
	struct bits bits;
	uint64_t from, to;

	assert_int_equal(bits_init(&bits, 8), 0);
	c.bits = &bits;
	assert_false(sweep_next(&c, 0, &from, &to));
	bits_set(&bits, 1); /* ends before the file */
	assert_false(sweep_next(&c, 0, &from, &to));
	bits_set(&bits, 2);
	bits_set(&bits, 3);
	bits_set(&bits, 7);
	assert_true(sweep_next(&c, 0, &from, &to));
	assert_int_equal(from, 0);
	assert_int_equal(to, 150);
	assert_true(sweep_next(&c, to, &from, &to));
	assert_int_equal(from, 450);
	assert_int_equal(to, 500);
	assert_false(sweep_next(&c, to, &from, &to));
	bits_fini(&bits);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(cut_between_row_and_hole,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(shared_blobs, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(nothing_is_claimed, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(written_and_not_committed,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(given_away, set_up, tear_down),
		cmocka_unit_test(stretches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
