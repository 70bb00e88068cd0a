/* vet_job — what is on the disk against what it must be.
 *
 * How: one slice of each piece, all of them through the checks, then the next.
 * The slices of a round fit a processor's cache together. v1's hashes want as
 * many pieces side by side as there are; v2's leaves make rows by themselves,
 * so there they are as few as fill the slices: to read 512 KiB at once costs a
 * quarter of sixteen reads of 32. What cannot be read leaves the others alone:
 * its lane goes on with whatever lies in its slice, and its error stays.
 *
 * Invariants: no run is left open. */
#include "cache/vet_job.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "cache/cache_limits.h"
#include "core/err.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/merkle.h"
#include "core/piececheck.h"

/* Where in its runs a piece is. */
struct walk {
	struct blob_io *io;
	uint32_t run_ix;
	uint32_t at_bytes;  /* in the run; 0: it is not open */
	uint32_t pos_bytes; /* in the piece */
};

/* What of these bytes of the piece somebody wants to have as well. */
static void give(struct walk *w, const uint8_t *src, uint32_t len)
{
	const struct blob_io *io = w->io;
	uint64_t begin = w->pos_bytes, end = begin + len;
	uint64_t first = io->dst_at_bytes, last = first + io->dst_len_bytes;

	w->pos_bytes += len;
	if (io->dst == NULL)
		return;
	begin = begin > first ? begin : first;
	end = end < last ? end : last;
	if (begin < end)
		memcpy(io->dst + (begin - first),
		       src + (begin - (w->pos_bytes - len)),
		       (size_t)(end - begin));
}

static void end_run(struct walk *w)
{
	struct blob_io *io = w->io;

	io->err = blob_run_close(&io->runs[w->run_ix], io->err);
	w->run_ix++;
	w->at_bytes = 0;
}

/* The next `len` bytes. */
static void fill(struct walk *w, uint8_t *dst, uint32_t len)
{
	struct blob_io *io = w->io;

	while (len > 0 && io->err == 0) {
		struct blob_run *run = &io->runs[w->run_ix];
		uint32_t n = run->len_bytes - w->at_bytes;

		n = n < len ? n : len;
		if (w->at_bytes == 0)
			io->err = blob_run_open(run);
		if (io->err != 0)
			break;
		io->err = blob_run_read(run, w->at_bytes, dst, n);
		if (io->err == 0)
			give(w, dst, n);
		w->at_bytes += n;
		dst += n;
		len -= n;
		if (w->at_bytes == run->len_bytes || io->err != 0)
			end_run(w);
	}
}

enum { ROUND_LEAVES = VET_ROUND_BYTES / MERKLE_LEAF_BYTES };

static_assert(ROUND_LEAVES >= (int)HASH_ROW_MAX, "a leaf of each piece");

struct row {
	unsigned n;
	struct walk walks[HASH_ROW_MAX];
	struct piececheck *checks[HASH_ROW_MAX];
};

static unsigned row_init(struct row *row, struct vet_queue *ios)
{
	struct blob_io *io;

	row->n = 0;
	STAILQ_FOREACH (io, ios, vet) {
		if (io->dst != NULL) /* behind the body there are zeros */
			memset(io->dst, 0, io->dst_len_bytes);
		row->walks[row->n] = (struct walk){.io = io};
		row->checks[row->n++] = io->check;
	}
	return row->n;
}

/* How many go side by side. */
static unsigned width(const struct row *row)
{
	uint32_t len = row->walks[0].io->len_bytes;
	uint32_t leaves = len / MERKLE_LEAF_BYTES + 1;
	unsigned n = ROUND_LEAVES / leaves;

	if (n > row->n || piececheck_row_pays(row->checks[0], row->n))
		n = row->n;
	return n > 0 ? n : 1;
}

static void hash_some(struct walk *walks, struct piececheck *const *checks,
		      unsigned n, struct hasher *h, uint8_t *buf)
{
	const uint32_t slice = ROUND_LEAVES / n * MERKLE_LEAF_BYTES;
	uint32_t left = walks[0].io->len_bytes;
	const uint8_t *data[HASH_ROW_MAX];
	struct piececheck_row row;

	piececheck_row_begin(&row, checks, n);
	while (left > 0) {
		uint32_t len = left < slice ? left : slice;

		for (unsigned i = 0; i < n; i++) {
			data[i] = buf + (size_t)i * slice;
			fill(&walks[i], buf + (size_t)i * slice, len);
		}
		piececheck_row_add(&row, h, data, len);
		left -= len;
	}
	piececheck_row_end(&row);
}

static void hash(struct row *row, struct hasher *h, uint8_t *buf)
{
	unsigned n_max = width(row), n;

	for (unsigned i = 0; i < row->n; i += n) {
		n = row->n - i < n_max ? row->n - i : n_max;
		hash_some(&row->walks[i], &row->checks[i], n, h, buf);
	}
}

static void judge(struct blob_io *io, struct hasher *h)
{
	io->verdict =
		piececheck_end(io->check, h, io->has_root ? io->root : NULL);
	if (io->err != 0)
		log_debug("blob %u: %s", io->runs[0].file_ix,
			  err_text(io->err));
}

void vet_job_run(struct job *job, struct worker_env *env)
{
	struct blob_io *first = CONTAINER_OF(job, struct blob_io, job);
	struct row row;
	unsigned n = row_init(&row, &first->row);
	uint8_t *buf = mem_zalloc(1, VET_ROUND_BYTES);

	ASSERT_WORKER();
	if (buf != NULL)
		hash(&row, env->hasher, buf);
	for (unsigned i = 0; i < n; i++) {
		struct blob_io *io = row.walks[i].io;

		if (buf == NULL)
			io->err = ENOMEM;
		else
			judge(io, env->hasher);
	}
	mem_free(buf);
}
