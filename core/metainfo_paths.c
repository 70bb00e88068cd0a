/* metainfo_paths — from stated paths to paths that can be shown.
 *
 * Purpose: each element is sanitised (name.c); after that, names that were
 * different can be equal, a file can be called like a directory, and a
 * torrent can state the same path twice. The result is unique in every
 * directory and depends on nothing but the order of the files, so it is the
 * same after every start.
 *
 * Rules, applied in the order of the files:
 *   1. a directory element joins the directory of that (clean) name
 *   2. a name that is taken gets ".1", ".2", … before its extension: a file
 *      by anything, a directory by a file
 *   3. pad files are all called ".pad" and take part in nothing
 *
 * How: every (directory, name) is a key of one hash table. The key is a
 * SHA-256 over both, so that its length is fixed and nobody can choose
 * names that meet. Files of one directory mostly come one after the other, and
 * then it is not looked up again. A node remembers the last suffix tried for
 * its name, so n equal names cost n look-ups; more than METAINFO_MAX_DUPLICATES
 * of one name are refused. */
#include "core/metainfo_internal.h"

#include <errno.h>

#include "core/be.h"
#include "core/core_limits.h"
#include "core/hmap.h"
#include "core/name.h"

struct node {
	char *name;
	uint32_t id;	      /* of a directory; 0 is the top */
	uint32_t last_suffix; /* tried for others that wanted this name */
	bool is_dir;
	struct node *dir_alias; /* of a file: the directory that wanted its
				   name, and got another one */
};

struct paths {
	struct mi_parse *p;
	struct hmap *taken;
	uint32_t n_dirs;
	/* The directories of the file before, and as they were stated. */
	const struct span *last;
	uint32_t n_last;
	struct node *dirs[METAINFO_MAX_DEPTH];
};

static void make_key(const struct paths *ps, uint32_t dir, const char *name,
		     uint8_t key[HASH_SHA256_BYTES])
{
	struct hasher *h = ps->p->hasher;
	uint8_t id[4];

	be32_put(id, dir);
	hasher_begin(h, HASH_SHA256);
	hasher_add(h, id, sizeof(id));
	hasher_add(h, name, strlen(name));
	hasher_end(h, key);
}

/* Makes the node of a name that is free, with key `key`. */
static int add_node(struct paths *ps, const uint8_t *key, const char *name,
		    bool is_dir, struct node **out)
{
	struct node *n = mi_arena_alloc(&ps->p->scratch, 1, sizeof(*n));

	if (!n)
		return ENOMEM;
	n->name = mi_arena_strdup(&ps->p->arena, name, strlen(name));
	if (!n->name)
		return ENOMEM;
	n->is_dir = is_dir;
	if (is_dir)
		n->id = ++ps->n_dirs;
	*out = n;
	return hmap_put(ps->taken, key, n);
}

/* `holder` has the name that is wanted: finds the next that is free. */
static int add_suffixed(struct paths *ps, uint32_t dir, struct node *holder,
			bool is_dir, struct node **out)
{
	uint8_t key[HASH_SHA256_BYTES];
	char name[NAME_BUF_BYTES];

	do {
		if (holder->last_suffix >= METAINFO_MAX_DUPLICATES)
			return mi_refuse(ps->p, EBADMSG,
					 "more than %d files of one name",
					 METAINFO_MAX_DUPLICATES);
		memcpy(name, holder->name, strlen(holder->name) + 1);
		name_suffix(name, ++holder->last_suffix);
		make_key(ps, dir, name, key);
	} while (hmap_get(ps->taken, key));
	return add_node(ps, key, name, is_dir, out);
}

static int enter_dir(struct paths *ps, uint32_t dir, const char *name,
		     struct node **out)
{
	uint8_t key[HASH_SHA256_BYTES];
	struct node *n;
	int r;

	make_key(ps, dir, name, key);
	n = hmap_get(ps->taken, key);
	if (!n)
		return add_node(ps, key, name, true, out);
	if (!n->is_dir && !n->dir_alias) {
		r = add_suffixed(ps, dir, n, true, &n->dir_alias);
		if (r != 0)
			return r;
	}
	*out = n->is_dir ? n : n->dir_alias;
	return 0;
}

static int add_file(struct paths *ps, uint32_t dir, const char *name,
		    struct node **out)
{
	uint8_t key[HASH_SHA256_BYTES];
	struct node *holder;

	make_key(ps, dir, name, key);
	holder = hmap_get(ps->taken, key);
	if (holder)
		return add_suffixed(ps, dir, holder, false, out);
	return add_node(ps, key, name, false, out);
}

/* The elements lie in the torrent's bytes, their list in the scratch. */
static int keep_raw(struct mi_parse *p, const struct span *elem,
		    struct mi_file *f)
{
	struct span *raw = mi_arena_alloc(&p->arena, f->n_path, sizeof(*raw));

	if (!raw)
		return ENOMEM;
	memcpy(raw, elem, f->n_path * sizeof(*raw));
	f->raw = raw;
	return 0;
}

/* One element of a path; `is_same` says that those before it are the ones of
 * the file before: then this one may be, too, and need not be looked up. */
static int add_elem(struct paths *ps, const struct mi_raw *raw, uint32_t i,
		    uint32_t dir, bool *is_same, struct node **out)
{
	char name[NAME_BUF_BYTES];
	int r;

	*is_same = *is_same && i < ps->n_last &&
		   span_equal(raw->elem[i], ps->last[i]);
	if (*is_same) {
		*out = ps->dirs[i];
		return 0;
	}
	name_clean(raw->elem[i].ptr, raw->elem[i].len, name);
	r = enter_dir(ps, dir, name, out);
	if (r == 0)
		ps->dirs[i] = *out;
	return r;
}

static int build_path(struct paths *ps, const struct mi_raw *raw,
		      struct mi_file *f)
{
	static const struct span nothing = {.ptr = NULL, .len = 0};
	/* A path of which nothing is left still names a file: "_". */
	uint32_t n = raw->n_elem > 0 ? raw->n_elem : 1;
	const struct span *elem = raw->n_elem > 0 ? raw->elem : &nothing;
	char name[NAME_BUF_BYTES];
	struct node *node;
	bool differs = false, is_same = true;
	uint32_t dir = 0;

	f->path = mi_arena_alloc(&ps->p->arena, n, sizeof(*f->path));
	if (!f->path)
		return ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		int r;

		if (i + 1 < n) {
			r = add_elem(ps, raw, i, dir, &is_same, &node);
		} else {
			name_clean(elem[i].ptr, elem[i].len, name);
			r = add_file(ps, dir, name, &node);
		}
		if (r != 0)
			return r;
		f->path[i] = node->name;
		dir = node->id;
		differs = differs || !span_is(elem[i], node->name);
	}
	f->n_path = n;
	ps->last = raw->elem;
	ps->n_last = n - 1;
	return differs ? keep_raw(ps->p, elem, f) : 0;
}

/* ---- what is no ordinary file ---- */

static int build_pad_path(struct mi_parse *p, char ***pad)
{
	if (*pad)
		return 0;
	*pad = mi_arena_alloc(&p->arena, 1, sizeof(**pad));
	if (!*pad)
		return ENOMEM;
	**pad = mi_arena_strdup(&p->arena, ".pad", 4);
	return **pad ? 0 : ENOMEM;
}

/* Takes the last element off; false when there is none. */
static bool link_up(struct buf *target)
{
	if (target->len == 0)
		return false;
	while (target->len > 0 && target->data[target->len - 1] != '/')
		target->len--;
	if (target->len > 0)
		target->len--;
	return true;
}

/* One more element of a target; *leads says whether it can lead anywhere. */
static int add_link_elem(struct mi_parse *p, benc_ref e, struct buf *target,
			 bool *leads)
{
	char name[NAME_BUF_BYTES];
	struct span s;

	if (!benc_is(&p->doc, e, BENC_STR))
		return mi_refuse(p, EBADMSG, "a symlink's target is malformed");
	s = benc_str(&p->doc, e);
	if (s.len == 0 || s.ptr[0] == '/') /* an absolute path */
		*leads = false;
	else if (span_is(s, ".."))
		*leads = *leads && link_up(target);
	if (name_is_skipped(s.ptr, s.len))
		return 0;
	name_clean(s.ptr, s.len, name);
	if (target->len > 0)
		buf_add_u8(target, '/');
	buf_add_str(target, name);
	return buf_err(target);
}

/* A target that leaves the torrent, or is its top, is none. */
static int build_link(struct mi_parse *p, benc_ref link, struct mi_file *f)
{
	struct buf target = {0};
	bool leads = true;
	int r = 0;

	if (benc_count(&p->doc, link) > METAINFO_MAX_DEPTH)
		return mi_refuse(p, EFBIG, "a symlink's target is too deep");
	for (benc_ref e = benc_first(&p->doc, link); e != BENC_NONE && r == 0;
	     e = benc_next(&p->doc, e))
		r = add_link_elem(p, e, &target, &leads);
	if (r == 0 && leads && target.len > 0) {
		f->symlink =
			mi_arena_strdup(&p->arena, target.data, target.len);
		r = f->symlink ? 0 : ENOMEM;
	}
	buf_fini(&target);
	return r;
}

int mi_paths_build(struct mi_parse *p, const struct mi_list *list)
{
	struct paths ps = {.p = p};
	char **pad = NULL;
	int r = hmap_new(HASH_SHA256_BYTES, &ps.taken);

	for (uint32_t i = 0; i < list->n && r == 0; i++) {
		struct mi_file *f = &p->mi.files[i];

		if (f->attr & MI_ATTR_PAD) {
			r = build_pad_path(p, &pad);
			f->path = pad;
			f->n_path = 1;
			continue;
		}
		r = build_path(&ps, &list->file[i], f);
		if (r == 0 && list->file[i].link != BENC_NONE)
			r = build_link(p, list->file[i].link, f);
	}
	hmap_free(ps.taken);
	return r;
}
