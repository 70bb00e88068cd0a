/* test_verify — when the mount's own rounds of hashing begin, over what, and
 * how fast; in virtual time. What hashes (net/scrub) is the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>

#include <cmocka.h>

#include "core/loop.h"
#include "core/mem.h"
#include "fs/fs_limits.h"
#include "fs/mount_internal.h"
#include "fs/verify.h"
#include "net/engine.h"
#include "net/scrub.h"
#include "net/torrent.h"

enum { N = 3, N_TIMERS = 8, S = 1000000 };

/* ---- Fixture: a clock, a roster, torrents that are none ---- */

struct loop_timer {
	bool is_there, is_armed;
	loop_timer_fn *fn;
	void *arg;
	uint64_t at_us;
};

struct scrub {
	unsigned ix; /* of its torrent */
	struct scrub_cfg cfg;
};

static struct fix {
	uint64_t now_us;
	struct loop_timer timers[N_TIMERS];
	struct mount m;
	enum engine_doubts doubts;
	/* each torrent */
	struct shown shown[N];
	struct listed listed[N];
	bool is_gone[N];
	enum torrent_state states[N];
	unsigned n_woken[N];
	struct scrub scrub; /* the one that runs */
	bool is_scrubbing;
	unsigned n_cancelled;
} f;

int loop_timer_new(struct loop *loop, loop_timer_fn *fn, void *arg,
		   struct loop_timer **out)
{
	struct loop_timer *t = f.timers;

	while (t->is_there)
		t++;
	*t = (struct loop_timer){.is_there = true, .fn = fn, .arg = arg};
	*out = t;
	return 0;
}

void loop_timer_start(struct loop_timer *t, uint64_t delay_us)
{
	t->is_armed = true;
	t->at_us = f.now_us + delay_us;
}

void loop_timer_free(struct loop_timer *t)
{
	if (t != NULL)
		*t = (struct loop_timer){0};
}

static unsigned ix_of(const void *torrent)
{
	for (unsigned i = 0; i < N; i++)
		if (torrent == &f.states[i])
			return i;
	fail();
	return N;
}

enum torrent_state torrent_state(const struct torrent *t)
{
	return f.states[ix_of(t)];
}

struct shown *roster_by_base(const struct roster *r, uint64_t base)
{
	return f.is_gone[base] ? NULL : &f.shown[base];
}

int warmth_wake(struct mount *m, struct shown *s)
{
	f.n_woken[s->base]++;
	s->torrent = (struct torrent *)&f.states[s->base];
	return 0;
}

enum engine_doubts engine_doubts(const struct engine *e)
{
	return f.doubts;
}

int scrub_start(struct torrent *t, const struct scrub_cfg *cfg,
		struct scrub **out)
{
	assert_false(f.is_scrubbing);
	f.is_scrubbing = true;
	f.scrub = (struct scrub){.ix = ix_of(t), .cfg = *cfg};
	*out = &f.scrub;
	return 0;
}

void scrub_cancel(struct scrub *s)
{
	f.is_scrubbing = false;
	f.n_cancelled++;
}

void scrub_look(const struct scrub *s, struct scrub_sums *out)
{
	*out = (struct scrub_sums){0};
}

/* Three torrents that are asleep, and have something. */
static int set_up(void **state)
{
	memset(&f, 0, sizeof(f));
	for (unsigned i = 0; i < N; i++) {
		f.shown[i].base = i;
		f.shown[i].held_bytes = 1;
		f.listed[i] = (struct listed){i, &f.shown[i]};
		f.states[i] = TORRENT_READY;
	}
	f.m.roster.listed = f.listed;
	f.m.roster.n = N;
	assert_int_equal(verify_init(&f.m), 0);
	return 0;
}

static int tear_down(void **state)
{
	verify_end(&f.m);
	for (unsigned i = 0; i < N_TIMERS; i++)
		assert_false(f.timers[i].is_there);
	assert_false(f.is_scrubbing);
	return 0;
}

/* ---- Helpers ---- */

/* The next timer; false: none within `us`. */
static bool tick(uint64_t us)
{
	struct loop_timer *next = NULL;

	for (unsigned i = 0; i < N_TIMERS; i++)
		if (f.timers[i].is_armed &&
		    (next == NULL || f.timers[i].at_us < next->at_us))
			next = &f.timers[i];
	if (next == NULL || next->at_us > f.now_us + us)
		return false;
	f.now_us = next->at_us;
	next->is_armed = false;
	next->fn(next->arg);
	return true;
}

static void settle(void)
{
	while (tick(0))
		;
}

static void scrubbed(int err, uint64_t bad)
{
	const struct scrub_sums sums = {.pieces = 2, .bytes = 20, .bad = bad};
	struct scrub s = f.scrub;

	assert_true(f.is_scrubbing);
	f.is_scrubbing = false;
	s.cfg.done(s.cfg.arg, err, &sums);
}

static void is_slow_over(unsigned ix)
{
	assert_true(f.is_scrubbing);
	assert_int_equal(f.scrub.ix, ix);
	assert_true(f.scrub.cfg.is_slow);
	assert_false(f.scrub.cfg.only_doubtful);
	assert_null(f.scrub.cfg.pieces);
}

/* ---- Tests ---- */

/* Nothing is doubtful: an hour later all that is awake is hashed, slowly, one
 * torrent after the other, and an hour after that again. Nobody is woken. */
static void slowly_each_hour(void **state)
{
	(void)warmth_wake(&f.m, &f.shown[0]);
	(void)warmth_wake(&f.m, &f.shown[2]);
	verify_begin(&f.m);
	for (unsigned round = 1; round <= 3; round++) {
		uint64_t since_us = f.now_us;

		assert_false(tick((uint64_t)VERIFY_REST_S * S - 1));
		assert_true(tick((uint64_t)VERIFY_REST_S * S));
		settle();
		assert_int_equal(f.now_us - since_us,
				 (uint64_t)VERIFY_REST_S * S);
		is_slow_over(0);
		f.now_us += 1000 * S;
		scrubbed(0, 0);
		settle();
		is_slow_over(2);
		scrubbed(0, round == 2);
		settle();
		assert_false(f.is_scrubbing);
		assert_int_equal(f.m.verifies.sums.pieces, 4 * round);
		assert_int_equal(f.m.verifies.sums.bad, round >= 2);
		assert_null(f.m.verifies.own);
	}
	assert_int_equal(f.n_woken[1], 0);
}

/* After a lost index all are woken, one after the other, and what is doubtful
 * is hashed at once; the slow rounds come behind. */
static void all_at_once_after_a_lost_index(void **state)
{
	f.doubts = ENGINE_DOUBTS_ALL;
	f.shown[1].held_bytes = 0; /* has nothing */
	verify_begin(&f.m);
	settle();
	for (unsigned ix = 0; ix < N; ix += 2) {
		assert_int_equal(f.scrub.ix, ix);
		assert_true(f.scrub.cfg.only_doubtful);
		assert_false(f.scrub.cfg.is_slow);
		scrubbed(0, 0);
		settle();
	}
	assert_int_equal(f.n_woken[1], 0);
	assert_false(f.is_scrubbing);
	assert_true(tick((uint64_t)VERIFY_REST_S * S));
	settle();
	is_slow_over(0);
	scrubbed(0, 0);
	settle();
	scrubbed(0, 0);
	settle();
}

/* One that is opened still is waited for: until it is said to be READY, and not
 * until somebody looks again. One that never is, or goes, is passed over. */
static void waits_for_one_that_opens(void **state)
{
	f.doubts = ENGINE_DOUBTS_ALL;
	f.states[0] = TORRENT_OPENING;
	f.states[1] = TORRENT_META;
	f.is_gone[2] = true;
	verify_begin(&f.m);
	settle();
	assert_false(f.is_scrubbing);
	f.states[0] = TORRENT_READY;
	verify_on_ready(&f.m);
	assert_false(f.is_scrubbing); /* on a turn of its own */
	settle();
	assert_true(f.is_scrubbing);
	assert_int_equal(f.now_us, 0);
	verify_on_ready(&f.m); /* another one's is nothing to it */
	settle();
	scrubbed(0, 0);
	settle();
	assert_false(f.is_scrubbing);
	f.states[1] = TORRENT_FAILED; /* which nobody is told */
	assert_true(tick((uint64_t)VERIFY_POLL_MS * 1000));
	settle();
	assert_null(f.m.verifies.own);
}

/* A torrent that is removed while it is hashed: the round goes on with the
 * next. */
static void one_is_removed_within_a_round(void **state)
{
	f.doubts = ENGINE_DOUBTS_ALL;
	verify_begin(&f.m);
	settle();
	f.is_gone[0] = true;
	scrubbed(ESTALE, 0);
	settle();
	assert_int_equal(f.scrub.ix, 1);
	assert_true(f.is_scrubbing);
	verify_end(&f.m); /* and the mount is over */
	assert_int_equal(f.n_cancelled, 1);
	assert_int_equal(verify_init(&f.m), 0);
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(slowly_each_hour),
		T(all_at_once_after_a_lost_index),
		T(waits_for_one_that_opens),
		T(one_is_removed_within_a_round),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
