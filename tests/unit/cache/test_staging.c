/* test_staging — bytes in blobs that nobody has verified: what a start after
 * any end makes of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/store.h"
#include "cache/store_disk.h"
#include "tests/lib/cache_fix.h"

enum { PART = 4 << 10, PARTS = FIX_PIECE_BYTES / PART, N_PIECES = 5 };

/* ---- Fixture: a directory, a loop, maybe a store ---- */

struct fix {
	struct fix_loop l;
	char dir[64];
	char why[160];
	struct store *s;
	struct metainfo *mi;
	struct fix_answer open;
};

static const uint64_t one_file[] = {N_PIECES * FIX_PIECE_BYTES - 100};

static int set_up(void **state)
{
	struct fix *f = mem_new(struct fix);

	fix_loop_init(&f->l, 2);
	fix_dir_make(f->dir, sizeof(f->dir));
	f->mi = fix_torrent(&f->l, "one", one_file, 1);
	*state = f;
	return 0;
}

static void open_all(struct fix *f)
{
	assert_int_equal(fix_disk(&f->l, f->dir, f->why, &f->s), 0);
	assert_int_equal(fix_open(&f->l, f->s, f->mi, &f->open), 0);
}

static void close_all(struct fix *f)
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

	close_all(f);
	bits_fini(&f->open.held);
	metainfo_free(f->mi);
	fix_loop_fini(&f->l);
	fix_dir_remove(f->dir);
	mem_free(f);
	return 0;
}

/* ---- Helpers: they stand before libc's ---- */

static atomic_uint n_events, last_write, last_sync;
static atomic_bool syncs_fail;

static bool is_blob(int fd)
{
	char link[64], path[256];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	return strstr(path, "/torrents/") != NULL;
}

ssize_t pwrite(int fd, const void *buf, size_t n, off_t off)
{
	ssize_t r = syscall(SYS_pwrite64, fd, buf, n, off);

	if (is_blob(fd))
		atomic_store(&last_write, atomic_fetch_add(&n_events, 1) + 1);
	return r;
}

/* Counts from its beginning: what is written meanwhile is not synced. */
int fdatasync(int fd)
{
	unsigned at = atomic_fetch_add(&n_events, 1) + 1;

	if (!is_blob(fd))
		return (int)syscall(SYS_fdatasync, fd);
	if (atomic_load(&syncs_fail)) {
		errno = EIO;
		return -1;
	}
	atomic_store(&last_sync, at);
	return (int)syscall(SYS_fdatasync, fd);
}

/* ---- Helpers ---- */

struct staged {
	unsigned n_out, n_failed;
	int err;
};

static void on_staged(void *arg, int err)
{
	struct staged *a = arg;

	a->n_out--;
	if (err != 0) {
		a->n_failed++;
		a->err = err;
	}
}

static bool is_over(void *arg)
{
	return ((struct staged *)arg)->n_out == 0;
}

/* One part; `flip` makes it wrong. */
static int stage_part(struct fix *f, uint32_t ix, uint32_t part, bool flip,
		      struct staged *a)
{
	uint32_t left = metainfo_piece_bytes(f->mi, ix) - part * PART;
	struct blk *b = blk_new(f->l.pool, left < PART ? left : PART);
	int err;

	fix_fill(b->data, (uint64_t)ix * FIX_PIECE_BYTES + part * PART, b->len);
	if (flip)
		memset(b->data, 0xee, b->len);
	err = store_stage(f->open.st, ix, part * PART, b, on_staged, a);
	a->n_out += err == 0;
	blk_drop(b);
	return err;
}

static void stage_start(struct fix *f, uint32_t ix, bool flip, struct staged *a)
{
	for (uint32_t part = PARTS; part-- > 0;)
		assert_int_equal(stage_part(f, ix, part, flip, a), 0);
}

static int stage(struct fix *f, uint32_t ix, bool flip)
{
	struct staged a = {0};

	stage_start(f, ix, flip, &a);
	assert_int_equal(a.n_out, PARTS); /* never from inside the call */
	fix_until(&f->l, is_over, &a);
	return a.err;
}

static void keep(struct fix *f, uint32_t ix, struct fix_answer *a)
{
	assert_int_equal(store_put(f->open.st, ix, NULL, fix_on_put, a), 0);
}

static bool is_right(struct fix *f, uint32_t ix)
{
	static uint8_t bytes[FIX_PIECE_BYTES];
	uint64_t off = (uint64_t)ix * FIX_PIECE_BYTES;
	uint32_t len = metainfo_piece_bytes(f->mi, ix);

	assert_int_equal(fix_read(&f->l, f->open.st, off, len, bytes), 0);
	return fix_matches(bytes, off, len);
}

/* ---- Tests ---- */

/* What was staged is read back at once, kept by a put without bytes, and there
 * after the next start. */
static void is_kept_by_a_put(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};

	open_all(f);
	for (uint32_t ix = 0; ix < N_PIECES; ix++) {
		assert_int_equal(stage(f, ix, false), 0);
		assert_true(is_right(f, ix));
		keep(f, ix, &a);
	}
	assert_int_equal(fix_flush(&f->l, f->s), 0);
	assert_int_equal(a.n_durable, N_PIECES);
	close_all(f);
	open_all(f);
	assert_true(bits_is_full(&f->open.held));
	for (uint32_t ix = 0; ix < N_PIECES; ix++)
		assert_true(is_right(f, ix));
}

/* Without a put nothing claims it, right or wrong; and what is wrong there is
 * written over. */
static void is_garbage_without_a_put(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};

	open_all(f);
	assert_int_equal(stage(f, 0, false), 0);
	assert_int_equal(stage(f, 1, true), 0);
	store_unstage(f->open.st, 1);
	assert_int_equal(fix_flush(&f->l, f->s), 0);
	close_all(f);
	open_all(f);
	assert_int_equal(f->open.held.n_set, 0);
	assert_int_equal(stage(f, 1, false), 0);
	keep(f, 1, &a);
	assert_int_equal(fix_flush(&f->l, f->s), 0);
	assert_int_equal(a.n_durable, 1);
	assert_true(is_right(f, 1));
}

struct synced {
	struct fix_answer answer;
	unsigned written; /* the last write before the put */
};

static void on_synced_put(void *arg, uint32_t ix, enum store_phase phase,
			  int err)
{
	struct synced *s = arg;

	fix_on_put(&s->answer, ix, phase, err);
	if (err == 0 && phase == STORE_DURABLE)
		assert_true(atomic_load(&last_sync) > s->written);
}

/* A power cut: when the row is committed, a sync has begun after the last byte
 * was staged, whatever else was committed meanwhile. */
static void is_synced_before_its_row(void **state)
{
	struct fix *f = *state;
	struct synced s[N_PIECES] = {0};

	open_all(f);
	for (uint32_t ix = 0; ix < N_PIECES; ix++) {
		assert_int_equal(stage(f, ix, false), 0);
		s[ix].written = atomic_load(&last_write);
		assert_int_equal(
			store_put(f->open.st, ix, NULL, on_synced_put, &s[ix]),
			0);
		if (ix % 2 == 1) /* a commit that others write during */
			assert_int_equal(
				store_flush(f->s, fix_on_done, &s[0].answer),
				0);
	}
	assert_int_equal(fix_flush(&f->l, f->s), 0);
	for (uint32_t ix = 0; ix < N_PIECES; ix++)
		assert_int_equal(s[ix].answer.n_durable, 1);
}

/* Where a row claims a piece nothing is staged; once it is forgotten, it is. */
static void spares_what_is_claimed(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};

	open_all(f);
	fix_put(&f->l, f->open.st, f->mi, 2, &a);
	assert_int_equal(fix_flush(&f->l, f->s), 0);
	for (unsigned i = 0; i < 2; i++) { /* put now; held at the start */
		assert_int_equal(stage(f, 2, true), EIO);
		assert_true(is_right(f, 2));
		close_all(f);
		open_all(f);
		assert_true(bits_has(&f->open.held, 2));
	}
	store_forget(f->open.st, 2);
	assert_int_equal(stage(f, 2, true), 0);
	assert_false(is_right(f, 2));
	close_all(f);
	open_all(f);
	assert_false(bits_has(&f->open.held, 2));
}

/* A batch that was rolled back claims nothing. */
static void claims_only_what_was_committed(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};

	open_all(f);
	fix_put(&f->l, f->open.st, f->mi, 0, &a);
	store_forget(f->open.st, 0); /* before its commit */
	assert_int_equal(fix_flush(&f->l, f->s), 0);
	assert_int_equal(a.n_failed, 1);
	fix_quiet(&f->l);
	assert_int_equal(stage(f, 0, false), 0);
}

struct blocker {
	struct job job;
	sem_t *gate;
	bool is_done;
};

static void block(struct job *job, struct worker_env *env)
{
	struct blocker *b = CONTAINER_OF(job, struct blocker, job);

	while (sem_wait(b->gate) != 0)
		;
}

static void on_unblocked(struct job *job)
{
	CONTAINER_OF(job, struct blocker, job)->is_done = true;
}

/* A torrent that is closed while it stages is not opened again before that is
 * through: late garbage would lie over what the new handle wrote. */
static void opens_behind_its_writes(void **state)
{
	struct fix *f = *state;
	struct fix_answer again = {0}, a = {0};
	struct blocker blockers[2];
	struct staged st = {0};
	sem_t gate;

	open_all(f);
	assert_int_equal(sem_init(&gate, 0, 0), 0);
	for (unsigned i = 0; i < 2; i++) {
		blockers[i] = (struct blocker){
			.job = {.run = block, .done = on_unblocked},
			.gate = &gate};
		workers_submit(f->l.workers, &blockers[i].job);
	}
	stage_start(f, 0, true, &st);
	store_close(f->open.st);
	f->open.st = NULL;
	assert_int_equal(store_open(f->s, f->mi, fix_on_open, &again), 0);
	assert_int_equal(fix_flush(&f->l, f->s), 0);
	assert_int_equal(fix_flush(&f->l, f->s), 0);
	assert_false(again.is_done);
	sem_post(&gate);
	sem_post(&gate);
	fix_until(&f->l, fix_is_set, &again.is_done);
	assert_int_equal(again.err, 0);
	assert_int_equal(st.n_out, 0);
	f->open.st = again.st;
	fix_put(&f->l, f->open.st, f->mi, 0, &a);
	assert_int_equal(fix_flush(&f->l, f->s), 0);
	assert_true(is_right(f, 0));
	bits_fini(&again.held);
	fix_until(&f->l, fix_is_set, &blockers[0].is_done);
	sem_destroy(&gate);
}

/* A sync that fails fails what was staged with the rest, and nothing is staged
 * after it. */
static void falls_with_the_store(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};

	open_all(f);
	assert_int_equal(stage(f, 0, false), 0);
	keep(f, 0, &a);
	atomic_store(&syncs_fail, true);
	(void)fix_flush(&f->l, f->s);
	atomic_store(&syncs_fail, false);
	assert_int_equal(a.n_failed, 1);
	assert_int_equal(a.err, EIO);
	assert_int_equal(store_err(f->s), EIO);
	assert_int_equal(stage(f, 1, false), EIO);
	close_all(f);
	open_all(f);
	assert_int_equal(f->open.held.n_set, 0);
}

/* A write that the system refuses is that part's failure alone. */
static void a_failed_write_is_one_parts(void **state)
{
	struct fix *f = *state;
	struct rlimit old, small;
	struct staged a = {0};

	open_all(f);
	assert_int_equal(stage(f, 4, false), 0); /* the blob is made */
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = (struct rlimit){PART, old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(stage_part(f, 0, 0, false, &a), 0);
	assert_int_equal(stage_part(f, 0, 1, false, &a), 0);
	fix_until(&f->l, is_over, &a);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(a.n_failed, 1);
	assert_int_equal(a.err, EFBIG);
	assert_int_equal(store_err(f->s), 0);
	assert_int_equal(stage(f, 0, false), 0);
	assert_true(is_right(f, 0));
}

/* Without memory it says so, and nothing is under way. */
static void survives_no_memory(void **state)
{
	struct fix *f = *state;
	struct staged a = {0};
	int err = ENOMEM;

	open_all(f);
	for (unsigned n = 0; err != 0; n++) {
		struct blk *b = fix_piece(&f->l, f->mi, 0);

		mem_fail_after(n, 0);
		err = store_stage(f->open.st, 0, 0, b, on_staged, &a);
		mem_fail_after(UINT64_MAX, 0);
		a.n_out += err == 0;
		blk_drop(b);
		assert_true(n < 20);
	}
	fix_until(&f->l, is_over, &a);
	assert_int_equal(a.n_failed, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(is_kept_by_a_put),
		T(is_garbage_without_a_put),
		T(is_synced_before_its_row),
		T(spares_what_is_claimed),
		T(claims_only_what_was_committed),
		T(opens_behind_its_writes),
		T(falls_with_the_store),
		T(a_failed_write_is_one_parts),
		T(survives_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
