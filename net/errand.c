/* errand — one item of BEP 44, there or back.
 *
 * Happy path: a search of the node asks for the item on the way to where it
 * lies. A get keeps the best that came until the search ends; an immutable item
 * cannot be bettered and ends it at once. A put compares what the closest nodes
 * have with what it brings, and goes on or does not. The answer is given on a
 * turn of its own, so that whoever gets it may do anything, the node's callers
 * not being up the stack.
 *
 * The node looks at CAS as well, and at seq; so what changes between our look
 * and our put is refused there, by as many nodes as have seen the change. Half
 * of the closest are enough to have lost; of two who put at once at most one
 * is told that he has won.
 *
 * States: `search` is set while it runs; then `task` is queued; then it is
 * gone. Without a DHT, or with an item that breaks a rule, it begins with the
 * task. */
#include "net/errand.h"

#include <string.h>

#include "core/err.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/queue.h"
#include "dht/items.h"
#include "net/engine_internal.h"
#include "net/errand_internal.h"
#include "net/mainline_internal.h"
#include "net/net_limits.h"

struct errand {
	TAILQ_ENTRY(errand) link;
	struct engine *e;
	struct dht_search *search; /* NULL: not under way (any more) */
	struct loop_task task;
	errand_done_fn *done;
	void *arg;
	struct errand_result result;
	bool is_put, has_cas;
	bool is_given; /* put: the nodes were asked to take it */
	int64_t cas;
	struct item_box mine;  /* put: the item; get: its key and salt */
	struct item_box found; /* when result.item says so */
};

bool item_box_set(struct item_box *b, const struct dht_item *item)
{
	size_t salt_len = item->is_mutable ? item->salt.len : 0;

	if (item->value.len > sizeof(b->value) || salt_len > sizeof(b->salt))
		return false;
	memmove(b->value, item->value.ptr, item->value.len);
	if (salt_len > 0)
		memmove(b->salt, item->salt.ptr, salt_len);
	if (item->is_mutable) {
		memmove(b->key, item->key, sizeof(b->key));
		memmove(b->sig, item->sig, sizeof(b->sig));
	}
	b->item = (struct dht_item){
		.value = span_of(b->value, item->value.len),
		.is_mutable = item->is_mutable,
		.key = item->is_mutable ? b->key : NULL,
		.sig = item->is_mutable ? b->sig : NULL,
		.seq = item->is_mutable ? item->seq : 0,
		.salt = span_of(b->salt, salt_len),
	};
	return true;
}

/* ---- the end ---- */

static void leave(struct errand *er)
{
	if (er->search != NULL) {
		dht_search_cancel(er->search);
		mainline_settle(er->e->mainline);
	}
	TAILQ_REMOVE(&er->e->errands, er, link);
	er->e->n_errands--;
	loop_task_cancel(er->e->cfg.loop, &er->task);
}

static void on_task(void *arg)
{
	struct errand *er = arg;

	leave(er);
	er->done(er->arg, &er->result);
	mem_free(er);
}

static void finish(struct errand *er, int err)
{
	er->search = NULL;
	er->result.err = err;
	loop_defer(er->e->cfg.loop, &er->task);
}

void errand_cancel(struct errand *er TAKES)
{
	if (er == NULL)
		return;
	leave(er);
	mem_free(er);
}

void errand_end_all(struct engine *e)
{
	struct errand *er;

	while ((er = TAILQ_FIRST(&e->errands)) != NULL) {
		leave(er);
		er->result = (struct errand_result){.err = ESHUTDOWN};
		er->done(er->arg, &er->result);
		mem_free(er);
	}
}

/* ---- what the search says ---- */

static void keep_found(struct errand *er, const struct dht_item *item)
{
	if (item_box_set(&er->found, item))
		er->result.item = &er->found.item;
}

static void on_item(void *arg, const struct dht_item *item)
{
	struct errand *er = arg;

	keep_found(er, item);
	if (er->is_put || item->is_mutable)
		return;
	dht_search_cancel(er->search);
	finish(er, 0);
}

static bool is_same(struct span a, struct span b)
{
	return a.len == b.len && memcmp(a.ptr, b.ptr, a.len) == 0;
}

/* 0: it may be put in the place of `best`. */
static int compare(const struct errand *er, const struct dht_item *best)
{
	const struct dht_item *mine = &er->mine.item;

	if (best == NULL || !mine->is_mutable)
		return 0;
	if (er->has_cas && best->seq != er->cas)
		return EAGAIN;
	if (best->seq > mine->seq)
		return EEXIST;
	if (best->seq == mine->seq && !is_same(best->value, mine->value))
		return EEXIST;
	return 0;
}

static bool on_put(void *arg, const struct dht_item *best, struct dht_item *put,
		   bool *has_cas, int64_t *cas)
{
	struct errand *er = arg;

	if (best != NULL)
		keep_found(er, best);
	er->result.err = compare(er, best);
	if (er->result.err != 0)
		return false;
	er->is_given = true;
	*put = er->mine.item;
	*has_cas = er->has_cas;
	*cas = er->cas;
	return true;
}

/* What the end of a search means that did not say so itself. */
static int verdict(const struct errand *er, const struct dht_outcome *o)
{
	if (er->result.err != 0)
		return er->result.err;
	if (er->is_given && o->is_outdone)
		return er->has_cas ? EAGAIN : EEXIST;
	if (er->is_given && o->n_stored > 0)
		return 0;
	if (!er->is_put && er->result.item != NULL)
		return 0;
	switch (o->why) {
	case DHT_END_DEADLINE:
		return ETIMEDOUT;
	case DHT_END_NOBODY:
		return EHOSTUNREACH;
	case DHT_END_DONE:
		break;
	}
	return er->is_put ? ECONNREFUSED : ENOENT;
}

static void on_end(void *arg, const struct dht_outcome *outcome)
{
	struct errand *er = arg;

	er->result.n_answered = outcome->n_answered;
	er->result.n_stored = outcome->n_stored;
	er->result.n_outdone = outcome->n_outdone;
	finish(er, verdict(er, outcome));
}

/* ---- the beginning ---- */

static int search(struct errand *er, const struct dht_id *target, bool is_calm,
		  unsigned deadline_ms)
{
	struct mainline *m = er->e->mainline;
	const struct dht_item *mine = &er->mine.item;
	struct dht_search_cfg cfg = {
		.ask = DHT_ASK_ITEM,
		.pace = is_calm ? DHT_PACE_BACKGROUND : DHT_PACE_URGENT,
		.target = *target,
		.deadline_us = (uint64_t)deadline_ms * 1000,
		.key = mine->is_mutable ? er->mine.key : NULL,
		.salt = mine->salt,
		.on_item = on_item,
		.on_put = er->is_put ? on_put : NULL,
		.on_end = on_end,
		.arg = er,
	};
	int r = dht_search_start(m->node, mainline_now_us(m), &cfg,
				 &er->search);

	mainline_settle(m);
	return r == EAGAIN ? EBUSY : r;
}

static int errand_new(struct engine *e, errand_done_fn *done, void *arg,
		      struct errand **out)
{
	struct errand *er;

	if (e->n_errands >= ERRANDS_MAX)
		return EBUSY;
	er = mem_new(struct errand);
	if (er == NULL)
		return ENOMEM;
	er->e = e;
	er->done = done;
	er->arg = arg;
	loop_task_init(&er->task, on_task, er);
	TAILQ_INSERT_TAIL(&e->errands, er, link);
	e->n_errands++;
	*out = er;
	return 0;
}

/* `err`: what is known already. */
static int begin(struct errand *er, int err, const struct dht_id *target,
		 bool is_calm, unsigned deadline_ms)
{
	int r = 0;

	if (err == 0 && er->e->is_stopping)
		err = ESHUTDOWN;
	if (err == 0 && er->e->mainline == NULL)
		err = ENETDOWN;
	if (deadline_ms > ERRAND_DEADLINE_MAX_MS)
		deadline_ms = ERRAND_DEADLINE_MAX_MS;
	if (err == 0)
		r = search(er, target, is_calm, deadline_ms);
	else
		finish(er, err);
	if (r != 0)
		errand_cancel(er);
	return r;
}

static struct hasher *hasher_of(const struct engine *e)
{
	return e->mainline != NULL ? e->mainline->hasher : NULL;
}

int errand_get(struct engine *e, const struct errand_want *want,
	       unsigned deadline_ms, errand_done_fn *done, void *arg,
	       struct errand **out)
{
	static const uint8_t no_sig[64];
	const struct dht_item like = {
		.is_mutable = want->is_mutable,
		.key = want->key,
		.sig = no_sig,
		.value = span_of(no_sig, 0),
		.salt = want->salt,
	};
	struct dht_id target;
	int r, err = 0;

	ASSERT_LOOP(e->cfg.loop);
	r = errand_new(e, done, arg, out);
	if (r != 0)
		return r;
	if (!item_box_set(&(*out)->mine, &like))
		err = EINVAL;
	memcpy(target.b, want->target, sizeof(target.b));
	if (err == 0 && want->is_mutable && hasher_of(e) != NULL)
		item_target(hasher_of(e), &(*out)->mine.item, &target);
	return begin(*out, err, &target, want->is_calm, deadline_ms);
}

int errand_put(struct engine *e, const struct dht_item *item,
	       const int64_t *cas, unsigned deadline_ms, errand_done_fn *done,
	       void *arg, struct errand **out)
{
	struct dht_id target = {{0}};
	int r, err = 0;

	ASSERT_LOOP(e->cfg.loop);
	r = errand_new(e, done, arg, out);
	if (r != 0)
		return r;
	(*out)->is_put = true;
	(*out)->has_cas = cas != NULL;
	(*out)->cas = cas != NULL ? *cas : 0;
	if (!item_box_set(&(*out)->mine, item) || item_look(item) != ITEM_GOOD)
		err = EINVAL;
	if (err == 0 && hasher_of(e) != NULL)
		item_target(hasher_of(e), &(*out)->mine.item, &target);
	return begin(*out, err, &target, false, deadline_ms);
}
