/* Unit tests of net/dialer: who is dialled when, and who not. An engine whose
 * dials find nobody, or hosts that accept and say nothing (tests/lib/conn.h).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "net/bans.h"
#include "net/dialer.h"
#include "net/net_limits.h"
#include "net/peer.h"
#include "net/swarm_internal.h"
#include "tests/lib/conn.h"

/* ---- Helpers ---- */

enum source { NAMED, TOLD, GOSSIP };

static struct addr at(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, text), 0);
	return a;
}

static struct addr host(unsigned i)
{
	char text[ADDR_TEXT_BYTES];

	(void)snprintf(text, sizeof(text), "198.18.%u.%u:6881", i / 250,
		       i % 250 + 1);
	return at(text);
}

static void hear(struct conn *c, struct addr a, enum source from)
{
	struct swarm *sw = c->t->swarm;
	int r = from == NAMED  ? swarm_add_addr(sw, &a)
		: from == TOLD ? swarm_add_told(sw, &a, TORRENT_V1)
			       : swarm_add_gossip(sw, &a, TORRENT_V1);

	assert_int_equal(r, 0);
}

/* `n` ports of one host. How many were dialled? */
static unsigned hear_ports(struct conn *c, const char *text, unsigned n,
			   enum source from)
{
	unsigned before = conn_dials;
	struct addr a = at(text);

	for (unsigned i = 0; i < n; i++) {
		addr_set_port(&a, (uint16_t)(1000 + i));
		hear(c, a, from);
	}
	conn_settle(c);
	return conn_dials - before;
}

/* All that are half open are late now. */
static void let_time_pass(struct conn *c)
{
	struct peer *p;

	TAILQ_FOREACH (p, &c->t->swarm->peers, link)
		p->since_us -= (uint64_t)SWARM_DIAL_LATE_MS * 1000;
	dialer_run(c->t->swarm);
	conn_settle(c);
}

static int setup(void **state)
{
	*state = conn_begin(0);
	conn_dials = 0;
	return 0;
}

static int teardown(void **state)
{
	conn_end(*state);
	return 0;
}

/* ---- Tests ---- */

/* Dead addresses hold up nobody: one after the other is dialled at once. */
static void the_dead_hold_up_nobody(void **state)
{
	struct conn *c = *state;

	for (unsigned i = 0; i < 2 * SWARM_HALF_OPEN_MAX; i++)
		hear(c, host(i), TOLD);
	conn_settle(c);
	assert_int_equal(conn_dials, 2 * SWARM_HALF_OPEN_MAX);
	assert_int_equal(c->t->swarm->n_dialing, 0);
}

/* Hosts that accept and say nothing are raced, so many at a time; when they are
 * late others are dialled beside them, up to a most. */
static void the_silent_are_raced(void **state)
{
	struct conn *c = *state;

	conn_is_mute = true;
	for (unsigned i = 0; i < 60; i++)
		hear(c, host(i), TOLD);
	conn_settle(c);
	assert_int_equal(conn_dials, SWARM_DIALS_MAX);
	assert_int_equal(c->t->swarm->n_dialing, SWARM_DIALS_MAX);
	let_time_pass(c);
	assert_int_equal(conn_dials, SWARM_HALF_OPEN_MAX);
	let_time_pass(c);
	assert_int_equal(conn_dials, SWARM_HALF_OPEN_MAX);
}

/* Who answers frees a place of those who race, and is a peer beside them. */
static void who_answers_makes_room(void **state)
{
	struct conn *c = *state;

	conn_is_mute = true;
	line_dialled(&c->lines[0]);
	for (unsigned i = 0; i < SWARM_DIALS_MAX; i++)
		hear(c, host(i), TOLD);
	conn_settle(c);
	assert_int_equal(conn_dials, SWARM_DIALS_MAX);
	line_put_handshake(&c->lines[0], true, true);
	conn_settle(c);
	assert_int_equal(conn_dials, SWARM_DIALS_MAX + 1);
	assert_int_equal(c->t->swarm->n_peers, SWARM_DIALS_MAX + 1);
}

/* Whoever may name addresses can name a victim's: so a host is dialled so often
 * and no more, whatever the ports; a person may do as he likes. */
static void a_host_has_a_budget(void **state)
{
	struct conn *c = *state;

	assert_int_equal(hear_ports(c, "198.51.100.1:1", 20, GOSSIP),
			 DIAL_GOSSIP_HOST_BURST);
	assert_int_equal(hear_ports(c, "198.51.100.2:1", 20, TOLD),
			 DIAL_TOLD_HOST_BURST);
	assert_int_equal(hear_ports(c, "198.51.100.3:1", 20, NAMED), 20);
	assert_int_equal(hear_ports(c, "127.0.0.1:1", 20, GOSSIP), 20);
}

/* A target's budget is one for all sources, but for people: what trackers made
 * us dial counts against gossip. So is that of a /64. */
static void budgets_are_of_the_target(void **state)
{
	struct conn *c = *state;
	unsigned before;

	assert_int_equal(hear_ports(c, "198.51.100.1:1", 3, TOLD), 3);
	before = conn_dials;
	hear(c, at("198.51.100.1:7"), GOSSIP);
	hear(c, at("[2001:db8:0:1::1]:1"), GOSSIP);
	hear(c, at("[2001:db8:0:1::2]:1"), GOSSIP);
	hear(c, at("[2001:db8:0:1:ffff::3]:1"), GOSSIP);
	conn_settle(c);
	assert_int_equal(conn_dials - before, DIAL_GOSSIP_HOST_BURST);
}

/* All of gossip has a budget, whatever hosts it names; trackers have theirs
 * beside it. */
static void a_source_has_a_budget(void **state)
{
	struct conn *c = *state;
	unsigned i;

	for (i = 0; i < DIAL_GOSSIP_BURST + 100; i++)
		hear(c, host(i), GOSSIP);
	conn_settle(c);
	assert_in_range(conn_dials, DIAL_GOSSIP_BURST, DIAL_GOSSIP_BURST + 20);
	conn_dials = 0;
	for (; i < DIAL_GOSSIP_BURST + 150; i++)
		hear(c, host(i), TOLD);
	conn_settle(c);
	assert_in_range(conn_dials, 50, 70);
}

/* Who is banned while he waits for his turn is not dialled when it comes. */
static void the_banned_are_not_dialled(void **state)
{
	struct conn *c = *state;
	struct addr a = host(100);

	conn_is_mute = true;
	for (unsigned i = 0; i < SWARM_DIALS_MAX; i++)
		hear(c, host(i), TOLD);
	hear(c, a, TOLD);
	bans_add_host(c->engine->bans, &a);
	conn_settle(c);
	let_time_pass(c);
	assert_int_equal(conn_dials, SWARM_DIALS_MAX);
	hear(c, host(101), TOLD);
	conn_settle(c);
	assert_int_equal(conn_dials, SWARM_DIALS_MAX + 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(the_dead_hold_up_nobody),    T(the_silent_are_raced),
		T(who_answers_makes_room),     T(a_host_has_a_budget),
		T(budgets_are_of_the_target),  T(a_source_has_a_budget),
		T(the_banned_are_not_dialled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
