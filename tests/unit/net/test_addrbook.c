/* Unit tests of net/addrbook: who is dialled when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/err.h"
#include "net/addrbook.h"
#include "net/net_limits.h"

/* ---- Fixture ---- */

static int setup(void **state)
{
	return addrbook_new((struct addrbook **)state);
}

static int teardown(void **state)
{
	addrbook_free(*state);
	return 0;
}

/* ---- Helpers ---- */

static struct addr nth(unsigned i)
{
	char text[ADDR_TEXT_BYTES];
	struct addr a;

	(void)snprintf(text, sizeof(text), "10.1.%u.%u:6881", i / 250,
		       i % 250 + 1);
	assert_int_equal(addr_parse(&a, text), 0);
	return a;
}

/* `from` says that we are `self`. */
static void tell(struct addrbook *b, const char *self, const char *from)
{
	struct addr us, him;

	assert_int_equal(addr_parse(&us, self), 0);
	assert_int_equal(addr_parse(&him, from), 0);
	addrbook_on_self(b, &us, &him);
}

static int add(struct addrbook *b, unsigned i, enum addrbook_from from,
	       uint64_t now_us)
{
	struct addr a = nth(i);

	return addrbook_add(b, &a, from, now_us, NULL);
}

/* Fail the one entry again and again; the wait after the n-th failure. */
static uint64_t fail_times(struct addrbook *b, unsigned n, uint64_t *now_us)
{
	uint64_t wait_us = 0;

	while (n-- > 0) {
		struct cand *c = addrbook_take(b, *now_us);

		assert_non_null(c);
		addrbook_on_end(b, c, ADDRBOOK_FAILED, *now_us);
		if (addrbook_next_us(b) == UINT64_MAX)
			return 0;
		wait_us = addrbook_next_us(b) - *now_us;
		*now_us += wait_us;
	}
	return wait_us;
}

/* ---- Tests ---- */

/* A new address is due at once, known once, and in use until it ends. */
static void new_addresses_are_due_at_once(void **state)
{
	struct addrbook *b = *state;
	struct addr a = nth(0);
	struct cand *c;

	assert_null(addrbook_take(b, 100));
	assert_int_equal(add(b, 0, ADDRBOOK_TOLD, 100), 0);
	assert_int_equal(add(b, 0, ADDRBOOK_TOLD, 100), EEXIST);
	assert_null(addrbook_take(b, 99));
	c = addrbook_take(b, 100);
	assert_non_null(c);
	assert_true(addr_eq(addrbook_addr(c), &a));
	assert_null(addrbook_take(b, UINT64_MAX));
	assert_false(addrbook_use(b, c));
	addrbook_on_end(b, c, ADDRBOOK_WORKED, 200);
	assert_int_equal(addrbook_next_us(b),
			 200 + SWARM_REDIAL_MS * UINT64_C(1000));
}

/* Each failure doubles the wait; after so many the address is forgotten. */
static void failures_back_off_and_are_forgotten(void **state)
{
	struct addrbook *b = *state;
	uint64_t now_us = 1;

	assert_int_equal(add(b, 0, ADDRBOOK_TOLD, now_us), 0);
	assert_int_equal(fail_times(b, 1, &now_us), SWARM_REDIAL_MS * 1000);
	assert_int_equal(fail_times(b, 2, &now_us), 4 * SWARM_REDIAL_MS * 1000);
	assert_int_equal(fail_times(b, SWARM_CANDIDATE_TRIES - 3, &now_us), 0);
	assert_int_equal(addrbook_count(b), 0);
}

/* What a person named is never given up and never waits long. */
static void named_addresses_are_never_given_up(void **state)
{
	struct addrbook *b = *state;
	uint64_t now_us = 1;

	assert_int_equal(add(b, 0, ADDRBOOK_NAMED, now_us), 0);
	assert_int_equal(fail_times(b, 100, &now_us),
			 SWARM_NAMED_MAX_MS * UINT64_C(1000));
	assert_int_equal(addrbook_count(b), 1);
}

/* One that is barred stays known, so that it is not learnt again. */
static void barred_addresses_do_not_come_back(void **state)
{
	struct addrbook *b = *state;

	assert_int_equal(add(b, 0, ADDRBOOK_NAMED, 1), 0);
	addrbook_on_end(b, addrbook_take(b, 1), ADDRBOOK_NEVER, 1);
	assert_int_equal(add(b, 0, ADDRBOOK_TOLD, 2), EEXIST);
	assert_null(addrbook_take(b, UINT64_MAX));
}

/* A peer that was left because nothing was needed is due when something is. */
static void idle_addresses_can_be_hurried(void **state)
{
	struct addrbook *b = *state;

	assert_int_equal(add(b, 0, ADDRBOOK_TOLD, 1), 0);
	addrbook_on_end(b, addrbook_take(b, 1), ADDRBOOK_IDLE, 1);
	assert_null(addrbook_take(b, 1000));
	addrbook_hurry(b, 1000);
	assert_non_null(addrbook_take(b, 1000));
}

/* A full book refuses newcomers, unless some entry has failed. */
static void a_full_book_makes_room_only_from_failures(void **state)
{
	struct addrbook *b = *state;
	unsigned i;

	for (i = 0; i < SWARM_CANDIDATES_MAX; i++)
		assert_int_equal(add(b, i, ADDRBOOK_TOLD, 1), 0);
	assert_int_equal(add(b, i, ADDRBOOK_TOLD, 1), E2BIG);
	addrbook_on_end(b, addrbook_take(b, 1), ADDRBOOK_FAILED, 1);
	assert_int_equal(add(b, i, ADDRBOOK_TOLD, 1), 0);
	assert_int_equal(addrbook_count(b), SWARM_CANDIDATES_MAX);
}

static unsigned taken(struct addrbook *b, uint64_t now_us)
{
	struct cand *c = addrbook_take(b, now_us);
	unsigned i;

	assert_non_null(c);
	for (i = 0;; i++) {
		struct addr a = nth(i);

		if (addr_eq(addrbook_addr(c), &a))
			return i;
	}
}

/* Of those that are due the named are first, then who worked, then the new,
 * then who failed. */
static void history_goes_before_novelty(void **state)
{
	const uint64_t later_us = SWARM_REDIAL_MS * UINT64_C(1000) + 1;
	struct addrbook *b = *state;

	assert_int_equal(add(b, 0, ADDRBOOK_TOLD, 1), 0);
	addrbook_on_end(b, addrbook_take(b, 1), ADDRBOOK_FAILED, 1);
	assert_int_equal(add(b, 1, ADDRBOOK_TOLD, 1), 0);
	addrbook_on_end(b, addrbook_take(b, 1), ADDRBOOK_WORKED, 1);
	assert_int_equal(add(b, 2, ADDRBOOK_TOLD, 1), 0);
	assert_int_equal(add(b, 3, ADDRBOOK_NAMED, later_us), 0);
	assert_int_equal(taken(b, later_us), 3);
	assert_int_equal(addrbook_next_us(b), 0);
	assert_int_equal(taken(b, later_us), 1);
	assert_int_equal(taken(b, later_us), 2);
	assert_int_equal(taken(b, later_us), 0);
	assert_null(addrbook_take(b, later_us));
}

/* Among equals the one comes first whom BEP 40 prefers. */
static void equals_go_by_priority(void **state)
{
	struct addrbook *b = *state;
	uint32_t last = UINT32_MAX;
	unsigned i;

	tell(b, "98.76.54.32:6881", "10.1.0.1:1");
	tell(b, "98.76.54.32:6881", "10.2.0.1:1");
	tell(b, "98.76.54.32:6881", "10.3.0.1:1");
	for (i = 0; i < 20; i++)
		assert_int_equal(add(b, 100 * i, ADDRBOOK_TOLD, 1), 0);
	for (i = 0; i < 20; i++) {
		struct cand *c = addrbook_take(b, 1);
		uint32_t now = addrbook_priority(b, addrbook_addr(c));

		assert_true(now != 0 && now <= last);
		last = now;
	}
}

/* What our address is, three networks decide, and each has one vote. */
static void our_address_is_what_three_say(void **state)
{
	struct addrbook *b = *state;
	struct addr peer = nth(0);
	uint32_t truth;

	tell(b, "98.76.54.32:6881", "10.1.0.1:1");
	tell(b, "98.76.54.32:6881", "10.1.0.2:1");
	tell(b, "98.76.54.32:6881", "10.2.0.1:1");
	tell(b, "98.76.54.32:6881", "10.2.9.1:1");
	tell(b, "98.76.54.32:6881", "[2001:db8::1]:1");
	assert_int_equal(addrbook_priority(b, &peer), 0);
	tell(b, "98.76.54.32:6881", "10.3.0.1:1");
	truth = addrbook_priority(b, &peer);
	assert_int_not_equal(truth, 0);
	for (unsigned i = 0; i < 20; i++) {
		tell(b, "1.2.3.4:6881", "10.4.0.1:1");
		tell(b, "1.2.3.4:6881", "10.5.0.1:1");
	}
	assert_int_equal(addrbook_priority(b, &peer), truth);
	tell(b, "1.2.3.4:6881", "10.1.0.1:1");
	assert_int_not_equal(addrbook_priority(b, &peer), truth);
}

/* Gossip is forgotten at a word, but not what is in use or was told by
 * somebody better as well. */
static void gossip_can_be_forgotten(void **state)
{
	struct addrbook *b = *state;
	struct cand *c;

	assert_int_equal(add(b, 0, ADDRBOOK_GOSSIP, 1), 0);
	c = addrbook_take(b, 1);
	assert_true(addrbook_is_gossip(c));
	assert_int_equal(add(b, 1, ADDRBOOK_GOSSIP, 1), 0);
	assert_int_equal(add(b, 1, ADDRBOOK_TOLD, 1), EEXIST);
	assert_int_equal(add(b, 2, ADDRBOOK_GOSSIP, 1), 0);
	assert_int_equal(add(b, 3, ADDRBOOK_GOSSIP, 5), 0);
	assert_int_equal(add(b, 4, ADDRBOOK_NAMED, 1), 0);
	assert_int_equal(add(b, 4, ADDRBOOK_GOSSIP, 1), EEXIST);
	addrbook_forget_gossip(b);
	assert_int_equal(addrbook_count(b), 3);
	addrbook_on_end(b, c, ADDRBOOK_FORGET, 1);
	assert_int_equal(addrbook_count(b), 2);
	assert_int_equal(taken(b, 9), 4);
	assert_int_equal(taken(b, 9), 1);
}

/* A book that strangers filled still has room for what a tracker says; and
 * gossip does not drive out gossip. */
static void gossip_makes_room(void **state)
{
	struct addrbook *b = *state;
	unsigned i;

	for (i = 0; i < SWARM_CANDIDATES_MAX; i++)
		assert_int_equal(add(b, i, ADDRBOOK_GOSSIP, 1), 0);
	assert_int_equal(add(b, i, ADDRBOOK_GOSSIP, 1), E2BIG);
	assert_int_equal(add(b, i, ADDRBOOK_TOLD, 1), 0);
	assert_int_equal(addrbook_count(b), SWARM_CANDIDATES_MAX);
}

/* Put off is not failed: it comes back when it said, and is still untried. */
static void postponed_is_not_failed(void **state)
{
	struct addrbook *b = *state;
	struct cand *c;

	assert_int_equal(add(b, 1, ADDRBOOK_TOLD, 5), 0);
	assert_true(addrbook_has_untried(b, 5));
	c = addrbook_take(b, 5);
	assert_int_equal(addrbook_source(c), ADDRBOOK_TOLD);
	addrbook_postpone(b, c, 1000);
	assert_false(addrbook_has_untried(b, 999));
	assert_int_equal(addrbook_next_us(b), 1000);
	assert_true(addrbook_has_untried(b, 1000));
	addrbook_on_end(b, addrbook_take(b, 1000), ADDRBOOK_FAILED, 1000);
	assert_false(addrbook_has_untried(b, UINT64_MAX / 2));
}

/* Addresses that cannot be dialled are refused. */
static void nonsense_is_refused(void **state)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, "10.0.0.1:0"), 0);
	assert_int_equal(addrbook_add(*state, &a, ADDRBOOK_NAMED, 1, NULL),
			 EINVAL);
	assert_int_equal(addr_parse(&a, "224.0.0.1:80"), 0);
	assert_int_equal(addrbook_add(*state, &a, ADDRBOOK_NAMED, 1, NULL),
			 EINVAL);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(new_addresses_are_due_at_once),
		T(failures_back_off_and_are_forgotten),
		T(named_addresses_are_never_given_up),
		T(barred_addresses_do_not_come_back),
		T(idle_addresses_can_be_hurried),
		T(a_full_book_makes_room_only_from_failures),
		T(history_goes_before_novelty),
		T(equals_go_by_priority),
		T(our_address_is_what_three_say),
		T(gossip_can_be_forgotten),
		T(gossip_makes_room),
		T(postponed_is_not_failed),
		T(nonsense_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
