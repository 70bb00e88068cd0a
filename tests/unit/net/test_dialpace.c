/* Unit tests of net/dialpace: how often strangers may make us dial. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/err.h"
#include "net/dialpace.h"
#include "net/net_limits.h"

/* ---- Fixture ---- */

enum { SECOND_US = 1000000, MINUTE_US = 60000000 };

#define START_US ((uint64_t)1000 * SECOND_US)

static int setup(void **state)
{
	return dialpace_new((struct dialpace **)state);
}

static int teardown(void **state)
{
	dialpace_free(*state);
	return 0;
}

/* ---- Helpers ---- */

static struct addr at(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, text), 0);
	return a;
}

static struct addr nth(unsigned i)
{
	char text[ADDR_TEXT_BYTES];

	(void)snprintf(text, sizeof(text), "10.%u.%u.%u:6881", i / 62500,
		       i / 250 % 250, i % 250 + 1);
	return at(text);
}

/* Dial it if it may be. */
static bool dial(struct dialpace *d, struct addr a, enum addrbook_from from,
		 uint64_t now_us)
{
	if (dialpace_when_us(d, &a, from, now_us) > now_us)
		return false;
	return dialpace_on_dial(d, &a, from, now_us) == 0;
}

/* ---- Tests ---- */

/* However many ports gossip names, one host is dialled twice a minute. */
static void gossip_floods_no_host(void **state)
{
	struct dialpace *d = *state;
	char text[ADDR_TEXT_BYTES];
	unsigned n[3] = {0};

	for (unsigned i = 0; i < 180; i++) {
		(void)snprintf(text, sizeof(text), "1.2.3.4:%u", 1000 + i);
		n[i / 60] += dial(d, at(text), ADDRBOOK_GOSSIP,
				  START_US + (uint64_t)i * SECOND_US);
	}
	for (unsigned i = 0; i < 3; i++)
		assert_in_range(n[i], 1, 2);
}

/* Of an IPv6 host the network counts; another one has its own pace. */
static void ipv6_host_is_its_network(void **state)
{
	struct dialpace *d = *state;

	assert_true(dial(d, at("[2001:db8::1]:1"), ADDRBOOK_GOSSIP, START_US));
	assert_true(dial(d, at("[2001:db8::2]:1"), ADDRBOOK_GOSSIP, START_US));
	assert_false(dial(d, at("[2001:db8::3]:1"), ADDRBOOK_GOSSIP, START_US));
	assert_true(
		dial(d, at("[2001:db8:0:1::3]:1"), ADDRBOOK_GOSSIP, START_US));
}

/* Several peers of one host that a tracker told of are dialled at once, the
 * rest of them soon; and what a tracker made us dial, gossip may not repeat. */
static void tracker_may_name_many_of_a_host(void **state)
{
	struct dialpace *d = *state;
	struct addr a = at("1.2.3.4:5");
	unsigned n = 0;

	while (dial(d, a, ADDRBOOK_TOLD, START_US))
		n++;
	assert_int_equal(n, DIAL_TOLD_HOST_BURST);
	assert_false(dial(d, a, ADDRBOOK_GOSSIP, START_US));
	assert_int_equal(dialpace_when_us(d, &a, ADDRBOOK_TOLD, START_US),
			 START_US + (uint64_t)DIAL_TOLD_HOST_MS * 1000);
}

/* A dial that found a peer costs nothing. */
static void peers_are_free(void **state)
{
	struct dialpace *d = *state;
	struct addr a = at("1.2.3.4:5");

	for (unsigned i = 0; i < 20; i++) {
		assert_true(dial(d, a, ADDRBOOK_GOSSIP, START_US));
		dialpace_on_up(d, &a);
	}
}

/* What a person named, and loopback, are dialled whenever they are due. */
static void named_and_loopback_are_free(void **state)
{
	struct dialpace *d = *state;

	for (unsigned i = 0; i < 20; i++) {
		assert_true(dial(d, at("1.2.3.4:5"), ADDRBOOK_NAMED, START_US));
		assert_true(
			dial(d, at("127.0.0.1:5"), ADDRBOOK_GOSSIP, START_US));
	}
}

/* All of gossip together has a pace too. */
static void gossip_has_a_pace(void **state)
{
	struct dialpace *d = *state;
	unsigned n = 0;

	for (unsigned i = 0; i < 1000; i++)
		n += dial(d, nth(i), ADDRBOOK_GOSSIP, START_US);
	assert_int_equal(n, DIAL_GOSSIP_BURST);
	n = 0;
	for (unsigned i = 1000; i < 2000; i++)
		n += dial(d, nth(i), ADDRBOOK_GOSSIP, START_US + MINUTE_US);
	assert_int_equal(n, DIAL_GOSSIP_BURST);
	assert_true(dial(d, nth(5000), ADDRBOOK_TOLD, START_US));
}

/* Hosts whose clocks have run out are forgotten when room is needed, and no
 * others. */
static void memory_is_bounded(void **state)
{
	struct dialpace *d = *state;
	struct addr a;
	unsigned i;

	for (i = 0; i < DIAL_HOSTS_MAX; i++) {
		a = nth(i);
		assert_int_equal(
			dialpace_on_dial(d, &a, ADDRBOOK_TOLD, START_US), 0);
	}
	a = nth(i);
	assert_int_equal(dialpace_on_dial(d, &a, ADDRBOOK_TOLD, START_US),
			 E2BIG);
	assert_int_equal(dialpace_on_dial(d, &a, ADDRBOOK_TOLD,
					  START_US + 2 * (uint64_t)MINUTE_US),
			 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(gossip_floods_no_host, setup,
						teardown),
		cmocka_unit_test_setup_teardown(ipv6_host_is_its_network, setup,
						teardown),
		cmocka_unit_test_setup_teardown(tracker_may_name_many_of_a_host,
						setup, teardown),
		cmocka_unit_test_setup_teardown(peers_are_free, setup,
						teardown),
		cmocka_unit_test_setup_teardown(named_and_loopback_are_free,
						setup, teardown),
		cmocka_unit_test_setup_teardown(gossip_has_a_pace, setup,
						teardown),
		cmocka_unit_test_setup_teardown(memory_is_bounded, setup,
						teardown),
	};

	return cmocka_run_group_tests_name("dialpace", tests, NULL, NULL);
}
