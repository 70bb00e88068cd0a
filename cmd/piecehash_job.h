/* piecehash_job — the v1 hash of one piece of files on disk (worker). */
#ifndef SHOAL_CMD_PIECEHASH_JOB_H
#define SHOAL_CMD_PIECEHASH_JOB_H

#include <stdint.h>

#include "core/worker.h"

struct content;

struct piecehash_job {
	struct job job;
	/* set before hand-over, then read only */
	const struct content *content;
	uint32_t piece_bytes;
	uint32_t piece_ix;
	uint8_t *buf;	 /* piece_bytes long; this job's own */
	uint8_t *digest; /* 20 bytes, where the result goes */
	void *owner;
	/* loop only, after reply */
	int err;
	uint32_t err_file; /* which file `err` is about */
};

/* piecehash_job_run — for job.run. EIO when a file became shorter. */
void piecehash_job_run(struct job *job, struct worker_env *env);

#endif
