/* layers_internal — struct layers, for layers*.c. */
#ifndef SHOAL_CORE_LAYERS_INTERNAL_H
#define SHOAL_CORE_LAYERS_INTERNAL_H

#include "core/bits.h"
#include "core/layers.h"
#include "core/queue.h"

struct hmap;

enum {
	/* Above so many levels over the pieces nodes are kept: else a proof of
	 * a file of 2^21 pieces would cost as many hashes, each time. */
	LAYERS_TOP_UP = 9,
};

/* The hashes of a file of more than one piece, or of several that are equal.
 *
 *   layer   own     known    the piece hashes are
 *   there   NULL    no data  the metainfo's
 *   NULL    NULL    no data  all unknown
 *   NULL    there   there    known in part
 *   there   there   no data  all known; layer == own
 *
 * tops: the nodes LAYERS_TOP_UP above the pieces, n_tops of them so far; they
 * are computed when the layer is whole and somebody asks. */
struct layers_tree {
	uint32_t file_ix; /* the first such file */
	uint32_t n_pieces;
	const uint8_t *layer;
	uint8_t *own;
	struct bits known;
	uint8_t *tops;
	uint32_t n_tops;
};

/* Leaves of one piece; `n` as the file has there. */
struct layers_leaves {
	TAILQ_ENTRY(layers_leaves) link;
	uint64_t key;
	struct bits known;
	uint8_t *hash;
	uint32_t n;
};

TAILQ_HEAD(layers_leaves_list, layers_leaves);

struct layers {
	const struct metainfo *mi;
	struct hasher *hasher;
	struct layers_tree *trees;
	uint32_t n_trees;
	uint32_t *tree_of; /* by file; UINT32_MAX: it has none */
	uint32_t *by_root; /* files with a root, in its order; NULL: not made */
	uint32_t n_by_root;
	struct hmap *leaves;	       /* by key */
	struct layers_leaves_list lru; /* the last used first */
	size_t leaves_bytes;
	uint8_t zeros[HASH_SHA256_BYTES];
};

/* What a file's tree looks like. */
struct layers_shape {
	const uint8_t *root;
	struct layers_tree *tree; /* NULL: the file is one piece */
	uint32_t file_ix;	  /* the tree's own, or the file */
	uint64_t n_leaves;
	uint32_t n_pieces;
	uint32_t first_piece; /* of the file, in piece space */
	unsigned height;
	unsigned piece_level; /* height, when the file is one piece */
};

/* layers_shape_of — false: no such file, or it has no root. */
bool layers_shape_of(const struct layers *ls, uint32_t file_ix,
		     struct layers_shape *out);

/* layers_at — the file of a piece, and which of the file's pieces it is. */
bool layers_at(const struct layers *ls, uint32_t piece_ix,
	       struct layers_shape *out, uint32_t *nth);

/* layers_hash — of a piece of a file; NULL: not known. Lends. */
const uint8_t *layers_hash(const struct layers_shape *s, uint32_t nth);

/* layers_keep_room — so that layers_keep cannot fail. 0 or ENOMEM. */
int layers_keep_room(const struct layers_shape *s);
void layers_keep(const struct layers_shape *s, uint32_t nth,
		 const uint8_t hash[HASH_SHA256_BYTES]);

/* How many leaves a piece has. */
uint32_t layers_n_leaves(const struct layers_shape *s, uint32_t nth);

/* What is known of a piece's leaves, the last used from now on; NULL: nothing.
 */
struct layers_leaves *layers_leaves_get(struct layers *ls,
					const struct layers_shape *s,
					uint32_t nth);
const struct layers_leaves *layers_leaves_look(const struct layers *ls,
					       const struct layers_shape *s,
					       uint32_t nth);

/* As above, made when there is none; NULL: ENOMEM. Others make room. */
struct layers_leaves *layers_leaves_make(struct layers *ls,
					 const struct layers_shape *s,
					 uint32_t nth);
void layers_leaves_free_all(struct layers *ls);

/* log2 of a span's length, and how many uncles it has. */
unsigned hash_span_up(const struct hash_span *span);
unsigned hash_span_uncles(const struct hash_span *span);

#endif
