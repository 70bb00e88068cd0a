/* layers — what is known, and proven, of the hash trees of one torrent's v2
 * files (BEP 52): piece hashes, and leaves of some pieces. It does not matter
 * who said them: what does not lead to a file's root is not kept. Files of the
 * same root and length are one tree here.
 *
 * Levels count from the leaves (0: hashes of 16 KiB) to the root; a file's
 * *piece level* is the one of its pieces' hashes, or of its root when it is one
 * piece. Behind the file's end a level is filled up, to a power of two, with
 * the roots of empty subtrees; on level 0 these are zero.
 *
 * Owner: the torrent. Thread: loop. No I/O. */
#ifndef SHOAL_CORE_LAYERS_H
#define SHOAL_CORE_LAYERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/hash.h"

struct layers;
struct metainfo;

/* `length` nodes of level `base` of a file's tree, from `index` on, and what
 * proves them: of each level from base + log2(length) to base + proof_layers
 * the uncle. The fields are those of BEP 52's messages. */
struct hash_span {
	uint32_t file_ix;
	uint32_t base;
	uint32_t index;
	uint32_t length; /* a power of two; index is a multiple of it */
	uint32_t proof_layers;
};

/* layers_new — of a torrent that has v2; takes over the layers that it has.
 * Keeps mi until layers_free. 0 or ENOMEM. Gives. */
int layers_new(const struct metainfo *mi, struct layers **out);
void layers_free(struct layers *ls);

/* ---- what is known ---- */

/* layers_piece — the hash that a v2 piece must have; false: not known yet. It
 * is always known for files of one piece, never for a piece without v2. */
bool layers_piece(const struct layers *ls, uint32_t piece_ix,
		  uint8_t out[HASH_SHA256_BYTES]);

/* layers_leaf — the hash of block `block` of a piece, of MERKLE_LEAF_BYTES or
 * what the file has left; false: not known, or behind the file's end. */
bool layers_leaf(struct layers *ls, uint32_t piece_ix, uint32_t block,
		 uint8_t out[HASH_SHA256_BYTES]);

/* layers_find — the first file from `from_ix` on whose tree has this root;
 * n_files when there is none. */
uint32_t layers_find(struct layers *ls, const uint8_t root[HASH_SHA256_BYTES],
		     uint32_t from_ix);

/* layers_root — of a file; NULL when it has none (empty, a pad, v1). Lends. */
const uint8_t *layers_root(const struct layers *ls, uint32_t file_ix);

/* layers_is_whole — every piece hash of the file is known. */
bool layers_is_whole(const struct layers *ls, uint32_t file_ix);

/* ---- what to ask for ---- */

/* layers_ask_piece — the span that would tell a piece's hash, and those of its
 * neighbours: up to HASH_SPAN_ASK of them, proven by the root. False when it is
 * known, or the piece has no v2 file. */
bool layers_ask_piece(const struct layers *ls, uint32_t piece_ix,
		      struct hash_span *out);

/* layers_ask_leaves — the span that would tell the leaf `block` of a piece, and
 * LAYERS_ASK_LEAST to HASH_SPAN_ASK of the piece; it holds [block, block + n)
 * as far as such a span can. Proven by the piece's hash where that is known,
 * else by the root. False when the leaf is known or does not exist. */
bool layers_ask_leaves(const struct layers *ls, uint32_t piece_ix,
		       uint32_t block, uint32_t n, struct hash_span *out);

/* layers_check_span — 0: a tree has it all; EINVAL: an index, a length or a
 * level out of range; ENOENT: no such file, or it has no root. */
int layers_check_span(const struct layers *ls, const struct hash_span *span);

/* hash_span_n — how many hashes such a span is: its nodes, then its uncles from
 * the lowest to the highest. 0 when its numbers make no sense in any tree. */
uint32_t hash_span_n(const struct hash_span *span);

/* ---- more is known ---- */

/* layers_add — `n` = hash_span_n hashes, proven against what is known, then
 * kept as far as it is of use: piece hashes, and leaves. 0; EBADMSG: they do
 * not prove it, or one that lies within the file is zero, or one behind its end
 * is not what is there; EINVAL and ENOENT as layers_check_span has it, and
 * EINVAL when they end neither at a piece hash that is known nor at the root;
 * ENOMEM. All of it or nothing. */
int layers_add(struct layers *ls, const struct hash_span *span,
	       const uint8_t *hashes, size_t n);

/* layers_add_piece — the `n` leaves of a piece, all that the file has there,
 * computed by ourselves. 0; EBADMSG: they are not the piece's; ENOENT: its
 * hash is not known; EINVAL: not so many; ENOMEM. */
int layers_add_piece(struct layers *ls, uint32_t piece_ix,
		     const uint8_t *leaves, uint32_t n);

/* Leaves are a cache: those that were not asked for longest go when there are
 * more than LAYERS_LEAVES_BYTES. layers_drop_leaves — a piece's are of no more
 * use. */
void layers_drop_leaves(struct layers *ls, uint32_t piece_ix);

/* ---- and told ---- */

/* layers_get — the hash_span_n hashes of a span, from what is known. 0; ENOENT:
 * not all of it is known (nor is there such a file); EINVAL as above; EAGAIN:
 * a bounded part of the work is done, to go on call again on a later turn. */
int layers_get(struct layers *ls, const struct hash_span *span, uint8_t *out);

/* layers_lacks_leaves — when layers_get says ENOENT: the first piece whose
 * leaves (layers_add_piece) the span needs and that are not known; UINT32_MAX:
 * leaves would not help. */
uint32_t layers_lacks_leaves(const struct layers *ls,
			     const struct hash_span *span);

#endif
