/* test_tally — what was sent and received is remembered, and never gets less.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/index_vfs_job.h"
#include "cache/store.h"
#include "cache/store_disk.h"
#include "cache/store_mem.h"
#include "cache/store_tally.h"
#include "cache/tally.h"
#include "tests/lib/cache_fix.h"

enum { KILLS = 12 };

/* ---- Fixture: a directory, a loop, maybe a store ---- */

struct fix {
	struct fix_loop l;
	char dir[64];
	char why[160];
	struct store *s;
	struct metainfo *mi, *other;
	struct fix_answer open;
};

static void fix_begin(struct fix *f, const char *dir)
{
	static const uint64_t lens[] = {40000, 5, 30000};

	*f = (struct fix){0};
	fix_loop_init(&f->l, 2);
	snprintf(f->dir, sizeof(f->dir), "%s", dir);
	f->mi = fix_torrent(&f->l, "three", lens, 3);
	f->other = fix_torrent(&f->l, "other", lens, 1);
}

static void fix_end(struct fix *f)
{
	if (f->open.st != NULL)
		store_close(f->open.st);
	store_free(f->s);
	bits_fini(&f->open.held);
	metainfo_free(f->mi);
	metainfo_free(f->other);
	fix_loop_fini(&f->l);
}

static int set_up(void **state)
{
	struct fix *f = mem_new(struct fix);
	char dir[64];

	fix_dir_make(dir, sizeof(dir));
	fix_begin(f, dir);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fix *f = *state;

	fix_end(f);
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

static void close_one(struct fix *f)
{
	store_close(f->open.st);
	f->open.st = NULL;
}

static void stop(struct fix *f)
{
	close_one(f);
	store_free(f->s);
	f->s = NULL;
}

static void count(struct fix *f, const struct metainfo *mi, uint64_t down,
		  uint64_t up, uint64_t waste)
{
	const struct traffic t = {down, up, waste};

	store_count(f->s, &mi->id, &t);
}

static void assert_traffic(struct fix *f, const struct torrent_id *id,
			   uint64_t down, uint64_t up, uint64_t waste)
{
	struct traffic t;

	assert_true(store_traffic(f->s, id, &t));
	assert_int_equal(t.down_bytes, down);
	assert_int_equal(t.up_bytes, up);
	assert_int_equal(t.waste_bytes, waste);
}

static void exec_index(struct fix *f, const char *sql)
{
	char path[128];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/index.db", f->dir);
	assert_int_equal(index_vfs_init(), SQLITE_OK);
	assert_int_equal(
		sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, INDEX_VFS),
		SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void remove_one(struct fix *f, const struct metainfo *mi)
{
	struct fix_answer a = {0};

	close_one(f);
	assert_int_equal(store_remove(f->s, &mi->id, fix_on_done, &a), 0);
	fix_until(&f->l, fix_is_set, &a.is_done);
	assert_int_equal(a.err, 0);
}

/* ---- Tests: the figures ---- */

/* What is counted is shown once it is written down, not before. */
static void shown_when_written(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};

	start(f, f->mi);
	count(f, f->mi, 100, 20, 3);
	assert_traffic(f, &f->mi->id, 0, 0, 0);
	fix_flush(&f->l, f->s);
	assert_traffic(f, &f->mi->id, 100, 20, 3);
	assert_traffic(f, NULL, 100, 20, 3);
	count(f, f->mi, 1, 1, 1); /* it goes along with a piece */
	fix_put(&f->l, f->open.st, f->mi, 0, &a);
	fix_flush(&f->l, f->s);
	assert_int_equal(a.n_durable, 1);
	assert_traffic(f, &f->mi->id, 101, 21, 4);
}

/* It is there after a restart, whatever was not written at the stop too. */
static void restarts(void **state)
{
	struct fix *f = *state;

	start(f, f->mi);
	count(f, f->mi, 100, 20, 3);
	stop(f);
	start(f, f->other);
	assert_traffic(f, &f->mi->id, 100, 20, 3);
	count(f, f->other, 5, 5, 5);
	count(f, f->mi, 1, 0, 0);
	stop(f);
	start(f, f->mi);
	assert_traffic(f, &f->mi->id, 101, 20, 3);
	assert_traffic(f, &f->other->id, 5, 5, 5);
	assert_traffic(f, NULL, 106, 25, 8);
}

/* A torrent that is removed takes its own figures along; in those of all it
 * stays, also if it comes again. */
static void departed_count(void **state)
{
	struct fix *f = *state;

	start(f, f->mi);
	count(f, f->mi, 100, 20, 3);
	fix_flush(&f->l, f->s);
	count(f, f->mi, 10, 2, 0); /* not written yet */
	remove_one(f, f->mi);
	assert_traffic(f, &f->mi->id, 0, 0, 0);
	assert_traffic(f, NULL, 110, 22, 3);
	fix_must(fix_open(&f->l, f->s, f->mi, &f->open), "open");
	count(f, f->mi, 1, 1, 1);
	stop(f);
	start(f, f->mi);
	assert_traffic(f, &f->mi->id, 1, 1, 1);
	assert_traffic(f, NULL, 111, 23, 4);
}

static void lose_index(struct fix *f)
{
	static const char *const names[] = {"index.db", "index.db-wal"};
	char path[128];

	for (unsigned i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", f->dir, names[i]);
		(void)unlink(path);
	}
}

/* An index that is lost takes nothing along: neither what a torrent had, nor
 * what those had that were removed, whichever way. */
static void a_lost_index(void **state)
{
	struct fix *f = *state;
	char path[256], hex[TORRENT_HEX_BYTES];

	start(f, f->mi);
	count(f, f->mi, 100, 20, 3);
	fix_flush(&f->l, f->s);
	remove_one(f, f->mi);
	fix_must(fix_open(&f->l, f->s, f->mi, &f->open), "open");
	count(f, f->mi, 7, 6, 5);
	close_one(f);
	fix_must(fix_open(&f->l, f->s, f->other, &f->open), "open");
	count(f, f->other, 1, 1, 1);
	fix_flush(&f->l, f->s);
	stop(f);
	lose_index(f);
	start(f, f->mi);
	assert_traffic(f, &f->mi->id, 7, 6, 5);
	assert_traffic(f, &f->other->id, 1, 1, 1);
	assert_traffic(f, NULL, 108, 27, 9);
	count(f, f->mi, 1, 0, 0);
	stop(f);
	/* Nobody knows any more what the other one was. */
	snprintf(path, sizeof(path), "%s/torrents/%s/info", f->dir,
		 torrent_id_hex(&f->other->id, hex));
	assert_int_equal(unlink(path), 0);
	lose_index(f);
	start(f, f->mi);
	assert_traffic(f, &f->mi->id, 8, 6, 5);
	assert_traffic(f, &f->other->id, 0, 0, 0);
	assert_traffic(f, NULL, 109, 27, 9);
}

/* The log is torn at its end, and damaged within: what is whole counts, and the
 * index makes it good. Without one all begins at nothing, and counts. */
static void a_damaged_log(void **state)
{
	struct fix *f = *state;
	char path[128];
	FILE *log;

	start(f, f->mi);
	count(f, f->mi, 100, 20, 3);
	fix_flush(&f->l, f->s);
	count(f, f->mi, 100, 20, 3);
	stop(f);
	snprintf(path, sizeof(path), "%s/traffic", f->dir);
	log = fopen(path, "r+");
	assert_non_null(log);
	assert_int_equal(fputs("torn", log) >= 0, 1);
	assert_int_equal(fseek(log, 0, SEEK_END), 0);
	assert_int_equal(fputs("torn", log) >= 0, 1);
	assert_int_equal(fclose(log), 0);
	lose_index(f);
	start(f, f->mi);
	assert_traffic(f, &f->mi->id, 200, 40, 6);
	stop(f);
	assert_int_equal(truncate(path, 5), 0);
	start(f, f->mi); /* which writes it anew */
	stop(f);
	lose_index(f);
	start(f, f->mi);
	assert_traffic(f, NULL, 200, 40, 6);
	stop(f);
	lose_index(f);
	assert_int_equal(unlink(path), 0);
	start(f, f->mi);
	assert_traffic(f, NULL, 0, 0, 0);
	count(f, f->mi, 4, 5, 6);
	fix_flush(&f->l, f->s);
	assert_traffic(f, NULL, 4, 5, 6);
}

/* The fourth format had no figures: all begin at nothing, and count. */
static void upgrades_the_fourth_format(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};

	start(f, f->mi);
	fix_put(&f->l, f->open.st, f->mi, 1, &a);
	fix_flush(&f->l, f->s);
	stop(f);
	exec_index(f, "DROP TABLE tally; DROP TABLE departed;"
		      "PRAGMA user_version = 4");
	start(f, f->mi);
	assert_true(bits_has(&f->open.held, 1));
	assert_traffic(f, NULL, 0, 0, 0);
	count(f, f->mi, 4, 5, 6);
	fix_flush(&f->l, f->s);
	assert_traffic(f, NULL, 4, 5, 6);
}

/* In memory nothing has to be written down. */
static void in_memory(void **state)
{
	struct fix *f = *state;

	assert_int_equal(store_mem_new(f->l.loop, 1 << 20, &f->s), 0);
	assert_int_equal(fix_open(&f->l, f->s, f->mi, &f->open), 0);
	count(f, f->mi, 7, 8, 9);
	assert_traffic(f, &f->mi->id, 7, 8, 9);
	remove_one(f, f->mi);
	assert_traffic(f, NULL, 7, 8, 9);
}

/* A transaction that failed is written again, and adds nothing twice. */
static void written_again(void **state)
{
	struct fix *f = *state;
	struct tally t;
	struct tally_rows rows;
	struct traffic got;

	assert_int_equal(tally_init(&t), 0);
	assert_int_equal(
		tally_count(&t, &f->mi->id, &(struct traffic){5, 0, 0}), 0);
	tally_take(&t, &rows);
	assert_int_equal(rows.n, 1);
	assert_int_equal(
		tally_count(&t, &f->mi->id, &(struct traffic){1, 0, 0}), 0);
	tally_back(&t, &rows);
	tally_get(&t, &f->mi->id, &got);
	assert_int_equal(got.down_bytes, 0);
	tally_take(&t, &rows);
	assert_int_equal(rows.n, 1);
	assert_int_equal(rows.v[0].counted.down_bytes, 6);
	tally_kept(&t, &rows);
	tally_get(&t, &f->mi->id, &got);
	assert_int_equal(got.down_bytes, 6);
	assert_int_equal(t.all.down_bytes, 6);
	tally_take(&t, &rows);
	assert_int_equal(rows.n, 0);
	tally_fini(&t);
}

/* ---- Tests: kill -9 ---- */

/* Counts as fast as it can, and tells what is shown. */
static void count_for_ever(const char *dir, int told)
{
	static struct fix f;
	struct traffic t[2];

	fix_begin(&f, dir);
	start(&f, f.mi);
	for (;;) {
		count(&f, f.mi, 1000, 100, 1);
		if (fix_flush(&f.l, f.s) != 0)
			_exit(1);
		(void)store_traffic(f.s, &f.mi->id, &t[0]);
		(void)store_traffic(f.s, NULL, &t[1]);
		if (write(told, t, sizeof(t)) != sizeof(t))
			_exit(1);
	}
}

static void kill_one(const char *dir, unsigned round)
{
	struct traffic t[2], last[2] = {{0}};
	static struct fix f;
	int told[2];
	pid_t pid;

	assert_int_equal(pipe(told), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(told[0]);
		count_for_ever(dir, told[1]);
	}
	close(told[1]);
	for (unsigned n = 0; n < 3 + round * 2; n++)
		assert_int_equal(read(told[0], last, sizeof(last)),
				 sizeof(last));
	usleep(round * 700 % 3000);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	while (read(told[0], t, sizeof(t)) == sizeof(t))
		memcpy(last, t, sizeof(t));
	close(told[0]);
	fix_begin(&f, dir);
	start(&f, f.mi);
	(void)store_traffic(f.s, &f.mi->id, &t[0]);
	(void)store_traffic(f.s, NULL, &t[1]);
	for (unsigned i = 0; i < 2; i++) {
		assert_true(t[i].down_bytes >= last[i].down_bytes);
		assert_true(t[i].up_bytes >= last[i].up_bytes);
		assert_int_equal(t[i].down_bytes, 1000 * t[i].waste_bytes);
		assert_int_equal(t[i].up_bytes, 100 * t[i].waste_bytes);
	}
	fix_end(&f);
}

/* Whatever was shown before a kill -9 is there after it, or more. */
static void never_backwards(void **state)
{
	char dir[64];

	fix_dir_make(dir, sizeof(dir));
	for (unsigned round = 0; round < KILLS; round++)
		kill_one(dir, round);
	fix_dir_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(shown_when_written, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(restarts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(departed_count, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_lost_index, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_damaged_log, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(upgrades_the_fourth_format,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(in_memory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(written_again, set_up,
						tear_down),
		cmocka_unit_test(never_backwards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
