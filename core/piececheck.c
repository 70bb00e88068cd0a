/* piececheck — the hash of a piece, as its bytes come by.
 *
 * Purpose: a piece of hundreds of megabytes goes through memory in parts. v1's
 * hash runs over all of them, in a hasher of the check's own, for it must live
 * from one part to the next. v2's leaves are whole within a part, so any
 * thread's hasher does, and between parts only the tree's edge is kept.
 *
 * Of several pieces side by side v1's hashes are one row, and v2's leaves are
 * hashed as they come, sixteen at a time, whosever they are.
 *
 * What the hashes must come to is metainfo_pieces' to say. */
#include "core/piececheck.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "core/hash.h"
#include "core/mem.h"
#include "core/merkle.h"
#include "core/metainfo_internal.h"

struct piececheck {
	const struct metainfo *mi;
	uint32_t ix;
	uint64_t left_bytes;
	struct hasher *v1; /* NULL: no v1 hash */
	bool has_v1_hash;  /* a row has made it: */
	uint8_t v1_hash[HASH_SHA1_BYTES];
	struct mi_v2_piece v2; /* len_bytes 0: no v2 hash */
	uint64_t v2_left_bytes;
	struct merkle tree;
	bool is_padding_zero;
};

int piececheck_new(const struct metainfo *mi, uint32_t ix,
		   struct piececheck **out)
{
	struct piececheck *c = mem_new(struct piececheck);

	if (c == NULL)
		return ENOMEM;
	c->mi = mi;
	c->ix = ix;
	if (mi->has_v1 && hasher_new(&c->v1) != 0) {
		mem_free(c);
		return ENOMEM;
	}
	if (mi->has_v2)
		mi_v2_piece(mi, ix, &c->v2);
	piececheck_begin(c);
	*out = c;
	return 0;
}

void piececheck_free(struct piececheck *c)
{
	if (c == NULL)
		return;
	hasher_free(c->v1);
	mem_free(c);
}

void piececheck_begin(struct piececheck *c)
{
	c->left_bytes = metainfo_body_bytes(c->mi, c->ix);
	c->v2_left_bytes = c->v2.len_bytes;
	c->is_padding_zero = true;
	c->has_v1_hash = false;
	if (c->v1 != NULL)
		hasher_begin(c->v1, HASH_SHA1);
	merkle_begin(&c->tree, NULL, 0);
}

/* How many of the next `len` bytes v2 hashes. What is behind them is padding,
 * and looked at. */
static size_t take(struct piececheck *c, const uint8_t *data, size_t len)
{
	size_t n = len < c->v2_left_bytes ? len : (size_t)c->v2_left_bytes;

	assert(len <= c->left_bytes);
	c->left_bytes -= len;
	c->v2_left_bytes -= n;
	for (size_t i = n; c->v2.len_bytes > 0 && i < len; i++)
		c->is_padding_zero = c->is_padding_zero && data[i] == 0;
	return n;
}

void piececheck_add(struct piececheck *c, struct hasher *h, const uint8_t *data,
		    size_t len)
{
	size_t n = take(c, data, len);

	if (c->v1 != NULL)
		hasher_add(c->v1, data, len);
	if (n == 0)
		return;
	c->tree.hasher = h;
	merkle_add_data(&c->tree, data, n);
}

/* Zeros that v1 hashes, and that nobody sends or keeps. */
static uint64_t hidden_bytes(const struct piececheck *c)
{
	return metainfo_piece_bytes(c->mi, c->ix) -
	       metainfo_body_bytes(c->mi, c->ix);
}

static bool v1_matches(struct piececheck *c)
{
	if (!c->has_v1_hash) {
		hasher_add_zeros(c->v1, hidden_bytes(c));
		hasher_end(c->v1, c->v1_hash);
	}
	return memcmp(c->v1_hash,
		      c->mi->v1_hashes + (size_t)c->ix * HASH_SHA1_BYTES,
		      HASH_SHA1_BYTES) == 0;
}

static bool v2_matches(struct piececheck *c, struct hasher *h,
		       const uint8_t *want)
{
	uint8_t root[HASH_SHA256_BYTES];

	c->tree.hasher = h;
	merkle_root(&c->tree, c->v2.height, root);
	return memcmp(root, want, sizeof(root)) == 0;
}

enum piece_verdict piececheck_end(struct piececheck *c, struct hasher *h,
				  const uint8_t *root)
{
	const uint8_t *want = root != NULL ? root : c->v2.want;
	bool is_v1_right, is_v2_right;

	assert(c->left_bytes == 0 && c->v2_left_bytes == 0);
	is_v1_right = c->v1 != NULL && v1_matches(c);
	if (want == NULL || c->v2.len_bytes == 0)
		return is_v1_right ? PIECE_RIGHT : PIECE_WRONG;
	is_v2_right = v2_matches(c, h, want);
	if (c->v1 == NULL)
		return is_v2_right ? PIECE_RIGHT : PIECE_WRONG;
	return mi_verdict(is_v1_right, is_v2_right, c->is_padding_zero);
}

/* ---- several at a time ---- */

bool piececheck_fits(const struct piececheck *a, const struct piececheck *b)
{
	return a->left_bytes == b->left_bytes &&
	       (a->v1 != NULL) == (b->v1 != NULL) && hidden_bytes(a) == 0 &&
	       hidden_bytes(b) == 0;
}

bool piececheck_row_pays(const struct piececheck *c, unsigned n)
{
	return c->v1 != NULL && n > 1 && hash_row_pays(HASH_SHA1, n);
}

void piececheck_row_begin(struct piececheck_row *row,
			  struct piececheck *const *checks, unsigned n)
{
	assert(n > 0 && n <= HASH_ROW_MAX);
	row->n = n;
	memcpy(row->checks, checks, n * sizeof(checks[0]));
	row->is_side_by_side = piececheck_row_pays(checks[0], n);
	if (row->is_side_by_side)
		hash_row_begin(&row->v1, HASH_SHA1, n);
}

/* Whole leaves of any trees, to be hashed together. */
struct leaves {
	struct hasher *h;
	size_t n;
	const uint8_t *at[HASH_ROW_MAX];
	struct merkle *of[HASH_ROW_MAX];
};

static void leaves_hash(struct leaves *l)
{
	uint8_t out[HASH_ROW_MAX * HASH_SHA256_BYTES];

	if (l->n > 0)
		hash_all(l->h, HASH_SHA256, l->at, MERKLE_LEAF_BYTES, l->n,
			 out);
	for (size_t i = 0; i < l->n; i++)
		merkle_add(l->of[i], out + i * HASH_SHA256_BYTES);
	l->n = 0;
}

static void leaves_add(struct leaves *l, struct piececheck *c,
		       const uint8_t *data, size_t len)
{
	c->tree.hasher = l->h;
	for (; len >= MERKLE_LEAF_BYTES; len -= MERKLE_LEAF_BYTES) {
		l->at[l->n] = data;
		l->of[l->n++] = &c->tree;
		if (l->n == HASH_ROW_MAX)
			leaves_hash(l);
		data += MERKLE_LEAF_BYTES;
	}
	if (len == 0)
		return;
	leaves_hash(l);
	merkle_add_data(&c->tree, data, len);
}

void piececheck_row_add(struct piececheck_row *row, struct hasher *h,
			const uint8_t *const *data, size_t len)
{
	struct leaves leaves = {.h = h};

	if (row->is_side_by_side)
		hash_row_add(&row->v1, data, len);
	for (unsigned i = 0; i < row->n; i++) {
		struct piececheck *c = row->checks[i];

		if (c->v1 != NULL && !row->is_side_by_side)
			hasher_add(c->v1, data[i], len);
		leaves_add(&leaves, c, data[i], take(c, data[i], len));
	}
	leaves_hash(&leaves);
}

void piececheck_row_end(struct piececheck_row *row)
{
	uint8_t *out[HASH_ROW_MAX];

	if (!row->is_side_by_side)
		return;
	for (unsigned i = 0; i < row->n; i++) {
		out[i] = row->checks[i]->v1_hash;
		row->checks[i]->has_v1_hash = true;
	}
	hash_row_end(&row->v1, out);
}
