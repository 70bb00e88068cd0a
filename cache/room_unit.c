/* room_unit — the units: what each costs, which of them are fixed, what is
 * known of them when a torrent is opened, and what becomes of them when it is
 * closed.
 *
 * A file's units are as long as the pieces of the torrent that opened it first,
 * within bounds: of the others' pieces some may go in parts, and then all their
 * leaves that are still there can be read.
 *
 * Threads: loop. */
#include "cache/room_internal.h"

#include <assert.h>
#include <errno.h>

#include "core/be.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/merkle.h"
#include "core/metainfo.h"

enum {
	/* A unit of a file is at least, and at most, so many leaves: one commit
	 * should free something, and not too much that is wanted. */
	UNIT_LEAVES_MIN = 64,
	UNIT_LEAVES_MAX = 1024,
	/* Of files this long, so much at each end is what players, thumbnailers
	 * and media servers look at. */
	END_BYTES = 1 << 20,
	END_FILE_BYTES = 16 << 20,
};

/* ---- units ---- */

struct unit *room_unit(struct unit_set *set, uint32_t ix)
{
	struct unit *u = &set->units[ix];

	assert(ix < set->n);
	if (u->set == NULL) {
		u->set = set;
		u->item.key = set->key + ix * 0x9E3779B1u;
	}
	return u;
}

uint32_t unit_n_leaves(const struct unit *u)
{
	uint32_t left = u->set->f->base.n_leaves - unit_first_leaf(u);

	return left < u->set->unit_leaves ? left : u->set->unit_leaves;
}

static uint64_t block_down(uint64_t at)
{
	return at - at % ROOM_BLOCK_BYTES;
}

static uint64_t block_up(uint64_t at)
{
	return block_down(at + ROOM_BLOCK_BYTES - 1);
}

/* Of a piece of the torrent's own. */
uint32_t room_piece_cost(const struct metainfo *mi, uint32_t ix)
{
	struct extent_walk walk;
	struct extent e;
	uint64_t sum = 0;

	extent_walk_init(&walk, mi, (uint64_t)ix * mi->piece_bytes,
			 metainfo_piece_bytes(mi, ix));
	while (extent_next(&walk, &e))
		if (e.file_ix != EXTENT_NO_FILE)
			sum += block_up(e.off_bytes + e.len_bytes) -
			       block_down(e.off_bytes);
	return sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX;
}

static bool is_end(uint64_t file_bytes, uint64_t off, uint64_t len)
{
	return file_bytes >= END_FILE_BYTES &&
	       (off < END_BYTES || off + len > file_bytes - END_BYTES);
}

static bool is_piece_end(const struct metainfo *mi, uint32_t ix)
{
	struct extent_walk walk;
	struct extent e;

	extent_walk_init(&walk, mi, (uint64_t)ix * mi->piece_bytes,
			 metainfo_piece_bytes(mi, ix));
	while (extent_next(&walk, &e))
		if (e.file_ix != EXTENT_NO_FILE &&
		    is_end(mi->files[e.file_ix].len_bytes, e.off_bytes,
			   e.len_bytes))
			return true;
	return false;
}

static bool is_unit_end(const struct unit *u)
{
	const struct unit_set *set = u->set;

	if (set->t != NULL)
		return is_piece_end(set->t->mi, unit_ix(u));
	return is_end(set->f->base.bytes,
		      (uint64_t)unit_first_leaf(u) * MERKLE_LEAF_BYTES,
		      (uint64_t)unit_n_leaves(u) * MERKLE_LEAF_BYTES);
}

/* ---- what stays ---- */

static bool is_file_fixed(const struct disk_torrent *t, uint32_t file_ix)
{
	if (t->pins.data != NULL && bits_has(&t->pins, file_ix))
		return true;
	return bits_has(&t->wholes, file_ix);
}

static bool is_piece_fixed(const struct disk_torrent *t, uint32_t ix,
			   bool only_held)
{
	struct extent_walk walk;
	struct extent e;

	if (t->mi == NULL || (t->pins.data == NULL && t->wholes.n_set == 0))
		return false;
	extent_walk_init(&walk, t->mi, (uint64_t)ix * t->mi->piece_bytes,
			 metainfo_piece_bytes(t->mi, ix));
	while (extent_next(&walk, &e)) {
		if (e.file_ix == EXTENT_NO_FILE)
			continue;
		if (only_held ? bits_has(&t->wholes, e.file_ix)
			      : is_file_fixed(t, e.file_ix))
			return true;
	}
	return false;
}

static bool is_use_held(const struct joint_use *use)
{
	const struct disk_torrent *t =
		CONTAINER_OF(use->t, struct disk_torrent, joint);

	return bits_has(&t->wholes, use->file_ix);
}

bool room_is_held(const struct unit *u)
{
	const struct joint_use *use;

	if (u->set->t != NULL)
		return is_piece_fixed(u->set->t, unit_ix(u), true);
	LIST_FOREACH (use, &u->set->f->base.uses, link)
		if (is_use_held(use))
			return true;
	return false;
}

bool room_is_fixed(const struct unit *u)
{
	const struct joint_use *use;

	if (u->set->t != NULL)
		return is_piece_fixed(u->set->t, unit_ix(u), false);
	LIST_FOREACH (use, &u->set->f->base.uses, link)
		if (is_file_fixed(
			    CONTAINER_OF(use->t, struct disk_torrent, joint),
			    use->file_ix))
			return true;
	return false;
}

/* ---- states and costs ---- */

void room_set_cost(struct disk *d, struct unit *u, uint32_t bytes)
{
	d->room.used_bytes += bytes;
	d->room.used_bytes -= u->item.bytes;
	if (u->item.part != EVICT_OUT)
		evict_resize(&d->room.evict, &u->item, bytes);
	else
		u->item.bytes = bytes;
}

void room_set_state(struct disk *d, struct unit *u, enum unit_state to)
{
	if (u->state == to)
		return;
	evict_del(&d->room.evict, &u->item);
	if (u->state == UNIT_DOOMED)
		TAILQ_REMOVE(&d->room.doomed, &u->item, link);
	u->state = (uint8_t)to;
	if (to == UNIT_EMPTY)
		room_set_cost(d, u, 0);
	if (to == UNIT_DOOMED)
		TAILQ_INSERT_TAIL(&d->room.doomed, &u->item, link);
	if (to == UNIT_KEPT) {
		u->item.is_end = is_unit_end(u);
		evict_add(&d->room.evict, &u->item);
	}
}

enum unit_state room_kept_state(const struct unit *u)
{
	return room_is_fixed(u) ? UNIT_FIXED : UNIT_KEPT;
}

/* ---- life ---- */

int room_own_init(struct disk_torrent *t)
{
	t->units = (struct unit_set){
		.t = t,
		.n = t->mi->n_pieces,
		.key = be32_get(t->id.v1.len > 0 ? t->id.v1.bytes
						 : t->id.v2.bytes),
	};
	t->units.units = mem_zalloc(t->units.n, sizeof(struct unit));
	return t->units.units != NULL ? 0 : ENOMEM;
}

int room_file_init(struct disk *d, struct disk_file *f, uint32_t piece_bytes)
{
	uint32_t n = piece_bytes / MERKLE_LEAF_BYTES;

	if (f->units.units != NULL)
		return 0;
	f->disk = d;
	n = n < UNIT_LEAVES_MIN ? UNIT_LEAVES_MIN : n;
	n = n > UNIT_LEAVES_MAX ? UNIT_LEAVES_MAX : n;
	f->units = (struct unit_set){
		.f = f,
		.unit_leaves = n,
		.n = (f->base.n_leaves + n - 1) / n,
		.key = be32_get(f->base.id),
	};
	f->units.units = mem_zalloc(f->units.n, sizeof(struct unit));
	return f->units.units != NULL ? 0 : ENOMEM;
}

/* What it takes is taken still, by nobody who is there to say so. */
static void set_fini(struct disk *d, struct unit_set *set)
{
	for (uint32_t ix = 0; ix < set->n && set->units != NULL; ix++) {
		struct unit *u = &set->units[ix];

		if (u->state == UNIT_EMPTY)
			continue;
		assert(u->state != UNIT_LEAVING);
		d->room.closed_bytes += u->item.bytes;
		d->room.used_bytes += u->item.bytes;
		room_set_state(d, u, UNIT_EMPTY);
	}
	d->room.is_closed_dry = false;
	evict_forget(&d->room.evict, set->units, set->n * sizeof(*set->units));
	mem_free(set->units);
	*set = (struct unit_set){0};
}

void room_own_fini(struct disk_torrent *t)
{
	set_fini(t->disk, &t->units);
}

void room_own_close(struct disk_torrent *t)
{
	for (uint32_t ix = 0; ix < t->units.n; ix++) {
		struct unit *u = &t->units.units[ix];

		/* Its metainfo goes: it cannot be picked any more. */
		if (u->state == UNIT_KEPT || u->state == UNIT_DOOMED)
			room_set_state(t->disk, u, UNIT_FIXED);
	}
}

void room_file_fini(struct disk *d, struct disk_file *f)
{
	set_fini(d, &f->units);
}

/* ---- at the opening ---- */

/* It was in closed_bytes. */
static void load(struct disk *d, struct unit *u, uint32_t cost)
{
	struct room *r = &d->room;

	r->closed_bytes -= r->closed_bytes < cost ? r->closed_bytes : cost;
	r->used_bytes -= r->used_bytes < cost ? r->used_bytes : cost;
	room_set_cost(d, u, cost);
	if (room_is_fixed(u)) {
		room_set_state(d, u, UNIT_FIXED);
		return;
	}
	u->state = UNIT_KEPT;
	u->item.is_end = is_unit_end(u);
	evict_add_old(&r->evict, &u->item);
}

void room_on_swept(struct disk *d, uint64_t bytes)
{
	struct room *r = &d->room;

	if (bytes > r->closed_bytes)
		bytes = r->closed_bytes;
	r->closed_bytes -= bytes;
	r->used_bytes -= bytes < r->used_bytes ? bytes : r->used_bytes;
}

void room_load_own(struct disk_torrent *t)
{
	const struct bits *own = &t->claimed;

	for (uint32_t ix = bits_next(own, 0); ix < own->n;
	     ix = bits_next(own, ix + 1))
		load(t->disk, room_unit(&t->units, ix),
		     room_piece_cost(t->mi, ix));
	room_look(t->disk);
}

uint32_t room_leaves_there(const struct unit *u)
{
	const struct bits *leaves = &u->set->f->base.leaves;
	uint32_t at = unit_first_leaf(u), end = at + unit_n_leaves(u), n = 0;

	while (leaves->data != NULL && (at = bits_next(leaves, at)) < end) {
		n++;
		at++;
	}
	return n;
}

void room_load_file(struct disk *d, struct disk_file *f)
{
	for (uint32_t ix = 0; ix < f->units.n && f->base.leaves.n_set > 0;
	     ix++) {
		struct unit *u = room_unit(&f->units, ix);
		uint32_t n = room_leaves_there(u);

		if (n > 0 && u->state == UNIT_EMPTY)
			load(d, u, n * MERKLE_LEAF_BYTES);
	}
	room_look(d);
}

static void look_set(struct disk *d, struct unit_set *set)
{
	for (uint32_t ix = 0; ix < set->n; ix++) {
		struct unit *u = &set->units[ix];

		if (u->state == UNIT_KEPT || u->state == UNIT_FIXED)
			room_set_state(d, u, room_kept_state(u));
	}
}

void room_look_pins(struct disk_torrent *t)
{
	const struct joint_use *use;

	look_set(t->disk, &t->units);
	LIST_FOREACH (use, &t->joint.list, of_torrent)
		look_set(t->disk, &disk_file_of(use)->units);
	room_look(t->disk);
}
