/* Shares: whoever waits gets his part of what there is, by weight, whatever
 * the turns are like. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/rng.h"
#include "net/shares.h"

/* ---- Fixture ---- */

enum { GROUPS = 3, EACH = 4, TURN = 16384 };

struct leaf {
	struct share share;
	uint64_t got;
};

struct tree {
	struct share root, group[GROUPS];
	struct leaf leaf[GROUPS][EACH];
};

static struct tree t;

static void plant(void)
{
	shares_init(&t.root, NULL);
	for (int g = 0; g < GROUPS; g++) {
		shares_init(&t.group[g], &t.root);
		for (int i = 0; i < EACH; i++) {
			shares_init(&t.leaf[g][i].share, &t.group[g]);
			t.leaf[g][i].got = 0;
		}
	}
}

/* ---- Helpers ---- */

static struct leaf *next(void)
{
	struct share *s = shares_next(&t.root);

	shares_check(&t.root);
	return s ? (struct leaf *)((char *)s - offsetof(struct leaf, share))
		 : NULL;
}

/* `n` turns; everybody goes on waiting. */
static void serve(unsigned n, int64_t turn)
{
	while (n-- > 0) {
		struct leaf *l = next();

		l->got += (uint64_t)turn;
		shares_charge(&l->share, turn);
	}
}

static uint64_t group_got(int g)
{
	uint64_t sum = 0;

	for (int i = 0; i < EACH; i++)
		sum += t.leaf[g][i].got;
	return sum;
}

static void assert_near(uint64_t is, uint64_t should, uint64_t by)
{
	assert_in_range(is, should > by ? should - by : 0, should + by);
}

/* ---- Tests ---- */

/* Without anybody who waits it is nobody's turn; who left is not served. */
static void nobody_waits(void **state)
{
	(void)state;
	plant();
	assert_null(next());
	shares_wait(&t.leaf[1][0].share, SHARES_FIRST, 0);
	shares_wait(&t.leaf[1][0].share, SHARES_FIRST, 0);
	assert_ptr_equal(next(), &t.leaf[1][0]);
	assert_true(t.group[1].is_waiting);
	shares_leave(&t.leaf[1][0].share);
	shares_leave(&t.leaf[1][0].share);
	assert_false(t.group[1].is_waiting);
	assert_null(next());
}

/* Groups share evenly first, however many wait in each. */
static void groups_first(void **state)
{
	(void)state;
	plant();
	shares_wait(&t.leaf[0][0].share, SHARES_FIRST, 0);
	for (int i = 0; i < EACH; i++)
		shares_wait(&t.leaf[1][i].share, SHARES_FIRST, 0);
	serve(1000, TURN);
	assert_near(group_got(0), 500 * TURN, TURN);
	for (int i = 0; i < EACH; i++)
		assert_near(t.leaf[1][i].got, 125 * TURN, TURN);
}

/* Weights of any proportion are kept, and from the start: after any number of
 * turns nobody is further from his part than a turn of each. */
static void weights_are_kept(void **state)
{
	static const uint32_t weight[EACH] = {1, 1000, 333, 65536};
	uint64_t sum = 0, got = 0;

	(void)state;
	plant();
	for (int i = 0; i < EACH; i++) {
		t.leaf[0][i].share.weight = weight[i];
		sum += weight[i];
		shares_wait(&t.leaf[0][i].share, SHARES_FIRST, 0);
	}
	for (unsigned n = 0; n < 40000; n++) {
		serve(1, TURN);
		got += TURN;
		for (int i = 0; i < EACH; i++)
			assert_near(t.leaf[0][i].got, got * weight[i] / sum,
				    EACH * TURN);
	}
}

/* The size of turns does not matter: who takes little at a time is served the
 * more often. What was given back was not taken. */
static void turns_of_any_size(void **state)
{
	struct rng rng;

	(void)state;
	plant();
	rng_seed(&rng, 4711);
	for (int i = 0; i < EACH; i++)
		shares_wait(&t.leaf[2][i].share, SHARES_FIRST, 0);
	for (unsigned n = 0; n < 20000; n++) {
		struct leaf *l = next();
		int64_t turn = l == &t.leaf[2][0]
				       ? 100
				       : 1 + (int64_t)rng_below(&rng, 131072);

		shares_charge(&l->share, 131072);
		shares_charge(&l->share, turn - 131072);
		l->got += (uint64_t)turn;
	}
	for (int i = 1; i < EACH; i++)
		assert_near(t.leaf[2][i].got, t.leaf[2][0].got, 2 * 131072);
}

/* A pause is not saved up, neither the first nor a later one; nor does coming
 * and going all the time bring more than waiting does. */
static void pauses_do_not_count(void **state)
{
	struct leaf *a = &t.leaf[0][0], *b = &t.leaf[0][1];

	(void)state;
	plant();
	shares_wait(&a->share, SHARES_FIRST, 0);
	serve(1000, TURN);
	shares_wait(&b->share, SHARES_FIRST, 0);
	serve(100, TURN);
	assert_near(b->got, 50 * TURN, TURN);
	shares_leave(&b->share);
	serve(1000, TURN);
	shares_wait(&b->share, SHARES_FIRST, 0);
	a->got = b->got = 0;
	for (int i = 0; i < 1000; i++) {
		serve(1, TURN);
		shares_leave(&a->share);
		shares_wait(&a->share, SHARES_FIRST, 0);
	}
	assert_near(a->got, b->got, 2 * TURN);
}

/* Nor while nobody waits: who comes back late begins where the one is who was
 * served alone. */
static void pauses_of_all(void **state)
{
	struct leaf *a = &t.leaf[0][0], *b = &t.leaf[1][1];

	(void)state;
	plant();
	for (int i = 0; i < 1000; i++) {
		shares_wait(&a->share, SHARES_FIRST, 0);
		serve(1, TURN);
		shares_leave(&a->share);
	}
	a->got = 0;
	shares_wait(&b->share, SHARES_FIRST, 0);
	shares_wait(&a->share, SHARES_FIRST, 0);
	serve(100, TURN);
	assert_near(b->got, 50 * TURN, TURN);
}

/* Who is in a hurry is next until he has run ahead by his lead; in the end he
 * gets no more than the others. */
static void a_lead_is_bounded(void **state)
{
	struct leaf *calm = &t.leaf[0][0], *urgent = &t.leaf[0][1];

	(void)state;
	plant();
	shares_wait(&calm->share, SHARES_FIRST, 0);
	serve(10, TURN);
	calm->got = 0;
	shares_wait(&urgent->share, SHARES_FIRST, 64 * TURN);
	serve(64, TURN);
	assert_true(urgent->got >= 63 * TURN);
	serve(2000, TURN);
	assert_near(urgent->got, calm->got + 64 * TURN, 2 * TURN);
	shares_wait(&urgent->share, SHARES_FIRST, 0);
	serve(200, TURN);
	assert_near(urgent->got, calm->got, 2 * TURN);
}

/* Who is last gets what the others leave, and owes them nothing for it, nor
 * they him: ranks have clocks of their own. */
static void ranks(void **state)
{
	struct leaf *reader = &t.leaf[0][0], *other = &t.leaf[0][1];
	struct leaf *last = &t.leaf[0][2], *too = &t.leaf[0][3];

	(void)state;
	plant();
	shares_wait(&last->share, SHARES_LAST, 0);
	shares_wait(&too->share, SHARES_LAST, 0);
	serve(1000, TURN);
	assert_near(last->got, too->got, TURN);
	shares_wait(&reader->share, SHARES_FIRST, 0);
	serve(3000, TURN);
	assert_int_equal(reader->got, 3000 * TURN);
	/* Of those who were last, one begins to hurry; and one comes anew. */
	last->got = reader->got = 0;
	shares_wait(&last->share, SHARES_FIRST, 0);
	shares_wait(&other->share, SHARES_FIRST, 0);
	serve(300, TURN);
	assert_near(reader->got, 100 * TURN, TURN);
	assert_near(last->got, 100 * TURN, TURN);
	assert_near(other->got, 100 * TURN, TURN);
	shares_leave(&reader->share);
	shares_leave(&other->share);
	last->got = too->got = 0;
	shares_wait(&last->share, SHARES_LAST, 0);
	serve(100, TURN);
	assert_near(last->got, too->got, TURN);
}

/* To and fro between the ranks brings nobody more than his share. */
static void ranks_are_no_trick(void **state)
{
	struct leaf *steady = &t.leaf[0][0], *both = &t.leaf[0][1];
	uint64_t before = 0, first = 0;

	(void)state;
	plant();
	shares_wait(&steady->share, SHARES_FIRST, 0);
	for (int i = 0; i < 2000; i++) {
		shares_wait(&both->share, SHARES_FIRST, 0);
		serve(1, TURN);
		first += both->got - before;
		shares_leave(&both->share);
		shares_wait(&both->share, SHARES_LAST, 0);
		before = both->got;
	}
	assert_near(first, steady->got, 2 * TURN);
}

/* Many who come and go at random: what those who always wait get is even. */
static void random_company(void **state)
{
	struct rng rng;

	(void)state;
	plant();
	rng_seed(&rng, 42);
	shares_wait(&t.leaf[0][0].share, SHARES_FIRST, 0);
	shares_wait(&t.leaf[1][0].share, SHARES_FIRST, 0);
	for (int n = 0; n < 100000; n++) {
		struct leaf *l = &t.leaf[rng_below(&rng, GROUPS)]
					[1 + rng_below(&rng, EACH - 1)];

		if (l->share.is_waiting)
			shares_leave(&l->share);
		else
			shares_wait(&l->share, SHARES_FIRST, 0);
		serve(1, 1 + (int64_t)rng_below(&rng, 2 * TURN));
	}
	/* Others of their groups have taken as it fell out; the groups not. */
	assert_near(group_got(0), group_got(1), 4 * TURN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_waits),
		cmocka_unit_test(groups_first),
		cmocka_unit_test(weights_are_kept),
		cmocka_unit_test(turns_of_any_size),
		cmocka_unit_test(pauses_do_not_count),
		cmocka_unit_test(pauses_of_all),
		cmocka_unit_test(a_lead_is_bounded),
		cmocka_unit_test(ranks),
		cmocka_unit_test(ranks_are_no_trick),
		cmocka_unit_test(random_company),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
