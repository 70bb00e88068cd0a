/* store_mem — the store without a disk.
 *
 * Purpose: `store=memory:SIZE`, and most tests. It holds references to the
 * blks it is given, so a put costs no copy.
 *
 * Words. Record: what is remembered of a torrent, its info dictionary and its
 * pieces; lives as long as the store. Handle: an open torrent; one a record.
 * Staged: parts of a piece that is not verified yet; they count as the store's
 * memory like what is held, and go with the handle. Call: an answer on its
 * way. Answers are given on the loop's next turn, so that a user of this store
 * sees the same order of events as with a disk. What is kept of files with a v2
 * root is in store_mem_files.c; `pieces` has the rest. What comes is put there
 * by store_mem_put.c, when there is room: store_mem_room.c.
 *
 * Failure modes: ENOMEM, and ENOSPC when there is no room and nothing may go
 * for it. A read of what is not there is EIO, as a lost blob would be.
 *
 * Invariants: held_bytes = the sum of the lengths of all pieces of all records,
 * and of all leaves; used_bytes is that, all that is staged, and hash trees. No
 * piece is in both maps. Every call is in `calls` until its `done` runs.
 *
 * Threads: loop only. */
#include "cache/store_mem_internal.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "cache/mem_piece.h"
#include "core/blk.h"
#include "core/hmap.h"
#include "core/mem.h"

/* ---- answers ---- */

void mem_call_end(struct call *c)
{
	TAILQ_REMOVE(&c->store->calls, c, link);
	c->say(c);
	mem_free(c);
}

static void on_task(void *arg)
{
	mem_call_end(arg);
}

struct call *mem_call_new(struct mem_store *m, void (*say)(struct call *c),
			  void *arg)
{
	struct call *c = mem_new(struct call);

	if (c == NULL)
		return NULL;
	c->store = m;
	c->say = say;
	c->arg = arg;
	loop_task_init(&c->task, on_task, c);
	return c;
}

void mem_call_queue(struct call *c)
{
	TAILQ_INSERT_TAIL(&c->store->calls, c, link);
	loop_defer(c->store->loop, &c->task);
}

/* ---- records ---- */

static struct record *record_find(struct mem_store *m,
				  const struct torrent_id *id)
{
	struct record *r;

	LIST_FOREACH (r, &m->records, link)
		if (torrent_id_matches(&r->id, id))
			return r;
	return NULL;
}

static void map_free(struct hmap *map)
{
	struct mem_piece *p;
	size_t pos = 0;

	while (map != NULL && (p = hmap_next(map, &pos)) != NULL)
		mem_piece_free(p);
	hmap_free(map);
}

static void record_free(struct record *r)
{
	mem_files_free(r);
	mem_units_fini(&r->units);
	bits_fini(&r->handle.pinned);
	map_free(r->pieces);
	map_free(r->staged);
	bits_fini(&r->own);
	mem_free(r->info);
	mem_free(r);
}

static struct record *record_new(struct mem_store *m, const struct metainfo *mi)
{
	struct record *r = mem_new(struct record);

	if (r == NULL)
		return NULL;
	r->handle.store = &m->base;
	r->store = m;
	r->id = mi->id;
	r->piece_bytes = mi->piece_bytes;
	r->total_bytes = mi->total_bytes;
	mem_units_init(&r->units, m, r);
	r->info_len = mi->info.len;
	r->info = mem_dup(mi->info.ptr, mi->info.len);
	if (r->info == NULL || hmap_new(sizeof(uint32_t), &r->pieces) != 0 ||
	    hmap_new(sizeof(uint32_t), &r->staged) != 0 ||
	    bits_init(&r->own, mi->n_pieces) != 0 ||
	    mem_files_new(r, mi) != 0) {
		record_free(r);
		return NULL;
	}
	LIST_INSERT_HEAD(&m->records, r, link);
	return r;
}

/* ---- what is remembered ---- */

static void say_info(struct call *c)
{
	const struct record *r = record_find(c->store, &c->id);
	struct span info = {NULL, 0};

	c->err = r != NULL ? 0 : ENOENT;
	if (r != NULL)
		info = span_of(r->info, r->info_len);
	c->done.info(c->arg, c->err, info);
}

static int mem_load_info(struct store *s, const struct torrent_id *id,
			 store_info_fn *done, void *arg)
{
	struct mem_store *m = mem_of(s);
	struct call *c = mem_call_new(m, say_info, arg);

	if (c == NULL)
		return ENOMEM;
	c->done.info = done;
	c->id = *id;
	mem_call_queue(c);
	return 0;
}

static void say_open(struct call *c)
{
	struct bits held = {0};

	if (c->err == 0) {
		c->err = mem_files_begin(c->rec, &held);
		if (c->err != 0)
			c->rec->is_open = false;
	}
	if (c->err == 0)
		c->done.open(c->arg, 0, &c->rec->handle, &held);
	else
		c->done.open(c->arg, c->err, NULL, NULL);
	bits_fini(&held);
}

static int mem_open(struct store *s, const struct metainfo *mi,
		    store_open_fn *done, void *arg)
{
	struct mem_store *m = mem_of(s);
	struct call *c = mem_call_new(m, say_open, arg);
	struct record *r = record_find(m, &mi->id);

	if (c == NULL)
		return ENOMEM;
	if (r == NULL)
		r = record_new(m, mi);
	if (r == NULL) {
		mem_free(c);
		return ENOMEM;
	}
	c->done.open = done;
	c->rec = r;
	c->err = r->is_open ? EEXIST : 0;
	if (c->err == 0) {
		r->is_open = true;
		r->mi = mi;
		joint_reopen(&r->joint, mi);
	}
	mem_call_queue(c);
	return 0;
}

static void mem_close(struct store_torrent *st)
{
	struct record *r = record_of(st);

	ASSERT_LOOP(r->store->loop);
	mem_files_close(r);
	mem_room_close(r);
	mem_unstage_all(r);
	r->is_open = false;
	r->mi = NULL;
}

/* ---- pieces ---- */

static void say_read(struct call *c)
{
	c->done.read(c->arg, c->err);
}

static int mem_read(struct store_torrent *st, uint64_t off_bytes,
		    uint32_t len_bytes, uint8_t *dst, store_read_fn *done,
		    void *arg)
{
	struct call *c = mem_call_new(record_of(st)->store, say_read, arg);

	if (c == NULL)
		return ENOMEM;
	c->done.read = done;
	c->err = mem_read_now(st, off_bytes, len_bytes, dst) == 0 ? 0 : EIO;
	mem_call_queue(c);
	return 0;
}

static int mem_read_staged(struct store_torrent *st, uint32_t piece_ix,
			   uint32_t at_bytes, uint32_t len_bytes, uint8_t *dst,
			   store_read_fn *done, void *arg)
{
	struct record *r = record_of(st);
	struct call *c = mem_call_new(r->store, say_read, arg);
	const struct mem_piece *p = hmap_get(r->staged, &piece_ix);

	if (c == NULL)
		return ENOMEM;
	c->done.read = done;
	while (len_bytes > 0 && c->err == 0) {
		uint32_t n =
			p != NULL ? mem_piece_read(p, at_bytes, len_bytes, dst)
				  : 0;

		c->err = n > 0 ? 0 : EIO;
		at_bytes += n;
		dst += n;
		len_bytes -= n;
	}
	mem_call_queue(c);
	return 0;
}

void mem_say_done(struct call *c)
{
	c->done.done(c->arg, c->err);
}

static int mem_read_nodes(struct store_torrent *st, uint32_t file_ix,
			  unsigned level, uint64_t index, uint32_t n,
			  uint8_t *dst, store_read_fn *done, void *arg)
{
	struct record *r = record_of(st);
	struct call *c;
	int err = mem_nodes(r, file_ix, level, index, n, dst);

	if (err != 0)
		return err;
	c = mem_call_new(r->store, say_read, arg);
	if (c == NULL)
		return ENOMEM;
	c->done.read = done;
	mem_call_queue(c);
	return 0;
}

/* ---- the whole store ---- */

/* What only this torrent had is let go. */
static void forget_record(struct record *r)
{
	LIST_REMOVE(r, link);
	record_free(r);
}

static void say_removed(struct call *c)
{
	struct record *r = record_find(c->store, &c->id);

	if (r == NULL)
		c->err = ENOENT;
	else if (r->is_open)
		c->err = EBUSY;
	else
		forget_record(r);
	if (c->err == 0)
		tally_drop(&c->store->tally, &c->id);
	c->done.done(c->arg, c->err);
}

static int mem_remove(struct store *s, const struct torrent_id *id,
		      store_done_fn *done, void *arg)
{
	struct call *c = mem_call_new(mem_of(s), say_removed, arg);

	if (c == NULL)
		return ENOMEM;
	c->done.done = done;
	c->id = *id;
	mem_call_queue(c);
	return 0;
}

static int mem_flush(struct store *s, store_done_fn *done, void *arg)
{
	struct call *c = mem_call_new(mem_of(s), mem_say_done, arg);

	if (c == NULL)
		return ENOMEM;
	c->done.done = done;
	mem_call_queue(c);
	return 0;
}

static int mem_err(const struct store *s)
{
	return 0;
}

static void mem_stats(const struct store *s, struct store_stats *out)
{
	const struct mem_store *m =
		CONTAINER_OF(s, const struct mem_store, base);

	*out = m->stats;
	out->limit_bytes = m->max_bytes;
	out->used_bytes = m->used_bytes;
}

/* Nothing is written, so what was counted may be shown at once. */
static void mem_count(struct store *s, const struct torrent_id *id,
		      const struct traffic *more)
{
	struct tally *t = &mem_of(s)->tally;
	struct tally_rows rows;

	(void)tally_count(t, id, more);
	tally_take(t, &rows);
	tally_kept(t, &rows);
}

static void mem_traffic(const struct store *s, const struct torrent_id *id,
			struct traffic *out)
{
	const struct tally *t =
		&CONTAINER_OF(s, const struct mem_store, base)->tally;

	if (id != NULL)
		tally_get(t, id, out);
	else
		*out = t->all;
}

static void mem_store_free(struct store *s)
{
	struct mem_store *m = mem_of(s);
	struct record *r;
	struct call *c;

	ASSERT_LOOP(m->loop);
	while ((c = TAILQ_FIRST(&m->calls)) != NULL) {
		loop_task_cancel(m->loop, &c->task);
		mem_call_end(c);
	}
	while ((r = LIST_FIRST(&m->records)) != NULL) {
		assert(!r->is_open);
		LIST_REMOVE(r, link);
		record_free(r);
	}
	mem_room_fini(m);
	mem_files_fini(m);
	tally_fini(&m->tally);
	mem_free(m);
}

static const struct store_ops mem_ops = {
	.load_info = mem_load_info,
	.open = mem_open,
	.remove = mem_remove,
	.flush = mem_flush,
	.count = mem_count,
	.traffic = mem_traffic,
	.err = mem_err,
	.stats = mem_stats,
	.free = mem_store_free,
	.read_now = mem_read_now,
	.read = mem_read,
	.stage = mem_stage,
	.read_staged = mem_read_staged,
	.unstage = mem_unstage,
	.put = mem_put,
	.put_leaves = mem_put_leaves,
	.vouch = mem_vouch,
	.forget = mem_forget,
	.watch = mem_watch,
	.coming_us = mem_coming_us,
	.put_nodes = mem_put_nodes,
	.read_nodes = mem_read_nodes,
	.keep_pins = mem_keep_pins,
	.close = mem_close,
};

int store_mem_new(struct loop *loop, uint64_t max_bytes, struct store **out)
{
	struct mem_store *m = mem_new(struct mem_store);

	if (m == NULL)
		return ENOMEM;
	m->base.ops = &mem_ops;
	m->loop = loop;
	m->max_bytes = max_bytes;
	LIST_INIT(&m->records);
	TAILQ_INIT(&m->calls);
	if (mem_room_init(m) != 0) {
		mem_free(m);
		return ENOMEM;
	}
	if (mem_files_init(m) != 0) {
		mem_room_fini(m);
		mem_free(m);
		return ENOMEM;
	}
	if (tally_init(&m->tally) != 0) {
		mem_files_fini(m);
		mem_room_fini(m);
		mem_free(m);
		return ENOMEM;
	}
	*out = &m->base;
	return 0;
}
