/* whole_job — a blob that is all of a file: opened for others to read.
 *
 * Thread: workers. */
#ifndef SHOAL_CACHE_WHOLE_JOB_H
#define SHOAL_CACHE_WHOLE_JOB_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cache/sight.h"
#include "cache/store.h"
#include "core/worker.h"

struct disk_torrent;

/* The mark of a blob whose descriptor was given away: its sticky bit, which
 * means nothing else on a plain file. It outlives the process, as readers who
 * have mapped the blob do. */
enum { WHOLE_MARK = 01000 };

struct whole {
	struct job job;
	/* set before hand-over, then read only */
	int dir_fd;
	const char *name; /* NULL: it is called by `sub` and file_ix */
	const char *sub;
	uint32_t file_ix;
	uint64_t file_bytes;
	/* loop only */
	struct disk_torrent *t; /* held */
	store_blob_fn *done;
	void *arg;
	struct glance look; /* marking it changes it */
	/* reply */
	int err;
	int fd; /* -1 on an error */
};

void whole_job_open(struct job *job, struct worker_env *env);

/* whole_is_marked — such a blob is punched only if it is free. Asked after the
 * index has forgotten what is to go: from then on nobody is given a descriptor
 * of it.
 *
 * whole_is_free — `fd` (open for writing) is the only one there is of its file:
 * nobody reads it, in whatever process or kernel. Asked of the kernel, by a
 * lease (fcntl(2)); a file system without leases says no. whole_unmark — the
 * mark goes; who asks for that has a lease. 0 or what fchmod said. */
bool whole_is_marked(mode_t mode);
bool whole_is_free(int fd);
int whole_unmark(int fd, mode_t mode);

#endif
