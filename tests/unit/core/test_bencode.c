/* test_bencode — the decoder and the encoder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/bencode.h"
#include "core/err.h"
#include "core/mem.h"

/* ---- fixture ---- */

static const struct benc_limits strict = {.depth = 16, .tokens = 1000};
static const struct benc_limits lax = {
	.depth = 16,
	.tokens = 1000,
	.flags = BENCODE_LAX_KEYS,
};

/* A literal, with its NULs, without the one that C puts behind it. */
#define LIT(s) s, sizeof(s) - 1

/* ---- helpers ---- */

static struct benc decoded(const char *bytes, size_t len)
{
	struct benc b;

	assert_int_equal(benc_decode(&b, bytes, len, &strict, NULL), 0);
	return b;
}

/* Encodes value r of `b` anew from its parts. */
static void encode_again(const struct benc *b, benc_ref r, struct buf *out)
{
	struct span s;

	switch (benc_type(b, r)) {
	case BENC_INT:
		benc_put_int(out, benc_int(b, r));
		return;
	case BENC_STR:
		s = benc_str(b, r);
		benc_put_str(out, s.ptr, s.len);
		return;
	case BENC_LIST:
		benc_put_list(out);
		break;
	case BENC_DICT:
		benc_put_dict(out);
		break;
	}
	for (r = benc_first(b, r); r != BENC_NONE; r = benc_next(b, r))
		encode_again(b, r, out);
	benc_put_end(out);
}

/* ---- tests ---- */

/* Every malformed input is refused with a reason and a place inside it. */
static void refuses_malformed(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} rows[] = {
		{LIT("")},
		{LIT("e")},
		{LIT("x")},
		{LIT("-1")},
		{LIT("\0")},
		{LIT(" i1e")},
		{LIT("i")},
		{LIT("ie")},
		{LIT("i1")},
		{LIT("i-")},
		{LIT("i-e")},
		{LIT("i-0e")},
		{LIT("i00e")},
		{LIT("i01e")},
		{LIT("i-01e")},
		{LIT("i+1e")},
		{LIT("i 1e")},
		{LIT("i1 e")},
		{LIT("i1.0e")},
		{LIT("i1e5")},
		{LIT("i--1e")},
		{LIT("i0x1e")},
		{LIT("i9223372036854775808e")},
		{LIT("i-9223372036854775809e")},
		{LIT("i18446744073709551616e")},
		{LIT("i99999999999999999999999999999999999999999999999e")},
		{LIT("i1ei2e")},
		{LIT("1")},
		{LIT("1:")},
		{LIT("2:a")},
		{LIT("0")},
		{LIT("00:")},
		{LIT("01:a")},
		{LIT("1a")},
		{LIT("1-:a")},
		{LIT("-1:a")},
		{LIT("4294967296:a")},
		{LIT("9999999999:a")},
		{LIT("99999999999999999999:a")},
		{LIT("1:ab")},
		{LIT("0:\0")},
		{LIT("l")},
		{LIT("l1:a")},
		{LIT("li1e")},
		{LIT("l-e")},
		{LIT("lee")},
		{LIT("ll")},
		{LIT("lle")},
		{LIT("d")},
		{LIT("d1:a")},
		{LIT("d1:ae")},
		{LIT("d1:ai1e")},
		{LIT("d1:ai1e1:be")},
		{LIT("di1ei1ee")},
		{LIT("dlei1ee")},
		{LIT("ddei1ee")},
		{LIT("d1:ai1e1:ai2ee")},
		{LIT("d1:bi1e1:ai2ee")},
		{LIT("d2:aai1e1:ai2ee")},
		{LIT("d1:ai1e0:i2ee")},
		{LIT("d0:i1e0:i2ee")},
		{LIT("d1:a1:b1:a1:ce")},
		{LIT("d1:\xffi1e1:\x7fi1ee")},
		{LIT("ld1:b0:1:a0:ee")},
		{LIT("d1:ad1:xi1e1:xi1eee")},
		{LIT("d1:ai1ee ")},
		{LIT("i1e\n")},
		{LIT("le\0")},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct benc_error err = {0};
		/* A copy of its exact size, so that ASan sees over-reads. */
		char *copy = mem_alloc(rows[i].len);
		struct benc b;
		int r;

		memcpy(copy, rows[i].bytes, rows[i].len);
		r = benc_decode(&b, copy, rows[i].len, &strict, &err);
		if (r != EBADMSG)
			print_error("row %zu: \"%s\"\n", i, rows[i].bytes);
		assert_int_equal(r, EBADMSG);
		assert_non_null(err.why);
		assert_true(err.at <= rows[i].len);
		mem_free(copy);
	}
}

/* Integers keep their value up to both ends of 64 bits. */
static void reads_integers(void **state)
{
	static const struct {
		const char *text;
		int64_t want;
	} rows[] = {
		{"i0e", 0},
		{"i-1e", -1},
		{"i42e", 42},
		{"i9223372036854775807e", INT64_MAX},
		{"i-9223372036854775808e", INT64_MIN},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct benc b = decoded(rows[i].text, strlen(rows[i].text));

		assert_true(benc_int(&b, BENC_ROOT) == rows[i].want);
		benc_fini(&b);
	}
}

/* Strings are bytes: empty ones and NULs included. */
static void reads_strings(void **state)
{
	struct benc b = decoded(LIT("l0:3:a\0be"));
	benc_ref item = benc_first(&b, BENC_ROOT);

	assert_int_equal(benc_str(&b, item).len, 0);
	item = benc_next(&b, item);
	assert_int_equal(benc_str(&b, item).len, 3);
	assert_memory_equal(benc_str(&b, item).ptr, "a\0b", 3);
	assert_int_equal(benc_next(&b, item), BENC_NONE);
	benc_fini(&b);
}

/* Look-ups find by key and type, and miss politely. */
static void looks_up_by_key(void **state)
{
	struct benc b = decoded(LIT("d1:ad1:xi7ee1:b3:str2:bbl1:qee"));
	benc_ref a = benc_get(&b, BENC_ROOT, "a");
	int64_t v = 0;
	struct span s;

	assert_true(benc_is(&b, a, BENC_DICT));
	assert_true(benc_get_int(&b, a, "x", &v));
	assert_int_equal(v, 7);
	assert_true(benc_get_str(&b, BENC_ROOT, "b", &s));
	assert_true(span_is(s, "str"));
	assert_int_equal(benc_count(&b, BENC_ROOT), 3);

	assert_false(benc_get_str(&b, BENC_ROOT, "a", &s));
	assert_int_equal(s.len, 0);
	assert_false(benc_get_int(&b, BENC_ROOT, "b", &v));
	assert_int_equal(benc_get(&b, BENC_ROOT, "zz"), BENC_NONE);
	assert_int_equal(benc_get(&b, BENC_NONE, "a"), BENC_NONE);
	assert_int_equal(benc_get(&b, benc_get(&b, BENC_ROOT, "b"), "a"),
			 BENC_NONE);
	assert_int_equal(benc_get_type(&b, BENC_ROOT, "bb", BENC_DICT),
			 BENC_NONE);
	benc_fini(&b);
}

/* The raw bytes of a value are the bytes that came. */
static void keeps_exact_bytes(void **state)
{
	struct benc b = decoded(LIT("d4:infod1:ai-3e1:blee1:zi0ee"));
	struct span raw = benc_raw(&b, benc_get(&b, BENC_ROOT, "info"));

	assert_true(span_is(raw, "d1:ai-3e1:blee"));
	assert_int_equal(benc_raw(&b, BENC_ROOT).len, b.len);
	benc_fini(&b);
}

/* Walking steps over whole subtrees and stops at the container's end. */
static void walks_siblings(void **state)
{
	struct benc b = decoded(LIT("lli1ei2eed1:k1:vele0:e"));
	static const enum benc_type want[] = {BENC_LIST, BENC_DICT, BENC_LIST,
					      BENC_STR};
	benc_ref r = benc_first(&b, BENC_ROOT);
	benc_ref inner = benc_first(&b, r);

	inner = benc_next(&b, inner);
	assert_int_equal(benc_int(&b, inner), 2);
	assert_int_equal(benc_next(&b, inner), BENC_NONE);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(benc_type(&b, r), want[i]);
		r = benc_next(&b, r);
	}
	assert_int_equal(r, BENC_NONE);
	assert_int_equal(benc_next(&b, BENC_ROOT), BENC_NONE);
	benc_fini(&b);
}

/* Unsorted keys pass when asked for; a key twice never does. */
static void lax_keys(void **state)
{
	struct benc b;

	assert_int_equal(
		benc_decode(&b, LIT("d1:bi1e1:ai2e1:ci3ee"), &lax, NULL), 0);
	assert_int_equal(benc_int(&b, benc_get(&b, BENC_ROOT, "a")), 2);
	assert_int_equal(benc_count(&b, BENC_ROOT), 3);
	benc_fini(&b);
	assert_int_equal(
		benc_decode(&b, LIT("d1:bi1e1:ai2e1:bi3ee"), &lax, NULL),
		EBADMSG);
	assert_int_equal(
		benc_decode(&b, LIT("d1:bi1e1:ade1:cle1:ai3ee"), &lax, NULL),
		EBADMSG);
	assert_int_equal(benc_decode(&b, LIT("d1:bi1e1:bi2ee"), &lax, NULL),
			 EBADMSG);
}

/* Bytes behind the value pass when asked for, and its length is told. */
static void trailing_bytes(void **state)
{
	struct benc_limits limits = strict;
	struct benc b;

	limits.flags = BENCODE_TRAILING_OK;
	assert_int_equal(benc_decode(&b, LIT("d1:ai1eePAYLOAD"), &limits, NULL),
			 0);
	assert_int_equal(b.len, 8);
	assert_int_equal(benc_next(&b, BENC_ROOT), BENC_NONE);
	benc_fini(&b);
	assert_int_equal(benc_decode(&b, LIT("i1ee"), &limits, NULL), 0);
	assert_int_equal(b.len, 3);
	benc_fini(&b);
}

/* Depth is allowed up to the limit and refused one above it. */
static void depth_is_limited(void **state)
{
	char text[64];
	struct benc b;

	memset(text, 'l', 17);
	memset(text + 17, 'e', 17);
	assert_int_equal(benc_decode(&b, text, 34, &strict, NULL), EFBIG);
	assert_int_equal(benc_decode(&b, text + 1, 32, &strict, NULL), 0);
	benc_fini(&b);
}

/* Values are allowed up to the limit and refused one above it. */
static void tokens_are_limited(void **state)
{
	struct benc_limits limits = {.depth = 4, .tokens = 100};
	char text[512] = "l";
	struct benc_error err = {0};
	struct benc b;

	for (size_t i = 0; i < 100; i++)
		memcpy(text + 1 + 2 * i, "0:", 2);
	text[1 + 2 * 99] = 'e';
	assert_int_equal(benc_decode(&b, text, 200, &limits, NULL), 0);
	assert_int_equal(benc_count(&b, BENC_ROOT), 99);
	benc_fini(&b);
	text[1 + 2 * 99] = '0';
	text[1 + 2 * 100] = 'e';
	assert_int_equal(benc_decode(&b, text, 202, &limits, &err), EFBIG);
	assert_non_null(err.why);
}

/* Decoding and encoding again gives the same bytes. */
static void round_trips(void **state)
{
	static const char *const texts[] = {
		"i0e",
		"0:",
		"le",
		"de",
		"i-9223372036854775808e",
		"lllleeee",
		"d0:0:1:a0:2:aa0:e",
		"d1:ad1:bd1:cli1e1:xeeee",
		"ld1:ai1eed1:ai2eei3ee",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct benc b = decoded(texts[i], strlen(texts[i]));
		struct buf out = {0};

		encode_again(&b, BENC_ROOT, &out);
		assert_string_equal(buf_cstr(&out), texts[i]);
		buf_fini(&out);
		benc_fini(&b);
	}
}

/* Each failing allocation ends in ENOMEM and leaves nothing behind. */
static void survives_no_memory(void **state)
{
	char text[400] = "d1:b0:1:a";
	uint64_t before = mem_in_use_bytes();
	struct benc b;
	size_t len = strlen(text);
	int r = ENOMEM;

	text[len++] = 'l';
	for (size_t i = 0; i < 150; i++, len += 2)
		memcpy(text + len, "0:", 2);
	memcpy(text + len, "ee", 2);
	len += 2;
	for (uint64_t n = 0; r == ENOMEM; n++) {
		assert_true(n < 20);
		mem_fail_after(n, 0);
		r = benc_decode(&b, text, len, &lax, NULL);
		mem_fail_after(UINT64_MAX, 0);
		if (r == ENOMEM)
			assert_int_equal(mem_in_use_bytes(), before);
		else
			assert_true(n > 2);
	}
	assert_int_equal(r, 0);
	benc_fini(&b);
	assert_int_equal(mem_in_use_bytes(), before);
}

/* The encoder's forms. */
static void encodes(void **state)
{
	struct buf out = {0};

	benc_put_dict(&out);
	benc_put_cstr(&out, "a");
	benc_put_int(&out, -7);
	benc_put_cstr(&out, "b");
	benc_put_list(&out);
	benc_put_str(&out, "x\0y", 3);
	benc_put_raw(&out, span_str("le"));
	benc_put_end(&out);
	benc_put_end(&out);
	assert_int_equal(out.len, sizeof("d1:ai-7e1:bl3:x.yleee") - 1);
	assert_memory_equal(out.data, "d1:ai-7e1:bl3:x\0yleee", out.len);
	buf_fini(&out);
}

/* What is nested more deeply than was asked for is one token, until it is
 * unfolded; nobody who walks sees what is in it before. */
static void folds_what_is_nested(void **state)
{
	static const char text[] = "d1:ad1:bli1ei2eee1:cle1:di3ee";
	struct benc_limits limits = strict;
	struct benc b, room = {0};
	benc_ref a, in;

	limits.fold_below = 1;
	assert_int_equal(benc_decode(&b, LIT(text), &limits, NULL), 0);
	assert_int_equal(b.n_tok, 7);
	a = benc_get_type(&b, BENC_ROOT, "a", BENC_DICT);
	assert_true(benc_is_folded(&b, a));
	assert_int_equal(benc_count(&b, a), 1);
	assert_int_equal(benc_raw(&b, a).len, sizeof("d1:bli1ei2eee") - 1);
	assert_int_equal(benc_first(&b, a), BENC_NONE);
	assert_int_equal(benc_get(&b, a, "b"), BENC_NONE);
	assert_false(benc_is_folded(&b, BENC_ROOT));
	assert_false(benc_is_folded(&b, benc_get(&b, BENC_ROOT, "c")));
	assert_int_equal(benc_int(&b, benc_get(&b, BENC_ROOT, "d")), 3);

	for (int again = 0; again < 2; again++) {
		assert_int_equal(benc_unfold(&b, a, &room), 0);
		in = benc_get_type(&room, BENC_ROOT, "b", BENC_LIST);
		assert_int_equal(benc_count(&room, in), 2);
		in = benc_next(&room, benc_first(&room, in));
		assert_int_equal(benc_int(&room, in), 2);
	}
	benc_fini(&room);
	benc_fini(&b);
}

/* What is long is not folded, but what it has in it; it can be unfolded all the
 * same, unless it has too many values. */
static void folds_what_is_short(void **state)
{
	struct benc_limits limits = strict;
	struct benc b, room = {0};
	struct buf text = {0};
	benc_ref in;

	benc_put_list(&text);
	benc_put_list(&text);
	for (int i = 0; i < BENCODE_FOLD_BYTES / 4; i++)
		buf_add_str(&text, "li1ee");
	benc_put_end(&text);
	benc_put_end(&text);
	limits.fold_below = 1;
	limits.tokens = BENCODE_FOLD_BYTES / 4 + 3;
	assert_int_equal(benc_decode(&b, text.data, text.len, &limits, NULL),
			 0);
	in = benc_first(&b, BENC_ROOT);
	assert_false(benc_is_folded(&b, in));
	assert_true(benc_is_folded(&b, benc_first(&b, in)));
	assert_int_equal(benc_unfold(&b, in, &room), 0);
	assert_false(benc_is_folded(&room, benc_first(&room, BENC_ROOT)));
	benc_fini(&room);
	benc_fini(&b);

	buf_reset(&text);
	benc_put_list(&text);
	for (int i = 0; i < BENCODE_FOLD_BYTES; i++)
		buf_add_str(&text, "0:");
	benc_put_end(&text);
	limits.tokens = BENCODE_FOLD_BYTES + 1;
	assert_int_equal(benc_decode(&b, text.data, text.len, &limits, NULL),
			 0);
	assert_int_equal(benc_unfold(&b, BENC_ROOT, &room), EFBIG);
	benc_fini(&b);
	buf_fini(&text);
}

/* What is folded has been looked through. */
static void refuses_what_it_folds(void **state)
{
	static const char *const bad[] = {
		"lld1:bi1e1:ai1eeee", "lld1:ai1e1:ai1eeee", "lli01eee",
		"llld1:aeeee",	      "llleee2:",
	};
	struct benc_limits limits = strict;
	struct benc b;

	limits.fold_below = 1;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(
			benc_decode(&b, bad[i], strlen(bad[i]), &limits, NULL),
			EBADMSG);
	limits.flags = BENCODE_LAX_KEYS;
	assert_int_equal(benc_decode(&b, bad[0], strlen(bad[0]), &limits, NULL),
			 0);
	assert_true(b.is_unsorted);
	benc_fini(&b);
	assert_int_equal(benc_decode(&b, bad[1], strlen(bad[1]), &limits, NULL),
			 EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_malformed),
		cmocka_unit_test(reads_integers),
		cmocka_unit_test(reads_strings),
		cmocka_unit_test(looks_up_by_key),
		cmocka_unit_test(keeps_exact_bytes),
		cmocka_unit_test(walks_siblings),
		cmocka_unit_test(lax_keys),
		cmocka_unit_test(trailing_bytes),
		cmocka_unit_test(depth_is_limited),
		cmocka_unit_test(tokens_are_limited),
		cmocka_unit_test(round_trips),
		cmocka_unit_test(survives_no_memory),
		cmocka_unit_test(encodes),
		cmocka_unit_test(folds_what_is_nested),
		cmocka_unit_test(folds_what_is_short),
		cmocka_unit_test(refuses_what_it_folds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
