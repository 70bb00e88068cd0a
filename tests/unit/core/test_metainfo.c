/* test_metainfo — torrents that other software made, and hostile ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "core/bencode.h"
#include "core/core_limits.h"
#include "core/err.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "core/piececheck.h"
#include "tests/lib/fixtures/torrents.h"

/* ---- fixture ---- */

static int setup(void **state)
{
	return hasher_new((struct hasher **)state);
}

static int teardown(void **state)
{
	hasher_free(*state);
	return 0;
}

#define P20 "20:aaaaaaaaaaaaaaaaaaaa"
#define P32 "32:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define Z32 \
	"32:\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define V2		"12:meta versioni2e4:name1:n12:piece lengthi16384e"
#define LEAF(len, more) "d0:d" more "6:lengthi" len "e11:pieces root" P32 "ee"

/* ---- helpers ---- */

static struct metainfo *parsed(struct hasher *h, const void *bytes, size_t len)
{
	struct mi_error err;
	struct metainfo *mi;
	int r = metainfo_parse_file(bytes, len, h, &mi, &err);

	if (r != 0)
		print_error("%d: %s\n", r, err.text);
	assert_int_equal(r, 0);
	return mi;
}

/* A .torrent around an info dictionary. */
static struct metainfo *parsed_info(struct hasher *h, const char *info)
{
	struct buf b = {0};
	struct metainfo *mi;

	buf_addf(&b, "d4:info%se", info);
	mi = parsed(h, b.data, b.len);
	buf_fini(&b);
	return mi;
}

static const char *joined(const struct mi_file *f, char out[512])
{
	size_t n = 0;

	for (uint32_t i = 0; i < f->n_path; i++)
		n += (size_t)snprintf(out + n, 512 - n, "%s%s",
				      i > 0 ? "/" : "", f->path[i]);
	return out;
}

static void hex_of(const struct info_hash *h, char out[TORRENT_HEX_BYTES])
{
	struct torrent_id id = {.v1 = *h};

	(void)torrent_id_hex(&id, out);
}

/* The whole of piece space, as the fixture's files fill it. */
static uint8_t *content_of(const struct metainfo *mi)
{
	uint8_t *data = mem_zalloc((size_t)mi->total_bytes, 1);
	unsigned ix = 0;

	for (uint32_t i = 0; i < mi->n_files; i++) {
		const struct mi_file *f = &mi->files[i];

		if (f->attr & MI_ATTR_PAD)
			continue;
		for (uint64_t k = 0; k < f->len_bytes; k++)
			data[f->off_bytes + k] = fixture_byte(ix, k);
		ix++;
	}
	return data;
}

/* `n` files of one name. */
static int parse_equal_names(struct hasher *h, int n, struct metainfo **out,
			     struct mi_error *err)
{
	struct buf b = {0};
	int r;

	buf_add_str(&b, "d4:infod5:filesl");
	for (int i = 0; i < n; i++)
		buf_add_str(&b, "d6:lengthi1e4:pathl5:x.txtee");
	buf_addf(&b, "e4:name1:n12:piece lengthi16384e6:pieces" P20 "ee");
	r = metainfo_parse_file(b.data, b.len, h, out, err);
	buf_fini(&b);
	return r;
}

/* ---- tests ---- */

/* What libtorrent says of its torrents, we say too. */
static void agrees_with_libtorrent(void **state)
{
	for (int i = 0; i < N_FIXTURES; i++) {
		const struct fixture *fx = &fixtures[i];
		struct metainfo *mi = parsed(*state, fx->bytes, fx->len);
		char text[512];
		uint32_t k = 0;

		assert_string_equal(mi->name, fx->name);
		hex_of(&mi->id.v1, text);
		assert_string_equal(text, fx->v1_hex);
		hex_of(&mi->id.v2, text);
		assert_string_equal(text, fx->v2_hex);
		assert_int_equal(mi->piece_bytes, fx->piece_bytes);
		assert_int_equal(mi->n_pieces, fx->n_pieces);
		assert_int_equal(mi->is_private, fx->is_private);
		assert_int_equal(mi->is_single,
				 strstr(fx->label, "many") == NULL &&
					 strstr(fx->label, "wide") == NULL);
		for (unsigned f = 0; f < fx->n_files; f++) {
			/* libtorrent makes up pads for a v2-only torrent */
			if (fx->files[f].is_pad && !mi->has_v1)
				continue;
			assert_true(k < mi->n_files);
			assert_string_equal(joined(&mi->files[k], text),
					    fx->files[f].path);
			assert_int_equal(mi->files[k].off_bytes,
					 fx->files[f].off);
			assert_int_equal(mi->files[k].len_bytes,
					 fx->files[f].len);
			assert_int_equal(!!(mi->files[k].attr & MI_ATTR_PAD),
					 fx->files[f].is_pad);
			k++;
		}
		assert_int_equal(k, mi->n_files);
		if (mi->has_v1)
			assert_int_equal(mi->total_bytes, fx->total);
		metainfo_free(mi);
	}
}

/* Trackers keep their tiers, the web seed and the date are there. */
static void reads_outer_fields(void **state)
{
	for (int i = 0; i < N_FIXTURES; i++) {
		struct metainfo *mi =
			parsed(*state, fixtures[i].bytes, fixtures[i].len);

		assert_int_equal(mi->n_tiers, 2);
		assert_string_equal(mi->tiers[0].urls[0],
				    "http://one.example/announce");
		assert_string_equal(mi->tiers[1].urls[0],
				    "udp://two.example:6969");
		assert_int_equal(mi->n_web_seeds, 1);
		assert_int_equal(mi->created_s, 1700000000);
		metainfo_free(mi);
	}
}

/* In parts of 16 KiB. */
static bool passes_in_parts(struct piececheck *c, struct hasher *h,
			    const uint8_t *data, uint32_t len)
{
	enum { PART_BYTES = 16 << 10 };

	piececheck_begin(c);
	for (uint32_t at = 0; at < len; at += PART_BYTES)
		piececheck_add(c, h, data + at,
			       len - at < PART_BYTES ? len - at : PART_BYTES);
	return piececheck_end(c, h, NULL) == PIECE_RIGHT;
}

/* The same is said of a piece whole and in parts. */
static bool passes(struct metainfo *mi, struct hasher *h, uint32_t ix,
		   const uint8_t *data)
{
	uint32_t len = metainfo_body_bytes(mi, ix);
	bool is_right = metainfo_check_piece(mi, h, ix, data);
	struct piececheck *c;

	assert_int_equal(piececheck_new(mi, ix, &c), 0);
	assert_int_equal(passes_in_parts(c, h, data, len), is_right);
	assert_int_equal(passes_in_parts(c, h, data, len), is_right);
	piececheck_free(c);
	return is_right;
}

/* Every right piece passes; one wrong byte anywhere in it does not. */
static void checks_pieces(void **state)
{
	for (int i = 0; i < N_FIXTURES; i++) {
		struct metainfo *mi =
			parsed(*state, fixtures[i].bytes, fixtures[i].len);
		uint8_t *data = content_of(mi);

		for (uint32_t ix = 0; ix < mi->n_pieces; ix++) {
			uint32_t len = metainfo_body_bytes(mi, ix);
			uint8_t *piece = data + (size_t)ix * mi->piece_bytes;

			assert_true(passes(mi, *state, ix, piece));
			piece[len - 1] ^= 1;
			assert_false(passes(mi, *state, ix, piece));
			piece[len - 1] ^= 1;
		}
		mem_free(data);
		metainfo_free(mi);
	}
}

/* The first pieces from `ix` on that fit it, side by side, one of them wrong:
 * each is said to be what it is by itself. Returns how many. */
static unsigned judge_row(const struct metainfo *mi, struct hasher *h,
			  uint32_t ix, uint8_t *content)
{
	enum { PART_BYTES = 32 << 10 };
	const uint32_t len = metainfo_body_bytes(mi, ix);
	struct piececheck *checks[HASH_ROW_MAX];
	const uint8_t *data[HASH_ROW_MAX];
	uint32_t of[HASH_ROW_MAX];
	struct piececheck_row row;
	unsigned n = 0;
	uint8_t *wrong;

	for (; ix < mi->n_pieces && n < HASH_ROW_MAX; ix++) {
		assert_int_equal(piececheck_new(mi, ix, &checks[n]), 0);
		data[n] = content + (size_t)ix * mi->piece_bytes;
		of[n] = ix;
		if (n == 0 || piececheck_fits(checks[0], checks[n]))
			n++;
		else
			piececheck_free(checks[n]);
	}
	wrong = content + (size_t)of[n / 2] * mi->piece_bytes + len - 1;
	*wrong ^= 1;
	piececheck_row_begin(&row, checks, n);
	for (uint32_t at = 0, part; at < len; at += part) {
		part = len - at < PART_BYTES ? len - at : PART_BYTES;
		piececheck_row_add(&row, h, data, part);
		for (unsigned i = 0; i < n; i++)
			data[i] += part;
	}
	piececheck_row_end(&row);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(piececheck_end(checks[i], h, NULL),
				 i == n / 2 ? PIECE_WRONG : PIECE_RIGHT);
		piececheck_free(checks[i]);
	}
	*wrong ^= 1;
	return n;
}

static void checks_pieces_side_by_side(void **state)
{
	unsigned longest = 0;

	for (int i = 0; i < N_FIXTURES; i++) {
		struct metainfo *mi =
			parsed(*state, fixtures[i].bytes, fixtures[i].len);
		uint8_t *data = content_of(mi);

		for (uint32_t ix = 0; ix < mi->n_pieces; ix++) {
			unsigned n = judge_row(mi, *state, ix, data);

			longest = n > longest ? n : longest;
		}
		mem_free(data);
		metainfo_free(mi);
	}
	assert_true(longest > 3);
}

/* The info dictionary alone is taken for its hash, and for no other. */
static void info_must_match_its_hash(void **state)
{
	for (int i = 0; i < N_FIXTURES; i++) {
		struct metainfo *mi =
			parsed(*state, fixtures[i].bytes, fixtures[i].len);
		struct torrent_id want = mi->id;
		struct mi_error err;
		struct metainfo *bare;

		assert_int_equal(metainfo_parse_info(mi->info.ptr, mi->info.len,
						     &want, *state, &bare,
						     &err),
				 0);
		assert_true(torrent_id_matches(&bare->id, &mi->id));
		assert_int_equal(bare->n_tiers, 0);
		assert_int_equal(bare->n_files, mi->n_files);
		metainfo_free(bare);
		want.v1.bytes[3] ^= 1;
		want.v2.bytes[3] ^= 1;
		assert_int_equal(metainfo_parse_info(mi->info.ptr, mi->info.len,
						     &want, *state, &bare,
						     &err),
				 EBADMSG);
		assert_null(bare);
		metainfo_free(mi);
	}
}

/* Each offset lies in the file that a scan finds, gaps in none. */
static void finds_files_by_offset(void **state)
{
	for (int i = 0; i < N_FIXTURES; i++) {
		struct metainfo *mi =
			parsed(*state, fixtures[i].bytes, fixtures[i].len);

		for (uint64_t off = 0; off <= mi->total_bytes; off++) {
			uint32_t want = 0;

			while (want < mi->n_files &&
			       (off < mi->files[want].off_bytes ||
				off - mi->files[want].off_bytes >=
					mi->files[want].len_bytes))
				want++;
			if (metainfo_file_at(mi, off) != want)
				fail();
		}
		metainfo_free(mi);
	}
}

/* A changed layer, or one that belongs to nothing, condemns the .torrent; one
 * that is absent does not. */
static void layers_must_lead_to_roots(void **state)
{
	const struct fixture *fx = &fixtures[2];
	uint8_t *copy = mem_dup(fx->bytes, fx->len);
	static const char key[] = "12:piece layersd32:";
	uint8_t *layers = memmem(copy, fx->len, key, sizeof(key) - 1);
	uint8_t *root = layers + sizeof(key) - 1;
	struct mi_error err;
	struct metainfo *mi;

	root[40] ^= 1; /* in the hashes */
	assert_int_equal(metainfo_parse_file(copy, fx->len, *state, &mi, &err),
			 EBADMSG);
	assert_non_null(strstr(err.text, "does not match"));
	root[40] ^= 1;
	root[0] ^= 1;
	assert_int_equal(metainfo_parse_file(copy, fx->len, *state, &mi, &err),
			 EBADMSG);
	assert_non_null(strstr(err.text, "no file"));
	root[0] ^= 1;
	layers[3] = 'x';
	mi = parsed(*state, copy, fx->len);
	assert_null(mi->files[2].layer);
	assert_false(passes(mi, *state, 1, copy));
	metainfo_free(mi);
	mem_free(copy);
}

/* What must be refused is, with a line that says why. */
static void refuses_bad_torrents(void **state)
{
#define ROW(text)                      \
	{                              \
		text, sizeof(text) - 1 \
	}
#define PAD(len)   "d4:attr1:p6:lengthi" len "e4:pathl4:.pad1:0ee"
#define L64	   "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define L512	   L64 L64 L64 L64 L64 L64 L64 L64
#define P40	   "40:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define INFO(text) ROW("d4:infod" text "ee")
#define TAIL	   "4:name1:n12:piece lengthi16384e6:pieces" P20
	static const struct {
		const char *bytes;
		size_t len;
	} rows[] = {
		ROW(""),
		ROW("4:info"),
		ROW("le"),
		ROW("de"),
		ROW("d4:infolee"),
		ROW("d4:info1:xe"),
		INFO(""),
		/* piece length */
		INFO("6:lengthi1e4:name1:n6:pieces" P20),
		INFO("6:lengthi1e4:name1:n12:piece lengthi0e6:pieces" P20),
		INFO("6:lengthi1e4:name1:n12:piece lengthi-1e6:pieces" P20),
		INFO("6:lengthi1e4:name1:n12:piece length1:16:pieces" P20),
		INFO("6:lengthi1e4:name1:n12:piece lengthi536870913e6:"
		     "pieces" P20),
		/* name */
		INFO("6:lengthi1e12:piece lengthi16384e6:pieces" P20),
		INFO("6:lengthi1e4:name0:12:piece lengthi16384e6:pieces" P20),
		INFO("6:lengthi1e4:namei1e12:piece lengthi16384e6:pieces" P20),
		/* pieces */
		INFO("6:lengthi1e4:name1:n12:piece lengthi16384e"),
		INFO("6:lengthi1e4:name1:n12:piece lengthi16384e6:piecesi1e"),
		INFO("6:lengthi1e4:name1:n12:piece lengthi16384e6:pieces0:"),
		INFO("6:lengthi1e4:name1:n12:piece lengthi16384e6:pieces"
		     "19:aaaaaaaaaaaaaaaaaaa"),
		INFO("6:lengthi16385e" TAIL),
		INFO("6:lengthi1e4:name1:n12:piece lengthi16384e6:pieces"
		     "40:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
		INFO("6:lengthi281474976710656e4:name1:n12:piece lengthi1e"
		     "6:pieces" P20),
		/* lengths */
		INFO("6:lengthi-1e" TAIL),
		INFO("6:lengthi0e" TAIL),
		INFO("6:length1:1" TAIL),
		INFO(TAIL),
		INFO("6:lengthi281474976710657e" TAIL),
		INFO("6:lengthi9223372036854775807e" TAIL),
		/* files */
		INFO("5:filesi1e" TAIL),
		INFO("5:filesle" TAIL),
		INFO("5:filesl1:xe" TAIL),
		INFO("5:filesld4:pathl1:aeee" TAIL),
		INFO("5:filesld6:lengthi1eee" TAIL),
		INFO("5:filesld6:lengthi1e4:path1:aee" TAIL),
		INFO("5:filesld6:lengthi1e4:pathli1eeee" TAIL),
		INFO("5:filesld6:lengthi-1e4:pathl1:aeee" TAIL),
		INFO("5:filesld6:length1:14:pathl1:aeee" TAIL),
		INFO("5:filesld6:lengthi0e4:pathl1:aeee" TAIL),
		INFO("5:filesld4:attr1:p6:lengthi9e4:pathl1:aeee" TAIL),
		INFO("5:filesld4:attr1:l6:lengthi0e4:pathl1:aeee" TAIL),
		INFO("5:filesld4:attr1:l4:pathl1:ae12:symlink path1:xed6:"
		     "lengthi1e4:pathl1:beee" TAIL),
		INFO("5:filesld4:attr1:l4:pathl1:ae12:symlink pathli1eeed6:"
		     "lengthi1e4:pathl1:beee" TAIL),
		/* v2 */
		INFO("9:file treed1:n" LEAF(
			"1", "") "e12:meta versioni3e"
				 "4:name1:n12:piece lengthi16384e"),
		INFO("9:file treed1:n" LEAF(
			"1", "") "e12:meta version1:2"
				 "4:name1:n12:piece lengthi16384e"),
		INFO(V2),
		INFO("9:file treei1e" V2),
		INFO("9:file treede" V2),
		INFO("9:file treed1:ni1ee" V2),
		INFO("9:file treed1:nd0:i1eee" V2),
		INFO("9:file treed1:nd0:d6:lengthi1e11:pieces root" P32
		     "e1:xdeee" V2),
		INFO("9:file treed0:d6:lengthi1e11:pieces root" P32 "ee" V2),
		INFO("9:file treed1:nd0:d6:lengthi1eeee" V2),
		INFO("9:file treed1:nd0:d6:lengthi1e11:pieces root" P20
		     "eee" V2),
		INFO("9:file treed1:nd0:d6:lengthi1e11:pieces root" Z32
		     "eee" V2),
		INFO("9:file treed1:nd0:d11:pieces root" P32 "eee" V2),
		INFO("9:file treed1:n" LEAF("-1", "") "e" V2),
		INFO("9:file treed1:n" LEAF("0", "") "e" V2),
		INFO("9:file treed1:n" LEAF("1", "4:attr1:p") "e" V2),
		INFO("9:file treed1:n" LEAF("281474976710657", "") "e" V2),
		INFO("9:file treed1:n" LEAF("281474976710656", "") "e" V2),
		INFO("9:file treed1:n" LEAF(
			"1", "") "e12:meta versioni2e"
				 "4:name1:n12:piece lengthi8192e"),
		INFO("9:file treed1:n" LEAF(
			"1", "") "e12:meta versioni2e"
				 "4:name1:n12:piece lengthi49152e"),
		/* unsorted, and an integer with a leading zero */
		INFO("12:meta versioni2e9:file treed1:n" LEAF(
			"1", "") "e"
				 "4:name1:n12:piece lengthi16384e"),
		INFO("9:file treed1:n" LEAF("01", "") "e" V2),
		/* layers */
		ROW("d4:infod9:file treed1:n" LEAF(
			"20000", "") "e" V2 "e12:piece layersi1ee"),
		ROW("d4:infod9:file treed1:n" LEAF(
			"20000", "") "e" V2 "e12:piece layersd" P32 "i1eee"),
		ROW("d4:infod9:file treed1:n" LEAF(
			"20000", "") "e" V2 "e12:piece layersd" P32 P32 "ee"),
		ROW("d4:infod9:file treed1:n" LEAF(
			"20000", "") "e" V2 "e12:piece layersd" P32 "3:xxxee"),
		ROW("d4:infod9:file treed1:n" LEAF(
			"1", "") "e" V2 "e12:piece layersd" P32 P32 "ee"),
		/* 512 bytes and one, as if it were sixteen pieces */
		ROW("d4:infod9:file treed1:n" LEAF(
			"262144", "") "e" V2 "e12:piece layersd" P32 "513:" L512
				      "xee"),
		/* a symlink without a target is no file without a root */
		INFO("9:file treed1:nd0:d4:attr1:l6:lengthi1eeee" V2),
		/* hybrids: other length, name, kind, number, place */
		INFO("9:file treed1:n" LEAF("1", "") "e6:lengthi2e" V2
						     "6:pieces" P20),
		INFO("9:file treed1:m" LEAF("1", "") "e6:lengthi1e" V2
						     "6:pieces" P20),
		INFO("9:file treed1:n" LEAF("1", "") "e5:filesld6:lengthi1e"
						     "4:pathl1:neee" V2
						     "6:pieces" P20),
		INFO("9:file treed1:a" LEAF("1", "") "1:b" LEAF(
			"1", "") "e5:filesld6:lengthi1e4:pathl1:aeee" V2
				 "6:pieces" P20),
		INFO("9:file treed1:a" LEAF(
			"1", "") "e5:filesld6:lengthi1e"
				 "4:pathl1:aeed6:lengthi1e4:pathl1:beee" V2
				 "6:pieces" P20),
		INFO("9:file treed1:a" LEAF("1", "") "1:b" LEAF(
			"1", "") "e5:filesld6:lengthi1e4:pathl1:aeed6:"
				 "lengthi1e4:pathl1:"
				 "beee" V2 "6:pieces" P20),
		/* order; one a link and the other not; padding that is short,
		 * long, or a piece too much */
		INFO("9:file treed1:a" LEAF("1", "") "1:b" LEAF(
			"1", "") "e5:filesld6:lengthi1e4:pathl1:"
				 "bee" PAD("16383") "d6:lengthi1e4:"
						    "pathl1:aeee" V2
						    "6:pieces" P40),
		INFO("9:file treed1:ad0:d6:lengthi0eee1:b" LEAF(
			"1", "") "e5:filesld4:attr1:l4:pathl1:ae12:symlink "
				 "pathl1:beed6:lengthi1e4:pathl1:beee" V2
				 "6:pieces" P20),
		INFO("9:file treed1:a" LEAF("1", "") "1:b" LEAF(
			"1", "") "e5:filesld6:lengthi1e4:pathl1:"
				 "aee" PAD("16382") "d6:lengthi1e4:"
						    "pathl1:beee" V2
						    "6:pieces" P20),
		INFO("9:file treed1:a" LEAF("1", "") "1:b" LEAF(
			"1", "") "e5:filesld6:lengthi1e4:pathl1:"
				 "aee" PAD("16384") "d6:lengthi1e4:"
						    "pathl1:beee" V2
						    "6:pieces" P40),
		INFO("9:file treed1:a" LEAF(
			"1", "") "e5:filesld6:lengthi1e4:pathl1:"
				 "aee" PAD("16384") "e" V2 "6:pieces" P40),
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mi_error err;
		struct metainfo *mi = NULL;
		int r = metainfo_parse_file(rows[i].bytes, rows[i].len, *state,
					    &mi, &err);

		if (r != EBADMSG && r != EFBIG)
			print_error("row %zu (%d): %s\n", i, r, rows[i].bytes);
		assert_true(r == EBADMSG || r == EFBIG);
		assert_true(strlen(err.text) > 5);
		assert_null(mi);
	}
}

/* A hybrid whose lists agree is taken, with and without padding at its end. */
static void takes_hybrids_that_agree(void **state)
{
	struct metainfo *mi = parsed_info(
		*state,
		"d9:file treed1:a" LEAF("1", "") "1:b" LEAF(
			"1", "") "1:cd0:d6:lengthi0eeee"
				 "5:filesld6:lengthi1e4:pathl1:aee" PAD(
					 "16383") "d6:lengthi1e4:pathl1:bee"
						  "d6:lengthi0e4:pathl1:ceee" V2
						  "6:pieces" P40 "e");

	assert_int_equal(mi->n_pieces, 2);
	assert_int_equal(mi->content_bytes, 2);
	metainfo_free(mi);
	mi = parsed_info(
		*state,
		"d9:file treed1:a" LEAF(
			"1", "") "e"
				 "5:filesld6:lengthi1e4:"
				 "pathl1:aee" PAD("16383") "e" V2 "6:pieces" P20
							   "e");
	assert_int_equal(mi->n_pieces, 1);
	metainfo_free(mi);
}

/* Paths are cleaned, and names that meet are told apart by their order. */
static void paths_are_clean_and_unique(void **state)
{
	static const char *const want[] = {
		"a",  "a.1/b", "a.1/c", "x.txt", "x.1.txt", "_",   "_.1",
		"q_", "q_.1",  "d/e",	"d.1",	 "etc/pw",  "utf",
	};
	struct metainfo *mi = parsed_info(
		*state, "d5:filesl"
			"d6:lengthi1e4:pathl1:aee"
			"d6:lengthi1e4:pathl1:a1:bee"
			"d6:lengthi1e4:pathl1:a1:cee"
			"d6:lengthi1e4:pathl5:x.txtee"
			"d6:lengthi1e4:pathl5:x.txtee"
			"d6:lengthi1e4:pathlee"
			"d6:lengthi1e4:pathl2:..0:1:.ee"
			"d6:lengthi1e4:pathl2:q\x01"
			"ee"
			"d6:lengthi1e4:pathl2:q\x02"
			"ee"
			"d6:lengthi1e4:pathl1:d1:eee"
			"d6:lengthi1e4:pathl1:dee"
			"d6:lengthi1e4:pathl2:..3:etc2:pwee"
			"d6:lengthi1e4:pathl3:badee"
			"e4:name1:n12:piece lengthi16384e6:pieces" P20 "e");
	char text[512];

	for (uint32_t i = 0; i + 1 < mi->n_files; i++)
		assert_string_equal(joined(&mi->files[i], text), want[i]);
	assert_string_equal(joined(&mi->files[12], text), "bad");
	metainfo_free(mi);

	mi = parsed_info(*state,
			 "d5:filesld6:lengthi1e4:pathl3:bade10:path.utf-8l3:"
			 "utfeee4:name3:bad10:name.utf-84:good12:piece "
			 "lengthi3e6:pieces" P20 "e");
	assert_string_equal(joined(&mi->files[0], text), "utf");
	assert_string_equal(mi->name, "good");
	metainfo_free(mi);
}

/* Attributes of BEP 47; pad files need no names of their own. */
static void attributes(void **state)
{
	struct metainfo *mi = parsed_info(
		*state, "d5:filesl"
			"d4:attr2:xh6:lengthi1e4:pathl1:aee"
			"d4:attr1:p6:lengthi9e4:pathl4:.pad1:9ee"
			"d4:attr1:p6:lengthi9e4:pathl4:.pad1:9ee"
			"d6:lengthi1e4:pathl22:_____padding_file_0_xyee"
			"d4:attr1:l6:lengthi7e4:pathl1:le12:symlink "
			"pathl1:x1:.2:..1:a3:b/cee"
			"e4:name1:n12:piece lengthi16384e6:pieces" P20 "e");

	assert_int_equal(mi->files[0].attr, MI_ATTR_EXEC | MI_ATTR_HIDDEN);
	for (uint32_t i = 1; i <= 3; i++) {
		assert_int_equal(mi->files[i].attr, MI_ATTR_PAD);
		assert_string_equal(mi->files[i].path[0], ".pad");
	}
	assert_int_equal(mi->files[4].attr, MI_ATTR_SYMLINK);
	assert_int_equal(mi->files[4].len_bytes, 0);
	assert_string_equal(mi->files[4].symlink, "a/b_c");
	assert_int_equal(mi->total_bytes, 20);
	metainfo_free(mi);
}

/* A link's target is resolved as text; one that leaves the torrent, even to
 * come back, that is absolute, or that is the torrent itself, is none. */
static void targets_of_links(void **state)
{
	static const struct {
		const char *path, *target;
	} rows[] = {
		{"l1:ae", "a"},
		{"l1:a1:be", "a/b"},
		{"l1:a2:..1:be", "b"},
		{"l1:.1:ae", "a"},
		{"l3:...e", "..."},
		{"l1:a9:../../etce", "a/.._.._etc"},
		{"l2:..1:ae", NULL},
		{"l1:a2:..2:..1:ae", NULL},
		{"l11:/etc/passwde", NULL},
		{"l0:3:etc6:passwde", NULL},
		{"l1:a2:..e", NULL},
		{"l1:.e", NULL},
		{"le", NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct metainfo *mi;
		char text[512];

		(void)snprintf(text, sizeof(text),
			       "d5:filesld4:attr1:l4:pathl1:le12:symlink path"
			       "%sed6:lengthi1e4:pathl1:beee4:name1:n12:piece "
			       "lengthi16384e6:pieces" P20 "e",
			       rows[i].path);
		mi = parsed_info(*state, text);
		assert_int_equal(mi->files[0].attr, MI_ATTR_SYMLINK);
		if (rows[i].target)
			assert_string_equal(mi->files[0].symlink,
					    rows[i].target);
		else
			assert_null(mi->files[0].symlink);
		metainfo_free(mi);
	}
}

/* 500 equal names are told apart; ten thousand are refused within a second. */
static void equal_names_are_limited(void **state)
{
	struct mi_error err;
	struct metainfo *mi;
	clock_t start;

	assert_int_equal(parse_equal_names(*state, 500, &mi, &err), 0);
	assert_string_equal(mi->files[499].path[0], "x.499.txt");
	metainfo_free(mi);
	start = clock();
	assert_int_equal(parse_equal_names(*state, 10000, &mi, &err), EBADMSG);
	assert_non_null(strstr(err.text, "of one name"));
	assert_true(clock() - start < CLOCKS_PER_SEC);
}

/* Addresses of other schemes, doubles and malformed ones are left out. */
static void filters_urls(void **state)
{
	static const char text[] =
		"d8:announce10:http://no/13:announce-listl"
		"l11:http://a/x 8:file:///11:http://a/x 9:ftp://b/yel"
		"14:udp://t:80/\x01xxel11:http://a/x 9:UDP://u:1ei3ee"
		"9:httpseedsl14:http://s/x?y=19:udp://x:114:http://s/x?y=1"
		"i0e11:https://s/xe"
		"4:infod6:lengthi1e4:name1:n12:piece lengthi16384e6:pieces" P20
		"e8:url-listl11: http://w/x9:udp://x:19:ftp://b/y0:i1eee";
	struct metainfo *mi = parsed(*state, text, sizeof(text) - 1);

	assert_int_equal(mi->n_tiers, 2);
	assert_int_equal(mi->tiers[0].n, 1);
	assert_string_equal(mi->tiers[0].urls[0], "http://a/x");
	assert_int_equal(mi->tiers[1].n, 1);
	assert_string_equal(mi->tiers[1].urls[0], "UDP://u:1");
	assert_int_equal(mi->n_web_seeds, 1);
	assert_string_equal(mi->web_seeds[0], "http://w/x");
	assert_int_equal(mi->n_http_seeds, 2);
	assert_string_equal(mi->http_seeds[0], "http://s/x?y=1");
	assert_string_equal(mi->http_seeds[1], "https://s/x");
	metainfo_free(mi);
}

/* What a path was called before it was cleaned is kept, and only then. */
static void keeps_raw_names(void **state)
{
	static const char text[] =
		"d4:infod5:filesl"
		"d6:lengthi1e4:pathl1:a5:x.txtee"
		"d6:lengthi1e4:pathl1:a5:x.txtee"
		"d6:lengthi1e4:pathl1:b0:3:c\nd2:..eee"
		"4:name3:n/m12:piece lengthi16384e6:pieces" P20 "ee";
	struct metainfo *mi = parsed(*state, text, sizeof(text) - 1);

	assert_string_equal(mi->name, "n_m");
	assert_true(span_is(mi->raw_name, "n/m"));
	assert_null(mi->files[0].raw);
	assert_string_equal(mi->files[1].path[1], "x.1.txt");
	assert_true(span_is(mi->files[1].raw[1], "x.txt"));
	assert_int_equal(mi->files[2].n_path, 2);
	assert_true(span_is(mi->files[2].raw[0], "b"));
	assert_true(span_is(mi->files[2].raw[1], "c\nd"));
	metainfo_free(mi);
}

/* A v2 tree may be as deep as the limit and no deeper. */
static void tree_depth_is_limited(void **state)
{
	for (int depth = METAINFO_MAX_DEPTH; depth <= METAINFO_MAX_DEPTH + 1;
	     depth++) {
		struct buf b = {0};
		struct mi_error err;
		struct metainfo *mi;
		int r;

		buf_add_str(&b, "d4:infod9:file tree");
		for (int i = 0; i < depth; i++)
			buf_add_str(&b, "d1:a");
		buf_add_str(&b, LEAF("1", ""));
		for (int i = 0; i < depth; i++)
			buf_add_str(&b, "e");
		buf_add_str(&b, V2 "ee");
		r = metainfo_parse_file(b.data, b.len, *state, &mi, &err);
		assert_int_equal(r, depth > METAINFO_MAX_DEPTH ? EFBIG : 0);
		metainfo_free(mi);
		buf_fini(&b);
	}
}

/* Entries that are longer than what is folded (bencode.h) are read like short
 * ones, whatever else they have in them. */
static void long_entries(void **state)
{
	struct buf b = {0};
	struct metainfo *mi;
	char text[512];
	int n = BENCODE_FOLD_BYTES / 2;

	buf_add_str(&b, "d5:filesl");
	for (int i = 0; i < 2; i++) {
		buf_addf(&b, "d4:attr1:%c6:lengthi1e4:pathl1:d1:%de",
			 i == 0 ? 'x' : 'l', i);
		buf_add_str(&b, "12:symlink pathl1:d1:0e1:zl");
		for (int k = 0; k < n; k++)
			buf_add_str(&b, "le");
		buf_add_str(&b, "ee");
	}
	buf_add_str(&b, "e4:name1:n12:piece lengthi16384e6:pieces" P20 "e");
	assert_non_null(buf_cstr(&b));
	mi = parsed_info(*state, (const char *)b.data);
	assert_int_equal(mi->n_files, 2);
	assert_string_equal(joined(&mi->files[0], text), "d/0");
	assert_int_equal(mi->files[0].attr, MI_ATTR_EXEC);
	assert_string_equal(joined(&mi->files[1], text), "d/1");
	assert_string_equal(mi->files[1].symlink, "d/0");
	metainfo_free(mi);
	buf_fini(&b);
}

/* Directories of a v2 tree that are folded, and such that are not, in one
 * another; a file whose fields are long. */
static void long_directories(void **state)
{
	struct buf b = {0};
	struct metainfo *mi;
	char text[512], want[512];
	const uint32_t n = BENCODE_FOLD_BYTES / 64;

	buf_add_str(&b, "d9:file treed4:longd");
	for (uint32_t i = 0; i < n; i++)
		buf_addf(
			&b,
			"3:%03ud1:a" LEAF("1", "") "1:bd1:c" LEAF("2", "") "ee",
			i);
	buf_add_str(&b, "e5:plaind0:d1:Al");
	for (uint32_t i = 0; i < 2 * n; i++)
		buf_add_str(&b, "lli1eee");
	for (uint32_t i = 0; i < BENCODE_FOLD_BYTES / 4; i++)
		buf_add_str(&b, "1:x");
	buf_addf(&b, "e6:lengthi3e11:pieces root32:%032uee", 7);
	buf_add_str(&b, "e" V2 "e");
	assert_non_null(buf_cstr(&b));
	mi = parsed_info(*state, (const char *)b.data);
	assert_int_equal(mi->n_files, 2 * n + 1);
	assert_false(mi->is_single);
	for (uint32_t i = 0; i < n; i++) {
		(void)snprintf(want, sizeof(want), "long/%03u/a", i);
		assert_string_equal(joined(&mi->files[2 * i], text), want);
		(void)snprintf(want, sizeof(want), "long/%03u/b/c", i);
		assert_string_equal(joined(&mi->files[2 * i + 1], text), want);
		assert_int_equal(mi->files[2 * i + 1].len_bytes, 2);
	}
	assert_string_equal(joined(&mi->files[2 * n], text), "plain");
	assert_int_equal(mi->files[2 * n].len_bytes, 3);
	assert_int_equal(mi->files[2 * n].root[31], '7');
	metainfo_free(mi);
	buf_fini(&b);
}

/* Thousands of names, some of them twice: each directory knows its own. */
static void names_by_the_thousand(void **state)
{
	enum { N = 20000 };
	struct buf b = {0};
	struct metainfo *mi;
	char text[512], want[512];

	buf_add_str(&b, "d5:filesl");
	for (int i = 0; i < N; i++)
		buf_addf(&b, "d6:lengthi1e4:pathl4:%04d5:%05dee", i % 100,
			 i % (N / 2));
	buf_addf(&b, "e4:name1:n12:piece lengthi16384e6:pieces40:%040de", 0);
	assert_non_null(buf_cstr(&b));
	mi = parsed_info(*state, (const char *)b.data);
	assert_int_equal(mi->n_files, N);
	for (int i = 0; i < N; i++) {
		(void)snprintf(want, sizeof(want), "%04d/%05d%s", i % 100,
			       i % (N / 2), i < N / 2 ? "" : ".1");
		assert_string_equal(joined(&mi->files[i], text), want);
	}
	metainfo_free(mi);
	buf_fini(&b);
}

/* Bytes that are given are taken by a torrent, and by nothing else; who holds
 * it has them until he frees it. */
static void takes_what_it_is_made_of(void **state)
{
	const uint64_t before = mem_in_use_bytes();
	const struct fixture *fx = &fixtures[0];
	uint8_t *bytes = mem_dup(fx->bytes, fx->len), *given = bytes;
	struct metainfo *mi, *held;
	struct mi_error err;

	assert_int_equal(metainfo_make(&given, fx->len - 1, *state, &mi, &err),
			 EBADMSG);
	assert_ptr_equal(given, bytes);
	assert_null(mi);
	assert_int_equal(metainfo_make(&given, fx->len, *state, &mi, &err), 0);
	assert_null(given);
	assert_ptr_equal(mi->file.ptr, bytes);
	assert_int_equal(mi->file.len, fx->len);
	held = metainfo_hold(mi);
	metainfo_free(mi);
	assert_memory_equal(held->file.ptr, fx->bytes, fx->len);
	given = metainfo_unmake(held);
	assert_ptr_equal(given, bytes);
	mem_free(given);
	assert_int_equal(mem_in_use_bytes(), before);
}

/* What metainfo_encode writes is read back the same, and strict. */
static void encode_round_trips(void **state)
{
	static const char *const path[] = {"d", "f.bin"};
	static const char *const trackers[] = {"http://a/", "udp://b:1"};
	const struct mi_source_file files[] = {
		{.path = path, .n_path = 2, .len_bytes = 20000},
		{.path = path + 1, .n_path = 1, .len_bytes = 5},
	};
	const struct mi_source src = {
		.name = "made",
		.files = files,
		.n_files = 2,
		.piece_bytes = 16384,
		.v1_hashes =
			(const uint8_t
				 *)"0123456789012345678901234567890123456789",
		.n_pieces = 2,
		.trackers = trackers,
		.n_trackers = 2,
		.is_private = true,
		.created_s = 5,
	};
	const struct benc_limits strict = {.depth = 8, .tokens = 100};
	struct buf b = {0};
	struct metainfo *mi;
	struct benc doc;

	assert_int_equal(metainfo_encode(&src, &b), 0);
	assert_int_equal(benc_decode(&doc, b.data, b.len, &strict, NULL), 0);
	benc_fini(&doc);
	mi = parsed(*state, b.data, b.len);
	assert_string_equal(mi->name, "made");
	assert_int_equal(mi->n_files, 2);
	assert_string_equal(mi->files[0].path[1], "f.bin");
	assert_int_equal(mi->files[1].off_bytes, 20000);
	assert_int_equal(mi->n_tiers, 2);
	assert_true(mi->is_private);
	assert_int_equal(mi->created_s, 5);
	assert_memory_equal(mi->v1_hashes, src.v1_hashes, 40);
	metainfo_free(mi);
	buf_fini(&b);
}

/* Each failing allocation ends in ENOMEM and leaves nothing behind. */
static void survives_no_memory(void **state)
{
	const uint64_t before = mem_in_use_bytes();

	for (int i = 0; i < N_FIXTURES; i++) {
		const struct fixture *fx = &fixtures[i];
		struct metainfo *mi;
		struct mi_error err;
		int r = ENOMEM;

		for (uint64_t n = 0; r == ENOMEM; n++) {
			assert_true(n < 100);
			mem_fail_after(n, 0);
			r = metainfo_parse_file(fx->bytes, fx->len, *state, &mi,
						&err);
			mem_fail_after(UINT64_MAX, 0);
			if (r == ENOMEM)
				assert_int_equal(mem_in_use_bytes(), before);
		}
		assert_int_equal(r, 0);
		metainfo_free(mi);
		assert_int_equal(mem_in_use_bytes(), before);
	}
}

/* A piece's body ends with the block in which the last file ends; what is
 * behind it is padding, or the piece is padding alone. */
static void bodies_end_before_padding(void **state)
{
#define P6		 "120:" P20X P20X P20X P20X P20X P20X
#define P20X		 "aaaaaaaaaaaaaaaaaaaa"
#define FILE1(len, name) "d6:lengthi" len "e4:pathl1:" name "ee"
#define PAD1(len)	 "d4:attr1:p6:lengthi" len "e4:pathl4:.pad1:0ee"
	static const uint32_t body[] = {16384, 32768, 0, 0, 16384, 0};
	static const uint32_t content[] = {100, 20000, 0, 0, 5, 0};
	struct metainfo *mi = parsed_info(
		*state,
		"d5:filesl" FILE1("100", "a") PAD1("32668") FILE1("20000", "b")
			PAD1("12768") PAD1("65536") FILE1("5", "c") PAD1(
				"40000") "e4:name1:n12:piece lengthi32768e6:"
					 "pieces" P6 "e");
	uint64_t all = 0;

	assert_int_equal(mi->n_pieces, 6);
	for (uint32_t ix = 0; ix < 6; ix++) {
		assert_int_equal(metainfo_body_bytes(mi, ix), body[ix]);
		assert_int_equal(metainfo_piece_content(mi, ix), content[ix]);
	}
	assert_int_equal(mi->content_bytes, 20105);
	metainfo_free(mi);
	for (int i = 0; i < N_FIXTURES; i++) {
		mi = parsed(*state, fixtures[i].bytes, fixtures[i].len);
		all = 0;
		for (uint32_t ix = 0; ix < mi->n_pieces; ix++) {
			assert_in_range(metainfo_body_bytes(mi, ix),
					metainfo_piece_content(mi, ix),
					metainfo_piece_bytes(mi, ix));
			all += metainfo_piece_content(mi, ix);
		}
		assert_int_equal(all, mi->content_bytes);
		metainfo_free(mi);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_libtorrent),
		cmocka_unit_test(reads_outer_fields),
		cmocka_unit_test(checks_pieces),
		cmocka_unit_test(checks_pieces_side_by_side),
		cmocka_unit_test(info_must_match_its_hash),
		cmocka_unit_test(finds_files_by_offset),
		cmocka_unit_test(layers_must_lead_to_roots),
		cmocka_unit_test(refuses_bad_torrents),
		cmocka_unit_test(takes_hybrids_that_agree),
		cmocka_unit_test(paths_are_clean_and_unique),
		cmocka_unit_test(attributes),
		cmocka_unit_test(targets_of_links),
		cmocka_unit_test(equal_names_are_limited),
		cmocka_unit_test(filters_urls),
		cmocka_unit_test(keeps_raw_names),
		cmocka_unit_test(tree_depth_is_limited),
		cmocka_unit_test(long_entries),
		cmocka_unit_test(long_directories),
		cmocka_unit_test(names_by_the_thousand),
		cmocka_unit_test(takes_what_it_is_made_of),
		cmocka_unit_test(encode_round_trips),
		cmocka_unit_test(bodies_end_before_padding),
		cmocka_unit_test(survives_no_memory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
