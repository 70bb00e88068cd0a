/* test_hashplan — which hashes are asked of whom: the policy by itself. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/bits.h"
#include "core/mem.h"
#include "core/rng.h"
#include "net/hashplan.h"
#include "net/net_limits.h"

enum { PEERS = 4, PIECES = 64 };

/* ---- fixture ---- */

struct world {
	struct hashplan *plan;
	struct hashplan_peer peers[PEERS];
	struct bits have[PEERS];
	uint32_t owes; /* the peer that owes a block; 0: nobody */
	uint64_t now_us;
};

static bool owes(void *arg, uint32_t id, const struct hashplan_want *want)
{
	const struct world *w = arg;

	(void)want;
	return id == w->owes;
}

/* Four peers who have everything, the nearer the lower their number. */
static void begin(struct world *w)
{
	struct hashplan_cfg cfg = {.owes = owes, .arg = w};

	*w = (struct world){.now_us = 1000};
	assert_int_equal(hashplan_new(&cfg, &w->plan), 0);
	for (uint32_t i = 0; i < PEERS; i++) {
		assert_int_equal(bits_init(&w->have[i], PIECES), 0);
		bits_set_all(&w->have[i]);
		w->peers[i] = (struct hashplan_peer){
			.id = i + 1,
			.have = &w->have[i],
			.delay_us = 1000 * (i + 1),
			.patience_us = 100000,
		};
	}
}

static void end(struct world *w)
{
	hashplan_check(w->plan);
	hashplan_free(w->plan);
	for (uint32_t i = 0; i < PEERS; i++)
		bits_fini(&w->have[i]);
}

/* ---- helpers ---- */

static struct hashplan_want span_of_piece(uint32_t piece_ix, bool is_leaves)
{
	return (struct hashplan_want){
		.span = {.base = is_leaves ? 0 : 3,
			 .index = piece_ix * 2,
			 .length = 2},
		.root = {7},
		.piece_ix = piece_ix,
		.is_leaves = is_leaves,
	};
}

static int want(struct world *w, uint32_t piece_ix, bool is_leaves)
{
	struct hashplan_want what = span_of_piece(piece_ix, is_leaves);

	return hashplan_want(w->plan, &what);
}

/* The id that is asked next, and for which piece; 0: nobody. */
static uint32_t next(struct world *w, uint32_t *piece_ix)
{
	struct hashplan_want what;
	unsigned at;

	if (!hashplan_next(w->plan, w->peers, PEERS, w->now_us, &what, &at))
		return 0;
	hashplan_check(w->plan);
	*piece_ix = what.piece_ix;
	return w->peers[at].id;
}

static bool answered(struct world *w, uint32_t id, uint32_t piece_ix,
		     bool is_leaves)
{
	struct hashplan_want asked = span_of_piece(piece_ix, is_leaves), was;

	return hashplan_answered(w->plan, id, asked.root, &asked.span, &was);
}

static void refuse(struct world *w, uint32_t id, uint32_t piece_ix)
{
	struct hashplan_want what = span_of_piece(piece_ix, true);

	assert_true(answered(w, id, piece_ix, true));
	hashplan_refused(w->plan, id, &what, w->now_us);
}

static bool hopeless(struct world *w, uint32_t *piece_ix)
{
	struct hashplan_want what;

	if (!hashplan_hopeless(w->plan, w->now_us, &what))
		return false;
	*piece_ix = what.piece_ix;
	return true;
}

static bool yes(void *arg, const struct hashplan_want *want)
{
	(void)arg;
	(void)want;
	return true;
}

/* ---- tests ---- */

/* Leaves go before piece hashes, each want is asked once, and of the nearest
 * who has the piece. */
static void asks_the_nearest_who_has_it(void **state)
{
	struct world w;
	uint32_t ix;

	(void)state;
	begin(&w);
	assert_int_equal(want(&w, 3, false), 0);
	assert_int_equal(want(&w, 5, true), 0);
	assert_int_equal(want(&w, 5, true), 0);
	bits_clear(&w.have[0], 5);
	assert_int_equal(next(&w, &ix), 2);
	assert_int_equal(ix, 5);
	assert_int_equal(next(&w, &ix), 1);
	assert_int_equal(ix, 3);
	assert_int_equal(next(&w, &ix), 0);
	assert_true(answered(&w, 2, 5, true));
	assert_false(answered(&w, 2, 5, true));
	assert_false(answered(&w, 1, 5, true));
	hashplan_known(w.plan, yes, NULL);
	assert_true(hashplan_is_idle(w.plan));
	end(&w);
}

/* Who owes a block of it goes first, who is slow last, and equals by turns. */
static void prefers_who_must_not_reject(void **state)
{
	struct world w;
	uint32_t ix;

	(void)state;
	begin(&w);
	w.owes = 3;
	assert_int_equal(want(&w, 1, true), 0);
	assert_int_equal(next(&w, &ix), 3);
	w.peers[2].is_slow = true;
	assert_int_equal(want(&w, 2, true), 0);
	assert_int_equal(next(&w, &ix), 1);
	w.peers[0].delay_us = 0; /* nobody knows */
	assert_int_equal(want(&w, 3, true), 0);
	assert_int_equal(next(&w, &ix), 2);
	assert_int_equal(want(&w, 4, true), 0);
	assert_int_equal(next(&w, &ix), 4);
	end(&w);
}

/* A reject, silence and an end each send it to the next; then nobody is left,
 * and that is said once. */
static void goes_on_to_the_next(void **state)
{
	struct world w;
	uint32_t ix;

	(void)state;
	begin(&w);
	assert_int_equal(want(&w, 9, true), 0);
	assert_int_equal(next(&w, &ix), 1);
	refuse(&w, 1, 9);
	assert_int_equal(next(&w, &ix), 2);
	assert_int_equal(hashplan_wake_us(w.plan), w.now_us + 100000);
	w.now_us += 99999;
	hashplan_on_time(w.plan, w.now_us);
	assert_int_equal(next(&w, &ix), 0);
	w.now_us++;
	hashplan_on_time(w.plan, w.now_us);
	assert_int_equal(next(&w, &ix), 3);
	hashplan_on_gone(w.plan, 3);
	w.peers[2].have = NULL;
	assert_int_equal(next(&w, &ix), 4);
	assert_false(hopeless(&w, &ix));
	refuse(&w, 4, 9);
	assert_int_equal(next(&w, &ix), 0);
	assert_true(hopeless(&w, &ix));
	assert_int_equal(ix, 9);
	assert_false(hopeless(&w, &ix));
	assert_int_equal(want(&w, 9, true), ENOENT);
	/* The late one answers after all: it was asked. */
	assert_true(answered(&w, 2, 9, true));
	w.now_us += 100000;
	assert_int_equal(next(&w, &ix), 2);
	assert_int_equal(want(&w, 9, true), 0);
	refuse(&w, 2, 9);
	assert_true(hopeless(&w, &ix));
	w.now_us += HASHGET_REST_MS * UINT64_C(1000);
	hashplan_on_time(w.plan, w.now_us);
	assert_true(hashplan_is_idle(w.plan));
	assert_int_equal(hashplan_wake_us(w.plan), UINT64_MAX);
	/* And then it is asked around anew. */
	assert_int_equal(want(&w, 9, true), 0);
	assert_int_equal(next(&w, &ix), 1);
	end(&w);
}

/* Somebody who comes while a want is hopeless is asked soon. */
static void a_newcomer_is_asked(void **state)
{
	struct world w;
	uint32_t ix;

	(void)state;
	begin(&w);
	for (unsigned i = 0; i < PEERS; i++)
		w.peers[i].have = NULL;
	assert_int_equal(want(&w, 9, true), 0);
	assert_int_equal(next(&w, &ix), 0);
	assert_true(hopeless(&w, &ix));
	w.peers[1].have = &w.have[1];
	w.now_us += 100000;
	assert_int_equal(next(&w, &ix), 2);
	end(&w);
}

/* Neither one peer nor all together have more out than they may; one that
 * never answers is asked no more. */
static void bounds_what_is_out(void **state)
{
	struct world w;
	unsigned n = 0;
	uint32_t ix;

	(void)state;
	begin(&w);
	for (unsigned i = 1; i < PEERS; i++)
		w.peers[i].have = NULL;
	for (uint32_t i = 0; i < PIECES; i++)
		assert_int_equal(want(&w, i, true), 0);
	while (next(&w, &ix) == 1)
		n++;
	assert_int_equal(n, HASHGET_PEER_MAX);
	w.now_us += 100000;
	hashplan_on_time(w.plan, w.now_us);
	assert_int_equal(next(&w, &ix), 0);
	for (unsigned i = 1; i < PEERS; i++)
		w.peers[i].have = &w.have[i];
	for (n = 0; next(&w, &ix) != 0; n++)
		;
	assert_int_equal(n, PIECES);
	end(&w);

	begin(&w);
	for (uint32_t i = 0; i < HASHGET_JOBS_MAX; i++) {
		struct hashplan_want what = span_of_piece(i, true);

		what.piece_ix %= PIECES;
		assert_int_equal(hashplan_want(w.plan, &what), 0);
	}
	assert_int_equal(want(&w, HASHGET_JOBS_MAX, true), EAGAIN);
	for (n = 0; next(&w, &ix) != 0; n++)
		;
	assert_int_equal(n, HASHGET_OUT_MAX < PEERS * HASHGET_PEER_MAX
				    ? HASHGET_OUT_MAX
				    : PEERS * HASHGET_PEER_MAX);
	assert_false(hopeless(&w, &ix));
	end(&w);
}

/* Anything in any order: the invariants hold, and what was asked is answered
 * once. */
static void any_order(void **state)
{
	struct rng rng;
	struct world w;
	uint32_t ix;

	(void)state;
	rng_seed(&rng, 52);
	begin(&w);
	for (unsigned i = 0; i < 20000; i++) {
		uint32_t piece = (uint32_t)rng_below(&rng, PIECES);
		uint32_t id = 1 + (uint32_t)rng_below(&rng, PEERS);

		switch (rng_below(&rng, 8)) {
		case 0:
		case 1:
			(void)want(&w, piece, rng_below(&rng, 2) == 0);
			break;
		case 2:
		case 3:
			(void)next(&w, &ix);
			break;
		case 4:
			if (answered(&w, id, piece, true))
				assert_false(answered(&w, id, piece, true));
			break;
		case 5:
			if (answered(&w, id, piece, true)) {
				struct hashplan_want what =
					span_of_piece(piece, true);

				hashplan_refused(w.plan, id, &what, w.now_us);
			}
			break;
		case 6:
			w.now_us += rng_below(&rng, 1000000);
			hashplan_on_time(w.plan, w.now_us);
			break;
		case 7:
			if (rng_below(&rng, 4) == 0)
				hashplan_on_gone(w.plan, id);
			(void)hopeless(&w, &ix);
			break;
		}
		hashplan_check(w.plan);
	}
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asks_the_nearest_who_has_it),
		cmocka_unit_test(prefers_who_must_not_reject),
		cmocka_unit_test(goes_on_to_the_next),
		cmocka_unit_test(a_newcomer_is_asked),
		cmocka_unit_test(bounds_what_is_out),
		cmocka_unit_test(any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
