/* tracker_reply: what is believed of an answer, and what is not; and what of
 * a URL is shown. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/be.h"
#include "core/buf.h"
#include "net/tracker.h"
#include "net/tracker_reply.h"

/* ---- helpers ---- */

static struct tracker_reply r;

static int http(const void *body, size_t len)
{
	memset(&r, 0xee, sizeof(r));
	return tracker_reply_http(&r, span_of(body, len));
}

#define HTTP(literal) http((literal), sizeof(literal) - 1)

static void peer_is(uint32_t ix, const char *text)
{
	char got[ADDR_TEXT_BYTES];

	assert_true(ix < r.n_peers);
	assert_string_equal(addr_format(&r.peers[ix], got), text);
}

/* ---- HTTP ---- */

/* A usual answer: interval, compact peers of both families, our address. */
static void usual(void **state)
{
	assert_int_equal(
		HTTP("d8:completei3e11:external ip4:\x05\x06\x07\x08"
		     "10:incompletei2e8:intervali900e12:min intervali120e"
		     "5:peers12:"
		     "\x01\x02\x03\x04\x1a\xe1\x05\x06\x07\x08\x00\x50"
		     "6:peers618:\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x1a"
		     "\xe1"
		     "10:tracker id3:abc15:warning message2:hme"),
		0);
	assert_false(r.refused);
	assert_int_equal(r.interval_s, 900);
	assert_int_equal(r.min_interval_s, 120);
	assert_int_equal(r.n_peers, 3);
	peer_is(0, "1.2.3.4:6881");
	peer_is(1, "5.6.7.8:80");
	peer_is(2, "[2001:db8::1]:6881");
	assert_true(r.has_external);
	assert_int_equal(be32_get((uint8_t *)&r.external.in4.sin_addr),
			 0x05060708);
	assert_int_equal(r.id_len, 3);
	assert_memory_equal(r.id, "abc", 3);
	assert_string_equal(r.why, "hm");
}

/* The dictionary model gives the same peers; what is wild among its entries
 * is left out and the rest kept. */
static void dictionaries(void **state)
{
	assert_int_equal(
		HTTP("d8:intervali1800e5:peersl"
		     "d2:ip7:1.2.3.47:peer id20:aaaaaaaaaaaaaaaaaaaa"
		     "4:porti6881ee"
		     "d2:ip11:2001:db8::14:porti1ee"
		     "d2:ip7:1.2.3.44:porti0ee" /* no port, or a wild one */
		     "d2:ip7:1.2.3.44:porti65536ee"
		     "d2:ip7:1.2.3.44:porti-1ee"
		     "d2:ip7:1.2.3.44:port4:6881e"
		     "d2:ipi16909060e4:porti6881ee"
		     "d2:ip0:4:porti6881ee" /* no number for an address */
		     "d2:ip11:example.com4:porti6881ee"
		     "d2:ip8:1.2.3.4\0"
		     "4:porti6881ee"
		     "d2:ip7:0.0.0.04:porti6881ee" /* nobody's */
		     "d2:ip9:224.0.0.14:porti6881ee"
		     "i5e3:abclede" /* no dictionaries, or empty ones */
		     "d4:porti6881ee"
		     "d2:ip7:9.9.9.94:porti9ee"
		     "ee"),
		0);
	assert_int_equal(r.n_peers, 3);
	peer_is(0, "1.2.3.4:6881");
	peer_is(1, "[2001:db8::1]:1");
	peer_is(2, "9.9.9.9:9");
}

/* `peers` of an odd length gives the whole addresses in it; of another type,
 * none; port 0 and addresses that are nobody's are left out. */
static void odd_peers(void **state)
{
	assert_int_equal(HTTP("d5:peers8:\x01\x02\x03\x04\x1a\xe1zze"), 0);
	assert_int_equal(r.n_peers, 1);
	assert_int_equal(HTTP("d5:peers5:\x01\x02\x03\x04\x1a"
			      "e"),
			 0);
	assert_int_equal(r.n_peers, 0);
	assert_int_equal(HTTP("d5:peersi7e6:peers6i7ee"), 0);
	assert_int_equal(r.n_peers, 0);
	assert_int_equal(HTTP("d5:peersd1:ai1eee"), 0);
	assert_int_equal(r.n_peers, 0);
	assert_int_equal(HTTP("d5:peers18:\x01\x02\x03\x04\0\0\0\0\0\0\x1a\xe1"
			      "\xff\xff\xff\xff\x1a\xe1"
			      "6:peers617:12345678901234567e"),
			 0);
	assert_int_equal(r.n_peers, 0);
	/* An IPv4 address in IPv6's clothes is that IPv4 address. */
	assert_int_equal(HTTP("d6:peers618:\0\0\0\0\0\0\0\0\0\0\xff\xff"
			      "\x01\x02\x03\x04\x1a\xe1"
			      "e"),
			 0);
	peer_is(0, "1.2.3.4:6881");
}

/* More peers than we take are cut, in either form. */
static void many_peers(void **state)
{
	struct buf b = {0};

	buf_addf(&b, "d5:peers%d:", 6 * 2000);
	for (unsigned i = 0; i < 2000; i++)
		buf_add(&b, "\x01\x02\x03\x04\x1a\xe1", 6);
	buf_add_str(&b, "e");
	assert_int_equal(http(b.data, b.len), 0);
	assert_int_equal(r.n_peers, TRACKER_PEERS_MAX);
	buf_reset(&b);
	buf_add_str(&b, "d5:peersl");
	for (unsigned i = 0; i < TRACKER_PEERS_MAX + 1; i++)
		buf_add_str(&b, "d2:ip7:1.2.3.47:peer id2:xx4:porti81ee");
	buf_add_str(&b, "ee");
	assert_int_equal(http(b.data, b.len), 0);
	assert_int_equal(r.n_peers, TRACKER_PEERS_MAX);
	buf_reset(&b);
	buf_add_str(&b, "d5:peersl");
	for (unsigned i = 0; i < TRACKER_TOKENS_MAX; i++)
		buf_add_str(&b, "de");
	buf_add_str(&b, "ee");
	assert_int_equal(http(b.data, b.len), EFBIG);
	buf_fini(&b);
}

/* Whatever `interval` is, the next announce comes neither at once nor never. */
static void intervals(void **state)
{
	static const struct {
		const char *body;
		uint32_t interval_s, min_s;
	} cases[] = {
		{"de", TRACKER_INTERVAL_S, 0},
		{"d8:intervali0ee", TRACKER_INTERVAL_MIN_S, 0},
		{"d8:intervali-5ee", TRACKER_INTERVAL_MIN_S, 0},
		{"d8:intervali61ee", 61, 0},
		{"d8:intervali9223372036854775807ee", TRACKER_INTERVAL_MAX_S,
		 0},
		{"d8:interval3:abce", TRACKER_INTERVAL_S, 0},
		{"d12:min intervali-1ee", TRACKER_INTERVAL_S, 0},
		{"d12:min intervali9223372036854775807ee", TRACKER_INTERVAL_S,
		 TRACKER_INTERVAL_MAX_S},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(http(cases[i].body, strlen(cases[i].body)), 0);
		assert_int_equal(r.interval_s, cases[i].interval_s);
		assert_int_equal(r.min_interval_s, cases[i].min_s);
	}
}

/* A refusal is one whatever else is said, and its text can be shown. */
static void refusal(void **state)
{
	assert_int_equal(HTTP("d14:failure reason11:go\x1b[31maway"
			      "5:peers6:\x01\x02\x03\x04\x1a\xe1"
			      "e"),
			 0);
	assert_true(r.refused);
	assert_string_equal(r.why, "go?[31maway");
	assert_int_equal(r.n_peers, 0);
	assert_int_equal(HTTP("d14:failure reason0:e"), 0);
	assert_true(r.refused);
	assert_int_equal(HTTP("d14:failure reasoni1ee"), 0);
	assert_false(r.refused);
}

/* What is no dictionary is no answer. What hangs behind one is let pass, and
 * so are keys out of order: trackers do both. */
static void shapes(void **state)
{
	assert_int_equal(HTTP(""), EBADMSG);
	assert_int_equal(HTTP("<html>"), EBADMSG);
	assert_int_equal(HTTP("le"), EBADMSG);
	assert_int_equal(HTTP("i1e"), EBADMSG);
	assert_int_equal(HTTP("3:abc"), EBADMSG);
	assert_int_equal(HTTP("d"), EBADMSG);
	assert_int_equal(HTTP("d5:peers99:xe"), EBADMSG);
	assert_int_equal(HTTP("d5:peers0:8:intervali77ee\r\n"), 0);
	assert_int_equal(r.interval_s, 77);
}

/* A BEP 24 address of a length that none has, and a tracker id longer than we
 * send back, are ignored. */
static void odd_extras(void **state)
{
	struct buf b = {0};

	assert_int_equal(HTTP("d11:external ip5:12345e"), 0);
	assert_false(r.has_external);
	assert_int_equal(HTTP("d11:external ip16:\x20\x01\x0d\xb8\0\0\0\0\0\0\0"
			      "\0\0\0\0\x01"
			      "e"),
			 0);
	assert_true(r.has_external);
	assert_int_equal(r.external.sa.sa_family, AF_INET6);
	buf_addf(&b, "d10:tracker id%d:%0*de", TRACKER_ID_BYTES + 1,
		 TRACKER_ID_BYTES + 1, 0);
	assert_int_equal(http(b.data, b.len), 0);
	assert_int_equal(r.id_len, 0);
	buf_fini(&b);
}

/* ---- UDP ---- */

/* An announce's datagram, of the family it was asked over. */
static void udp_announce(void **state)
{
	uint8_t p[20 + 18 + 3] = {0};

	be32_put(p, 1);
	be32_put(p + 8, 1200);
	memcpy(p + 20, "\x01\x02\x03\x04\x1a\xe1\x05\x06\x07\x08\x00\x00", 12);
	memcpy(p + 32, "\x09\x09\x09\x09\x00\x09", 6);
	assert_int_equal(tracker_reply_udp(&r, span_of(p, sizeof(p)), AF_INET),
			 0);
	assert_int_equal(r.interval_s, 1200);
	assert_int_equal(r.n_peers, 2); /* one has port 0; 3 bytes are over */
	peer_is(1, "9.9.9.9:9");
	memset(p + 20, 0, 18);
	p[20] = 0x20;
	p[21] = 0x01;
	p[37] = 1;
	assert_int_equal(tracker_reply_udp(&r, span_of(p, sizeof(p)), AF_INET6),
			 0);
	assert_int_equal(r.n_peers, 1);
	peer_is(0, "[2001::]:1");
	be32_put(p + 8, 0xffffffff);
	assert_int_equal(tracker_reply_udp(&r, span_of(p, 20), AF_INET), 0);
	assert_int_equal(r.interval_s, TRACKER_INTERVAL_MIN_S);
}

/* Too short at every length, or another action, is no answer. */
static void udp_short(void **state)
{
	struct tracker_udp_head head;
	uint8_t p[20] = {0};
	uint64_t id = 7;

	be32_put(p, 1);
	for (size_t n = 0; n < sizeof(p); n++)
		assert_int_equal(tracker_reply_udp(&r, span_of(p, n), AF_INET),
				 EBADMSG);
	for (size_t n = 0; n < 8; n++)
		assert_int_equal(tracker_reply_udp_head(&head, span_of(p, n)),
				 EBADMSG);
	assert_int_equal(tracker_reply_udp_connect(&id, span_of(p, 16)),
			 EBADMSG);
	be32_put(p, 0);
	for (size_t n = 0; n < 16; n++)
		assert_int_equal(tracker_reply_udp_connect(&id, span_of(p, n)),
				 EBADMSG);
	assert_int_equal(id, 7);
	be64_put(p + 8, 0x1122334455667788);
	assert_int_equal(tracker_reply_udp_connect(&id, span_of(p, 16)), 0);
	assert_int_equal(id, 0x1122334455667788);
	be32_put(p, 2);
	assert_int_equal(tracker_reply_udp(&r, span_of(p, 20), AF_INET),
			 EBADMSG);
}

/* An error's text comes out printable; it may be empty. */
static void udp_error(void **state)
{
	uint8_t p[] = "\0\0\0\x03tttt"
		      "no\nway";

	assert_int_equal(
		tracker_reply_udp(&r, span_of(p, sizeof(p) - 1), AF_INET), 0);
	assert_true(r.refused);
	assert_string_equal(r.why, "no?way");
	assert_int_equal(tracker_reply_udp(&r, span_of(p, 8), AF_INET), 0);
	assert_string_equal(r.why, "");
}

/* ---- text ---- */

/* Good UTF-8 stays, all else becomes '?', and a cut never splits. */
static void text(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"plain", "plain"},
		{"\xd0\xbf\xd1\x80", "\xd0\xbf\xd1\x80"},
		{"a\tb\x7f", "a?b?"},
		{"\xc0\xaf", "??"},	      /* overlong */
		{"\xed\xa0\x80", "???"},      /* a surrogate */
		{"\xf4\x90\x80\x80", "????"}, /* past U+10FFFF */
		{"\xe2\x80\xae"
		 "x",
		 "?x"}, /* turns the line around */
		{"\xc2\x9b"
		 "31m",
		 "?31m"},	    /* C1 */
		{"\xe2\x82", "??"}, /* ends early */
		{"\x80\xff", "??"},
	};
	char out[8];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		tracker_reply_text(out, sizeof(out), span_str(cases[i].in));
		assert_string_equal(out, cases[i].out);
	}
	tracker_reply_text(out, sizeof(out), span_str("123456\xd0\xbf"));
	assert_string_equal(out, "123456");
	tracker_reply_text(out, 1, span_str("x"));
	assert_string_equal(out, "");
}

/* ---- URLs ---- */

/* No key in path, query or user information survives; the rest is readable. */
static void mask(void **state)
{
#define D "\xe2\x80\xa6"
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"http://t.example:6969/announce",
		 "http://t.example:6969/announce"},
		{"https://t.example/0123456789abcdef0123456789abcdef/announce",
		 "https://t.example/" D "/announce"},
		{"https://t.example/announce.php?passkey=s3cr3t&uid=7",
		 "https://t.example/announce.php?passkey=" D "&uid=" D},
		{"http://t.example/announce?s3cr3t",
		 "http://t.example/announce?" D},
		{"http://me:pw@t.example/a", "http://" D "@t.example/a"},
		{"http://a@b@t.example/a", "http://" D "@t.example/a"},
		{"udp://t.example:80/abcdefghijklmnopqrstuvwxyz",
		 "udp://t.example:80/" D},
		{"http://t.example/a?x=", "http://t.example/a?x=" D},
		{"http://t.example/\x1b[0m", "http://t.example/?[0m"},
		{"nonsense", "nonsense"},
		{"", ""},
	};
	char out[128];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		tracker_mask(cases[i].in, out, sizeof(out));
		assert_string_equal(out, cases[i].out);
	}
	for (size_t cap = 1; cap < 64; cap++) {
		char *tight = test_malloc(cap);

		tracker_mask(cases[2].in, tight, cap);
		assert_true(strlen(tight) < cap);
		assert_null(strstr(tight, "s3c"));
		test_free(tight);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(usual),	cmocka_unit_test(dictionaries),
		cmocka_unit_test(odd_peers),	cmocka_unit_test(many_peers),
		cmocka_unit_test(intervals),	cmocka_unit_test(refusal),
		cmocka_unit_test(shapes),	cmocka_unit_test(odd_extras),
		cmocka_unit_test(udp_announce), cmocka_unit_test(udp_short),
		cmocka_unit_test(udp_error),	cmocka_unit_test(text),
		cmocka_unit_test(mask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
