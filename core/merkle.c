/* merkle — hash trees, computed as their leaves come by.
 *
 * How: like adding one to a binary number. A finished subtree of 2^i leaves
 * waits in node[i] until a second one of its size is there; the two make one
 * of 2^(i+1). What is missing on the right is filled level by level with the
 * root of an empty subtree of that height, so that a tree of one leaf filled
 * up to a million costs twenty hashes. */
#include "core/merkle.h"

#include <assert.h>
#include <string.h>

#include "core/hash_row.h"

static void join(struct hasher *h, const uint8_t *left, const uint8_t *right,
		 uint8_t *out)
{
	hasher_begin(h, HASH_SHA256);
	hasher_add(h, left, HASH_SHA256_BYTES);
	hasher_add(h, right, HASH_SHA256_BYTES);
	hasher_end(h, out);
}

void merkle_pad(struct hasher *h, unsigned height,
		uint8_t out[HASH_SHA256_BYTES])
{
	memset(out, 0, HASH_SHA256_BYTES);
	for (unsigned i = 0; i < height; i++)
		join(h, out, out, out);
}

void merkle_begin(struct merkle *m, struct hasher *h, unsigned height)
{
	m->hasher = h;
	m->n = 0;
	merkle_pad(h, height, m->pad);
}

void merkle_add(struct merkle *m, const uint8_t hash[HASH_SHA256_BYTES])
{
	uint8_t up[HASH_SHA256_BYTES];
	unsigned level = 0;

	memcpy(up, hash, sizeof(up));
	for (; m->n >> level & 1; level++)
		join(m->hasher, m->node[level], up, up);
	assert(level <= MERKLE_MAX_HEIGHT);
	memcpy(m->node[level], up, sizeof(up));
	m->n++;
}

void merkle_leaves(struct hasher *h, const uint8_t *data, size_t len,
		   uint8_t *out)
{
	const uint8_t *at[HASH_ROW_MAX];

	while (len >= MERKLE_LEAF_BYTES) {
		size_t n = 0;

		for (; n < HASH_ROW_MAX && len >= MERKLE_LEAF_BYTES; n++) {
			at[n] = data;
			data += MERKLE_LEAF_BYTES;
			len -= MERKLE_LEAF_BYTES;
		}
		hash_all(h, HASH_SHA256, at, MERKLE_LEAF_BYTES, n, out);
		out += n * HASH_SHA256_BYTES;
	}
	if (len > 0)
		hasher_once(h, HASH_SHA256, data, len, out);
}

void merkle_add_data(struct merkle *m, const uint8_t *data, size_t len)
{
	enum { PART = HASH_ROW_MAX * MERKLE_LEAF_BYTES };
	uint8_t leaves[HASH_ROW_MAX * HASH_SHA256_BYTES];

	for (size_t at = 0; at < len; at += PART) {
		size_t n = len - at < PART ? len - at : PART;
		const uint8_t *leaf = leaves;

		merkle_leaves(m->hasher, data + at, n, leaves);
		for (size_t i = 0; i < n; i += MERKLE_LEAF_BYTES) {
			merkle_add(m, leaf);
			leaf += HASH_SHA256_BYTES;
		}
	}
}

void merkle_root(struct merkle *m, unsigned height,
		 uint8_t out[HASH_SHA256_BYTES])
{
	uint8_t pad[HASH_SHA256_BYTES];
	uint8_t up[HASH_SHA256_BYTES];

	assert(height <= MERKLE_MAX_HEIGHT && m->n <= UINT64_C(1) << height);
	if (m->n == UINT64_C(1) << height) {
		memcpy(out, m->node[height], HASH_SHA256_BYTES);
		return;
	}
	/* `up` is what stands right of the finished subtrees at each level. */
	memcpy(pad, m->pad, sizeof(pad));
	memcpy(up, pad, sizeof(up));
	for (unsigned level = 0; level < height; level++) {
		if (m->n >> level & 1)
			join(m->hasher, m->node[level], up, up);
		else
			join(m->hasher, up, pad, up);
		join(m->hasher, pad, pad, pad);
	}
	memcpy(out, up, sizeof(up));
}

void merkle_node(struct hasher *h, const uint8_t *nodes, uint64_t n,
		 unsigned height, uint64_t index, unsigned up,
		 uint8_t out[HASH_SHA256_BYTES])
{
	uint64_t first = index << up;
	uint64_t end = first + (UINT64_C(1) << up);
	struct merkle m;

	merkle_begin(&m, h, height);
	for (uint64_t i = first; i < end && i < n; i++)
		merkle_add(&m, nodes + i * HASH_SHA256_BYTES);
	merkle_root(&m, up, out);
}

void merkle_climb(struct hasher *h, uint8_t node[HASH_SHA256_BYTES],
		  uint64_t index, const uint8_t *uncles, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *uncle = uncles + (size_t)i * HASH_SHA256_BYTES;

		if ((index >> i & 1) != 0)
			join(h, uncle, node, node);
		else
			join(h, node, uncle, node);
	}
}

unsigned merkle_height(uint64_t n)
{
	unsigned height = 0;

	while (UINT64_C(1) << height < n)
		height++;
	return height;
}
