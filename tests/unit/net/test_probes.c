/* Unit tests of net/probes, and of net/incoming's use of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "net/probes.h"
#include "tests/lib/conn.h"

enum { EVERY_US = PROBE_EVERY_MS * 1000 };

#define START_US UINT64_C(1000000000)

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

	(void)snprintf(text, sizeof(text), "10.%u.%u.1:6881", i / 256, i % 256);
	return at(text);
}

static void miss(struct probes *p, const struct addr *a, unsigned n,
		 uint64_t now_us)
{
	while (n-- > 0)
		probes_on_miss(p, a, now_us);
}

/* ---- Tests ---- */

/* A burst, then one an interval; ports are no new hosts, others are. */
static void a_host_has_so_many_misses(void **state)
{
	struct addr a = at("192.0.2.1:1"), again = at("192.0.2.1:2");
	struct addr other = at("192.0.2.2:1");
	struct probes p = {0};

	(void)state;
	miss(&p, &a, PROBE_BURST - 1, START_US);
	assert_false(probes_is_over(&p, &a, START_US));
	miss(&p, &again, 1, START_US);
	assert_true(probes_is_over(&p, &a, START_US));
	assert_false(probes_is_over(&p, &other, START_US));
	assert_true(probes_is_over(&p, &a, START_US + EVERY_US - 1));
	assert_false(probes_is_over(&p, &a, START_US + EVERY_US));
	miss(&p, &a, 1, START_US + EVERY_US);
	assert_true(probes_is_over(&p, &a, START_US + EVERY_US));
}

/* However many misses were under way: an interval later he is heard again. */
static void who_stops_is_heard_again(void **state)
{
	struct addr a = at("192.0.2.1:1");
	struct probes p = {0};

	(void)state;
	miss(&p, &a, 100 * PROBE_BURST, START_US);
	assert_true(probes_is_over(&p, &a, START_US));
	assert_false(probes_is_over(&p, &a, START_US + EVERY_US));
}

/* A /64 is one host; loopback is everybody. */
static void networks_and_loopback(void **state)
{
	struct addr a = at("[2001:db8:0:1::1]:1");
	struct addr same = at("[2001:db8:0:1:ffff::2]:1");
	struct addr other = at("[2001:db8:0:2::1]:1");
	struct addr local = at("127.0.0.1:1");
	struct probes p = {0};

	(void)state;
	miss(&p, &a, PROBE_BURST, START_US);
	assert_true(probes_is_over(&p, &same, START_US));
	assert_false(probes_is_over(&p, &other, START_US));
	miss(&p, &local, PROBE_BURST, START_US);
	assert_false(probes_is_over(&p, &local, START_US));
}

/* A crowd that probes once each does not wash out one who probes much. */
static void a_crowd_hides_nobody(void **state)
{
	struct addr busy = at("192.0.2.1:1");
	struct probes p = {0};

	(void)state;
	miss(&p, &busy, PROBE_BURST, START_US);
	for (unsigned i = 0; i < 3 * PROBE_HOSTS_MAX; i++) {
		struct addr a = nth(i);

		probes_on_miss(&p, &a, START_US + i);
	}
	assert_true(probes_is_over(&p, &busy, START_US + 1000));
}

/* Is his handshake answered? */
static bool is_heard(struct line *l, bool is_right)
{
	bool was_greeted;

	line_come(l);
	line_put_handshake(l, true, true);
	if (!is_right)
		l->out.data[HANDSHAKE_BYTES - PEER_ID_BYTES - 1] ^= 1;
	conn_settle(l->c);
	was_greeted = l->is_greeted;
	l->is_greeted = false;
	line_close(l);
	conn_settle(l->c);
	return was_greeted;
}

/* Who guesses at info-hashes hears nothing, and soon not even of the torrent
 * that is there; who is connected stays. */
static void guesses_run_out(void **state)
{
	struct conn *c = conn_begin(CONN_HOLDS_EVEN);
	struct line *l = &c->lines[0], *honest = &c->lines[1];

	(void)state;
	line_come(honest);
	line_put_handshake(honest, true, true);
	assert_true(is_heard(l, true));
	for (unsigned i = 0; i < PROBE_BURST; i++)
		assert_false(is_heard(l, false));
	assert_false(is_heard(l, true));
	assert_true(honest->fd >= 0 && honest->is_greeted);
	conn_end(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_host_has_so_many_misses),
		cmocka_unit_test(who_stops_is_heard_again),
		cmocka_unit_test(networks_and_loopback),
		cmocka_unit_test(a_crowd_hides_nobody),
		cmocka_unit_test(guesses_run_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
