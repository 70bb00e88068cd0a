/* metaverify_job — is this the info dictionary of that torrent?
 *
 * The hashes are compared here, before parsing, so that bytes of a liar and a
 * torrent that is malformed itself can be told apart: the first means asking
 * other peers, the second that there is nothing to ask for. */
#include "net/metaverify_job.h"

#include <string.h>

#include "core/err.h"
#include "core/hash.h"
#include "core/queue.h"

static bool has_hash(struct hasher *h, enum hash_algo algo,
		     const struct metaverify *mv, const struct info_hash *want)
{
	uint8_t is[HASH_SHA256_BYTES];

	if (want->len == 0)
		return true;
	hasher_once(h, algo, mv->bytes, mv->len, is);
	return memcmp(is, want->bytes, want->len) == 0;
}

void metaverify_job_run(struct job *job, struct worker_env *env)
{
	struct metaverify *mv = CONTAINER_OF(job, struct metaverify, job);
	int r;

	ASSERT_WORKER();
	if (!has_hash(env->hasher, HASH_SHA1, mv, &mv->want.v1) ||
	    !has_hash(env->hasher, HASH_SHA256, mv, &mv->want.v2)) {
		mv->result = METAVERIFY_OTHER;
		return;
	}
	r = metainfo_parse_info(mv->bytes, mv->len, &mv->want, env->hasher,
				&mv->mi, &mv->error);
	if (r == 0)
		mv->result = METAVERIFY_OK;
	else if (r == ENOMEM)
		mv->result = METAVERIFY_NOMEM;
	else
		mv->result = METAVERIFY_BAD;
}
