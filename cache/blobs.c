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
#include <linux/magic.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cache/cache_limits.h"
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
	TAILQ_INIT(&t->unkept);
	STAILQ_INIT(&t->vets);
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
	hmap_del(b->set->open, &b->key);
	if (b->fd >= 0)
		close(b->fd);
	t->n--;
	mem_free(b);
}

/* A place in the table, without a descriptor yet; NULL when there is none. */
static struct blob *blob_new(struct blob_set *set, uint32_t key)
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
	b->key = key;
	b->fd = -1;
	if (hmap_put(set->open, &key, b) != 0) {
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
	if (!is_idle(b))
		return;
	TAILQ_INSERT_TAIL(&b->set->table->idle, b, idle);
	if (b->is_doomed)
		blob_free(b);
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
	err = hmap_new(sizeof(uint32_t), &set->seen);
	if (err != 0)
		goto free_open;
	err = bits_init(&set->made, n_files);
	if (err == 0)
		return 0;
	hmap_free(set->seen);
free_open:
	hmap_free(set->open);
	set->open = NULL;
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
	struct watched *w;
	struct blob *b;
	size_t pos = 0;

	assert(set->n_jobs == 0 && !set->is_dir_syncing);
	while ((b = hmap_next(set->open, &pos)) != NULL)
		blob_free(b);
	pos = 0;
	while ((w = hmap_next(set->seen, &pos)) != NULL) {
		blobs_kept(w);
		sight_fini(&w->seen);
		mem_free(w);
	}
	if (set->is_dir_dirty)
		STAILQ_REMOVE(&set->table->dirty_sets, set, blob_set, dirty);
	hmap_free(set->open);
	hmap_free(set->seen);
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

void blobs_close_key(struct blob_set *set, uint32_t key)
{
	struct blob *b = hmap_get(set->open, &key);

	if (b == NULL)
		return;
	b->is_doomed = true;
	if (is_idle(b))
		blob_free(b);
}

void blobs_let_go(struct blob_set *set, uint32_t key)
{
	struct blob *b = hmap_get(set->open, &key);

	if (b != NULL && is_idle(b))
		blob_free(b);
}

void blobs_set_admit(struct blob_set *set, struct shared_blob *shared)
{
	sight_init(&shared->watched.seen);
	shared->watched.set = set;
	shared->watched.shared = shared;
}

void blobs_set_evict(struct blob_set *set, struct shared_blob *shared)
{
	blobs_kept(&shared->watched);
	sight_fini(&shared->watched.seen);
	blobs_close_key(set, shared->key);
}

/* ---- at once ---- */

static uint32_t spot_key(const struct spot *s)
{
	return s->shared != NULL ? s->shared->key : s->file_ix;
}

/* Of files that are memory Linux does not say that they need no disk. */
static bool is_in_memory(struct blob *b)
{
	struct statfs fs;

	if (b->place == BLOB_NOT_KNOWN)
		b->place = fstatfs(b->fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC
				   ? BLOB_IN_MEMORY
				   : BLOB_ELSEWHERE;
	return b->place == BLOB_IN_MEMORY;
}

/* What was read is what we wrote; else blobs_read says what it is. */
static bool is_as_seen(const struct spot *s, const struct blob *b)
{
	struct watched *w = blobs_find_watched(s->set, s->shared, s->file_ix);

	return w == NULL || sight_is_now(&w->seen, b->fd);
}

static int read_cached(const struct spot *s, uint8_t *dst)
{
	uint32_t key = spot_key(s);
	struct blob *b = hmap_get(s->set->open, &key);
	struct iovec iov = {dst, s->len_bytes};
	ssize_t n;

	if (b == NULL || b->fd < 0)
		return EAGAIN;
	if (b->place == BLOB_IN_MEMORY)
		n = pread(b->fd, dst, s->len_bytes, (off_t)s->off_bytes);
	else
		n = preadv2(b->fd, &iov, 1, (off_t)s->off_bytes, RWF_NOWAIT);
	if (n < 0 && errno == EOPNOTSUPP && b->place == BLOB_NOT_KNOWN &&
	    is_in_memory(b))
		return read_cached(s, dst);
	if (n < 0 || (size_t)n < s->len_bytes || !is_as_seen(s, b))
		return EAGAIN;
	if (is_idle(b)) {
		TAILQ_REMOVE(&s->set->table->idle, b, idle);
		TAILQ_INSERT_TAIL(&s->set->table->idle, b, idle);
	}
	return 0;
}

int blobs_read_now(const struct spot_map *map, uint64_t off_bytes,
		   uint32_t len_bytes, uint8_t *dst)
{
	struct spot_walk walk;
	struct spot s;
	int err;

	spot_walk_init(&walk, map, SPOT_READ, off_bytes, len_bytes);
	while (spot_next(&walk, &s)) {
		if (s.kind == SPOT_ZEROS) {
			memset(dst + s.pos_bytes, 0, s.len_bytes);
			continue;
		}
		if (s.kind == SPOT_LOST)
			return EAGAIN; /* blobs_read says what it is */
		err = read_cached(&s, dst + s.pos_bytes);
		if (err != 0)
			return err;
	}
	return 0;
}

/* ---- by a worker ---- */

static bool is_write(enum spot_aim aim)
{
	return aim == SPOT_OWN || aim == SPOT_SHARED;
}

/* Nobody stores zeros. */
static bool is_run(const struct spot *s, enum spot_aim aim)
{
	return !is_write(aim) || s->kind == SPOT_BLOB;
}

static struct blob_run plan_run(const struct spot_map *map,
				const struct spot *s)
{
	struct blob_run run = {
		.off_bytes = s->off_bytes,
		.pos_bytes = s->pos_bytes,
		.len_bytes = s->len_bytes,
		.file_ix = s->file_ix,
		.how = BLOB_FD_NONE,
		.fd = -1,
	};

	if (s->kind == SPOT_ZEROS)
		return run;
	run.how = s->kind == SPOT_LOST ? BLOB_FD_LOST : BLOB_FD_BRIEF;
	run.file_bytes = map->mi->files[s->file_ix].len_bytes;
	run.set = s->set;
	run.home = &s->set->home;
	run.shared = s->shared;
	if (s->shared != NULL)
		run.name = s->shared->name;
	return run;
}

struct blob_io *blobs_io_new(const struct spot_map *map, enum spot_aim aim,
			     uint64_t off_bytes, uint32_t len_bytes)
{
	struct spot_walk walk;
	struct spot s;
	struct blob_io *io;
	uint32_t n = 0;

	spot_walk_init(&walk, map, aim, off_bytes, len_bytes);
	while (spot_next(&walk, &s))
		n += is_run(&s, aim);
	io = mem_zalloc(1, sizeof(*io) + n * sizeof(io->runs[0]));
	if (io == NULL)
		return NULL;
	spot_walk_init(&walk, map, aim, off_bytes, len_bytes);
	while (spot_next(&walk, &s)) {
		if (!is_run(&s, aim))
			continue;
		io->runs[io->n_runs] = plan_run(map, &s);
		io->runs[io->n_runs++].is_write = is_write(aim);
		/* No byte is written that nobody watches. */
		if (is_write(aim) && s.shared == NULL &&
		    blobs_watch(s.set, s.file_ix) == NULL) {
			mem_free(io);
			return NULL;
		}
	}
	io->set = map->own;
	io->len_bytes = len_bytes;
	return io;
}

struct blob_io *blobs_copy_new(const struct spot_map *map, uint64_t off_bytes,
			       uint32_t len_bytes)
{
	static const enum spot_aim aims[] = {SPOT_STAGED, SPOT_SHARED};
	struct spot_walk walk;
	struct spot s;
	struct blob_io *io =
		mem_zalloc(1, sizeof(*io) + 2 * sizeof(io->runs[0]));

	if (io == NULL)
		return NULL;
	for (; io->n_runs < 2; io->n_runs++) {
		spot_walk_init(&walk, map, aims[io->n_runs], off_bytes,
			       len_bytes);
		if (!spot_next(&walk, &s) || s.kind != SPOT_BLOB)
			assert(!"it has no blob");
		io->runs[io->n_runs] = plan_run(map, &s);
	}
	io->runs[1].is_write = true;
	io->is_copy = true;
	io->set = map->own;
	return io;
}

static uint32_t run_key(const struct blob_run *run)
{
	return run->shared != NULL ? run->shared->key : run->file_ix;
}

static bool is_made(const struct blob_run *run)
{
	return run->shared != NULL ? run->shared->is_made
				   : bits_has(&run->set->made, run->file_ix);
}

static void run_acquire(struct blob_run *run)
{
	struct blob_set *set = run->set;
	uint32_t key = run_key(run);
	struct blob *b = hmap_get(set->open, &key);

	blobs_look_begin(&run->look,
			 blobs_find_watched(set, run->shared, run->file_ix),
			 run->is_write);
	run->may_make = run->is_write && !is_made(run);
	if (b != NULL && b->fd < 0)
		return; /* BRIEF: somebody is just opening it */
	if (b != NULL) {
		run->how = BLOB_FD_LENT;
		run->fd = b->fd;
	} else {
		b = blob_new(set, key);
		if (b == NULL)
			return;
		run->how = BLOB_FD_KEEP;
	}
	blob_use(b);
	run->blob = b;
}

static void mark_made(struct blob_run *run)
{
	struct blob_set *set = run->set;

	if (run->shared != NULL)
		run->shared->is_made = true;
	else
		bits_set(&set->made, run->file_ix);
	if (!set->is_dir_dirty) {
		set->is_dir_dirty = true;
		STAILQ_INSERT_TAIL(&set->table->dirty_sets, set, dirty);
	}
}

static enum look_end run_release(struct blob_run *run, bool is_written)
{
	struct blob *b = run->blob;
	enum look_end end;

	if (run->was_made)
		mark_made(run);
	end = blobs_look_end(&run->look);
	if (b == NULL)
		return end;
	b->n_users--;
	if (run->how == BLOB_FD_KEEP)
		b->fd = run->fd;
	if (b->fd < 0) {
		blob_free(b);
		return end;
	}
	if (is_written && !b->is_dirty) {
		struct blobs *t = b->set->table;

		b->is_dirty = true;
		t->n_dirty++;
		STAILQ_INSERT_TAIL(&t->dirty, b, dirty);
	}
	blob_settle(b);
	return end;
}

/* Bytes that may be somebody else's are no answer. */
static void doubt(struct blob_io *io, const struct blob_run *run,
		  enum look_end end)
{
	if (end == LOOK_SAME || run->is_write)
		return;
	if (end == LOOK_LOST)
		io->err = EIO;
	else if (io->err == 0)
		io->err = io->check != NULL ? EAGAIN : ENOENT;
}

void blobs_io_end(struct blob_io *io TAKES)
{
	struct blob_set *set = io->set;
	bool is_done = io->err == 0;

	for (uint32_t i = 0; i < io->n_runs; i++) {
		struct blob_run *run = &io->runs[i];

		doubt(io, run, run_release(run, run->is_write && is_done));
	}
	io->done(io);
	blobs_set_drop(set);
}

static void io_done(struct job *job)
{
	blobs_io_end(CONTAINER_OF(job, struct blob_io, job));
}

void blobs_io_begin(struct blob_io *io)
{
	for (uint32_t i = 0; i < io->n_runs; i++)
		if (io->runs[i].how == BLOB_FD_BRIEF)
			run_acquire(&io->runs[i]);
	blobs_set_hold(io->set);
}

void blobs_io_start(struct blob_io *io TAKES)
{
	blobs_io_begin(io);
	io->job = (struct job){.run = blob_job_run,
			       .done = io_done,
			       .is_hurried = io->is_hurried};
	workers_submit(io->set->table->workers, &io->job);
}

static void on_read(struct blob_io *io)
{
	io->read_done(io->arg, io->err);
	mem_free(io);
}

int blobs_read(const struct spot_map *map, enum spot_aim aim,
	       uint64_t off_bytes, uint32_t len_bytes, uint8_t *dst,
	       void (*done)(void *arg, int err), void *arg)
{
	struct blob_io *io = blobs_io_new(map, aim, off_bytes, len_bytes);

	if (io == NULL)
		return ENOMEM;
	io->dst = dst;
	io->is_hurried = true;
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
		blobs_set_hold(b->set);
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
		set = b->set;
		b->is_syncing = false;
		blob_settle(b);
		blobs_set_drop(set);
	}
	while ((set = STAILQ_FIRST(sets)) != NULL) {
		STAILQ_REMOVE_HEAD(sets, sync);
		set->is_dir_syncing = false;
		if (set->sync_err != 0 && !set->is_dir_dirty) {
			set->is_dir_dirty = true;
			STAILQ_INSERT_TAIL(&t->dirty_sets, set, dirty);
		}
		blobs_set_drop(set);
	}
}
