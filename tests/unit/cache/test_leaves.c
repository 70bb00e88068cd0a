/* test_leaves — blocks that are right before their piece: each move of the
 * leaves' table in pieces.h, of pieces that are whole in memory and of staged
 * ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>

#include <cmocka.h>

#include "cache/pieces.h"
#include "cache/pieces_internal.h"
#include "cache/store_mem.h"
#include "core/layers.h"
#include "tests/lib/cache_fix.h"
#include "tests/lib/store_fault.h"
#include "tests/lib/v2_torrent.h"

enum {
	LEAF = MERKLE_LEAF_BYTES,
	LEAVES = 8, /* a piece */
	PIECE = LEAVES * LEAF,
	SEGMENT = 2 * LEAF,
	LENGTH = 2 * PIECE + 3 * LEAF + 100,
	MANY = 1 << 30,
};

/* ---- Fixture ---- */

struct fix {
	struct fix_loop l;
	struct metainfo *mi;
	struct layers *layers;
	struct fault *fault;
	struct piece_mem *mem;
	struct pieces *ps;
	bool is_open, is_gone;
	/* v(erified) b(ad) B(ad leaf) d(isputed) f(ailed) l(ost) r(oom)
	 * w(aiter) */
	char said[64];
	uint32_t last_ix, last_at;
	bool lacks; /* on_lacking was called */
};

static void say(struct fix *f, char c, uint32_t ix)
{
	size_t n = strlen(f->said);

	assert_true(n + 1 < sizeof(f->said));
	f->said[n] = c;
	f->said[n + 1] = '\0';
	f->last_ix = ix;
}

static void on_verified(void *arg, uint32_t ix)
{
	say(arg, 'v', ix);
}

/* Of a staged piece nothing is believed. */
static void on_bad(void *arg, uint32_t ix)
{
	struct fix *f = arg;
	uint32_t segment = pieces_segment_bytes(f->ps, ix), at;

	say(f, 'b', ix);
	if (pieces_place(f->ps, ix, 0) != NULL)
		return;
	for (at = 0; at < metainfo_piece_bytes(f->mi, ix); at += segment)
		pieces_empty(f->ps, ix, at);
}

static void on_bad_leaf(void *arg, uint32_t ix, uint32_t at)
{
	struct fix *f = arg;

	say(f, 'B', ix);
	f->last_at = at;
	if (pieces_place(f->ps, ix, at) != NULL)
		pieces_took_back(f->ps, ix, at);
}

static void on_disputed(void *arg, uint32_t ix)
{
	say(arg, 'd', ix);
}

static void on_lacking(void *arg, uint32_t ix)
{
	((struct fix *)arg)->lacks = true;
}

static void on_failed(void *arg, uint32_t ix, int err)
{
	struct fix *f = arg;

	say(f, 'f', ix);
	pieces_abandon(f->ps, ix);
}

static void on_brought(void *arg, uint32_t ix)
{
	struct fix *f = arg;

	say(f, 'g', ix);
	pieces_abandon(f->ps, ix);
}

static void on_room(void *arg)
{
	say(arg, 'r', 0);
}

static void on_lost(void *arg, uint32_t ix)
{
	say(arg, 'l', ix);
}

static const struct pieces_ops ops = {
	.on_verified = on_verified,
	.on_bad = on_bad,
	.on_bad_leaf = on_bad_leaf,
	.on_disputed = on_disputed,
	.on_lacking = on_lacking,
	.on_failed = on_failed,
	.on_brought = on_brought,
	.on_room = on_room,
	.on_lost = on_lost,
};

static void on_open(void *arg, int err, struct pieces *ps)
{
	struct fix *f = arg;

	assert_int_equal(err, 0);
	f->is_open = true;
}

static void on_gone(void *arg)
{
	((struct fix *)arg)->is_gone = true;
}

static void make(struct fix *f, const struct v2_spec *spec, bool is_staged)
{
	struct piece_mem_cfg mem_cfg = {
		.pool = f->l.pool,
		.unverified_bytes = MANY,
		.recent_bytes = MANY,
		.whole_max_bytes = is_staged ? LEAF : 0,
		.segment_bytes = is_staged ? SEGMENT : 0,
	};
	struct pieces_cfg cfg = {
		.loop = f->l.loop,
		.workers = f->l.workers,
		.ops = &ops,
		.arg = f,
	};
	struct store *store;

	f->mi = v2_torrent(f->l.hasher, spec);
	fix_must(layers_new(f->mi, &f->layers), "layers");
	fix_must(store_mem_new(f->l.loop, 16 << 20, &store), "store");
	f->fault = fault_new(store);
	fix_must(piece_mem_new(&mem_cfg, &f->mem), "mem");
	cfg.store = &f->fault->base;
	cfg.mem = f->mem;
	cfg.mi = f->mi;
	cfg.layers = f->layers;
	assert_int_equal(pieces_open_start(&cfg, on_open, f, &f->ps), 0);
	fix_until(&f->l, fix_is_set, &f->is_open);
}

static struct v2_spec spec = {
	.name = "leaves", .len_bytes = LENGTH, .piece_bytes = PIECE};

static struct fix *set_up_as(const struct v2_spec *s, bool is_staged)
{
	struct fix *f = mem_new(struct fix);

	fix_loop_init(&f->l, 2);
	make(f, s, is_staged);
	return f;
}

static int set_up(void **state)
{
	*state = set_up_as(&spec, false);
	return 0;
}

static int set_up_staged(void **state)
{
	*state = set_up_as(&spec, true);
	return 0;
}

static int set_up_hybrid(void **state)
{
	struct v2_spec s = spec;

	s.is_hybrid = true;
	*state = set_up_as(&s, false);
	return 0;
}

static int set_up_disputed(void **state)
{
	struct v2_spec s = spec;

	s.is_hybrid = s.is_disputed = true;
	*state = set_up_as(&s, false);
	return 0;
}

static int set_up_disputed_staged(void **state)
{
	struct v2_spec s = spec;

	s.is_hybrid = s.is_disputed = true;
	*state = set_up_as(&s, true);
	return 0;
}

static int set_up_no_layer(void **state)
{
	struct v2_spec s = spec;

	s.has_no_layer = true;
	*state = set_up_as(&s, false);
	return 0;
}

static int set_up_no_layer_staged(void **state)
{
	struct v2_spec s = spec;

	s.has_no_layer = true;
	*state = set_up_as(&s, true);
	return 0;
}

static int set_up_no_layer_hybrid(void **state)
{
	struct v2_spec s = spec;

	s.has_no_layer = s.is_hybrid = true;
	*state = set_up_as(&s, false);
	return 0;
}

static int tear_down(void **state)
{
	struct fix *f = *state;

	pieces_close(f->ps, on_gone, f);
	fix_until(&f->l, fix_is_set, &f->is_gone);
	piece_mem_free(f->mem);
	store_free(&f->fault->base);
	layers_free(f->layers);
	metainfo_free(f->mi);
	fix_loop_fini(&f->l);
	mem_free(f);
	return 0;
}

/* ---- Helpers ---- */

static void settle(struct fix *f)
{
	/* A staged piece takes a few jobs, one after the other. */
	for (unsigned i = 0; i < 4 * LEAVES; i++)
		fix_quiet(&f->l);
	pieces_check(f->ps);
}

static void know(struct fix *f, uint32_t ix)
{
	v2_know(f->layers, f->l.hasher, f->mi, ix);
	pieces_on_hashes(f->ps, ix);
}

/* A block comes from the network. */
static void take(struct fix *f, uint32_t ix, uint32_t i, bool is_right)
{
	uint32_t left = metainfo_piece_bytes(f->mi, ix) - i * LEAF;
	uint32_t len = left < LEAF ? left : LEAF;
	uint8_t *place;

	assert_int_equal(pieces_open(f->ps, ix, i * LEAF), 0);
	place = pieces_place(f->ps, ix, i * LEAF);
	assert_non_null(place);
	fix_fill(place, (uint64_t)ix * PIECE + i * LEAF, len);
	if (!is_right)
		place[len / 2] ^= 1;
	pieces_took(f->ps, ix, i * LEAF);
}

/* All its blocks; `wrong` of them is wrong, UINT32_MAX: none. */
static void take_all(struct fix *f, uint32_t ix, uint32_t wrong)
{
	uint32_t n = (metainfo_piece_bytes(f->mi, ix) + LEAF - 1) / LEAF;
	uint32_t segment = (pieces_segment_bytes(f->ps, ix) + LEAF - 1) / LEAF;

	for (uint32_t i = 0; i < n; i++) {
		take(f, ix, i, i != wrong);
		if (i % segment == segment - 1 || i + 1 == n)
			pieces_filled(f->ps, ix, i * LEAF);
	}
}

static void begin(struct fix *f, uint32_t ix)
{
	assert_int_equal(pieces_begin(f->ps, ix), 0);
}

static void on_wait(void *arg, int err, uint32_t ix)
{
	say(arg, err == 0 ? 'w' : 'e', ix);
}

static struct piece_wait wait_for(struct fix *f, uint32_t at, uint32_t len)
{
	return (struct piece_wait){
		.fn = on_wait, .arg = f, .at_bytes = at, .len_bytes = len};
}

static int read_now(struct fix *f, uint64_t off, uint32_t len)
{
	uint8_t *dst = mem_alloc(len);
	int err = pieces_read_now(f->ps, off, len, dst);

	if (err == 0)
		assert_true(fix_matches(dst, off, len));
	mem_free(dst);
	return err;
}

static int read_later(struct fix *f, uint64_t off, uint32_t len)
{
	struct fix_answer a = {0};
	uint8_t *dst = mem_alloc(len);
	int err = pieces_read(f->ps, off, len, dst, fix_on_done, &a);

	if (err == 0) {
		fix_until(&f->l, fix_is_set, &a.is_done);
		err = a.err;
	}
	if (err == 0)
		assert_true(fix_matches(dst, off, len));
	mem_free(dst);
	return err;
}

static bool lends(struct fix *f, uint32_t ix, uint32_t at, uint32_t len)
{
	uint8_t *data;
	struct blk *b = pieces_lend(f->ps, ix, at, len, &data);

	if (b != NULL)
		assert_true(fix_matches(data, (uint64_t)ix * PIECE + at, len));
	blk_drop(b);
	return b != NULL;
}

static void assert_said(const struct fix *f, const char *what)
{
	assert_string_equal(f->said, what);
}

/* ---- Tests ---- */

/* A read of a few bytes is answered by their leaves; what is beside them stays
 * unread. */
static void leaves_answer(void **state)
{
	struct fix *f = *state;
	struct piece_wait w = wait_for(f, LEAF + 100, LEAF);

	pieces_wait(f->ps, 1, &w);
	begin(f, 1);
	know(f, 1);
	take(f, 1, 1, true);
	settle(f);
	assert_said(f, "");
	take(f, 1, 2, true);
	take(f, 1, 3, true);
	assert_said(f, ""); /* at the end of the turn */
	settle(f);
	assert_said(f, "w");
	assert_int_equal(pieces_state(f->ps, 1), PIECE_FETCHING);
	assert_false(bits_has(pieces_have(f->ps), 1));
	assert_int_equal(read_now(f, PIECE + LEAF, 2 * LEAF), 0);
	/* Nobody waited for the third: it is there, and not right. */
	assert_int_equal(read_now(f, PIECE + LEAF, 3 * LEAF), ENOENT);
	assert_int_equal(read_now(f, PIECE, LEAF), ENOENT);
	assert_true(lends(f, 1, LEAF, SEGMENT - LEAF));
	assert_false(lends(f, 1, 0, LEAF));
}

/* The hashes come after the bytes; and a reader comes after both. */
static void hashes_come_late(void **state)
{
	struct fix *f = *state;
	struct piece_wait w = wait_for(f, 0, LEAF);
	struct piece_wait later = wait_for(f, 7 * LEAF, 100);

	pieces_wait(f->ps, 0, &w);
	begin(f, 0);
	take(f, 0, 0, true);
	take(f, 0, 7, true);
	settle(f);
	assert_said(f, "");
	know(f, 0);
	settle(f);
	assert_said(f, "w");
	pieces_wait(f->ps, 0, &later);
	settle(f);
	assert_said(f, "ww");
}

/* The file's last leaf is as long as what is left. */
static void the_last_leaf_is_short(void **state)
{
	struct fix *f = *state;
	struct piece_wait w = wait_for(f, 3 * LEAF + 10, 90);

	pieces_wait(f->ps, 2, &w);
	begin(f, 2);
	know(f, 2);
	take(f, 2, 3, true);
	settle(f);
	assert_said(f, "w");
	assert_int_equal(read_now(f, 2 * PIECE + 3 * LEAF, 100), 0);
}

/* A wrong leaf is told at once, and is fetched anew; the reader waits on. */
static void a_wrong_leaf_is_told(void **state)
{
	struct fix *f = *state;
	struct piece_wait w = wait_for(f, 0, 2 * LEAF);

	pieces_wait(f->ps, 0, &w);
	begin(f, 0);
	know(f, 0);
	take(f, 0, 0, true);
	take(f, 0, 1, false);
	settle(f);
	assert_said(f, "B");
	assert_int_equal(f->last_at, LEAF);
	assert_int_equal(read_now(f, 0, LEAF), 0);
	assert_int_equal(read_now(f, LEAF, LEAF), ENOENT);
	take(f, 0, 1, true);
	settle(f);
	assert_said(f, "Bw");
}

/* Nobody waits: the piece's hash says it, and where leaves are known, which of
 * them it was. */
static void the_verdict_names_leaves(void **state)
{
	struct fix *f = *state;

	begin(f, 0);
	know(f, 0);
	take_all(f, 0, 5);
	settle(f);
	assert_said(f, "B");
	assert_int_equal(f->last_at, 5 * LEAF);
	assert_int_equal(pieces_state(f->ps, 0), PIECE_FETCHING);
	take(f, 0, 5, true);
	pieces_filled(f->ps, 0, 0);
	settle(f);
	assert_said(f, "Bv");
}

/* A right leaf outlives a wrong piece; its bytes are read meanwhile. */
static void right_leaves_stay(void **state)
{
	struct fix *f = *state;
	struct piece_wait w = wait_for(f, 0, LEAF);

	pieces_wait(f->ps, 0, &w);
	begin(f, 0);
	know(f, 0);
	take_all(f, 0, 5);
	layers_drop_leaves(f->layers, 0);
	settle(f);
	/* The leaf's hash was there when it was looked at, or not: then the
	 * read waits on. */
	assert_true(strcmp(f->said, "b") == 0 || strcmp(f->said, "wb") == 0);
	know(f, 0);
	settle(f);
	assert_true(lends(f, 0, 0, LEAF));
	take(f, 0, 5, true);
	pieces_filled(f->ps, 0, 0);
	settle(f);
	assert_true(bits_has(pieces_have(f->ps), 0));
}

/* With the piece in have, leaves are of no more use, and reads go on. */
static void the_piece_takes_over(void **state)
{
	struct fix *f = *state;
	struct piece_wait w = wait_for(f, LEAF, LEAF);
	struct piece_wait all = wait_for(f, 0, 0);

	pieces_wait(f->ps, 1, &all);
	begin(f, 1);
	pieces_wait(f->ps, 1, &w);
	know(f, 1);
	take_all(f, 1, UINT32_MAX);
	settle(f);
	assert_said(f, "wvw");
	assert_int_equal(read_later(f, PIECE, PIECE), 0);
}

/* The store takes what is given up, if it can. */
static void abandoned_leaves_are_kept(void **state)
{
	struct fix *f = *state;
	struct piece_wait w = wait_for(f, 0, LEAF);

	pieces_wait(f->ps, 0, &w);
	begin(f, 0);
	know(f, 0);
	take(f, 0, 0, true);
	take(f, 0, 1, true);
	settle(f);
	assert_said(f, "w");
	pieces_abandon(f->ps, 0);
	settle(f);
	assert_int_equal(pieces_state(f->ps, 0), PIECE_ABSENT);
	assert_int_equal(read_later(f, 10, LEAF - 10), 0);
	assert_int_equal(read_now(f, 0, 2 * LEAF), ENOENT); /* nobody waited */
	/* It begins anew beside them, and a read may go over both. */
	w = wait_for(f, 0, 2 * LEAF);
	pieces_wait(f->ps, 0, &w);
	begin(f, 0);
	take(f, 0, 1, true);
	settle(f);
	assert_said(f, "ww");
	assert_false(lends(f, 0, 0, 2 * LEAF));
	assert_int_equal(read_later(f, 5, 2 * LEAF - 5), 0);
	take_all(f, 0, UINT32_MAX);
	settle(f);
	assert_said(f, "wwv");
	assert_int_equal(read_later(f, 0, PIECE), 0);
}

/* … and they are there when the torrent is opened again. */
static void kept_leaves_outlive_a_restart(void **state)
{
	struct fix *f = *state;
	struct piece_wait w = wait_for(f, LEAF + 1, LEAF);
	struct pieces_cfg cfg;

	pieces_wait(f->ps, 0, &w);
	begin(f, 0);
	know(f, 0);
	take(f, 0, 1, true);
	take(f, 0, 2, true);
	settle(f);
	assert_said(f, "w");
	cfg = f->ps->cfg;
	pieces_close(f->ps, on_gone, f);
	fix_until(&f->l, fix_is_set, &f->is_gone);
	f->is_open = f->is_gone = false;
	assert_int_equal(pieces_open_start(&cfg, on_open, f, &f->ps), 0);
	fix_until(&f->l, fix_is_set, &f->is_open);
	assert_true(pieces_is_right(f->ps, 0, LEAF, 2 * LEAF));
	assert_false(pieces_is_right(f->ps, 0, 0, 1));
	assert_false(bits_has(pieces_have(f->ps), 0));
	assert_int_equal(read_later(f, LEAF, 2 * LEAF), 0);
	settle(f);
}

/* A kept leaf that cannot be read is fetched again. */
static void a_kept_leaf_gets_lost(void **state)
{
	struct fix *f = *state;
	struct piece_wait w = wait_for(f, 0, LEAF);

	pieces_wait(f->ps, 0, &w);
	begin(f, 0);
	know(f, 0);
	take(f, 0, 0, true);
	settle(f);
	pieces_abandon(f->ps, 0);
	settle(f);
	assert_true(pieces_is_right(f->ps, 0, 0, LEAF));
	f->fault->at = FAULT_READ;
	f->fault->err = EIO;
	f->fault->in = 0;
	assert_int_equal(read_later(f, 0, LEAF), ENOENT);
	f->fault->at = FAULT_NEVER;
	assert_false(pieces_is_right(f->ps, 0, 0, 1));
	settle(f);
}

/* What nobody waited for is lost with its memory: the table says so. */
static void abandoned_blocks_are_lost(void **state)
{
	struct fix *f = *state;

	begin(f, 0);
	know(f, 0);
	take(f, 0, 0, true);
	settle(f);
	pieces_abandon(f->ps, 0);
	settle(f);
	assert_false(pieces_is_right(f->ps, 0, 0, 1));
	assert_int_equal(read_now(f, 0, LEAF), ENOENT);
}

/* A wait for leaves ends with everything else. */
static void close_ends_leaf_waits(void **state)
{
	struct fix *f = *state;
	struct piece_wait w = wait_for(f, 0, LEAF);
	struct piece_wait gone = wait_for(f, 0, LEAF);

	pieces_wait(f->ps, 0, &w);
	pieces_wait(f->ps, 0, &gone);
	begin(f, 0);
	know(f, 0);
	take(f, 0, 0, true);
	pieces_wait_cancel(f->ps, &gone);
	pieces_close(f->ps, on_gone, f);
	fix_until(&f->l, fix_is_set, &f->is_gone);
	assert_said(f, "e");
	f->is_gone = f->is_open = false;
	f->said[0] = '\0';
	layers_free(f->layers);
	metainfo_free(f->mi);
	piece_mem_free(f->mem);
	store_free(&f->fault->base);
	make(f, &spec, false);
}

/* More leaves than a turn has room for: the others come with the next. */
static void many_leaves_take_turns(void **state)
{
	struct v2_spec big = {.name = "big",
			      .len_bytes = 3 * LEAVES_A_TURN * LEAF,
			      .piece_bytes = 4 * LEAVES_A_TURN * LEAF};
	struct fix *f = set_up_as(&big, false);
	struct piece_wait w = wait_for(f, 0, 3 * LEAVES_A_TURN * LEAF - 10);

	begin(f, 0);
	know(f, 0);
	for (uint32_t i = 0; i < 3 * LEAVES_A_TURN; i++)
		take(f, 0, i, true);
	pieces_wait(f->ps, 0, &w);
	settle(f);
	assert_said(f, "w");
	*state = f;
	tear_down(state);
}

/* ---- staged ---- */

/* Leaves that were staged, and have no memory any more, are read back for who
 * comes late. */
static void staged_leaves_are_read_back(void **state)
{
	struct fix *f = *state;
	struct piece_wait w = wait_for(f, 6 * LEAF + 10, LEAF);

	begin(f, 0);
	take(f, 0, 6, true);
	take(f, 0, 7, true);
	pieces_filled(f->ps, 0, 6 * LEAF);
	settle(f);
	know(f, 0);
	pieces_shut(f->ps, 0); /* no memory for it */
	pieces_wait(f->ps, 0, &w);
	settle(f);
	assert_said(f, "w");
	assert_false(lends(f, 0, 6 * LEAF, LEAF));
	assert_int_equal(read_later(f, 6 * LEAF, LEAF), 0);
	assert_int_equal(read_later(f, 6 * LEAF, 2 * LEAF), 0);
}

/* What was not staged is lost with its memory, and only that. */
static void shut_loses_what_is_hot(void **state)
{
	struct fix *f = *state;
	struct piece_wait w = wait_for(f, 0, 3 * LEAF);

	pieces_wait(f->ps, 0, &w);
	begin(f, 0);
	know(f, 0);
	take(f, 0, 0, true);
	take(f, 0, 1, true);
	pieces_filled(f->ps, 0, 0);
	take(f, 0, 2, true);
	settle(f);
	assert_said(f, "w");
	pieces_shut(f->ps, 0);
	assert_true(pieces_is_right(f->ps, 0, 0, 2 * LEAF));
	assert_false(pieces_is_right(f->ps, 0, 2 * LEAF, 1));
	assert_int_equal(read_later(f, 0, 2 * LEAF), 0);
	take(f, 0, 2, true);
	take(f, 0, 4, true);
	pieces_shut_segment(f->ps, 0, 4 * LEAF);
	assert_null(pieces_place(f->ps, 0, 4 * LEAF));
	assert_non_null(pieces_place(f->ps, 0, 2 * LEAF));
}

/* A read out of the store is under way when the piece turns out to be wrong,
 * and what lies there is written over: the read is told to try again. */
static void a_read_notices_the_loss(void **state)
{
	struct fix *f = *state;
	struct piece_wait w = wait_for(f, 0, LEAF);
	struct fix_answer a = {0};
	uint8_t dst[LEAF];

	pieces_wait(f->ps, 0, &w);
	begin(f, 0);
	know(f, 0);
	take(f, 0, 0, true);
	take(f, 0, 1, true);
	pieces_filled(f->ps, 0, 0);
	settle(f);
	assert_said(f, "w");
	pieces_shut(f->ps, 0);
	f->fault->holds_reads = true;
	assert_int_equal(pieces_read(f->ps, 0, LEAF, dst, fix_on_done, &a), 0);
	settle(f);
	pieces_abandon(f->ps, 0);
	fault_release_reads(f->fault);
	fix_until(&f->l, fix_is_set, &a.is_done);
	assert_int_equal(a.err, ENOENT);
	f->fault->holds_reads = false;
	fault_release_reads(f->fault); /* what is right is kept */
	settle(f);
}

/* A wrong leaf in a segment that was handed over: it is told, and the piece's
 * own verdict does the rest. */
static void a_wrong_staged_leaf_is_told(void **state)
{
	struct fix *f = *state;
	struct piece_wait w = wait_for(f, 0, LEAF);

	begin(f, 0);
	take_all(f, 0, 0);
	settle(f);
	assert_said(f, "b");
	f->said[0] = '\0';
	take(f, 0, 0, false);
	take(f, 0, 1, true);
	pieces_filled(f->ps, 0, 0);
	pieces_wait(f->ps, 0, &w);
	know(f, 0);
	settle(f);
	assert_said(f, "B");
	for (uint32_t i = 2; i < LEAVES; i += 2) {
		take(f, 0, i, true);
		take(f, 0, i + 1, true);
		pieces_filled(f->ps, 0, i * LEAF);
	}
	settle(f);
	assert_said(f, "Bb");
	take_all(f, 0, UINT32_MAX);
	settle(f);
	assert_true(bits_has(pieces_have(f->ps), 0));
}

/* ---- hybrids ---- */

/* A leaf is proof enough for a reader, the piece is held by both hashes. */
static void a_hybrid_has_both(void **state)
{
	struct fix *f = *state;
	struct piece_wait w = wait_for(f, 0, LEAF);

	pieces_wait(f->ps, 0, &w);
	begin(f, 0);
	know(f, 0);
	take_all(f, 0, UINT32_MAX);
	settle(f);
	assert_said(f, "wv");
}

/* Right for one side, wrong for the other: nobody's bytes are wrong. */
static void a_disputed_piece_is_nobodys_fault(void **state)
{
	struct fix *f = *state;

	begin(f, 0);
	take_all(f, 0, UINT32_MAX);
	settle(f);
	assert_said(f, "d");
	assert_int_equal(pieces_state(f->ps, 0), PIECE_FETCHING);
	begin(f, 1);
	take_all(f, 1, UINT32_MAX);
	settle(f);
	assert_said(f, "dv");
}

/* ---- the piece's hash ---- */

/* A whole piece waits for the hash that it must have. */
static void a_piece_waits_for_its_hash(void **state)
{
	struct fix *f = *state;

	begin(f, 2);
	take_all(f, 2, UINT32_MAX);
	settle(f);
	assert_said(f, "");
	assert_true(pieces_lacks_hash(f->ps, 2) && f->lacks);
	assert_int_equal(pieces_state(f->ps, 2), PIECE_CHECKING);
	pieces_on_hashes(f->ps, 2); /* of another piece, maybe */
	settle(f);
	assert_true(pieces_lacks_hash(f->ps, 2));
	pieces_on_no_hash(f->ps, 2);
	settle(f);
	assert_said(f, "f");
	assert_int_equal(pieces_state(f->ps, 2), PIECE_ABSENT);
}

/* Now it is known. The file of this one has a single piece, so that its root is
 * its hash. */
static void then_it_is_judged(void **state)
{
	struct fix *f = *state;
	uint8_t *layer = mem_alloc(3 * HASH_SHA256_BYTES);
	uint8_t root[HASH_SHA256_BYTES];
	uint8_t all[4 * HASH_SHA256_BYTES] = {0};
	struct hash_span span = {.base = 3, .length = 4, .proof_layers = 1};
	uint8_t leaves[LEAVES * HASH_SHA256_BYTES];
	struct merkle m;

	begin(f, 1);
	take_all(f, 1, UINT32_MAX);
	settle(f);
	assert_true(pieces_lacks_hash(f->ps, 1));
	(void)v2_layer(f->l.hasher, &spec, layer, root);
	memcpy(all, layer, 3 * HASH_SHA256_BYTES);
	memset(leaves, 0, sizeof(leaves));
	merkle_begin(&m, f->l.hasher, 0);
	for (unsigned i = 0; i < LEAVES; i++)
		merkle_add(&m, leaves + (size_t)i * HASH_SHA256_BYTES);
	merkle_root(&m, 3, all + 3 * HASH_SHA256_BYTES);
	assert_int_equal(layers_add(f->layers, &span, all, 4), 0);
	pieces_on_hashes(f->ps, 1);
	settle(f);
	assert_said(f, "v");
	mem_free(layer);
}

/* A hybrid is judged by what it has. */
static void a_hybrid_goes_without(void **state)
{
	struct fix *f = *state;

	begin(f, 1);
	take_all(f, 1, UINT32_MAX);
	settle(f);
	assert_true(pieces_lacks_hash(f->ps, 1));
	pieces_on_no_hash(f->ps, 1);
	settle(f);
	assert_said(f, "v");
}

#define BOTH(test)                                                   \
	cmocka_unit_test_setup_teardown(test, set_up, tear_down),    \
		cmocka_unit_test_setup_teardown(test, set_up_staged, \
						tear_down)
#define WITH(test, how) cmocka_unit_test_setup_teardown(test, how, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(leaves_answer),
		BOTH(hashes_come_late),
		BOTH(the_last_leaf_is_short),
		BOTH(a_wrong_leaf_is_told),
		BOTH(abandoned_blocks_are_lost),
		BOTH(abandoned_leaves_are_kept),
		BOTH(kept_leaves_outlive_a_restart),
		BOTH(a_kept_leaf_gets_lost),
		BOTH(close_ends_leaf_waits),
		BOTH(the_piece_takes_over),
		WITH(the_verdict_names_leaves, set_up),
		WITH(right_leaves_stay, set_up),
		cmocka_unit_test(many_leaves_take_turns),
		WITH(staged_leaves_are_read_back, set_up_staged),
		WITH(shut_loses_what_is_hot, set_up_staged),
		WITH(a_read_notices_the_loss, set_up_staged),
		WITH(a_wrong_staged_leaf_is_told, set_up_staged),
		WITH(a_hybrid_has_both, set_up_hybrid),
		WITH(a_disputed_piece_is_nobodys_fault, set_up_disputed),
		WITH(a_disputed_piece_is_nobodys_fault, set_up_disputed_staged),
		WITH(a_piece_waits_for_its_hash, set_up_no_layer),
		WITH(a_piece_waits_for_its_hash, set_up_no_layer_staged),
		WITH(then_it_is_judged, set_up_no_layer),
		WITH(then_it_is_judged, set_up_no_layer_staged),
		WITH(a_hybrid_goes_without, set_up_no_layer_hybrid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
