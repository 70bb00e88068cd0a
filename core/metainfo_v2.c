/* metainfo_v2 — the file tree and the piece layers of BEP 52.
 *
 * The tree: a dictionary from names to dictionaries. One that has the empty
 * name as its only key is a file, and what that key names are its fields; any
 * other is a directory. It is walked with a stack of as many levels as a path
 * may have elements, not by recursion.
 *
 * The layers: for each file of more than one piece, the hashes of its pieces.
 * They lie outside the info dictionary, so nobody vouches for them but the
 * file's root, which they must lead to. A layer that is absent is asked of
 * peers later; one that is wrong condemns the .torrent.
 *
 * Hybrids: the v1 list without its pad files must be the tree, file by file,
 * and its pad files must put each file where v2's rule of alignment does. */
#include "core/metainfo_internal.h"

#include <errno.h>

#include "core/core_limits.h"
#include "core/hmap.h"
#include "core/merkle.h"
#include "core/name.h"

/* ---- the tree ---- */

struct walk {
	struct mi_parse *p;
	benc_ref key[METAINFO_MAX_DEPTH]; /* where we are, level by level */
	uint32_t depth;			  /* levels entered */
};

/* The fields of a file, or BENC_NONE for a directory. */
static int find_leaf(struct mi_parse *p, benc_ref node, benc_ref *leaf)
{
	*leaf = benc_get(&p->doc, node, "");
	if (*leaf == BENC_NONE)
		return 0;
	if (!benc_is(&p->doc, *leaf, BENC_DICT) ||
	    benc_count(&p->doc, node) != 1)
		return mi_refuse(p, EBADMSG, "a file tree entry is malformed");
	return 0;
}

static int read_root(struct mi_parse *p, benc_ref leaf, struct mi_raw *file)
{
	static const uint8_t zero[HASH_SHA256_BYTES];
	struct span root;

	if (file->len_bytes == 0)
		return 0;
	if (!benc_get_str(&p->doc, leaf, "pieces root", &root))
		return mi_refuse(p, EBADMSG, "a file has no pieces root");
	if (root.len != HASH_SHA256_BYTES ||
	    memcmp(root.ptr, zero, sizeof(zero)) == 0)
		return mi_refuse(p, EBADMSG, "a pieces root is malformed");
	file->root = root.ptr;
	return 0;
}

static int add_file(struct walk *w, benc_ref leaf)
{
	struct mi_parse *p = w->p;
	struct mi_raw *file;
	struct span *elem;
	int r = mi_list_add(p, &p->v2, &file);

	if (r == 0)
		r = mi_file_attr(p, leaf, file);
	if (r == 0 && (file->attr & MI_ATTR_PAD))
		r = mi_refuse(p, EBADMSG, "a pad file is in the file tree");
	if (r == 0)
		r = mi_file_length(p, leaf, file);
	if (r == 0)
		r = read_root(p, leaf, file);
	if (r == 0)
		r = mi_path_room(p, &p->v2, w->depth, &elem);
	if (r != 0)
		return r;
	file->elem = elem;
	for (uint32_t i = 0; i < w->depth; i++) {
		struct span s = benc_str(&p->doc, w->key[i]);

		if (!name_is_skipped(s.ptr, s.len))
			elem[file->n_elem++] = s;
	}
	return 0;
}

/* The next key on this level or, where there is none, on one above. */
static void step_over(struct walk *w)
{
	const struct benc *doc = &w->p->doc;

	while (w->depth > 0) {
		benc_ref value = benc_next(doc, w->key[w->depth - 1]);
		benc_ref next = benc_next(doc, value);

		w->key[w->depth - 1] = next;
		if (next != BENC_NONE)
			return;
		w->depth--;
	}
}

/* Handles the entry at the innermost key and moves on. */
static int visit(struct walk *w)
{
	const struct benc *doc = &w->p->doc;
	benc_ref node = benc_next(doc, w->key[w->depth - 1]);
	benc_ref leaf;
	int r;

	if (!benc_is(doc, node, BENC_DICT))
		return mi_refuse(w->p, EBADMSG,
				 "a file tree entry is no dictionary");
	r = find_leaf(w->p, node, &leaf);
	if (r == 0 && leaf != BENC_NONE)
		r = add_file(w, leaf);
	if (r != 0)
		return r;
	if (leaf != BENC_NONE || benc_first(doc, node) == BENC_NONE) {
		step_over(w);
		return 0;
	}
	if (w->depth == METAINFO_MAX_DEPTH)
		return mi_refuse(w->p, EFBIG, "directories are deeper than %d",
				 METAINFO_MAX_DEPTH);
	w->key[w->depth++] = benc_first(doc, node);
	return 0;
}

/* BEP 52: a tree whose only entry is a file called like the torrent. */
static bool is_single(const struct mi_parse *p, benc_ref tree)
{
	benc_ref key;
	struct span only;

	if (benc_count(&p->doc, tree) != 1 || p->v2.n != 1)
		return false;
	key = benc_first(&p->doc, tree);
	only = benc_str(&p->doc, key);
	return only.len == p->name.len &&
	       memcmp(only.ptr, p->name.ptr, only.len) == 0 &&
	       benc_get(&p->doc, benc_next(&p->doc, key), "") != BENC_NONE;
}

int mi_v2_read(struct mi_parse *p)
{
	benc_ref tree = benc_get_type(&p->doc, p->info, "file tree", BENC_DICT);
	struct walk w = {.p = p};
	int r;

	if (tree == BENC_NONE)
		return mi_refuse(p, EBADMSG, "there is no file tree");
	if (benc_get(&p->doc, tree, "") != BENC_NONE)
		return mi_refuse(p, EBADMSG, "a file has an empty name");
	w.key[0] = benc_first(&p->doc, tree);
	w.depth = w.key[0] != BENC_NONE ? 1 : 0;
	while (w.depth > 0) {
		r = visit(&w);
		if (r != 0)
			return r;
	}
	p->v2.is_single = is_single(p, tree);
	return 0;
}

/* ---- hybrids ---- */

static bool is_same_path(const struct mi_raw *a, const struct mi_raw *b)
{
	if (a->n_elem != b->n_elem)
		return false;
	for (uint32_t i = 0; i < a->n_elem; i++)
		if (a->elem[i].len != b->elem[i].len ||
		    memcmp(a->elem[i].ptr, b->elem[i].ptr, a->elem[i].len) != 0)
			return false;
	return true;
}

static bool is_link(const struct mi_raw *f)
{
	return (f->attr & MI_ATTR_SYMLINK) != 0;
}

int mi_v2_agrees(struct mi_parse *p)
{
	struct metainfo *mi = &p->mi;
	uint64_t end = 0; /* of the last non-empty file */
	uint32_t k = 0;	  /* in the tree */

	if (p->v1.is_single != p->v2.is_single)
		return mi_refuse(p, EBADMSG, "v1 and v2 file lists differ");
	for (uint32_t i = 0; i < p->v1.n; i++) {
		const struct mi_raw *one = &p->v1.file[i];
		const struct mi_raw *two = &p->v2.file[k];

		if (one->attr & MI_ATTR_PAD)
			continue;
		if (k == p->v2.n || one->len_bytes != two->len_bytes ||
		    is_link(one) != is_link(two) || !is_same_path(one, two))
			return mi_refuse(p, EBADMSG,
					 "v1 and v2 file lists differ");
		k++;
		if (one->len_bytes == 0)
			continue;
		if (mi->files[i].off_bytes != mi_align(mi, end))
			return mi_refuse(p, EBADMSG,
					 "a file is not aligned to a piece");
		mi->files[i].root = two->root;
		end = mi->files[i].off_bytes + one->len_bytes;
	}
	if (k != p->v2.n)
		return mi_refuse(p, EBADMSG, "v1 and v2 file lists differ");
	if (mi->total_bytes > mi_align(mi, end))
		return mi_refuse(p, EBADMSG, "there are pieces of padding");
	return 0;
}

/* ---- piece layers ---- */

static bool has_layer(const struct metainfo *mi, const struct mi_file *f)
{
	return f->root && f->len_bytes > mi->piece_bytes;
}

static uint64_t layer_bytes(const struct metainfo *mi, const struct mi_file *f)
{
	return mi_align(mi, f->len_bytes) / mi->piece_bytes * HASH_SHA256_BYTES;
}

/* Root → the first file with it. Files of equal content share theirs. */
static int index_roots(struct mi_parse *p, struct hmap *roots)
{
	for (uint32_t i = 0; i < p->mi.n_files; i++) {
		struct mi_file *f = &p->mi.files[i];
		int r;

		if (!has_layer(&p->mi, f))
			continue;
		r = hmap_put(roots, f->root, f);
		if (r != 0 && r != EEXIST)
			return r;
	}
	return 0;
}

static int check_layer(struct mi_parse *p, const struct mi_file *f,
		       struct span layer)
{
	uint8_t root[HASH_SHA256_BYTES];
	struct merkle m;

	if (layer.len != layer_bytes(&p->mi, f))
		return mi_refuse(p, EBADMSG,
				 "a piece layer has the wrong size");
	merkle_begin(&m, p->hasher,
		     merkle_height(p->mi.piece_bytes / MERKLE_LEAF_BYTES));
	for (size_t at = 0; at < layer.len; at += HASH_SHA256_BYTES)
		merkle_add(&m, layer.ptr + at);
	merkle_root(&m, merkle_height(layer.len / HASH_SHA256_BYTES), root);
	if (memcmp(root, f->root, sizeof(root)) != 0)
		return mi_refuse(p, EBADMSG,
				 "a piece layer does not match its root");
	return 0;
}

static int read_layers(struct mi_parse *p, benc_ref layers, struct hmap *roots)
{
	const struct benc *doc = &p->doc;
	benc_ref value;

	for (benc_ref k = benc_first(doc, layers); k != BENC_NONE;
	     k = benc_next(doc, value)) {
		struct span root = benc_str(doc, k);
		struct mi_file *f = NULL;
		int r;

		value = benc_next(doc, k);
		if (root.len == HASH_SHA256_BYTES)
			f = hmap_get(roots, root.ptr);
		if (!f)
			return mi_refuse(p, EBADMSG,
					 "a piece layer belongs to no file");
		if (!benc_is(doc, value, BENC_STR))
			return mi_refuse(p, EBADMSG,
					 "a piece layer is no string");
		r = check_layer(p, f, benc_str(doc, value));
		if (r != 0)
			return r;
		f->layer = benc_str(doc, value).ptr;
	}
	return 0;
}

static int share_layers(struct mi_parse *p, const struct hmap *roots)
{
	for (uint32_t i = 0; i < p->mi.n_files; i++) {
		struct mi_file *f = &p->mi.files[i];
		const struct mi_file *first;

		if (!has_layer(&p->mi, f))
			continue;
		first = hmap_get(roots, f->root);
		if (layer_bytes(&p->mi, first) != layer_bytes(&p->mi, f))
			return mi_refuse(p, EBADMSG,
					 "files of different size have the "
					 "same pieces root");
		f->layer = first->layer;
	}
	return 0;
}

int mi_v2_layers(struct mi_parse *p)
{
	benc_ref layers = benc_get(&p->doc, BENC_ROOT, "piece layers");
	struct hmap *roots;
	int r;

	if (layers == BENC_NONE)
		return 0;
	if (!benc_is(&p->doc, layers, BENC_DICT))
		return mi_refuse(p, EBADMSG, "piece layers is no dictionary");
	r = hmap_new(HASH_SHA256_BYTES, &roots);
	if (r != 0)
		return r;
	r = index_roots(p, roots);
	if (r == 0)
		r = read_layers(p, layers, roots);
	if (r == 0)
		r = share_layers(p, roots);
	hmap_free(roots);
	return r;
}
