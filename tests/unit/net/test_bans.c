/* Unit tests of net/bans. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/bans.h"

static struct addr parsed(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, text), 0);
	return a;
}

static bool has(struct bans *b, const char *text)
{
	struct addr a = parsed(text);

	return bans_has(b, &a);
}

/* A liar's host is banned whole; on loopback, and for ourselves, one port. */
static void hosts_and_ports(void **state)
{
	struct addr liar = parsed("10.0.0.1:1000");
	struct addr local = parsed("127.0.0.1:1000");
	struct addr self = parsed("[2001:db8::1]:1000");
	struct bans *b;

	(void)state;
	assert_int_equal(bans_new(&b), 0);
	assert_false(has(b, "10.0.0.1:1000"));
	bans_add_host(b, &liar);
	bans_add_host(b, &local);
	bans_add_port(b, &self);
	assert_true(has(b, "10.0.0.1:1000"));
	assert_true(has(b, "10.0.0.1:2000"));
	assert_false(has(b, "10.0.0.2:1000"));
	assert_true(has(b, "127.0.0.1:1000"));
	assert_false(has(b, "127.0.0.1:1001"));
	assert_true(has(b, "[2001:db8::1]:1000"));
	assert_false(has(b, "[2001:db8::1]:1001"));
	bans_free(b);
}

/* An IPv6 host is its /64, but for those that strangers share. */
static void an_ipv6_host_is_its_64(void **state)
{
	struct addr liar = parsed("[2001:db8:0:1::1]:1000");
	struct addr near = parsed("[fe80::1]:1000");
	struct addr local = parsed("[::1]:1000");
	struct bans *b;

	(void)state;
	assert_int_equal(bans_new(&b), 0);
	bans_add_host(b, &liar);
	bans_add_host(b, &near);
	bans_add_host(b, &local);
	assert_true(has(b, "[2001:db8:0:1::1]:1000"));
	assert_true(has(b, "[2001:db8:0:1:ffff:ffff:ffff:ffff]:2000"));
	assert_false(has(b, "[2001:db8:0:2::1]:1000"));
	assert_false(has(b, "[2001:db8::1]:1000"));
	assert_true(has(b, "[fe80::1]:2000"));
	assert_false(has(b, "[fe80::2]:1000"));
	assert_true(has(b, "[::1]:1000"));
	assert_false(has(b, "[::1]:1001"));
	assert_false(has(b, "[::2]:1000"));
	bans_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts_and_ports),
		cmocka_unit_test(an_ipv6_host_is_its_64)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
