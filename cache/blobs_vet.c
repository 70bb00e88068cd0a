/* blobs_vet — pieces that are hashed where they lie.
 *
 * Purpose: whole stores are hashed again (net/scrub.c), and pieces side by side
 * are hashed several times as fast as one by one (core/hash_row.h).
 *
 * How: a vet that nobody waits for goes into a queue. There are never more jobs
 * of such than threads; when one can begin it takes from the head of the queue
 * what fits the first, up to VET_ROW_BYTES, and leaves as much to each thread
 * that has nothing. So the first few go alone, and then each job finds what
 * came while the last one ran.
 *
 * Threads: loop. */
#include <errno.h>
#include <string.h>

#include "cache/blobs.h"
#include "cache/cache_limits.h"
#include "cache/store_vet.h"
#include "cache/vet_job.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "core/piececheck.h"
#include "core/worker.h"

static void pump(struct blobs *t);

/* Whoever is called may ask for the next, which waits until all have been. */
static void job_done(struct job *job)
{
	struct blob_io *first = CONTAINER_OF(job, struct blob_io, job);
	struct blobs *t = first->set->table;
	struct blob_set *set = first->set;
	struct vet_queue row = STAILQ_HEAD_INITIALIZER(row);
	bool is_hurried = first->is_hurried;
	struct blob_io *io;

	blobs_set_hold(set);
	STAILQ_CONCAT(&row, &first->row);
	while ((io = STAILQ_FIRST(&row)) != NULL) {
		STAILQ_REMOVE_HEAD(&row, vet);
		blobs_io_end(io);
	}
	t->n_vet_jobs -= !is_hurried;
	pump(t);
	blobs_set_drop(set);
}

static void start(struct blobs *t, struct blob_io *first)
{
	first->job = (struct job){.run = vet_job_run,
				  .done = job_done,
				  .is_hurried = first->is_hurried};
	t->n_vet_jobs += !first->is_hurried;
	workers_submit(t->workers, &first->job);
}

/* How many may go with the first: it is fair to the threads that have nothing,
 * as long as there is a row for each. */
static unsigned row_length(const struct blobs *t)
{
	unsigned n_idle = workers_threads(t->workers) - t->n_vet_jobs;
	unsigned n = (t->n_vets + n_idle - 1) / n_idle;

	if (n < VET_ROW_MIN)
		n = VET_ROW_MIN;
	return n < HASH_ROW_MAX ? n : HASH_ROW_MAX;
}

static void take(struct blobs *t, struct blob_io *first, struct blob_io *io)
{
	STAILQ_REMOVE_HEAD(&t->vets, vet);
	t->n_vets--;
	STAILQ_INSERT_TAIL(&first->row, io, vet);
}

/* Nobody wants to know any more. */
static void drop_closed(struct blobs *t)
{
	struct blob_io *io;

	while ((io = STAILQ_FIRST(&t->vets)) != NULL && io->set->is_closed) {
		STAILQ_REMOVE_HEAD(&t->vets, vet);
		t->n_vets--;
		io->err = ESTALE;
		blobs_io_end(io);
	}
}

static void pump(struct blobs *t)
{
	struct blob_io *first, *io;

	drop_closed(t);
	while ((first = STAILQ_FIRST(&t->vets)) != NULL &&
	       t->n_vet_jobs < workers_threads(t->workers)) {
		unsigned n_max = row_length(t), n = 1;
		uint64_t bytes = first->len_bytes;

		take(t, first, first);
		while ((io = STAILQ_FIRST(&t->vets)) != NULL && n < n_max &&
		       bytes + io->len_bytes <= VET_ROW_BYTES &&
		       piececheck_fits(first->check, io->check)) {
			take(t, first, io);
			bytes += io->len_bytes;
			n++;
		}
		start(t, first);
	}
}

static void vet_free(struct blob_io *io)
{
	piececheck_free(io->check);
	mem_free(io);
}

static void on_vetted(struct blob_io *io)
{
	io->vetted(io->arg, io->err, io->verdict);
	vet_free(io);
}

static struct blob_io *vet_new(const struct spot_map *map, uint32_t piece_ix,
			       const struct vet_ask *ask)
{
	const struct metainfo *mi = map->mi;
	struct blob_io *io = blobs_io_new(map, SPOT_READ,
					  (uint64_t)piece_ix * mi->piece_bytes,
					  metainfo_body_bytes(mi, piece_ix));

	if (io == NULL)
		return NULL;
	if (piececheck_new(mi, piece_ix, &io->check) != 0) {
		mem_free(io);
		return NULL;
	}
	io->has_root = ask->root != NULL;
	if (ask->root != NULL)
		memcpy(io->root, ask->root, sizeof(io->root));
	io->is_hurried = ask->is_hurried;
	io->dst = ask->dst;
	io->dst_at_bytes = ask->at_bytes;
	io->dst_len_bytes = ask->len_bytes;
	return io;
}

int blobs_vet(const struct spot_map *map, uint32_t piece_ix,
	      const struct vet_ask *ask, blobs_vet_fn *done, void *arg)
{
	struct blob_io *io = vet_new(map, piece_ix, ask);
	struct blobs *t = map->own->table;

	if (io == NULL)
		return ENOMEM;
	io->done = on_vetted;
	io->vetted = done;
	io->arg = arg;
	STAILQ_INIT(&io->row);
	blobs_io_begin(io);
	if (io->is_hurried) {
		STAILQ_INSERT_TAIL(&io->row, io, vet);
		start(t, io);
		return 0;
	}
	STAILQ_INSERT_TAIL(&t->vets, io, vet);
	t->n_vets++;
	pump(t);
	return 0;
}
