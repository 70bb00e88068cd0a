/* room — the accounts of what the disk store takes.
 *
 * Happy path of a put: room_take reserves what it will write at most; when it
 * is written, its units have their costs and the reservation goes; when it is
 * durable, the policy has them. So used_bytes is never less than what lies in
 * the blobs, whatever is on its way.
 *
 * Costs: a piece of the torrent's own begins and ends anywhere in its files, so
 * it is counted with whole blocks at both ends of each, though its neighbour
 * may be counted with the same. Leaves are multiples of blocks.
 *
 * Visits: readers come with 128 KiB at a time; a use is the first of several
 * reads of one unit. The last ROOM_RECENT units are remembered for that.
 *
 * Torrents that are not open: what lies there of them is one number
 * (closed_bytes), out of what the blobs take on the disk.
 *
 * Failure modes: none; without memory for units a torrent does not open. */
#include "cache/room_internal.h"

#include <assert.h>
#include <errno.h>

#include "core/be.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/merkle.h"
#include "core/metainfo.h"

/* What is of a torrent that is closed meanwhile cannot be picked. */
static void doom(struct disk *d, struct unit *u)
{
	bool is_closed = u->set->t != NULL && u->set->t->mi == NULL;

	if (u->state != UNIT_EMPTY && u->state != UNIT_LEAVING)
		room_set_state(d, u, is_closed ? UNIT_FIXED : UNIT_DOOMED);
	room_look(d);
}

/* ---- life ---- */

static void on_task(void *arg)
{
	room_evict(arg);
}

static void on_timer(void *arg)
{
	struct disk *d = arg;

	batch_refuse_late(d, (uint64_t)ROOM_WAIT_MS * 1000);
	room_evict(d);
}

int room_init(struct disk *d, uint64_t quota_bytes, uint64_t min_free_bytes)
{
	struct room *r = &d->room;
	int err;

	*r = (struct room){
		.quota_bytes = quota_bytes,
		.min_free_bytes = min_free_bytes,
		.limit_bytes = quota_bytes != 0 ? quota_bytes : UINT64_MAX,
	};
	TAILQ_INIT(&r->doomed);
	loop_task_init(&r->task, on_task, d);
	r->now = mem_new(struct eviction);
	if (r->now == NULL)
		return ENOMEM;
	err = evict_init(&r->evict, r->limit_bytes);
	if (err != 0)
		goto free_now;
	err = loop_timer_new(d->loop, on_timer, d, &r->timer);
	if (err == 0)
		return 0;
	evict_fini(&r->evict);
free_now:
	mem_free(r->now);
	return err;
}

void room_fini(struct disk *d)
{
	struct room *r = &d->room;

	loop_task_cancel(d->loop, &r->task);
	loop_timer_free(r->timer);
	evict_fini(&r->evict);
	mem_free(r->now->cuts);
	mem_free(r->now);
}

/* ---- what comes ---- */

/* The units that a put writes to, or stands on. */
static struct unit_set *put_units(const struct put *p, uint32_t *first,
				  uint32_t *last)
{
	struct disk_file *f;

	if (p->kind == PUT_OWN) {
		*first = *last = p->piece_ix;
		return &p->t->units;
	}
	f = disk_file_of(p->leaves.use);
	*first = p->leaves.first / f->units.unit_leaves;
	*last = (p->leaves.first + p->leaves.n - 1) / f->units.unit_leaves;
	return &f->units;
}

static bool is_leaving(const struct unit_set *set, uint32_t ix)
{
	return ix < set->n && set->units[ix].state == UNIT_LEAVING;
}

/* The neighbours of a piece share blocks with it. */
static bool is_piece_barred(const struct unit_set *own, uint32_t ix)
{
	return is_leaving(own, ix) || is_leaving(own, ix + 1) ||
	       (ix > 0 && is_leaving(own, ix - 1)) ||
	       own->units[ix].state == UNIT_DOOMED;
}

bool room_is_barred(const struct put *p)
{
	uint32_t first, last;
	const struct unit_set *set = put_units(p, &first, &last);

	if (set->t != NULL)
		return is_piece_barred(set, first);
	for (uint32_t ix = first; ix <= last; ix++)
		if (is_leaving(set, ix) || set->units[ix].state == UNIT_DOOMED)
			return true;
	return false;
}

static uint32_t cost_of(const struct put *p)
{
	if (p->is_old || p->err != 0)
		return 0;
	if (p->kind != PUT_OWN)
		return p->leaves.n * MERKLE_LEAF_BYTES;
	if (p->t->units.units[p->piece_ix].item.bytes > 0)
		return 0; /* it lies there already */
	return p->cost;
}

uint32_t room_put_cost(const struct disk_torrent *t, uint32_t piece_ix)
{
	return room_piece_cost(t->mi, piece_ix);
}

bool room_fits(const struct disk *d, uint64_t bytes)
{
	const struct room *r = &d->room;
	uint64_t used = r->used_bytes + r->overhead_bytes;

	return used <= r->limit_bytes && bytes <= r->limit_bytes - used;
}

bool room_take(struct put *p)
{
	struct disk *d = p->t->disk;
	uint32_t cost = cost_of(p);

	if (d->err != 0 || p->err != 0)
		return true; /* nothing will be written */
	if (room_is_barred(p)) {
		room_look(d); /* a doomed unit goes only when looked for */
		return false;
	}
	if (!room_fits(d, cost) && cost > 0) {
		if (p->t->is_closed || cost > d->room.limit_bytes) {
			if (batch_way_stay(p))
				return room_take(p);
			p->err = ENOSPC;
		} else
			room_look(d);
		return p->err != 0;
	}
	p->reserved = cost;
	d->room.used_bytes += cost;
	return true;
}

static void add_busy(const struct put *p, bool is_on)
{
	uint32_t first, last;
	struct unit_set *set = put_units(p, &first, &last);

	for (uint32_t ix = first; ix <= last; ix++) {
		struct unit *u = room_unit(set, ix);

		u->n_busy = (uint16_t)(u->n_busy + (is_on ? 1 : -1));
	}
}

void room_begin_put(struct put *p)
{
	p->is_busy = true;
	add_busy(p, true);
}

static void release(struct put *p)
{
	p->t->disk->room.used_bytes -= p->reserved;
	p->reserved = 0;
}

static void fill(struct disk *d, struct unit *u, uint32_t more)
{
	uint32_t cost = u->item.bytes + more, most;

	if (u->set->f != NULL) {
		most = unit_n_leaves(u) * MERKLE_LEAF_BYTES;
		cost = cost < most ? cost : most;
	}
	if (u->state == UNIT_EMPTY)
		room_set_state(d, u, UNIT_FILLING);
	room_set_cost(d, u, cost);
}

/* Each leaf is counted once, by who wrote it first. */
static void fill_leaves(struct disk *d, const struct put *p)
{
	struct disk_file *f = disk_file_of(p->leaves.use);

	for (uint32_t i = 0; i < p->leaves.n; i++) {
		uint32_t leaf = p->leaves.first + i;

		if (!joint_has_leaf(&f->base, leaf))
			fill(d,
			     room_unit(&f->units, leaf / f->units.unit_leaves),
			     MERKLE_LEAF_BYTES);
	}
}

void room_on_written(struct put *p)
{
	struct disk *d = p->t->disk;
	uint32_t reserved = p->reserved;

	release(p);
	if (reserved == 0)
		return;
	if (p->kind == PUT_OWN)
		fill(d, room_unit(&p->t->units, p->piece_ix), reserved);
	else
		fill_leaves(d, p);
}

static void end_unit(struct disk *d, struct unit *u, const struct put *p)
{
	if (p->kind == PUT_OWN && u->is_staged) {
		u->is_staged = u->is_spoilt = false;
		u->n_busy--;
	}
	/* Of a file, what is right stays; what is not is counted until it is
	 * written anew, or goes with the rest. */
	if (p->err != 0 && (u->set->t != NULL || room_leaves_there(u) == 0)) {
		doom(d, u);
		return;
	}
	evict_use(&d->room.evict, &u->item);
	if (u->state == UNIT_FILLING)
		room_set_state(d, u,
			       p->t->is_closed ? UNIT_FIXED
					       : room_kept_state(u));
}

/* What failed before it was written may have written some of it; a put that
 * stands on other puts has nothing of its own but what was staged. */
void room_end_put(struct put *p)
{
	struct disk *d = p->t->disk;
	uint32_t first, last;
	struct unit_set *set;

	if (!p->is_busy) {
		release(p);
		return;
	}
	add_busy(p, false);
	room_look(d); /* a unit may have waited for it to go */
	if (p->reserved > 0)
		room_on_written(p);
	if (p->err != 0 && p->is_old && p->kind != PUT_OWN)
		return;
	set = put_units(p, &first, &last);
	for (uint32_t ix = first; ix <= last; ix++)
		end_unit(d, room_unit(set, ix), p);
}

/* ---- staged ---- */

int room_stage(struct disk_torrent *t, uint32_t piece_ix)
{
	struct disk *d = t->disk;
	struct unit *u = room_unit(&t->units, piece_ix);
	uint32_t cost;

	if (u->is_staged)
		return 0;
	if (is_piece_barred(&t->units, piece_ix))
		return EAGAIN;
	cost = u->item.bytes > 0 ? 0 : room_piece_cost(t->mi, piece_ix);
	if (cost > d->room.limit_bytes)
		return ENOSPC;
	if (!room_fits(d, cost)) {
		room_look(d);
		return EAGAIN;
	}
	u->is_staged = true;
	u->n_busy++;
	fill(d, u, cost);
	return 0;
}

void room_unstage(struct disk_torrent *t, uint32_t piece_ix)
{
	struct unit *u = room_unit(&t->units, piece_ix);

	if (!u->is_staged)
		return;
	u->is_staged = u->is_spoilt = false;
	u->n_busy--;
	doom(t->disk, u);
}

void room_doom(struct disk_torrent *t, uint32_t piece_ix)
{
	doom(t->disk, room_unit(&t->units, piece_ix));
}

/* ---- hash trees ---- */

/* Levels lie apart: what begins and ends within a block takes all of it. */
bool room_begin_nodes(struct disk *d, size_t bytes, uint64_t *reserved_bytes)
{
	uint64_t most =
		(bytes / ROOM_BLOCK_BYTES + 2) * (uint64_t)ROOM_BLOCK_BYTES;

	if (!room_fits(d, most)) {
		room_look(d);
		return false;
	}
	d->room.used_bytes += most;
	*reserved_bytes = most;
	return true;
}

void room_end_nodes(struct disk *d, uint64_t reserved_bytes,
		    uint64_t grown_bytes)
{
	d->room.used_bytes += grown_bytes;
	d->room.used_bytes -= reserved_bytes;
	d->room.closed_bytes += grown_bytes;
}

/* ---- who reads ---- */

static struct unit *unit_at(struct disk_torrent *t, uint64_t off_bytes)
{
	uint32_t ix = (uint32_t)(off_bytes / t->mi->piece_bytes);
	uint32_t at = (uint32_t)(off_bytes % t->mi->piece_bytes);
	struct joint_piece p;
	struct unit_set *set;

	if (bits_has(&t->claimed, ix))
		return room_unit(&t->units, ix);
	if (!joint_range(&t->joint, ix, at - at % MERKLE_LEAF_BYTES, 1, &p))
		return NULL;
	set = &disk_file_of(p.use)->units;
	return room_unit(set, p.first / set->unit_leaves);
}

void room_use(struct disk_torrent *t, uint64_t off_bytes, uint32_t len_bytes)
{
	struct unit *u = unit_at(t, off_bytes);

	if (u != NULL)
		evict_visit(&t->disk->room.evict, &u->item);
}

unsigned room_read_begin(struct disk *d)
{
	d->room.n_reads[d->room.era]++;
	return d->room.era;
}

void room_read_end(struct disk *d, unsigned era)
{
	assert(d->room.n_reads[era] > 0);
	if (--d->room.n_reads[era] == 0)
		room_evict_on_reads(d);
}

void room_look(struct disk *d)
{
	loop_defer(d->loop, &d->room.task);
}

void room_halve(struct disk *d, uint64_t bytes)
{
	if (bytes / 2 < d->room.quota_bytes)
		d->room.quota_bytes = bytes / 2;
}

void room_set_free(struct disk *d, uint64_t free_bytes, uint64_t index_bytes)
{
	struct room *r = &d->room;
	uint64_t limit = r->quota_bytes != 0 ? r->quota_bytes : UINT64_MAX;
	uint64_t may = r->used_bytes + index_bytes + free_bytes;

	r->overhead_bytes = index_bytes;
	may = may > r->min_free_bytes ? may - r->min_free_bytes : 0;
	if (r->min_free_bytes != 0 && may < limit)
		limit = may;
	if (limit == r->limit_bytes)
		return;
	r->limit_bytes = limit;
	evict_set_room(&r->evict, limit);
	room_look(d);
}
