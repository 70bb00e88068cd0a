/* test_magnet — magnet links. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/buf.h"
#include "core/core_limits.h"
#include "core/err.h"
#include "core/magnet.h"
#include "core/mem.h"

#define HEX40 "0123456789abcdef0123456789ABCDEF01234567"
#define HEX64 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define XT    "xt=urn:btih:" HEX40
#define XT2   "xt=urn:btmh:1220" HEX64

/* ---- helpers ---- */

static struct magnet *parsed(const char *text)
{
	struct mi_error err;
	struct magnet *m;

	assert_int_equal(magnet_parse(text, &m, &err), 0);
	return m;
}

/* ---- tests ---- */

/* A full link gives every field, decoded. */
static void reads_every_field(void **state)
{
	struct magnet *m = parsed(
		"MAGNET:?" XT "&" XT2 "&dn=Big+Buck%2BBunny%20%C3%A9"
		"&tr=http%3A%2F%2Ft.example%2Fa%3Fb%3D1&tr.1=udp://u.example:1"
		"&x.pe=1.2.3.4:5&x.pe=[::1]:6&ws=https://w.example/+x"
		"&so=0,2,4-7&unknown=1");
	char hex[TORRENT_HEX_BYTES];

	assert_string_equal(torrent_id_hex(&m->id, hex),
			    "0123456789abcdef0123456789abcdef01234567");
	assert_int_equal(m->id.v2.len, 32);
	assert_int_equal(m->id.v2.bytes[31], 0x1f);
	assert_string_equal(m->name, "Big Buck+Bunny \xc3\xa9");
	assert_int_equal(m->n_trackers, 2);
	assert_string_equal(m->trackers[0], "http://t.example/a?b=1");
	assert_string_equal(m->trackers[1], "udp://u.example:1");
	assert_int_equal(m->n_peers, 2);
	assert_string_equal(m->peers[1], "[::1]:6");
	assert_int_equal(m->n_web_seeds, 1);
	assert_string_equal(m->web_seeds[0], "https://w.example/+x");
	assert_int_equal(m->n_select, 3);
	assert_int_equal(m->select[1].first, 2);
	assert_int_equal(m->select[1].last, 2);
	assert_int_equal(m->select[2].first, 4);
	assert_int_equal(m->select[2].last, 7);
	magnet_free(m);
}

/* Base32, an escaped xt, "&amp;" and fields in any order are understood. */
static void understands_variants(void **state)
{
	static const char *const links[] = {
		"magnet:?xt=urn:btih:AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH",
		"magnet:?xt=urn:btih:aerukz4jvpg66ajdivtytk6n54asgrlh",
		"magnet:?xt=urn%3Abtih%3A" HEX40,
		"magnet:?xt.1=urn:btih:" HEX40,
		"magnet:?dn=x&amp;" XT,
		"magnet:?&&dn&=&" XT "&",
		"magnet:?xt=urn:ed2k:31D6CFE0D16AE931B73C59D7E0C089C0&" XT,
		"magnet:?" XT "&dn=",
	};
	char hex[TORRENT_HEX_BYTES];

	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		struct magnet *m = parsed(links[i]);

		assert_string_equal(torrent_id_hex(&m->id, hex),
				    "0123456789abcdef0123456789abcdef01234567");
		magnet_free(m);
	}
}

/* A link that names no torrent, or a malformed one, is refused in words. */
static void refuses_bad_links(void **state)
{
	static const char *const links[] = {
		"",
		"magnet",
		"magnet:",
		"magnet:?",
		"magnet:?dn=only+a+name",
		"magnet:?xt=",
		"magnet:?xt=urn:btih:",
		"magnet:?xt=urn:btih:0123",
		"magnet:?xt=urn:btih:" HEX40 "0",
		"magnet:?xt=urn:btih:g123456789abcdef0123456789ABCDEF01234567",
		"magnet:?xt=urn:btih:" HEX64,
		"magnet:?xt=urn:btih:0ERUKZ4JVPG66AJDIVTYTK6N54ASGRLH",
		"magnet:?xt=urn:btmh:" HEX64,
		"magnet:?xt=urn:btmh:1220" HEX40,
		"magnet:?xt=urn:btmh:1114" HEX40,
		"magnet:?xt=urn:sha1:" HEX40,
		"http://example.org/?" XT,
		"-o magnet:?" XT,
	};
	struct mi_error err;
	struct magnet *m;

	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		assert_int_equal(magnet_parse(links[i], &m, &err), EINVAL);
		assert_true(strlen(err.text) > 10);
		assert_null(strchr(err.text, '\n'));
		assert_null(m);
	}
}

/* The likely cause of a missing xt is told: a shell cut the link. */
static void says_when_cut(void **state)
{
	struct mi_error err;
	struct magnet *m;

	assert_int_equal(magnet_parse("magnet:?dn=x", &m, &err), EINVAL);
	assert_non_null(strstr(err.text, "quote it"));
}

/* Parts that are of no use are left out, the link stays good. */
static void leaves_bad_parts_out(void **state)
{
	struct magnet *m = parsed(
		"magnet:?" XT "&tr=file:///etc/passwd&tr=ftp://x/&tr=http://"
		"&tr=http:///x&tr=udp://ok.example:1%0d%0aX&tr=%00http://x/"
		"&ws=udp://x:1&ws=ftp://x/y&x.pe=nohost&x.pe=:1&x.pe=h:0"
		"&x.pe=h:65536&x.pe=h:123456&x.pe=a%20b:1&x.pe=http://x:1"
		"&so=a,-1,3-2,5-,1x,99999999999,9");

	assert_int_equal(m->n_trackers, 0);
	assert_int_equal(m->n_web_seeds, 0);
	assert_int_equal(m->n_peers, 0);
	assert_int_equal(m->n_select, 1);
	assert_int_equal(m->select[0].first, 9);
	assert_null(m->name);
	magnet_free(m);
}

/* The name goes through the sanitiser. */
static void cleans_the_name(void **state)
{
	struct magnet *m = parsed("magnet:?" XT "&dn=..%2f..%2fetc%1b%00x");

	assert_string_equal(m->name, ".._.._etc__x");
	magnet_free(m);
}

/* Past a cap the surplus is dropped; past 64 KiB the link is refused. */
static void caps(void **state)
{
	struct buf b = {0};
	struct mi_error err;
	struct magnet *m;

	buf_add_str(&b, "magnet:?" XT "&so=");
	for (int i = 0; i < 2000; i++)
		buf_addf(&b, "%d,", i);
	for (int i = 0; i < 200; i++)
		buf_addf(&b, "&tr=http://t%d/&ws=http://w%d/&x.pe=h:%d", i, i,
			 i + 1);
	m = parsed(buf_cstr(&b));
	assert_int_equal(m->n_trackers, METAINFO_MAX_TRACKERS);
	assert_int_equal(m->n_web_seeds, METAINFO_MAX_WEB_SEEDS);
	assert_int_equal(m->n_peers, MAGNET_MAX_PEERS);
	assert_int_equal(m->n_select, MAGNET_MAX_SELECT);
	magnet_free(m);
	buf_addf(&b, "&dn=%70000s", "x");
	assert_int_equal(magnet_parse(buf_cstr(&b), &m, &err), EFBIG);
	buf_fini(&b);
}

/* What is written is read back the same. */
static void round_trips(void **state)
{
	static const char *const trackers[] = {"http://t.example/a?b=c&d"};
	static const char *const peers[] = {"[::1]:6881", "h.example:1"};
	struct magnet *m = parsed("magnet:?" XT "&" XT2);
	char *text = magnet_format(&m->id, "a&b=c +%", trackers, 1, peers, 2);
	struct magnet *back = parsed(text);

	assert_memory_equal(&m->id, &back->id, sizeof(m->id));
	assert_string_equal(back->name, "a&b=c +%");
	assert_string_equal(back->trackers[0], trackers[0]);
	assert_string_equal(back->peers[0], peers[0]);
	assert_string_equal(back->peers[1], peers[1]);
	magnet_free(back);
	mem_free(text);

	m->id.v1.len = 0;
	text = magnet_format(&m->id, NULL, NULL, 0, NULL, 0);
	assert_string_equal(text, "magnet:?" XT2);
	mem_free(text);
	magnet_free(m);
}

/* Each failing allocation ends in ENOMEM and leaves nothing behind. */
static void survives_no_memory(void **state)
{
	uint64_t before = mem_in_use_bytes();
	struct mi_error err;
	struct magnet *m;
	int r = ENOMEM;

	for (uint64_t n = 0; r == ENOMEM; n++) {
		assert_true(n < 100);
		mem_fail_after(n, 0);
		r = magnet_parse("magnet:?" XT "&dn=n&tr=http://t/&x.pe=h:1"
				 "&ws=http://w/&so=1",
				 &m, &err);
		mem_fail_after(UINT64_MAX, 0);
		if (r == ENOMEM)
			assert_int_equal(mem_in_use_bytes(), before);
	}
	assert_int_equal(r, 0);
	magnet_free(m);
	assert_int_equal(mem_in_use_bytes(), before);
}

/* The scheme alone tells a magnet link. */
static void tells_magnets(void **state)
{
	assert_true(magnet_is("magnet:?xt=x"));
	assert_true(magnet_is("Magnet:"));
	assert_false(magnet_is("magne"));
	assert_false(magnet_is("./magnet:?"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_field),
		cmocka_unit_test(understands_variants),
		cmocka_unit_test(refuses_bad_links),
		cmocka_unit_test(says_when_cut),
		cmocka_unit_test(leaves_bad_parts_out),
		cmocka_unit_test(cleans_the_name),
		cmocka_unit_test(caps),
		cmocka_unit_test(round_trips),
		cmocka_unit_test(survives_no_memory),
		cmocka_unit_test(tells_magnets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
