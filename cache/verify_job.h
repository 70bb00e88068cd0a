/* verify_job — hash a piece by a worker.
 *
 * Thread: verify_job_start loop; the rest a worker. */
#ifndef SHOAL_CACHE_VERIFY_JOB_H
#define SHOAL_CACHE_VERIFY_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "core/worker.h"

struct metainfo;

/* Embedded in its owner. */
struct verify_job {
	struct job job;
	/* set before hand-over, then read only */
	const struct metainfo *mi; /* kept until `done` */
	const uint8_t *data;	   /* kept until `done` */
	uint32_t piece_ix;
	/* reply */
	bool is_right;
};

/* verify_job_start — hash `data`, the whole of piece `ix`; `done` gets the job
 * back. Never fails. */
void verify_job_start(struct verify_job *v, struct workers *w,
		      void (*done)(struct job *job));

#endif
