/* room_evict — what goes when there is no room for what comes.
 *
 * Happy path of an eviction, of which there is one at a time
 *   1. As many units are picked as there is too little room, and some more, so
 *      that this does not happen for each put: doomed ones, then what the
 *      policy says. Nobody may read them from this turn on: who has the torrent
 *      open is told (on_lost), so peers are, too.
 *   2. Reads that began before that end.
 *   3. The store thread: their rows go, in one transaction, synced; then their
 *      blocks are punched out of the blobs (room_job.c).
 *   4. There is room: puts that wait go on.
 *
 * Whole blocks: one that a piece of the torrent's own shares with its
 * neighbour in the same file is punched by the last of the two. So nobody
 * writes to a neighbour while one leaves (room_take).
 *
 * What is wanted (due_us: a read waits for it, or a reader's window covers it)
 * is spared. If nothing else is left, and only then, what is wanted later than
 * what is to be put goes for it.
 *
 * Failure modes: the rows cannot be written: nothing is punched; the units are
 * DOOMED, and it is tried again by and by. The blocks cannot be punched (a file
 * system that has no holes, a blob that the kernel may read by itself): what
 * they take is taken for good, said once; nothing more of that file is picked.
 * Nothing can go: puts wait for ROOM_WAIT_MS at most, then they get ENOSPC; at
 * once if nothing is there that could ever go. */
#include "cache/room_internal.h"

#include <assert.h>
#include <errno.h>

#include "core/clock.h"
#include "core/err.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/merkle.h"
#include "core/metainfo.h"

/* ---- picking ---- */

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static struct unit *unit_of(struct evict_item *it)
{
	return it != NULL ? CONTAINER_OF(it, struct unit, item) : NULL;
}

static uint64_t unit_due(const struct evict_item *it)
{
	const struct unit *u = CONTAINER_OF(it, const struct unit, item);

	if (u->n_busy > 0)
		return 0;
	if (u->set->t != NULL)
		return joint_due(&u->set->t->joint, unit_ix(u));
	return joint_leaves_due(&u->set->f->base, unit_first_leaf(u),
				unit_n_leaves(u));
}

static struct unit *next_doomed(struct disk *d)
{
	struct evict_item *it;

	TAILQ_FOREACH (it, &d->room.doomed, link)
		if (unit_of(it)->n_busy == 0 && !room_is_held(unit_of(it)))
			return unit_of(it);
	return NULL;
}

/* ---- telling ---- */

/* Any torrent that has the unit: others may come and go meanwhile. */
static struct disk_torrent *owner_of(const struct unit *u)
{
	const struct joint_use *use;

	if (u->set->t != NULL)
		return u->set->t;
	use = LIST_FIRST(&u->set->f->base.uses);
	return CONTAINER_OF(use->t, struct disk_torrent, joint);
}

/* Nobody reads it from now on. */
static void tell(struct unit *u, bool was_doomed)
{
	struct disk_torrent *t = u->set->t;
	uint32_t ix = unit_ix(u);

	if (t == NULL) {
		disk_doubt_clear_leaves(u->set->f, unit_first_leaf(u),
					unit_n_leaves(u));
		joint_evict(&u->set->f->base, unit_first_leaf(u),
			    unit_n_leaves(u));
		return;
	}
	/* What was staged, and then copied, is held all the same. */
	if (!was_doomed || bits_has(&t->claimed, ix))
		joint_lost(&t->joint, ix);
	bits_clear(&t->claimed, ix);
	disk_doubt_clear_own(t, ix);
	if (!was_doomed && t->joint.ops != NULL)
		t->joint.ops->on_lost(t->joint.arg, ix);
}

static void take(struct eviction *ev, struct unit *u)
{
	struct leaving_row *row = &ev->rows[ev->n];
	bool was_doomed = u->state == UNIT_DOOMED;
	struct disk_torrent *t = u->set->t;

	*row = (struct leaving_row){0};
	if (t != NULL) {
		row->row = t->row;
		row->piece_ix = unit_ix(u);
		row->bytes = metainfo_body_bytes(t->mi, row->piece_ix);
	} else {
		row->file.row = u->set->f->row;
		row->file.bytes = u->set->f->base.bytes;
		row->first = unit_first_leaf(u);
		row->n = unit_n_leaves(u);
	}
	ev->held[ev->n] = owner_of(u);
	blobs_set_hold(&ev->held[ev->n]->blobs);
	ev->units[ev->n++] = u;
	room_set_state(ev->disk, u, UNIT_LEAVING);
	tell(u, was_doomed);
}

/* ---- what is punched ---- */

static void add_cut(struct eviction *ev, const struct cut *cut)
{
	uint32_t room = ev->cuts_room == 0 ? 256 : ev->cuts_room * 2;
	struct cut *more;

	if (ev->n_cuts == ev->cuts_room) {
		more = mem_grow(ev->cuts, room, sizeof(*more));
		if (more == NULL) {
			ev->is_short = true;
			return;
		}
		ev->cuts = more;
		ev->cuts_room = room;
	}
	ev->cuts[ev->n_cuts++] = *cut;
}

/* Has the piece before, or behind, any bytes, or will it have? */
static bool is_alone(const struct unit_set *own, uint32_t ix)
{
	const struct unit *u = &own->units[ix];

	return ix >= own->n || (u->n_busy == 0 && (u->state == UNIT_EMPTY ||
						   u->state == UNIT_LEAVING));
}

static void cut_extent(struct eviction *ev, struct disk_torrent *t, uint32_t ix,
		       const struct extent *e)
{
	uint64_t end = e->off_bytes + e->len_bytes, from, to;
	bool has_left = e->off_bytes > 0 && !is_alone(&t->units, ix - 1);
	bool has_right = end < t->mi->files[e->file_ix].len_bytes &&
			 !is_alone(&t->units, ix + 1);

	from = has_left ? e->off_bytes + ROOM_BLOCK_BYTES - 1 : e->off_bytes;
	to = has_right ? end : end + ROOM_BLOCK_BYTES - 1;
	from -= from % ROOM_BLOCK_BYTES;
	to -= to % ROOM_BLOCK_BYTES;
	if (from < to)
		add_cut(ev, &(struct cut){.home = &t->blobs.home,
					  .set = &t->units,
					  .file_ix = e->file_ix,
					  .off_bytes = from,
					  .len_bytes = to - from});
}

static void cut_piece(struct eviction *ev, struct disk_torrent *t, uint32_t ix)
{
	struct extent_walk walk;
	struct extent e;

	if (t->mi == NULL) { /* closed on being told: its bytes stay */
		ev->is_short = true;
		return;
	}
	extent_walk_init(&walk, t->mi, (uint64_t)ix * t->mi->piece_bytes,
			 metainfo_piece_bytes(t->mi, ix));
	while (extent_next(&walk, &e))
		if (e.file_ix != EXTENT_NO_FILE)
			cut_extent(ev, t, ix, &e);
}

static void cut_leaves(struct eviction *ev, const struct unit *u)
{
	struct disk_file *f = u->set->f;

	if (f->files == NULL)
		return; /* it has no blob */
	add_cut(ev, &(struct cut){.home = &ev->disk->files.home,
				  .set = &f->units,
				  .name = f->name,
				  .off_bytes = (uint64_t)unit_first_leaf(u) *
					       MERKLE_LEAF_BYTES,
				  .len_bytes = (uint64_t)unit_n_leaves(u) *
					       MERKLE_LEAF_BYTES});
}

/* When all of them are leaving: neighbours go together. */
static void cut_all(struct eviction *ev)
{
	for (unsigned i = 0; i < ev->n; i++) {
		struct unit *u = ev->units[i];

		if (u->set->t != NULL)
			cut_piece(ev, u->set->t, unit_ix(u));
		else
			cut_leaves(ev, u);
	}
}

/* ---- the end ---- */

static void warn_punch(const struct eviction *ev)
{
	static const char why[] = "store %s: what is evicted stays on the "
				  "disk: %s";

	if (ev->disk->room.has_warned)
		return;
	ev->disk->room.has_warned = true;
	log_warn(why, ev->home->path, err_text(ev->punch_err));
}

static void end_unit(struct eviction *ev, struct unit *u)
{
	struct disk *d = ev->disk;
	struct disk_torrent *t = u->set->t;
	uint32_t ix = unit_ix(u);

	d->room.n_evicted++;
	d->room.evicted_bytes += u->item.bytes;
	if (ev->punch_err != 0) {
		d->room.closed_bytes += u->item.bytes;
		d->room.used_bytes += u->item.bytes;
	}
	if (ev->err != 0 || ev->is_short)
		room_set_state(d, u, UNIT_DOOMED);
	else
		room_set_state(d, u, UNIT_EMPTY);
	if (t != NULL && t->mi != NULL && ev->err == 0)
		joint_look(&t->joint, ix);
}

/* Somebody reads this blob, whom a program before us let do so. */
static void keep_whole(struct cut *c)
{
	const struct joint_use *use;

	if (c->set->t != NULL) {
		room_add_whole(c->set->t, c->file_ix);
		return;
	}
	LIST_FOREACH (use, &c->set->f->base.uses, link)
		room_add_whole(CONTAINER_OF(use->t, struct disk_torrent, joint),
			       use->file_ix);
}

static void on_evicted(struct job *job)
{
	struct eviction *ev = CONTAINER_OF(job, struct eviction, job);
	struct disk *d = ev->disk;

	d->stats.held_bytes -= ev->dropped_bytes;
	if (ev->err == EIO)
		disk_fail(d, "an eviction", ev->err);
	if (ev->punch_err != 0)
		warn_punch(ev);
	for (unsigned i = 0; i < ev->n; i++)
		end_unit(ev, ev->units[i]);
	for (uint32_t i = 0; i < ev->n_cuts; i++) {
		(void)blobs_look_end(&ev->cuts[i].look);
		if (ev->cuts[i].err == EBUSY)
			keep_whole(&ev->cuts[i]);
	}
	disk_doubt_look(d);
	d->room.is_evicting = false;
	for (unsigned i = 0; i < ev->n; i++)
		blobs_set_drop(&ev->held[i]->blobs);
	if (ev->err == 0)
		room_set_free(d, ev->free_bytes, ev->index_bytes);
	else
		loop_timer_start(d->room.timer, (uint64_t)ROOM_RETRY_MS * 1000);
	batch_on_room(d);
	if (ev->err != 0)
		batch_refuse_late(d, 0); /* nothing can go, for a while */
}

/* A descriptor of ours, too, is one of somebody who reads (whole_job.h). */
static void let_go(const struct cut *c)
{
	if (c->set->t != NULL)
		blobs_let_go(&c->set->t->blobs, c->file_ix);
	else
		blobs_let_go(c->set->f->files, c->set->f->blob.key);
}

/* Punching changes a blob, and it is us who does it. */
static void look_at_cuts(struct eviction *ev)
{
	for (uint32_t i = 0; i < ev->n_cuts; i++) {
		struct cut *c = &ev->cuts[i];
		struct watched *w =
			c->set->t != NULL
				? blobs_find_watched(&c->set->t->blobs, NULL,
						     c->file_ix)
				: &c->set->f->blob.watched;

		blobs_look_begin(&c->look, w, true);
	}
}

static void submit(struct eviction *ev)
{
	struct disk *d = ev->disk;

	ev->is_handed = true;
	cut_all(ev);
	for (uint32_t i = 0; i < ev->n_cuts; i++)
		let_go(&ev->cuts[i]);
	look_at_cuts(ev);
	ev->job = (struct job){.run = room_job_evict, .done = on_evicted};
	workers_submit(d->thread, &ev->job);
}

void room_evict_on_reads(struct disk *d)
{
	struct eviction *ev = d->room.now;

	if (d->room.is_evicting && !ev->is_handed &&
	    d->room.n_reads[ev->era] == 0)
		submit(ev);
}

/* ---- the beginning ---- */

/* How much too little room there is: for what waits, and to spare. */
static uint64_t lacking(const struct disk *d, uint64_t extra)
{
	const struct room *r = &d->room;
	uint64_t used = r->used_bytes + r->overhead_bytes + extra;

	return used > r->limit_bytes ? used - r->limit_bytes : 0;
}

static uint64_t headroom(const struct disk *d)
{
	uint64_t part = d->room.limit_bytes / ROOM_SPARE_PART;

	if (d->room.limit_bytes == UINT64_MAX)
		return 0;
	return min_u64(part, (uint64_t)ROOM_SPARE_BYTES);
}

static bool pick_all(struct eviction *ev, uint64_t must, uint64_t want,
		     uint64_t due_us)
{
	struct disk *d = ev->disk;
	uint64_t freed = 0;

	while (ev->n < ROOM_EVICT_UNITS) {
		struct unit *u = next_doomed(d);

		if (u == NULL && freed < want)
			u = unit_of(
				evict_pick_unwanted(&d->room.evict, unit_due));
		if (u == NULL && freed < must)
			u = unit_of(evict_pick_later(&d->room.evict, unit_due,
						     due_us));
		if (u == NULL)
			break;
		freed += u->item.bytes;
		take(ev, u);
	}
	return freed >= must;
}

void room_evict(struct disk *d)
{
	struct eviction *ev = d->room.now;
	struct cut *cuts = ev->cuts;
	uint32_t cuts_room = ev->cuts_room;
	uint64_t due_us, need, must, want;
	bool has_waiting, is_enough;

	if (d->room.is_evicting || d->err != 0)
		return;
	room_look_wholes(d);
	has_waiting = batch_needs(d, &need, &due_us);
	must = lacking(d, need);
	want = lacking(d, need + headroom(d));
	if (room_close_some(d, want))
		return; /* nobody reads that; its end comes back here */
	*ev = (struct eviction){.disk = d,
				.home = &d->home,
				.index = d->index,
				.cuts = cuts,
				.cuts_room = cuts_room};
	d->room.is_evicting = true;
	is_enough = pick_all(ev, must, want, due_us);
	/* Who waits may wait for a unit, not for room. */
	if (has_waiting && (!is_enough || ev->n == 0))
		loop_timer_start(d->room.timer, (uint64_t)ROOM_POLL_MS * 1000);
	if (ev->n == 0) {
		d->room.is_evicting = false;
		if (has_waiting && must > 0 && d->room.evict.n == 0 &&
		    d->room.n_wholes == 0)
			batch_refuse_late(d, 0);
		return;
	}
	ev->era = d->room.era;
	d->room.era ^= 1;
	room_evict_on_reads(d);
}
