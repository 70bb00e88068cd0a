/* merkle — the binary hash trees of BEP 52: SHA-256, leaves of 16 KiB, filled
 * up with zero hashes to a power of two. A value of its caller's; it needs
 * room for one hash a level, not for the tree. */
#ifndef SHOAL_CORE_MERKLE_H
#define SHOAL_CORE_MERKLE_H

#include <stddef.h>
#include <stdint.h>

#include "core/hash.h"

enum {
	MERKLE_LEAF_BYTES = 16 << 10,
	MERKLE_MAX_HEIGHT = 40, /* 2^40 leaves are more than any file has */
};

struct merkle {
	struct hasher *hasher;
	/* node[i] is a finished subtree of 2^i leaves iff bit i of n is set */
	uint8_t node[MERKLE_MAX_HEIGHT + 1][HASH_SHA256_BYTES];
	uint64_t n;
	uint8_t pad[HASH_SHA256_BYTES]; /* what stands for a missing leaf */
};

/* merkle_begin — a tree over nodes that are `height` levels above the 16 KiB
 * leaves (0: the leaves themselves). Keeps `h` until the root is taken. */
void merkle_begin(struct merkle *m, struct hasher *h, unsigned height);

/* merkle_add — the next node's hash. */
void merkle_add(struct merkle *m, const uint8_t hash[HASH_SHA256_BYTES]);

/* merkle_leaves — the hashes of the leaves of `data` to `out`, one behind the
 * other. The last leaf may be short. */
void merkle_leaves(struct hasher *h, const uint8_t *data, size_t len,
		   uint8_t *out);

/* merkle_add_data — the next leaves, each hashed; only the last call of a
 * tree may have a length that is no multiple of 16 KiB. */
void merkle_add_data(struct merkle *m, const uint8_t *data, size_t len);

/* merkle_root — the root of the tree filled up to 2^`height` nodes, which
 * must not be fewer than were added. */
void merkle_root(struct merkle *m, unsigned height,
		 uint8_t out[HASH_SHA256_BYTES]);

/* merkle_node — a node `up` levels above a level of which the first `n` nodes
 * are given, the others being empty subtrees of `height`: the one over nodes
 * index << up … of that level. */
void merkle_node(struct hasher *h, const uint8_t *nodes, uint64_t n,
		 unsigned height, uint64_t index, unsigned up,
		 uint8_t out[HASH_SHA256_BYTES]);

/* merkle_climb — where node `index` of its level leads to with the `n` uncles
 * of it and its ancestors, the lowest first. `node` is replaced. */
void merkle_climb(struct hasher *h, uint8_t node[HASH_SHA256_BYTES],
		  uint64_t index, const uint8_t *uncles, unsigned n);

/* merkle_pad — the root of an empty subtree of `height`. */
void merkle_pad(struct hasher *h, unsigned height,
		uint8_t out[HASH_SHA256_BYTES]);

/* merkle_height — the smallest h with 2^h >= n; 0 for n <= 1. */
unsigned merkle_height(uint64_t n);

#endif
