/* store_fault — a store that wraps another one and makes its n-th put, stage or
 * read fail. Owns what it wraps. For tests; header only, so that any test may
 * have it. */
#ifndef SHOAL_TESTS_STORE_FAULT_H
#define SHOAL_TESTS_STORE_FAULT_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/store_ops.h"
#include "cache/store_share.h"
#include "core/mem.h"
#include "core/queue.h"

enum fault_at {
	FAULT_NEVER,
	FAULT_PUT_START,   /* store_put itself says err */
	FAULT_PUT_WRITTEN, /* in the place of WRITTEN */
	FAULT_PUT_DURABLE, /* WRITTEN is said; in the place of DURABLE */
	FAULT_STAGE_START, /* store_stage itself says err */
	FAULT_STAGE,	   /* in the place of its done's 0 */
	FAULT_READ,	   /* store_read's done, and read_now says EAGAIN */
};

struct fault {
	struct store base;
	struct store_torrent handle;
	struct store *below;
	struct store_torrent *st; /* below's */
	enum fault_at at;
	unsigned in; /* 0: the next one */
	int err;
	bool is_sticky; /* all that follow, too */
	/* hold back DURABLE until fault_release */
	bool holds_durable;
	unsigned n_held;
	struct fault_call *held;
	/* hold back what reads say until fault_release_reads */
	bool holds_reads;
	unsigned n_held_reads;
	struct fault_call *held_reads;
	/* hold back what stages say until fault_release_stages */
	bool holds_stages;
	unsigned n_held_stages;
	struct fault_call *held_stages;
	unsigned n_stages, n_unstages;
	store_open_fn *open_done;
	void *open_arg;
};

struct fault_call {
	struct fault *f;
	struct fault_call *next;
	int err; /* what to say instead, or 0 */
	enum fault_at at;
	uint32_t ix;
	store_put_fn *put;
	store_read_fn *read;
	store_done_fn *done;
	void *arg;
};

static inline struct fault *fault_of(const struct store *s)
{
	return (struct fault *)(uintptr_t)s;
}

static inline struct fault *fault_of_torrent(struct store_torrent *st)
{
	return CONTAINER_OF(st, struct fault, handle);
}

enum fault_call_kind { FAULT_OF_PUT, FAULT_OF_STAGE, FAULT_OF_READ };

static inline enum fault_call_kind fault_kind(enum fault_at at)
{
	if (at == FAULT_READ)
		return FAULT_OF_READ;
	return at == FAULT_STAGE || at == FAULT_STAGE_START ? FAULT_OF_STAGE
							    : FAULT_OF_PUT;
}

static inline int fault_take(struct fault *f, enum fault_call_kind kind)
{
	if (f->at == FAULT_NEVER || kind != fault_kind(f->at))
		return 0;
	if (f->in > 0) {
		f->in--;
		return 0;
	}
	int err = f->err;

	if (!f->is_sticky)
		f->at = FAULT_NEVER;
	return err;
}

static inline void fault_on_open(void *arg, int err, struct store_torrent *st,
				 const struct bits *held)
{
	struct fault *f = arg;

	f->st = st;
	f->handle.store = &f->base;
	if (err == 0)
		f->handle.leaves = st->leaves; /* lent */
	f->open_done(f->open_arg, err, err == 0 ? &f->handle : NULL, held);
}

static inline int fault_open(struct store *s, const struct metainfo *mi,
			     store_open_fn *done, void *arg)
{
	struct fault *f = fault_of(s);

	f->open_done = done;
	f->open_arg = arg;
	return store_open(f->below, mi, fault_on_open, f);
}

static inline void fault_on_put(void *arg, uint32_t ix, enum store_phase phase,
				int err)
{
	struct fault_call *c = arg;
	struct fault *f = c->f;

	if (err == 0 && phase == STORE_WRITTEN) {
		if (c->err == 0 || c->at == FAULT_PUT_DURABLE) {
			c->put(c->arg, ix, phase, 0);
		} else {
			c->put(c->arg, ix, phase, c->err);
			c->put = NULL;
		}
		return;
	}
	if (c->put != NULL && f->holds_durable && err == 0) {
		c->ix = ix;
		c->next = f->held;
		f->held = c;
		f->n_held++;
		return;
	}
	if (c->put != NULL)
		c->put(c->arg, ix, phase, err != 0 ? err : c->err);
	mem_free(c);
}

/* Say what was held back. */
static inline void fault_release(struct fault *f)
{
	struct fault_call *c;

	f->holds_durable = false;
	while ((c = f->held) != NULL) {
		f->held = c->next;
		f->n_held--;
		c->put(c->arg, c->ix, STORE_DURABLE, c->err);
		mem_free(c);
	}
}

static inline void fault_on_read(void *arg, int err)
{
	struct fault_call *c = arg;
	struct fault *f = c->f;

	if (c->err == 0)
		c->err = err;
	if (f->holds_reads) {
		c->next = f->held_reads;
		f->held_reads = c;
		f->n_held_reads++;
		return;
	}
	c->read(c->arg, c->err);
	mem_free(c);
}

/* Say what was held back; reads that are asked for meanwhile are held back. */
static inline void fault_release_reads(struct fault *f)
{
	struct fault_call *c, *next = f->held_reads;

	f->held_reads = NULL;
	f->n_held_reads = 0;
	while ((c = next) != NULL) {
		next = c->next;
		c->read(c->arg, c->err);
		mem_free(c);
	}
}

static inline int fault_put(struct store_torrent *st, uint32_t ix,
			    struct blk *data, store_put_fn *done, void *arg)
{
	struct fault *f = fault_of_torrent(st);
	struct fault_call *c = mem_new(struct fault_call);
	int err;

	if (c == NULL)
		return ENOMEM;
	c->f = f;
	c->put = done;
	c->arg = arg;
	c->at = f->at;
	c->err = fault_take(f, FAULT_OF_PUT);
	err = c->err != 0 && c->at == FAULT_PUT_START
		      ? c->err
		      : store_put(f->st, ix, data, fault_on_put, c);
	if (err != 0)
		mem_free(c);
	return err;
}

static inline void fault_on_stage(void *arg, int err)
{
	struct fault_call *c = arg;
	struct fault *f = c->f;

	if (c->err == 0)
		c->err = err;
	if (f->holds_stages) {
		c->next = f->held_stages;
		f->held_stages = c;
		f->n_held_stages++;
		return;
	}
	c->done(c->arg, c->err);
	mem_free(c);
}

/* Say what was held back; what is staged from now on is held back as before. */
static inline void fault_release_stages(struct fault *f)
{
	struct fault_call *c, *next = f->held_stages;

	f->held_stages = NULL;
	f->n_held_stages = 0;
	while ((c = next) != NULL) {
		next = c->next;
		c->done(c->arg, c->err);
		mem_free(c);
	}
}

static inline int fault_stage(struct store_torrent *st, uint32_t ix,
			      uint32_t at, struct blk *data,
			      store_done_fn *done, void *arg)
{
	struct fault *f = fault_of_torrent(st);
	struct fault_call *c = mem_new(struct fault_call);
	int err;

	if (c == NULL)
		return ENOMEM;
	c->f = f;
	c->done = done;
	c->arg = arg;
	c->at = f->at;
	c->err = fault_take(f, FAULT_OF_STAGE);
	f->n_stages++;
	err = c->err != 0 && c->at == FAULT_STAGE_START
		      ? c->err
		      : store_stage(f->st, ix, at, data, fault_on_stage, c);
	if (err != 0)
		mem_free(c);
	return err;
}

static inline void fault_unstage(struct store_torrent *st, uint32_t ix)
{
	struct fault *f = fault_of_torrent(st);

	f->n_unstages++;
	store_unstage(f->st, ix);
}

static inline int fault_read(struct store_torrent *st, uint64_t off,
			     uint32_t len, uint8_t *dst, store_read_fn *done,
			     void *arg)
{
	struct fault *f = fault_of_torrent(st);
	struct fault_call *c = mem_new(struct fault_call);
	int err;

	if (c == NULL)
		return ENOMEM;
	c->f = f;
	c->read = done;
	c->arg = arg;
	c->err = fault_take(f, FAULT_OF_READ);
	err = store_read(f->st, off, len, dst, fault_on_read, c);
	if (err != 0)
		mem_free(c);
	return err;
}

static inline int fault_read_staged(struct store_torrent *st, uint32_t ix,
				    uint32_t at, uint32_t len, uint8_t *dst,
				    store_read_fn *done, void *arg)
{
	struct fault *f = fault_of_torrent(st);
	struct fault_call *c = mem_new(struct fault_call);
	int err;

	if (c == NULL)
		return ENOMEM;
	c->f = f;
	c->read = done;
	c->arg = arg;
	c->err = fault_take(f, FAULT_OF_READ);
	err = store_read_staged(f->st, ix, at, len, dst, fault_on_read, c);
	if (err != 0)
		mem_free(c);
	return err;
}

static inline int fault_read_now(struct store_torrent *st, uint64_t off,
				 uint32_t len, uint8_t *dst)
{
	struct fault *f = fault_of_torrent(st);

	if (f->at == FAULT_READ)
		return EAGAIN;
	return store_read_now(f->st, off, len, dst);
}

static inline int fault_load_note(struct store *s, const char *name,
				  store_info_fn *done, void *arg)
{
	return store_load_note(fault_of(s)->below, name, done, arg);
}

static inline int fault_keep_note(struct store *s, const char *name,
				  struct span note, store_done_fn *done,
				  void *arg)
{
	return store_keep_note(fault_of(s)->below, name, note, done, arg);
}

static inline int fault_load_info(struct store *s, const struct torrent_id *id,
				  store_info_fn *done, void *arg)
{
	return store_load_info(fault_of(s)->below, id, done, arg);
}

static inline int fault_flush(struct store *s, store_done_fn *done, void *arg)
{
	return store_flush(fault_of(s)->below, done, arg);
}

static inline int fault_err(const struct store *s)
{
	return store_err(fault_of(s)->below);
}

static inline void fault_stats(const struct store *s, struct store_stats *out)
{
	store_stats(fault_of(s)->below, out);
}

static inline int fault_remove(struct store *s, const struct torrent_id *id,
			       store_done_fn *done, void *arg)
{
	return store_remove(fault_of(s)->below, id, done, arg);
}

static inline int fault_put_leaves(struct store_torrent *st, uint32_t ix,
				   uint32_t at, struct blk *data,
				   store_put_fn *done, void *arg)
{
	return store_put_leaves(fault_of_torrent(st)->st, ix, at, data, done,
				arg);
}

static inline void fault_vouch(struct store_torrent *st, uint32_t piece_ix)
{
	store_vouch(fault_of_torrent(st)->st, piece_ix);
}

static inline void fault_watch(struct store_torrent *st,
			       const struct store_share_ops *ops, void *arg)
{
	store_watch(fault_of_torrent(st)->st, ops, arg);
}

static inline void fault_put_nodes(struct store_torrent *st, uint32_t file_ix,
				   unsigned level, uint64_t index, uint32_t n,
				   const uint8_t *hashes)
{
	store_put_nodes(fault_of_torrent(st)->st, file_ix, level, index, n,
			hashes);
}

static inline int fault_read_nodes(struct store_torrent *st, uint32_t file_ix,
				   unsigned level, uint64_t index, uint32_t n,
				   uint8_t *dst, store_read_fn *done, void *arg)
{
	return store_read_nodes(fault_of_torrent(st)->st, file_ix, level, index,
				n, dst, done, arg);
}

static inline void fault_forget(struct store_torrent *st, uint32_t ix)
{
	store_forget(fault_of_torrent(st)->st, ix);
}

static inline int fault_keep_pins(struct store_torrent *st,
				  const struct bits *files)
{
	return store_keep_pins(fault_of_torrent(st)->st, files);
}

static inline void fault_close(struct store_torrent *st)
{
	store_close(fault_of_torrent(st)->st);
}

static inline void fault_free(struct store *s)
{
	struct fault *f = fault_of(s);

	store_free(f->below);
	mem_free(f);
}

static const struct store_ops fault_ops = {
	.load_info = fault_load_info,
	.load_note = fault_load_note,
	.keep_note = fault_keep_note,
	.open = fault_open,
	.remove = fault_remove,
	.flush = fault_flush,
	.err = fault_err,
	.stats = fault_stats,
	.free = fault_free,
	.read_now = fault_read_now,
	.read = fault_read,
	.stage = fault_stage,
	.read_staged = fault_read_staged,
	.unstage = fault_unstage,
	.put = fault_put,
	.put_leaves = fault_put_leaves,
	.vouch = fault_vouch,
	.forget = fault_forget,
	.watch = fault_watch,
	.put_nodes = fault_put_nodes,
	.read_nodes = fault_read_nodes,
	.keep_pins = fault_keep_pins,
	.close = fault_close,
};

/* fault_new — takes `below`. One torrent at a time. */
static inline struct fault *fault_new(struct store *below)
{
	struct fault *f = mem_new(struct fault);

	if (f == NULL)
		return NULL;
	f->base.ops = &fault_ops;
	f->below = below;
	return f;
}

#endif
