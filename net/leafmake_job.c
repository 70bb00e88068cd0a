/* leafmake_job — the worker's half of leafmake: one part's leaves. */
#include "core/merkle.h"
#include "net/leafmake.h"

void leafmake_job_run(struct job *job, struct worker_env *env)
{
	struct leafmake *lm = CONTAINER_OF(job, struct leafmake, job);

	ASSERT_WORKER();
	merkle_leaves(env->hasher, lm->data, lm->data_bytes, lm->out);
}
