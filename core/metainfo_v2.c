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

/* ---- the tree ---- */

/* The fields of a file, or BENC_NONE for a directory. */
static int find_leaf(struct mi_list *l, const struct benc *doc, benc_ref node,
		     benc_ref *leaf)
{
	*leaf = benc_get(doc, node, "");
	if (*leaf == BENC_NONE)
		return 0;
	if (!benc_is(doc, *leaf, BENC_DICT) || benc_count(doc, node) != 1)
		return mi_refuse(l->p, EBADMSG,
				 "a file tree entry is malformed");
	return 0;
}

static int read_root(struct mi_list *l, benc_ref leaf)
{
	static const uint8_t zero[HASH_SHA256_BYTES];
	struct span root;

	if (l->file.len_bytes == 0)
		return 0;
	if (!benc_get_str(l->file.doc, leaf, "pieces root", &root))
		return mi_refuse(l->p, EBADMSG, "a file has no pieces root");
	if (root.len != HASH_SHA256_BYTES ||
	    memcmp(root.ptr, zero, sizeof(zero)) == 0)
		return mi_refuse(l->p, EBADMSG, "a pieces root is malformed");
	l->file.root = root.ptr;
	return 0;
}

static struct span key_at(const struct mi_list *l, uint32_t depth)
{
	return benc_str(l->level[depth].doc, l->level[depth].key);
}

static int read_file(struct mi_list *l, const struct benc *doc, benc_ref leaf)
{
	struct mi_parse *p = l->p;
	int r = mi_list_add(l, doc);

	if (r == 0)
		r = mi_list_attr(l, leaf);
	if (r == 0 && (l->file.attr & MI_ATTR_PAD))
		r = mi_refuse(p, EBADMSG, "a pad file is in the file tree");
	if (r == 0)
		r = mi_list_length(l, leaf);
	if (r == 0)
		r = read_root(l, leaf);
	if (r == 0)
		r = mi_list_path(l, l->depth);
	if (r != 0)
		return r;
	for (uint32_t i = 0; i < l->depth; i++)
		mi_list_elem(l, key_at(l, i));
	/* BEP 52: a tree whose only entry is a file called like the torrent. */
	l->is_single = l->depth == 1 && l->is_alone &&
		       span_equal(key_at(l, 0), p->name);
	return 0;
}

/* The next key on this level or, where there is none, on one above. */
static void step_over(struct mi_list *l)
{
	while (l->depth > 0) {
		const struct benc *doc = l->level[l->depth - 1].doc;
		benc_ref key = l->level[l->depth - 1].key;
		benc_ref next = benc_next(doc, benc_next(doc, key));

		l->level[l->depth - 1].key = next;
		if (next != BENC_NONE)
			return;
		l->depth--;
	}
}

static int enter(struct mi_list *l, const struct benc *doc, benc_ref node)
{
	benc_ref first = benc_first(doc, node);

	if (first == BENC_NONE) {
		step_over(l);
		return 0;
	}
	if (l->depth == METAINFO_MAX_DEPTH)
		return mi_refuse(l->p, EFBIG, "directories are deeper than %d",
				 METAINFO_MAX_DEPTH);
	l->level[l->depth].doc = doc;
	l->level[l->depth++].key = first;
	return 0;
}

/* Handles the entry at the innermost key and moves on. What is folded there, or
 * a file's fields, which may have something folded, are unfolded: nothing is
 * within what was, so there is one room for them. */
static int visit(struct mi_list *l, bool *is_file)
{
	const struct benc *doc = l->level[l->depth - 1].doc;
	benc_ref node = benc_next(doc, l->level[l->depth - 1].key);
	benc_ref leaf;
	int r = 0;

	if (!benc_is(doc, node, BENC_DICT))
		return mi_refuse(l->p, EBADMSG,
				 "a file tree entry is no dictionary");
	if (benc_is_folded(doc, node)) {
		r = mi_list_unfold(l, node);
		node = BENC_ROOT;
		doc = &l->room;
	}
	if (r == 0)
		r = find_leaf(l, doc, node, &leaf);
	if (r != 0)
		return r;
	*is_file = leaf != BENC_NONE;
	if (!*is_file)
		return enter(l, doc, node);
	if (doc != &l->room) {
		r = mi_list_unfold(l, leaf);
		leaf = BENC_ROOT;
		doc = &l->room;
	}
	if (r == 0)
		r = read_file(l, doc, leaf);
	step_over(l);
	return r;
}

int mi_v2_begin(struct mi_parse *p, struct mi_list *l)
{
	benc_ref tree = benc_get_type(&p->doc, p->info, "file tree", BENC_DICT);

	*l = (struct mi_list){.p = p};
	if (tree == BENC_NONE)
		return mi_refuse(p, EBADMSG, "there is no file tree");
	if (benc_get(&p->doc, tree, "") != BENC_NONE)
		return mi_refuse(p, EBADMSG, "a file has an empty name");
	l->is_alone = benc_count(&p->doc, tree) == 1;
	l->level[0].doc = &p->doc;
	l->level[0].key = benc_first(&p->doc, tree);
	l->depth = l->level[0].key != BENC_NONE ? 1 : 0;
	return 0;
}

int mi_v2_next(struct mi_list *l)
{
	bool is_file = false;
	int r = 0;

	while (r == 0 && !is_file)
		r = l->depth > 0 ? visit(l, &is_file) : ENODATA;
	return r;
}

/* ---- hybrids ---- */

static int differ(struct mi_parse *p)
{
	return mi_refuse(p, EBADMSG, "v1 and v2 file lists differ");
}

static bool is_same_path(const struct mi_raw *a, const struct mi_raw *b)
{
	if (a->n_elem != b->n_elem)
		return false;
	for (uint32_t i = 0; i < a->n_elem; i++)
		if (!span_equal(a->elem[i], b->elem[i]))
			return false;
	return true;
}

static bool is_link(const struct mi_raw *f)
{
	return (f->attr & MI_ATTR_SYMLINK) != 0;
}

int mi_v2_agrees(struct mi_list *v2, const struct mi_raw *one,
		 struct mi_file *f)
{
	struct mi_parse *p = v2->p;
	const struct mi_raw *two = &v2->file;
	int r;

	if (one->attr & MI_ATTR_PAD)
		return 0;
	r = mi_v2_next(v2);
	if (r == ENODATA)
		return differ(p);
	if (r != 0)
		return r;
	if (one->len_bytes != two->len_bytes || is_link(one) != is_link(two) ||
	    !is_same_path(one, two))
		return differ(p);
	if (one->len_bytes == 0)
		return 0;
	if (f->off_bytes != mi_align(&p->mi, v2->end))
		return mi_refuse(p, EBADMSG,
				 "a file is not aligned to a piece");
	f->root = two->root;
	v2->end = f->off_bytes + one->len_bytes;
	return 0;
}

int mi_v2_agrees_all(struct mi_list *v2, const struct mi_list *v1)
{
	struct mi_parse *p = v2->p;
	int r = mi_v2_next(v2);

	if (r != ENODATA)
		return r != 0 ? r : differ(p);
	if (v1->is_single != v2->is_single)
		return differ(p);
	if (p->mi.total_bytes > mi_align(&p->mi, v2->end))
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
