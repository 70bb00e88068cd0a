/* verify_job — the only door through which bytes become verified.
 *
 * Purpose: a worker hashes what the network brought. What "right" means is
 * core/metainfo's to say: v1's hash, v2's tree, or both of a hybrid.
 *
 * Threads: the metainfo and the bytes are read only while the job runs; a
 * piececheck and the digests are one job's at a time. */
#include "cache/verify_job.h"

#include "core/metainfo.h"
#include "core/piececheck.h"
#include "core/queue.h"

static void digest(const struct verify_digests *d, const uint8_t *data,
		   uint32_t len)
{
	for (uint32_t at = 0; at < len; at += VERIFY_BLOCK_BYTES) {
		uint32_t n = len - at < VERIFY_BLOCK_BYTES ? len - at
							   : VERIFY_BLOCK_BYTES;

		d->out[at / VERIFY_BLOCK_BYTES] =
			siphash(&d->key, data + at, n);
	}
}

static const uint8_t *root_of(const struct verify_root *root)
{
	return root->is_known ? root->hash : NULL;
}

static void verify_run(struct job *job, struct worker_env *env)
{
	struct verify_job *v = CONTAINER_OF(job, struct verify_job, job);

	ASSERT_WORKER();
	v->verdict =
		metainfo_judge_piece(v->mi, env->hasher, v->piece_ix, v->data,
				     root_of(&v->root), v->leaves);
	if (v->digests.out != NULL &&
	    (v->verdict != PIECE_RIGHT || v->digests.also_if_right))
		digest(&v->digests, v->data,
		       metainfo_body_bytes(v->mi, v->piece_ix));
}

void verify_job_start(struct verify_job *v, struct workers *w,
		      void (*done)(struct job *job))
{
	v->verdict = PIECE_WRONG;
	v->job = (struct job){.run = verify_run, .done = done};
	workers_submit(w, &v->job);
}

static void part_run(struct job *job, struct worker_env *env)
{
	struct verify_part *v = CONTAINER_OF(job, struct verify_part, job);

	ASSERT_WORKER();
	if (v->digests.out != NULL)
		digest(&v->digests, v->data, v->len_bytes);
	if (v->check == NULL)
		return;
	if (v->is_first)
		piececheck_begin(v->check);
	piececheck_add(v->check, env->hasher, v->data, v->len_bytes);
	if (v->is_last)
		v->verdict = piececheck_end(v->check, env->hasher,
					    root_of(&v->root));
}

void verify_part_start(struct verify_part *v, struct workers *w,
		       void (*done)(struct job *job))
{
	v->verdict = PIECE_WRONG;
	v->job = (struct job){.run = part_run, .done = done};
	workers_submit(w, &v->job);
}
