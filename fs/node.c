/* node — what a node number stands for: its attributes, its children.
 *
 * Numbers come from the kernel, which may hold them for longer than we live
 * (NFS): a number that stands for nothing is ESTALE, never an assert.
 *
 * Attributes, each for a reason that DESIGN.md gives: times are constant; only
 * the root's change, when a torrent is added. st_blocks is what is held, but
 * never 0 for a file that is not empty. A directory has 2 + its directories
 * links, which `find` uses. Twins (fs/inode.h) differ in number only. */
#include "fs/node.h"

#include <limits.h>
#include <string.h>

#include "core/err.h"
#include "core/metainfo.h"
#include "fs/inode.h"
#include "fs/mount_internal.h"
#include "fs/roster.h"
#include "fs/symlink.h"
#include "fs/tree.h"
#include "net/torrent.h"

enum {
	BLOCK_BYTES = 512, /* the unit of st_blocks */
	FILE_BLOCKS_MIN = 8,
	PREFERRED_BYTES = 128 << 10,
	FOR_LONG_S = 3600,
	FOR_SHORT_S = 1,
	N_DOTS = 2, /* "." and ".." come first */
};

static const struct {
	const char *name;
	enum node_kind kind;
	uint64_t number;
} control_files[] = {
	{"status", NODE_STATUS, INODE_STATUS},
	{"status.json", NODE_STATUS_JSON, INODE_STATUS_JSON},
};

enum { N_CONTROL_FILES = sizeof(control_files) / sizeof(control_files[0]) };

/* ---- making nodes ---- */

static struct node own_node(enum node_kind kind, uint64_t number)
{
	return (struct node){.kind = kind, .number = number};
}

static struct node tree_node(struct shown *s, uint32_t ix, bool twin)
{
	bool is_dir = tree_is_dir(s->tree, ix);
	enum node_kind kind = NODE_DIR;

	if (!is_dir)
		kind = s->mi->files[tree_file(ix)].attr & MI_ATTR_SYMLINK
			       ? NODE_LINK
			       : NODE_FILE;
	return (struct node){
		.kind = kind,
		.number = s->base | ix | (is_dir && twin ? INODE_TWIN : 0),
		.shown = s,
		.ix = ix,
	};
}

struct node node_top(struct shown *s, bool twin)
{
	return tree_node(s, TREE_TOP, twin);
}

static int find_own(uint64_t number, struct node *out)
{
	switch (number) {
	case INODE_ROOT:
		*out = own_node(NODE_ROOT, number);
		return 0;
	case INODE_CONTROL:
		*out = own_node(NODE_CONTROL, number);
		return 0;
	case INODE_STATUS:
		*out = own_node(NODE_STATUS, number);
		return 0;
	case INODE_STATUS_JSON:
		*out = own_node(NODE_STATUS_JSON, number);
		return 0;
	}
	return ESTALE;
}

int node_find(const struct mount *m, uint64_t number, struct node *out)
{
	uint64_t base = inode_base_of(number);
	struct shown *s;

	if (base == 0)
		return find_own(number, out);
	s = roster_by_base(&m->roster, base);
	if (s == NULL || !tree_has(s->tree, inode_ix(number)))
		return ESTALE;
	*out = tree_node(s, inode_ix(number), inode_is_twin(number));
	return out->number == number ? 0 : ESTALE;
}

bool node_is_dir(const struct node *n)
{
	return n->kind == NODE_ROOT || n->kind == NODE_CONTROL ||
	       n->kind == NODE_DIR;
}

/* ---- names ---- */

static struct node parent_of(const struct node *dir)
{
	if (dir->kind != NODE_DIR || dir->ix == TREE_TOP)
		return own_node(NODE_ROOT, INODE_ROOT);
	return tree_node(dir->shown, tree_parent(dir->shown->tree, dir->ix),
			 inode_is_twin(dir->number));
}

static int lookup_root(const struct mount *m, const char *name,
		       struct node *out)
{
	struct shown *s;

	if (strcmp(name, NODE_CONTROL_NAME) == 0) {
		*out = own_node(NODE_CONTROL, INODE_CONTROL);
		return 0;
	}
	s = roster_by_name(&m->roster, name);
	if (s == NULL)
		return ENOENT;
	*out = node_top(s, false);
	return 0;
}

static int lookup_control(const char *name, struct node *out)
{
	for (unsigned i = 0; i < N_CONTROL_FILES; i++) {
		if (strcmp(name, control_files[i].name) != 0)
			continue;
		*out = own_node(control_files[i].kind, control_files[i].number);
		return 0;
	}
	return ENOENT;
}

static int lookup_dir(const struct node *dir, const char *name,
		      struct node *out)
{
	uint32_t ix;
	int r = tree_lookup(dir->shown->tree, dir->ix, name, &ix);

	if (r == 0)
		*out = tree_node(dir->shown, ix, inode_is_twin(dir->number));
	return r;
}

int node_lookup(const struct mount *m, const struct node *dir, const char *name,
		struct node *out)
{
	if (strlen(name) > NAME_MAX)
		return ENAMETOOLONG;
	if (strcmp(name, ".") == 0) { /* NFS, of any node */
		*out = *dir;
		return 0;
	}
	if (!node_is_dir(dir))
		return ENOTDIR;
	if (strcmp(name, "..") == 0) {
		*out = parent_of(dir);
		return 0;
	}
	if (dir->kind == NODE_ROOT)
		return lookup_root(m, name, out);
	if (dir->kind == NODE_CONTROL)
		return lookup_control(name, out);
	return lookup_dir(dir, name, out);
}

/* ---- listing ---- */

static bool list_root(const struct mount *m, uint64_t n, struct node *out,
		      const char **name)
{
	if (n >= m->roster.n)
		return false;
	*out = node_top(m->roster.by_age[n], false);
	*name = m->roster.by_age[n]->name;
	return true;
}

static bool list_control(uint64_t n, struct node *out, const char **name)
{
	if (n >= N_CONTROL_FILES)
		return false;
	*out = own_node(control_files[n].kind, control_files[n].number);
	*name = control_files[n].name;
	return true;
}

static bool list_dir(const struct node *dir, uint64_t n, struct node *out,
		     const char **name)
{
	uint32_t ix;

	if (n > UINT32_MAX ||
	    !tree_child(dir->shown->tree, dir->ix, (uint32_t)n, &ix, name))
		return false;
	*out = tree_node(dir->shown, ix, inode_is_twin(dir->number));
	return true;
}

bool node_child(const struct mount *m, const struct node *dir, uint64_t pos,
		struct node *out, const char **name)
{
	if (pos < N_DOTS) {
		*out = pos == 0 ? *dir : parent_of(dir);
		*name = pos == 0 ? "." : "..";
		return true;
	}
	if (dir->kind == NODE_ROOT)
		return list_root(m, pos - N_DOTS, out, name);
	if (dir->kind == NODE_CONTROL)
		return list_control(pos - N_DOTS, out, name);
	return list_dir(dir, pos - N_DOTS, out, name);
}

/* ---- attributes ---- */

static const struct mi_file *file_of(const struct node *n)
{
	return &n->shown->mi->files[tree_file(n->ix)];
}

uint64_t node_size(const struct node *n)
{
	return file_of(n)->len_bytes;
}

static uint64_t held_of(const struct node *n)
{
	return torrent_file_held(n->shown->torrent, tree_file(n->ix));
}

static void stat_file(const struct node *n, struct stat *st)
{
	const struct mi_file *f = file_of(n);
	blkcnt_t blocks = (blkcnt_t)(held_of(n) / BLOCK_BYTES);
	bool is_exec = (f->attr & MI_ATTR_EXEC) != 0; /* BEP 47 */

	st->st_mode = S_IFREG | (is_exec ? 0555 : 0444);
	st->st_size = (off_t)f->len_bytes;
	if (f->len_bytes != 0)
		st->st_blocks =
			blocks > FILE_BLOCKS_MIN ? blocks : FILE_BLOCKS_MIN;
}

int node_link(const struct node *n, char *out, size_t room)
{
	return symlink_text(file_of(n), out, room);
}

/* A link that leads nowhere has no text, and no size. */
static void stat_link(const struct node *n, struct stat *st)
{
	char text[PATH_MAX];

	st->st_mode = S_IFLNK | 0777;
	if (node_link(n, text, sizeof(text)) == 0)
		st->st_size = (off_t)strlen(text);
}

static void stat_dir(const struct mount *m, const struct node *n,
		     struct stat *st)
{
	uint32_t subdirs = n->kind == NODE_ROOT ? m->roster.n : 0;

	if (n->kind == NODE_DIR)
		subdirs = tree_subdirs(n->shown->tree, n->ix);
	st->st_mode = S_IFDIR | 0555;
	st->st_nlink = 2 + (nlink_t)subdirs;
}

void node_stat(const struct mount *m, const struct node *n, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_ino = n->number & ~INODE_TWIN;
	st->st_nlink = 1;
	st->st_uid = m->uid;
	st->st_gid = m->gid;
	st->st_blksize = PREFERRED_BYTES;
	st->st_mtime = n->shown != NULL ? n->shown->time_s : m->changed_s;
	if (node_is_dir(n))
		stat_dir(m, n, st);
	else if (n->kind == NODE_FILE)
		stat_file(n, st);
	else
		st->st_mode = S_IFREG | 0400;
	if (n->kind == NODE_CONTROL)
		st->st_mode = S_IFDIR | 0500;
	st->st_mode &= ~m->umask;
	if (n->kind == NODE_LINK) /* whose mode nobody looks at */
		stat_link(n, st);
	st->st_atime = st->st_mtime;
	st->st_ctime = st->st_mtime;
}

double node_attr_s(const struct node *n)
{
	switch (n->kind) {
	case NODE_ROOT:
		return 0;
	case NODE_FILE:
		return held_of(n) == node_size(n) ? FOR_LONG_S : FOR_SHORT_S;
	case NODE_CONTROL:
	case NODE_STATUS:
	case NODE_STATUS_JSON:
	case NODE_DIR:
	case NODE_LINK:
		break;
	}
	return FOR_LONG_S;
}

void node_entry(const struct mount *m, const struct node *n,
		struct fuse_entry_param *e)
{
	memset(e, 0, sizeof(*e));
	e->ino = n->number;
	e->entry_timeout = FOR_LONG_S;
	e->attr_timeout = node_attr_s(n);
	node_stat(m, n, &e->attr);
}
