/* test_faults — the n-th allocation fails, of ours or of SQLite's, or the n-th
 * operation of a kind on the store's disk, once or from then on, n from the
 * first to the last of its story (tests/lib/story.h), until a run passes
 * untouched. Whatever fails, no wrong byte is read, nothing hangs, nothing
 * leaks, and when it is over the store starts with all that it had said to be
 * durable.
 *
 * By itself it takes every STRIDE-th where there are many; with a number as its
 * argument, every so-many-th. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/log.h"
#include "tests/lib/drive.h"
#include "tests/lib/story.h"

static unsigned stride;

/* ---- SQLite's memory ---- */

static sqlite3_mem_methods plain;
static atomic_int_fast64_t sql_fail_in = -1; /* < 0: none */
static atomic_bool sql_for_ever, sql_has_failed;

static bool sql_must_fail(void)
{
	int_fast64_t left = atomic_load(&sql_fail_in);

	while (left >= 0) {
		int_fast64_t then = left - 1;

		if (left == 0 && atomic_load(&sql_for_ever))
			then = 0;
		if (!atomic_compare_exchange_weak(&sql_fail_in, &left, then))
			continue;
		if (left == 0)
			atomic_store(&sql_has_failed, true);
		return left == 0;
	}
	return false;
}

static void *sql_alloc(int n)
{
	return sql_must_fail() ? NULL : plain.xMalloc(n);
}

static void *sql_realloc(void *p, int n)
{
	return sql_must_fail() ? NULL : plain.xRealloc(p, n);
}

static void sql_config(void)
{
	static sqlite3_mem_methods ours;

	sqlite3_config(SQLITE_CONFIG_GETMALLOC, &plain);
	ours = plain;
	ours.xMalloc = sql_alloc;
	ours.xRealloc = sql_realloc;
	sqlite3_config(SQLITE_CONFIG_MALLOC, &ours);
}

/* ---- Fixture: what fails, a directory in memory, a story ---- */

enum what { OF_DRIVE, OF_MEM, OF_SQL };

struct sweep {
	const char *name;
	enum what what;
	unsigned ops;
	int err;
	unsigned stride; /* of ctest's run */
};

static const struct sweep sweeps[] = {
	{"open", OF_DRIVE, DRIVE_OPEN, EIO, 7},
	{"make", OF_DRIVE, DRIVE_MAKE, ENOSPC, 3},
	{"read", OF_DRIVE, DRIVE_READ, EIO, 7},
	{"write", OF_DRIVE, DRIVE_WRITE, EIO, 13},
	{"write, full", OF_DRIVE, DRIVE_WRITE | DRIVE_MAKE | DRIVE_RESIZE,
	 ENOSPC, 13},
	{"sync", OF_DRIVE, DRIVE_SYNC, EIO, 3},
	{"resize", OF_DRIVE, DRIVE_RESIZE, EIO, 3},
	{"punch", OF_DRIVE, DRIVE_PUNCH, EIO, 3},
	{"rename", OF_DRIVE, DRIVE_RENAME, EIO, 1},
	{"unlink", OF_DRIVE, DRIVE_UNLINK, EIO, 3},
	{"memory", OF_MEM, 0, ENOMEM, 41},
	{"SQLite's memory", OF_SQL, 0, ENOMEM, 211},
};

enum { N_SWEEPS = sizeof(sweeps) / sizeof(sweeps[0]), CUT_SEEDS = 4 };

struct fix {
	struct story told, after;
	char dir[STORY_DIR];
};

static int set_up(void **state)
{
	struct fix *f = mem_new(struct fix);

	snprintf(f->dir, sizeof(f->dir), "/dev/shm/shoal-test-XXXXXX");
	if (mkdtemp(f->dir) == NULL)
		fix_dir_make(f->dir, sizeof(f->dir));
	story_init(&f->told, f->dir);
	story_init(&f->after, f->dir);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fix *f = *state;

	fix_dir_remove(f->dir);
	story_fini(&f->after);
	story_fini(&f->told);
	mem_free(f);
	return 0;
}

/* ---- Helpers ---- */

static void arm(const struct sweep *s, uint64_t n, bool for_ever)
{
	switch (s->what) {
	case OF_DRIVE:
		drive_fail(s->ops, n, s->err, for_ever);
		break;
	case OF_MEM:
		mem_fail_after(n, for_ever);
		break;
	case OF_SQL:
		atomic_store(&sql_has_failed, false);
		atomic_store(&sql_for_ever, for_ever);
		atomic_store(&sql_fail_in, (int_fast64_t)n);
		break;
	}
}

/* All is well again. Did anything fail? */
static bool disarm(void)
{
	bool has = drive_n_failed() > 0 || mem_has_failed() ||
		   atomic_load(&sql_has_failed);

	drive_fail(0, 0, 0, false);
	mem_fail_after(UINT64_MAX, 0);
	atomic_store(&sql_fail_in, -1);
	atomic_store(&sql_has_failed, false);
	return has;
}

static void empty_dir(struct fix *f)
{
	fix_dir_remove(f->dir);
	assert_int_equal(mkdir(f->dir, 0700), 0);
}

/* Which fault it is that ends the process. */
static char what[128];

static void on_abort(int sig)
{
	(void)!write(STDERR_FILENO, what, strlen(what));
	(void)!write(STDERR_FILENO, "\n", 1);
}

static bool run(struct fix *f, const struct sweep *s, uint64_t n, bool for_ever)
{
	bool has_failed;

	snprintf(what, sizeof(what), "%s, %llu, %s", s->name,
		 (unsigned long long)n, for_ever ? "for ever" : "once");
	story_begin(&f->told, f->dir, true);
	f->told.what = what;
	drive_watch(f->dir, false);
	arm(s, n, for_ever);
	story_run(&f->told);
	has_failed = disarm();
	drive_stop();
	story_check(&f->after, &f->told, SIZE_MAX, what);
	empty_dir(f);
	return has_failed;
}

static unsigned sweep(struct fix *f, const struct sweep *s, bool for_ever)
{
	unsigned step = stride > 0 ? stride : s->stride * STORY_STRIDE;
	unsigned n_runs = 0;
	uint64_t n = 0;

	while (run(f, s, n, for_ever)) {
		n_runs++;
		n += step;
	}
	printf("faults: %s, %s: %u points of %llu, 0 failed\n", s->name,
	       for_ever ? "for ever" : "once", n_runs, (unsigned long long)n);
	return n_runs;
}

/* ---- Tests ---- */

/* The n-th one fails. */
static void one_fault_is_survived(void **state)
{
	for (unsigned i = 0; i < N_SWEEPS; i++)
		assert_true(sweep(*state, &sweeps[i], false) > 0);
}

/* The n-th one fails, and all that follow, until the process ends. */
static void faults_for_ever_are_survived(void **state)
{
	for (unsigned i = 0; i < N_SWEEPS; i++)
		assert_true(sweep(*state, &sweeps[i], true) > 0);
}

/* A sync fails, and the pages are lost, as is all that a later sync says of
 * them. The store does not believe them, goes on by itself when the disk works,
 * and what it says to be durable from then on is, if the power is cut. */
static void failed_sync_is_not_believed(void **state)
{
	struct fix *f = *state;
	unsigned step = stride > 0 ? stride : 4 * STORY_STRIDE, n_runs = 0;
	uint64_t n = 0;
	bool has_failed = true;

	for (; has_failed; n += step, n_runs += has_failed) {
		snprintf(what, sizeof(what), "sync %llu fails",
			 (unsigned long long)n);
		story_begin(&f->told, f->dir, true);
		f->told.what = what;
		drive_watch(f->dir, true);
		drive_fail(DRIVE_SYNC, n, EIO, false);
		story_first(&f->told);
		has_failed = disarm();
		story_mend(&f->told);
		assert_int_equal(store_err(f->told.s), 0);
		story_stop(&f->told);
		drive_stop();
		for (uint64_t seed = 0; seed < CUT_SEEDS; seed++) {
			snprintf(what, sizeof(what),
				 "sync %llu fails, seed %llu",
				 (unsigned long long)n,
				 (unsigned long long)seed);
			empty_dir(f);
			drive_build(f->dir, drive_len(), seed);
			story_check(&f->after, &f->told, SIZE_MAX, what);
		}
		empty_dir(f);
		drive_unwatch();
	}
	printf("faults: a sync is not believed: %u points of %llu, 0 failed\n",
	       n_runs, (unsigned long long)n);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(failed_sync_is_not_believed,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_fault_is_survived, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(faults_for_ever_are_survived,
						set_up, tear_down),
	};

	if (argc > 1)
		stride = (unsigned)strtoul(argv[1], NULL, 10);
	sql_config();
	(void)signal(SIGABRT, on_abort);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
