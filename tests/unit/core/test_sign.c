/* Unit tests of core/sign. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/hex.h"
#include "core/sign.h"

static void unhex(const char *text, uint8_t *out, size_t len)
{
	assert_int_equal(strlen(text), 2 * len);
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(hex_value(text[2 * i]) << 4 |
				   hex_value(text[2 * i + 1]));
}

/* RFC 8032, 7.1, tests 1 and 2: key and signature of a seed. */
static void rfc_8032(void **state)
{
	static const struct {
		const char *seed, *key, *msg, *sig;
	} rows[] = {
		{"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7"
		 "f60",
		 "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f7075"
		 "11a",
		 "",
		 "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490"
		 "155"
		 "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a1"
		 "00b"},
		{"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a"
		 "6fb",
		 "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af46"
		 "60c",
		 "r",
		 "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb6"
		 "9da"
		 "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0"
		 "c00"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t seed[32], key[32], sig[64], want[64];
		size_t len = strlen(rows[i].msg);

		unhex(rows[i].seed, seed, 32);
		assert_int_equal(sign_key(seed, key), 0);
		unhex(rows[i].key, want, 32);
		assert_memory_equal(key, want, 32);
		assert_int_equal(sign_make(seed, rows[i].msg, len, sig), 0);
		unhex(rows[i].sig, want, 64);
		assert_memory_equal(sig, want, 64);
		assert_true(sign_is_right(key, rows[i].msg, len, sig));
	}
}

/* One bit of anything, and it is not right. */
static void any_bit_matters(void **state)
{
	uint8_t seed[32] = {7}, key[32], sig[64], msg[8] = "message";

	(void)state;
	assert_int_equal(sign_key(seed, key), 0);
	assert_int_equal(sign_make(seed, msg, sizeof(msg), sig), 0);
	for (size_t bit = 0; bit < 8 * sizeof(sig); bit += 5) {
		sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(sign_is_right(key, msg, sizeof(msg), sig));
		sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t bit = 0; bit < 8 * sizeof(key); bit += 5) {
		key[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(sign_is_right(key, msg, sizeof(msg), sig));
		key[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	msg[0] ^= 1;
	assert_false(sign_is_right(key, msg, sizeof(msg), sig));
	assert_false(sign_is_right(key, msg, sizeof(msg) - 1, sig));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc_8032),
		cmocka_unit_test(any_bit_matters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
