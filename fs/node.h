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
struct upload;
struct signpost;

#define NODE_CONTROL_NAME ".shoalfs"

/* Indexers of desktops (LocalSearch, once Tracker) leave a directory alone that
 * has one; so it is listed. */
#define NODE_IGNORE_NAME ".trackerignore"

enum node_kind {
	NODE_ROOT,
	NODE_CONTROL, /* the directory .shoalfs */
	NODE_STATUS,
	NODE_STATUS_JSON,
	NODE_DHT, /* the directory .shoalfs/dht */
	NODE_DHT_ID,
	NODE_DHT_STATUS,
	NODE_DHT_STATUS_JSON,
	NODE_DHT_TABLE,
	NODE_DHT_SAMPLE, /* fs/survey.h */
	NODE_DIR,	 /* a torrent's */
	NODE_FILE,
	NODE_LINK,    /* a symlink of a torrent */
	NODE_UPLOAD,  /* a file that is being copied in */
	NODE_IGNORE,  /* an empty file */
	NODE_KEYLINK, /* a link to what a key names (fs/keylink.h) */
};

/* A value, made by the functions below; valid as long as the mount. */
struct node {
	enum node_kind kind;
	uint64_t number;	   /* the kernel's node id */
	struct shown *shown;	   /* DIR, FILE and LINK */
	uint32_t ix;		   /* likewise: in the tree */
	struct upload *upload;	   /* UPLOAD */
	struct signpost *signpost; /* KEYLINK */
};

/* node_find — 0; ESTALE: the number stands for nothing (any more); EAGAIN: it
 * is known when what is being read from disk is there (fs/again.h); EIO: that
 * cannot be read; ENOMEM. */
int node_find(struct mount *m, uint64_t number, struct node *out);

/* node_warm — before node_child: what a directory shows is in memory, and stays
 * there for the request at hand. As node_find. */
int node_warm(struct mount *m, const struct node *dir);

/* node_top — the top directory of a shown torrent; `twin`: reached by hash. */
struct node node_top(struct shown *s, bool twin);

/* node_lookup — a name in a directory, "." and ".." included, but not the
 * names of info-hashes in the root (fs/nameop.h). 0, ENOENT, ENOTDIR,
 * ENAMETOOLONG, or as node_find. */
int node_lookup(struct mount *m, const struct node *dir, const char *name,
		struct node *out);

/* Positions of a listing: "." and ".." come first. */
enum { NODE_DOTS = 2 };

/* node_child — what readdir lists at or behind `*pos`, from 0 on: ".", "..",
 * then the entries; *pos is then where to go on. Positions are stable, whatever
 * comes and goes. False past the end. `name` is lent. */
bool node_child(struct mount *m, const struct node *dir, uint64_t *pos,
		struct node *out, const char **name);

bool node_is_dir(const struct node *n);
bool node_is_link(const struct node *n);

/* node_size — of a file of a torrent. node_held — what of it is held; of a
 * torrent that nobody reads, about that. */
uint64_t node_size(const struct node *n);
uint64_t node_held(const struct node *n);

/* node_is_whole — all of a FILE is held; an empty one never counts. */
bool node_is_whole(const struct node *n);

/* node_link — the text of a link, as symlink_text. */
int node_link(const struct node *n, char *out, size_t room);

void node_stat(const struct mount *m, const struct node *n, struct stat *st);

/* node_attr_s — how long the kernel may believe node_stat. */
double node_attr_s(const struct node *n);

/* node_entry — the reply to a lookup. */
void node_entry(const struct mount *m, const struct node *n,
		struct fuse_entry_param *e);

#endif
