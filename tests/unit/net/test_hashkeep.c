/* test_hashkeep — hashes of v2 trees that outlive a torrent in the store: put,
 * read back and proven, or not believed. An engine without peers, and a tree of
 * made-up leaves over more pieces than a span has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cache/pieces.h"
#include "cache/store_mem.h"
#include "core/core_limits.h"
#include "core/err.h"
#include "core/layers.h"
#include "core/merkle.h"
#include "net/engine.h"
#include "net/hashkeep.h"
#include "net/torrent_internal.h"
#include "tests/lib/cache_fix.h"

enum {
	H = HASH_SHA256_BYTES,
	PIECE = 2 * MERKLE_LEAF_BYTES,
	PIECES = 2 * HASH_SPAN_ASK + 3, /* two whole spans, and a short one */
	LEAVES = 2 * PIECES - 1,	/* the last piece has one */
};

struct fix {
	struct fix_loop f;
	struct store *store;
	struct engine *engine;
	struct torrent *t;
	struct metainfo *bare; /* no layers */
	struct buf file;       /* the .torrent, with them */
	uint8_t leaf[LEAVES][H], piece[PIECES][H], root[H];
	unsigned n_ready;
	bool is_left, is_stopped, is_answered;
	int err;
};

/* ---- Fixture ---- */

static void on_ready(void *arg, struct torrent *t)
{
	(void)t;
	((struct fix *)arg)->n_ready++;
}

static void on_failed(void *arg, struct torrent *t)
{
	(void)arg;
	fail_msg("%s", torrent_why(t));
}

static const struct engine_ops ops = {.on_ready = on_ready,
				      .on_failed = on_failed};

static void make_tree(struct fix *x)
{
	struct merkle top, m;

	merkle_begin(&top, x->f.hasher, 1);
	for (uint32_t i = 0; i < LEAVES; i++)
		hasher_once(x->f.hasher, HASH_SHA256, &i, sizeof(i),
			    x->leaf[i]);
	for (uint32_t i = 0; i < PIECES; i++) {
		merkle_begin(&m, x->f.hasher, 0);
		merkle_add(&m, x->leaf[2 * i]);
		if (2 * i + 1 < LEAVES)
			merkle_add(&m, x->leaf[2 * i + 1]);
		merkle_root(&m, 1, x->piece[i]);
		merkle_add(&top, x->piece[i]);
	}
	merkle_root(&top, merkle_height(PIECES), x->root);
}

static void make_torrent(struct fix *x)
{
	static const char *const path[] = {"f"};
	const struct mi_source_file file = {
		.path = path,
		.n_path = 1,
		.len_bytes = (uint64_t)PIECES * PIECE - MERKLE_LEAF_BYTES - 5,
		.root = x->root,
		.layer = x->piece[0],
	};
	const struct mi_source src = {.name = "f",
				      .is_single = true,
				      .files = &file,
				      .n_files = 1,
				      .piece_bytes = PIECE,
				      .has_v2 = true,
				      .n_pieces = PIECES};
	struct mi_error why;
	struct metainfo *mi;

	assert_int_equal(metainfo_encode(&src, &x->file), 0);
	assert_int_equal(metainfo_parse_file(x->file.data, x->file.len,
					     x->f.hasher, &mi, &why),
			 0);
	assert_int_equal(metainfo_parse_info(mi->info.ptr, mi->info.len,
					     &mi->id, x->f.hasher, &x->bare,
					     &why),
			 0);
	metainfo_free(mi);
}

static int setup(void **state)
{
	struct fix *x = mem_new(struct fix);
	struct addr any;
	char why[160];
	struct engine_cfg cfg = {.ops = &ops,
				 .arg = x,
				 .bind_to = &any,
				 .unverified_bytes = 1 << 20,
				 .recent_bytes = 1 << 20};

	fix_loop_init(&x->f, 1);
	make_tree(x);
	make_torrent(x);
	assert_int_equal(store_mem_new(x->f.loop, 1 << 20, &x->store), 0);
	assert_int_equal(addr_parse(&any, "127.0.0.1:0"), 0);
	cfg.loop = x->f.loop;
	cfg.workers = cfg.names = x->f.workers;
	cfg.store = x->store;
	cfg.pool = x->f.pool;
	assert_int_equal(engine_new(&cfg, &x->engine, why), 0);
	*state = x;
	return 0;
}

static void on_stopped(void *arg)
{
	((struct fix *)arg)->is_stopped = true;
}

static int teardown(void **state)
{
	struct fix *x = *state;

	engine_stop(x->engine, 1000, on_stopped, x);
	fix_until(&x->f, fix_is_set, &x->is_stopped);
	engine_free(x->engine);
	store_free(x->store);
	metainfo_free(x->bare);
	buf_fini(&x->file);
	fix_loop_fini(&x->f);
	mem_free(x);
	return 0;
}

/* ---- Helpers ---- */

static bool is_ready(void *arg)
{
	const struct fix *x = arg;

	return torrent_state(x->t) == TORRENT_READY;
}

/* The torrent comes; all that the loop has to do at once is done. */
static void come(struct fix *x, bool has_layers)
{
	struct engine_source src = {0};
	struct mi_error why;
	int r;

	if (has_layers)
		r = metainfo_parse_file(x->file.data, x->file.len, x->f.hasher,
					&src.mi, &why);
	else
		r = metainfo_parse_info(x->bare->info.ptr, x->bare->info.len,
					&x->bare->id, x->f.hasher, &src.mi,
					&why);
	assert_int_equal(r, 0);
	assert_int_equal(engine_add(x->engine, src, &x->t), 0);
	fix_until(&x->f, is_ready, x);
}

static void on_left(void *arg, int err)
{
	assert_int_equal(err, 0);
	((struct fix *)arg)->is_left = true;
}

static void leave(struct fix *x)
{
	struct engine_leave *l;

	x->is_left = false;
	assert_int_equal(engine_leave(x->engine, x->t, &x->bare->id,
				      ENGINE_KEEP_DATA, on_left, x, &l),
			 0);
	x->t = NULL;
	fix_until(&x->f, fix_is_set, &x->is_left);
}

struct turns {
	unsigned n;
};

static bool is_over(void *arg)
{
	return ((struct turns *)arg)->n-- == 0;
}

/* Long enough for every span of a file to be read, and be judged. */
static void settle(struct fix *x)
{
	struct turns turns = {500};

	fix_until(&x->f, is_over, &turns);
}

static uint32_t n_known(const struct fix *x)
{
	uint8_t hash[H];
	uint32_t n = 0;

	for (uint32_t i = 0; i < PIECES; i++) {
		if (!layers_piece(x->t->layers, i, hash))
			continue;
		assert_memory_equal(hash, x->piece[i], H);
		n++;
	}
	return n;
}

/* As if a peer had told of piece `ix` and its neighbours. */
static void put_span(struct fix *x, uint32_t ix)
{
	struct layers *all, *none;
	struct metainfo *mi;
	struct mi_error why;
	struct hash_span span;
	uint8_t *hashes;
	int r;

	assert_int_equal(metainfo_parse_file(x->file.data, x->file.len,
					     x->f.hasher, &mi, &why),
			 0);
	assert_int_equal(layers_new(mi, &all), 0);
	assert_int_equal(layers_new(x->bare, &none), 0);
	assert_true(layers_ask_piece(none, ix, &span));
	assert_int_equal(span.index, ix);
	hashes = mem_alloc((size_t)hash_span_n(&span) * H);
	do
		r = layers_get(all, &span, hashes);
	while (r == EAGAIN);
	assert_int_equal(r, 0);
	hashkeep_put(x->t->hashkeep, &span, hashes);
	mem_free(hashes);
	layers_free(none);
	layers_free(all);
	metainfo_free(mi);
}

static void spoil(struct fix *x, unsigned level, uint64_t index, uint8_t with)
{
	uint8_t hash[H];

	memset(hash, with, H);
	store_put_nodes(pieces_store(x->t->ps), 0, level, index, 1, hash);
}

static void on_leaves(void *arg, int err)
{
	struct fix *x = arg;

	assert_false(x->is_answered);
	x->is_answered = true;
	x->err = err;
}

static int get_leaves(struct fix *x, uint32_t piece_ix)
{
	int r;

	x->is_answered = false;
	r = hashkeep_get_leaves(x->t->hashkeep, piece_ix, on_leaves, x);
	if (r != 0)
		return r;
	assert_false(x->is_answered); /* later */
	fix_until(&x->f, fix_is_set, &x->is_answered);
	return x->err;
}

/* ---- Tests ---- */

/* What came with the .torrent is there when the torrent is opened from its info
 * dictionary alone: every hash of every span, uncles and all. */
static void layers_outlive_the_torrent(void **state)
{
	struct fix *x = *state;

	come(x, true);
	assert_int_equal(n_known(x), PIECES);
	settle(x);
	leave(x);
	come(x, false);
	settle(x);
	assert_int_equal(n_known(x), PIECES);
	assert_true(layers_is_whole(x->t->layers, 0));
}

/* Nothing was ever kept: nothing is known, nothing is made up. */
static void an_empty_store_tells_nothing(void **state)
{
	struct fix *x = *state;

	come(x, false);
	settle(x);
	assert_int_equal(n_known(x), 0);
	assert_int_equal(get_leaves(x, 0), ENOENT);
}

/* One span that a peer proved is kept with its uncles, and is what is known
 * next time; its neighbours are not. */
static void one_span_stands_alone(void **state)
{
	struct fix *x = *state;

	come(x, false);
	put_span(x, HASH_SPAN_ASK);
	assert_int_equal(n_known(x), 0); /* to keep is not to believe */
	leave(x);
	come(x, false);
	settle(x);
	assert_int_equal(n_known(x), HASH_SPAN_ASK);
}

/* A disk that lies: a wrong hash, a hole, a wrong uncle. The span that it is
 * in, or that it should prove, is not believed, and the others are. */
static void what_proves_nothing_is_not_known(void **state)
{
	static const struct {
		unsigned level;
		uint64_t index;
		uint8_t with;
		uint32_t lost;
	} rows[] = {
		{1, 5, 0xab, HASH_SPAN_ASK},
		{1, HASH_SPAN_ASK - 1, 0, HASH_SPAN_ASK},
		{1, 2 * HASH_SPAN_ASK + 2, 0xab, 3},
		/* of the second span: the root of the first */
		{10, 0, 0xab, HASH_SPAN_ASK},
	};
	struct fix *x = *state;

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		come(x, true);
		settle(x);
		spoil(x, rows[i].level, rows[i].index, rows[i].with);
		leave(x);
		come(x, false);
		settle(x);
		assert_int_equal(n_known(x), PIECES - rows[i].lost);
		leave(x);
		/* Whoever proves them anew puts it right. */
		come(x, true);
		for (uint32_t k = 0; k < PIECES; k += HASH_SPAN_ASK)
			put_span(x, k);
		leave(x);
		come(x, false);
		settle(x);
		assert_int_equal(n_known(x), PIECES);
		leave(x);
	}
}

/* Leaves of a piece, the short last one too, come back when they prove it; a
 * hole or another hash among them is as if there were none. */
static void leaves_are_proven(void **state)
{
	struct fix *x = *state;
	uint8_t hash[H];

	come(x, true);
	assert_int_equal(get_leaves(x, 7), ENOENT);
	hashkeep_put_leaves(x->t->hashkeep, 7, x->leaf[14], 2);
	hashkeep_put_leaves(x->t->hashkeep, PIECES - 1, x->leaf[LEAVES - 1], 1);
	leave(x);
	come(x, true);
	assert_false(layers_leaf(x->t->layers, 7, 1, hash));
	assert_int_equal(get_leaves(x, 7), 0);
	assert_true(layers_leaf(x->t->layers, 7, 1, hash));
	assert_memory_equal(hash, x->leaf[15], H);
	assert_int_equal(get_leaves(x, PIECES - 1), 0);
	assert_int_equal(get_leaves(x, 8), ENOENT);

	layers_drop_leaves(x->t->layers, 7);
	spoil(x, 0, 15, 0x11);
	assert_int_equal(get_leaves(x, 7), ENOENT);
	spoil(x, 0, 15, 0);
	assert_int_equal(get_leaves(x, 7), ENOENT);
	assert_false(layers_leaf(x->t->layers, 7, 0, hash));
}

/* Two at a time are refused; who stops hears nothing of what was under way. */
static void one_at_a_time_and_none_after_stop(void **state)
{
	struct fix *x = *state;

	come(x, true);
	settle(x);
	x->is_answered = false;
	assert_int_equal(hashkeep_get_leaves(x->t->hashkeep, 1, on_leaves, x),
			 0);
	assert_int_equal(hashkeep_get_leaves(x->t->hashkeep, 2, on_leaves, x),
			 EBUSY);
	hashkeep_stop(x->t->hashkeep);
	settle(x);
	assert_false(x->is_answered);
	assert_int_equal(get_leaves(x, 1), ENOENT); /* and it goes on */
	hashkeep_stop(NULL);
	hashkeep_free(NULL);
}

/* It is stopped in the middle of reading back: nothing is left behind, and the
 * next time all is read. */
static void stopped_in_the_middle(void **state)
{
	struct fix *x = *state;

	come(x, true);
	settle(x);
	leave(x);
	come(x, false);
	leave(x);
	come(x, false);
	settle(x);
	assert_int_equal(n_known(x), PIECES);
}

/* Without memory nothing is kept or read, and nothing breaks. */
static void no_memory(void **state)
{
	struct fix *x = *state;
	uint8_t hash[H];

	come(x, true);
	hashkeep_put_leaves(x->t->hashkeep, 3, x->leaf[6], 2);
	settle(x);
	mem_fail_after(0, 0);
	assert_int_equal(hashkeep_get_leaves(x->t->hashkeep, 3, on_leaves, x),
			 ENOMEM);
	mem_fail_after(UINT64_MAX, 0);
	assert_int_equal(get_leaves(x, 3), 0);
	assert_true(layers_leaf(x->t->layers, 3, 0, hash));
}

#define WITH_FIX(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIX(layers_outlive_the_torrent),
		WITH_FIX(an_empty_store_tells_nothing),
		WITH_FIX(one_span_stands_alone),
		WITH_FIX(what_proves_nothing_is_not_known),
		WITH_FIX(leaves_are_proven),
		WITH_FIX(one_at_a_time_and_none_after_stop),
		WITH_FIX(stopped_in_the_middle),
		WITH_FIX(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
