/* dht_world — nodes in one process, a clock and a network between them, from
 * one seed. Include after cmocka.h. */
#ifndef SHOAL_UNIT_DHT_WORLD_H
#define SHOAL_UNIT_DHT_WORLD_H

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/heap.h"
#include "core/hmap.h"
#include "core/mem.h"
#include "core/queue.h"
#include "core/rng.h"
#include "dht/node.h"
#include "dht/node_internal.h"

enum { WORLD_NODES_MAX = 2200, WORLD_DATAGRAMS_MAX = 20000 };

struct world;

struct world_node {
	struct world *w;
	struct dht_node *node; /* NULL: it is gone, or a lying one */
	struct addr a;
	struct heap_node wake;
	/* For nodes that are not ours: what comes. */
	void (*on_datagram)(struct world_node *self, const struct addr *from,
			    const uint8_t *bytes, size_t len);
	void *arg;
};

struct world_datagram {
	struct heap_node due;
	struct addr from, to;
	size_t len;
	uint8_t bytes[];
};

struct world {
	struct world_node nodes[WORLD_NODES_MAX];
	uint32_t n;
	struct hmap *by_addr;
	struct heap datagrams, wakes;
	struct rng rng;
	struct hasher *hasher;
	uint64_t now_us;
	uint64_t n_sent, n_bytes;
	uint32_t loss_percent;
	double delay_us, sigma;
};

static void world_init(struct world *w, uint64_t seed)
{
	memset(w, 0, sizeof(*w));
	rng_seed(&w->rng, seed);
	w->now_us = 1000000;
	w->delay_us = 40000; /* one way */
	w->sigma = 0.3;
	assert_int_equal(hmap_new(ADDR_KEY_BYTES, &w->by_addr), 0);
	assert_int_equal(hasher_new(&w->hasher), 0);
	assert_int_equal(heap_reserve(&w->wakes, WORLD_NODES_MAX), 0);
	assert_int_equal(heap_reserve(&w->datagrams, WORLD_DATAGRAMS_MAX), 0);
}

static void world_fini(struct world *w)
{
	struct heap_node *h;

	for (uint32_t i = 0; i < w->n; i++)
		dht_node_free(w->nodes[i].node);
	while ((h = heap_first(&w->datagrams)) != NULL) {
		heap_del(&w->datagrams, h);
		free(CONTAINER_OF(h, struct world_datagram, due));
	}
	heap_fini(&w->datagrams);
	heap_fini(&w->wakes);
	hmap_free(w->by_addr);
	hasher_free(w->hasher);
}

static uint64_t world_delay(struct world *w)
{
	double u = ((double)(rng_next(&w->rng) >> 11) + 1) * 0x1p-53;
	double v = ((double)(rng_next(&w->rng) >> 11) + 1) * 0x1p-53;
	double z = sqrt(-2 * log(u)) * cos(6.283185307179586 * v);

	return (uint64_t)(w->delay_us * exp(w->sigma * z));
}

static void world_send(struct world *w, const struct addr *from,
		       const struct addr *to, const void *bytes, size_t len)
{
	struct world_datagram *d;

	w->n_sent++;
	w->n_bytes += len;
	if (rng_below(&w->rng, 100) < w->loss_percent)
		return;
	/* Not of mem: tests let that fail. */
	d = calloc(1, sizeof(*d) + len);
	assert_non_null(d);
	d->from = *from;
	d->to = *to;
	d->len = len;
	memcpy(d->bytes, bytes, len);
	assert_true(w->datagrams.n < WORLD_DATAGRAMS_MAX);
	heap_add(&w->datagrams, &d->due, w->now_us + world_delay(w));
}

static void world_node_send(void *arg, const struct addr *to, const void *bytes,
			    size_t len)
{
	struct world_node *wn = arg;

	assert_in_range(len, 1, DHT_DATAGRAM_MAX);
	world_send(wn->w, &wn->a, to, bytes, len);
}

static void world_rearm(struct world_node *wn)
{
	uint64_t next_us;

	if (heap_has(&wn->wake))
		heap_del(&wn->w->wakes, &wn->wake);
	if (!wn->node)
		return;
	next_us = dht_node_next_us(wn->node);
	if (next_us != UINT64_MAX)
		heap_add(&wn->w->wakes, &wn->wake, next_us);
}

static struct world_node *world_place(struct world *w, const struct addr *a)
{
	struct world_node *wn = &w->nodes[w->n++];
	uint8_t key[ADDR_KEY_BYTES];

	assert_true(w->n <= WORLD_NODES_MAX);
	wn->w = w;
	wn->a = *a;
	addr_key(a, key);
	assert_int_equal(hmap_put(w->by_addr, key, wn), 0);
	return wn;
}

static struct addr world_addr(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, text), 0);
	return a;
}

/* A public address of a network of its own. */
static struct addr world_public(struct world *w)
{
	char text[ADDR_TEXT_BYTES];
	uint32_t i = w->n;

	(void)snprintf(text, sizeof(text), "%u.%u.%u.%u:6881", 30 + i % 90,
		       i / 200 % 200, i % 200, 1 + i % 250);
	return world_addr(text);
}

/* A node of ours; `like` may be NULL. */
static struct world_node *world_add(struct world *w, const struct addr *a,
				    const struct dht_cfg *like)
{
	struct world_node *wn = world_place(w, a);
	struct dht_cfg cfg = {0};

	if (like)
		cfg = *like;
	cfg.send = world_node_send;
	cfg.arg = wn;
	cfg.hasher = w->hasher;
	cfg.has[node_family(a)] = true;
	for (size_t i = 0; i < sizeof(cfg.seed); i++)
		cfg.seed[i] = (uint8_t)rng_next(&w->rng);
	assert_int_equal(dht_node_new(&cfg, w->now_us, &wn->node), 0);
	world_rearm(wn);
	return wn;
}

static void world_kill(struct world_node *wn)
{
	dht_node_free(wn->node);
	wn->node = NULL;
	world_rearm(wn);
}

static void world_deliver(struct world *w, struct world_datagram *d)
{
	uint8_t key[ADDR_KEY_BYTES];
	struct world_node *wn;

	addr_key(&d->to, key);
	wn = hmap_get(w->by_addr, key);
	if (wn && wn->node) {
		assert_true(dht_node_receive(wn->node, w->now_us, &d->from,
					     d->bytes, d->len));
		world_rearm(wn);
	} else if (wn && wn->on_datagram) {
		wn->on_datagram(wn, &d->from, d->bytes, d->len);
	}
	free(d);
}

/* The next thing that happens, if it does by `until_us`. */
static bool world_step(struct world *w, uint64_t until_us)
{
	struct heap_node *d = heap_first(&w->datagrams);
	struct heap_node *t = heap_first(&w->wakes);

	if (d && (!t || d->key <= t->key)) {
		if (d->key > until_us)
			return false;
		heap_del(&w->datagrams, d);
		w->now_us = d->key;
		world_deliver(w, CONTAINER_OF(d, struct world_datagram, due));
		return true;
	}
	if (!t || t->key > until_us)
		return false;
	if (t->key > w->now_us)
		w->now_us = t->key;
	dht_node_wake(CONTAINER_OF(t, struct world_node, wake)->node,
		      w->now_us);
	world_rearm(CONTAINER_OF(t, struct world_node, wake));
	return true;
}

static void world_run(struct world *w, uint64_t for_us)
{
	uint64_t until_us = w->now_us + for_us;

	while (world_step(w, until_us))
		;
	w->now_us = until_us;
}

/* `n` nodes at public addresses that all know the first of them, and have had
 * a minute. */
static void world_grow(struct world *w, uint32_t n, const struct dht_cfg *like)
{
	for (uint32_t i = 0; i < n; i++) {
		struct addr a = world_public(w);
		struct world_node *wn = world_add(w, &a, like);

		if (i > 0) {
			dht_node_endpoint(wn->node, w->now_us, &w->nodes[0].a);
			world_rearm(wn);
		}
		world_run(w, 100000);
	}
	world_run(w, 60000000);
}

/* ---- a search that is looked at ---- */

struct watch {
	struct world_node *wn;
	struct dht_search *search;
	struct addr peers[64];
	uint32_t n_peers, n_calls;
	uint64_t started_us, first_us; /* 0: none came */
	bool has_ended;
	struct dht_outcome outcome;
	bool cancels; /* in the first callback */
};

static void watch_on_peers(void *arg, const struct addr *peers, size_t n)
{
	struct watch *t = arg;

	assert_false(t->has_ended);
	t->n_calls++;
	if (t->first_us == 0)
		t->first_us = t->wn->w->now_us;
	for (size_t i = 0; i < n && t->n_peers < 64; i++)
		t->peers[t->n_peers++] = peers[i];
	if (t->cancels)
		dht_search_cancel(t->search);
}

static void watch_on_end(void *arg, const struct dht_outcome *outcome)
{
	struct watch *t = arg;

	assert_false(t->has_ended);
	t->has_ended = true;
	t->search = NULL;
	t->outcome = *outcome;
}

static void watch_start(struct watch *t, struct world_node *wn,
			const struct dht_search_cfg *like)
{
	struct dht_search_cfg cfg = *like;
	bool cancels = t->cancels;

	*t = (struct watch){
		.wn = wn,
		.started_us = wn->w->now_us,
		.cancels = cancels,
	};
	cfg.on_peers = watch_on_peers;
	cfg.on_end = watch_on_end;
	cfg.arg = t;
	assert_int_equal(
		dht_search_start(wn->node, wn->w->now_us, &cfg, &t->search), 0);
	world_rearm(wn);
}

static void watch_run(struct watch *t, uint64_t most_us)
{
	uint64_t until_us = t->wn->w->now_us + most_us;

	while (!t->has_ended && world_step(t->wn->w, until_us))
		;
	assert_true(t->has_ended);
}

static struct dht_id world_target(struct world *w)
{
	struct dht_id id;

	for (size_t i = 0; i < DHT_ID_BYTES; i++)
		id.b[i] = (uint8_t)rng_next(&w->rng);
	return id;
}

#endif
