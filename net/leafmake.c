/* leafmake — reads HASHSERVE_READ_BYTES of a piece, has them hashed, reads on;
 * so that a piece of any length needs as much memory, and other jobs have their
 * turn.
 *
 *   reading ──> hashing ──> reading … ──> done
 *
 * Neither a read nor a job can be taken back: cancelled, it forgets whom to
 * tell, and frees itself when what is under way has ended. After that the
 * pieces may be gone, so it looks at `arg` before it touches them. */
#include "net/leafmake.h"

#include "cache/pieces.h"
#include "core/err.h"
#include "core/hash.h"
#include "core/mem.h"
#include "core/merkle.h"
#include "core/metainfo.h"
#include "net/net_limits.h"

static void on_hashed(struct job *job);

static void leafmake_free(struct leafmake *lm)
{
	mem_free(lm->part);
	mem_free(lm->leaves);
	mem_free(lm);
}

static void end(struct leafmake *lm, int err)
{
	uint32_t n = (lm->len_bytes - 1) / MERKLE_LEAF_BYTES + 1;

	if (lm->arg != NULL)
		lm->done(lm->arg, err, lm->leaves, n);
	leafmake_free(lm);
}

static void on_read(void *arg, int err)
{
	struct leafmake *lm = arg;

	if (err != 0 || lm->arg == NULL) {
		end(lm, err);
		return;
	}
	lm->data = lm->part;
	lm->out = lm->leaves + (size_t)(lm->at_bytes / MERKLE_LEAF_BYTES) *
				       HASH_SHA256_BYTES;
	lm->job.run = leafmake_job_run;
	lm->job.done = on_hashed;
	workers_submit(lm->workers, &lm->job);
}

static int read_on(struct leafmake *lm)
{
	uint32_t left = lm->len_bytes - lm->at_bytes;

	lm->data_bytes =
		left < HASHSERVE_READ_BYTES ? left : HASHSERVE_READ_BYTES;
	return pieces_read(lm->ps, lm->off_bytes + lm->at_bytes, lm->data_bytes,
			   lm->part, on_read, lm);
}

static void on_hashed(struct job *job)
{
	struct leafmake *lm = CONTAINER_OF(job, struct leafmake, job);
	int r = 0;

	lm->at_bytes += lm->data_bytes;
	if (lm->arg == NULL || lm->at_bytes == lm->len_bytes) {
		end(lm, 0);
		return;
	}
	r = read_on(lm);
	if (r != 0)
		end(lm, r);
}

/* Of a hybrid's piece the pad behind the file has no leaves. */
static uint32_t file_part(const struct metainfo *mi, uint32_t piece_ix)
{
	uint64_t off = (uint64_t)piece_ix * mi->piece_bytes;
	uint32_t len = metainfo_piece_bytes(mi, piece_ix);
	uint32_t file_ix = metainfo_file_at(mi, off);
	uint64_t left;

	if (file_ix == mi->n_files)
		return 0;
	left = mi->files[file_ix].off_bytes + mi->files[file_ix].len_bytes -
	       off;
	return left < len ? (uint32_t)left : len;
}

int leafmake_start(struct pieces *ps, struct workers *workers,
		   const struct metainfo *mi, uint32_t piece_ix,
		   leafmake_fn *done, void *arg, struct leafmake **out)
{
	uint32_t len = file_part(mi, piece_ix);
	struct leafmake *lm;
	int r;

	if (len == 0)
		return ENOENT;
	lm = mem_new(struct leafmake);
	if (lm == NULL)
		return ENOMEM;
	lm->ps = ps;
	lm->workers = workers;
	lm->off_bytes = (uint64_t)piece_ix * mi->piece_bytes;
	lm->len_bytes = len;
	lm->done = done;
	lm->arg = arg;
	lm->leaves = mem_zalloc((len - 1) / MERKLE_LEAF_BYTES + 1,
				HASH_SHA256_BYTES);
	lm->part = mem_alloc(len < HASHSERVE_READ_BYTES ? len
							: HASHSERVE_READ_BYTES);
	r = lm->leaves == NULL || lm->part == NULL ? ENOMEM : read_on(lm);
	if (r != 0) {
		leafmake_free(lm);
		return r;
	}
	*out = lm;
	return 0;
}

void leafmake_cancel(struct leafmake *lm)
{
	lm->arg = NULL;
}
