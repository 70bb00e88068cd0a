/* store_mem_room — what goes when memory is full.
 *
 * Units are what is evicted at once, as in room.h: a piece of the torrent's
 * own, or a run of leaves of a file. One is there while it has bytes. Which
 * goes is `evict`'s to say; what somebody will read goes only for what is read
 * sooner, and what is pinned not at all: it is out of the policy.
 *
 * A put that there is no room for waits, and what came behind it, until the
 * next turn: for whoever loses a piece by it is told on a turn of its own.
 * Nothing here takes time, so then there is room, or the put gets ENOSPC. A
 * little is kept free, for what cannot wait (hash trees).
 *
 * Threads: loop. */
#include "cache/store_mem_internal.h"

#include <assert.h>
#include <errno.h>

#include "cache/extent.h"
#include "core/be.h"
#include "core/blk.h"
#include "core/hmap.h"
#include "core/mem.h"
#include "core/merkle.h"
#include "core/metainfo.h"

enum {
	UNIT_LEAVES_MIN = 64, /* unit_leaves, cache/room_unit.c */
	UNIT_LEAVES_MAX = 1024,
	SPARE_PART = 64, /* of all */
};

struct mem_unit {
	struct evict_item item;
	struct mem_units *set;
	uint32_t ix;
};

/* ---- what stays ---- */

static bool is_pinned(const struct record *r, uint32_t file_ix)
{
	return r->handle.pinned.data != NULL &&
	       bits_has(&r->handle.pinned, file_ix);
}

static bool is_piece_pinned(const struct record *r, uint32_t ix)
{
	struct extent_walk walk;
	struct extent e;

	if (r->mi == NULL || r->handle.pinned.data == NULL)
		return false;
	extent_walk_init(&walk, r->mi, (uint64_t)ix * r->piece_bytes,
			 metainfo_piece_bytes(r->mi, ix));
	while (extent_next(&walk, &e))
		if (e.file_ix != EXTENT_NO_FILE && is_pinned(r, e.file_ix))
			return true;
	return false;
}

static bool is_fixed(const struct mem_unit *u)
{
	const struct joint_use *use;

	if (u->set->r != NULL)
		return is_piece_pinned(u->set->r, u->ix);
	LIST_FOREACH (use, &u->set->f->uses, link)
		if (is_pinned(CONTAINER_OF(use->t, struct record, joint),
			      use->file_ix))
			return true;
	return false;
}

static void look_pins(struct mem_units *s)
{
	struct mem_unit *u;
	size_t pos = 0;

	while (s->map != NULL && (u = hmap_next(s->map, &pos)) != NULL) {
		if (is_fixed(u))
			evict_del(&s->store->evict, &u->item);
		else if (u->item.part == EVICT_OUT)
			evict_add(&s->store->evict, &u->item);
	}
}

int mem_keep_pins(struct store_torrent *st, const struct bits *files)
{
	struct record *r = record_of(st);
	struct bits *kept = &st->pinned;
	const struct joint_use *use;
	int err = 0;

	ASSERT_LOOP(r->store->loop);
	if (kept->data == NULL)
		err = bits_init(kept, files->n);
	if (err == 0)
		err = bits_load(kept, files->data, bits_bytes(files->n));
	if (err != 0)
		return err;
	look_pins(&r->units);
	LIST_FOREACH (use, &r->joint.list, of_torrent)
		look_pins(mem_file_units(use->file));
	return 0;
}

/* ---- units ---- */

void mem_units_init(struct mem_units *s, struct mem_store *m, struct record *r)
{
	*s = (struct mem_units){.store = m, .r = r};
}

void mem_units_init_file(struct mem_units *s, struct mem_store *m,
			 struct joint_file *f, uint32_t piece_bytes)
{
	uint32_t n = piece_bytes / MERKLE_LEAF_BYTES;

	n = n < UNIT_LEAVES_MIN ? UNIT_LEAVES_MIN : n;
	n = n > UNIT_LEAVES_MAX ? UNIT_LEAVES_MAX : n;
	*s = (struct mem_units){.store = m, .f = f, .unit_leaves = n};
}

static void unit_free(struct mem_unit *u)
{
	struct evict *e = &u->set->store->evict;

	evict_del(e, &u->item);
	evict_forget(e, u, sizeof(*u));
	mem_free(u);
}

void mem_units_fini(struct mem_units *s)
{
	struct mem_unit *u;
	size_t pos = 0;

	while (s->map != NULL && (u = hmap_next(s->map, &pos)) != NULL) {
		s->store->used_bytes -= u->item.bytes;
		s->store->stats.held_bytes -= u->item.bytes;
		unit_free(u);
	}
	hmap_free(s->map);
	s->map = NULL;
}

static uint32_t key_of(const struct mem_units *s, uint32_t ix)
{
	const struct torrent_id *id = s->r != NULL ? &s->r->id : NULL;
	uint32_t first;

	if (id == NULL)
		first = be32_get(s->f->id);
	else
		first = be32_get(id->v1.len > 0 ? id->v1.bytes : id->v2.bytes);
	return first + ix * 0x9E3779B1u;
}

static struct mem_unit *unit_make(struct mem_units *s, uint32_t ix)
{
	struct mem_unit *u;

	if (s->map == NULL && hmap_new(sizeof(ix), &s->map) != 0)
		return NULL;
	u = mem_new(struct mem_unit);
	if (u == NULL || hmap_put(s->map, &ix, u) != 0) {
		mem_free(u);
		return NULL;
	}
	u->set = s;
	u->ix = ix;
	u->item.key = key_of(s, ix);
	return u;
}

static struct mem_unit *unit_get(const struct mem_units *s, uint32_t ix)
{
	return s->map != NULL ? hmap_get(s->map, &ix) : NULL;
}

static void set_bytes(struct mem_unit *u, uint32_t bytes)
{
	if (u->item.part != EVICT_OUT)
		evict_resize(&u->set->store->evict, &u->item, bytes);
	else
		u->item.bytes = bytes;
}

int mem_units_add(struct mem_units *s, uint32_t ix, uint32_t bytes)
{
	struct mem_store *m = s->store;
	struct mem_unit *u = unit_get(s, ix);
	bool is_new = u == NULL;

	if (is_new)
		u = unit_make(s, ix);
	if (u == NULL)
		return ENOMEM;
	set_bytes(u, u->item.bytes + bytes);
	if (is_new && !is_fixed(u))
		evict_add(&m->evict, &u->item);
	m->used_bytes += bytes;
	m->stats.held_bytes += bytes;
	return 0;
}

void mem_units_sub(struct mem_units *s, uint32_t ix, uint32_t bytes)
{
	struct mem_unit *u = unit_get(s, ix);

	assert(u != NULL && u->item.bytes >= bytes);
	s->store->used_bytes -= bytes;
	s->store->stats.held_bytes -= bytes;
	set_bytes(u, u->item.bytes - bytes);
	if (u->item.bytes > 0)
		return;
	hmap_del(s->map, &ix);
	unit_free(u);
}

void mem_room_use(struct record *r, uint64_t off_bytes)
{
	uint32_t ix = (uint32_t)(off_bytes / r->piece_bytes);
	uint32_t at = (uint32_t)(off_bytes % r->piece_bytes);
	struct mem_unit *u = unit_get(&r->units, ix);
	struct joint_piece p;

	if (u == NULL && r->mi != NULL &&
	    joint_range(&r->joint, ix, at - at % MERKLE_LEAF_BYTES, 1, &p)) {
		struct mem_units *s = mem_file_units(p.use->file);

		if (s->unit_leaves > 0)
			u = unit_get(s, p.first / s->unit_leaves);
	}
	if (u != NULL)
		evict_visit(&r->store->evict, &u->item);
}

/* ---- making room ---- */

static uint64_t unit_due(const struct evict_item *it)
{
	const struct mem_unit *u =
		CONTAINER_OF(it, const struct mem_unit, item);

	if (u->set->r != NULL)
		return joint_due(&u->set->r->joint, u->ix);
	return joint_leaves_due(u->set->f, u->ix * u->set->unit_leaves,
				u->set->unit_leaves);
}

static void unit_evict(struct evict_item *it)
{
	const struct mem_unit *u =
		CONTAINER_OF(it, const struct mem_unit, item);
	struct mem_units *s = u->set;
	uint32_t ix = u->ix; /* it goes with its last byte */

	s->store->stats.evicted_bytes += it->bytes;
	if (s->r != NULL)
		mem_own_evict(s->r, ix);
	else
		mem_files_evict(s->f, ix * s->unit_leaves, s->unit_leaves);
}

bool mem_room_fits(const struct mem_store *m, uint64_t bytes)
{
	return bytes <= m->max_bytes - m->used_bytes;
}

static uint64_t spare(const struct mem_store *m)
{
	return m->max_bytes / SPARE_PART;
}

/* So that `bytes` are free, as far as that can be. */
static void make_room(struct mem_store *m, uint64_t bytes, uint64_t due_us)
{
	while (bytes <= m->max_bytes && !mem_room_fits(m, bytes)) {
		struct evict_item *it =
			evict_pick_unwanted(&m->evict, unit_due);

		if (it == NULL)
			it = evict_pick_later(&m->evict, unit_due, due_us);
		if (it == NULL)
			return;
		unit_evict(it);
	}
}

static void end_waiting(struct call *c, int err)
{
	struct mem_store *m = c->store;

	TAILQ_REMOVE(&m->waiting, c, waits);
	c->err = err == 0 ? c->act(c) : err;
	blk_drop(c->data);
	mem_call_end(c);
}

static void on_room(void *arg)
{
	struct mem_store *m = arg;
	struct call *c;

	while ((c = TAILQ_FIRST(&m->waiting)) != NULL) {
		make_room(m, c->needs_bytes(c),
			  joint_due(&c->rec->joint, c->piece_ix));
		/* Who was told may have closed his torrent. */
		if (c == TAILQ_FIRST(&m->waiting))
			end_waiting(c, 0);
	}
	make_room(m, spare(m), UINT64_MAX);
}

void mem_room_begin(struct call *c)
{
	struct mem_store *m = c->store;

	if (c->data == NULL ||
	    (TAILQ_EMPTY(&m->waiting) && mem_room_fits(m, c->data->len))) {
		mem_call_queue(c);
		c->err = c->act(c);
	} else {
		blk_hold(c->data);
		TAILQ_INSERT_TAIL(&m->calls, c, link);
		TAILQ_INSERT_TAIL(&m->waiting, c, waits);
		loop_defer(m->loop, &m->room_task);
	}
	if (!mem_room_fits(m, spare(m)))
		loop_defer(m->loop, &m->room_task);
}

void mem_room_close(struct record *r)
{
	struct mem_store *m = r->store;
	struct call *c, *next;

	TAILQ_FOREACH_SAFE (c, &m->waiting, waits, next) {
		if (c->rec != r)
			continue;
		TAILQ_REMOVE(&m->waiting, c, waits);
		c->err = ECANCELED;
		blk_drop(c->data);
		loop_defer(m->loop, &c->task);
	}
}

int mem_room_init(struct mem_store *m)
{
	TAILQ_INIT(&m->waiting);
	loop_task_init(&m->room_task, on_room, m);
	return evict_init(&m->evict, m->max_bytes);
}

void mem_room_fini(struct mem_store *m)
{
	assert(TAILQ_EMPTY(&m->waiting));
	loop_task_cancel(m->loop, &m->room_task);
	evict_fini(&m->evict);
}
