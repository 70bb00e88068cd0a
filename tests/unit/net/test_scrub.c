/* test_scrub — held pieces hashed again, in virtual time: in which order, how
 * many at a time, how fast, who goes first, and what is told. The loop's
 * timers, the store and its pieces are the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>

#include <cmocka.h>

#include "cache/pieces.h"
#include "cache/store.h"
#include "core/bits.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "net/engine_internal.h"
#include "net/scrub.h"
#include "net/torrent_internal.h"

enum {
	MIB = 1 << 20,
	N_PIECES = 300,
	LAST_BYTES = 1000,
	S = 1000000,
	/* scrub.c's */
	WIDTH = 128,
	BPS = 4 << 20,
	REST_US = 5 * S,
};

/* ---- Fixture: a clock, one timer, a store and a torrent that are none ---- */

struct loop_timer {
	loop_timer_fn *fn;
	void *arg;
	bool is_armed;
	uint64_t at_us;
};

static struct fix {
	uint64_t now_us, reads;
	struct loop_timer timer;
	bool has_timer;
	/* each piece */
	bool is_absent[N_PIECES], is_doubtful[N_PIECES];
	int err_of[N_PIECES]; /* what pieces_vet itself says */
	struct vet_wait *waits[N_PIECES];
	/* in the order they came */
	uint32_t begun[2 * N_PIECES];
	uint64_t begun_us[2 * N_PIECES];
	unsigned n_begun, n_busy, n_most;
	struct engine e;
	struct torrent t;
	struct metainfo mi;
	struct mi_file file;
	/* what was told */
	struct scrub *s;
	struct scrub_sums sums;
	int err;
	unsigned n_done;
} f;

int loop_timer_new(struct loop *loop, loop_timer_fn *fn, void *arg,
		   struct loop_timer **out)
{
	assert_false(f.has_timer);
	f.has_timer = true;
	f.timer = (struct loop_timer){.fn = fn, .arg = arg};
	*out = &f.timer;
	return 0;
}

void loop_timer_start(struct loop_timer *t, uint64_t delay_us)
{
	t->is_armed = true;
	t->at_us = f.now_us + delay_us;
}

void loop_timer_stop(struct loop_timer *t)
{
	t->is_armed = false;
}

void loop_timer_free(struct loop_timer *t)
{
	f.has_timer = f.has_timer && t == NULL;
}

void store_stats(const struct store *s, struct store_stats *out)
{
	*out = (struct store_stats){.reads = f.reads};
}

enum piece_state pieces_state(const struct pieces *ps, uint32_t ix)
{
	return f.is_absent[ix] ? PIECE_ABSENT : PIECE_CLEAN;
}

bool pieces_is_doubtful(const struct pieces *ps, uint32_t ix)
{
	return f.is_doubtful[ix];
}

int pieces_vet(struct pieces *ps, uint32_t ix, bool is_hurried,
	       struct vet_wait *w)
{
	assert_false(is_hurried);
	if (f.err_of[ix] != 0)
		return f.err_of[ix];
	assert_null(f.waits[ix]);
	f.waits[ix] = w;
	f.begun[f.n_begun] = ix;
	f.begun_us[f.n_begun++] = f.now_us;
	f.reads++; /* the store counts it */
	if (++f.n_busy > f.n_most)
		f.n_most = f.n_busy;
	return 0;
}

static int set_up(void **state)
{
	memset(&f, 0, sizeof(f));
	f.now_us = 7 * S;
	f.file.len_bytes = (uint64_t)(N_PIECES - 1) * MIB + LAST_BYTES;
	f.mi = (struct metainfo){.has_v1 = true,
				 .piece_bytes = MIB,
				 .n_pieces = N_PIECES,
				 .total_bytes = f.file.len_bytes,
				 .content_bytes = f.file.len_bytes,
				 .files = &f.file,
				 .n_files = 1};
	f.t.e = &f.e;
	f.t.mi = &f.mi;
	f.t.state = TORRENT_READY;
	LIST_INIT(&f.t.scrubs);
	return 0;
}

/* Nothing is left behind. */
static int tear_down(void **state)
{
	assert_false(f.has_timer);
	assert_true(LIST_EMPTY(&f.t.scrubs));
	assert_int_equal(f.n_busy, 0);
	return 0;
}

/* ---- Helpers ---- */

static void on_done(void *arg, int err, const struct scrub_sums *sums)
{
	assert_ptr_equal(arg, &f);
	f.err = err;
	f.sums = *sums;
	f.n_done++;
	f.s = NULL;
}

static void start(struct scrub_cfg cfg)
{
	cfg.done = on_done;
	cfg.arg = &f;
	assert_int_equal(scrub_start(&f.t, &cfg, &f.s), 0);
	assert_int_equal(f.n_begun, 0); /* on a turn of its own */
}

/* The timer's time comes. */
static void tick(void)
{
	assert_true(f.timer.is_armed);
	assert_true(f.timer.at_us >= f.now_us);
	f.now_us = f.timer.at_us;
	f.timer.is_armed = false;
	f.timer.fn(f.timer.arg);
}

static void answer(uint32_t ix, int err)
{
	struct vet_wait *w = f.waits[ix];

	assert_non_null(w);
	f.waits[ix] = NULL;
	f.n_busy--;
	w->fn(w->arg, err);
}

/* All that is under way, and what that leads to, in order. */
static void answer_all(void)
{
	for (unsigned i = 0; i < f.n_begun; i++)
		if (f.waits[f.begun[i]] != NULL)
			answer(f.begun[i], 0);
}

static void assert_done(int err, uint64_t pieces, uint64_t bad)
{
	assert_int_equal(f.n_done, 1);
	assert_int_equal(f.err, err);
	assert_int_equal(f.sums.pieces, pieces);
	assert_int_equal(f.sums.bad, bad);
}

/* ---- Tests: as fast as it can ---- */

/* All that is held, in order, WIDTH at a time; when one is done the next
 * begins. */
static void in_order_and_many_at_a_time(void **state)
{
	f.is_absent[3] = f.is_absent[200] = true;
	start((struct scrub_cfg){0});
	tick();
	assert_int_equal(f.n_begun, WIDTH);
	answer(0, 0);
	assert_int_equal(f.n_begun, WIDTH + 1);
	answer_all();
	assert_int_equal(f.n_most, WIDTH);
	assert_int_equal(f.n_begun, N_PIECES - 2);
	for (unsigned i = 1; i < f.n_begun; i++)
		assert_true(f.begun[i] > f.begun[i - 1]);
	assert_done(0, N_PIECES - 2, 0);
	assert_int_equal(f.sums.bytes, f.file.len_bytes - 2 * MIB);
	assert_int_equal(f.now_us, 7 * S); /* it never rests */
}

/* Some pieces only, or what is doubtful only. */
static void what_was_asked_for(void **state)
{
	struct bits pieces;

	assert_int_equal(bits_init(&pieces, N_PIECES), 0);
	bits_set(&pieces, 5);
	bits_set(&pieces, 17);
	bits_set(&pieces, 299);
	f.is_doubtful[17] = f.is_doubtful[18] = true;
	start((struct scrub_cfg){.pieces = &pieces});
	tick();
	assert_int_equal(f.n_begun, 3);
	answer_all();
	assert_done(0, 3, 0);
	assert_int_equal(f.sums.bytes, 2 * MIB + LAST_BYTES);
	f.n_begun = f.n_done = 0;
	start((struct scrub_cfg){.pieces = &pieces, .only_doubtful = true});
	bits_fini(&pieces); /* it was copied */
	tick();
	assert_int_equal(f.n_begun, 1);
	assert_int_equal(f.begun[0], 17);
	answer_all();
	assert_done(0, 1, 0);
}

/* Nothing to do is done at once, though not within the call. */
static void nothing_to_do(void **state)
{
	start((struct scrub_cfg){.only_doubtful = true});
	assert_int_equal(f.n_done, 0);
	tick();
	assert_done(0, 0, 0);
}

/* One that is wrong is counted, and the round goes on; one that went meanwhile,
 * before it began or while it was hashed, is none that was hashed. */
static void a_bad_piece(void **state)
{
	f.err_of[2] = ENOENT;
	start((struct scrub_cfg){0});
	tick();
	answer(4, EIO);
	answer(6, ENOENT);
	assert_int_equal(f.n_done, 0);
	answer_all();
	assert_done(0, N_PIECES - 2, 1);
	assert_int_equal(f.n_begun, N_PIECES - 1);
}

/* A store that cannot, or has no memory, ends the round. What is under way
 * comes back to nobody. */
static void a_store_that_cannot(void **state)
{
	f.err_of[0] = ENOTSUP;
	start((struct scrub_cfg){0});
	tick();
	assert_done(ENOTSUP, 0, 0);
	memset(&f.err_of, 0, sizeof(f.err_of));
	f.n_done = 0;
	start((struct scrub_cfg){0});
	tick();
	answer(0, 0);
	answer(1, ENOMEM);
	assert_done(ENOMEM, 1, 0);
	answer_all();
	assert_int_equal(f.n_done, 1);
}

/* ---- Tests: slowly ---- */

/* One at a time, each followed by a rest as long as it may take: 4 MiB a
 * second, whatever the hashing itself takes. */
static void the_pace(void **state)
{
	uint64_t since_us = f.now_us;
	unsigned n = 0;

	start((struct scrub_cfg){.is_slow = true});
	while (f.n_done == 0) {
		tick();
		assert_int_equal(f.n_busy, f.n_done == 0);
		if (f.n_done == 0) {
			assert_int_equal(f.begun[n], n);
			answer(n++, 0);
		}
	}
	assert_int_equal(f.n_most, 1);
	assert_done(0, N_PIECES, 0);
	assert_in_range((f.now_us - since_us) / S, f.file.len_bytes / BPS - 1,
			f.file.len_bytes / BPS + 1);
	for (unsigned i = 1; i < n; i++)
		assert_int_equal(f.begun_us[i] - f.begun_us[i - 1],
				 (uint64_t)MIB * S / BPS);
}

/* Somebody reads: nothing is hashed until he has not for REST_US. Its own read
 * is not one. */
static void it_rests_while_others_read(void **state)
{
	uint64_t at_us = f.now_us + REST_US;

	start((struct scrub_cfg){.is_slow = true});
	f.reads += 3; /* before it could begin */
	tick();
	assert_int_equal(f.n_begun, 0);
	tick();
	assert_int_equal(f.n_begun, 1);
	assert_int_equal(f.now_us, at_us);
	f.reads++; /* while it hashes */
	answer(0, 0);
	tick();
	assert_int_equal(f.n_begun, 2);
	assert_int_equal(f.now_us, at_us += REST_US);
	answer(1, 0);
	at_us += (uint64_t)MIB * S / BPS;
	for (unsigned i = 0; i < 4; i++, at_us += REST_US) {
		f.reads++; /* while it rests */
		tick();
		assert_int_equal(f.n_begun, 2);
		assert_int_equal(f.now_us, at_us);
	}
	tick();
	assert_int_equal(f.n_begun, 3);
	assert_int_equal(f.now_us, at_us);
	answer(2, 0);
	tick(); /* its own was none */
	assert_int_equal(f.n_begun, 4);
	assert_int_equal(f.now_us, at_us + (uint64_t)MIB * S / BPS);
	scrub_cancel(f.s);
	answer(3, 0);
	assert_int_equal(f.n_done, 0);
}

/* One that is wrong does not hurry it, nor end it. */
static void a_bad_piece_slowly(void **state)
{
	start((struct scrub_cfg){.is_slow = true});
	tick();
	answer(0, EIO);
	tick();
	assert_int_equal(f.begun_us[1] - f.begun_us[0],
			 (uint64_t)MIB * S / BPS);
	scrub_look(f.s, &f.sums);
	assert_int_equal(f.sums.bad, 1);
	answer(1, ESTALE);
	assert_done(ESTALE, 1, 1);
}

/* ---- Tests: the torrent goes ---- */

/* Its rounds end, told so, with what they had done; what was under way then
 * comes back later, and nobody hears of it. */
static void the_torrent_is_removed(void **state)
{
	start((struct scrub_cfg){0});
	tick();
	answer(0, 0);
	answer(1, EIO);
	scrub_end_all(&f.t);
	assert_done(ESTALE, 2, 1);
	assert_false(f.timer.is_armed);
	answer_all();
	assert_int_equal(f.n_done, 1);
	assert_int_equal(f.n_begun, WIDTH + 2);
}

/* The same while a slow one rests, and while it hashes. */
static void the_torrent_is_removed_slowly(void **state)
{
	for (unsigned is_busy = 0; is_busy < 2; is_busy++) {
		f.n_begun = f.n_done = 0;
		start((struct scrub_cfg){.is_slow = true});
		tick();
		if (!is_busy)
			answer(0, 0);
		scrub_end_all(&f.t);
		assert_done(ESTALE, !is_busy, 0);
		assert_int_equal(f.has_timer, is_busy);
		answer_all();
		assert_int_equal(f.n_done, 1);
	}
}

/* There is nothing to walk over yet, or any more. */
static void of_a_torrent_that_is_not_ready(void **state)
{
	struct scrub_cfg cfg = {.done = on_done, .arg = &f};

	f.t.state = TORRENT_META;
	assert_int_equal(scrub_start(&f.t, &cfg, &f.s), ESTALE);
	f.t.state = TORRENT_CLOSED;
	assert_int_equal(scrub_start(&f.t, &cfg, &f.s), ESTALE);
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(in_order_and_many_at_a_time),
		T(what_was_asked_for),
		T(nothing_to_do),
		T(a_bad_piece),
		T(a_store_that_cannot),
		T(the_pace),
		T(it_rests_while_others_read),
		T(a_bad_piece_slowly),
		T(the_torrent_is_removed),
		T(the_torrent_is_removed_slowly),
		T(of_a_torrent_that_is_not_ready),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
