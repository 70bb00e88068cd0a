/* test_torrent_id — info-hashes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/err.h"
#include "core/torrent_id.h"

#define HEX40 "0123456789abcdef0123456789abcdef01234567"
#define HEX64 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

/* ---- helpers ---- */

static struct torrent_id id_of(const char *v1, const char *v2)
{
	struct torrent_id id = {0};

	if (v1)
		assert_int_equal(info_hash_parse(&id.v1, v1, strlen(v1)), 0);
	if (v2)
		assert_int_equal(info_hash_parse(&id.v2, v2, strlen(v2)), 0);
	return id;
}

/* ---- tests ---- */

/* Hex of both lengths goes both ways; v1 is preferred. */
static void hex_round_trips(void **state)
{
	struct torrent_id one = id_of(HEX40, NULL);
	struct torrent_id two = id_of(NULL, HEX64);
	struct torrent_id both = id_of(HEX40, HEX64);
	char out[TORRENT_HEX_BYTES];

	assert_string_equal(torrent_id_hex(&one, out), HEX40);
	assert_string_equal(torrent_id_hex(&two, out), HEX64);
	assert_string_equal(torrent_id_hex(&both, out), HEX40);
	assert_memory_equal(torrent_id_wire(&both), one.v1.bytes, 20);
	assert_memory_equal(torrent_id_wire(&two), two.v2.bytes, 20);
}

/* Other lengths and digits are refused. */
static void refuses_other_texts(void **state)
{
	struct info_hash h;

	for (size_t len = 0; len <= 64; len++)
		if (len != 32 && len != 40 && len != 64)
			assert_int_equal(info_hash_parse(&h, HEX64, len),
					 EINVAL);
	assert_int_equal(
		info_hash_parse(&h, "x123456789abcdef0123456789abcdef01234567",
				40),
		EINVAL);
	assert_int_equal(
		info_hash_parse(&h, "11111111111111111111111111111111", 32),
		EINVAL);
}

/* Same torrent: some hash shared, none contradicted. */
static void matching(void **state)
{
	struct torrent_id one = id_of(HEX40, NULL);
	struct torrent_id two = id_of(NULL, HEX64);
	struct torrent_id both = id_of(HEX40, HEX64);
	struct torrent_id other = both;

	assert_true(torrent_id_matches(&one, &both));
	assert_true(torrent_id_matches(&both, &two));
	assert_false(torrent_id_matches(&one, &two));
	other.v2.bytes[31] ^= 1;
	assert_false(torrent_id_matches(&both, &other));
	assert_true(torrent_id_matches(&one, &other));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hex_round_trips),
		cmocka_unit_test(refuses_other_texts),
		cmocka_unit_test(matching),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
