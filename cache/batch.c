/* batch — from store_put to DURABLE.
 *
 * Purpose: a sync a piece would cost more than the piece's write, so the disk
 * store writes at once and syncs together.
 *
 * Happy path
 *   1. batch_put plans the write and, unless too much is unsynced already,
 *      hands it to a worker.
 *   2. The write is done: WRITTEN; the put is READY, the timer runs.
 *   3. The timer fires, or READY holds STORE_BATCH_BYTES or STORE_DIRTY_BLOBS,
 *      or somebody flushes: everything dirty and everything READY goes to the
 *      store thread as one commit.
 *   4. It comes back: DURABLE for each; the next batch may begin.
 *
 * Back-pressure: while a commit runs, at most another STORE_BATCH_BYTES are
 * written; later puts wait, and their owners do not hear WRITTEN. So a crash
 * costs at most two batches, and a disk slower than the network is felt by
 * whoever fills the buffers.
 *
 * Failure modes
 *   a write fails   that put gets the error; what it wrote is in no row.
 *   a sync fails    the store is FAILED (disk_fail): this batch's puts on the
 *                   blob get EIO, and so does every put that was not durable
 *                   yet, because the kernel reports a lost page only once.
 *                   store_disk_heal.c says what then.
 *   the rows fail   ENOSPC or ENOMEM: the batch's puts get that, the store
 *                   goes on. EIO: FAILED, too.
 *
 * Invariants
 *   1. disk->puts holds every put whose last `done` has not run, by seq.
 *   2. ready_bytes and writing_bytes are the sums over READY and WRITING.
 *   3. READY is not empty, or nodes wait for a row => a commit runs, or the
 *      timer does.
 *   4. WAITING is not empty => a commit runs, or writes do, or READY is not
 *      empty, or room is being made (room.h).
 *   5. a put holds its torrent's blob_set.
 *   6. a piece whose row may be in the index for its torrent alone is in its
 *      torrent's `claimed`.
 *
 * To which blob a put goes: batch_way.c. One without data stands on what was
 * written before: staged, put as leaves, or brought by another torrent. If it
 * is not copied it takes the same way with nothing to write. What it stands on
 * may have been written long ago and be clean, or dirty and of any blob: so it
 * believes no batch in which any sync failed.
 *
 * What runs in `done` may put, forget, read and close; nothing here is kept
 * over such a call but the disk. */
#include "cache/store_disk_internal.h"

#include <assert.h>
#include <errno.h>

#include "cache/cache_limits.h"
#include "core/blk.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/metainfo.h"

static void pump(struct disk *d);

/* ---- the end of a put ---- */

static bool flush_is_due(const struct disk *d)
{
	const struct flush *f = STAILQ_FIRST(&d->flushes);
	const struct put *oldest = TAILQ_FIRST(&d->puts);

	return f != NULL && (oldest == NULL || oldest->seq > f->seq);
}

static void on_flush_job(struct job *job)
{
	struct flush *f = CONTAINER_OF(job, struct flush, job);

	f->done(f->arg, f->disk->err);
	mem_free(f);
}

static void end_flushes(struct disk *d)
{
	while (flush_is_due(d)) {
		struct flush *f = STAILQ_FIRST(&d->flushes);

		STAILQ_REMOVE_HEAD(&d->flushes, link);
		f->job = (struct job){.run = batch_job_nothing,
				      .done = on_flush_job};
		workers_submit(d->thread, &f->job);
	}
}

/* Its leaves can be read: whoever has the file may. */
static int add_leaves(struct put *p)
{
	int err = 0;

	if (p->kind == PUT_LEAVES)
		err = joint_add_some(&p->t->joint, p->piece_ix, &p->leaves);
	else if (p->kind == PUT_PIECE && !p->is_old)
		err = joint_add(&p->leaves);
	p->is_added = err == 0 && p->kind != PUT_OWN;
	if (err != 0 || p->kind == PUT_LEAVES)
		return err;
	if (p->is_hybrid && p->kind == PUT_PIECE)
		bits_set(&p->t->joint.agreed, p->piece_ix);
	joint_kept(&p->t->joint, p->piece_ix);
	return 0;
}

/* What it means for the others, and where the piece is looked for. */
static void note_end(struct put *p)
{
	struct disk_torrent *t = p->t;

	if (p->kind == PUT_OWN && joint_is_any(&t->joint))
		bits_clear(&t->staged, p->piece_ix); /* claimed, or nothing */
	if (p->err == 0)
		return;
	if (p->kind == PUT_LEAVES) {
		if (p->is_added && !p->is_forgotten)
			joint_drop_some(&t->joint, p->piece_ix, &p->leaves);
		return;
	}
	if (p->is_added && !p->is_forgotten)
		joint_drop(&p->leaves);
	joint_lost(&t->joint, p->piece_ix);
	if (p->kind == PUT_PIECE)
		joint_look(&t->joint, p->piece_ix); /* others may have put it */
}

/* The put is in no list but disk->puts; its last word is said. */
static void say_full(struct disk *d)
{
	uint64_t now_us = loop_now_us(d->loop), *last_us = &d->room.full_us;

	if (*last_us == 0 || now_us - *last_us > ROOM_SAY_MS * UINT64_C(1000))
		log_warn("store %s: it is full: what comes can be read, and is "
			 "not kept",
			 d->home.path);
	*last_us = now_us;
}

static void put_end(struct disk *d, struct put *p)
{
	struct blob_set *set = &p->t->blobs;

	TAILQ_REMOVE(&d->puts, p, link);
	batch_way_end_copy(p);
	note_end(p);
	room_end_put(p);
	disk_doubt_look(d);
	d->stats.pending_bytes -= p->bytes;
	if (p->err == ENOSPC)
		say_full(d);
	p->done(p->arg, p->piece_ix, STORE_DURABLE, p->err);
	blk_drop(p->blk);
	mem_free(p->io);
	mem_free(p);
	blobs_set_drop(set);
}

/* ---- committing ---- */

/* From here on the index may have its row. */
static void claim(struct put *p)
{
	struct bits *claimed = &p->t->claimed;

	if (p->kind != PUT_OWN) {
		p->file_row = disk_file_of(p->leaves.use)->row;
		return;
	}
	p->was_claimed = bits_has(claimed, p->piece_ix);
	bits_set(claimed, p->piece_ix);
}

/* The commit has found it, or made it. */
static void note_row(struct put *p)
{
	if (p->kind != PUT_OWN && p->err == 0)
		disk_file_of(p->leaves.use)->row = p->file_row;
}

/* It has not, unless the commit failed in a way that says nothing. */
static void unclaim(struct put *p, const struct commit *c)
{
	if (p->kind == PUT_OWN && p->err != 0 && c->index_err != EIO &&
	    !p->was_claimed)
		bits_clear(&p->t->claimed, p->piece_ix);
}

static void note_failures(struct disk *d, const struct commit *c)
{
	if (c->sync_err != 0)
		disk_fail(d, "a sync", c->sync_err);
	if (c->index_err == EIO)
		disk_fail(d, "a commit", c->index_err);
}

static void on_committed(struct job *job)
{
	struct commit *c = CONTAINER_OF(job, struct commit, job);
	struct disk *d = CONTAINER_OF(c, struct disk, commit);
	struct put_queue ended = STAILQ_HEAD_INITIALIZER(ended);
	struct put *p;

	d->stats.syncs += c->n_syncs;
	d->stats.commits++;
	d->stats.held_bytes += c->added_bytes;
	mem_free(c->stamps.v);
	note_failures(d, c);
	disk_member_done(d, &c->members, c->is_written ? 0 : EAGAIN);
	disk_tally_written(d, &c->tallies,
			   c->is_written ? c->tally_err : EAGAIN);
	if (c->n_syncs > 0 && c->sync_err == 0 && c->index_err == 0)
		disk_kept(d);
	STAILQ_CONCAT(&ended, &c->puts);
	blobs_synced(&d->blobs, &c->blobs, &c->dirs);
	c->is_running = false;
	room_set_free(d, c->free_bytes, c->index_bytes);
	while ((p = STAILQ_FIRST(&ended)) != NULL) {
		STAILQ_REMOVE_HEAD(&ended, queue);
		note_row(p);
		if (p->is_forgotten && p->err == 0)
			p->err = ENOENT; /* what it stood on is gone */
		unclaim(p, c);
		put_end(d, p);
	}
	pump(d);
}

static void start_commit(struct disk *d)
{
	struct commit *c = &d->commit;
	struct put *p;

	loop_timer_stop(d->timer);
	*c = (struct commit){
		.index = d->index, .home = &d->home, .is_running = true};
	STAILQ_INIT(&c->puts);
	STAILQ_INIT(&c->blobs);
	STAILQ_INIT(&c->dirs);
	STAILQ_CONCAT(&c->puts, &d->ready);
	d->ready_bytes = 0;
	STAILQ_FOREACH (p, &c->puts, queue) {
		p->stage = PUT_COMMITTING;
		if (p->err == 0)
			p->err = d->err;
		claim(p);
	}
	blobs_take_dirty(&d->blobs, &c->blobs, &c->dirs);
	disk_doubt_take_stamps(d, &c->stamps);
	if (d->err == 0)
		disk_member_take(d, &c->members);
	tally_take(&d->tally.tally, &c->tallies);
	c->job = (struct job){.run = batch_job_commit, .done = on_committed};
	workers_submit(d->thread, &c->job);
}

/* Is there anything that waits for a commit? */
static bool is_wanted(const struct disk *d)
{
	return !d->commit.is_running &&
	       (!STAILQ_EMPTY(&d->ready) || !STAILQ_EMPTY(&d->members.nodes));
}

static bool commit_is_due(const struct disk *d)
{
	if (!is_wanted(d))
		return false;
	return d->ready_bytes >= STORE_BATCH_BYTES || d->err != 0 ||
	       d->blobs.n_dirty >= STORE_DIRTY_BLOBS ||
	       !STAILQ_EMPTY(&d->flushes) || !STAILQ_EMPTY(&d->waiting);
}

static void on_timer(void *arg)
{
	struct disk *d = arg;

	if (is_wanted(d))
		start_commit(d);
}

/* ---- writing ---- */

/* What was just written is what it must be. */
static void trust(struct put *p)
{
	if (p->kind == PUT_OWN)
		disk_doubt_clear_own(p->t, p->piece_ix);
	else if (!p->is_old)
		disk_doubt_clear_leaves(disk_file_of(p->leaves.use),
					p->leaves.first, p->leaves.n);
}

static void on_written(struct blob_io *io)
{
	struct put *p = io->arg;
	struct disk *d = p->t->disk;

	d->writing_bytes -= p->bytes;
	if (io->is_sync_lost)
		disk_fail(d, "a sync", io->err);
	if (p->err == 0)
		p->err = io->err != 0 ? io->err : d->err;
	if (p->err == 0) {
		room_on_written(p);
		p->err = add_leaves(p);
	}
	if (p->err == 0) {
		trust(p);
		batch_way_end_copy(p);
	}
	if (p->err != 0) {
		put_end(d, p);
		pump(d);
		return;
	}
	p->stage = PUT_READY;
	STAILQ_INSERT_TAIL(&d->ready, p, queue);
	d->ready_bytes += p->bytes;
	blk_drop(p->blk);
	p->blk = NULL;
	p->done(p->arg, p->piece_ix, STORE_WRITTEN, 0);
	pump(d);
}

static bool has_room(const struct disk *d)
{
	uint64_t unsynced = d->ready_bytes + d->writing_bytes;

	return unsynced < STORE_BATCH_BYTES;
}

static void begin(struct put *p)
{
	if (p->err == 0)
		p->err = batch_way_err(p);
	if (p->err != 0)
		p->io->n_runs = 0;
	room_begin_put(p);
}

static void start_writes(struct disk *d)
{
	struct put *p;

	while ((p = STAILQ_FIRST(&d->waiting)) != NULL && has_room(d)) {
		if (disk_doubt_bars(p) || !room_take(p))
			return;
		STAILQ_REMOVE_HEAD(&d->waiting, queue);
		begin(p);
		p->stage = PUT_WRITING;
		d->writing_bytes += p->bytes;
		blobs_io_start(p->io);
	}
}

/* Whatever can go on now does. */
static void pump(struct disk *d)
{
	start_writes(d);
	if (commit_is_due(d)) {
		start_commit(d);
		start_writes(d);
	}
	if (is_wanted(d) && !loop_timer_is_armed(d->timer))
		loop_timer_start(d->timer, (uint64_t)STORE_BATCH_MS * 1000);
	end_flushes(d);
}

/* ---- the calls ---- */

static void start(struct put *p, store_put_fn *done, void *arg)
{
	struct disk_torrent *t = p->t;
	struct disk *d = t->disk;

	if (p->kind == PUT_OWN && joint_is_any(&t->joint))
		bits_set(&t->staged, p->piece_ix);
	if (p->kind != PUT_OWN)
		disk_member_keep(disk_file_of(p->leaves.use));
	p->row = t->row;
	p->since_us = loop_now_us(d->loop);
	p->done = done;
	p->arg = arg;
	p->seq = d->next_seq++;
	p->io->done = on_written;
	p->io->arg = p;
	p->err = d->err;
	if (p->err != 0 || p->is_old)
		p->io->n_runs = 0; /* nothing is written; the answer waits */
	blobs_set_hold(&t->blobs);
	TAILQ_INSERT_TAIL(&d->puts, p, link);
	STAILQ_INSERT_TAIL(&d->waiting, p, queue);
	p->stage = PUT_WAITING;
	d->stats.pending_bytes += p->bytes;
	d->stats.puts++;
	pump(d);
}

int batch_put(struct disk_torrent *t, uint32_t piece_ix, struct blk *data,
	      store_put_fn *done, void *arg)
{
	struct put *p = mem_new(struct put);

	if (p == NULL)
		return ENOMEM;
	p->t = t;
	p->piece_ix = piece_ix;
	p->bytes = metainfo_body_bytes(t->mi, piece_ix);
	if (batch_way_choose(p, data != NULL) != 0 ||
	    batch_way_plan(p, 0, data) != 0) {
		mem_free(p);
		return ENOMEM;
	}
	start(p, done, arg);
	return 0;
}

int batch_put_leaves(struct disk_torrent *t, uint32_t piece_ix,
		     uint32_t at_bytes, struct blk *data, store_put_fn *done,
		     void *arg)
{
	struct put *p = mem_new(struct put);
	int err;

	if (p == NULL)
		return ENOMEM;
	p->t = t;
	p->piece_ix = piece_ix;
	p->bytes = (uint32_t)data->len;
	p->kind = PUT_LEAVES;
	err = joint_place(&t->joint, piece_ix, at_bytes, data->len, &p->leaves);
	if (err != 0) {
		mem_free(p);
		return err == ENOENT ? EINVAL : err;
	}
	if (batch_way_plan(p, at_bytes, data) != 0) {
		mem_free(p);
		return ENOMEM;
	}
	start(p, done, arg);
	return 0;
}

static bool overlap(const struct put *p, const struct joint_piece *gone)
{
	const struct joint_piece *has = &p->leaves;

	if (p->kind == PUT_OWN || gone->use == NULL)
		return false;
	return has->use->file == gone->use->file &&
	       has->first < gone->first + gone->n &&
	       gone->first < has->first + has->n;
}

void batch_forget(struct disk_torrent *t, uint32_t piece_ix)
{
	struct joint_piece gone = {0};
	struct put *p;

	(void)joint_piece(&t->joint, piece_ix, &gone);
	TAILQ_FOREACH (p, &t->disk->puts, link) {
		bool is_gone = overlap(p, &gone);

		if (!is_gone && (p->t != t || p->piece_ix != piece_ix))
			continue;
		p->is_forgotten = is_gone;
		if (p->stage != PUT_COMMITTING && p->err == 0)
			p->err = ENOENT;
	}
}

/* ---- room ---- */

static uint64_t put_due(const struct put *p)
{
	const struct joint_torrent *t = &p->t->joint;

	if (t->ops == NULL || t->ops->due_us == NULL)
		return UINT64_MAX;
	return t->ops->due_us(t->arg, p->piece_ix);
}

static uint32_t put_cost(const struct put *p)
{
	return p->kind == PUT_OWN ? p->cost : p->bytes;
}

bool batch_needs(const struct disk *d, uint64_t *bytes, uint64_t *due_us)
{
	const struct put *p = STAILQ_FIRST(&d->waiting);

	*bytes = staging_needs(d);
	*due_us = *bytes > 0 ? 0 : UINT64_MAX;
	if (p == NULL)
		return *bytes > 0;
	if (put_due(p) < *due_us)
		*due_us = put_due(p);
	*bytes += put_cost(p);
	return true;
}

void batch_on_room(struct disk *d)
{
	staging_on_room(d);
	pump(d);
}

void batch_refuse_late(struct disk *d, uint64_t for_us)
{
	uint64_t now_us = loop_now_us(d->loop);
	struct put *p;

	staging_refuse(d, for_us);
	while ((p = STAILQ_FIRST(&d->waiting)) != NULL &&
	       now_us - p->since_us >= for_us &&
	       (!room_fits(d, put_cost(p)) || room_is_barred(p))) {
		if (batch_way_stay(p))
			break;
		STAILQ_REMOVE_HEAD(&d->waiting, queue);
		p->err = ENOSPC;
		put_end(d, p);
	}
	pump(d);
}

int batch_flush(struct disk *d, store_done_fn *done, void *arg)
{
	struct flush *f = mem_new(struct flush);

	if (f == NULL)
		return ENOMEM;
	f->disk = d;
	f->done = done;
	f->arg = arg;
	f->seq = d->next_seq++;
	disk_tally_flush(d);
	STAILQ_INSERT_TAIL(&d->flushes, f, link);
	pump(d);
	return 0;
}

/* ---- life ---- */

int batch_init(struct disk *d)
{
	TAILQ_INIT(&d->puts);
	STAILQ_INIT(&d->waiting);
	STAILQ_INIT(&d->ready);
	STAILQ_INIT(&d->flushes);
	return loop_timer_new(d->loop, on_timer, d, &d->timer);
}

void batch_fini(struct disk *d)
{
	assert(TAILQ_EMPTY(&d->puts) && STAILQ_EMPTY(&d->flushes));
	loop_timer_free(d->timer);
}

void batch_drain(struct disk *d)
{
	while (!TAILQ_EMPTY(&d->puts) || !STAILQ_EMPTY(&d->flushes) ||
	       !STAILQ_EMPTY(&d->members.nodes)) {
		workers_drain(d->workers, UINT32_MAX);
		if (is_wanted(d))
			start_commit(d);
		workers_drain(d->thread, UINT32_MAX);
		pump(d); /* what waits for room gets it, or an error */
	}
}
