/* Unit tests of dht/token. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dht/token.h"

static const struct siphash_key secret = {1, 2};
static const struct dht_id target = {.b = {3}};

static const uint64_t MINUTE = 60000000;

static struct addr parsed(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, text), 0);
	return a;
}

static bool is_good(uint64_t made_us, const char *to, uint64_t now_us,
		    const char *from)
{
	struct addr maker = parsed(to), user = parsed(from);
	uint8_t token[TOKEN_BYTES];

	token_make(&secret, made_us, &maker, &target, token);
	return token_is_good(&secret, now_us, &user, &target,
			     span_of(token, sizeof(token)));
}

/* It lasts five minutes at least, ten at most, wherever in its period it was
 * made, and not before it was made. */
static void lasts_five_to_ten_minutes(void **state)
{
	const char *host = "1.2.3.4:5";

	(void)state;
	for (uint64_t at = 20 * MINUTE; at < 40 * MINUTE; at += MINUTE / 3) {
		assert_true(is_good(at, host, at, host));
		assert_true(is_good(at, host, at + 5 * MINUTE, host));
		assert_false(is_good(at, host, at + 10 * MINUTE, host));
		assert_false(is_good(at, host, at - 5 * MINUTE, host));
	}
	assert_true(is_good(0, host, 0, host));
	assert_false(is_good(UINT64_MAX, host, 0, host));
}

/* It is for one host, from any port; of IPv6 too. */
static void belongs_to_one_host(void **state)
{
	(void)state;
	assert_true(is_good(0, "1.2.3.4:5", 0, "1.2.3.4:6"));
	assert_false(is_good(0, "1.2.3.4:5", 0, "1.2.3.5:5"));
	assert_true(is_good(0, "[2001:db8::1]:5", 0, "[2001:db8::1]:6"));
	assert_false(is_good(0, "[2001:db8::1]:5", 0, "[2001:db8::2]:5"));
}

/* It is for one target, made by one secret, and no byte of it may differ or
 * lack. */
static void cannot_be_used_otherwise(void **state)
{
	const struct siphash_key other_secret = {1, 3};
	const struct dht_id other = {.b = {4}};
	struct addr host = parsed("1.2.3.4:5");
	uint8_t token[TOKEN_BYTES + 1] = {0};
	struct span all = span_of(token, TOKEN_BYTES);

	(void)state;
	token_make(&secret, 0, &host, &target, token);
	assert_true(token_is_good(&secret, 0, &host, &target, all));
	assert_false(token_is_good(&other_secret, 0, &host, &target, all));
	assert_false(token_is_good(&secret, 0, &host, &other, all));
	for (size_t len = 0; len <= sizeof(token); len++)
		assert_int_equal(token_is_good(&secret, 0, &host, &target,
					       span_of(token, len)),
				 len == TOKEN_BYTES);
	for (size_t i = 0; i < TOKEN_BYTES; i++) {
		token[i] ^= 0x10;
		assert_false(token_is_good(&secret, 0, &host, &target, all));
		token[i] ^= 0x10;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lasts_five_to_ten_minutes),
		cmocka_unit_test(belongs_to_one_host),
		cmocka_unit_test(cannot_be_used_otherwise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
