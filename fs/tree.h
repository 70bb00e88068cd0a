/* tree — a torrent's metainfo as directories.
 *
 * Nodes have an index: 0 the top directory, 1 … n_files the files in metainfo
 * order, then the other directories in the order in which they first appear
 * there. Pad files, symbolic links and files with an unusable name have an
 * index and are not shown. Pure. Thread: any, read only. */
#ifndef SHOAL_FS_TREE_H
#define SHOAL_FS_TREE_H

#include <stdbool.h>
#include <stdint.h>

struct metainfo;
struct tree;

enum { TREE_TOP = 0 };

/* tree_new — keeps `mi`, whose names it lends. 0, ENOMEM, or E2BIG when there
 * are more nodes than inode numbers. */
int tree_new(const struct metainfo *mi, struct tree **out);
void tree_free(struct tree *t);

/* tree_has — is `ix` a node that is shown? The calls below are for those. */
bool tree_has(const struct tree *t, uint32_t ix);
bool tree_is_dir(const struct tree *t, uint32_t ix);

/* tree_file — the metainfo's index of a file node. */
uint32_t tree_file(uint32_t ix);

/* tree_parent — of a directory; the top one is its own. */
uint32_t tree_parent(const struct tree *t, uint32_t dir_ix);
uint32_t tree_subdirs(const struct tree *t, uint32_t dir_ix);

/* tree_count — all nodes that are shown. */
uint32_t tree_count(const struct tree *t);

/* tree_child — the n-th entry of a directory, by name. False past the end. */
bool tree_child(const struct tree *t, uint32_t dir_ix, uint32_t n, uint32_t *ix,
		const char **name);

/* tree_lookup — 0 or ENOENT. O(log n). */
int tree_lookup(const struct tree *t, uint32_t dir_ix, const char *name,
		uint32_t *ix);

/* tree_check — assert the invariants (tree.c). */
void tree_check(const struct tree *t);

#endif
