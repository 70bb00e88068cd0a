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
 * How: every (directory, name) is in one table (metainfo_names.c). Files of one
 * directory mostly come one after the other, and then it is not looked up
 * again. A name remembers the last suffix tried for it, so n equal names cost n
 * look-ups; more than METAINFO_MAX_DUPLICATES of one name are refused. */
#include "core/metainfo_internal.h"

#include <errno.h>

#include "core/hmap.h"
#include "core/mem.h"
#include "core/name.h"

struct mi_paths {
	struct mi_parse *p;
	struct mi_names *taken;
	/* Of a file's number: the directory's, + 1, that wanted its name and
	 * got another one. */
	struct hmap *aliases;
	char **pad; /* the path of all pad files */
	/* The directories of the file before, as stated and as numbers. */
	struct span last[METAINFO_MAX_DEPTH];
	uint32_t dirs[METAINFO_MAX_DEPTH];
	uint32_t n_last;
};

/* Takes a name that is free. */
static int add_name(struct mi_paths *ps, uint32_t dir, const char *name,
		    bool is_dir, uint32_t *out)
{
	char *text = mi_arena_strdup(&ps->p->arena, name, strlen(name));

	return text ? mi_names_add(ps->taken, dir, text, is_dir, out) : ENOMEM;
}

/* `holder` has the name that is wanted: takes the next that is free. */
static int add_suffixed(struct mi_paths *ps, uint32_t dir, uint32_t holder,
			bool is_dir, uint32_t *out)
{
	struct mi_name *h = mi_names_at(ps->taken, holder);
	char name[NAME_BUF_BYTES];
	uint32_t other;

	do {
		if (h->last_suffix >= METAINFO_MAX_DUPLICATES)
			return mi_refuse(ps->p, EBADMSG,
					 "more than %d files of one name",
					 METAINFO_MAX_DUPLICATES);
		memcpy(name, h->text, strlen(h->text) + 1);
		name_suffix(name, ++h->last_suffix);
	} while (mi_names_find(ps->taken, dir, name, &other));
	return add_name(ps, dir, name, is_dir, out);
}

/* A file has the directory's name. */
static int enter_alias(struct mi_paths *ps, uint32_t dir, uint32_t file,
		       uint32_t *out)
{
	void *known = hmap_get(ps->aliases, &file);
	int r;

	*out = (uint32_t)(uintptr_t)known - 1;
	if (known)
		return 0;
	r = add_suffixed(ps, dir, file, true, out);
	if (r == 0)
		r = hmap_put(ps->aliases, &file, (void *)(uintptr_t)(*out + 1));
	return r;
}

static int enter_dir(struct mi_paths *ps, uint32_t dir, const char *name,
		     uint32_t *out)
{
	if (!mi_names_find(ps->taken, dir, name, out))
		return add_name(ps, dir, name, true, out);
	if (mi_names_at(ps->taken, *out)->is_dir)
		return 0;
	return enter_alias(ps, dir, *out, out);
}

static int add_file(struct mi_paths *ps, uint32_t dir, const char *name,
		    uint32_t *out)
{
	if (mi_names_find(ps->taken, dir, name, out))
		return add_suffixed(ps, dir, *out, false, out);
	return add_name(ps, dir, name, false, out);
}

/* The elements lie in the torrent's bytes, their list does not. */
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

/* One directory of a path; `is_same` says that those before it are the ones of
 * the file before: then this one may be, too, and need not be looked up. */
static int add_elem(struct mi_paths *ps, struct span elem, uint32_t i,
		    uint32_t dir, bool *is_same, uint32_t *out)
{
	char name[NAME_BUF_BYTES];
	int r;

	*is_same = *is_same && i < ps->n_last && span_equal(elem, ps->last[i]);
	if (*is_same) {
		*out = ps->dirs[i];
		return 0;
	}
	name_clean(elem.ptr, elem.len, name);
	r = enter_dir(ps, dir, name, out);
	ps->dirs[i] = *out;
	ps->last[i] = elem;
	return r;
}

static int build_path(struct mi_paths *ps, const struct mi_raw *raw,
		      struct mi_file *f)
{
	static const struct span nothing = {.ptr = NULL, .len = 0};
	/* A path of which nothing is left still names a file: "_". */
	uint32_t n = raw->n_elem > 0 ? raw->n_elem : 1;
	const struct span *elem = raw->n_elem > 0 ? raw->elem : &nothing;
	char name[NAME_BUF_BYTES];
	bool differs = false, is_same = true;
	uint32_t dir = 0, at = 0;

	f->path = mi_arena_alloc(&ps->p->arena, n, sizeof(*f->path));
	if (!f->path)
		return ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		int r;

		if (i + 1 < n) {
			r = add_elem(ps, elem[i], i, dir, &is_same, &at);
		} else {
			name_clean(elem[i].ptr, elem[i].len, name);
			r = add_file(ps, dir, name, &at);
		}
		if (r != 0)
			return r;
		f->path[i] = mi_names_at(ps->taken, at)->text;
		dir = at + 1;
		differs = differs || !span_is(elem[i], f->path[i]);
	}
	f->n_path = n;
	ps->n_last = n - 1;
	return differs ? keep_raw(ps->p, elem, f) : 0;
}

/* ---- what is no ordinary file ---- */

static int build_pad_path(struct mi_paths *ps, struct mi_file *f)
{
	struct mi_arena *arena = &ps->p->arena;

	if (!ps->pad) {
		ps->pad = mi_arena_alloc(arena, 1, sizeof(*ps->pad));
		if (!ps->pad)
			return ENOMEM;
		ps->pad[0] = mi_arena_strdup(arena, ".pad", 4);
	}
	f->path = ps->pad;
	f->n_path = 1;
	return ps->pad[0] ? 0 : ENOMEM;
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
static int add_link_elem(struct mi_parse *p, const struct benc *doc, benc_ref e,
			 struct buf *target, bool *leads)
{
	char name[NAME_BUF_BYTES];
	struct span s;

	if (!benc_is(doc, e, BENC_STR))
		return mi_refuse(p, EBADMSG, "a symlink's target is malformed");
	s = benc_str(doc, e);
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
static int build_link(struct mi_parse *p, const struct mi_raw *raw,
		      struct mi_file *f)
{
	const struct benc *doc = raw->doc;
	struct buf target = {0};
	bool leads = true;
	int r = 0;

	if (benc_count(doc, raw->link) > METAINFO_MAX_DEPTH)
		return mi_refuse(p, EFBIG, "a symlink's target is too deep");
	for (benc_ref e = benc_first(doc, raw->link); e != BENC_NONE && r == 0;
	     e = benc_next(doc, e))
		r = add_link_elem(p, doc, e, &target, &leads);
	if (r == 0 && leads && target.len > 0) {
		f->symlink =
			mi_arena_strdup(&p->arena, target.data, target.len);
		r = f->symlink ? 0 : ENOMEM;
	}
	buf_fini(&target);
	return r;
}

int mi_paths_add(struct mi_paths *ps, const struct mi_raw *raw,
		 struct mi_file *f)
{
	int r;

	if (raw->attr & MI_ATTR_PAD)
		return build_pad_path(ps, f);
	r = build_path(ps, raw, f);
	if (r == 0 && raw->link != BENC_NONE)
		r = build_link(ps->p, raw, f);
	return r;
}

int mi_paths_new(struct mi_parse *p, uint32_t n, struct mi_paths **out)
{
	struct mi_paths *ps = mem_new(struct mi_paths);
	int r;

	if (!ps)
		return ENOMEM;
	ps->p = p;
	r = mi_names_new(n, &ps->taken);
	if (r == 0)
		r = hmap_new(sizeof(uint32_t), &ps->aliases);
	if (r != 0) {
		mi_paths_free(ps);
		return r;
	}
	*out = ps;
	return 0;
}

void mi_paths_free(struct mi_paths *ps)
{
	if (!ps)
		return;
	mi_names_free(ps->taken);
	hmap_free(ps->aliases);
	mem_free(ps);
}
