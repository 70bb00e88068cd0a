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
#include "fs/fs_limits.h"
#include "fs/inode.h"
#include "fs/keylink.h"
#include "fs/mount_internal.h"
#include "fs/passthrough.h"
#include "fs/roster.h"
#include "fs/warmth.h"
#include "fs/symlink.h"
#include "fs/tree.h"
#include "fs/upload.h"
#include "net/torrent.h"

enum {
	BLOCK_BYTES = 512, /* the unit of st_blocks */
	FILE_BLOCKS_MIN = 8,
	PREFERRED_BYTES = 128 << 10, /* also of a listing at a time */
	SMALL_BYTES = 4096,
	FOR_LONG_S = 3600,
	FOR_SHORT_S = 1,
};

static const struct {
	enum node_kind dir;
	const char *name;
	enum node_kind kind;
	uint64_t number;
} control_files[] = {
	{NODE_CONTROL, "status", NODE_STATUS, INODE_STATUS},
	{NODE_CONTROL, "status.json", NODE_STATUS_JSON, INODE_STATUS_JSON},
	{NODE_CONTROL, "dht", NODE_DHT, INODE_DHT},
	{NODE_DHT, "id", NODE_DHT_ID, INODE_DHT_ID},
	{NODE_DHT, "status", NODE_DHT_STATUS, INODE_DHT_STATUS},
	{NODE_DHT, "status.json", NODE_DHT_STATUS_JSON, INODE_DHT_STATUS_JSON},
	{NODE_DHT, "table", NODE_DHT_TABLE, INODE_DHT_TABLE},
	{NODE_DHT, "sample", NODE_DHT_SAMPLE, INODE_DHT_SAMPLE},
};

enum { N_CONTROL_FILES = sizeof(control_files) / sizeof(control_files[0]) };

/* Where the links of keys begin in a listing of the root: behind every base. */
#define KEYLINKS_FROM (UINT64_C(1) << (63 - INODE_IX_BITS))

/* ---- making nodes ---- */

static struct node own_node(enum node_kind kind, uint64_t number)
{
	return (struct node){.kind = kind, .number = number};
}

/* The torrent's directory: all there is to say of it is in its record. */
static struct node top_node(struct shown *s, bool twin)
{
	return (struct node){
		.kind = NODE_DIR,
		.number = s->base | (twin ? INODE_TWIN : 0),
		.shown = s,
		.ix = TREE_TOP,
	};
}

/* The rest needs its tree. */
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
	return top_node(s, twin);
}

static struct node upload_node(struct upload *u)
{
	struct node n = own_node(NODE_UPLOAD, upload_number(u));

	n.upload = u;
	return n;
}

static int find_own(const struct mount *m, uint64_t number, struct node *out)
{
	struct upload *u;

	switch (number) {
	case INODE_ROOT:
		*out = own_node(NODE_ROOT, number);
		return 0;
	case INODE_CONTROL:
		*out = own_node(NODE_CONTROL, number);
		return 0;
	case INODE_IGNORE:
		*out = own_node(NODE_IGNORE, number);
		return 0;
	}
	for (unsigned i = 0; i < N_CONTROL_FILES; i++) {
		if (control_files[i].number != number)
			continue;
		*out = own_node(control_files[i].kind, number);
		return 0;
	}
	u = upload_by_number(m, number);
	if (u == NULL)
		return ESTALE;
	*out = upload_node(u);
	return 0;
}

int node_find(struct mount *m, uint64_t number, struct node *out)
{
	uint64_t base = inode_base_of(number);
	struct shown *s;
	int r;

	if (base == 0)
		return find_own(m, number, out);
	if (inode_is_link(number))
		return keylink_by_number(m, number, out);
	s = roster_by_base(&m->roster, base);
	if (s == NULL)
		return ESTALE;
	if (inode_ix(number) == TREE_TOP) {
		*out = top_node(s, inode_is_twin(number));
		return 0;
	}
	r = warmth_warm(m, s);
	if (r != 0)
		return r;
	if (!tree_has(s->tree, inode_ix(number)))
		return ESTALE;
	*out = tree_node(s, inode_ix(number), inode_is_twin(number));
	if (out->kind == NODE_FILE) /* of which both numbers are good */
		out->number |= number & INODE_TWIN;
	return out->number == number ? 0 : ESTALE;
}

int node_warm(struct mount *m, const struct node *dir)
{
	return dir->kind == NODE_DIR ? warmth_warm(m, dir->shown) : 0;
}

bool node_is_dir(const struct node *n)
{
	return n->kind == NODE_ROOT || n->kind == NODE_CONTROL ||
	       n->kind == NODE_DHT || n->kind == NODE_DIR;
}

bool node_is_link(const struct node *n)
{
	return n->kind == NODE_LINK || n->kind == NODE_KEYLINK;
}

/* ---- names ---- */

static struct node parent_of(const struct node *dir)
{
	uint32_t up;

	if (dir->kind == NODE_DHT)
		return own_node(NODE_CONTROL, INODE_CONTROL);
	if (dir->kind != NODE_DIR || dir->ix == TREE_TOP)
		return own_node(NODE_ROOT, INODE_ROOT);
	up = tree_parent(dir->shown->tree, dir->ix);
	if (up == TREE_TOP)
		return top_node(dir->shown, inode_is_twin(dir->number));
	return tree_node(dir->shown, up, inode_is_twin(dir->number));
}

static int lookup_root(const struct mount *m, const char *name,
		       struct node *out)
{
	struct shown *s;
	struct upload *u;

	if (strcmp(name, NODE_CONTROL_NAME) == 0) {
		*out = own_node(NODE_CONTROL, INODE_CONTROL);
		return 0;
	}
	if (strcmp(name, NODE_IGNORE_NAME) == 0) {
		*out = own_node(NODE_IGNORE, INODE_IGNORE);
		return 0;
	}
	s = roster_by_name(&m->roster, name);
	if (s != NULL) {
		*out = node_top(s, false);
		return 0;
	}
	u = upload_by_name(m, name);
	if (u == NULL)
		return keylink_by_name(m, name, out);
	*out = upload_node(u);
	return 0;
}

static int lookup_control(const struct node *dir, const char *name,
			  struct node *out)
{
	for (unsigned i = 0; i < N_CONTROL_FILES; i++) {
		if (control_files[i].dir != dir->kind ||
		    strcmp(name, control_files[i].name) != 0)
			continue;
		*out = own_node(control_files[i].kind, control_files[i].number);
		return 0;
	}
	return ENOENT;
}

static int lookup_dir(struct mount *m, const struct node *dir, const char *name,
		      struct node *out)
{
	uint32_t ix;
	int r = warmth_warm(m, dir->shown);

	if (r == 0)
		r = tree_lookup(dir->shown->tree, dir->ix, name, &ix);

	if (r == 0)
		*out = tree_node(dir->shown, ix, inode_is_twin(dir->number));
	return r;
}

int node_lookup(struct mount *m, const struct node *dir, const char *name,
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
	if (dir->kind == NODE_CONTROL || dir->kind == NODE_DHT)
		return lookup_control(dir, name, out);
	return lookup_dir(m, dir, name, out);
}

/* ---- listing ---- */

/* By base, less its bits that are always zero: a torrent's place in the root is
 * its own for good, and never 0. The links of keys come behind all of them. */
static bool list_root(struct mount *m, uint64_t *n, struct node *out,
		      const char **name)
{
	struct shown *s = NULL;

	if (*n == 0) {
		*out = own_node(NODE_IGNORE, INODE_IGNORE);
		*name = NODE_IGNORE_NAME;
		return true;
	}
	if (*n < KEYLINKS_FROM)
		s = roster_from(&m->roster, *n << INODE_IX_BITS);
	if (s == NULL) {
		if (*n < KEYLINKS_FROM)
			*n = KEYLINKS_FROM;
		return keylink_child(m, *n - KEYLINKS_FROM, out, name);
	}
	*n = s->base >> INODE_IX_BITS;
	*out = top_node(s, false);
	*name = s->name;
	return true;
}

static bool list_control(const struct node *dir, uint64_t n, struct node *out,
			 const char **name)
{
	for (unsigned i = 0; i < N_CONTROL_FILES; i++) {
		if (control_files[i].dir != dir->kind || n-- > 0)
			continue;
		*out = own_node(control_files[i].kind, control_files[i].number);
		*name = control_files[i].name;
		return true;
	}
	return false;
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

bool node_child(struct mount *m, const struct node *dir, uint64_t *pos,
		struct node *out, const char **name)
{
	uint64_t n = *pos - NODE_DOTS;
	bool there;

	if (*pos < NODE_DOTS) {
		*out = *pos == 0 ? *dir : parent_of(dir);
		*name = *pos == 0 ? "." : "..";
		++*pos;
		return true;
	}
	if (dir->kind == NODE_ROOT)
		there = list_root(m, &n, out, name);
	else if (dir->kind == NODE_CONTROL || dir->kind == NODE_DHT)
		there = list_control(dir, n, out, name);
	else
		there = list_dir(dir, n, out, name);
	*pos = n + NODE_DOTS + 1;
	return there;
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

/* Of a torrent that is not AWAKE only the sum is known: its files have a part
 * of that by their length. */
uint64_t node_held(const struct node *n)
{
	const struct shown *s = n->shown;

	if (s->torrent != NULL && torrent_state(s->torrent) == TORRENT_READY)
		return torrent_file_held(s->torrent, tree_file(n->ix));
	if (s->held_bytes == 0 || s->size_bytes == 0)
		return 0;
	if (s->held_bytes >= s->mi->content_bytes)
		return node_size(n);
	return (uint64_t)((double)node_size(n) * (double)s->held_bytes /
			  (double)s->size_bytes);
}

bool node_is_whole(const struct node *n)
{
	return warmth_is_ready(n->shown) &&
	       torrent_file_is_whole(n->shown->torrent, tree_file(n->ix));
}

static void stat_file(const struct node *n, struct stat *st)
{
	const struct mi_file *f = file_of(n);
	blkcnt_t blocks = (blkcnt_t)(node_held(n) / BLOCK_BYTES);
	bool is_exec = (f->attr & MI_ATTR_EXEC) != 0; /* BEP 47 */

	st->st_mode = S_IFREG | (is_exec ? 0555 : 0444);
	st->st_size = (off_t)f->len_bytes;
	if (f->len_bytes != 0)
		st->st_blocks =
			blocks > FILE_BLOCKS_MIN ? blocks : FILE_BLOCKS_MIN;
}

int node_link(const struct node *n, char *out, size_t room)
{
	if (n->kind == NODE_KEYLINK)
		return keylink_text(n, out, room);
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
		subdirs = n->ix == TREE_TOP
				  ? n->shown->n_subdirs
				  : tree_subdirs(n->shown->tree, n->ix);
	if (n->kind == NODE_DIR && n->shown->n_nodes <= NODE_SMALL_NODES)
		st->st_blksize = SMALL_BYTES;
	st->st_mode = S_IFDIR | 0555;
	if (n->kind == NODE_ROOT && !m->is_ro)
		st->st_mode |= S_IWUSR; /* torrents are copied into it */
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
	else if (n->kind == NODE_UPLOAD)
		upload_stat(n->upload, st);
	else
		st->st_mode = S_IFREG | 0400;
	if (n->kind == NODE_IGNORE) {
		st->st_mode = S_IFREG | 0444;
		st->st_mtime = 0;
	}
	if (n->kind == NODE_CONTROL || n->kind == NODE_DHT)
		st->st_mode = S_IFDIR | 0500;
	st->st_mode &= ~m->umask;
	if (node_is_link(n)) /* whose mode nobody looks at */
		stat_link(n, st);
	st->st_atime = st->st_mtime;
	st->st_ctime = st->st_mtime;
}

double node_attr_s(const struct node *n)
{
	switch (n->kind) {
	case NODE_UPLOAD:
		return 0;
	case NODE_FILE:
		return node_is_whole(n) || node_size(n) == 0 ? FOR_LONG_S
							     : FOR_SHORT_S;
	case NODE_ROOT: /* root.h */
	case NODE_CONTROL:
	case NODE_STATUS:
	case NODE_STATUS_JSON:
	case NODE_DHT:
	case NODE_DHT_ID:
	case NODE_DHT_STATUS:
	case NODE_DHT_STATUS_JSON:
	case NODE_DHT_TABLE:
	case NODE_DHT_SAMPLE:
	case NODE_DIR:
	case NODE_LINK:
	case NODE_IGNORE:
	case NODE_KEYLINK:
		break;
	}
	return FOR_LONG_S;
}

/* A torrent may be removed: then the kernel forgets all names at once, where it
 * can. What is copied in becomes something else. */
static double entry_s(const struct mount *m, const struct node *n)
{
	if (n->kind == NODE_UPLOAD || n->kind == NODE_KEYLINK)
		return 0;
	if (n->kind == NODE_DIR && n->ix == TREE_TOP && !m->forgets_names)
		return 0;
	return FOR_LONG_S;
}

void node_entry(const struct mount *m, const struct node *n,
		struct fuse_entry_param *e)
{
	memset(e, 0, sizeof(*e));
	e->ino = n->number;
	e->entry_timeout = entry_s(m, n);
	e->attr_timeout = node_attr_s(n);
	if (passthrough_wants(m, n))
		e->ino |= INODE_TWIN;
	else if (m->passthrough_state == PASSTHROUGH_ON && n->kind == NODE_FILE)
		e->entry_timeout = e->attr_timeout; /* it will have a twin */
	node_stat(m, n, &e->attr);
}
