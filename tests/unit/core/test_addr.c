/* test_addr — addresses as values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/addr.h"
#include "core/err.h"

/* ---- helpers ---- */

static struct addr parsed(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, text), 0);
	return a;
}

/* ---- tests ---- */

/* What addr_format prints, addr_parse reads back. */
static void text_round_trips(void **state)
{
	static const char *const texts[] = {
		"1.2.3.4:5",
		"0.0.0.0:0",
		"255.255.255.255:65535",
		"[::1]:6881",
		"[2001:db8::1]:80",
		"[fe80::1%7]:1",
		"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535",
	};
	char out[ADDR_TEXT_BYTES];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct addr a = parsed(texts[i]);

		assert_string_equal(addr_format(&a, out), texts[i]);
	}
}

/* Anything but a numeric address and a port is refused. */
static void refuses_other_texts(void **state)
{
	static const char *const texts[] = {
		"",
		":",
		":1",
		"1.2.3.4",
		"1.2.3.4:",
		"1.2.3.4:65536",
		"1.2.3.4:-1",
		"1.2.3.4:+1",
		"1.2.3.4: 1",
		"1.2.3.4:01",
		"1.2.3.4:99999999999999999999",
		"1.2.3:1",
		"1.2.3.4.5:1",
		"256.1.1.1:1",
		"example.org:80",
		"::1:80",
		"[::1]",
		"[::1]80",
		"[::1:80",
		"[]:80",
		"[:80",
		"[1.2.3.4]:80",
		"[fe80::1%eth0]:1",
		"[fe80::1%]:1",
		"[fe80::1%4294967296]:1",
		"[:::1]:1",
		"1.2.3.4:5 ",
		" 1.2.3.4:5",
		"[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:1",
	};
	struct addr a;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(addr_parse(&a, texts[i]), EINVAL);
}

/* A mapped IPv6 address is the IPv4 address, whichever way it comes in. */
static void mapped_becomes_ipv4(void **state)
{
	struct addr want = parsed("9.8.7.6:5");
	struct addr a = parsed("[::ffff:9.8.7.6]:5");
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	uint8_t compact[ADDR_COMPACT6] = {0, 0,	   0,	 0, 0, 0, 0, 0, 0,
					  0, 0xff, 0xff, 9, 8, 7, 6, 0, 5};

	assert_true(addr_eq(&a, &want));
	assert_int_equal(addr_from_compact(&a, compact, sizeof(compact)), 0);
	assert_true(addr_eq(&a, &want));
	memcpy(&in6.sin6_addr, compact, 16);
	in6.sin6_port = htons(5);
	assert_int_equal(addr_from_sa(&a, (struct sockaddr *)&in6, sizeof(in6)),
			 0);
	assert_true(addr_eq(&a, &want));
	assert_int_equal(addr_len(&a), sizeof(struct sockaddr_in));
}

/* Compact forms have 6 or 18 bytes and go both ways. */
static void compact_round_trips(void **state)
{
	const uint8_t raw[] = "\x01\x02\x03\x04\x1a\xe1";
	struct addr a = parsed("1.2.3.4:6881");
	struct addr b = parsed("[2001:db8::9]:6881");
	uint8_t out[ADDR_COMPACT6];
	struct addr back;

	assert_int_equal(addr_to_compact(&a, out), ADDR_COMPACT4);
	assert_memory_equal(out, raw, 6);
	assert_int_equal(addr_from_compact(&back, out, 6), 0);
	assert_true(addr_eq(&a, &back));

	assert_int_equal(addr_to_compact(&b, out), ADDR_COMPACT6);
	assert_int_equal(addr_from_compact(&back, out, 18), 0);
	assert_true(addr_eq(&b, &back));
	for (size_t len = 0; len < 18; len++)
		if (len != 6)
			assert_int_equal(addr_from_compact(&back, out, len),
					 EBADMSG);
}

/* Socket addresses of other families, or cut short, are refused. */
static void other_families_are_refused(void **state)
{
	struct sockaddr_in in4 = {.sin_family = AF_INET};
	struct sockaddr_storage un = {.ss_family = AF_UNIX};
	struct addr a;

	assert_int_equal(addr_from_sa(&a, (struct sockaddr *)&un, sizeof(un)),
			 EAFNOSUPPORT);
	assert_int_equal(addr_from_sa(&a, (struct sockaddr *)&in4, 0),
			 EAFNOSUPPORT);
	assert_int_equal(
		addr_from_sa(&a, (struct sockaddr *)&in4, sizeof(in4) - 1),
		EAFNOSUPPORT);
	assert_int_equal(addr_from_sa(&a, (struct sockaddr *)&in4, sizeof(in4)),
			 0);
}

/* Equality looks at host and port; eq_host and keys follow it. */
static void equality_and_keys_agree(void **state)
{
	struct addr a = parsed("1.2.3.4:5");
	struct addr b = parsed("1.2.3.4:6");
	struct addr c = parsed("[fe80::1%1]:5");
	struct addr d = parsed("[fe80::1%2]:5");
	uint8_t ka[ADDR_KEY_BYTES];
	uint8_t kb[ADDR_KEY_BYTES];

	assert_false(addr_eq(&a, &b));
	assert_true(addr_eq_host(&a, &b));
	addr_key(&a, ka);
	addr_key(&b, kb);
	assert_memory_not_equal(ka, kb, sizeof(ka));
	addr_set_port(&b, 5);
	assert_int_equal(addr_port(&b), 5);
	addr_key(&b, kb);
	assert_memory_equal(ka, kb, sizeof(ka));
	assert_true(addr_eq(&a, &b));

	assert_false(addr_eq_host(&a, &c));
	assert_true(addr_eq(&c, &d));
	addr_set_port(&c, 9);
	assert_int_equal(addr_port(&c), 9);
}

/* Classes, at both edges of each range. */
static void classes(void **state)
{
	static const struct {
		const char *text;
		bool loopback, link_local, private, can_dial;
	} rows[] = {
		{"127.0.0.1:1", true, false, false, true},
		{"127.255.255.255:1", true, false, false, true},
		{"128.0.0.1:1", false, false, false, true},
		{"[::1]:1", true, false, false, true},
		{"169.254.0.1:1", false, true, false, true},
		{"169.255.0.1:1", false, false, false, true},
		{"[fe80::1]:1", false, true, false, true},
		{"[febf::1]:1", false, true, false, true},
		{"[fec0::1]:1", false, false, true, true},
		{"10.255.0.1:1", false, false, true, true},
		{"11.0.0.1:1", false, false, false, true},
		{"172.15.0.1:1", false, false, false, true},
		{"172.16.0.1:1", false, false, true, true},
		{"172.31.0.1:1", false, false, true, true},
		{"172.32.0.1:1", false, false, false, true},
		{"192.168.0.1:1", false, false, true, true},
		{"192.169.0.1:1", false, false, false, true},
		{"100.64.0.1:1", false, false, true, true},
		{"100.128.0.1:1", false, false, false, true},
		{"[fc00::1]:1", false, false, true, true},
		{"[fdff::1]:1", false, false, true, true},
		{"[2001:db8::1]:1", false, false, false, true},
		{"8.8.8.8:0", false, false, false, false},
		{"[2001:db8::1]:0", false, false, false, false},
		{"0.0.0.0:1", false, false, false, false},
		{"0.1.2.3:1", false, false, false, false},
		{"223.255.255.255:1", false, false, false, true},
		{"224.0.0.1:1", false, false, false, false},
		{"239.255.255.255:1", false, false, false, false},
		{"255.255.255.255:1", false, false, false, false},
		{"[::]:1", false, false, false, false},
		{"[ff02::1]:1", false, false, false, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct addr a = parsed(rows[i].text);

		assert_int_equal(addr_is_loopback(&a), rows[i].loopback);
		assert_int_equal(addr_is_link_local(&a), rows[i].link_local);
		assert_int_equal(addr_is_private(&a), rows[i].private);
		assert_int_equal(addr_can_dial(&a), rows[i].can_dial);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_round_trips),
		cmocka_unit_test(refuses_other_texts),
		cmocka_unit_test(mapped_becomes_ipv4),
		cmocka_unit_test(compact_round_trips),
		cmocka_unit_test(other_families_are_refused),
		cmocka_unit_test(equality_and_keys_agree),
		cmocka_unit_test(classes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
