/* net_world — whole engines in one process: one loop, real sockets on
 * loopback, stores in memory. For test_engine.c and test_swarm.c. */
#ifndef SHOAL_TESTS_NET_WORLD_H
#define SHOAL_TESTS_NET_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cache/store.h"
#include "cache/store_mem.h"
#include "core/blk.h"
#include "core/buf.h"
#include "core/err.h"
#include "core/hash.h"
#include "core/loop.h"
#include "core/magnet.h"
#include "core/mem.h"
#include "core/merkle.h"
#include "core/metainfo.h"
#include "core/worker.h"
#include "net/engine.h"
#include "net/swarm.h"
#include "net/torrent.h"
#include "net/torrent_internal.h"
#include "net/wire.h"
#include "tests/lib/store_fault.h"

enum { WORLD_NODES = 5, WORLD_LIMIT_MS = 30000 };

struct world;

struct node {
	struct world *w;
	struct store *store;
	struct fault *fault; /* the same, if the world wants them */
	struct engine *engine;
	struct torrent *t;
	uint16_t rogue_port; /* instead of an engine */
	bool is_ready, has_failed, is_stopped;
};

enum world_kind { WORLD_V1, WORLD_V2, WORLD_HYBRID };

struct world {
	struct loop *loop;
	struct workers *workers, *names;
	struct blk_pool *pool;
	struct hasher *hasher;
	struct loop_timer *tick;
	unsigned waited_ms;
	bool (*is_done)(void *arg);
	void *done_arg;
	/* the torrent */
	uint8_t *content;
	uint64_t total;
	uint32_t piece_bytes, n_pieces;
	struct buf file;
	bool is_private; /* the torrent made next is (BEP 27) */
	enum world_kind kind;
	bool has_dht; /* nodes started now have one, and know node 0 … */
	bool has_no_router; /* … or nobody */
	bool has_faults;    /* the stores of nodes started now can fail */
	uint64_t unverified_bytes; /* each engine's cap; 0: plenty */
	struct node nodes[WORLD_NODES];
};

/* The same tests are run once more with every piece staged, block by block. */
static inline uint32_t world_is_staged(void)
{
	return getenv("WORLD_STAGED") != NULL;
}

/* ---- time ---- */

static void world_on_tick(void *arg)
{
	struct world *w = arg;

	if (w->is_done(w->done_arg)) {
		loop_stop(w->loop);
		return;
	}
	if (++w->waited_ms > WORLD_LIMIT_MS) {
		fprintf(stderr, "the world waited too long\n");
		loop_stop(w->loop);
		return;
	}
	loop_timer_start(w->tick, 1000);
}

/* Run until `is_done`; fails when that takes WORLD_LIMIT_MS. */
static void world_run(struct world *w, bool (*is_done)(void *arg), void *arg)
{
	w->is_done = is_done;
	w->done_arg = arg;
	w->waited_ms = 0;
	loop_timer_start(w->tick, 1);
	assert_int_equal(loop_run(w->loop), 0);
	assert_true(w->waited_ms <= WORLD_LIMIT_MS);
}

/* ---- the torrent ---- */

/* The same content as one file with v2 hashes, beside v1's or alone. More than
 * one piece. */
static inline void world_encode_v2(struct world *w, const uint8_t *v1_hashes)
{
	uint32_t height = merkle_height(w->piece_bytes / MERKLE_LEAF_BYTES);
	struct buf layer = {0};
	struct merkle piece, file;
	uint8_t hash[HASH_SHA256_BYTES];
	uint32_t i;

	merkle_begin(&file, w->hasher, height);
	for (i = 0; i < w->n_pieces; i++) {
		uint64_t off = (uint64_t)i * w->piece_bytes;
		uint64_t left = w->total - off;

		merkle_begin(&piece, w->hasher, 0);
		merkle_add_data(&piece, w->content + off,
				left < w->piece_bytes ? left : w->piece_bytes);
		merkle_root(&piece, height, hash);
		merkle_add(&file, hash);
		buf_add(&layer, hash, sizeof(hash));
	}
	merkle_root(&file, merkle_height(w->n_pieces), hash);
	buf_addf(&w->file,
		 "d4:infod9:file treed11:content.bind0:d6:lengthi%llue"
		 "11:pieces root32:",
		 (unsigned long long)w->total);
	buf_add(&w->file, hash, sizeof(hash));
	buf_add_str(&w->file, "eee");
	if (v1_hashes != NULL)
		buf_addf(&w->file, "6:lengthi%llue",
			 (unsigned long long)w->total);
	buf_addf(&w->file,
		 "12:meta versioni2e4:name11:content.bin12:piece lengthi%ue",
		 w->piece_bytes);
	if (v1_hashes != NULL) {
		buf_addf(&w->file, "6:pieces%u:", 20 * w->n_pieces);
		buf_add(&w->file, v1_hashes, 20u * w->n_pieces);
	}
	buf_add_str(&w->file, "e12:piece layersd32:");
	buf_add(&w->file, hash, sizeof(hash));
	buf_addf(&w->file, "%zu:", layer.len);
	buf_add(&w->file, layer.data, layer.len);
	buf_add_str(&w->file, "ee");
	buf_fini(&layer);
}

static inline void world_torrent(struct world *w, uint32_t n_pieces,
				 uint32_t piece_bytes, uint64_t total)
{
	static const char *const path[] = {"content.bin"};
	struct mi_source_file file = {
		.path = path, .n_path = 1, .len_bytes = total};
	struct mi_source src = {.name = "content.bin",
				.is_single = true,
				.files = &file,
				.n_files = 1,
				.piece_bytes = piece_bytes,
				.n_pieces = n_pieces,
				.is_private = w->is_private};
	uint8_t *hashes = mem_alloc(20u * n_pieces);
	uint32_t x = 12345, i;
	uint64_t at;

	w->total = total;
	w->n_pieces = n_pieces;
	w->piece_bytes = piece_bytes;
	w->content = mem_alloc(total);
	for (at = 0; at < total; at++) {
		x = x * 1664525u + 1013904223u;
		w->content[at] = (uint8_t)(x >> 24);
	}
	for (i = 0; i < n_pieces; i++) {
		uint64_t off = (uint64_t)i * piece_bytes;
		uint64_t len =
			total - off < piece_bytes ? total - off : piece_bytes;

		hasher_once(w->hasher, HASH_SHA1, w->content + off, len,
			    hashes + 20u * i);
	}
	src.v1_hashes = hashes;
	if (w->kind == WORLD_V1)
		assert_int_equal(metainfo_encode(&src, &w->file), 0);
	else
		world_encode_v2(w, w->kind == WORLD_HYBRID ? hashes : NULL);
	mem_free(hashes);
}

/* `n` files of `file_bytes`, less than a piece, each behind the padding of the
 * one before it. */
static inline void world_padded_torrent(struct world *w, uint32_t n,
					uint32_t file_bytes,
					uint32_t piece_bytes)
{
	static const char *const names[][2] = {{"f0"}, {"f1"}, {"f2"}, {"f3"}};
	static const char *const pad[] = {".pad", "0"};
	uint8_t roots[4][HASH_SHA256_BYTES], hashes[4 * HASH_SHA1_BYTES];
	struct mi_source_file files[8] = {{0}};
	struct mi_source src = {.name = "padded",
				.files = files,
				.n_files = 2 * n - 1,
				.piece_bytes = piece_bytes,
				.v1_hashes = hashes,
				.n_pieces = n,
				.has_v2 = w->kind == WORLD_HYBRID};

	w->n_pieces = n;
	w->piece_bytes = piece_bytes;
	w->total = (uint64_t)(n - 1) * piece_bytes + file_bytes;
	w->content = mem_zalloc((size_t)n, piece_bytes);
	for (uint32_t i = 0; i < n; i++) {
		uint8_t *data = w->content + (size_t)i * piece_bytes;
		bool is_last = i + 1 == n;
		struct merkle m;

		for (uint32_t k = 0; k < file_bytes; k++)
			data[k] = (uint8_t)(k * 7 + k / 256 + i + 1);
		hasher_once(w->hasher, HASH_SHA1, data,
			    is_last ? file_bytes : piece_bytes,
			    hashes + (size_t)i * HASH_SHA1_BYTES);
		merkle_begin(&m, w->hasher, 0);
		merkle_add_data(&m, data, file_bytes);
		merkle_root(
			&m,
			merkle_height((file_bytes - 1) / MERKLE_LEAF_BYTES + 1),
			roots[i]);
		files[2 * i] = (struct mi_source_file){.path = names[i],
						       .n_path = 1,
						       .len_bytes = file_bytes,
						       .root = roots[i]};
		if (!is_last)
			files[2 * i + 1] = (struct mi_source_file){
				.path = pad,
				.n_path = 2,
				.len_bytes = piece_bytes - file_bytes,
				.attr = MI_ATTR_PAD};
	}
	assert_int_equal(metainfo_encode(&src, &w->file), 0);
}

/* So that another one can be made. */
static inline void world_forget_torrent(struct world *w)
{
	mem_free(w->content);
	buf_fini(&w->file);
	w->content = NULL;
}

static struct metainfo *world_metainfo(struct world *w)
{
	struct metainfo *mi;
	struct mi_error err;

	assert_int_equal(metainfo_parse_file(w->file.data, w->file.len,
					     w->hasher, &mi, &err),
			 0);
	return mi;
}

/* ---- what a node holds ---- */

enum holds { HOLDS_NONE, HOLDS_ALL, HOLDS_EVEN, HOLDS_ODD, HOLDS_WRONG };

struct filling {
	struct store_torrent *st;
	unsigned n_left;
	bool is_open;
};

static void filling_on_open(void *arg, int err, struct store_torrent *st,
			    const struct bits *held)
{
	struct filling *f = arg;

	assert_int_equal(err, 0);
	(void)held;
	f->st = st;
	f->is_open = true;
}

static void filling_on_put(void *arg, uint32_t ix, enum store_phase phase,
			   int err)
{
	struct filling *f = arg;

	(void)ix;
	assert_int_equal(err, 0);
	if (phase == STORE_DURABLE)
		f->n_left--;
}

static bool filling_is_open(void *arg)
{
	return ((struct filling *)arg)->is_open;
}

static bool filling_is_done(void *arg)
{
	return ((struct filling *)arg)->n_left == 0;
}

static void node_put(struct node *n, struct filling *f, uint32_t ix,
		     enum holds holds)
{
	struct world *w = n->w;
	uint64_t off = (uint64_t)ix * w->piece_bytes;
	uint64_t len = w->total - off < w->piece_bytes ? w->total - off
						       : w->piece_bytes;
	struct blk *b = blk_new(w->pool, len);
	uint64_t at;

	memcpy(b->data, w->content + off, len);
	/* Whichever of its blocks are sent, they are wrong. */
	for (at = 0; holds == HOLDS_WRONG && at < len; at += WIRE_BLOCK_BYTES)
		b->data[at] ^= 0xff;
	f->n_left++;
	assert_int_equal(store_put(f->st, ix, b, filling_on_put, f), 0);
	blk_drop(b);
}

static void node_fill(struct node *n, enum holds holds)
{
	struct metainfo *mi = world_metainfo(n->w);
	struct filling f = {0};
	uint32_t ix;

	assert_int_equal(store_open(n->store, mi, filling_on_open, &f), 0);
	world_run(n->w, filling_is_open, &f);
	for (ix = 0; ix < n->w->n_pieces; ix++)
		if (holds == HOLDS_ALL || holds == HOLDS_WRONG ||
		    (holds == HOLDS_EVEN) == (ix % 2 == 0))
			node_put(n, &f, ix, holds);
	world_run(n->w, filling_is_done, &f);
	store_close(f.st);
	metainfo_free(mi);
}

/* ---- nodes ---- */

static void node_on_ready(void *arg, struct torrent *t)
{
	struct node *n = arg;

	assert_ptr_equal(t, n->t);
	assert_false(n->is_ready);
	n->is_ready = true;
}

static void node_on_failed(void *arg, struct torrent *t)
{
	(void)t;
	((struct node *)arg)->has_failed = true;
}

static const struct engine_ops node_ops = {.on_ready = node_on_ready,
					   .on_failed = node_on_failed};

static bool node_is_ready(void *arg)
{
	const struct node *n = arg;

	return n->is_ready || n->has_failed;
}

/* An engine that holds so much; `peers` are ports it is told of. */
static void node_start(struct world *w, unsigned ix, enum holds holds,
		       const unsigned *peers, unsigned n_peers, bool no_seed)
{
	struct node *n = &w->nodes[ix];
	char text[WORLD_NODES][32];
	const char *ptrs[WORLD_NODES];
	struct engine_cfg cfg = {.loop = w->loop,
				 .workers = w->workers,
				 .names = w->names,
				 .pool = w->pool,
				 .ops = &node_ops,
				 .arg = n,
				 .peers = ptrs,
				 .n_peers = n_peers,
				 .no_seed = no_seed,
				 .unverified_bytes =
					 w->unverified_bytes != 0
						 ? w->unverified_bytes
						 : 64 << 20,
				 .whole_max_bytes = world_is_staged(),
				 .segment_bytes = WIRE_BLOCK_BYTES,
				 .recent_bytes = 1 << 20};
	char router[32];
	const char *routers[] = {router};
	struct addr any;
	char why[160];
	unsigned i;

	n->w = w;
	cfg.has_dht = w->has_dht;
	if (w->has_dht && !w->has_no_router && ix > 0) {
		(void)snprintf(router, sizeof(router), "127.0.0.1:%u",
			       engine_port(w->nodes[0].engine));
		cfg.dht_bootstrap = routers;
		cfg.n_dht_bootstrap = 1;
	}
	assert_int_equal(addr_parse(&any, "127.0.0.1:0"), 0);
	cfg.bind_to = &any;
	for (i = 0; i < n_peers; i++) {
		const struct node *peer = &w->nodes[peers[i]];

		(void)snprintf(text[i], sizeof(text[i]), "127.0.0.1:%u",
			       peer->engine != NULL ? engine_port(peer->engine)
						    : peer->rogue_port);
		ptrs[i] = text[i];
	}
	assert_int_equal(store_mem_new(w->loop, 256 << 20, &n->store), 0);
	if (w->has_faults) {
		n->fault = fault_new(n->store);
		n->store = &n->fault->base;
	}
	if (holds != HOLDS_NONE)
		node_fill(n, holds);
	cfg.store = n->store;
	assert_int_equal(engine_new(&cfg, &n->engine, why), 0);
}

static void node_add(struct node *n)
{
	struct engine_source src = {.mi = world_metainfo(n->w)};

	assert_int_equal(engine_add(n->engine, src, &n->t), 0);
	world_run(n->w, node_is_ready, n);
	assert_true(n->is_ready);
}

static inline void node_seed(struct world *w, unsigned ix, enum holds holds)
{
	node_start(w, ix, holds, NULL, 0, false);
	node_add(&w->nodes[ix]);
}

static void node_on_stopped(void *arg)
{
	((struct node *)arg)->is_stopped = true;
}

static bool node_is_stopped(void *arg)
{
	return ((struct node *)arg)->is_stopped;
}

static void node_stop(struct node *n)
{
	if (n->engine == NULL)
		return;
	engine_stop(n->engine, 2000, node_on_stopped, n);
	assert_false(n->is_stopped);
	world_run(n->w, node_is_stopped, n);
	engine_free(n->engine);
	store_free(n->store);
	*n = (struct node){.w = n->w};
}

/* Tell a node's torrent where another node is. */
static inline void node_meet(struct node *n, struct node *other)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, "127.0.0.1:1"), 0);
	addr_set_port(&a, engine_port(other->engine));
	assert_int_equal(swarm_add_addr(n->t->swarm, &a), 0);
}

/* ---- reads ---- */

struct reading {
	struct world *w;
	uint64_t off;
	uint32_t len;
	struct torrent_read *rd;
	bool is_done;
	int err;
};

static void reading_on_done(void *arg, int err, const struct iovec *iov,
			    unsigned n_iov)
{
	struct reading *r = arg;
	uint64_t at = r->off;
	unsigned i;

	assert_false(r->is_done);
	r->rd = NULL;
	r->is_done = true;
	r->err = err;
	for (i = 0; i < n_iov; i++) {
		assert_memory_equal(iov[i].iov_base, r->w->content + at,
				    iov[i].iov_len);
		at += iov[i].iov_len;
	}
	if (err == 0)
		assert_int_equal(at - r->off, r->len);
}

static inline bool reading_is_done(void *arg)
{
	return ((struct reading *)arg)->is_done;
}

static inline void reading_start(struct reading *r, struct node *n,
				 uint64_t off, uint32_t len)
{
	*r = (struct reading){.w = n->w, .off = off, .len = len};
	assert_int_equal(
		torrent_read_start(n->t, off, len, reading_on_done, r, &r->rd),
		0);
	assert_false(r->is_done);
}

/* Read a range and compare it with the content. */
static inline void node_read(struct node *n, uint64_t off, uint32_t len)
{
	struct reading r;

	reading_start(&r, n, off, len);
	world_run(n->w, reading_is_done, &r);
	assert_int_equal(r.err, 0);
}

static inline struct torrent_view node_view(struct node *n)
{
	struct torrent_view v;

	torrent_view(n->t, &v);
	return v;
}

/* ---- the world ---- */

static int world_setup(void **state)
{
	struct world *w = mem_new(struct world);

	assert_int_equal(loop_new(&w->loop), 0);
	assert_int_equal(workers_new(w->loop, 2, "hash", &w->workers), 0);
	assert_int_equal(workers_new(w->loop, 1, "names", &w->names), 0);
	assert_int_equal(blk_pool_new(8 << 20, &w->pool), 0);
	assert_int_equal(hasher_new(&w->hasher), 0);
	assert_int_equal(loop_timer_new(w->loop, world_on_tick, w, &w->tick),
			 0);
	*state = w;
	return 0;
}

static int world_teardown(void **state)
{
	struct world *w = *state;
	unsigned i;

	for (i = 0; i < WORLD_NODES; i++)
		node_stop(&w->nodes[i]);
	loop_timer_free(w->tick);
	workers_free(w->workers);
	workers_free(w->names);
	hasher_free(w->hasher);
	assert_int_equal(blk_pool_live_bytes(w->pool), 0);
	blk_pool_free(w->pool);
	loop_free(w->loop);
	world_forget_torrent(w);
	mem_free(w);
	return 0;
}

#endif
