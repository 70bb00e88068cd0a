/* store_mem_put — what is staged and put into the memory store, and forgotten.
 *
 * Each is a call that acts when there is room for it (store_mem_room.c): as a
 * rule at once, and its answer is queued before, so that others hear of the
 * piece behind it.
 *
 * Failure modes: ENOMEM and ENOSPC leave all as it was. ECANCELED: it waited
 * for room, and the torrent was closed.
 *
 * Threads: loop. */
#include "cache/store_mem_internal.h"

#include <assert.h>
#include <errno.h>

#include "cache/mem_piece.h"
#include "core/blk.h"
#include "core/hmap.h"
#include "core/mem.h"
#include "core/metainfo.h"

/* The piece in this map, made if it is not there. */
static int find_or_make(struct hmap *map, uint32_t ix, struct mem_piece **out)
{
	int err;

	*out = hmap_get(map, &ix);
	if (*out != NULL)
		return 0;
	err = mem_piece_new(out);
	if (err != 0)
		return err;
	err = hmap_put(map, &ix, *out);
	if (err != 0)
		mem_piece_free(*out);
	return err;
}

/* What is put or staged, as soon as there is room for it. */
static int begin(struct record *r, void (*say)(struct call *c),
		 const struct call *what)
{
	struct call *c = mem_call_new(r->store, say, what->arg);

	ASSERT_LOOP(r->store->loop);
	assert(what->piece_ix < r->mi->n_pieces);
	if (c == NULL)
		return ENOMEM;
	c->done = what->done;
	c->needs_bytes = what->needs_bytes;
	c->act = what->act;
	c->rec = r;
	c->piece_ix = what->piece_ix;
	c->at_bytes = what->at_bytes;
	c->data = what->data;
	mem_room_begin(c);
	return 0;
}

static uint32_t staged_len(const struct record *r, uint32_t ix, uint32_t at)
{
	const struct mem_piece *old = hmap_get(r->staged, &ix);

	return old != NULL ? mem_piece_has(old, at) : 0;
}

static uint64_t stage_needs(const struct call *c)
{
	uint32_t old_len = staged_len(c->rec, c->piece_ix, c->at_bytes);

	return c->data->len > old_len ? c->data->len - old_len : 0;
}

static int stage(struct record *r, uint32_t ix, uint32_t at, struct blk *data)
{
	struct mem_store *m = r->store;
	uint32_t old_len = staged_len(r, ix, at);
	struct mem_piece *p;
	int err;

	if (data->len > m->max_bytes - m->used_bytes + old_len)
		return ENOSPC;
	err = find_or_make(r->staged, ix, &p);
	if (err == 0)
		err = mem_piece_put(p, at, data);
	if (err == 0)
		m->used_bytes += data->len - old_len;
	return err;
}

static int act_stage(struct call *c)
{
	return stage(c->rec, c->piece_ix, c->at_bytes, c->data);
}

int mem_stage(struct store_torrent *st, uint32_t piece_ix, uint32_t at_bytes,
	      struct blk *data, store_done_fn *done, void *arg)
{
	const struct call what = {.needs_bytes = stage_needs,
				  .act = act_stage,
				  .piece_ix = piece_ix,
				  .at_bytes = at_bytes,
				  .data = data,
				  .done.done = done,
				  .arg = arg};

	return begin(record_of(st), mem_say_done, &what);
}

static void drop_staged(struct record *r, uint32_t ix)
{
	struct mem_piece *p = hmap_del(r->staged, &ix);

	if (p == NULL)
		return;
	r->store->used_bytes -= mem_piece_bytes(p);
	mem_piece_free(p);
}

void mem_unstage(struct store_torrent *st, uint32_t piece_ix)
{
	drop_staged(record_of(st), piece_ix);
}

void mem_unstage_all(struct record *r)
{
	for (uint32_t ix = 0; hmap_count(r->staged) > 0; ix++)
		drop_staged(r, ix);
}

static void say_put(struct call *c)
{
	if (c->err == 0)
		c->done.put(c->arg, c->piece_ix, STORE_WRITTEN, 0);
	c->done.put(c->arg, c->piece_ix, STORE_DURABLE, c->err);
}

static int keep(struct record *r, uint32_t ix, struct blk *data)
{
	struct mem_store *m = r->store;
	struct mem_piece *p;
	int err;

	if (hmap_get(r->pieces, &ix) != NULL)
		return 0;
	if (!mem_room_fits(m, data->len))
		return ENOSPC;
	err = find_or_make(r->pieces, ix, &p);
	if (err != 0)
		return err;
	err = mem_piece_put(p, 0, data);
	if (err == 0)
		err = mem_units_add(&r->units, ix, (uint32_t)data->len);
	if (err != 0) {
		hmap_del(r->pieces, &ix);
		mem_piece_free(p);
		return err;
	}
	bits_set(&r->own, ix);
	return 0;
}

/* What was staged is everybody's now who has the file. */
static int share_staged(struct record *r, uint32_t ix,
			const struct joint_piece *leaves)
{
	struct mem_piece *p = hmap_get(r->staged, &ix);
	int err;

	if (p == NULL)
		return EIO;
	err = mem_files_keep_parts(r, leaves, p);
	if (err == 0)
		err = mem_files_add(r, leaves, ix, true);
	if (err == 0)
		drop_staged(r, ix);
	return err;
}

/* What was staged is held now. */
static int keep_staged(struct record *r, uint32_t ix)
{
	struct mem_piece *p = hmap_get(r->staged, &ix);
	int err;

	if (p == NULL)
		return EIO;
	if (hmap_get(r->pieces, &ix) != NULL) {
		drop_staged(r, ix);
		return 0;
	}
	err = hmap_put(r->pieces, &ix, p);
	if (err == 0)
		err = mem_units_add(&r->units, ix,
				    (uint32_t)mem_piece_bytes(p));
	if (err != 0) {
		hmap_del(r->pieces, &ix);
		return err;
	}
	hmap_del(r->staged, &ix);
	r->store->used_bytes -= mem_piece_bytes(p); /* counted twice now */
	bits_set(&r->own, ix);
	return 0;
}

static int put(struct record *r, uint32_t ix, struct blk *data)
{
	struct joint_piece leaves;
	int err;

	if (mem_files_is_for(r, ix, data != NULL, &leaves)) {
		err = mem_files_keep(r, &leaves, data);
		return err != 0 ? err : mem_files_add(r, &leaves, ix, true);
	}
	if (data == NULL && mem_files_is_for(r, ix, true, &leaves))
		return share_staged(r, ix, &leaves);
	err = data != NULL ? keep(r, ix, data) : keep_staged(r, ix);
	if (err == 0)
		joint_kept(&r->joint, ix);
	return err;
}

/* What is there already needs nothing. */
static uint64_t put_needs(const struct call *c)
{
	struct joint_piece p;

	if (hmap_get(c->rec->pieces, &c->piece_ix) != NULL)
		return 0;
	if (mem_files_is_for(c->rec, c->piece_ix, true, &p) &&
	    joint_has_all(&p))
		return 0;
	return c->data->len;
}

static int act_put(struct call *c)
{
	return put(c->rec, c->piece_ix, c->data);
}

static int begin_put(struct record *r, const struct call *what)
{
	int err = begin(r, say_put, what);

	r->store->stats.puts += err == 0;
	return err;
}

int mem_put(struct store_torrent *st, uint32_t piece_ix, struct blk *data,
	    store_put_fn *done, void *arg)
{
	const struct call what = {.needs_bytes = put_needs,
				  .act = act_put,
				  .piece_ix = piece_ix,
				  .data = data,
				  .done.put = done,
				  .arg = arg};

	return begin_put(record_of(st), &what);
}

static uint64_t leaves_need(const struct call *c)
{
	struct joint_piece p;

	if (joint_range(&c->rec->joint, c->piece_ix, c->at_bytes, c->data->len,
			&p) &&
	    joint_has_all(&p))
		return 0;
	return c->data->len;
}

static int act_put_leaves(struct call *c)
{
	struct joint_piece leaves;
	int err;

	err = joint_place(&c->rec->joint, c->piece_ix, c->at_bytes,
			  c->data->len, &leaves);
	if (err == 0)
		err = mem_files_keep(c->rec, &leaves, c->data);
	if (err == 0)
		err = mem_files_add(c->rec, &leaves, c->piece_ix, false);
	return err;
}

int mem_put_leaves(struct store_torrent *st, uint32_t piece_ix,
		   uint32_t at_bytes, struct blk *data, store_put_fn *done,
		   void *arg)
{
	const struct call what = {.needs_bytes = leaves_need,
				  .act = act_put_leaves,
				  .piece_ix = piece_ix,
				  .at_bytes = at_bytes,
				  .data = data,
				  .done.put = done,
				  .arg = arg};
	struct record *r = record_of(st);
	struct joint_piece leaves;
	int err =
		joint_place(&r->joint, piece_ix, at_bytes, data->len, &leaves);

	if (err != 0)
		return err == ENOENT ? EINVAL : err;
	return begin_put(r, &what);
}

/* Of the torrent's own: false, there is none. */
static bool drop_own(struct record *r, uint32_t ix)
{
	struct mem_piece *p = hmap_del(r->pieces, &ix);

	if (p == NULL)
		return false;
	bits_clear(&r->own, ix);
	joint_lost(&r->joint, ix);
	mem_units_sub(&r->units, ix, (uint32_t)mem_piece_bytes(p));
	mem_piece_free(p);
	return true;
}

void mem_forget(struct store_torrent *st, uint32_t piece_ix)
{
	struct record *r = record_of(st);

	ASSERT_LOOP(r->store->loop);
	if (!drop_own(r, piece_ix))
		mem_files_forget(r, piece_ix);
}

void mem_own_evict(struct record *r, uint32_t ix)
{
	bool was_there = drop_own(r, ix);

	assert(was_there);
	if (was_there && r->joint.ops != NULL)
		r->joint.ops->on_lost(r->joint.arg, ix);
	joint_look(&r->joint, ix);
}
