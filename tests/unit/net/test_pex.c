/* Unit tests of net/pex. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "core/buf.h"
#include "core/err.h"
#include "net/pex.h"

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

	(void)snprintf(text, sizeof(text), "9.1.%u.%u:6881", i / 200, i % 200);
	return at(text);
}

static unsigned people(struct pex_peer *v, unsigned from, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++)
		v[i] = (struct pex_peer){.addr = nth(from + i)};
	return n;
}

static struct pex_heard heard(struct span body, const char *from)
{
	struct pex_heard h;
	struct addr f = at(from);

	assert_int_equal(pex_decode(body, &f, &h), 0);
	return h;
}

static bool may_tell(const char *a, const char *between)
{
	struct addr x = at(a), y = at(between);

	return pex_may_tell(&x, &y);
}

/* ---- Tests ---- */

/* What is put is read back: both families, and the flags of each. */
static void what_is_told_is_heard(void **state)
{
	struct pex_peer now[] = {
		{at("9.8.7.6:5"), PEX_REACHABLE},
		{at("[2001:db8::7]:8"), PEX_UPLOAD_ONLY},
		{at("9.8.7.7:5"), PEX_UPLOAD_ONLY | PEX_REACHABLE},
	};
	struct pex_told told = {0};
	struct pex_diff diff;
	struct pex_heard h;
	struct buf b = {0};

	assert_true(pex_diff_to(&told, now, 3, &diff));
	pex_put(&b, &diff);
	h = heard(buf_span(&b), "9.9.9.9:1");
	assert_int_equal(h.n, 3);
	assert_true(addr_eq(&h.v[0].addr, &now[0].addr));
	assert_int_equal(h.v[0].flags, PEX_REACHABLE);
	assert_true(addr_eq(&h.v[1].addr, &now[2].addr));
	assert_int_equal(h.v[1].flags, PEX_UPLOAD_ONLY | PEX_REACHABLE);
	assert_true(addr_eq(&h.v[2].addr, &now[1].addr));
	assert_int_equal(h.v[2].flags, PEX_UPLOAD_ONLY);
	buf_fini(&b);
}

/* The bytes are BEP 11's: sorted keys, compact addresses. */
static void the_message_is_beps(void **state)
{
	static const char want[] = "d5:added6:\x09\x08\x07\x06\x1a\xe1"
				   "7:added.f1:\x10"
				   "6:added60:8:added6.f0:"
				   "7:dropped6:\x01\x02\x03\x04\x1a\xe1"
				   "8:dropped60:e";
	struct pex_diff diff = {.n_added = 1, .n_dropped = 1};
	struct buf b = {0};

	diff.added[0] = (struct pex_peer){at("9.8.7.6:6881"), PEX_REACHABLE};
	diff.dropped[0] = at("1.2.3.4:6881");
	pex_put(&b, &diff);
	assert_int_equal(b.len, sizeof(want) - 1);
	assert_memory_equal(b.data, want, b.len);
	buf_fini(&b);
}

/* Only what has changed is said, and nothing when nothing has. */
static void only_differences_are_said(void **state)
{
	struct pex_peer now[3];
	struct pex_told told = {0};
	struct pex_diff diff;
	unsigned n = people(now, 0, 3);

	assert_true(pex_diff_to(&told, now, n, &diff));
	assert_int_equal(diff.n_added, 3);
	assert_false(pex_diff_to(&told, now, n, &diff));
	now[1].addr = nth(77);
	assert_true(pex_diff_to(&told, now, n, &diff));
	assert_int_equal(diff.n_added, 1);
	assert_true(addr_eq(&diff.added[0].addr, &now[1].addr));
	assert_int_equal(diff.n_dropped, 1);
	assert_false(pex_diff_to(&told, now, n, &diff));
}

/* One message names no more than it may; the next ones name the rest. */
static void many_are_told_by_and_by(void **state)
{
	struct pex_peer now[120];
	struct pex_told told = {0};
	struct pex_diff diff;
	unsigned n = people(now, 0, 120);

	assert_true(pex_diff_to(&told, now, n, &diff));
	assert_int_equal(diff.n_added, PEX_ADDED_MAX);
	assert_true(pex_diff_to(&told, now, n, &diff));
	assert_int_equal(diff.n_added, PEX_ADDED_MAX);
	assert_true(pex_diff_to(&told, now, n, &diff));
	assert_int_equal(diff.n_added, 20);
	assert_false(pex_diff_to(&told, now, n, &diff));
	/* all of them leave at once */
	assert_true(pex_diff_to(&told, NULL, 0, &diff));
	assert_int_equal(diff.n_dropped, PEX_DROPPED_MAX);
	/* full of those who left, and others come: nothing is overrun */
	n = people(now, 1000, 120);
	assert_true(pex_diff_to(&told, now, n, &diff));
	assert_true(told.n <= PEX_TOLD_MAX);
}

static void put_hosts(struct buf *b, unsigned n, unsigned per_host)
{
	unsigned i;

	buf_addf(b, "d5:added%u:", n * ADDR_COMPACT4);
	for (i = 0; i < n; i++) {
		buf_add_be32(b, 0x09010101 + i / per_host);
		buf_add_be16(b, (uint16_t)(1000 + i));
	}
	buf_add_str(b, "e");
}

/* Of a message only so many are taken, and of one host only a few. */
static void much_is_not_taken(void **state)
{
	struct buf b = {0};

	put_hosts(&b, 300, 1);
	assert_int_equal(heard(buf_span(&b), "9.9.9.9:1").n, PEX_ADDED_MAX);
	buf_reset(&b);
	put_hosts(&b, 40, 40);
	assert_int_equal(heard(buf_span(&b), "9.9.9.9:1").n, PEX_HOST_MAX);
	buf_fini(&b);
}

/* Addresses of a network that the teller is not in, or that nobody can dial,
 * are not believed; nor told. */
static void networks_are_kept_apart(void **state)
{
	assert_true(may_tell("9.8.7.6:5", "9.9.9.9:1"));
	assert_true(may_tell("9.8.7.6:5", "10.0.0.1:1"));
	assert_true(may_tell("9.8.7.6:5", "127.0.0.1:1"));
	assert_false(may_tell("9.8.7.6:0", "9.9.9.9:1"));
	assert_false(may_tell("0.0.0.0:5", "9.9.9.9:1"));
	assert_false(may_tell("224.0.0.1:5", "9.9.9.9:1"));
	assert_false(may_tell("127.0.0.1:5", "9.9.9.9:1"));
	assert_false(may_tell("[::1]:5", "[2001:db8::1]:1"));
	assert_false(may_tell("10.0.0.1:5", "9.9.9.9:1"));
	assert_false(may_tell("169.254.1.1:5", "9.9.9.9:1"));
	assert_false(may_tell("[fe80::1]:5", "[2001:db8::1]:1"));
	assert_false(may_tell("[fd00::1]:5", "[2001:db8::1]:1"));
	assert_true(may_tell("10.0.0.1:5", "192.168.1.1:1"));
	assert_true(may_tell("10.0.0.1:5", "127.0.0.1:1"));
	assert_true(may_tell("127.0.0.1:5", "127.0.0.1:1"));
	assert_false(may_tell("127.0.0.1:5", "10.0.0.1:1"));
	/* nobody is told of himself */
	assert_false(may_tell("9.9.9.9:1", "9.9.9.9:1"));
}

/* A list of a strange length, or of another type, counts as not said; what is
 * no dictionary is refused. */
static void nonsense_is_passed_over_or_refused(void **state)
{
	static const char *const bad[] = {"", "le", "d", "i5e", "d5:added6:xe"};
	struct pex_heard h;
	struct addr from = at("9.9.9.9:1");
	unsigned i;

	assert_int_equal(heard(span_str("de"), "9.9.9.9:1").n, 0);
	assert_int_equal(heard(span_str("d5:added7:1234567e"), "9.9.9.9:1").n,
			 0);
	assert_int_equal(heard(span_str("d5:addedi6ee"), "9.9.9.9:1").n, 0);
	assert_int_equal(heard(span_str("d6:added66:123456e"), "9.9.9.9:1").n,
			 0);
	/* without flags, and with too few */
	h = heard(span_str("d5:added12:1234567890127:added.f1:\x02"
			   "e"),
		  "9.9.9.9:1");
	assert_int_equal(h.n, 2);
	assert_int_equal(h.v[0].flags, 2);
	assert_int_equal(h.v[1].flags, 0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(pex_decode(span_str(bad[i]), &from, &h),
				 EBADMSG);
}

/* One a minute is taken; more are passed over, far more end the peer. */
static void too_often_is_too_much(void **state)
{
	const uint64_t minute_us = UINT64_C(60000000);
	struct pex_pace pace = {0};
	uint64_t now_us = 5;
	unsigned i;

	for (i = 0; i < 10; i++, now_us += minute_us)
		assert_int_equal(pex_pace_on_msg(&pace, now_us), PEX_TIMELY);
	/* twice as often as allowed, for ever: every second one counts */
	for (i = 0; i < 100; i++, now_us += minute_us / 2)
		assert_int_equal(pex_pace_on_msg(&pace, now_us),
				 i % 2 == 0 ? PEX_TIMELY : PEX_EARLY);
	assert_int_equal(pex_pace_on_msg(&pace, now_us), PEX_TIMELY);
	for (i = 0; i < PEX_EARLY_MAX; i++)
		assert_int_equal(pex_pace_on_msg(&pace, ++now_us), PEX_EARLY);
	assert_int_equal(pex_pace_on_msg(&pace, ++now_us), PEX_TOO_OFTEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_told_is_heard),
		cmocka_unit_test(the_message_is_beps),
		cmocka_unit_test(only_differences_are_said),
		cmocka_unit_test(many_are_told_by_and_by),
		cmocka_unit_test(much_is_not_taken),
		cmocka_unit_test(networks_are_kept_apart),
		cmocka_unit_test(nonsense_is_passed_over_or_refused),
		cmocka_unit_test(too_often_is_too_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
