/* resolve_job — the part of a look-up that a worker does. Only for resolve.c.
 */
#ifndef SHOAL_NET_RESOLVE_JOB_H
#define SHOAL_NET_RESOLVE_JOB_H

#include <stdatomic.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/worker.h"
#include "net/resolve.h"

struct resolve_job {
	struct job job;
	/* set before hand-over, then read only */
	char *host;
	uint16_t port;
	/* set by the loop at any time: nobody wants the answer */
	atomic_bool unwanted;
	/* worker only; loop only after reply */
	int err;
	unsigned n;
	struct addr addrs[RESOLVE_MAX];
};

/* resolve_job_run — the job's `run`. Thread: worker. */
void resolve_job_run(struct job *job, struct worker_env *env);

#endif
