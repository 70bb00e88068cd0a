/* Unit tests of net/wire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#include "core/addr.h"
#include "core/be.h"
#include "core/buf.h"
#include "core/mem.h"
#include "net/wire.h"

static const struct wire_block a_block = {0x01020304, 0x8000, 0x4000};

/* ---- Helpers ---- */

static struct wire_msg decoded(const struct buf *b)
{
	struct wire_msg m;

	assert_int_equal(be32_get(b->data), b->len - 4);
	assert_int_equal(wire_decode(b->data + 4, b->len - 4, &m), WIRE_OK);
	return m;
}

/* ---- Tests ---- */

/* A REQUEST has BEP 3's bytes: length 13, id 6, three big-endian numbers. */
static void request_has_the_bytes_of_bep3(void **state)
{
	static const uint8_t want[] = {0, 0, 0,	   13, 6, 1, 2,	   3, 4,
				       0, 0, 0x80, 0,  0, 0, 0x40, 0};
	struct buf b = {0};

	wire_put_block(&b, WIRE_REQUEST, &a_block);
	assert_int_equal(b.len, sizeof(want));
	assert_memory_equal(b.data, want, sizeof(want));
	buf_fini(&b);
}

/* Every message comes back from its bytes as it was put. */
static void every_message_survives_the_wire(void **state)
{
	static const enum wire_id plain[] = {
		WIRE_CHOKE,	     WIRE_UNCHOKE,  WIRE_INTERESTED,
		WIRE_NOT_INTERESTED, WIRE_HAVE_ALL, WIRE_HAVE_NONE};
	static const enum wire_id ix[] = {WIRE_HAVE, WIRE_SUGGEST,
					  WIRE_ALLOWED_FAST};
	static const enum wire_id block[] = {WIRE_REQUEST, WIRE_CANCEL,
					     WIRE_REJECT};
	struct buf b = {0};
	struct wire_msg m;

	for (size_t i = 0; i < 6; i++) {
		buf_reset(&b);
		wire_put_plain(&b, plain[i]);
		assert_int_equal(decoded(&b).id, plain[i]);
	}
	for (size_t i = 0; i < 3; i++) {
		buf_reset(&b);
		wire_put_ix(&b, ix[i], 77);
		m = decoded(&b);
		assert_int_equal(m.id, ix[i]);
		assert_int_equal(m.block.piece_ix, 77);
		buf_reset(&b);
		wire_put_block(&b, block[i], &a_block);
		m = decoded(&b);
		assert_int_equal(m.id, block[i]);
		assert_true(wire_block_eq(&m.block, &a_block));
	}
	buf_reset(&b);
	wire_put_bitfield(&b, span_str("\xF0\x80"));
	m = decoded(&b);
	assert_int_equal(m.id, WIRE_BITFIELD);
	assert_true(span_is(m.body, "\xF0\x80"));
	buf_reset(&b);
	wire_put_port(&b, 6881);
	assert_int_equal(decoded(&b).port, 6881);
	buf_reset(&b);
	wire_put_extended(&b, 3, span_str("de"));
	m = decoded(&b);
	assert_int_equal(m.ext_id, 3);
	assert_true(span_is(m.body, "de"));
	buf_fini(&b);
}

/* The three of BEP 52 have root and numbers in its order, and HASHES what is
 * behind them; whatever the numbers are. */
static void hashes_survive_the_wire(void **state)
{
	static const enum wire_id bare[] = {WIRE_HASH_REQUEST,
					    WIRE_HASH_REJECT};
	struct wire_hashes span = {.base = 1,
				   .index = 0xfffffffe,
				   .length = 3,
				   .proof_layers = 0x80000000};
	uint8_t hashes[2 * WIRE_NODE_BYTES];
	struct buf b = {0};
	struct wire_msg m;

	memset(span.root, 'r', sizeof(span.root));
	memset(hashes, 'h', sizeof(hashes));
	for (size_t i = 0; i < 2; i++) {
		buf_reset(&b);
		wire_put_hash_span(&b, bare[i], &span);
		m = decoded(&b);
		assert_int_equal(m.id, bare[i]);
		assert_true(wire_hashes_eq(&m.span, &span));
		assert_int_equal(b.len, 4 + WIRE_HASHES_HEADER);
		assert_int_equal(b.data[4], 21 + 2 * i);
		assert_int_equal(be32_get(b.data + 5 + 32), 1);
		assert_int_equal(be32_get(b.data + 5 + 44), 0x80000000);
		span.root[31]++;
		assert_false(wire_hashes_eq(&m.span, &span));
	}
	buf_reset(&b);
	wire_put_hashes(&b, &span, hashes, 2);
	m = decoded(&b);
	assert_int_equal(m.id, WIRE_HASHES);
	assert_true(wire_hashes_eq(&m.span, &span));
	assert_int_equal(m.body.len, sizeof(hashes));
	assert_memory_equal(m.body.ptr, hashes, sizeof(hashes));
	/* Half a hash is none. */
	assert_int_equal(wire_decode(b.data + 4, b.len - 4 - 16, &m), WIRE_BAD);
	assert_int_equal(wire_decode(b.data + 4, b.len - 4 - 64, &m), WIRE_BAD);
	buf_fini(&b);
}

/* A keep-alive is four zero bytes. */
static void keepalive_is_an_empty_message(void **state)
{
	struct buf b = {0};

	wire_put_keepalive(&b);
	assert_int_equal(b.len, 4);
	assert_int_equal(be32_get(b.data), 0);
	buf_fini(&b);
}

/* A length that does not fit its id is refused, one byte more or less. */
static void wrong_lengths_are_bad(void **state)
{
	uint8_t raw[128] = {0};
	struct wire_msg m;

	for (int id = 0; id <= WIRE_HASH_REJECT; id++) {
		enum wire_result one = wire_check_length((uint8_t)id, 1);
		size_t good = 0;

		if (one == WIRE_UNKNOWN)
			continue;
		raw[0] = (uint8_t)id;
		for (size_t len = 1; len < sizeof(raw) && good == 0; len++)
			if (wire_check_length(raw[0], len) == WIRE_OK)
				good = len;
		assert_true(good > 0);
		if (good > 1)
			assert_int_equal(wire_decode(raw, good - 1, &m),
					 WIRE_BAD);
		if (id != WIRE_BITFIELD && id != WIRE_EXTENDED)
			assert_int_equal(wire_decode(raw, good + 1, &m),
					 WIRE_BAD);
	}
}

/* An id that no BEP of ours names is unknown, whatever its length. */
static void unknown_ids_are_told_apart_from_bad_ones(void **state)
{
	static const uint8_t ids[] = {10, 11, 12, 18, 19, 24, 99, 255};
	struct wire_msg m;

	for (size_t i = 0; i < sizeof(ids); i++)
		assert_int_equal(wire_decode(&ids[i], 1, &m), WIRE_UNKNOWN);
}

/* A PIECE header says which block follows, and refuses an empty one. */
static void piece_header_survives_the_wire(void **state)
{
	uint8_t hdr[WIRE_PIECE_HEADER];
	struct wire_block b;

	wire_encode_piece_header(hdr, &a_block);
	assert_int_equal(be32_get(hdr), 0x4000 + 9);
	assert_int_equal(wire_decode_piece_header(hdr, &b), WIRE_OK);
	assert_true(wire_block_eq(&b, &a_block));
	be32_put(hdr, 9);
	assert_int_equal(wire_decode_piece_header(hdr, &b), WIRE_BAD);
	be32_put(hdr, 100);
	hdr[4] = WIRE_HAVE;
	assert_int_equal(wire_decode_piece_header(hdr, &b), WIRE_BAD);
}

/* The allowed-fast set is BEP 6's example, number for number. */
static void allowed_fast_is_the_example_of_bep6(void **state)
{
	static const uint32_t want[] = {1059, 431,  808, 1217, 287,
					376,  1188, 353, 508};
	uint8_t hash[20];
	uint32_t got[9];
	struct addr peer;

	memset(hash, 0xAA, sizeof(hash));
	assert_int_equal(addr_parse(&peer, "80.4.4.200:1"), 0);
	assert_int_equal(wire_allowed_fast(&peer, hash, 1313, 7, got), 7);
	assert_memory_equal(got, want, 7 * sizeof(*got));
	assert_int_equal(wire_allowed_fast(&peer, hash, 1313, 9, got), 9);
	assert_memory_equal(got, want, sizeof(want));
}

/* A torrent with no more pieces than the set allows is allowed whole; IPv6
 * peers, of whom BEP 6 says nothing, get none; nor does anybody when memory is
 * out. */
static void allowed_fast_has_its_edges(void **state)
{
	uint8_t hash[20] = {0};
	uint32_t got[10];
	struct addr peer;

	assert_int_equal(addr_parse(&peer, "80.4.4.200:1"), 0);
	assert_int_equal(wire_allowed_fast(&peer, hash, 3, 10, got), 3);
	assert_int_equal(got[2], 2);
	assert_int_equal(wire_allowed_fast(&peer, hash, 0, 10, got), 0);
	mem_fail_after(0, 0);
	assert_int_equal(wire_allowed_fast(&peer, hash, 30, 10, got), 0);
	mem_fail_after(UINT64_MAX, 0);
	assert_int_equal(addr_parse(&peer, "[2001:db8::1]:1"), 0);
	assert_int_equal(wire_allowed_fast(&peer, hash, 30, 10, got), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_has_the_bytes_of_bep3),
		cmocka_unit_test(every_message_survives_the_wire),
		cmocka_unit_test(hashes_survive_the_wire),
		cmocka_unit_test(keepalive_is_an_empty_message),
		cmocka_unit_test(wrong_lengths_are_bad),
		cmocka_unit_test(unknown_ids_are_told_apart_from_bad_ones),
		cmocka_unit_test(piece_header_survives_the_wire),
		cmocka_unit_test(allowed_fast_is_the_example_of_bep6),
		cmocka_unit_test(allowed_fast_has_its_edges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
