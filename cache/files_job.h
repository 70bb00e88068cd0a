/* files_job — hash trees of files that are kept by their v2 root.
 *
 * Thread: workers; files_tree_at any. */
#ifndef SHOAL_CACHE_FILES_JOB_H
#define SHOAL_CACHE_FILES_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/stamp.h"
#include "core/hash.h"
#include "core/queue.h"
#include "core/worker.h"

struct disk_file; /* cache/store_disk_internal.h */

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
	struct disk_file *file;
	STAILQ_ENTRY(files_nodes) wait;
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
