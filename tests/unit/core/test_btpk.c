/* Unit tests of core/btpk: keys as names and links, and what their items say.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/btpk.h"
#include "core/hash.h"
#include "core/magnet.h"

/* BEP 46's test vectors. */
#define KEY   "8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e"
#define UPPER "8543D3E6115F0F98C944077A4493DCD543E49C739FD998550A1F614AB36ED63E"

static void names_are_read_and_written(void **state)
{
	char name[BTPK_NAME_BYTES], link[BTPK_MAGNET_BYTES];
	struct btpk b, other;

	assert_int_equal(btpk_parse(&b, "btpk-" KEY), 0);
	assert_int_equal(b.key[0], 0x85);
	assert_int_equal(b.salt_len, 0);
	assert_string_equal(btpk_name(&b, name), "btpk-" KEY);
	assert_string_equal(btpk_magnet(&b, link), "magnet:?xs=urn:btpk:" KEY);
	assert_int_equal(btpk_parse(&other, "btpk-" UPPER "-6E"), 0);
	assert_string_equal(btpk_name(&other, name), "btpk-" KEY "-6e");
	assert_string_equal(btpk_magnet(&other, link),
			    "magnet:?xs=urn:btpk:" KEY "&s=6e");
	assert_false(btpk_eq(&b, &other));
	assert_true(btpk_eq(&b, &b));
}

static void the_longest_salt_fits_a_name(void **state)
{
	char name[BTPK_NAME_BYTES], text[512] = "btpk-" KEY "-";
	struct btpk b;
	size_t at = strlen(text);

	memset(text + at, 'a', 128);
	assert_int_equal(btpk_parse(&b, text), 0);
	assert_int_equal(b.salt_len, 64);
	assert_string_equal(btpk_name(&b, name), text);
	assert_true(strlen(name) <= 255);
	memset(text + at, 'a', 130);
	assert_int_equal(btpk_parse(&b, text), EINVAL);
}

/* What is not exactly that form never reaches the network. */
static void nothing_else_is_a_name(void **state)
{
	static const char *const wrong[] = {
		"",
		"btpk-",
		KEY,
		"btpk" KEY,
		"BTPK-" KEY,
		" btpk-" KEY,
		"btpk-" KEY " ",
		"btpk-" KEY "-",
		"btpk-" KEY "-6",
		"btpk-" KEY "-6g",
		"btpk-" KEY "6e",
		"btpk-" KEY "-6e-6e",
		"btpk-" KEY ".part",
		"btpk-x543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614a"
		"b36ed63e",
		"btpk-43d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab3"
		"6ed63e",
	};
	struct btpk b;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(btpk_parse(&b, wrong[i]), EINVAL);
}

/* The SHA-1 of key and salt is where the item lies. */
static void bep46s_targets(void **state)
{
	static const uint8_t plain[20] =
		"\xcc\x3f\x9d\x90\xb5\x72\x17\x20\x53\x62"
		"\x6f\x99\x80\xce\x26\x1a\x85\x0d\x05\x0b";
	static const uint8_t salted[20] =
		"\x59\xee\x7c\x2c\xb9\xb4\xf7\xeb\x19\x86"
		"\xee\x2d\x18\xfd\x2f\xdb\x8a\x56\x55\x4f";
	uint8_t hash[20], text[33];
	struct hasher *h;
	struct btpk b;

	assert_int_equal(hasher_new(&h), 0);
	assert_int_equal(btpk_parse(&b, "btpk-" KEY "-6e"), 0);
	hasher_once(h, HASH_SHA1, b.key, 32, hash);
	assert_memory_equal(hash, plain, 20);
	memcpy(text, b.key, 32);
	text[32] = b.salt[0];
	hasher_once(h, HASH_SHA1, text, 33, hash);
	assert_memory_equal(hash, salted, 20);
	hasher_free(h);
}

static void values_say_which_torrent(void **state)
{
	uint8_t text[BTPK_VALUE_BYTES];
	struct info_hash h = {.len = 20}, back;

	memset(h.bytes, 0xab, 20);
	assert_int_equal(btpk_value_write(&h, text), 29);
	assert_memory_equal(text, "d2:ih20:\xab", 9);
	assert_int_equal(btpk_value_read(&back, span_of(text, 29)), 0);
	assert_memory_equal(&back, &h, sizeof(h));
	h.len = 32;
	memset(h.bytes, 0xcd, 32);
	assert_int_equal(btpk_value_write(&h, text), 41);
	assert_int_equal(btpk_value_read(&back, span_of(text, 41)), 0);
	assert_memory_equal(&back, &h, sizeof(h));
}

static void other_values_name_none(void **state)
{
	static const char *const wrong[] = {
		"",
		"de",
		"5:hello",
		"d2:ihi5ee",
		"d2:ih3:abce",
		"d2:ih21:aaaaaaaaaaaaaaaaaaaaae",
		"l20:aaaaaaaaaaaaaaaaaaaae",
		"d2:ih20:aaaaaaaaaaaaaaaaaaaa",
		"d2:ih20:aaaaaaaaaaaaaaaaaaaaex",
	};
	struct info_hash h;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(btpk_value_read(&h, span_str(wrong[i])),
				 EBADMSG);
		assert_int_equal(h.len, 0);
	}
	assert_int_equal(
		btpk_value_read(
			&h, span_str("d1:ai1e2:ih20:aaaaaaaaaaaaaaaaaaaae")),
		0);
}

static void links_name_keys(void **state)
{
	struct mi_error err;
	struct magnet *m;
	struct btpk b;

	assert_int_equal(btpk_parse(&b, "btpk-" KEY "-6e"), 0);
	assert_int_equal(magnet_parse("magnet:?s=6E&xs=urn:btpk:" UPPER "&dn=x",
				      &m, &err),
			 0);
	assert_true(m->has_key && btpk_eq(&m->btpk, &b));
	assert_int_equal(m->id.v1.len, 0);
	magnet_free(m);
	assert_int_equal(magnet_parse("magnet:?xs=urn:btpk:85", &m, &err),
			 EINVAL);
	assert_int_equal(
		magnet_parse("magnet:?xs=urn:btpk:" KEY "&s=6", &m, &err),
		EINVAL);
	assert_int_equal(magnet_parse("magnet:?xs=http://a/b", &m, &err),
			 EINVAL);
	assert_int_equal(magnet_parse("magnet:?s=6e", &m, &err), EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_read_and_written),
		cmocka_unit_test(the_longest_salt_fits_a_name),
		cmocka_unit_test(nothing_else_is_a_name),
		cmocka_unit_test(bep46s_targets),
		cmocka_unit_test(values_say_which_torrent),
		cmocka_unit_test(other_values_name_none),
		cmocka_unit_test(links_name_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
