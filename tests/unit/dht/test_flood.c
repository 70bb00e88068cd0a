/* Unit tests of dht/flood. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/be.h"
#include "core/mem.h"
#include "dht/dht_limits.h"
#include "dht/flood.h"

enum { MS = 1000, S = 1000000, BURST = 50, PER_S = 5 };

static struct flood fl;

static void begin(void)
{
	const struct siphash_key secret = {1, 2};

	flood_init(&fl, &secret, BURST, PER_S);
}

static struct addr host(uint32_t ip)
{
	uint8_t compact[ADDR_COMPACT4] = {0, 0, 0, 0, 0, 1};
	struct addr a;

	be32_put(compact, 0x08000000u + ip);
	assert_int_equal(addr_from_compact(&a, compact, sizeof(compact)), 0);
	return a;
}

static bool asks(uint32_t ip, uint64_t now_us)
{
	struct addr a = host(ip);

	return flood_admits(&fl, now_us, &a);
}

/* Who asks no faster than the limit is always heard, and nothing is kept of
 * anybody. */
static void calm(void **state)
{
	(void)state;
	begin();
	for (uint32_t i = 0; i < 10000; i++)
		assert_true(asks(i % 3, i * UINT64_C(200) * MS));
	assert_null(fl.hosts);
}

/* Who asks too fast falls silent for five minutes, and only he: from other
 * ports too, and from all of a /64. */
static void who_floods_is_not_heard(void **state)
{
	uint64_t now = S;
	struct addr a, b, c;
	int n = 0;

	(void)state;
	begin();
	/* Others too, so that it is no longer calm. */
	for (uint32_t i = 0; i < 2 * BURST; i++)
		assert_true(asks(1000 + i, now));
	while (asks(1, now))
		n++;
	assert_int_equal(n, BURST);
	assert_true(asks(2, now));
	a = host(1);
	addr_set_port(&a, 99);
	assert_false(flood_admits(&fl, now, &a));
	assert_false(asks(1, now + (DHT_SILENT_S - 1) * (uint64_t)S));
	assert_true(asks(1, now + DHT_SILENT_S * (uint64_t)S));

	assert_int_equal(addr_parse(&a, "[2001:db8::1]:1"), 0);
	assert_int_equal(addr_parse(&b, "[2001:db8::2]:2"), 0);
	assert_int_equal(addr_parse(&c, "[2001:db8:0:1::1]:1"), 0);
	while (flood_admits(&fl, now, &a))
		;
	assert_false(flood_admits(&fl, now, &b));
	assert_true(flood_admits(&fl, now, &c));
	flood_fini(&fl);
}

/* The bucket fills again while its owner is not silent, to its brim. */
static void fills_again(void **state)
{
	(void)state;
	begin();
	for (int i = 0; i < 2 * BURST; i++)
		(void)asks(100 + (uint32_t)i, S);
	for (int i = 0; i < BURST; i++)
		assert_true(asks(1, S));
	for (uint64_t i = 1; i <= 100; i++)
		assert_true(asks(1, S + i * S / PER_S));
	assert_false(asks(1, S + 100 * S / PER_S));
	flood_fini(&fl);
}

/* Asking in tiny steps of time earns as much as in large ones. */
static void no_rounding_loss(void **state)
{
	uint64_t n = 0;

	(void)state;
	begin();
	for (int i = 0; i < 2 * BURST; i++)
		(void)asks(100 + (uint32_t)i, 0);
	for (uint64_t now = 0; now < 60 * (uint64_t)S; now += 199999) {
		/* Looks in between, one microsecond off a thousandth. */
		assert_true(asks(1, now));
		n++;
	}
	assert_true(n == 301);
	flood_fini(&fl);
}

/* A hundred thousand forged senders do not hide one who floods, and the table
 * stays as it is. */
static void forged_senders(void **state)
{
	uint64_t before = mem_in_use_bytes();
	int n = 0;

	(void)state;
	begin();
	for (uint32_t i = 0; i < 100000; i++) {
		(void)asks(10 + i, S);
		if (i % 100 == 0)
			n += asks(1, S);
	}
	assert_true(n < 2 * BURST);
	assert_true(mem_in_use_bytes() - before <
		    DHT_FLOOD_HOSTS * UINT64_C(64));
	flood_fini(&fl);
	assert_int_equal(mem_in_use_bytes(), before);
}

/* When it has been calm for long enough the table goes. */
static void memory_is_given_back(void **state)
{
	uint64_t now = S;

	(void)state;
	begin();
	for (uint32_t i = 0; i < 2 * BURST; i++)
		(void)asks(i, now);
	assert_non_null(fl.hosts);
	for (int i = 0; i < DHT_SILENT_S + 2; i++) {
		now += S;
		(void)asks(7, now);
	}
	assert_null(fl.hosts);
}

/* On loopback a host is a port. Without memory all hosts are one. Without a
 * limit there is none. */
static void the_odd_cases(void **state)
{
	const struct siphash_key secret = {1, 2};
	struct addr a, b;

	(void)state;
	begin();
	assert_int_equal(addr_parse(&a, "127.0.0.1:1"), 0);
	assert_int_equal(addr_parse(&b, "127.0.0.1:2"), 0);
	while (flood_admits(&fl, S, &a))
		;
	assert_true(flood_admits(&fl, S, &b));
	flood_fini(&fl);

	begin();
	mem_fail_after(0, 1);
	for (uint32_t i = 0; i < BURST; i++)
		assert_true(asks(i, S));
	assert_false(asks(99, S));
	mem_fail_after(UINT64_MAX, 0);
	assert_true(asks(99, S));
	flood_fini(&fl);

	flood_init(&fl, &secret, 0, 0);
	for (int i = 0; i < 1000; i++)
		assert_true(asks(1, S));
	assert_null(fl.hosts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calm),
		cmocka_unit_test(who_floods_is_not_heard),
		cmocka_unit_test(fills_again),
		cmocka_unit_test(no_rounding_loss),
		cmocka_unit_test(forged_senders),
		cmocka_unit_test(memory_is_given_back),
		cmocka_unit_test(the_odd_cases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
