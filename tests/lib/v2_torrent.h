/* v2_torrent — torrents of one file with v2 hashes, alone or beside v1's, whose
 * byte at `off` is fix_byte(off). For tests; header only. */
#ifndef SHOAL_TESTS_V2_TORRENT_H
#define SHOAL_TESTS_V2_TORRENT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "core/buf.h"
#include "core/hash.h"
#include "core/layers.h"
#include "core/mem.h"
#include "core/merkle.h"
#include "core/metainfo.h"
#include "tests/lib/cache_fix.h"

struct v2_spec {
	const char *name;
	uint64_t len_bytes;
	uint32_t piece_bytes;
	bool is_hybrid;
	bool has_no_layer;
	/* Of a hybrid: the v1 hash of its first piece is another one's. */
	bool is_disputed;
};

/* The hashes of the leaves of bytes [off, off + len); how many. */
static inline uint32_t v2_leaves(struct hasher *h, uint64_t off, uint32_t len,
				 uint8_t *out)
{
	uint8_t data[MERKLE_LEAF_BYTES];
	uint32_t n = 0;

	for (uint32_t at = 0; at < len; at += MERKLE_LEAF_BYTES, n++) {
		uint32_t part = len - at < MERKLE_LEAF_BYTES
					? len - at
					: MERKLE_LEAF_BYTES;

		fix_fill(data, off + at, part);
		hasher_once(h, HASH_SHA256, data, part,
			    out + (size_t)n * HASH_SHA256_BYTES);
	}
	return n;
}

static inline void v2_put_str(struct buf *b, const void *ptr, size_t len)
{
	buf_addf(b, "%zu:", len);
	buf_add(b, ptr, len);
}

/* The layer of the file's pieces, and its root. */
static inline uint32_t v2_layer(struct hasher *h, const struct v2_spec *spec,
				uint8_t *layer, uint8_t *root)
{
	uint32_t n_leaves = spec->piece_bytes / MERKLE_LEAF_BYTES, n = 0;
	uint8_t *leaves = mem_alloc((size_t)n_leaves * HASH_SHA256_BYTES);
	struct merkle m, top;

	merkle_begin(&top, h, merkle_height(n_leaves));
	for (uint64_t off = 0; off < spec->len_bytes;
	     off += spec->piece_bytes, n++) {
		uint64_t left = spec->len_bytes - off;
		uint32_t len = left < spec->piece_bytes ? (uint32_t)left
							: spec->piece_bytes;
		uint32_t k = v2_leaves(h, off, len, leaves);

		merkle_begin(&m, h, 0);
		for (uint32_t i = 0; i < k; i++)
			merkle_add(&m, leaves + (size_t)i * HASH_SHA256_BYTES);
		merkle_root(&m,
			    spec->len_bytes <= spec->piece_bytes
				    ? merkle_height(k)
				    : merkle_height(n_leaves),
			    layer + (size_t)n * HASH_SHA256_BYTES);
		merkle_add(&top, layer + (size_t)n * HASH_SHA256_BYTES);
	}
	if (n == 1)
		memcpy(root, layer, HASH_SHA256_BYTES);
	else
		merkle_root(&top, merkle_height(n), root);
	mem_free(leaves);
	return n;
}

static inline void v2_put_pieces(struct buf *b, struct hasher *h,
				 const struct v2_spec *spec)
{
	uint8_t *piece = mem_alloc(spec->piece_bytes);
	uint8_t hash[HASH_SHA1_BYTES];
	uint64_t n = (spec->len_bytes - 1) / spec->piece_bytes + 1;

	buf_addf(b, "6:pieces%llu:", (unsigned long long)(n * HASH_SHA1_BYTES));
	for (uint64_t off = 0; off < spec->len_bytes;
	     off += spec->piece_bytes) {
		uint64_t left = spec->len_bytes - off;
		size_t len = left < spec->piece_bytes ? (size_t)left
						      : spec->piece_bytes;

		fix_fill(piece, off, len);
		if (off == 0 && spec->is_disputed)
			piece[0] ^= 1;
		hasher_once(h, HASH_SHA1, piece, len, hash);
		buf_add(b, hash, sizeof(hash));
	}
	mem_free(piece);
}

static inline struct metainfo *v2_torrent(struct hasher *h,
					  const struct v2_spec *spec)
{
	size_t n = (size_t)((spec->len_bytes - 1) / spec->piece_bytes + 1);
	uint8_t *layer = mem_alloc(n * HASH_SHA256_BYTES);
	uint8_t root[HASH_SHA256_BYTES];
	struct buf b = {0};
	struct mi_error why;
	struct metainfo *mi;

	(void)v2_layer(h, spec, layer, root);
	buf_add_str(&b, "d4:infod9:file treed");
	v2_put_str(&b, spec->name, strlen(spec->name));
	buf_addf(&b, "d0:d6:lengthi%llue11:pieces root32:",
		 (unsigned long long)spec->len_bytes);
	buf_add(&b, root, sizeof(root));
	buf_add_str(&b, "eee");
	if (spec->is_hybrid)
		buf_addf(&b, "6:lengthi%llue",
			 (unsigned long long)spec->len_bytes);
	buf_add_str(&b, "12:meta versioni2e4:name");
	v2_put_str(&b, spec->name, strlen(spec->name));
	buf_addf(&b, "12:piece lengthi%ue", spec->piece_bytes);
	if (spec->is_hybrid)
		v2_put_pieces(&b, h, spec);
	buf_add_str(&b, "e");
	if (n > 1 && !spec->has_no_layer) {
		buf_add_str(&b, "12:piece layersd32:");
		buf_add(&b, root, sizeof(root));
		v2_put_str(&b, layer, n * HASH_SHA256_BYTES);
		buf_add_str(&b, "e");
	}
	buf_add_str(&b, "e");
	if (metainfo_parse_file(b.data, b.len, h, &mi, &why) != 0)
		fix_die(why.text);
	buf_fini(&b);
	mem_free(layer);
	return mi;
}

/* The leaves of a piece are known from now on. */
static inline void v2_know(struct layers *ls, struct hasher *h,
			   const struct metainfo *mi, uint32_t ix)
{
	uint32_t len = metainfo_v2_bytes(mi, ix);
	uint8_t *leaves = mem_alloc(((size_t)len / MERKLE_LEAF_BYTES + 1) *
				    HASH_SHA256_BYTES);
	uint32_t n = v2_leaves(h, (uint64_t)ix * mi->piece_bytes, len, leaves);

	fix_must(layers_add_piece(ls, ix, leaves, n), "layers");
	mem_free(leaves);
}

#endif
