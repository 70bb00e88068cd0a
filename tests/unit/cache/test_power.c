/* test_power — the power is cut after each operation that the store does on its
 * disk, from the first to the last of its story (tests/lib/story.h); what the
 * disk could show then is built, the store started over it, and every promise
 * that was made by then looked at.
 *
 * By itself it takes PASSES choices of what was kept of what was not certain.
 * With a number of seconds as its argument it goes on with others until the
 * time is up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "core/log.h"
#include "tests/lib/drive.h"
#include "tests/lib/story.h"

enum { PASSES = 2, KINDS = 3 };

static unsigned seconds; /* 0: one pass */

/* ---- Helpers ---- */

/* Files in memory, if there is such a place: there are thousands of syncs. */
static void make_dir(char dir[STORY_DIR])
{
	snprintf(dir, STORY_DIR, "/dev/shm/shoal-test-XXXXXX");
	if (mkdtemp(dir) == NULL)
		fix_dir_make(dir, STORY_DIR);
}

static unsigned now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (unsigned)ts.tv_sec;
}

static void cut(struct story *y, const struct story *told, size_t n,
		uint64_t seed)
{
	char what[256], op[160];

	snprintf(what, sizeof(what), "cut after %zu operations (%s), seed %llu",
		 n, n > 0 ? drive_name(n - 1, op) : "none",
		 (unsigned long long)seed);
	assert_int_equal(mkdir(y->dir, 0700), 0);
	drive_build(y->dir, n, seed);
	story_check(y, told, n, what);
	fix_dir_remove(y->dir);
}

/* ---- Tests ---- */

/* Whenever the power goes, and whatever the disk kept: no wrong byte is read,
 * nothing is lost that was said to be durable, nothing is left of what was
 * removed, and a second start changes nothing. */
static void every_cut_is_survived(void **state)
{
	static struct story told, y;
	char dir[STORY_DIR];
	unsigned since = now_s(), n_cuts = 0;
	uint64_t pass = 0;
	size_t n_ops;

	make_dir(dir);
	story_init(&told, dir);
	story_begin(&told, dir, false);
	drive_watch(dir, true);
	story_run(&told);
	drive_stop();
	n_ops = drive_len();
	assert_true(told.n_reads > 30);
	fix_dir_remove(dir);
	story_init(&y, dir);
	while (seconds > 0 ? now_s() - since < seconds : pass < PASSES) {
		for (size_t n = 0; n <= n_ops; n += STORY_STRIDE, n_cuts++)
			cut(&y, &told, n, pass == 0 ? 0 : pass + n % KINDS);
		pass++;
	}
	printf("power: %zu operations, cut at %u points (%llu passes), 0 "
	       "failed; %u s\n",
	       n_ops, n_cuts, (unsigned long long)pass, now_s() - since);
	story_fini(&y);
	story_fini(&told);
	drive_unwatch();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_cut_is_survived),
	};

	if (argc > 1)
		seconds = (unsigned)strtoul(argv[1], NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
