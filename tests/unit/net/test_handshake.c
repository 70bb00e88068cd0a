/* Unit tests of net/handshake. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "net/handshake.h"

static struct handshake a_handshake(void)
{
	struct handshake hs = {.has_ext = true, .has_fast = true};

	memset(hs.info_hash, 0x11, sizeof(hs.info_hash));
	memcpy(hs.peer_id, "-SH0100-abcdefghijkl", PEER_ID_BYTES);
	return hs;
}

/* The 68 bytes lie as BEP 3, 5, 6, 10 and 52 say. */
static void bytes_are_where_the_beps_put_them(void **state)
{
	static const uint8_t want_reserved[8] = {0, 0, 0, 0, 0, 0x10, 0, 0x15};
	struct handshake hs = a_handshake();
	uint8_t raw[HANDSHAKE_BYTES];

	hs.has_dht = hs.has_v2 = true;
	handshake_encode(&hs, raw);
	assert_int_equal(raw[0], 19);
	assert_memory_equal(raw + 1, "BitTorrent protocol", 19);
	assert_memory_equal(raw + 20, want_reserved, 8);
	assert_memory_equal(raw + 28, hs.info_hash, 20);
	assert_memory_equal(raw + 48, hs.peer_id, 20);
}

/* Each flag has its own bit: set alone, it alone comes back. */
static void flags_are_independent(void **state)
{
	for (unsigned i = 0; i < 16; i++) {
		struct handshake hs = a_handshake(), got;
		uint8_t raw[HANDSHAKE_BYTES];

		hs.has_ext = (i & 1) != 0;
		hs.has_fast = (i & 2) != 0;
		hs.has_dht = (i & 4) != 0;
		hs.has_v2 = (i & 8) != 0;
		handshake_encode(&hs, raw);
		assert_int_equal(handshake_decode(raw, &got), 0);
		assert_int_equal(got.has_ext, hs.has_ext);
		assert_int_equal(got.has_fast, hs.has_fast);
		assert_int_equal(got.has_dht, hs.has_dht);
		assert_int_equal(got.has_v2, hs.has_v2);
		assert_memory_equal(got.info_hash, hs.info_hash, 20);
		assert_memory_equal(got.peer_id, hs.peer_id, 20);
	}
}

/* A wrong byte is seen as soon as it is there, and not before. */
static void first_wrong_byte_is_refused(void **state)
{
	struct handshake hs = a_handshake(), got;

	for (size_t at = 0; at < HANDSHAKE_BYTES; at++) {
		uint8_t raw[HANDSHAKE_BYTES];

		handshake_encode(&hs, raw);
		raw[at] ^= 0x80;
		assert_true(handshake_check_prefix(raw, at));
		assert_int_equal(handshake_check_prefix(raw, at + 1), at >= 20);
		assert_int_equal(handshake_decode(raw, &got),
				 at >= 20 ? 0 : EPROTO);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_are_where_the_beps_put_them),
		cmocka_unit_test(flags_are_independent),
		cmocka_unit_test(first_wrong_byte_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
