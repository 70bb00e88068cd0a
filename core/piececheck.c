/* piececheck — the hash of a piece, as its bytes come by.
 *
 * Purpose: a piece of hundreds of megabytes goes through memory in parts. v1's
 * hash runs over all of them, in a hasher of the check's own, for it must live
 * from one part to the next. v2's leaves are whole within a part, so any
 * thread's hasher does, and between parts only the tree's edge is kept.
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
	struct hasher *v1;     /* NULL: no v1 hash */
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
	if (c->v1 != NULL)
		hasher_begin(c->v1, HASH_SHA1);
	merkle_begin(&c->tree, NULL, 0);
}

void piececheck_add(struct piececheck *c, struct hasher *h, const uint8_t *data,
		    size_t len)
{
	size_t n = len < c->v2_left_bytes ? len : (size_t)c->v2_left_bytes;

	assert(len <= c->left_bytes);
	c->left_bytes -= len;
	if (c->v1 != NULL)
		hasher_add(c->v1, data, len);
	for (size_t i = n; c->v2.len_bytes > 0 && i < len; i++)
		c->is_padding_zero = c->is_padding_zero && data[i] == 0;
	if (n == 0)
		return;
	c->v2_left_bytes -= n;
	c->tree.hasher = h;
	merkle_add_data(&c->tree, data, n);
}

static bool v1_matches(struct piececheck *c)
{
	uint8_t hash[HASH_SHA1_BYTES];

	hasher_add_zeros(c->v1, metainfo_piece_bytes(c->mi, c->ix) -
					metainfo_body_bytes(c->mi, c->ix));
	hasher_end(c->v1, hash);
	return memcmp(hash, c->mi->v1_hashes + (size_t)c->ix * HASH_SHA1_BYTES,
		      sizeof(hash)) == 0;
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
