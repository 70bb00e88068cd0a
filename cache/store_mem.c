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
 * root is in store_mem_files.c; `pieces` has the rest.
 *
 * Failure modes: ENOMEM, and ENOSPC when the pieces' sum would pass max_bytes;
 * nothing is thrown away to make room. A read of what is not there is EIO, as
 * a lost blob would be.
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

static void call_end(struct call *c)
{
	TAILQ_REMOVE(&c->store->calls, c, link);
	c->say(c);
	mem_free(c);
}

static void on_task(void *arg)
{
	call_end(arg);
}

static struct call *call_new(struct mem_store *m, void (*say)(struct call *c),
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

static void call_queue(struct call *c)
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
	struct call *c = call_new(m, say_info, arg);

	if (c == NULL)
		return ENOMEM;
	c->done.info = done;
	c->id = *id;
	call_queue(c);
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
	struct call *c = call_new(m, say_open, arg);
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
	call_queue(c);
	return 0;
}

static void drop_staged(struct record *r, uint32_t ix)
{
	struct mem_piece *p = hmap_del(r->staged, &ix);

	if (p == NULL)
		return;
	r->store->used_bytes -= mem_piece_bytes(p);
	mem_piece_free(p);
}

static void mem_close(struct store_torrent *st)
{
	struct record *r = record_of(st);

	ASSERT_LOOP(r->store->loop);
	mem_files_close(r);
	for (uint32_t ix = 0; hmap_count(r->staged) > 0; ix++)
		drop_staged(r, ix);
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
	struct call *c = call_new(record_of(st)->store, say_read, arg);

	if (c == NULL)
		return ENOMEM;
	c->done.read = done;
	c->err = mem_read_now(st, off_bytes, len_bytes, dst) == 0 ? 0 : EIO;
	call_queue(c);
	return 0;
}

static void say_done(struct call *c)
{
	c->done.done(c->arg, c->err);
}

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

static int stage(struct record *r, uint32_t ix, uint32_t at, struct blk *data)
{
	struct mem_store *m = r->store;
	const struct mem_piece *old = hmap_get(r->staged, &ix);
	uint32_t old_len = old != NULL ? mem_piece_has(old, at) : 0;
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

static int mem_stage(struct store_torrent *st, uint32_t piece_ix,
		     uint32_t at_bytes, struct blk *data, store_done_fn *done,
		     void *arg)
{
	struct record *r = record_of(st);
	struct call *c = call_new(r->store, say_done, arg);

	ASSERT_LOOP(r->store->loop);
	if (c == NULL)
		return ENOMEM;
	c->done.done = done;
	c->err = stage(r, piece_ix, at_bytes, data);
	call_queue(c);
	return 0;
}

static void mem_unstage(struct store_torrent *st, uint32_t piece_ix)
{
	drop_staged(record_of(st), piece_ix);
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
	if (data->len > m->max_bytes - m->used_bytes)
		return ENOSPC;
	err = find_or_make(r->pieces, ix, &p);
	if (err != 0)
		return err;
	err = mem_piece_put(p, 0, data);
	if (err != 0) {
		hmap_del(r->pieces, &ix);
		mem_piece_free(p);
		return err;
	}
	m->used_bytes += data->len;
	m->stats.held_bytes += data->len;
	bits_set(&r->own, ix);
	return 0;
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
	if (err != 0)
		return err;
	hmap_del(r->staged, &ix);
	r->store->stats.held_bytes += mem_piece_bytes(p);
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
	err = data != NULL ? keep(r, ix, data) : keep_staged(r, ix);
	if (err == 0)
		joint_kept(&r->joint, ix);
	return err;
}

/* The answer is queued first: others hear of the piece behind it. */
static int mem_put(struct store_torrent *st, uint32_t piece_ix,
		   struct blk *data, store_put_fn *done, void *arg)
{
	struct record *r = record_of(st);
	struct call *c = call_new(r->store, say_put, arg);

	ASSERT_LOOP(r->store->loop);
	assert(piece_ix < r->mi->n_pieces);
	if (c == NULL)
		return ENOMEM;
	c->done.put = done;
	c->piece_ix = piece_ix;
	r->store->stats.puts++;
	call_queue(c);
	c->err = put(r, piece_ix, data);
	return 0;
}

static int mem_put_leaves(struct store_torrent *st, uint32_t piece_ix,
			  uint32_t at_bytes, struct blk *data,
			  store_put_fn *done, void *arg)
{
	struct record *r = record_of(st);
	struct joint_piece leaves;
	struct call *c;

	ASSERT_LOOP(r->store->loop);
	assert(piece_ix < r->mi->n_pieces);
	if (!joint_range(&r->joint, piece_ix, at_bytes, data->len, &leaves))
		return EINVAL;
	c = call_new(r->store, say_put, arg);
	if (c == NULL)
		return ENOMEM;
	c->done.put = done;
	c->piece_ix = piece_ix;
	r->store->stats.puts++;
	call_queue(c);
	c->err = mem_files_keep(r, &leaves, data);
	if (c->err == 0)
		c->err = mem_files_add(r, &leaves, piece_ix, false);
	return 0;
}

static void mem_forget(struct store_torrent *st, uint32_t piece_ix)
{
	struct record *r = record_of(st);
	struct mem_piece *p = hmap_del(r->pieces, &piece_ix);

	ASSERT_LOOP(r->store->loop);
	if (p == NULL) {
		mem_files_forget(r, piece_ix);
		return;
	}
	bits_clear(&r->own, piece_ix);
	joint_lost(&r->joint, piece_ix);
	r->store->stats.held_bytes -= mem_piece_bytes(p);
	r->store->used_bytes -= mem_piece_bytes(p);
	mem_piece_free(p);
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
	c = call_new(r->store, say_read, arg);
	if (c == NULL)
		return ENOMEM;
	c->done.read = done;
	call_queue(c);
	return 0;
}

/* ---- the whole store ---- */

/* What only this torrent had is let go. */
static void forget_record(struct record *r)
{
	struct mem_store *m = r->store;
	struct mem_piece *p;
	size_t pos = 0;

	while ((p = hmap_next(r->pieces, &pos)) != NULL) {
		m->stats.held_bytes -= mem_piece_bytes(p);
		m->used_bytes -= mem_piece_bytes(p);
	}
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
	c->done.done(c->arg, c->err);
}

static int mem_remove(struct store *s, const struct torrent_id *id,
		      store_done_fn *done, void *arg)
{
	struct call *c = call_new(mem_of(s), say_removed, arg);

	if (c == NULL)
		return ENOMEM;
	c->done.done = done;
	c->id = *id;
	call_queue(c);
	return 0;
}

static int mem_flush(struct store *s, store_done_fn *done, void *arg)
{
	struct call *c = call_new(mem_of(s), say_done, arg);

	if (c == NULL)
		return ENOMEM;
	c->done.done = done;
	call_queue(c);
	return 0;
}

static int mem_err(const struct store *s)
{
	return 0;
}

static void mem_stats(const struct store *s, struct store_stats *out)
{
	*out = CONTAINER_OF(s, const struct mem_store, base)->stats;
}

static void mem_store_free(struct store *s)
{
	struct mem_store *m = mem_of(s);
	struct record *r;
	struct call *c;

	ASSERT_LOOP(m->loop);
	while ((c = TAILQ_FIRST(&m->calls)) != NULL) {
		loop_task_cancel(m->loop, &c->task);
		call_end(c);
	}
	while ((r = LIST_FIRST(&m->records)) != NULL) {
		assert(!r->is_open);
		LIST_REMOVE(r, link);
		record_free(r);
	}
	mem_files_fini(m);
	mem_free(m);
}

static const struct store_ops mem_ops = {
	.load_info = mem_load_info,
	.open = mem_open,
	.remove = mem_remove,
	.flush = mem_flush,
	.err = mem_err,
	.stats = mem_stats,
	.free = mem_store_free,
	.read_now = mem_read_now,
	.read = mem_read,
	.stage = mem_stage,
	.unstage = mem_unstage,
	.put = mem_put,
	.put_leaves = mem_put_leaves,
	.vouch = mem_vouch,
	.forget = mem_forget,
	.watch = mem_watch,
	.put_nodes = mem_put_nodes,
	.read_nodes = mem_read_nodes,
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
	if (mem_files_init(m) != 0) {
		mem_free(m);
		return ENOMEM;
	}
	*out = &m->base;
	return 0;
}
