/* piecehash — a few jobs with a buffer each go round: when one comes back it
 * takes the next piece, until there is none or one of them failed. Memory is
 * IN_FLIGHT pieces, however large the content. */
#include <stdio.h>

#include "cmd/content.h"
#include "cmd/piecehash.h"
#include "cmd/piecehash_job.h"
#include "core/err.h"
#include "core/hash.h"
#include "core/loop.h"
#include "core/mem.h"

/* Reading one piece overlaps with hashing others. */
enum { IN_FLIGHT = 32, MEMORY_BYTES = 128 << 20 };

struct piecehash {
	struct loop *loop;
	struct workers *workers;
	const struct content *content;
	uint8_t *hashes;
	uint32_t piece_bytes, n_pieces, next;
	unsigned n_out;
	int err;
	uint32_t err_file;
};

static void submit_next(struct piecehash *ph, struct piecehash_job *pj)
{
	pj->piece_ix = ph->next++;
	pj->digest = ph->hashes + (size_t)pj->piece_ix * HASH_SHA1_BYTES;
	ph->n_out++;
	workers_submit(ph->workers, &pj->job);
}

static void piecehash_on_done(struct job *job)
{
	struct piecehash_job *pj = (struct piecehash_job *)job;
	struct piecehash *ph = pj->owner;

	ph->n_out--;
	if (pj->err && !ph->err) {
		ph->err = pj->err;
		ph->err_file = pj->err_file;
	}
	if (!ph->err && ph->next < ph->n_pieces)
		submit_next(ph, pj);
	else if (ph->n_out == 0)
		loop_stop(ph->loop);
}

static int run_jobs(struct piecehash *ph)
{
	struct piecehash_job jobs[IN_FLIGHT] = {0};
	unsigned n = MEMORY_BYTES / ph->piece_bytes;
	int r = 0;

	if (n > IN_FLIGHT)
		n = IN_FLIGHT;
	for (unsigned i = 0; i < n && ph->next < ph->n_pieces; i++) {
		jobs[i] = (struct piecehash_job){
			.job = {.run = piecehash_job_run,
				.done = piecehash_on_done},
			.content = ph->content,
			.piece_bytes = ph->piece_bytes,
			.buf = mem_alloc(ph->piece_bytes),
			.owner = ph,
		};
		if (!jobs[i].buf) {
			ph->err = ENOMEM;
			break;
		}
		submit_next(ph, &jobs[i]);
	}
	if (ph->n_out > 0)
		r = loop_run(ph->loop);
	for (unsigned i = 0; i < n; i++)
		mem_free(jobs[i].buf);
	return r ? r : ph->err;
}

int piecehash_all(struct loop *loop, struct workers *workers,
		  const struct content *content, uint32_t piece_bytes,
		  uint8_t **hashes, uint32_t *n_pieces, char why[WHY_BYTES])
{
	struct piecehash ph = {
		.loop = loop,
		.workers = workers,
		.content = content,
		.piece_bytes = piece_bytes,
		.n_pieces =
			(uint32_t)((content->total_bytes + piece_bytes - 1) /
				   piece_bytes),
	};
	int r;

	ph.hashes = mem_zalloc(ph.n_pieces, HASH_SHA1_BYTES);
	if (!ph.hashes)
		return ENOMEM;
	r = run_jobs(&ph);
	if (r) {
		(void)snprintf(why, WHY_BYTES, "%.200s: %s",
			       r == ENOMEM ? content->root
					   : content->files[ph.err_file].rel,
			       err_text(r));
		mem_free(ph.hashes);
		return r;
	}
	*hashes = ph.hashes;
	*n_pieces = ph.n_pieces;
	return 0;
}
