/* node — what a node number stands for: its attributes, its children.
 *
 * Everything is answered from memory. Thread: loop. */
#ifndef SHOAL_FS_NODE_H
#define SHOAL_FS_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "fs/fuse_api.h"

struct mount;
struct shown;

#define NODE_CONTROL_NAME ".shoalfs"

enum node_kind {
	NODE_ROOT,
	NODE_CONTROL, /* the directory .shoalfs */
	NODE_STATUS,
	NODE_STATUS_JSON,
	NODE_DIR, /* a torrent's */
	NODE_FILE,
	NODE_LINK, /* a symlink of a torrent */
};

/* A value, made by the functions below; valid as long as the mount. */
struct node {
	enum node_kind kind;
	uint64_t number;     /* the kernel's node id */
	struct shown *shown; /* DIR, FILE and LINK */
	uint32_t ix;	     /* likewise: in the tree */
};

/* node_find — 0, or ESTALE: the number stands for nothing (any more). */
int node_find(const struct mount *m, uint64_t number, struct node *out);

/* node_top — the top directory of a shown torrent; `twin`: reached by hash. */
struct node node_top(struct shown *s, bool twin);

/* node_lookup — a name in a directory, "." and ".." included, but not the
 * names of info-hashes in the root (fs/nameop.h). 0, ENOENT, ENOTDIR,
 * ENAMETOOLONG. */
int node_lookup(const struct mount *m, const struct node *dir, const char *name,
		struct node *out);

/* node_child — what readdir lists at `pos` = 0, 1, …: ".", "..", then the
 * entries. Positions are stable. False past the end. `name` is lent. */
bool node_child(const struct mount *m, const struct node *dir, uint64_t pos,
		struct node *out, const char **name);

bool node_is_dir(const struct node *n);

/* node_size — of a file of a torrent. */
uint64_t node_size(const struct node *n);

/* node_link — the text of a LINK, as symlink_text. */
int node_link(const struct node *n, char *out, size_t room);

void node_stat(const struct mount *m, const struct node *n, struct stat *st);

/* node_attr_s — how long the kernel may believe node_stat. */
double node_attr_s(const struct node *n);

/* node_entry — the reply to a lookup. */
void node_entry(const struct mount *m, const struct node *n,
		struct fuse_entry_param *e);

#endif
