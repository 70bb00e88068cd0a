/* verify_job — the only door through which bytes become verified.
 *
 * Purpose: a worker hashes what the network brought. What "right" means is
 * core/metainfo's to say: v1's hash, v2's tree, or both of a hybrid.
 *
 * Threads: the metainfo and the bytes are read only while the job runs. */
#include "cache/verify_job.h"

#include "core/metainfo.h"
#include "core/queue.h"

static void verify_run(struct job *job, struct worker_env *env)
{
	struct verify_job *v = CONTAINER_OF(job, struct verify_job, job);

	ASSERT_WORKER();
	v->is_right =
		metainfo_check_piece(v->mi, env->hasher, v->piece_ix, v->data);
}

void verify_job_start(struct verify_job *v, struct workers *w,
		      void (*done)(struct job *job))
{
	v->is_right = false;
	v->job = (struct job){.run = verify_run, .done = done};
	workers_submit(w, &v->job);
}
