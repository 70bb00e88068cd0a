/* Unit tests of net/ext. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "core/buf.h"
#include "core/mem.h"
#include "net/ext.h"

/* ---- Helpers ---- */

static struct ext_handshake decoded(const char *text)
{
	struct ext_handshake hs;

	assert_int_equal(ext_decode_handshake(span_str(text), &hs), 0);
	return hs;
}

static int metadata(const char *text, struct ext_metadata *m)
{
	return ext_decode_metadata(span_str(text), m);
}

/* ---- Tests ---- */

/* What we say of ourselves is what the other side reads. */
static void our_handshake_is_read_back(void **state)
{
	static const char *const to[] = {"9.8.7.6:5", "[2001:db8::7]:5"};
	struct ext_ours ours = {.metadata_bytes = 31235,
				.reqq = 500,
				.listen_port = 6881,
				.takes_pex = true,
				.is_upload_only = true};

	for (size_t i = 0; i < 2; i++) {
		struct ext_handshake hs;
		struct buf b = {0};
		struct addr a;

		assert_int_equal(addr_parse(&a, to[i]), 0);
		ours.to = &a;
		ext_put_handshake(&b, &ours);
		assert_int_equal(buf_err(&b), 0);
		assert_int_equal(ext_decode_handshake(buf_span(&b), &hs), 0);
		assert_int_equal(hs.ut_metadata, EXT_ID_UT_METADATA);
		assert_int_equal(hs.ut_pex, EXT_ID_UT_PEX);
		assert_int_equal(hs.lt_donthave, EXT_ID_LT_DONTHAVE);
		assert_true(hs.upload_only);
		assert_int_equal(hs.metadata_bytes, 31235);
		assert_int_equal(hs.reqq, 500);
		assert_int_equal(hs.listen_port, 6881);
		assert_true(hs.has_yourip && addr_eq_host(&hs.yourip, &a));
		assert_int_equal(strncmp(hs.client, "shoalfs ", 8), 0);
		buf_fini(&b);
	}
}

/* Without metadata and port their keys are left out, not sent as 0. */
static void absent_facts_are_not_said(void **state)
{
	struct buf b = {0};
	struct addr a;

	assert_int_equal(addr_parse(&a, "9.8.7.6:5"), 0);
	ext_put_handshake(&b, &(struct ext_ours){.reqq = 500, .to = &a});
	assert_null(strstr(buf_cstr(&b), "metadata_size"));
	assert_null(strstr(buf_cstr(&b), "1:p"));
	buf_fini(&b);
}

/* What is switched off is said to be, and told from what is not named. */
static void off_is_not_the_same_as_unsaid(void **state)
{
	struct ext_handshake hs =
		decoded("d1:md6:ut_pexi0ee11:upload_onlyi0ee");

	assert_int_equal(hs.says, EXT_SAYS_UT_PEX | EXT_SAYS_UPLOAD_ONLY);
	assert_int_equal(hs.ut_pex, 0);
	assert_false(hs.upload_only);
	hs = decoded("d1:md11:lt_donthavei7eee");
	assert_int_equal(hs.says, EXT_SAYS_LT_DONTHAVE);
	assert_int_equal(hs.lt_donthave, 7);
	hs = decoded("d1:md11:ut_metadatai3eee");
	assert_int_equal(hs.says, EXT_SAYS_UT_METADATA);
	assert_int_equal(decoded("de").says, 0);
}

/* A piece that is gone is named in four bytes, no more and no fewer. */
static void donthave_is_four_bytes(void **state)
{
	struct buf b = {0};
	uint32_t ix;

	ext_put_donthave(&b, 0x01020304);
	assert_int_equal(ext_decode_donthave(buf_span(&b), &ix), 0);
	assert_int_equal(ix, 0x01020304);
	assert_int_equal(ext_decode_donthave(span_of(b.data, 3), &ix), EBADMSG);
	assert_int_equal(ext_decode_donthave(span_str("12345"), &ix), EBADMSG);
	buf_fini(&b);
}

/* A known key with a wild value, or of another type, counts as not said. */
static void wild_values_count_as_not_said(void **state)
{
	struct ext_handshake hs = decoded(
		"d1:md11:ut_metadatai256ee13:metadata_sizei33554433e"
		"1:pi65536e4:reqqi-1e11:upload_only1:11:vi3e6:yourip3:abce");

	assert_int_equal(hs.ut_metadata, 0);
	assert_int_equal(hs.metadata_bytes, 0);
	assert_int_equal(hs.listen_port, 0);
	assert_int_equal(hs.reqq, 0);
	assert_false(hs.upload_only);
	assert_false(hs.has_yourip);
	assert_string_equal(hs.client, "");
	hs = decoded("d1:mi7e4:zzzzlee");
	assert_int_equal(hs.ut_metadata, 0);
}

/* A client's name is shown as it is only where that is harmless. */
static void client_is_made_printable(void **state)
{
	struct ext_handshake hs;
	char text[300];

	hs = decoded("d1:v15:\xC2\xB5Torrent 3.5.5e");
	assert_string_equal(hs.client, "\xC2\xB5Torrent 3.5.5");
	/* ESC, DEL, a C1 control, a soft hyphen, a bidi override, cut UTF-8 */
	hs = decoded("d1:v11:a\x1B\x7F\xC2\x9B\xC2\xAD\xE2\x80\xAE\xC3"
		     "e");
	assert_string_equal(hs.client, "a??????????");
	(void)memcpy(text, "d1:v200:", 8);
	memset(text + 8, 'x', 200);
	(void)memcpy(text + 208, "e", 2);
	hs = decoded(text);
	assert_int_equal(strlen(hs.client), EXT_CLIENT_BYTES - 2);
}

/* What is no dictionary, is cut, or nests too deep is refused; keys out of
 * order are not. */
static void malformed_handshakes_are_refused(void **state)
{
	char deep[200];
	struct ext_handshake hs;

	assert_int_equal(ext_decode_handshake(span_str(""), &hs), EBADMSG);
	assert_int_equal(ext_decode_handshake(span_str("le"), &hs), EBADMSG);
	assert_int_equal(ext_decode_handshake(span_str("d1:m"), &hs), EBADMSG);
	memset(deep, 'l', 100);
	memset(deep + 100, 'e', 100);
	assert_int_equal(ext_decode_handshake(span_of(deep, 200), &hs),
			 EBADMSG);
	hs = decoded("d1:v1:x4:reqqi9ee");
	assert_int_equal(hs.reqq, 9);
}

/* Every kind of ut_metadata message comes back as it was put. */
static void metadata_messages_survive_the_wire(void **state)
{
	for (int type = 0; type <= EXT_METADATA_REJECT; type++) {
		struct ext_metadata m = {
			.type = (enum ext_metadata_type)type,
			.piece_ix = 2,
		};
		struct ext_metadata got;
		struct buf b = {0};

		if (type == EXT_METADATA_DATA) {
			m.total_bytes = 34256;
			m.data = span_str("de and what follows");
		}
		ext_put_metadata(&b, &m);
		assert_int_equal(ext_decode_metadata(buf_span(&b), &got), 0);
		assert_int_equal(got.type, m.type);
		assert_int_equal(got.piece_ix, 2);
		assert_int_equal(got.total_bytes, m.total_bytes);
		assert_int_equal(got.data.len, m.data.len);
		if (m.data.len > 0)
			assert_memory_equal(got.data.ptr, m.data.ptr,
					    m.data.len);
		buf_fini(&b);
	}
}

/* Types of later years are told apart from nonsense. */
static void metadata_is_refused_by_reason(void **state)
{
	struct ext_metadata m;

	assert_int_equal(metadata("d8:msg_typei3e5:piecei0ee", &m), EAGAIN);
	assert_int_equal(metadata("d5:piecei0ee", &m), EBADMSG);
	assert_int_equal(metadata("d8:msg_typei0ee", &m), EBADMSG);
	assert_int_equal(metadata("d8:msg_typei0e5:piecei-1ee", &m), EBADMSG);
	assert_int_equal(metadata("d8:msg_typei0e5:piecei2047ee", &m), 0);
	assert_int_equal(metadata("d8:msg_typei0e5:piecei2048ee", &m), EBADMSG);
	assert_int_equal(metadata("d8:msg_typei1e5:piecei0ee", &m), EBADMSG);
}

/* A block is at most 16 KiB. */
static void metadata_block_is_limited(void **state)
{
	static uint8_t block[EXT_METADATA_BLOCK + 1];
	struct ext_metadata m = {.type = EXT_METADATA_DATA}, got;
	struct buf b = {0};

	m.data = span_of(block, EXT_METADATA_BLOCK);
	ext_put_metadata(&b, &m);
	assert_int_equal(ext_decode_metadata(buf_span(&b), &got), 0);
	buf_add_u8(&b, 0);
	assert_int_equal(ext_decode_metadata(buf_span(&b), &got), EBADMSG);
	buf_fini(&b);
}

/* No memory is told apart from a bad message. */
static void no_memory_is_said(void **state)
{
	struct ext_handshake hs;

	mem_fail_after(0, 0);
	assert_int_equal(ext_decode_handshake(span_str("de"), &hs), ENOMEM);
	mem_fail_after(UINT64_MAX, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(our_handshake_is_read_back),
		cmocka_unit_test(absent_facts_are_not_said),
		cmocka_unit_test(off_is_not_the_same_as_unsaid),
		cmocka_unit_test(donthave_is_four_bytes),
		cmocka_unit_test(wild_values_count_as_not_said),
		cmocka_unit_test(client_is_made_printable),
		cmocka_unit_test(malformed_handshakes_are_refused),
		cmocka_unit_test(metadata_messages_survive_the_wire),
		cmocka_unit_test(metadata_is_refused_by_reason),
		cmocka_unit_test(metadata_block_is_limited),
		cmocka_unit_test(no_memory_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
