/* piecehash — a few jobs go round: when one comes back it takes the next run of
 * pieces, until there is none or one of them failed.
 *
 * A run is some megabytes, or as many pieces as go side by side: long enough
 * that handing it over costs nothing, also when its files are small, and short
 * enough that all threads end together. Each thread has one buffer of a
 * MiB, which stays in its cache: what is read there is hashed there, by both
 * algorithms, and goes past memory once. So memory is bounded by the number of
 * threads, whatever the size of a piece or of the content. Mapping the files
 * instead costs a fault a page, which is more than the copy, and a file that
 * shrinks would end the process.
 *
 * The threads are of this run alone: the rest of the program has fewer than
 * there are cores on a large machine. */
#include "cmd/piecehash.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd/piecehash_job.h"
#include "core/err.h"
#include "core/hash.h"
#include "core/hash_row.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/merkle.h"

enum {
	RUN_BYTES = 4 << 20,
	RUN_PIECES = 512, /* of files that are smaller than a piece */
	/* What is asked of a disk at a time, for a row, is held in memory
	 * until it is hashed. */
	ROW_MAX_BYTES = 128 << 20,
};

struct piecehash {
	const struct piecehash_cfg *cfg;
	struct piecehash_result *out;
	struct piecehash_shared shared;
	struct workers *workers;
	struct piecehash_job *jobs;
	unsigned n_threads;
	uint32_t next;	    /* piece */
	uint32_t next_file; /* the first that does not end before it */
	unsigned n_out;
	int err;
	uint32_t err_file;
};

/* ---- handing out ---- */

/* How much there is to read for piece `ix`, which is the next one. */
static uint64_t piece_content(struct piecehash *ph, uint32_t ix)
{
	const struct content *c = ph->cfg->content;
	uint64_t off = (uint64_t)ix * ph->cfg->piece_bytes;
	uint64_t end;

	if (!ph->cfg->kind.has_v2)
		return ph->cfg->piece_bytes;
	for (;; ph->next_file++) {
		const struct content_file *f = &c->files[ph->next_file];

		end = f->off_bytes + f->len_bytes;
		if (end > off)
			break;
	}
	return end - off < ph->cfg->piece_bytes ? end - off
						: ph->cfg->piece_bytes;
}

static void submit_next(struct piecehash *ph, struct piecehash_job *pj)
{
	uint32_t left = ph->out->n_pieces - ph->next;
	/* At the end all threads get as many. */
	uint32_t row = (left + ph->n_threads - 1) / ph->n_threads;
	uint64_t bytes = 0;
	uint32_t n = 0;

	if (row > ph->shared.row)
		row = ph->shared.row;
	while (n < left && n < RUN_PIECES && (n < row || bytes < RUN_BYTES))
		bytes += piece_content(ph, ph->next + n++);
	pj->first = ph->next;
	pj->n = n;
	ph->next += n;
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
	if (!ph->err && ph->next < ph->out->n_pieces)
		submit_next(ph, pj);
	else if (ph->n_out == 0)
		loop_stop(ph->cfg->loop);
}

/* Two jobs a thread: one waits while the other runs. */
static int run_jobs(struct piecehash *ph)
{
	unsigned n = 2 * ph->n_threads;
	int r;

	for (unsigned i = 0; i < n && ph->next < ph->out->n_pieces; i++) {
		ph->jobs[i] = (struct piecehash_job){
			.job = {.run = piecehash_job_run,
				.done = piecehash_on_done},
			.shared = &ph->shared,
			.owner = ph,
		};
		submit_next(ph, &ph->jobs[i]);
	}
	r = loop_run(ph->cfg->loop);
	return r ? r : ph->err;
}

/* ---- roots ---- */

static void file_root(const struct piecehash *ph, struct hasher *h,
		      const struct content_file *f, uint8_t *root)
{
	const uint32_t piece_bytes = ph->cfg->piece_bytes;
	const uint8_t *layer =
		ph->out->v2 + f->off_bytes / piece_bytes * HASH_SHA256_BYTES;
	uint64_t n = (f->len_bytes + piece_bytes - 1) / piece_bytes;
	struct merkle m;

	if (n == 1) {
		memcpy(root, layer, HASH_SHA256_BYTES);
		return;
	}
	merkle_begin(&m, h, merkle_height(piece_bytes / MERKLE_LEAF_BYTES));
	for (uint64_t i = 0; i < n; i++)
		merkle_add(&m, layer + i * HASH_SHA256_BYTES);
	merkle_root(&m, merkle_height(n), root);
}

static int find_roots(struct piecehash *ph)
{
	const struct content *c = ph->cfg->content;
	struct hasher *h;
	int r = hasher_new(&h);

	if (r != 0)
		return r;
	for (uint32_t i = 0; i < c->n_files; i++) {
		const struct content_file *f = &c->files[i];

		if (f->len_bytes > 0 && f->rel)
			file_root(ph, h, f,
				  ph->out->roots +
					  (size_t)i * HASH_SHA256_BYTES);
	}
	hasher_free(h);
	return 0;
}

/* ---- the whole ---- */

static int make_hashers(struct piecehash *ph)
{
	struct piecehash_shared *sh = &ph->shared;
	int r = 0;

	sh->v1_hashers = mem_zalloc(ph->n_threads, sizeof(*sh->v1_hashers));
	if (!sh->v1_hashers)
		return ENOMEM;
	for (unsigned i = 0; i < ph->n_threads && r == 0; i++)
		r = hasher_new(&sh->v1_hashers[i]);
	return r;
}

static void free_room(struct piecehash *ph)
{
	struct piecehash_shared *sh = &ph->shared;

	for (unsigned i = 0; sh->v1_hashers && i < ph->n_threads; i++)
		hasher_free(sh->v1_hashers[i]);
	mem_free(sh->v1_hashers);
	mem_free(sh->bufs);
	mem_free(ph->jobs);
}

static unsigned row_max(const struct piecehash *ph)
{
	enum hash_algo algo = ph->cfg->kind.has_v1 ? HASH_SHA1 : HASH_SHA256;
	unsigned n = ROW_MAX_BYTES / ph->cfg->piece_bytes;

	if (n > HASH_ROW_MAX)
		n = HASH_ROW_MAX;
	return n > 1 && hash_row_pays(algo, HASH_ROW_MAX) ? n : 1;
}

static int make_room(struct piecehash *ph)
{
	const struct content_kind kind = ph->cfg->kind;
	struct piecehash_result *out = ph->out;
	struct piecehash_shared *sh = &ph->shared;

	if (kind.has_v1)
		out->v1 = mem_zalloc(out->n_pieces, HASH_SHA1_BYTES);
	if (kind.has_v2) {
		out->v2 = mem_zalloc(out->n_pieces, HASH_SHA256_BYTES);
		out->roots = mem_zalloc(ph->cfg->content->n_files,
					HASH_SHA256_BYTES);
	}
	sh->row = row_max(ph);
	sh->bufs = mem_alloc((size_t)ph->n_threads * PIECEHASH_BUF_BYTES);
	ph->jobs = mem_zalloc(2 * (size_t)ph->n_threads, sizeof(*ph->jobs));
	if ((kind.has_v1 && !out->v1) ||
	    (kind.has_v2 && (!out->v2 || !out->roots)) || !sh->bufs ||
	    !ph->jobs)
		return ENOMEM;
	sh->v1 = out->v1;
	sh->v2 = out->v2;
	return kind.has_v1 ? make_hashers(ph) : 0;
}

static int open_top(struct piecehash *ph)
{
	const struct content *c = ph->cfg->content;

	ph->shared.dir_fd = AT_FDCWD;
	if (c->is_single)
		return 0;
	ph->shared.dir_fd = open(c->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return ph->shared.dir_fd >= 0 ? 0 : errno;
}

static int run(struct piecehash *ph)
{
	int r = make_room(ph);

	if (r != 0)
		return r;
	r = open_top(ph);
	if (r != 0)
		return r;
	r = workers_new(ph->cfg->loop, ph->n_threads, "hash", &ph->workers);
	if (r == 0)
		r = run_jobs(ph);
	if (r == 0 && ph->cfg->kind.has_v2)
		r = find_roots(ph);
	workers_free(ph->workers);
	if (ph->shared.dir_fd >= 0)
		(void)close(ph->shared.dir_fd);
	return r;
}

int piecehash_all(const struct piecehash_cfg *cfg, struct piecehash_result *out,
		  char why[WHY_BYTES])
{
	const struct content *c = cfg->content;
	struct piecehash ph = {
		.cfg = cfg,
		.out = out,
		.shared = {.content = c, .piece_bytes = cfg->piece_bytes},
		.n_threads = cfg->n_threads ? cfg->n_threads : workers_cores(),
		.err_file = UINT32_MAX,
	};
	int r;

	memset(out, 0, sizeof(*out));
	out->n_pieces = content_n_pieces(c, cfg->piece_bytes);
	r = run(&ph);
	free_room(&ph);
	if (r == 0)
		return 0;
	(void)snprintf(why, WHY_BYTES, "%.200s: %s",
		       ph.err_file < c->n_files ? c->files[ph.err_file].rel
						: c->root,
		       r == ENODATA ? "it became shorter while it was read"
				    : err_text(r));
	piecehash_fini(out);
	return r;
}

void piecehash_fini(struct piecehash_result *out)
{
	mem_free(out->v1);
	mem_free(out->v2);
	mem_free(out->roots);
	memset(out, 0, sizeof(*out));
}
