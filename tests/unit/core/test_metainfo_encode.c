/* test_metainfo_encode — a torrent of v1, v2 or both that was written is read
 * back the same: every file, hash and attribute; and strict. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/bencode.h"
#include "core/buf.h"
#include "core/err.h"
#include "core/hash.h"
#include "core/mem.h"
#include "core/merkle.h"
#include "core/metainfo.h"

enum {
	PIECE = 2 * MERKLE_LEAF_BYTES,
	FILES = 12,
	PIECES_MAX = 64,
	V2 = HASH_SHA256_BYTES,
};

struct fix {
	struct hasher *hasher;
	struct mi_source src;
	struct mi_source_file files[2 * FILES];
	uint8_t layers[FILES][PIECES_MAX][V2], roots[FILES][V2];
	uint8_t v1[PIECES_MAX * HASH_SHA1_BYTES];
	unsigned n_v2; /* files with a root so far */
	struct buf out;
	struct metainfo *mi;
};

/* ---- Fixture ---- */

static int setup(void **state)
{
	struct fix *x = mem_new(struct fix);

	assert_int_equal(hasher_new(&x->hasher), 0);
	x->src = (struct mi_source){
		.name = "made", .files = x->files, .piece_bytes = PIECE};
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fix *x = *state;

	metainfo_free(x->mi);
	buf_fini(&x->out);
	hasher_free(x->hasher);
	mem_free(x);
	return 0;
}

/* ---- Helpers ---- */

/* A layer of made-up piece hashes, of content number `seed`, and its root. */
static void give_root(struct fix *x, struct mi_source_file *f, uint32_t seed)
{
	uint32_t n = (uint32_t)((f->len_bytes + PIECE - 1) / PIECE);
	unsigned at = x->n_v2++;
	struct merkle m;

	assert_true(n <= PIECES_MAX);
	merkle_begin(&m, x->hasher, merkle_height(PIECE / MERKLE_LEAF_BYTES));
	for (uint32_t i = 0; i < n; i++) {
		uint32_t what[2] = {seed, i};

		hasher_once(x->hasher, HASH_SHA256, what, sizeof(what),
			    x->layers[at][i]);
		merkle_add(&m, x->layers[at][i]);
	}
	if (n > 1)
		merkle_root(&m, merkle_height(n), x->roots[at]);
	else
		memcpy(x->roots[at], x->layers[at][0], V2);
	f->root = x->roots[at];
	f->layer = n > 1 ? x->layers[at][0] : NULL;
}

static struct mi_source_file *add(struct fix *x, const char *const *path,
				  uint32_t n_path, uint64_t len, unsigned attr)
{
	struct mi_source_file *f = &x->files[x->src.n_files++];

	*f = (struct mi_source_file){
		.path = path, .n_path = n_path, .len_bytes = len, .attr = attr};
	return f;
}

/* With v2 it begins at a piece: a hybrid needs padding in front. */
static void add_file(struct fix *x, const char *const *path, uint32_t n_path,
		     uint64_t len, uint32_t seed)
{
	struct mi_source_file *f = add(x, path, n_path, len, 0);

	if (x->src.has_v2 && len > 0)
		give_root(x, f, seed);
}

static void add_pad(struct fix *x, const char *const *path, uint64_t len)
{
	if (x->src.v1_hashes != NULL && x->src.has_v2)
		(void)add(x, path, 2, len, MI_ATTR_PAD);
}

static void begin(struct fix *x, bool has_v1, bool has_v2)
{
	for (unsigned i = 0; i < sizeof(x->v1); i++)
		x->v1[i] = (uint8_t)(i * 7 + 1);
	x->src.v1_hashes = has_v1 ? x->v1 : NULL;
	x->src.has_v2 = has_v2;
}

/* v1's pieces know no files; each v2 file begins one. */
static uint32_t n_pieces(const struct mi_source *src)
{
	uint64_t total = 0, n = 0;

	for (uint32_t i = 0; i < src->n_files; i++) {
		total += src->files[i].len_bytes;
		n += (src->files[i].len_bytes + PIECE - 1) / PIECE;
	}
	return (uint32_t)(src->v1_hashes != NULL ? (total + PIECE - 1) / PIECE
						 : n);
}

static void read_back(struct fix *x)
{
	const struct benc_limits strict = {.depth = 16, .tokens = 1000};
	struct mi_error why = {{0}};
	struct benc doc;

	x->src.n_pieces = n_pieces(&x->src);
	assert_true(x->src.n_pieces <= PIECES_MAX);
	assert_int_equal(metainfo_encode(&x->src, &x->out), 0);
	assert_int_equal(
		benc_decode(&doc, x->out.data, x->out.len, &strict, NULL), 0);
	benc_fini(&doc);
	if (metainfo_parse_file(x->out.data, x->out.len, x->hasher, &x->mi,
				&why) != 0)
		fail_msg("%s", why.text);
}

static void check_path(const struct mi_source_file *want,
		       const struct mi_file *got)
{
	assert_int_equal(got->n_path, want->n_path);
	for (uint32_t k = 0; k < want->n_path; k++)
		assert_string_equal(got->path[k], want->path[k]);
}

static void check_v2(const struct fix *x, const struct mi_source_file *want,
		     const struct mi_file *got)
{
	uint64_t n = (want->len_bytes + PIECE - 1) / PIECE;

	assert_true((got->root != NULL) == (want->root != NULL));
	if (want->root == NULL)
		return;
	assert_memory_equal(got->root, want->root, V2);
	assert_true((got->layer != NULL) == (want->layer != NULL));
	if (want->layer != NULL)
		assert_memory_equal(got->layer, want->layer, (size_t)n * V2);
	assert_int_equal(got->off_bytes % x->src.piece_bytes, 0);
}

/* The info dictionary alone says the same, and hashes to the same. */
static void check_info(const struct fix *x)
{
	struct mi_error why;
	struct metainfo *info;

	assert_int_equal(metainfo_parse_info(x->mi->info.ptr, x->mi->info.len,
					     &x->mi->id, x->hasher, &info,
					     &why),
			 0);
	assert_int_equal(info->n_files, x->mi->n_files);
	assert_int_equal(info->total_bytes, x->mi->total_bytes);
	assert_true(torrent_id_matches(&info->id, &x->mi->id));
	metainfo_free(info);
}

static void check(const struct fix *x)
{
	const struct metainfo *mi = x->mi;
	uint64_t content = 0;

	assert_string_equal(mi->name, x->src.name);
	assert_int_equal(mi->has_v1, x->src.v1_hashes != NULL);
	assert_int_equal(mi->has_v2, x->src.has_v2);
	assert_int_equal(mi->id.v1.len, mi->has_v1 ? 20 : 0);
	assert_int_equal(mi->id.v2.len, mi->has_v2 ? 32 : 0);
	assert_int_equal(mi->is_single, x->src.is_single);
	assert_int_equal(mi->piece_bytes, PIECE);
	assert_int_equal(mi->n_pieces, x->src.n_pieces);
	assert_int_equal(mi->n_files, x->src.n_files);
	for (uint32_t i = 0; i < mi->n_files; i++) {
		const struct mi_source_file *want = &x->src.files[i];
		const struct mi_file *got = &mi->files[i];

		assert_int_equal(got->len_bytes, want->len_bytes);
		assert_int_equal(got->attr, want->attr);
		if ((want->attr & MI_ATTR_PAD) == 0) {
			check_path(want, got);
			content += got->len_bytes;
		}
		check_v2(x, want, got);
	}
	assert_int_equal(mi->content_bytes, content);
	if (mi->has_v1)
		assert_memory_equal(mi->v1_hashes, x->v1,
				    mi->n_pieces * HASH_SHA1_BYTES);
	check_info(x);
}

/* ---- Tests ---- */

static const bool kinds[][2] = {{true, false}, {false, true}, {true, true}};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* One file: less than a piece, a piece, more, and a byte. */
static void single_files(void **state)
{
	static const uint64_t lens[] = {1, PIECE - 1, PIECE, PIECE + 1,
					PIECES_MAX * PIECE - 5};
	static const char *const path[] = {"made"};

	for (unsigned k = 0; k < KINDS; k++) {
		for (unsigned i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
			struct fix *x;

			(void)teardown(state);
			(void)setup(state);
			x = *state;
			begin(x, kinds[k][0], kinds[k][1]);
			x->src.is_single = true;
			add_file(x, path, 1, lens[i], 1);
			read_back(x);
			check(x);
		}
	}
}

/* A tree: directories that open and close at every depth, an empty file, one
 * that is executable and hidden, a symlink, padding behind each. */
static void trees(void **state)
{
	static const char *const paths[][3] = {
		{"a", "b", "deep"}, {"a", "c", "x"},
		{"a", "d"},	    {"a-b"},
		{"b", "empty"},	    {"b", "link"},
		{"tool"},	    {"z", "y", "last"}};
	static const char *const pads[][2] = {
		{".pad", "32767"}, {".pad", "32763"}, {".pad", "32758"}};
	static const char *const target[] = {"a", "d"};

	for (unsigned k = 0; k < KINDS; k++) {
		struct mi_source_file *f;
		struct fix *x;

		(void)teardown(state);
		(void)setup(state);
		x = *state;
		begin(x, kinds[k][0], kinds[k][1]);
		add_file(x, paths[0], 3, PIECE + 1, 1);
		add_pad(x, pads[0], PIECE - 1);
		add_file(x, paths[1], 3, 5, 2);
		add_pad(x, pads[1], PIECE - 5);
		add_file(x, paths[2], 2, 2 * PIECE, 3);
		add_file(x, paths[3], 1, 3 * PIECE, 4);
		add_file(x, paths[4], 2, 0, 0);
		f = add(x, paths[5], 2, 0, MI_ATTR_SYMLINK);
		f->link = target;
		f->n_link = 2;
		add_file(x, paths[6], 1, 10, 5);
		x->files[x->src.n_files - 1].attr =
			MI_ATTR_EXEC | MI_ATTR_HIDDEN;
		add_pad(x, pads[2], PIECE - 10);
		add_file(x, paths[7], 3, 7 * PIECE + 9, 6);
		read_back(x);
		check(x);
		for (uint32_t i = 0; i < x->mi->n_files; i++)
			if (x->mi->files[i].attr & MI_ATTR_SYMLINK)
				assert_string_equal(x->mi->files[i].symlink,
						    "a/d");
	}
}

/* Equal files have one entry among the layers, and both have it. */
static void equal_files_share_a_layer(void **state)
{
	static const char *const paths[][1] = {{"one"}, {"three"}, {"two"}};
	struct fix *x = *state;
	uint8_t layer[3 * V2];
	unsigned n = 0;

	begin(x, false, true);
	add_file(x, paths[0], 1, 3 * PIECE, 7);
	add_file(x, paths[1], 1, 3 * PIECE, 7);
	add_file(x, paths[2], 1, 4 * PIECE, 8);
	read_back(x);
	check(x);
	assert_memory_equal(x->mi->files[0].root, x->mi->files[1].root, V2);
	memcpy(layer, x->layers[0], sizeof(layer));
	for (size_t at = 0; at + sizeof(layer) <= x->out.len; at++)
		n += memcmp(x->out.data + at, layer, sizeof(layer)) == 0;
	assert_int_equal(n, 1);
}

/* What is beside the info dictionary changes no hash. */
static void the_rest_is_no_part_of_the_hash(void **state)
{
	static const char *const path[] = {"made"};
	static const char *const trackers[] = {"http://a/announce",
					       "udp://b:1/announce"};
	struct fix *x = *state;
	struct torrent_id bare;

	begin(x, true, true);
	x->src.is_single = true;
	add_file(x, path, 1, 3 * PIECE, 1);
	read_back(x);
	bare = x->mi->id;
	metainfo_free(x->mi);
	buf_reset(&x->out);
	x->src.trackers = trackers;
	x->src.n_trackers = 2;
	x->src.created_s = 12345;
	read_back(x);
	check(x);
	assert_true(torrent_id_matches(&bare, &x->mi->id));
	assert_int_equal(x->mi->n_tiers, 2);
	assert_int_equal(x->mi->created_s, 12345);
	metainfo_free(x->mi);
	buf_reset(&x->out);
	x->src.is_private = true; /* but this is */
	read_back(x);
	assert_true(x->mi->is_private);
	assert_false(torrent_id_matches(&bare, &x->mi->id));
}

/* A layer that does not lead to its root is written, and not read: who makes
 * torrents reads what he wrote before he keeps it. */
static void a_wrong_layer_is_found(void **state)
{
	static const char *const path[] = {"made"};
	struct fix *x = *state;
	struct mi_error why;

	begin(x, false, true);
	x->src.is_single = true;
	add_file(x, path, 1, 3 * PIECE, 1);
	x->layers[0][1][3] ^= 1;
	assert_int_equal(metainfo_encode(&x->src, &x->out), 0);
	assert_int_equal(metainfo_parse_file(x->out.data, x->out.len, x->hasher,
					     &x->mi, &why),
			 EBADMSG);
	x->mi = NULL;
}

/* Each failing allocation is ENOMEM. */
static void no_memory(void **state)
{
	static const char *const paths[][1] = {{"one"}, {"two"}};
	struct fix *x = *state;
	int r = ENOMEM;

	begin(x, false, true);
	add_file(x, paths[0], 1, 3 * PIECE, 1);
	add_file(x, paths[1], 1, 2 * PIECE, 2);
	for (uint64_t n = 0; r == ENOMEM; n++) {
		assert_true(n < 100);
		buf_fini(&x->out);
		mem_fail_after(n, 0);
		r = metainfo_encode(&x->src, &x->out);
		mem_fail_after(UINT64_MAX, 0);
	}
	assert_int_equal(r, 0);
}

#define WITH_FIX(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIX(single_files),
		WITH_FIX(trees),
		WITH_FIX(equal_files_share_a_layer),
		WITH_FIX(the_rest_is_no_part_of_the_hash),
		WITH_FIX(a_wrong_layer_is_found),
		WITH_FIX(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
