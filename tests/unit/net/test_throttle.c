/* Throttle: turns on a real loop. What is asserted of time are bounds that no
 * slow machine can break: never more than the limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/loop.h"
#include "net/throttle.h"

/* ---- Fixture ---- */

enum { USERS = 3, TURN = 16384, RATE = 4 << 20 };

struct user {
	struct throttle_user u;
	struct room *room;
	uint64_t got;
	bool is_greedy; /* asks again as long as it gets something */
	uint32_t uses;	/* of each turn; 0: all */
};

struct room {
	struct loop *loop;
	struct throttle *th;
	struct share group;
	struct user user[USERS];
	uint64_t until; /* bytes of all; then the loop stops */
	uint64_t began_us;
};

static uint64_t total(const struct room *r)
{
	uint64_t sum = 0;

	for (int i = 0; i < USERS; i++)
		sum += r->user[i].got;
	return sum;
}

static void use(struct user *a, uint32_t bytes)
{
	uint32_t used = a->uses ? a->uses : bytes;

	throttle_settle(a->room->th, &a->u, bytes, used);
	a->got += used;
}

static void ask(struct user *a)
{
	uint32_t bytes;

	do {
		bytes = throttle_ask(a->room->th, &a->u, TURN, 4 * TURN,
				     THROTTLE_CALM);
		if (bytes > 0)
			use(a, bytes);
	} while (bytes > 0 && a->is_greedy && total(a->room) < a->room->until);
}

static void on_turn(void *arg, uint32_t bytes)
{
	struct user *a = arg;

	use(a, bytes);
	if (total(a->room) >= a->room->until)
		loop_stop(a->room->loop);
	else if (a->is_greedy)
		ask(a);
}

static int setup(void **state)
{
	static struct room r;

	r = (struct room){.until = UINT64_MAX};
	assert_int_equal(loop_new(&r.loop), 0);
	assert_int_equal(throttle_new(r.loop, &r.th), 0);
	shares_init(&r.group, throttle_root(r.th));
	for (int i = 0; i < USERS; i++) {
		r.user[i].room = &r;
		throttle_user_init(&r.user[i].u, &r.group, on_turn, &r.user[i]);
	}
	r.began_us = loop_now_us(r.loop);
	*state = &r;
	return 0;
}

static int teardown(void **state)
{
	struct room *r = *state;

	for (int i = 0; i < USERS; i++)
		throttle_leave(r->th, &r->user[i].u);
	throttle_free(r->th);
	loop_free(r->loop);
	return 0;
}

/* ---- Helpers ---- */

static void run_until(struct room *r, uint64_t bytes)
{
	r->until = bytes;
	assert_int_equal(loop_run(r->loop), 0);
}

static void assert_held(const struct room *r, uint64_t Bps)
{
	uint64_t us = loop_now_us(r->loop) - r->began_us;

	assert_in_range(total(r), 0, Bps * us / 1000000 + Bps / 8 + 4 * TURN);
}

/* ---- Tests ---- */

/* Without a limit everybody gets all he asks for, at once. */
static void no_limit(void **state)
{
	struct room *r = *state;

	for (int i = 0; i < 100; i++)
		assert_int_equal(throttle_ask(r->th, &r->user[0].u, TURN,
					      1 << 30, THROTTLE_CALM),
				 1 << 30);
	assert_int_equal(throttle_Bps(r->th), 0);
	assert_int_equal(throttle_debt(r->th), 0);
	throttle_take(r->th, 1 << 30);
	assert_int_equal(throttle_debt(r->th), 0);
}

/* Those who always want more share by weight, and together get the limit and
 * not more. */
static void weights_share_the_limit(void **state)
{
	struct room *r = *state;

	r->user[2].u.share.weight = 2;
	throttle_set(r->th, RATE);
	for (int i = 0; i < USERS; i++) {
		r->user[i].is_greedy = true;
		ask(&r->user[i]);
	}
	run_until(r, 1 << 20);
	assert_held(r, RATE);
	for (int i = 0; i < 2; i++)
		assert_in_range(r->user[i].got, (1 << 18) - 5 * TURN,
				(1 << 18) + 5 * TURN);
	assert_in_range(r->user[2].got, (1 << 19) - 9 * TURN,
			(1 << 19) + 9 * TURN);
}

/* Who uses a little of his turn gives the rest back, and loses nothing by it:
 * in the end he has as much as those who use all. */
static void what_is_left_goes_on(void **state)
{
	struct room *r = *state;

	throttle_set(r->th, RATE);
	r->user[0].uses = 1000;
	for (int i = 0; i < 2; i++) {
		r->user[i].is_greedy = true;
		ask(&r->user[i]);
	}
	run_until(r, 1 << 19);
	assert_held(r, RATE);
	assert_in_range(r->user[0].got, (1 << 18) - 5 * TURN,
			(1 << 18) + 5 * TURN);
}

/* Who left is given no turn; nor does the loop wake for nobody. */
static void who_left_has_no_turn(void **state)
{
	struct room *r = *state;

	throttle_set(r->th, RATE);
	throttle_take(r->th, 4 * TURN);
	ask(&r->user[0]);
	ask(&r->user[1]);
	throttle_leave(r->th, &r->user[0].u);
	run_until(r, TURN);
	assert_int_equal(r->user[0].got, 0);
	assert_true(r->user[1].got >= TURN);
}

/* A limit that ends lets everybody go who waits for a turn that was far. */
static void a_limit_ends(void **state)
{
	struct room *r = *state;

	throttle_set(r->th, 1000);
	throttle_take(r->th, 1 << 30);
	assert_int_equal(throttle_debt(r->th), 1 << 30);
	assert_true(throttle_until_us(r->th, 1 << 29) > 1000000);
	for (int i = 0; i < USERS; i++)
		ask(&r->user[i]);
	assert_int_equal(total(r), 0);
	throttle_set(r->th, 0);
	run_until(r, USERS * TURN);
	for (int i = 0; i < USERS; i++)
		assert_true(r->user[i].got > 0);
}

/* A turn is as large as was asked for at least, whatever the limit; others
 * wait the longer. Who is in a hurry is next. */
static void large_turns_and_hurry(void **state)
{
	struct room *r = *state;

	throttle_set(r->th, RATE);
	throttle_take(r->th, TURN);
	assert_int_equal(
		throttle_ask(r->th, &r->user[0].u, TURN, TURN, THROTTLE_CALM),
		0);
	assert_int_equal(throttle_ask(r->th, &r->user[1].u, 20 * TURN,
				      20 * TURN, THROTTLE_HURRY),
			 0);
	run_until(r, 20 * TURN);
	assert_int_equal(r->user[1].got, 20 * TURN);
	assert_int_equal(r->user[0].got, 0);
	run_until(r, 21 * TURN);
	assert_held(r, RATE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(no_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(weights_share_the_limit, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_is_left_goes_on, setup,
						teardown),
		cmocka_unit_test_setup_teardown(who_left_has_no_turn, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_limit_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(large_turns_and_hurry, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
