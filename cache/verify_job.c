/* verify_job — the only door through which bytes become verified.
 *
 * Purpose: a worker hashes what the network brought. What "right" means is
 * core/metainfo's to say: v1's hash, v2's tree, or both of a hybrid. Pieces
 * that are whole at the same time have their v1 hashes made side by side.
 *
 * Threads: the metainfo and the bytes are read only while the job runs; a
 * piececheck and the digests are one job's at a time. */
#include "cache/verify_job.h"

#include "core/hash_row.h"
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

static void judge(struct verify_job *v, struct hasher *h, const uint8_t *v1)
{
	v->verdict = metainfo_judge_piece(v->mi, h, v->piece_ix, v->data, v1,
					  root_of(&v->root), v->leaves);
	if (v->digests.out != NULL &&
	    (v->verdict != PIECE_RIGHT || v->digests.also_if_right))
		digest(&v->digests, v->data,
		       metainfo_body_bytes(v->mi, v->piece_ix));
}

static void verify_run(struct job *job, struct worker_env *env)
{
	ASSERT_WORKER();
	judge(CONTAINER_OF(job, struct verify_job, job), env->hasher, NULL);
}

void verify_row_run(struct job *job, struct worker_env *env)
{
	struct verify_job *first = CONTAINER_OF(job, struct verify_job, job);
	uint8_t v1[HASH_ROW_MAX * HASH_SHA1_BYTES];
	const uint8_t *data[HASH_ROW_MAX];
	struct verify_job *v;
	unsigned n = 0;

	ASSERT_WORKER();
	STAILQ_FOREACH (v, &first->row, link)
		data[n++] = v->data;
	if (n > 1)
		hash_all(env->hasher, HASH_SHA1, data, first->row_bytes, n, v1);
	n = 0;
	STAILQ_FOREACH (v, &first->row, link) {
		judge(v, env->hasher,
		      n == 0 && STAILQ_NEXT(v, link) == NULL
			      ? NULL
			      : v1 + (size_t)n * HASH_SHA1_BYTES);
		n++;
	}
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
