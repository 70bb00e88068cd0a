/* store_disk_open — the torrents of a disk store: opened, closed, removed.
 *
 * Life of a torrent: disk_open makes it and hands it to the store thread; it
 * is in disk->torrents from then on, so a second open is EEXIST. After
 * disk_close its metainfo is not looked at any more; the jobs under way have
 * what they need in themselves; with the last of them it is freed. A remove
 * waits for that.
 *
 * Files with a root: which leaves the index has of one is what its first
 * torrent to be opened has found there. From then on joint.h knows it better
 * than the index, to which commits are on their way. What the index has not
 * costs nothing here.
 *
 * Threads: loop. */
#include "cache/store_disk_job.h"

#include <assert.h>
#include <errno.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/merkle.h"
#include "core/metainfo.h"

static void start_removes(struct disk *d);

/* ---- a torrent's handle ---- */

static void torrent_free(struct disk_torrent *t)
{
	struct disk *d = t->disk;

	disk_doubt_flush(d);
	room_own_fini(t);
	joint_fini(&t->joint);
	blobs_set_fini(&t->blobs);
	doubt_fini(&t->doubt);
	bits_fini(&t->pins);
	room_forget_wholes(t);
	bits_fini(&t->base.pinned);
	bits_fini(&t->base.leaves);
	bits_fini(&t->claimed);
	bits_fini(&t->staged);
	LIST_REMOVE(t, link);
	mem_free(t);
	start_removes(d);
}

static void on_torrent_idle(struct blob_set *set)
{
	torrent_free(CONTAINER_OF(set, struct disk_torrent, blobs));
}

/* What may be evicted at once, and what may not. */
static int units_new(struct disk_torrent *t)
{
	int err = room_own_init(t);

	if (err == 0)
		err = bits_init(&t->wholes, t->mi->n_files);
	return err != 0 ? err : bits_init(&t->new_wholes, t->mi->n_files);
}

static int torrent_new(struct disk *d, const struct metainfo *mi,
		       struct disk_torrent **out)
{
	struct disk_torrent *t = mem_new(struct disk_torrent);
	struct blob_home home = {.dir_fd = d->home.torrents_fd};
	int err;

	if (t == NULL)
		return ENOMEM;
	t->base.store = &d->base;
	t->disk = d;
	t->mi = mi;
	t->id = mi->id;
	torrent_id_hex(&t->id, t->hex);
	home.sub = t->hex;
	err = blobs_set_init(&t->blobs, &d->blobs, &home, mi->n_files);
	if (err != 0)
		goto free_torrent;
	err = joint_init(&t->joint, &d->joints, mi, &t->claimed);
	if (err != 0)
		goto end_blobs;
	if (joint_is_any(&t->joint))
		err = bits_init(&t->staged, mi->n_pieces);
	if (err == 0)
		err = units_new(t);
	if (err != 0)
		goto end_joint;
	t->blobs.on_idle = on_torrent_idle;
	LIST_INSERT_HEAD(&d->torrents, t, link);
	*out = t;
	return 0;
end_joint:
	room_own_fini(t);
	room_forget_wholes(t);
	bits_fini(&t->staged);
	joint_fini(&t->joint);
end_blobs:
	blobs_set_fini(&t->blobs);
free_torrent:
	mem_free(t);
	return err;
}

static bool is_open(const struct disk *d, const struct torrent_id *id)
{
	const struct disk_torrent *t;

	LIST_FOREACH (t, &d->torrents, link)
		if (!t->is_closed && torrent_id_matches(&t->id, id))
			return true;
	return false;
}

/* ---- opening ---- */

static void open_free(struct disk_open *o)
{
	for (uint32_t i = 0; i < o->n_files; i++)
		bits_fini(&o->files[i].leaves);
	mem_free(o->files);
	mem_free(o->blobs);
	bits_fini(&o->busy_files);
	bits_fini(&o->own);
	bits_fini(&o->agreed);
	mem_free(o);
}

/* They are there for all who have the file. */
static int add_leaves(struct joint_use *use, struct opened_file *f)
{
	uint32_t at = bits_next(&f->leaves, 0);
	int err = 0;

	while (at < f->leaves.n && err == 0) {
		uint32_t end = bits_next_clear(&f->leaves, at);
		struct joint_piece p = {use, at, end - at};

		err = joint_add(&p);
		at = bits_next(&f->leaves, end);
	}
	return err;
}

/* What others have open they know better than the index. */
static int take_file(struct disk_torrent *t, struct opened_file *f)
{
	struct joint_use *use;
	bool has_any = f->leaves.n_set > 0;
	int err;

	f->was_there =
		joint_file_of(t->joint.all, &t->mi->files[f->file_ix]) != NULL;
	if (!f->was_there && !has_any)
		return 0;
	err = joint_use(&t->joint, f->file_ix, &use);
	if (err != 0)
		return err;
	disk_member_found(use, f->row);
	if (has_any && (!f->was_there || f->is_adopted))
		disk_file_of(use)->blob.is_made = true;
	return !f->was_there || f->is_adopted ? add_leaves(use, f) : 0;
}

/* What the index said, for a torrent whose files have roots. */
static int take_files(struct disk_open *o, struct bits *held)
{
	struct disk_torrent *t = o->t;
	struct joint_torrent *joint = &t->joint;
	int err = bits_init(held, t->mi->n_pieces);

	if (err == 0)
		err = joint_join(joint);
	for (uint32_t i = 0; i < o->n_files && err == 0; i++)
		err = take_file(t, &o->files[i]);
	if (err == 0 && o->agreed.data != NULL)
		err = bits_load(&joint->agreed, o->agreed.data,
				bits_bytes(o->agreed.n));
	if (err == 0)
		err = joint_begin(joint, held, &t->base.leaves);
	return err;
}

/* Blobs that others have open were looked at when they opened them. */
static int take_blobs(struct disk_open *o)
{
	int err = 0;

	for (uint32_t i = 0; i < o->n_blobs && err == 0; i++) {
		const struct opened_blob *b = &o->blobs[i];

		if (!b->is_shared || !o->files[b->found].was_there ||
		    o->files[b->found].is_adopted)
			err = disk_doubt_opened(o->t, b);
	}
	return err;
}

/* Leaves that nobody vouches for are no part of an unfinished piece. */
static void drop_doubtful_leaves(struct disk_torrent *t)
{
	struct bits *leaves = &t->base.leaves;
	uint32_t per_piece = t->mi->piece_bytes / MERKLE_LEAF_BYTES;

	for (uint32_t i = bits_next(leaves, 0); i < leaves->n;
	     i = bits_next(leaves, i + 1))
		if (disk_is_doubtful(&t->base, i / per_piece))
			bits_clear(leaves, i);
}

/* What is held counts, and may go. */
static int take_units(struct disk_torrent *t)
{
	const struct bits *pinned = &t->base.pinned;
	const struct joint_use *use;

	if (pinned->data != NULL) {
		int err = bits_init(&t->pins, pinned->n);

		if (err != 0)
			return err;
		bits_load(&t->pins, pinned->data, bits_bytes(pinned->n));
	}
	room_load_own(t);
	LIST_FOREACH (use, &t->joint.list, of_torrent)
		room_load_file(t->disk, disk_file_of(use));
	if (t->pins.data != NULL)
		room_look_pins(t);
	return 0;
}

/* Whoever hears of it may close it at once. */
static void say_opened(struct disk_open *o, const struct bits *held)
{
	struct blob_set *set = &o->t->blobs;

	blobs_set_hold(set);
	o->done(o->arg, 0, &o->t->base, held);
	blobs_set_drop(set);
}

static void on_opened(struct job *job)
{
	struct disk_open *o = CONTAINER_OF(job, struct disk_open, job);
	struct bits held = {0};

	o->disk->n_opening--;
	if (o->err == 0) {
		o->disk->stats.held_bytes += o->added_bytes - o->dropped_bytes;
		room_on_swept(o->disk, o->swept_bytes);
		o->t->claimed = o->own;
		o->own = (struct bits){0};
		if (joint_is_any(&o->t->joint))
			o->err = take_files(o, &held);
		if (o->err == 0)
			o->err = take_blobs(o);
		if (o->err == 0)
			o->err = take_units(o->t);
		if (o->err == 0)
			drop_doubtful_leaves(o->t);
	}
	if (o->err == 0) {
		say_opened(o, held.data != NULL ? &held : &o->t->claimed);
	} else {
		if (o->t != NULL)
			torrent_free(o->t);
		o->done(o->arg, o->err, NULL, NULL);
	}
	bits_fini(&held);
	open_free(o);
}

/* Its last handle is closed, and writes of it are under way that nobody has
 * verified: they must not come behind a write of the new one. */
static bool is_staging(const struct disk *d, const struct torrent_id *id)
{
	const struct disk_torrent *t;

	LIST_FOREACH (t, &d->torrents, link)
		if (t->is_closed && t->n_staging > 0 &&
		    torrent_id_matches(&t->id, id))
			return true;
	return false;
}

/* No closed handle (of the torrent, or of any) has anything under way. */
static bool is_calm(const struct disk *d, const struct torrent_id *id)
{
	const struct disk_torrent *t;

	LIST_FOREACH (t, &d->torrents, link)
		if (t->is_closed &&
		    (id == NULL || torrent_id_matches(&t->id, id)))
			return false;
	return true;
}

static int note_busy(void *arg, uint32_t place)
{
	struct disk_open *o = arg;

	bits_set(&o->busy_files, o->t->mi->by_root[place]);
	return 0;
}

/* What another torrent has that is being opened, too. */
static void note_common(struct disk_open *o, const struct metainfo *other)
{
	const struct metainfo *mi = o->t->mi;
	uint32_t at = 0;

	while (at < mi->n_by_root) {
		const struct mi_file *f = &mi->files[mi->by_root[at]], *g;
		uint32_t its = metainfo_root_from(other, f->root, f->len_bytes);

		if (its == other->n_by_root)
			return;
		g = &other->files[other->by_root[its]];
		if (metainfo_root_is(mi, at, g->root, g->len_bytes))
			note_busy(o, at++);
		else
			at = metainfo_root_from(mi, g->root, g->len_bytes);
	}
}

/* Files whose blobs others have, or are about to have, open. */
static void note_files(struct disk_open *o)
{
	const struct disk_torrent *t;

	(void)joint_each_open(&o->disk->joints, o->t->mi, note_busy, o);
	LIST_FOREACH (t, &o->disk->torrents, link)
		if (t != o->t && t->mi != NULL && !t->joint.has_joined)
			note_common(o, t->mi);
}

static void submit(struct disk *d, struct disk_open *o)
{
	if (o->t != NULL) {
		o->may_sweep = is_calm(d, &o->t->id);
		o->may_sweep_files = is_calm(d, NULL);
		if (o->busy_files.data != NULL)
			note_files(o);
	}
	d->n_opening++;
	workers_submit(d->thread, &o->job);
}

void disk_unpark(struct disk *d)
{
	struct disk_opens parked = STAILQ_HEAD_INITIALIZER(parked);
	struct disk_open *o;

	STAILQ_CONCAT(&parked, &d->parked);
	while ((o = STAILQ_FIRST(&parked)) != NULL) {
		STAILQ_REMOVE_HEAD(&parked, parked);
		if (is_staging(d, &o->t->id))
			STAILQ_INSERT_TAIL(&d->parked, o, parked);
		else
			submit(d, o);
	}
}

static int open_prepare(struct disk *d, const struct metainfo *mi,
			struct disk_open *o)
{
	int err = bits_init(&o->own, mi->n_pieces);

	if (err == 0 && mi->has_v1 && mi->has_v2)
		err = bits_init(&o->agreed, mi->n_pieces);
	if (err == 0 && mi->has_v2)
		err = bits_init(&o->busy_files, mi->n_files);
	return err != 0 ? err : torrent_new(d, mi, &o->t);
}

int disk_open(struct store *s, const struct metainfo *mi, store_open_fn *done,
	      void *arg)
{
	struct disk *d = disk_of(s);
	struct disk_open *o;
	int err = 0;

	ASSERT_LOOP(d->loop);
	o = mem_new(struct disk_open);
	if (o == NULL)
		return ENOMEM;
	if (is_open(d, &mi->id))
		o->err = EEXIST;
	else
		err = open_prepare(d, mi, o);
	if (err != 0) {
		open_free(o);
		return err;
	}
	o->job = (struct job){.run = store_disk_job_open, .done = on_opened};
	o->disk = d;
	o->index = d->index;
	o->home = &d->home;
	o->now_s = clock_wall_s();
	o->done = done;
	o->arg = arg;
	if (o->err == 0 && is_staging(d, &mi->id))
		STAILQ_INSERT_TAIL(&d->parked, o, parked);
	else
		submit(d, o);
	return 0;
}

void disk_close(struct store_torrent *st)
{
	struct disk_torrent *t = disk_torrent_of(st);

	ASSERT_LOOP(t->disk->loop);
	staging_end_parked(t);
	room_own_close(t);
	t->is_closed = true;
	t->mi = NULL;
	joint_close(&t->joint);
	if (t->disk->doubts.has_lost)
		batch_on_room(t->disk); /* its puts wait for nothing now */
	blobs_set_close(&t->blobs);
}

/* ---- removing ---- */

static void on_removed(struct job *job)
{
	struct disk_remove *r = CONTAINER_OF(job, struct disk_remove, job);

	r->disk->stats.held_bytes -= r->dropped_bytes;
	disk_member_done(r->disk, &r->members, r->err);
	if (r->err == 0)
		tally_drop(&r->disk->tally.tally, &r->id);
	r->done(r->arg, r->err);
	mem_free(r);
}

/* A closed handle's puts are still to be committed. */
static bool is_ending(const struct disk *d, const struct torrent_id *id)
{
	const struct disk_torrent *t;

	LIST_FOREACH (t, &d->torrents, link)
		if (torrent_id_matches(&t->id, id))
			return true;
	return false;
}

static void submit_remove(struct disk *d, struct disk_remove *r)
{
	disk_member_take(d, &r->members);
	r->tally.id = r->id;
	r->has_tally =
		tally_counted(&d->tally.tally, &r->id, &r->tally.counted);
	workers_submit(d->thread, &r->job);
}

static void start_removes(struct disk *d)
{
	struct disk_removes waiting = STAILQ_HEAD_INITIALIZER(waiting);
	struct disk_remove *r;

	STAILQ_CONCAT(&waiting, &d->waiting_removes);
	while ((r = STAILQ_FIRST(&waiting)) != NULL) {
		STAILQ_REMOVE_HEAD(&waiting, waiting);
		if (is_open(d, &r->id))
			r->err = EBUSY; /* it was opened anew */
		if (r->err == 0 && is_ending(d, &r->id))
			STAILQ_INSERT_TAIL(&d->waiting_removes, r, waiting);
		else
			submit_remove(d, r);
	}
}

int disk_remove(struct store *s, const struct torrent_id *id,
		store_done_fn *done, void *arg)
{
	struct disk *d = disk_of(s);
	struct disk_remove *r;

	ASSERT_LOOP(d->loop);
	r = mem_new(struct disk_remove);
	if (r == NULL)
		return ENOMEM;
	r->job = (struct job){.run = store_disk_job_remove, .done = on_removed};
	r->disk = d;
	r->index = d->index;
	r->home = &d->home;
	r->id = *id;
	r->done = done;
	r->arg = arg;
	r->err = d->err;
	STAILQ_INSERT_TAIL(&d->waiting_removes, r, waiting);
	start_removes(d);
	return 0;
}
