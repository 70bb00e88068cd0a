/* When a piece that another torrent is fetching will be there, in virtual time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/coming.h"

enum { MS = 1000, S = 1000000, T0 = 100 * S };

/* A piece at work: a block came just now, another is out, 1 MB/s. */
static struct coming_facts at_work(void)
{
	return (struct coming_facts){
		.now_us = T0,
		.came_us = T0,
		.left_bytes = 500000,
		.rate_Bps = 1000000,
		.is_promised = true,
		.is_owed = true,
		.can_ask = true,
	};
}

/* Would a read wait for it, so long after the last block? */
static bool waits(struct coming_facts f, uint64_t after_us)
{
	f.now_us = f.came_us + after_us;
	return coming_is_worth(coming_us(&f), true, f.now_us);
}

/* As long as it is at work, its rate says when it is there. */
static void the_rate_says_when(void **state)
{
	struct coming_facts f = at_work();

	(void)state;
	assert_int_equal(coming_us(&f), T0 + S / 2);
	f.rate_Bps = 0;
	assert_int_equal(coming_us(&f), T0);
	f.is_whole = true;
	f.came_us = T0 - MS;
	assert_int_equal(coming_us(&f), T0 - MS);
}

/* Peers that choke it, and are all it has: nobody waits a moment longer. */
static void choked_ends_the_wait(void **state)
{
	struct coming_facts f = at_work();

	(void)state;
	assert_true(waits(f, MS));
	f.is_owed = false;
	f.can_ask = false;
	assert_false(waits(f, 0));
	assert_false(waits(f, MS));
}

/* Nothing is out, but a block has just come from one who can be asked: the next
 * pass asks for more. If it does not, the wait ends. */
static void a_pass_may_be_due(void **state)
{
	struct coming_facts f = at_work();

	(void)state;
	f.is_owed = false;
	assert_true(waits(f, MS));
	assert_false(waits(f, 50 * MS));
}

/* What came is being judged: its hashes come from somebody who can be asked. */
static void hashes_may_be_due(void **state)
{
	struct coming_facts f = at_work();

	(void)state;
	f.is_owed = false;
	f.is_judged = true;
	assert_true(waits(f, 500 * MS));
	f.can_ask = false;
	assert_false(waits(f, MS));
}

/* Silence ends it, whoever owes what. */
static void silence_ends_the_wait(void **state)
{
	struct coming_facts f = at_work();

	(void)state;
	f.can_ask = false;
	assert_true(waits(f, S));
	assert_false(waits(f, S + 1));
}

/* What is there in part, and of which the rest is wanted by nobody, or asked of
 * nobody, does not come. */
static void a_promise_is_needed(void **state)
{
	struct coming_facts f = at_work();

	(void)state;
	f.is_promised = false;
	assert_int_equal(coming_us(&f), UINT64_MAX);
	f.left_bytes = 0;
	assert_int_equal(coming_us(&f), UINT64_MAX);
}

/* A read waits for less than who is ahead of one; and nobody for what was whole
 * long ago: the store has no room. */
static void patience_has_an_end(void **state)
{
	(void)state;
	assert_true(coming_is_worth(T0 + 2 * S, true, T0));
	assert_false(coming_is_worth(T0 + 2 * S + 1, true, T0));
	assert_true(coming_is_worth(T0 + 5 * S, false, T0));
	assert_false(coming_is_worth(T0 + 5 * S + 1, false, T0));
	assert_true(coming_is_worth(T0, true, T0 + 2 * S));
	assert_false(coming_is_worth(T0, true, T0 + 2 * S + 1));
	assert_false(coming_is_worth(UINT64_MAX, false, T0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rate_says_when),
		cmocka_unit_test(choked_ends_the_wait),
		cmocka_unit_test(a_pass_may_be_due),
		cmocka_unit_test(hashes_may_be_due),
		cmocka_unit_test(silence_ends_the_wait),
		cmocka_unit_test(a_promise_is_needed),
		cmocka_unit_test(patience_has_an_end),
	};

	return cmocka_run_group_tests_name("coming", tests, NULL, NULL);
}
