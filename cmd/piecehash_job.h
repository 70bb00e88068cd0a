/* piecehash_job — the hashes of a run of pieces of files on disk (worker). */
#ifndef SHOAL_CMD_PIECEHASH_JOB_H
#define SHOAL_CMD_PIECEHASH_JOB_H

#include <stdint.h>

#include "core/worker.h"

struct content;
struct hasher;

/* A thread's: what is read into it is hashed before the next is read. */
enum { PIECEHASH_BUF_BYTES = 1 << 20 };

/* What all jobs have in common; read only while one of them is out. */
struct piecehash_shared {
	const struct content *content;
	int dir_fd; /* its top, or AT_FDCWD for a single file */
	uint32_t piece_bytes;
	unsigned row; /* so many pieces may go side by side; 1: none do */
	uint8_t *v1;  /* where results go, by piece; or NULL */
	uint8_t *v2;  /* likewise; then each file begins at a piece */
	/* for each thread: */
	uint8_t *bufs; /* PIECEHASH_BUF_BYTES */
	struct hasher **v1_hashers;
};

struct piecehash_job {
	struct job job;
	/* set before hand-over, then read only */
	const struct piecehash_shared *shared;
	uint32_t first, n; /* pieces */
	void *owner;
	/* loop only, after reply */
	int err;
	uint32_t err_file; /* which file `err` is about */
};

/* piecehash_job_run — for job.run. ENODATA when a file became shorter. */
void piecehash_job_run(struct job *job, struct worker_env *env);

#endif
