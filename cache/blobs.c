/* blobs — descriptors, and who may close them.
 *
 * Purpose: a torrent may have a million files and a process has a thousand
 * descriptors; opening blocks, and the loop must not. So the loop keeps the
 * table, workers do the opening, and a blob_run says which of the two owns the
 * descriptor it needs.
 *
 * Words. Idle: open, nobody uses it, nothing in it waits for a sync; only such
 * a blob may be closed to make room. Made: the blob's file exists at its full
 * length, and its absence is a loss.
 *
 * A job's descriptor
 *   LENT    the blob is open: the job borrows the descriptor, n_users says so.
 *   KEEP    it is not, and there is room: a blob without a descriptor is put
 *           into the table, the job opens it, and blobs takes it over.
 *   BRIEF   there is no room, or another job is just opening it: the job opens
 *           one for itself, syncs what it wrote, and closes it. So the number
 *           of descriptors is bounded by the table and the workers, however
 *           many files a piece spans.
 *
 *   blob is        fd     n_users  in `idle`  in `dirty`
 *   being opened   -1     1        no         no
 *   in use         >= 0   >= 1     no         iff is_dirty
 *   unsynced       >= 0   any      no         iff is_dirty; or is_syncing
 *   idle           >= 0   0        yes        no
 *
 * A blob can be dirty and syncing at once: it was written to again while its
 * sync was under way, and goes into the next batch, too.
 *
 * Failure modes: an allocation that fails makes a run BRIEF; nothing else
 * here fails. */
#include "cache/blobs.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cache/cache_limits.h"
#include "cache/extent.h"
#include "core/hmap.h"
#include "core/mem.h"
#include "core/metainfo.h"

/* ---- the table ---- */

void blobs_init(struct blobs *t, struct workers *workers)
{
	*t = (struct blobs){.workers = workers, .max = STORE_OPEN_BLOBS};
	TAILQ_INIT(&t->idle);
	STAILQ_INIT(&t->dirty);
	STAILQ_INIT(&t->dirty_sets);
}

void blobs_fini(struct blobs *t)
{
	assert(t->n == 0 && t->n_dirty == 0);
	assert(TAILQ_EMPTY(&t->idle) && STAILQ_EMPTY(&t->dirty_sets));
}

static bool is_idle(const struct blob *b)
{
	return b->fd >= 0 && b->n_users == 0 && !b->is_dirty && !b->is_syncing;
}

static void blob_free(struct blob *b)
{
	struct blobs *t = b->set->table;

	assert(b->n_users == 0 && !b->is_syncing);
	if (is_idle(b))
		TAILQ_REMOVE(&t->idle, b, idle);
	if (b->is_dirty) {
		STAILQ_REMOVE(&t->dirty, b, blob, dirty);
		t->n_dirty--;
	}
	hmap_del(b->set->open, &b->file_ix);
	if (b->fd >= 0)
		close(b->fd);
	t->n--;
	mem_free(b);
}

/* A place in the table, without a descriptor yet; NULL when there is none. */
static struct blob *blob_new(struct blob_set *set, uint32_t file_ix)
{
	struct blobs *t = set->table;
	struct blob *b;

	if (t->n >= t->max) {
		if (TAILQ_EMPTY(&t->idle))
			return NULL;
		blob_free(TAILQ_FIRST(&t->idle));
	}
	b = mem_new(struct blob);
	if (b == NULL)
		return NULL;
	b->set = set;
	b->file_ix = file_ix;
	b->fd = -1;
	if (hmap_put(set->open, &file_ix, b) != 0) {
		mem_free(b);
		return NULL;
	}
	t->n++;
	return b;
}

static void blob_use(struct blob *b)
{
	if (is_idle(b))
		TAILQ_REMOVE(&b->set->table->idle, b, idle);
	b->n_users++;
}

/* Something that kept the blob from being idle has ended. */
static void blob_settle(struct blob *b)
{
	if (is_idle(b))
		TAILQ_INSERT_TAIL(&b->set->table->idle, b, idle);
}

/* ---- one torrent ---- */

int blobs_set_init(struct blob_set *set, struct blobs *t,
		   const struct blob_home *home, uint32_t n_files)
{
	int err;

	*set = (struct blob_set){.table = t, .home = *home};
	err = hmap_new(sizeof(uint32_t), &set->open);
	if (err != 0)
		return err;
	err = bits_init(&set->made, n_files);
	if (err != 0) {
		hmap_free(set->open);
		set->open = NULL;
	}
	return err;
}

void blobs_set_close(struct blob_set *set)
{
	set->is_closed = true;
	if (set->n_jobs == 0)
		set->on_idle(set);
}

void blobs_set_fini(struct blob_set *set)
{
	struct blob *b;
	size_t pos = 0;

	assert(set->n_jobs == 0 && !set->is_dir_syncing);
	while ((b = hmap_next(set->open, &pos)) != NULL)
		blob_free(b);
	if (set->is_dir_dirty)
		STAILQ_REMOVE(&set->table->dirty_sets, set, blob_set, dirty);
	hmap_free(set->open);
	bits_fini(&set->made);
}

void blobs_set_hold(struct blob_set *set)
{
	set->n_jobs++;
}

void blobs_set_drop(struct blob_set *set)
{
	assert(set->n_jobs > 0);
	if (--set->n_jobs == 0 && set->is_closed)
		set->on_idle(set);
}

/* ---- at once ---- */

static int read_cached(struct blob_set *set, const struct extent *e,
		       uint8_t *dst)
{
	struct blob *b = hmap_get(set->open, &e->file_ix);
	struct iovec iov = {dst, e->len_bytes};
	ssize_t n;

	if (b == NULL || b->fd < 0)
		return EAGAIN;
	n = preadv2(b->fd, &iov, 1, (off_t)e->off_bytes, RWF_NOWAIT);
	if (n < 0 || (size_t)n < e->len_bytes)
		return EAGAIN;
	if (is_idle(b)) {
		TAILQ_REMOVE(&set->table->idle, b, idle);
		TAILQ_INSERT_TAIL(&set->table->idle, b, idle);
	}
	return 0;
}

int blobs_read_now(struct blob_set *set, const struct metainfo *mi,
		   uint64_t off_bytes, uint32_t len_bytes, uint8_t *dst)
{
	struct extent_walk walk;
	struct extent e;
	int err;

	extent_walk_init(&walk, mi, off_bytes, len_bytes);
	while (extent_next(&walk, &e)) {
		if (e.file_ix == EXTENT_NO_FILE) {
			memset(dst + e.pos_bytes, 0, e.len_bytes);
			continue;
		}
		err = read_cached(set, &e, dst + e.pos_bytes);
		if (err != 0)
			return err;
	}
	return 0;
}

/* ---- by a worker ---- */

/* Nobody stores zeros. */
static bool is_run(const struct extent *e, bool is_write)
{
	return !is_write || e->file_ix != EXTENT_NO_FILE;
}

static struct blob_run plan_run(const struct blob_set *set,
				const struct metainfo *mi,
				const struct extent *e, bool is_write)
{
	struct blob_run run = {
		.off_bytes = e->off_bytes,
		.pos_bytes = e->pos_bytes,
		.len_bytes = e->len_bytes,
		.file_ix = e->file_ix,
		.fd = -1,
	};

	if (e->file_ix == EXTENT_NO_FILE)
		return run;
	run.how = BLOB_FD_BRIEF;
	run.file_bytes = mi->files[e->file_ix].len_bytes;
	return run;
}

struct blob_io *blobs_io_new(struct blob_set *set, const struct metainfo *mi,
			     uint64_t off_bytes, uint32_t len_bytes,
			     bool is_write)
{
	struct extent_walk walk;
	struct extent e;
	struct blob_io *io;
	uint32_t n = 0;

	extent_walk_init(&walk, mi, off_bytes, len_bytes);
	while (extent_next(&walk, &e))
		n += is_run(&e, is_write);
	io = mem_zalloc(1, sizeof(*io) + n * sizeof(io->runs[0]));
	if (io == NULL)
		return NULL;
	extent_walk_init(&walk, mi, off_bytes, len_bytes);
	while (extent_next(&walk, &e))
		if (is_run(&e, is_write))
			io->runs[io->n_runs++] =
				plan_run(set, mi, &e, is_write);
	io->set = set;
	io->home = &set->home;
	return io;
}

static void run_acquire(struct blob_set *set, struct blob_run *run,
			bool is_write)
{
	struct blob *b = hmap_get(set->open, &run->file_ix);

	run->may_make = is_write && !bits_has(&set->made, run->file_ix);
	if (b != NULL && b->fd < 0)
		return; /* BRIEF: somebody is just opening it */
	if (b != NULL) {
		run->how = BLOB_FD_LENT;
		run->fd = b->fd;
	} else {
		b = blob_new(set, run->file_ix);
		if (b == NULL)
			return;
		run->how = BLOB_FD_KEEP;
	}
	blob_use(b);
	run->blob = b;
}

static void mark_made(struct blob_set *set, uint32_t file_ix)
{
	bits_set(&set->made, file_ix);
	if (!set->is_dir_dirty) {
		set->is_dir_dirty = true;
		STAILQ_INSERT_TAIL(&set->table->dirty_sets, set, dirty);
	}
}

static void run_release(struct blob_set *set, struct blob_run *run,
			bool is_written)
{
	struct blobs *t = set->table;
	struct blob *b = run->blob;

	if (run->was_made)
		mark_made(set, run->file_ix);
	if (b == NULL)
		return;
	b->n_users--;
	if (run->how == BLOB_FD_KEEP)
		b->fd = run->fd;
	if (b->fd < 0) {
		blob_free(b);
		return;
	}
	if (is_written && !b->is_dirty) {
		b->is_dirty = true;
		t->n_dirty++;
		STAILQ_INSERT_TAIL(&t->dirty, b, dirty);
	}
	blob_settle(b);
}

static void io_done(struct job *job)
{
	struct blob_io *io = CONTAINER_OF(job, struct blob_io, job);
	struct blob_set *set = io->set;
	bool is_written = io->src != NULL && io->err == 0;

	for (uint32_t i = 0; i < io->n_runs; i++)
		run_release(set, &io->runs[i], is_written);
	io->done(io);
	blobs_set_drop(set);
}

void blobs_io_start(struct blob_io *io TAKES)
{
	for (uint32_t i = 0; i < io->n_runs; i++)
		if (io->runs[i].how != BLOB_FD_NONE)
			run_acquire(io->set, &io->runs[i], io->src != NULL);
	blobs_set_hold(io->set);
	io->job = (struct job){.run = blob_job_run, .done = io_done};
	workers_submit(io->set->table->workers, &io->job);
}

static void on_read(struct blob_io *io)
{
	io->read_done(io->arg, io->err);
	mem_free(io);
}

int blobs_read(struct blob_set *set, const struct metainfo *mi,
	       uint64_t off_bytes, uint32_t len_bytes, uint8_t *dst,
	       void (*done)(void *arg, int err), void *arg)
{
	struct blob_io *io = blobs_io_new(set, mi, off_bytes, len_bytes, false);

	if (io == NULL)
		return ENOMEM;
	io->dst = dst;
	io->done = on_read;
	io->read_done = done;
	io->arg = arg;
	blobs_io_start(io);
	return 0;
}

/* ---- syncing ---- */

void blobs_take_dirty(struct blobs *t, struct blob_list *blobs,
		      struct blob_sets *sets)
{
	struct blob *b;
	struct blob_set *set;

	while ((b = STAILQ_FIRST(&t->dirty)) != NULL) {
		STAILQ_REMOVE_HEAD(&t->dirty, dirty);
		b->is_dirty = false;
		b->is_syncing = true;
		b->sync_fd = b->fd;
		b->sync_err = 0;
		STAILQ_INSERT_TAIL(blobs, b, sync);
	}
	t->n_dirty = 0;
	while ((set = STAILQ_FIRST(&t->dirty_sets)) != NULL) {
		STAILQ_REMOVE_HEAD(&t->dirty_sets, dirty);
		set->is_dir_dirty = false;
		set->is_dir_syncing = true;
		set->sync_err = 0;
		blobs_set_hold(set);
		STAILQ_INSERT_TAIL(sets, set, sync);
	}
}

void blobs_synced(struct blobs *t, struct blob_list *blobs,
		  struct blob_sets *sets)
{
	struct blob *b;
	struct blob_set *set;

	while ((b = STAILQ_FIRST(blobs)) != NULL) {
		STAILQ_REMOVE_HEAD(blobs, sync);
		b->is_syncing = false;
		blob_settle(b);
	}
	while ((set = STAILQ_FIRST(sets)) != NULL) {
		STAILQ_REMOVE_HEAD(sets, sync);
		set->is_dir_syncing = false;
		blobs_set_drop(set);
	}
}
