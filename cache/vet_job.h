/* vet_job — pieces read and hashed by a worker, several side by side
 * (core/piececheck.h).
 *
 * Thread: worker; the loop fills the struct and takes it back. */
#ifndef SHOAL_CACHE_VET_JOB_H
#define SHOAL_CACHE_VET_JOB_H

#include "cache/blob_job.h"

/* vet_job_run — job.run of a blob_io whose `row` has at least itself, and what
 * goes by its side: reads with a `check`, and checks that fit. The reply is the
 * err of each: EBADMSG when it is not what its check wants. One that fails
 * takes no other with it. */
void vet_job_run(struct job *job, struct worker_env *env);

#endif
