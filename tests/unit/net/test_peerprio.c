/* Unit tests of net/peerprio. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "net/peerprio.h"

static uint32_t prio(const char *a, const char *b)
{
	struct addr x, y;

	assert_int_equal(addr_parse(&x, a), 0);
	assert_int_equal(addr_parse(&y, b), 0);
	assert_int_equal(peerprio_of(&x, &y), peerprio_of(&y, &x));
	return peerprio_of(&x, &y);
}

/* BEP 40's own examples. */
static void the_beps_examples(void **state)
{
	assert_int_equal(prio("123.213.32.10:1", "98.76.54.32:2"), 0xec2d7224);
	assert_int_equal(prio("123.213.32.10:1", "123.213.32.234:2"),
			 0x99568189);
}

/* In a far network only every second bit of the last bytes counts, in one's
 * own all of them. */
static void neighbours_are_told_apart_at_home_only(void **state)
{
	assert_int_equal(prio("1.2.3.4:1", "98.76.54.32:1"),
			 prio("1.2.3.4:1", "98.76.54.34:1"));
	assert_int_not_equal(prio("98.76.3.4:1", "98.76.54.32:1"),
			     prio("98.76.3.4:1", "98.76.55.32:1"));
}

/* IPv6 is masked from the seventh byte on, unless the first six are shared. */
static void ipv6_is_masked_by_its_network(void **state)
{
	assert_int_equal(prio("[2001:db8:1::1]:1", "[2001:db8:2::1]:1"),
			 prio("[2001:db8:1::1]:1", "[2001:db8:2::3]:1"));
	assert_int_not_equal(
		prio("[2001:db8:1::1]:1", "[2001:db8:1:200::1]:1"),
		prio("[2001:db8:1::1]:1", "[2001:db8:1:800::1]:1"));
	assert_int_equal(prio("[2001:db8::1]:1", "9.9.9.9:1"), 0);
}

/* Two of one host differ by their ports. */
static void ports_decide_within_one_host(void **state)
{
	assert_int_not_equal(prio("9.9.9.9:1", "9.9.9.9:2"),
			     prio("9.9.9.9:1", "9.9.9.9:3"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_beps_examples),
		cmocka_unit_test(neighbours_are_told_apart_at_home_only),
		cmocka_unit_test(ipv6_is_masked_by_its_network),
		cmocka_unit_test(ports_decide_within_one_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
