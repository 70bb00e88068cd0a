/* The order of rarity's wanted pieces, against a plain count, and its cost for
 * many of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/bits.h"
#include "core/rng.h"
#include "net/rarity.h"

enum { N = 40, PEERS = 6 };

/* ---- Fixture ---- */

struct fixture {
	struct rarity *r;
	struct bits have[PEERS];
	bool is_here[PEERS];
	struct rng rng;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_int_equal(rarity_new(N, 7, &f->r), 0);
	for (unsigned i = 0; i < PEERS; i++)
		assert_int_equal(bits_init(&f->have[i], N), 0);
	rng_seed(&f->rng, 1);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	rarity_free(f->r);
	for (unsigned i = 0; i < PEERS; i++)
		bits_fini(&f->have[i]);
	free(f);
	return 0;
}

/* ---- Helpers ---- */

static unsigned count(const struct fixture *f, uint32_t ix)
{
	unsigned n = 0;

	for (unsigned i = 0; i < PEERS; i++)
		n += f->is_here[i] && bits_has(&f->have[i], ix);
	return n;
}

static void one_change(struct fixture *f)
{
	unsigned i = (unsigned)rng_below(&f->rng, PEERS);
	uint32_t ix = (uint32_t)rng_below(&f->rng, N);

	switch (rng_below(&f->rng, 5)) {
	case 0:
		rarity_want(f->r, ix);
		break;
	case 1:
		rarity_unwant(f->r, ix);
		break;
	case 2:
		if (f->is_here[i])
			rarity_del_set(f->r, &f->have[i]);
		else
			rarity_add_set(f->r, &f->have[i]);
		f->is_here[i] = !f->is_here[i];
		break;
	case 3:
		if (!bits_has(&f->have[i], ix)) {
			bits_set(&f->have[i], ix);
			if (f->is_here[i])
				rarity_on_have(f->r, ix);
		}
		break;
	default:
		if (bits_has(&f->have[i], ix)) {
			bits_clear(&f->have[i], ix);
			if (f->is_here[i])
				rarity_on_lost(f->r, ix);
		}
		break;
	}
}

/* ---- Tests ---- */

/* Whatever peers and wishes do, the order is that of the counts. */
static void the_order_is_that_of_the_counts(void **state)
{
	struct fixture *f = *state;

	for (unsigned turn = 0; turn < 20000; turn++) {
		one_change(f);
		rarity_check(f->r);
		for (uint32_t at = 1; at < rarity_count(f->r); at++)
			assert_true(count(f, rarity_at(f->r, at - 1)) <=
				    count(f, rarity_at(f->r, at)));
	}
}

/* Among equals the index says nothing: another seed, another order; and every
 * piece comes first some time. */
static void ties_are_broken_at_random(void **state)
{
	bool was_first[N] = {false};

	(void)state;
	for (uint64_t seed = 0; seed < 50 * N; seed++) {
		struct rarity *r;

		assert_int_equal(rarity_new(N, seed, &r), 0);
		for (uint32_t ix = 0; ix < N; ix++)
			rarity_want(r, ix);
		was_first[rarity_at(r, 0)] = true;
		rarity_free(r);
	}
	for (uint32_t ix = 0; ix < N; ix++)
		assert_true(was_first[ix]);
}

/* rarity_any finds a wanted piece that the peer has and may give, if there is
 * one. */
static void any_finds_what_there_is(void **state)
{
	struct fixture *f = *state;

	rarity_want(f->r, 13);
	rarity_want(f->r, 39);
	assert_int_equal(rarity_any(f->r, &f->have[0], NULL), UINT32_MAX);
	bits_set(&f->have[0], 12);
	bits_set(&f->have[0], 39);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(rarity_any(f->r, &f->have[0], NULL), 39);
	bits_set(&f->have[1], 13);
	assert_int_equal(rarity_any(f->r, &f->have[0], &f->have[1]),
			 UINT32_MAX);
	bits_set(&f->have[0], 13);
	assert_int_equal(rarity_any(f->r, &f->have[0], &f->have[1]), 13);
}

/* More peers than there are levels have a piece: it is common, no more. */
static void very_common_pieces_are_one_level(void **state)
{
	struct fixture *f = *state;

	for (uint32_t ix = 0; ix < N; ix++)
		rarity_want(f->r, ix);
	for (unsigned i = 0; i < 300; i++)
		rarity_on_have(f->r, 3);
	rarity_check(f->r);
	assert_int_equal(rarity_at(f->r, N - 1), 3);
	for (unsigned i = 0; i < 300; i++)
		rarity_on_lost(f->r, 3);
	rarity_check(f->r);
	rarity_unwant(f->r, 3);
	rarity_check(f->r);
}

/* A hundred thousand pieces, peers that have halves of them, each wanted, had
 * and done: no step walks all of them. (It would take minutes.) */
static void many_pieces_are_cheap(void **state)
{
	enum { MANY = 100000 };
	struct bits half;
	struct rarity *r;

	(void)state;
	assert_int_equal(rarity_new(MANY, 1, &r), 0);
	assert_int_equal(bits_init(&half, MANY), 0);
	for (uint32_t ix = 0; ix < MANY; ix += 2)
		bits_set(&half, ix);
	for (unsigned i = 0; i < 20; i++)
		rarity_add_set(r, &half);
	for (uint32_t ix = 0; ix < MANY; ix++)
		rarity_want(r, ix);
	for (uint32_t ix = 0; ix < MANY; ix++)
		rarity_on_have(r, ix);
	rarity_check(r);
	assert_int_equal(rarity_at(r, 0) % 2, 1);
	while (rarity_count(r) > 0)
		rarity_unwant(r, rarity_at(r, 0));
	rarity_check(r);
	bits_fini(&half);
	rarity_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_order_is_that_of_the_counts,
						setup, teardown),
		cmocka_unit_test(ties_are_broken_at_random),
		cmocka_unit_test_setup_teardown(any_finds_what_there_is, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			very_common_pieces_are_one_level, setup, teardown),
		cmocka_unit_test(many_pieces_are_cheap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
