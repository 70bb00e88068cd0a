/* store_disk — the life of a disk store and of its torrents, on the loop.
 *
 * Purpose: hand work to the store thread (index, syncs) and to workers (blobs),
 * and give the answers back. No call here blocks but store_disk_new and
 * store_free. The way of a put is batch.c's, descriptors are blobs.c's.
 *
 * Order: all jobs of the store thread run in the order they were handed over.
 * So a forget that follows a commit takes back what it wrote, a put that
 * follows the forget is committed after it, and a torrent that is opened again
 * sees whatever its last handle had committed.
 *
 * Life of a torrent: disk_open makes it and hands it to the store thread; it
 * is in disk->torrents from then on, so a second open is EEXIST. After
 * disk_close its metainfo is not looked at any more; the jobs under way have
 * what they need in themselves; with the last of them it is freed.
 *
 * Failure modes: disk_fail (store_disk_heal.c) stops all writing until the
 * disk works. Reads go on: a failed sync says nothing about what was read and
 * found right before.
 *
 * Threads: loop; the store thread has the index and the home while a job of
 * it runs, and the loop only hands their pointers on. */
#include "cache/store_disk_job.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "core/blk.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/metainfo.h"

/* ---- what is remembered ---- */

static void on_info_loaded(struct job *job)
{
	struct disk_load_info *l =
		CONTAINER_OF(job, struct disk_load_info, job);
	struct span info = {NULL, 0};

	if (l->err == 0)
		info = span_of(l->info, l->len);
	l->done(l->arg, l->err, info);
	mem_free(l->info);
	mem_free(l);
}

static int disk_load_info(struct store *s, const struct torrent_id *id,
			  store_info_fn *done, void *arg)
{
	struct disk *d = disk_of(s);
	struct disk_load_info *l;

	ASSERT_LOOP(d->loop);
	l = mem_new(struct disk_load_info);
	if (l == NULL)
		return ENOMEM;
	l->job = (struct job){.run = store_disk_job_load_info,
			      .done = on_info_loaded};
	l->index = d->index;
	l->home = &d->home;
	l->id = *id;
	l->done = done;
	l->arg = arg;
	workers_submit(d->thread, &l->job);
	return 0;
}

/* ---- pieces ---- */

static int disk_read_now(struct store_torrent *st, uint64_t off_bytes,
			 uint32_t len_bytes, uint8_t *dst)
{
	struct disk_torrent *t = disk_torrent_of(st);
	struct spot_map map = disk_files_map(t);
	int err = blobs_read_now(&map, off_bytes, len_bytes, dst);

	ASSERT_LOOP(t->disk->loop);
	t->disk->stats.reads += err == 0;
	if (err == 0)
		room_use(t, off_bytes, len_bytes);
	return err;
}

/* A read by a worker: what it reads is not punched before it ends. */
struct disk_reading {
	struct disk *disk;
	unsigned era;
	store_read_fn *done;
	void *arg;
};

static void on_read(void *arg, int err)
{
	struct disk_reading *r = arg;
	struct disk *d = r->disk;
	unsigned era = r->era;

	r->done(r->arg, err);
	mem_free(r);
	room_read_end(d, era);
}

static int read_as(struct disk_torrent *t, enum spot_aim aim,
		   uint64_t off_bytes, uint32_t len_bytes, uint8_t *dst,
		   store_read_fn *done, void *arg)
{
	struct spot_map map = disk_files_map(t);
	struct disk_reading *r = mem_new(struct disk_reading);
	int err;

	ASSERT_LOOP(t->disk->loop);
	if (r == NULL)
		return ENOMEM;
	*r = (struct disk_reading){.disk = t->disk, .done = done, .arg = arg};
	err = blobs_read(&map, aim, off_bytes, len_bytes, dst, on_read, r);
	if (err != 0) {
		mem_free(r);
		return err;
	}
	t->disk->stats.reads++;
	r->era = room_read_begin(t->disk);
	return 0;
}

static int disk_read(struct store_torrent *st, uint64_t off_bytes,
		     uint32_t len_bytes, uint8_t *dst, store_read_fn *done,
		     void *arg)
{
	struct disk_torrent *t = disk_torrent_of(st);
	int err = read_as(t, SPOT_READ, off_bytes, len_bytes, dst, done, arg);

	if (err == 0)
		room_use(t, off_bytes, len_bytes);
	return err;
}

static int disk_read_staged(struct store_torrent *st, uint32_t piece_ix,
			    uint32_t at_bytes, uint32_t len_bytes, uint8_t *dst,
			    store_read_fn *done, void *arg)
{
	struct disk_torrent *t = disk_torrent_of(st);

	return read_as(t, SPOT_STAGED,
		       (uint64_t)piece_ix * t->mi->piece_bytes + at_bytes,
		       len_bytes, dst, done, arg);
}

static int disk_stage(struct store_torrent *st, uint32_t piece_ix,
		      uint32_t at_bytes, struct blk *data, store_done_fn *done,
		      void *arg)
{
	struct disk_torrent *t = disk_torrent_of(st);

	ASSERT_LOOP(t->disk->loop);
	assert(at_bytes + data->len <= metainfo_piece_bytes(t->mi, piece_ix));
	return staging_start(t, piece_ix, at_bytes, data, done, arg);
}

static void disk_unstage(struct store_torrent *st, uint32_t piece_ix)
{
	struct disk_torrent *t = disk_torrent_of(st);

	if (joint_is_any(&t->joint))
		bits_clear(&t->staged, piece_ix);
	room_unstage(t, piece_ix);
}

static int disk_put(struct store_torrent *st, uint32_t piece_ix,
		    struct blk *data, store_put_fn *done, void *arg)
{
	struct disk_torrent *t = disk_torrent_of(st);

	ASSERT_LOOP(t->disk->loop);
	assert(piece_ix < t->mi->n_pieces);
	assert(data == NULL ||
	       data->len >= metainfo_body_bytes(t->mi, piece_ix));
	return batch_put(t, piece_ix, data, done, arg);
}

static int disk_put_leaves(struct store_torrent *st, uint32_t piece_ix,
			   uint32_t at_bytes, struct blk *data,
			   store_put_fn *done, void *arg)
{
	struct disk_torrent *t = disk_torrent_of(st);

	ASSERT_LOOP(t->disk->loop);
	assert(piece_ix < t->mi->n_pieces);
	return batch_put_leaves(t, piece_ix, at_bytes, data, done, arg);
}

static void on_forgotten(struct job *job)
{
	struct disk_forget *f = CONTAINER_OF(job, struct disk_forget, job);
	struct blob_set *set = &f->t->blobs;

	f->disk->stats.held_bytes -= f->dropped_bytes;
	if (f->err != 0)
		log_warn("store: piece %u is still in the index: %s",
			 f->piece_ix, err_text(f->err));
	else if (f->is_own)
		bits_clear(&f->t->claimed, f->piece_ix);
	disk_doubt_look(f->disk);
	mem_free(f);
	blobs_set_drop(set);
}

/* Nobody else reads these leaves from now on, either. */
static void forget_leaves(struct disk_torrent *t, struct disk_forget *f)
{
	const struct joint_piece *p = &f->leaves;

	if (!joint_piece(&t->joint, f->piece_ix, &f->leaves))
		return;
	joint_lost(&t->joint, f->piece_ix);
	joint_drop(p);
	disk_doubt_clear_leaves(disk_file_of(p->use), p->first, p->n);
	f->file = (struct index_file){
		.row = disk_file_of(p->use)->row,
		.bytes = p->use->file->bytes,
	};
	memcpy(f->root, p->use->file->id, sizeof(f->root));
}

static void disk_forget(struct store_torrent *st, uint32_t piece_ix)
{
	struct disk_torrent *t = disk_torrent_of(st);
	struct disk *d = t->disk;
	struct disk_forget *f;

	ASSERT_LOOP(d->loop);
	batch_forget(t, piece_ix);
	room_doom(t, piece_ix);
	disk_doubt_clear_own(t, piece_ix);
	f = mem_new(struct disk_forget);
	if (f == NULL) {
		log_warn("store: piece %u is still in the index: %s", piece_ix,
			 err_text(ENOMEM));
		return;
	}
	f->job = (struct job){.run = store_disk_job_forget,
			      .done = on_forgotten};
	blobs_set_hold(&t->blobs);
	f->disk = d;
	f->t = t;
	f->index = d->index;
	f->row = t->row;
	f->piece_ix = piece_ix;
	f->piece_bytes = metainfo_body_bytes(t->mi, piece_ix);
	f->is_own = !joint_is_any(&t->joint) || bits_has(&t->claimed, piece_ix);
	if (!f->is_own)
		forget_leaves(t, f);
	workers_submit(d->thread, &f->job);
}

static void on_pins_kept(struct job *job)
{
	struct disk_keep_pins *k =
		CONTAINER_OF(job, struct disk_keep_pins, job);

	if (k->err != 0)
		log_warn("store: pins are not remembered: %s",
			 err_text(k->err));
	mem_free(k->bits);
	mem_free(k);
}

/* What is pinned does not go for want of room, from now on. */
static int set_pins(struct disk_torrent *t, const struct bits *files)
{
	if (t->pins.data == NULL && bits_init(&t->pins, files->n) != 0)
		return ENOMEM;
	bits_load(&t->pins, files->data, bits_bytes(files->n));
	room_look_pins(t);
	return 0;
}

static int disk_keep_pins(struct store_torrent *st, const struct bits *files)
{
	struct disk_torrent *t = disk_torrent_of(st);
	struct disk *d = t->disk;
	struct disk_keep_pins *k;

	ASSERT_LOOP(d->loop);
	assert(files->n == t->mi->n_files);
	if (d->err != 0)
		return d->err;
	if (set_pins(t, files) != 0)
		return ENOMEM;
	k = mem_new(struct disk_keep_pins);
	if (k == NULL)
		return ENOMEM;
	if (files->n_set > 0) {
		k->bits = mem_dup(files->data, bits_bytes(files->n));
		if (k->bits == NULL) {
			mem_free(k);
			return ENOMEM;
		}
	}
	k->job = (struct job){.run = store_disk_job_keep_pins,
			      .done = on_pins_kept};
	k->disk = d;
	k->index = d->index;
	k->home = &d->home;
	torrent_id_hex(&t->id, k->hex);
	k->row = t->row;
	k->n_files = files->n;
	workers_submit(d->thread, &k->job);
	return 0;
}

/* ---- the whole store ---- */

static int disk_flush(struct store *s, store_done_fn *done, void *arg)
{
	ASSERT_LOOP(disk_of(s)->loop);
	return batch_flush(disk_of(s), done, arg);
}

static int disk_err(const struct store *s)
{
	return CONTAINER_OF(s, const struct disk, base)->err;
}

static void disk_stats(const struct store *s, struct store_stats *out)
{
	const struct disk *d = CONTAINER_OF(s, const struct disk, base);

	*out = d->stats;
	if (d->room.limit_bytes != UINT64_MAX)
		out->limit_bytes = d->room.limit_bytes;
	out->used_bytes = d->room.used_bytes + d->room.overhead_bytes;
	out->evicted_bytes = d->room.evicted_bytes;
}

static void on_stopped(struct job *job)
{
	CONTAINER_OF(job, struct disk_stop, job)->is_done = true;
}

static void disk_free(struct store *s)
{
	struct disk *d = disk_of(s);
	struct disk_stop stop = {
		.job = {.run = stop_job, .done = on_stopped},
		.home = &d->home,
		.index = d->index,
	};

	ASSERT_LOOP(d->loop);
	batch_drain(d);
	workers_drain(d->thread, UINT32_MAX);
	while (!LIST_EMPTY(&d->torrents)) { /* reads under way */
		assert(LIST_FIRST(&d->torrents)->is_closed);
		workers_drain(d->workers, UINT32_MAX);
	}
	assert(STAILQ_EMPTY(&d->waiting_removes));
	disk_files_fini(d);
	disk_doubt_fini(d);
	blobs_fini(&d->blobs);
	batch_fini(d);
	room_fini(d);
	disk_heal_fini(d);
	if (d->err == 0)
		tally_take(&d->tally.tally, &stop.tallies);
	workers_submit(d->thread, &stop.job);
	while (!stop.is_done)
		workers_drain(d->thread, UINT32_MAX);
	mem_free(stop.tallies.v);
	disk_tally_fini(d);
	mem_free(d);
}

/* ---- what is held, at the start ---- */

static void on_each_held(struct job *job)
{
	CONTAINER_OF(job, struct disk_each_held, job)->is_done = true;
}

static int disk_each_held(struct store *s, store_held_fn *fn, void *arg)
{
	struct disk *d = disk_of(s);
	struct disk_each_held h = {
		.job = {.run = store_disk_job_each_held, .done = on_each_held},
		.index = d->index,
	};

	workers_submit(d->thread, &h.job);
	while (!h.is_done)
		workers_drain(d->thread, UINT32_MAX);
	for (size_t i = 0; h.err == 0 && i < h.n; i++)
		fn(arg, &h.held[i].id, h.held[i].bytes);
	mem_free(h.held);
	return h.err;
}

static const struct store_ops disk_ops = {
	.load_info = disk_load_info,
	.open = disk_open,
	.remove = disk_remove,
	.flush = disk_flush,
	.load_note = disk_load_note,
	.keep_note = disk_keep_note,
	.each_held = disk_each_held,
	.count = disk_count,
	.traffic = disk_traffic,
	.err = disk_err,
	.stats = disk_stats,
	.free = disk_free,
	.read_now = disk_read_now,
	.read = disk_read,
	.stage = disk_stage,
	.read_staged = disk_read_staged,
	.unstage = disk_unstage,
	.put = disk_put,
	.put_leaves = disk_put_leaves,
	.vouch = disk_vouch,
	.forget = disk_forget,
	.is_doubtful = disk_is_doubtful,
	.vet = disk_vet,
	.watch = disk_watch,
	.coming_us = disk_coming_us,
	.put_nodes = disk_put_nodes,
	.read_nodes = disk_read_nodes,
	.keep_pins = disk_keep_pins,
	.blob = disk_blob,
	.close = disk_close,
};

/* ---- birth ---- */

static void on_started(struct job *job)
{
	CONTAINER_OF(job, struct disk_start, job)->is_done = true;
}

static int start(struct disk *d, const struct store_disk_cfg *cfg,
		 char why[160])
{
	struct disk_start s = {
		.job = {.run = start_job, .done = on_started},
		.dir = cfg->dir,
		.why = why,
	};

	workers_submit(d->thread, &s.job);
	while (!s.is_done)
		workers_drain(d->thread, UINT32_MAX);
	if (s.err != 0)
		return s.err;
	d->home = s.home;
	d->index = s.index;
	d->stats.held_bytes = s.held_bytes;
	d->stats.was_open = s.home.was_open;
	d->stats.is_made_anew = s.is_made_anew;
	d->room.closed_bytes = s.blob_bytes;
	d->room.used_bytes = s.blob_bytes;
	d->tally.tally.all = s.departed;
	for (uint32_t i = 0; i < s.tallies.n && s.err == 0; i++)
		s.err = tally_load(&d->tally.tally, &s.tallies.v[i]);
	mem_free(s.tallies.v);
	if (cfg->is_quota_soft)
		room_halve(d, s.free_bytes + s.blob_bytes + s.index_bytes);
	room_set_free(d, s.free_bytes, s.index_bytes);
	return 0;
}

int store_disk_new(const struct store_disk_cfg *cfg, struct store **out,
		   char why[160])
{
	char ignored[160];
	struct disk *d;
	int err;

	ASSERT_LOOP(cfg->loop);
	if (why == NULL)
		why = ignored;
	why[0] = '\0';
	d = mem_new(struct disk);
	if (d == NULL)
		return ENOMEM;
	d->base.ops = &disk_ops;
	d->loop = cfg->loop;
	d->workers = cfg->workers;
	d->thread = cfg->thread;
	disk_member_init(d);
	LIST_INIT(&d->torrents);
	STAILQ_INIT(&d->parked);
	STAILQ_INIT(&d->waiting_removes);
	blobs_init(&d->blobs, cfg->workers);
	err = batch_init(d);
	if (err != 0)
		goto free_disk;
	STAILQ_INIT(&d->parked_stagings);
	err = room_init(d, cfg->quota_bytes, cfg->min_free_bytes);
	if (err != 0)
		goto end_batch;
	err = disk_heal_init(d);
	if (err != 0)
		goto end_room;
	err = disk_tally_init(d);
	if (err != 0)
		goto end_heal;
	err = disk_doubt_init(d);
	if (err != 0)
		goto end_tally;
	err = disk_files_init(d);
	if (err != 0)
		goto end_doubt;
	err = start(d, cfg, why);
	if (err != 0)
		goto end_files;
	d->files.home.dir_fd = d->home.files_fd;
	*out = &d->base;
	return 0;
end_files:
	disk_files_fini(d);
end_doubt:
	disk_doubt_fini(d);
end_tally:
	disk_tally_fini(d);
end_heal:
	disk_heal_fini(d);
end_room:
	room_fini(d);
end_batch:
	batch_fini(d);
free_disk:
	mem_free(d);
	return err;
}
