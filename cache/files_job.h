/* files_job — what workers do with files that are kept by their v2 root, beside
 * reading and writing blobs.
 *
 * Thread: workers; files_tree_at any. */
#ifndef SHOAL_CACHE_FILES_JOB_H
#define SHOAL_CACHE_FILES_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/stamp.h"
#include "core/hash.h"
#include "core/worker.h"

/* Does a piece that lies in one file have this v1 hash? */
struct files_check {
	struct job job;
	/* set before hand-over, then read only */
	int dir_fd;
	const char *name;
	uint64_t off_bytes; /* of the piece, in the file */
	uint64_t file_bytes;
	uint32_t piece_bytes; /* behind the file's end it is zeros */
	uint32_t piece_ix;
	uint8_t want[HASH_SHA1_BYTES];
	/* loop only */
	void *arg;
	unsigned era; /* room.h */
	struct glance look;
	/* reply: EBADMSG: it has another one */
	int err;
};

void files_job_check(struct job *job, struct worker_env *env);

/* Nodes of a hash tree: `n` of `level` (0: the leaves), from `index` on. */
struct files_range {
	unsigned level;
	uint64_t index;
	uint32_t n;
};

/* files_tree_at — where they lie in the tree's file: level behind level, each
 * as wide as there are nodes that have a leaf of the file below them. False:
 * there are no such nodes. */
bool files_tree_at(uint32_t n_leaves, const struct files_range *range,
		   uint64_t *off_bytes);

/* Read or write them. */
struct files_nodes {
	struct job job;
	/* set before hand-over, then read only */
	int dir_fd;
	const char *name; /* the blob's */
	uint64_t off_bytes;
	size_t len_bytes;
	uint8_t *dst;	    /* a read, or NULL: */
	const uint8_t *src; /* a write */
	/* loop only */
	void *owner;
	void (*done)(void *arg, int err);
	void *arg;
	uint64_t reserved_bytes;
	/* reply */
	int err;
	uint64_t grown_bytes; /* on the disk; of others' writes, too */
	uint8_t copy[];	      /* of what is written */
};

void files_job_nodes(struct job *job, struct worker_env *env);

#endif
