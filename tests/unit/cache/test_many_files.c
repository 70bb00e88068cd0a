/* test_many_files — a v2 torrent of many files: what the disk store has nothing
 * of costs it nothing, and what it has is found again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/index_vfs_job.h"
#include "cache/room.h"
#include "core/buf.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "core/rng.h"
#include "tests/lib/cache_fix.h"

/* ---- Fixture ---- */

enum { N_FILES = 4096, PIECE = 16 << 10, SHARED = 3 };

struct fix {
	struct fix_loop l;
	char dir[64];
	struct store *s;
	struct metainfo *a, *b; /* every SHARED-th file of b is a's */
	struct fix_answer open_a, open_b;
};

/* File `i` of set `set` is the same wherever it is. */
static void root_of(uint32_t set, uint32_t i, uint8_t root[HASH_SHA256_BYTES])
{
	struct hasher *h;
	const uint32_t what[] = {set, i};

	fix_must(hasher_new(&h), "hasher");
	hasher_once(h, HASH_SHA256, what, sizeof(what), root);
	hasher_free(h);
}

static struct metainfo *torrent(struct fix *f, const char *name, bool is_b)
{
	static uint8_t roots[N_FILES][HASH_SHA256_BYTES];
	static struct mi_source_file files[N_FILES];
	static char names[N_FILES][16];
	static const char *paths[N_FILES];
	struct mi_source src = {.name = name,
				.files = files,
				.n_files = N_FILES,
				.piece_bytes = PIECE,
				.has_v2 = true};
	struct buf out = {0};
	struct metainfo *mi;
	struct mi_error why;

	for (uint32_t i = 0; i < N_FILES; i++) {
		root_of(is_b && i % SHARED != 0, i, roots[i]);
		snprintf(names[i], sizeof(names[i]), "%05u", i);
		paths[i] = names[i];
		files[i] = (struct mi_source_file){.path = &paths[i],
						   .n_path = 1,
						   .len_bytes = PIECE,
						   .root = roots[i]};
	}
	fix_must(metainfo_encode(&src, &out), "encode");
	fix_must(metainfo_parse_file(out.data, out.len, f->l.hasher, &mi, &why),
		 "parse");
	buf_fini(&out);
	return mi;
}

static int set_up(void **state)
{
	struct fix *f = mem_new(struct fix);

	fix_dir_make(f->dir, sizeof(f->dir));
	fix_loop_init(&f->l, 2);
	f->a = torrent(f, "a", false);
	f->b = torrent(f, "b", true);
	fix_must(fix_disk(&f->l, f->dir, NULL, &f->s), "disk");
	*state = f;
	return 0;
}

static void close_one(struct fix_answer *a)
{
	if (a->st != NULL)
		store_close(a->st);
	a->st = NULL;
}

static void stop(struct fix *f)
{
	close_one(&f->open_a);
	close_one(&f->open_b);
	store_free(f->s);
	f->s = NULL;
}

static int tear_down(void **state)
{
	struct fix *f = *state;

	if (f->s != NULL)
		stop(f);
	bits_fini(&f->open_a.held);
	bits_fini(&f->open_b.held);
	metainfo_free(f->a);
	metainfo_free(f->b);
	fix_loop_fini(&f->l);
	fix_dir_remove(f->dir);
	mem_free(f);
	return 0;
}

/* ---- Helpers ---- */

static void start(struct fix *f)
{
	fix_must(fix_disk(&f->l, f->dir, NULL, &f->s), "disk");
}

static void open_a(struct fix *f)
{
	fix_must(fix_open(&f->l, f->s, f->a, &f->open_a), "open a");
}

static void open_b(struct fix *f)
{
	fix_must(fix_open(&f->l, f->s, f->b, &f->open_b), "open b");
}

static void put(struct fix *f, uint32_t ix)
{
	struct blk *data = fix_piece(&f->l, f->a, ix);

	fix_must(store_put(f->open_a.st, ix, data, fix_on_put, &f->open_a),
		 "put");
	blk_drop(data);
}

/* Of the index of a store that is stopped. */
static int count_rows(struct fix *f, const char *table)
{
	char path[96], sql[64];
	sqlite3_stmt *st;
	sqlite3 *db;
	int n;

	snprintf(path, sizeof(path), "%s/index.db", f->dir);
	snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", table);
	assert_int_equal(index_vfs_init(), SQLITE_OK);
	assert_int_equal(
		sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, INDEX_VFS),
		SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	n = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

static void make_file(struct fix *f, const char *path, const char *text)
{
	char whole[256];
	FILE *out;

	snprintf(whole, sizeof(whole), "%s/%s", f->dir, path);
	out = fopen(whole, "w");
	assert_non_null(out);
	fputs(text, out);
	fclose(out);
}

static bool is_there(struct fix *f, const char *path)
{
	char whole[256];

	snprintf(whole, sizeof(whole), "%s/%s", f->dir, path);
	return access(whole, F_OK) == 0;
}

/* ---- Tests ---- */

/* Two that are open, with files in common, are two rows, and a few bytes a
 * file beside the units of the torrent's own pieces. */
static void nothing_costs_nothing(void **state)
{
	struct fix *f = *state;
	size_t before = mem_in_use_bytes(), most;

	open_a(f);
	open_b(f);
	most = 2 * N_FILES * (sizeof(struct unit) + 24) + (64 << 10);
	assert_in_range(mem_in_use_bytes() - before, 0, most);
	stop(f);
	assert_int_equal(count_rows(f, "torrent"), 2);
	assert_int_equal(count_rows(f, "file"), 0);
	assert_int_equal(count_rows(f, "member"), 0);
}

/* What was put is found by each that has it: who was open, and who comes. */
static void what_was_put_is_found(void **state)
{
	struct fix *f = *state;
	unsigned n = 0, n_common = 0;

	open_a(f);
	for (uint32_t ix = 0; ix < N_FILES; ix += 37) {
		put(f, ix);
		n++;
		n_common += ix % SHARED == 0;
	}
	fix_must(fix_flush(&f->l, f->s), "flush");
	assert_int_equal(f->open_a.n_durable, n);
	open_b(f);
	assert_int_equal(f->open_b.held.n_set, n_common);
	stop(f);
	assert_int_equal(count_rows(f, "file"), n);
	start(f);
	open_b(f);
	assert_int_equal(f->open_b.held.n_set, n_common);
	open_a(f);
	assert_int_equal(f->open_a.held.n_set, n);
	for (uint32_t ix = 0; ix < N_FILES; ix++)
		assert_int_equal(bits_has(&f->open_a.held, ix), ix % 37 == 0);
	stop(f);
	assert_int_equal(count_rows(f, "member"), n + n_common);
}

/* Who is open when a file comes has it when the other is removed. */
static void who_is_open_keeps_it(void **state)
{
	struct fix *f = *state;
	struct fix_answer removed = {0};

	open_a(f);
	open_b(f);
	put(f, 0); /* b's, too */
	put(f, 1);
	fix_must(fix_flush(&f->l, f->s), "flush");
	close_one(&f->open_a);
	fix_must(store_remove(f->s, &f->a->id, fix_on_done, &removed),
		 "remove");
	fix_until(&f->l, fix_is_set, &removed.is_done);
	assert_int_equal(removed.err, 0);
	stop(f);
	assert_int_equal(count_rows(f, "file"), 1);
	start(f);
	open_b(f);
	assert_int_equal(f->open_b.held.n_set, 1);
}

/* A blob without a row is what a kill leaves: it goes at the next start, and
 * nothing else does. */
static void what_no_row_speaks_of_goes(void **state)
{
	static const char nobodys[] = "files/00112233445566778899aabbccddeeff"
				      "00112233445566778899aabbccddeeff.5";
	static const char tree[] = "files/ff112233445566778899aabbccddeeff"
				   "00112233445566778899aabbccddeeff.5.tree";
	static const char others[] = "files/notes";
	struct fix *f = *state;

	open_a(f);
	put(f, 5);
	fix_must(fix_flush(&f->l, f->s), "flush");
	stop(f);
	make_file(f, nobodys, "hello");
	make_file(f, tree, "hello");
	make_file(f, others, "hello");
	start(f);
	assert_true(is_there(f, nobodys)); /* it had ended by itself */
	stop(f);
	make_file(f, "lock", "1 open  \n");
	make_file(f, "index.db-wal", "");
	start(f);
	assert_false(is_there(f, nobodys));
	assert_false(is_there(f, tree));
	assert_true(is_there(f, others));
	open_a(f);
	assert_int_equal(f->open_a.held.n_set, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_costs_nothing, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_was_put_is_found, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(who_is_open_keeps_it, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_no_row_speaks_of_goes,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
