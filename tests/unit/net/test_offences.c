/* Unit tests of net/offences, and of who asks it: net/incoming, net/dialer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "net/offences.h"
#include "tests/lib/conn.h"

#define MS	  UINT64_C(1000)
#define START_US  UINT64_C(1000000000)
#define BAN_US	  (OFFENCE_BAN_MS * MS)
#define FORGET_US (OFFENCE_FORGET_MS * MS)

/* ---- Helpers ---- */

static struct offences o;

static struct addr at(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, text), 0);
	return a;
}

static bool offend(const char *text, uint64_t now_us)
{
	struct addr a = at(text);

	return offences_on(&o, &a, now_us);
}

static uint64_t until_us(const char *text, uint64_t now_us)
{
	struct addr a = at(text);

	return offences_until_us(&o, &a, now_us);
}

/* Offended so often, at once; that banned him. */
static bool offend_times(const char *text, unsigned n, uint64_t now_us)
{
	bool is_banned = false;

	while (n-- > 0)
		is_banned = offend(text, now_us);
	return is_banned;
}

static int begin(void **state)
{
	(void)state;
	o = (struct offences){0};
	return 0;
}

/* ---- Tests ---- */

/* A few are forgiven, whatever the port; the next bans the host, for a time. */
static void the_fourth_bans_the_host(void **state)
{
	(void)state;
	assert_false(offend_times("192.0.2.1:1", OFFENCE_BURST - 1, START_US));
	assert_int_equal(until_us("192.0.2.1:1", START_US), 0);
	assert_true(offend("192.0.2.1:2", START_US));
	assert_int_equal(until_us("192.0.2.1:3", START_US), START_US + BAN_US);
	assert_int_equal(until_us("192.0.2.2:1", START_US), 0);
	assert_int_equal(until_us("192.0.2.1:1", START_US + BAN_US), 0);
}

/* After a ban one offence is enough, for twice as long, up to a most; what
 * comes while he is banned makes it no longer. */
static void probation_doubles_it(void **state)
{
	uint64_t now_us = START_US, ban_us = BAN_US;

	(void)state;
	assert_true(offend_times("192.0.2.1:1", OFFENCE_BURST, now_us));
	for (unsigned i = 0; i < 10; i++) {
		assert_false(offend("192.0.2.1:1", now_us + 1));
		assert_int_equal(until_us("192.0.2.1:1", now_us + 1),
				 now_us + ban_us);
		now_us += ban_us;
		assert_true(offend("192.0.2.1:1", now_us));
		ban_us = 2 * ban_us < OFFENCE_BAN_MAX_MS * MS
				 ? 2 * ban_us
				 : OFFENCE_BAN_MAX_MS * MS;
	}
	assert_int_equal(ban_us, OFFENCE_BAN_MAX_MS * MS);
}

/* Who kept to the rules for long enough is new again: before a ban, and after
 * its end. */
static void time_forgives(void **state)
{
	uint64_t now_us = START_US;

	(void)state;
	assert_false(offend_times("192.0.2.1:1", OFFENCE_BURST - 1, now_us));
	now_us += FORGET_US;
	assert_false(offend_times("192.0.2.1:1", OFFENCE_BURST - 1, now_us));
	now_us += FORGET_US - 1;
	assert_true(offend("192.0.2.1:1", now_us));
	now_us += BAN_US + FORGET_US;
	assert_false(offend_times("192.0.2.1:1", OFFENCE_BURST - 1, now_us));
	assert_true(offend("192.0.2.1:1", now_us));
	assert_int_equal(until_us("192.0.2.1:1", now_us), now_us + BAN_US);
}

/* A /64 is one host; on loopback each port is. */
static void networks_and_loopback(void **state)
{
	(void)state;
	assert_true(
		offend_times("[2001:db8:0:1::1]:1", OFFENCE_BURST, START_US));
	assert_true(until_us("[2001:db8:0:1:ffff::2]:1", START_US) > 0);
	assert_int_equal(until_us("[2001:db8:0:2::1]:1", START_US), 0);
	assert_true(offend_times("127.0.0.1:1", OFFENCE_BURST, START_US));
	assert_true(until_us("127.0.0.1:1", START_US) > 0);
	assert_int_equal(until_us("127.0.0.1:2", START_US), 0);
}

/* A crowd that offends now and then does not wash out who is banned. */
static void a_crowd_hides_nobody(void **state)
{
	char text[ADDR_TEXT_BYTES];

	(void)state;
	assert_true(offend_times("192.0.2.1:1", OFFENCE_BURST, START_US));
	for (unsigned i = 0; i < 3 * OFFENCE_HOSTS_MAX; i++) {
		(void)snprintf(text, sizeof(text), "10.%u.%u.1:6881", i / 256,
			       i % 256);
		assert_false(offend(text, START_US + i));
	}
	assert_true(until_us("192.0.2.1:1", START_US + 1000) > 0);
}

/* Comes in, and breaks the protocol or not; was he heard? */
static bool comes(struct line *l, bool is_good)
{
	static const uint8_t too_long[5] = {0xff, 0xff, 0xff, 0xff, 0};
	bool was_heard;

	line_come(l);
	line_put_handshake(l, true, true);
	if (!is_good)
		buf_add(&l->out, too_long, sizeof(too_long));
	conn_settle(l->c);
	was_heard = l->is_greeted;
	l->is_greeted = false;
	line_close(l);
	conn_settle(l->c);
	return was_heard;
}

/* Who comes again to break the protocol again is not heard any more; who is
 * connected from the same host, and keeps to the rules, stays. */
static void an_engine_hears_him_no_more(void **state)
{
	struct conn *c = conn_begin(CONN_HOLDS_EVEN);
	struct line *l = &c->lines[0], *honest = &c->lines[1];

	(void)state;
	line_come(honest);
	line_put_handshake(honest, true, true);
	for (unsigned i = 1; i < OFFENCE_BURST; i++)
		(void)comes(l, false);
	assert_true(comes(l, true));
	(void)comes(l, false);
	assert_false(comes(l, true));
	assert_true(honest->fd >= 0 && honest->is_greeted);
	conn_end(c);
}

/* Nor is he dialled before his time is over. */
static void an_engine_dials_him_later(void **state)
{
	struct conn *c = conn_begin(CONN_HOLDS_EVEN);
	struct addr a = at("192.0.2.7:6881"), other = at("192.0.2.8:6881");
	unsigned i;

	(void)state;
	conn_dials = 0;
	for (i = 0; i < OFFENCE_BURST; i++)
		(void)offences_on(&c->engine->offences, &a,
				  loop_now_us(c->loop));
	assert_int_equal(swarm_add_addr(c->t->swarm, &a), 0);
	conn_settle(c);
	assert_int_equal(conn_dials, 0);
	assert_int_equal(swarm_add_addr(c->t->swarm, &other), 0);
	conn_settle(c);
	assert_int_equal(conn_dials, 1);
	conn_end(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_fourth_bans_the_host, begin),
		cmocka_unit_test_setup(probation_doubles_it, begin),
		cmocka_unit_test_setup(time_forgives, begin),
		cmocka_unit_test_setup(networks_and_loopback, begin),
		cmocka_unit_test_setup(a_crowd_hides_nobody, begin),
		cmocka_unit_test(an_engine_hears_him_no_more),
		cmocka_unit_test(an_engine_dials_him_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
