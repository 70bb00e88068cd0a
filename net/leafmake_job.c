/* leafmake_job — the worker's half of leafmake: one part's leaves. */
#include "core/hash.h"
#include "core/merkle.h"
#include "net/leafmake.h"

void leafmake_job_run(struct job *job, struct worker_env *env)
{
	struct leafmake *lm = CONTAINER_OF(job, struct leafmake, job);
	uint8_t *out = lm->out;

	ASSERT_WORKER();
	for (uint32_t at = 0; at < lm->data_bytes; at += MERKLE_LEAF_BYTES) {
		uint32_t left = lm->data_bytes - at;

		hasher_once(env->hasher, HASH_SHA256, lm->data + at,
			    left < MERKLE_LEAF_BYTES ? left : MERKLE_LEAF_BYTES,
			    out);
		out += HASH_SHA256_BYTES;
	}
}
