/* layers — the hash trees of a torrent's v2 files, as far as they are known.
 *
 * Words. A *shape* is what follows of a file's length: how high its tree is,
 * which level is its pieces'. A *tree* is the memory for piece hashes; files of
 * one piece need none, since their root is the piece's hash.
 *
 * How. What comes with the metainfo stays there (the parser has proven it).
 * Of files without their layer memory is taken with the first hashes that
 * prove themselves; once all are there they are used as if they had come with
 * the metainfo. Leaves are in a cache of their own (layers_leaves.c); what
 * comes from others is proven in layers_add.c, and told to others in
 * layers_get.c.
 *
 * Zero. A node that lies within the file is never zero: no data has that hash,
 * and a stranger's zeros must not pass for knowledge. What is known is said by
 * bits, never by a value. */
#include "core/layers_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/core_limits.h"
#include "core/hmap.h"
#include "core/mem.h"
#include "core/merkle.h"
#include "core/metainfo.h"

/* ---- shapes ---- */

bool layers_shape_of(const struct layers *ls, uint32_t file_ix,
		     struct layers_shape *out)
{
	const struct metainfo *mi = ls->mi;
	const struct mi_file *f;
	uint32_t tree_ix;

	if (file_ix >= mi->n_files || mi->files[file_ix].root == NULL ||
	    mi->files[file_ix].len_bytes == 0)
		return false;
	f = &mi->files[file_ix];
	tree_ix = ls->tree_of[file_ix];
	out->root = f->root;
	out->tree = tree_ix == UINT32_MAX ? NULL : &ls->trees[tree_ix];
	out->file_ix = out->tree == NULL ? file_ix : out->tree->file_ix;
	out->n_leaves = (f->len_bytes - 1) / MERKLE_LEAF_BYTES + 1;
	out->n_pieces = (uint32_t)((f->len_bytes - 1) / mi->piece_bytes) + 1;
	out->first_piece = (uint32_t)(f->off_bytes / mi->piece_bytes);
	out->height = merkle_height(out->n_leaves);
	out->piece_level = out->height;
	if (out->tree != NULL)
		out->piece_level =
			merkle_height(mi->piece_bytes / MERKLE_LEAF_BYTES);
	return true;
}

bool layers_at(const struct layers *ls, uint32_t piece_ix,
	       struct layers_shape *out, uint32_t *nth)
{
	uint64_t off = (uint64_t)piece_ix * ls->mi->piece_bytes;
	uint32_t file_ix;

	if (piece_ix >= ls->mi->n_pieces)
		return false;
	file_ix = metainfo_file_at(ls->mi, off);
	if (!layers_shape_of(ls, file_ix, out))
		return false;
	*nth = piece_ix - out->first_piece;
	return true;
}

uint32_t layers_n_leaves(const struct layers_shape *s, uint32_t nth)
{
	uint64_t first = (uint64_t)nth << s->piece_level;
	uint64_t left = s->n_leaves - first;
	uint64_t most = UINT64_C(1) << s->piece_level;

	return (uint32_t)(left < most ? left : most);
}

const uint8_t *layers_root(const struct layers *ls, uint32_t file_ix)
{
	struct layers_shape s;

	return layers_shape_of(ls, file_ix, &s) ? s.root : NULL;
}

/* ---- birth ---- */

static bool is_long(const struct metainfo *mi, const struct mi_file *f)
{
	return f->root != NULL && f->len_bytes > mi->piece_bytes;
}

/* Files are equal when root and length are; a root alone does not tell, since
 * two hashes are also 64 bytes that may be somebody's file. */
static void tree_key(const struct mi_file *f, uint8_t key[40])
{
	memcpy(key, f->root, HASH_SHA256_BYTES);
	memcpy(key + HASH_SHA256_BYTES, &f->len_bytes, 8);
}

static int add_tree(struct layers *ls, struct hmap *seen, uint32_t file_ix)
{
	const struct mi_file *f = &ls->mi->files[file_ix];
	struct layers_tree *tree = &ls->trees[ls->n_trees];
	struct layers_tree *first;
	uint8_t key[40];
	int r;

	tree_key(f, key);
	first = hmap_get(seen, key);
	if (first != NULL) {
		ls->tree_of[file_ix] = (uint32_t)(first - ls->trees);
		return 0;
	}
	r = hmap_put(seen, key, tree);
	if (r != 0)
		return r;
	tree->file_ix = file_ix;
	tree->n_pieces =
		(uint32_t)((f->len_bytes - 1) / ls->mi->piece_bytes) + 1;
	tree->layer = f->layer;
	ls->tree_of[file_ix] = ls->n_trees++;
	return 0;
}

static int make_trees(struct layers *ls)
{
	const struct metainfo *mi = ls->mi;
	uint32_t n = 0;
	struct hmap *seen = NULL;
	int r;

	for (uint32_t i = 0; i < mi->n_files; i++) {
		ls->tree_of[i] = UINT32_MAX;
		n += is_long(mi, &mi->files[i]);
	}
	ls->trees = mem_zalloc(n, sizeof(*ls->trees));
	if (ls->trees == NULL)
		return ENOMEM;
	r = hmap_new(40, &seen);
	for (uint32_t i = 0; r == 0 && i < mi->n_files; i++)
		if (is_long(mi, &mi->files[i]))
			r = add_tree(ls, seen, i);
	hmap_free(seen);
	return r;
}

int layers_new(const struct metainfo *mi, struct layers **out)
{
	struct layers *ls = mem_new(struct layers);
	int r;

	if (ls == NULL)
		return ENOMEM;
	ls->mi = mi;
	TAILQ_INIT(&ls->lru);
	ls->tree_of = mem_zalloc(mi->n_files, sizeof(*ls->tree_of));
	r = ls->tree_of == NULL ? ENOMEM : hasher_new(&ls->hasher);
	if (r == 0)
		r = hmap_new(sizeof(uint64_t), &ls->leaves);
	if (r == 0)
		r = make_trees(ls);
	if (r != 0) {
		layers_free(ls);
		return ENOMEM;
	}
	*out = ls;
	return 0;
}

void layers_free(struct layers *ls)
{
	if (ls == NULL)
		return;
	layers_leaves_free_all(ls);
	for (uint32_t i = 0; i < ls->n_trees; i++) {
		mem_free(ls->trees[i].own);
		mem_free(ls->trees[i].tops);
		bits_fini(&ls->trees[i].known);
	}
	mem_free(ls->trees);
	mem_free(ls->tree_of);
	mem_free(ls->by_root);
	hmap_free(ls->leaves);
	hasher_free(ls->hasher);
	mem_free(ls);
}

/* ---- piece hashes ---- */

const uint8_t *layers_hash(const struct layers_shape *s, uint32_t nth)
{
	const struct layers_tree *tree = s->tree;

	if (tree == NULL)
		return s->root;
	if (tree->layer != NULL)
		return tree->layer + (size_t)nth * HASH_SHA256_BYTES;
	if (tree->own != NULL && bits_has(&tree->known, nth))
		return tree->own + (size_t)nth * HASH_SHA256_BYTES;
	return NULL;
}

bool layers_piece(const struct layers *ls, uint32_t piece_ix,
		  uint8_t out[HASH_SHA256_BYTES])
{
	struct layers_shape s;
	const uint8_t *hash;
	uint32_t nth;

	if (!layers_at(ls, piece_ix, &s, &nth))
		return false;
	hash = layers_hash(&s, nth);
	if (hash != NULL)
		memcpy(out, hash, HASH_SHA256_BYTES);
	return hash != NULL;
}

bool layers_is_whole(const struct layers *ls, uint32_t file_ix)
{
	struct layers_shape s;

	return layers_shape_of(ls, file_ix, &s) &&
	       (s.tree == NULL || s.tree->layer != NULL);
}

int layers_keep_room(const struct layers_shape *s)
{
	struct layers_tree *tree = s->tree;

	if (tree == NULL || tree->layer != NULL || tree->own != NULL)
		return 0;
	if (bits_init(&tree->known, tree->n_pieces) != 0)
		return ENOMEM;
	tree->own = mem_zalloc(tree->n_pieces, HASH_SHA256_BYTES);
	if (tree->own == NULL) {
		bits_fini(&tree->known);
		return ENOMEM;
	}
	return 0;
}

void layers_keep(const struct layers_shape *s, uint32_t nth,
		 const uint8_t hash[HASH_SHA256_BYTES])
{
	struct layers_tree *tree = s->tree;

	if (tree == NULL || tree->layer != NULL || bits_has(&tree->known, nth))
		return;
	memcpy(tree->own + (size_t)nth * HASH_SHA256_BYTES, hash,
	       HASH_SHA256_BYTES);
	bits_set(&tree->known, nth);
	if (!bits_is_full(&tree->known))
		return;
	tree->layer = tree->own;
	bits_fini(&tree->known);
}

/* ---- files by root ---- */

static int compare_roots(const void *a, const void *b, void *arg)
{
	const struct metainfo *mi = arg;
	uint32_t one = *(const uint32_t *)a, two = *(const uint32_t *)b;
	int d = memcmp(mi->files[one].root, mi->files[two].root,
		       HASH_SHA256_BYTES);

	if (d != 0)
		return d;
	return one < two ? -1 : one > two;
}

static bool sort_roots(struct layers *ls)
{
	const struct metainfo *mi = ls->mi;
	uint32_t *v;

	if (ls->by_root != NULL)
		return true;
	v = mem_zalloc(mi->n_files, sizeof(*v));
	if (v == NULL)
		return false;
	for (uint32_t i = 0; i < mi->n_files; i++)
		if (mi->files[i].root != NULL && mi->files[i].len_bytes > 0)
			v[ls->n_by_root++] = i;
	qsort_r(v, ls->n_by_root, sizeof(*v), compare_roots,
		(void *)(uintptr_t)mi);
	ls->by_root = v;
	return true;
}

uint32_t layers_find(struct layers *ls, const uint8_t root[HASH_SHA256_BYTES],
		     uint32_t from_ix)
{
	const struct metainfo *mi = ls->mi;
	uint32_t low = 0, high;

	if (!sort_roots(ls))
		return mi->n_files;
	high = ls->n_by_root;
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		uint32_t ix = ls->by_root[mid];
		int d = memcmp(mi->files[ix].root, root, HASH_SHA256_BYTES);

		if (d < 0 || (d == 0 && ix < from_ix))
			low = mid + 1;
		else
			high = mid;
	}
	if (low == ls->n_by_root || memcmp(mi->files[ls->by_root[low]].root,
					   root, HASH_SHA256_BYTES) != 0)
		return mi->n_files;
	return ls->by_root[low];
}

/* ---- spans ---- */

unsigned hash_span_up(const struct hash_span *span)
{
	return merkle_height(span->length);
}

unsigned hash_span_uncles(const struct hash_span *span)
{
	unsigned up = hash_span_up(span);

	return span->proof_layers + 1 > up ? span->proof_layers + 1 - up : 0;
}

uint32_t hash_span_n(const struct hash_span *span)
{
	if (span->length == 0 || span->length > HASH_SPAN_MAX ||
	    (span->length & (span->length - 1)) != 0 ||
	    span->index % span->length != 0 ||
	    span->base >= MERKLE_MAX_HEIGHT ||
	    span->proof_layers >= MERKLE_MAX_HEIGHT)
		return 0;
	return span->length + hash_span_uncles(span);
}

int layers_check_span(const struct layers *ls, const struct hash_span *span)
{
	struct layers_shape s;
	uint64_t end = (uint64_t)span->index + span->length;

	if (!layers_shape_of(ls, span->file_ix, &s))
		return ENOENT;
	if (hash_span_n(span) == 0 || span->base >= s.height ||
	    span->proof_layers >= s.height - span->base ||
	    end > UINT64_C(1) << (s.height - span->base))
		return EINVAL;
	return 0;
}

/* ---- what to ask for ---- */

/* The smallest power of two that is not below n. */
static uint32_t power_of(uint64_t n)
{
	return UINT32_C(1) << merkle_height(n);
}

bool layers_ask_piece(const struct layers *ls, uint32_t piece_ix,
		      struct hash_span *out)
{
	struct layers_shape s;
	uint32_t nth, first, left;

	if (!layers_at(ls, piece_ix, &s, &nth) || layers_hash(&s, nth) != NULL)
		return false;
	first = nth - nth % HASH_SPAN_ASK;
	left = s.n_pieces - first;
	*out = (struct hash_span){
		.file_ix = metainfo_file_at(
			ls->mi, (uint64_t)piece_ix * ls->mi->piece_bytes),
		.base = s.piece_level,
		.index = first,
		.length = HASH_SPAN_ASK,
		.proof_layers = s.height - s.piece_level - 1,
	};
	/* BEP 52: two at least. The last of 512n + 1 has an empty neighbour. */
	if (left < HASH_SPAN_ASK)
		out->length = left < 2 ? 2 : power_of(left);
	return true;
}

bool layers_ask_leaves(const struct layers *ls, uint32_t piece_ix,
		       uint32_t block, uint32_t n, struct hash_span *out)
{
	const struct layers_leaves *leaves;
	struct layers_shape s;
	uint32_t nth, piece_leaves, length = 2;
	uint64_t first;

	if (!layers_at(ls, piece_ix, &s, &nth))
		return false;
	piece_leaves = layers_n_leaves(&s, nth);
	leaves = layers_leaves_look(ls, &s, nth);
	if (s.piece_level == 0 || block >= piece_leaves ||
	    (leaves != NULL && bits_has(&leaves->known, block)))
		return false;
	if (n > piece_leaves - block)
		n = piece_leaves - block;
	if (n == 0)
		n = 1;
	while (length < HASH_SPAN_ASK && length < piece_leaves &&
	       (length < LAYERS_ASK_LEAST ||
		block / length != (block + n - 1) / length))
		length *= 2;
	first = ((uint64_t)nth << s.piece_level) + (block - block % length);
	if (first + length > UINT32_MAX)
		return false; /* the wire has no room for it */
	*out = (struct hash_span){
		.file_ix = metainfo_file_at(
			ls->mi, (uint64_t)piece_ix * ls->mi->piece_bytes),
		.index = (uint32_t)first,
		.length = length,
		.proof_layers = s.height - 1,
	};
	if (layers_hash(&s, nth) != NULL)
		out->proof_layers = s.piece_level - 1;
	return true;
}
