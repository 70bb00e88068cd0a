/* tree — a torrent's metainfo as directories.
 *
 * Words. Slice: the entries of one directory, a run of `kids`, sorted by name.
 *
 * How it is made. The shown files are sorted by path, element by element;
 * then each directory's files lie together, and one pass with a stack of open
 * directories meets every directory once, each time at its sorted place
 * among its siblings. So filling the slices in the order of the pass leaves
 * them sorted. Directories get their final numbers by (first file in metainfo
 * order, depth), so that the numbers do not depend on how names compare.
 *
 * Memory: 4 bytes a node in the slices and 24 a directory; names stay in the
 * metainfo. A directory's name is element depth - 1 of its first file's path.
 *
 * Failure modes: the metainfo says names are unique in a directory; if a file
 * and a directory had one name after all, lookup finds either of them.
 *
 * Invariants (tree_check)
 *   1. slices are disjoint, lie within `kids`, and are sorted
 *   2. a directory's parent has a smaller index, but for the top
 *   3. every directory is in its parent's slice under its name */
#include "fs/tree.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "fs/inode.h"

struct dir {
	uint32_t first_file; /* smallest metainfo index below it */
	uint32_t depth;	     /* 0: the top */
	uint32_t parent;     /* in `dirs` */
	uint32_t kid_at;     /* its slice */
	uint32_t n_kids;
	uint32_t n_subdirs;
};

struct tree {
	const struct metainfo *mi;
	struct dir *dirs; /* [0] is the top */
	uint32_t n_dirs;
	uint32_t *kids; /* node indices */
	uint32_t n_kids;
};

/* What the making needs and drops. */
struct build {
	struct tree *t;
	uint32_t *files; /* shown, sorted by path */
	uint32_t *home;	 /* of files[i]: its directory */
	uint32_t n_files;
	uint32_t *open; /* stack of directories, by depth */
	uint32_t room;	/* of t->dirs */
	uint32_t *rank; /* order of meeting → final number */
};

/* ---- which files are shown ---- */

static bool is_usable(const char *name)
{
	return name[0] != '\0' && strchr(name, '/') == NULL &&
	       strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static bool is_shown(const struct mi_file *f)
{
	if (f->n_path == 0 || (f->attr & MI_ATTR_PAD) != 0)
		return false;
	for (uint32_t i = 0; i < f->n_path; i++)
		if (!is_usable(f->path[i]))
			return false;
	return true;
}

static int compare_paths(const void *a, const void *b, void *arg)
{
	const struct metainfo *mi = arg;
	uint32_t ia = *(const uint32_t *)a, ib = *(const uint32_t *)b;
	const struct mi_file *fa = &mi->files[ia], *fb = &mi->files[ib];

	for (uint32_t i = 0; i < fa->n_path && i < fb->n_path; i++) {
		int c = strcmp(fa->path[i], fb->path[i]);

		if (c != 0)
			return c;
	}
	if (fa->n_path != fb->n_path)
		return fa->n_path < fb->n_path ? -1 : 1;
	return ia < ib ? -1 : ia > ib;
}

static int sort_files(struct build *b)
{
	const struct metainfo *mi = b->t->mi;
	uint32_t deepest = 1;

	b->files = mem_zalloc(mi->n_files, sizeof(*b->files));
	b->home = mem_zalloc(mi->n_files, sizeof(*b->home));
	if (b->files == NULL || b->home == NULL)
		return ENOMEM;
	for (uint32_t i = 0; i < mi->n_files; i++) {
		if (!is_shown(&mi->files[i]))
			continue;
		b->files[b->n_files++] = i;
		if (mi->files[i].n_path > deepest)
			deepest = mi->files[i].n_path;
	}
	qsort_r(b->files, b->n_files, sizeof(*b->files), compare_paths,
		(void *)(uintptr_t)mi);
	b->open = mem_zalloc(deepest, sizeof(*b->open));
	return b->open != NULL ? 0 : ENOMEM;
}

/* ---- the pass ---- */

static int add_dir(struct build *b, uint32_t parent, uint32_t depth,
		   uint32_t file)
{
	struct tree *t = b->t;

	if (t->mi->n_files + t->n_dirs > INODE_IX_MAX)
		return E2BIG;
	if (t->n_dirs == b->room) {
		uint32_t room = b->room != 0 ? 2 * b->room : 8;
		struct dir *dirs = mem_grow(t->dirs, room, sizeof(*dirs));

		if (dirs == NULL)
			return ENOMEM;
		t->dirs = dirs;
		b->room = room;
	}
	t->dirs[t->n_dirs++] = (struct dir){
		.first_file = file, .depth = depth, .parent = parent};
	return 0;
}

/* How many directories two paths share. */
static uint32_t common_dirs(const struct mi_file *a, const struct mi_file *b)
{
	uint32_t n = a->n_path < b->n_path ? a->n_path : b->n_path;
	uint32_t i = 0;

	while (i + 1 < n && strcmp(a->path[i], b->path[i]) == 0)
		i++;
	return i;
}

/* Open the directories of files[i] that the file before it was not in. */
static int enter(struct build *b, uint32_t i)
{
	struct tree *t = b->t;
	uint32_t ix = b->files[i];
	const struct mi_file *f = &t->mi->files[ix];
	uint32_t depth = 0;
	int r;

	if (i > 0)
		depth = common_dirs(&t->mi->files[b->files[i - 1]], f);
	for (uint32_t d = 1; d <= depth; d++)
		if (ix < t->dirs[b->open[d]].first_file)
			t->dirs[b->open[d]].first_file = ix;
	while (depth + 1 < f->n_path) {
		uint32_t parent = b->open[depth];

		r = add_dir(b, parent, ++depth, ix);
		if (r != 0)
			return r;
		t->dirs[parent].n_kids++;
		t->dirs[parent].n_subdirs++;
		b->open[depth] = t->n_dirs - 1;
	}
	b->home[i] = b->open[depth];
	t->dirs[b->home[i]].n_kids++;
	return 0;
}

static int find_dirs(struct build *b)
{
	int r = add_dir(b, 0, 0, 0);

	for (uint32_t i = 0; r == 0 && i < b->n_files; i++)
		r = enter(b, i);
	return r;
}

/* ---- final numbers and slices ---- */

static int compare_dirs(const void *a, const void *b, void *arg)
{
	const struct dir *dirs = arg;
	const struct dir *da = &dirs[*(const uint32_t *)a];
	const struct dir *db = &dirs[*(const uint32_t *)b];

	if (da->depth == 0 || db->depth == 0) /* the top comes first */
		return (da->depth > 0) - (db->depth > 0);
	if (da->first_file != db->first_file)
		return da->first_file < db->first_file ? -1 : 1;
	return da->depth < db->depth ? -1 : da->depth > db->depth;
}

/* rank[met] = final number. */
static int rank_dirs(struct build *b)
{
	uint32_t n = b->t->n_dirs;
	uint32_t *order = mem_zalloc(n, sizeof(*order));

	b->rank = mem_zalloc(n, sizeof(*b->rank));
	if (order == NULL || b->rank == NULL) {
		mem_free(order);
		return ENOMEM;
	}
	for (uint32_t i = 0; i < n; i++)
		order[i] = i;
	qsort_r(order, n, sizeof(*order), compare_dirs, b->t->dirs);
	for (uint32_t i = 0; i < n; i++)
		b->rank[order[i]] = i;
	mem_free(order);
	return 0;
}

static uint32_t dir_node(const struct tree *t, uint32_t dir)
{
	return dir == 0 ? TREE_TOP : t->mi->n_files + dir;
}

static void put_kid(struct tree *t, struct dir *d, uint32_t node)
{
	t->kids[d->kid_at + d->n_kids++] = node;
}

/* The directories in the order of the pass, merged with the files: a
 * directory was met just before the first file below it. */
static void fill_slices(struct build *b)
{
	struct tree *t = b->t;
	uint32_t at = 0, met = 1;

	for (uint32_t i = 0; i < t->n_dirs; i++) {
		t->dirs[i].kid_at = at;
		at += t->dirs[i].n_kids;
		t->dirs[i].n_kids = 0;
	}
	for (uint32_t i = 0; i < b->n_files; i++) {
		while (met <= b->home[i]) {
			put_kid(t, &t->dirs[t->dirs[met].parent],
				dir_node(t, b->rank[met]));
			met++;
		}
		put_kid(t, &t->dirs[b->home[i]], b->files[i] + 1);
	}
}

static int renumber(struct build *b)
{
	struct tree *t = b->t;
	struct dir *dirs = mem_zalloc(t->n_dirs, sizeof(*dirs));

	if (dirs == NULL)
		return ENOMEM;
	for (uint32_t i = 0; i < t->n_dirs; i++) {
		dirs[b->rank[i]] = t->dirs[i];
		dirs[b->rank[i]].parent = b->rank[t->dirs[i].parent];
	}
	mem_free(t->dirs);
	t->dirs = dirs;
	return 0;
}

static int build(struct build *b)
{
	struct tree *t = b->t;
	int r;

	r = sort_files(b);
	if (r == 0)
		r = find_dirs(b);
	if (r == 0)
		r = rank_dirs(b);
	if (r != 0)
		return r;
	t->n_kids = b->n_files + t->n_dirs - 1;
	t->kids = mem_zalloc(t->n_kids, sizeof(*t->kids));
	if (t->kids == NULL)
		return ENOMEM;
	fill_slices(b);
	return renumber(b);
}

int tree_new(const struct metainfo *mi, struct tree **out)
{
	struct build b = {0};
	int r;

	if (mi->n_files > INODE_IX_MAX)
		return E2BIG;
	b.t = mem_new(struct tree);
	if (b.t == NULL)
		return ENOMEM;
	b.t->mi = mi;
	r = build(&b);
	mem_free(b.files);
	mem_free(b.home);
	mem_free(b.open);
	mem_free(b.rank);
	if (r != 0) {
		tree_free(b.t);
		return r;
	}
#ifdef SHOAL_CHECKS
	tree_check(b.t);
#endif
	*out = b.t;
	return 0;
}

void tree_free(struct tree *t)
{
	if (t == NULL)
		return;
	mem_free(t->dirs);
	mem_free(t->kids);
	mem_free(t);
}

/* ---- questions ---- */

bool tree_is_dir(const struct tree *t, uint32_t ix)
{
	return ix == TREE_TOP || ix > t->mi->n_files;
}

static const struct dir *dir_of(const struct tree *t, uint32_t ix)
{
	assert(tree_is_dir(t, ix));
	return &t->dirs[ix == TREE_TOP ? 0 : ix - t->mi->n_files];
}

bool tree_has(const struct tree *t, uint32_t ix)
{
	if (tree_is_dir(t, ix))
		return ix == TREE_TOP || ix - t->mi->n_files < t->n_dirs;
	return is_shown(&t->mi->files[ix - 1]);
}

uint32_t tree_file(uint32_t ix)
{
	assert(ix != TREE_TOP);
	return ix - 1;
}

uint32_t tree_parent(const struct tree *t, uint32_t dir_ix)
{
	return dir_node(t, dir_of(t, dir_ix)->parent);
}

uint32_t tree_subdirs(const struct tree *t, uint32_t dir_ix)
{
	return dir_of(t, dir_ix)->n_subdirs;
}

uint32_t tree_count(const struct tree *t)
{
	return t->n_kids + 1;
}

static const char *name_of(const struct tree *t, uint32_t ix)
{
	const struct mi_file *f;
	const struct dir *d;

	if (!tree_is_dir(t, ix)) {
		f = &t->mi->files[ix - 1];
		return f->path[f->n_path - 1];
	}
	d = dir_of(t, ix);
	return t->mi->files[d->first_file].path[d->depth - 1];
}

bool tree_child(const struct tree *t, uint32_t dir_ix, uint32_t n, uint32_t *ix,
		const char **name)
{
	const struct dir *d = dir_of(t, dir_ix);

	if (n >= d->n_kids)
		return false;
	*ix = t->kids[d->kid_at + n];
	*name = name_of(t, *ix);
	return true;
}

int tree_lookup(const struct tree *t, uint32_t dir_ix, const char *name,
		uint32_t *ix)
{
	const struct dir *d = dir_of(t, dir_ix);
	uint32_t lo = 0, hi = d->n_kids;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		uint32_t node = t->kids[d->kid_at + mid];
		int c = strcmp(name, name_of(t, node));

		if (c == 0) {
			*ix = node;
			return 0;
		}
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return ENOENT;
}

void tree_check(const struct tree *t)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < t->n_dirs; i++)
		at += t->dirs[i].n_kids;
	assert(at == t->n_kids);
	(void)at;
	for (uint32_t i = 0; i < t->n_dirs; i++) {
		const struct dir *d = &t->dirs[i];

		assert(d->kid_at + d->n_kids <= t->n_kids);
		assert(i == 0 || d->parent < i);
		for (uint32_t k = 0; k + 1 < d->n_kids; k++)
			assert(strcmp(name_of(t, t->kids[d->kid_at + k]),
				      name_of(t, t->kids[d->kid_at + k + 1])) <=
			       0);
	}
	for (uint32_t i = 1; i < t->n_dirs; i++) {
		uint32_t ix;
		int r = tree_lookup(t, dir_node(t, t->dirs[i].parent),
				    name_of(t, dir_node(t, i)), &ix);

		assert(r == 0);
		(void)r;
	}
}
