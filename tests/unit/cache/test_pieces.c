/* test_pieces — each move of the table in pieces.h, and who is told. */
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
#include "tests/lib/cache_fix.h"
#include "tests/lib/store_fault.h"

enum { N_PIECES = 6, LAST_BYTES = 100, MANY = 1 << 30 };

/* ---- Fixture: a torrent of six pieces over a store that may fail ---- */

struct fix {
	struct fix_loop l;
	struct metainfo *mi;
	struct store *mem_store;
	struct fault *fault;
	struct piece_mem_cfg mem_cfg;
	struct piece_mem *mem;
	struct pieces *ps;
	bool is_open, is_gone;
	int open_err;
	/* what was said, in order: v(erified) b(ad) l(ost) r(oom) w(aiter) */
	char said[64];
	uint32_t last_ix;
	/* what on_verified shall do */
	bool close_in_verified;
};

static void say(struct fix *f, char c, uint32_t ix)
{
	size_t n = strlen(f->said);

	assert_true(n + 1 < sizeof(f->said));
	f->said[n] = c;
	f->said[n + 1] = '\0';
	f->last_ix = ix;
}

static void on_gone(void *arg)
{
	((struct fix *)arg)->is_gone = true;
}

static void on_verified(void *arg, uint32_t ix)
{
	struct fix *f = arg;
	struct blk *data;

	say(f, 'v', ix);
	assert_true(bits_has(pieces_have(f->ps), ix));
	/* Its bytes are in memory already, waited for or not. */
	data = pieces_peek(f->ps, ix);
	assert_non_null(data);
	blk_drop(data);
	if (f->close_in_verified)
		pieces_close(f->ps, on_gone, f);
}

static void on_bad(void *arg, uint32_t ix)
{
	struct fix *f = arg;

	say(f, 'b', ix);
	assert_non_null(pieces_place(f->ps, ix, 0));
	assert_non_null(pieces_digests(f->ps, ix));
}

static void on_room(void *arg)
{
	say(arg, 'r', 0);
}

static void on_lost(void *arg, uint32_t ix)
{
	struct fix *f = arg;

	say(f, 'l', ix);
	assert_int_equal(pieces_state(f->ps, ix), PIECE_ABSENT);
}

static const struct pieces_ops ops = {
	.on_verified = on_verified,
	.on_bad = on_bad,
	.on_room = on_room,
	.on_lost = on_lost,
};

static void on_open(void *arg, int err, struct pieces *ps)
{
	struct fix *f = arg;

	f->is_open = true;
	f->open_err = err;
	if (err != 0)
		f->ps = NULL;
	else
		assert_ptr_equal(ps, f->ps);
}

static void open_start(struct fix *f)
{
	struct pieces_cfg cfg = {
		.loop = f->l.loop,
		.workers = f->l.workers,
		.store = &f->fault->base,
		.mem = f->mem,
		.mi = f->mi,
		.ops = &ops,
		.arg = f,
	};

	f->is_open = f->is_gone = false;
	assert_int_equal(pieces_open_start(&cfg, on_open, f, &f->ps), 0);
	assert_false(f->is_open);
}

static void open_pieces(struct fix *f)
{
	open_start(f);
	fix_until(&f->l, fix_is_set, &f->is_open);
	assert_int_equal(f->open_err, 0);
	pieces_check(f->ps);
}

static void close_pieces(struct fix *f)
{
	pieces_close(f->ps, on_gone, f);
	assert_false(f->is_gone);
	fix_until(&f->l, fix_is_set, &f->is_gone);
	f->ps = NULL;
}

static void set_mem(struct fix *f, uint64_t unverified, uint64_t recent)
{
	piece_mem_free(f->mem);
	f->mem_cfg.pool = f->l.pool;
	f->mem_cfg.unverified_bytes = unverified;
	f->mem_cfg.recent_bytes = recent;
	fix_must(piece_mem_new(&f->mem_cfg, &f->mem), "mem");
}

static int set_up(void **state)
{
	const uint64_t lens[] = {(N_PIECES - 1) * FIX_PIECE_BYTES + LAST_BYTES};
	struct fix *f = mem_new(struct fix);

	fix_loop_init(&f->l, 2);
	f->mi = fix_torrent(&f->l, "six", lens, 1);
	fix_must(store_mem_new(f->l.loop, 1 << 20, &f->mem_store), "store");
	f->fault = fault_new(f->mem_store);
	set_mem(f, MANY, MANY);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fix *f = *state;

	if (f->ps != NULL)
		close_pieces(f);
	piece_mem_free(f->mem);
	store_free(&f->fault->base);
	metainfo_free(f->mi);
	fix_loop_fini(&f->l);
	mem_free(f);
	return 0;
}

/* ---- Helpers ---- */

static void fill(struct fix *f, uint32_t ix, bool right)
{
	uint32_t len = metainfo_piece_bytes(f->mi, ix);
	uint8_t *data = pieces_place(f->ps, ix, 0);

	assert_non_null(data);
	assert_int_equal(pieces_segment_bytes(f->ps, ix), len);
	fix_fill(data, (uint64_t)ix * FIX_PIECE_BYTES, len);
	if (!right)
		data[len / 2] ^= 1;
	pieces_filled(f->ps, ix, 0);
	assert_int_equal(pieces_state(f->ps, ix), PIECE_CHECKING);
	pieces_check(f->ps);
}

static void settle(struct fix *f)
{
	fix_quiet(&f->l);
	fix_quiet(&f->l);
	if (f->ps != NULL)
		pieces_check(f->ps);
}

/* From wherever it is to what the store makes of it. */
static void get(struct fix *f, uint32_t ix)
{
	assert_int_equal(pieces_begin(f->ps, ix), 0);
	assert_int_equal(pieces_state(f->ps, ix), PIECE_FETCHING);
	fill(f, ix, true);
	settle(f);
}

static void on_wait(void *arg, int err, uint32_t ix)
{
	struct fix *f = arg;

	say(f, err == 0 ? 'w' : 'e', ix);
	if (err == 0) {
		struct blk *b = pieces_peek(f->ps, ix);

		assert_non_null(b);
		blk_drop(b);
	}
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

	assert_false(a.is_done);
	if (err == 0) {
		fix_until(&f->l, fix_is_set, &a.is_done);
		err = a.err;
	}
	if (err == 0)
		assert_true(fix_matches(dst, off, len));
	mem_free(dst);
	pieces_check(f->ps);
	return err;
}

static void fail_at(struct fix *f, enum fault_at at, int err)
{
	f->fault->at = at;
	f->fault->err = err;
	f->fault->in = 0;
}

#define assert_state(f, ix, state) \
	assert_int_equal(pieces_state((f)->ps, ix), state)

/* ---- Tests: the table ---- */

/* A waited piece goes all the way: verified, then its waiters, then clean;
 * nothing of it can be read before. */
static void goes_all_the_way(void **state)
{
	struct fix *f = *state;
	struct piece_wait a = {.fn = on_wait, .arg = f}, b = a;

	open_pieces(f);
	assert_state(f, 1, PIECE_ABSENT);
	pieces_wait(f->ps, 1, &a);
	pieces_wait(f->ps, 1, &b);
	assert_state(f, 1, PIECE_WANTED);
	assert_true(pieces_is_waited(f->ps, 1));
	assert_int_equal(pieces_begin(f->ps, 1), 0);
	assert_int_equal(read_now(f, FIX_PIECE_BYTES, 1), ENOENT);
	assert_null(pieces_peek(f->ps, 1));
	f->fault->holds_durable = true;
	fill(f, 1, true);
	assert_null(pieces_place(f->ps, 1, 0));
	assert_int_equal(read_now(f, FIX_PIECE_BYTES, 1), ENOENT);
	settle(f);
	assert_string_equal(f->said, "vww");
	assert_state(f, 1, PIECE_SETTLING);
	assert_false(pieces_is_waited(f->ps, 1));
	assert_int_equal(pieces_hashed(f->ps), 1);
	assert_int_equal(piece_mem_unverified_bytes(f->mem), 0);
	assert_int_equal(piece_mem_recent_bytes(f->mem), FIX_PIECE_BYTES);
	fault_release(f->fault);
	assert_state(f, 1, PIECE_CLEAN);
	assert_int_equal(read_now(f, FIX_PIECE_BYTES, FIX_PIECE_BYTES), 0);
}

/* The last waiter that leaves takes the wish with it. */
static void last_waiter_leaves(void **state)
{
	struct fix *f = *state;
	struct piece_wait a = {.fn = on_wait, .arg = f}, b = a, c = a;

	open_pieces(f);
	pieces_wait(f->ps, 2, &a);
	pieces_wait(f->ps, 2, &b);
	pieces_wait(f->ps, 3, &c);
	pieces_check(f->ps);
	pieces_wait_cancel(f->ps, &a);
	assert_state(f, 2, PIECE_WANTED);
	pieces_wait_cancel(f->ps, &b);
	assert_state(f, 2, PIECE_ABSENT);
	assert_state(f, 3, PIECE_WANTED);
	pieces_wait_cancel(f->ps, &b); /* over: nothing happens */
	pieces_wait_cancel(f->ps, &c);
	pieces_check(f->ps);
	assert_string_equal(f->said, "");
}

/* An abandoned piece is wanted as long as somebody waits. */
static void abandons(void **state)
{
	struct fix *f = *state;
	struct piece_wait a = {.fn = on_wait, .arg = f};

	open_pieces(f);
	assert_int_equal(pieces_begin(f->ps, 0), 0);
	pieces_abandon(f->ps, 0);
	assert_state(f, 0, PIECE_ABSENT);
	assert_int_equal(pieces_begin(f->ps, 0), 0);
	pieces_wait(f->ps, 0, &a);
	assert_state(f, 0, PIECE_FETCHING);
	pieces_abandon(f->ps, 0);
	assert_state(f, 0, PIECE_WANTED);
	assert_int_equal(piece_mem_unverified_bytes(f->mem), 0);
	pieces_check(f->ps);
	pieces_wait_cancel(f->ps, &a);
}

/* Bytes that are wrong are shown to nobody but on_bad, and can be replaced. */
static void bad_hash_fetches_again(void **state)
{
	struct fix *f = *state;
	struct piece_wait a = {.fn = on_wait, .arg = f};

	open_pieces(f);
	pieces_wait(f->ps, 5, &a);
	assert_int_equal(pieces_begin(f->ps, 5), 0);
	fill(f, 5, false);
	settle(f);
	assert_string_equal(f->said, "b");
	assert_state(f, 5, PIECE_FETCHING);
	assert_false(bits_has(pieces_have(f->ps), 5));
	assert_true(pieces_is_waited(f->ps, 5));
	fill(f, 5, true);
	settle(f);
	assert_string_equal(f->said, "bvw");
	assert_state(f, 5, PIECE_CLEAN);
}

/* A put that fails before WRITTEN leaves the piece in memory; it is lost when
 * its buffer makes room. */
static void unkept_until_dropped(void **state, enum fault_at at)
{
	struct fix *f = *state;

	set_mem(f, MANY, 2 * FIX_PIECE_BYTES);
	open_pieces(f);
	fail_at(f, at, ENOSPC);
	get(f, 0);
	assert_state(f, 0, PIECE_CLEAN);
	assert_int_equal(piece_mem_unverified_bytes(f->mem), 0);
	assert_int_equal(read_now(f, 3, 1000), 0);
	get(f, 1);
	assert_string_equal(f->said, "vv");
	get(f, 2);
	assert_string_equal(f->said, "vvvl");
	assert_int_equal(f->last_ix, 0);
	assert_state(f, 0, PIECE_ABSENT);
	assert_int_equal(read_now(f, 3, 1000), ENOENT);
	get(f, 0);
	assert_state(f, 0, PIECE_CLEAN);
}

static void put_that_cannot_start(void **state)
{
	unkept_until_dropped(state, FAULT_PUT_START);
}

static void put_that_cannot_write(void **state)
{
	unkept_until_dropped(state, FAULT_PUT_WRITTEN);
}

static void put_that_cannot_commit(void **state)
{
	unkept_until_dropped(state, FAULT_PUT_DURABLE);
}

/* A commit that fails after the buffer has gone loses the piece at once. */
static void failed_commit_without_buffer(void **state)
{
	struct fix *f = *state;

	set_mem(f, MANY, 0);
	open_pieces(f);
	fail_at(f, FAULT_PUT_DURABLE, EIO);
	get(f, 4);
	assert_string_equal(f->said, "vl");
	assert_state(f, 4, PIECE_ABSENT);
}

/* A held piece that cannot be read is lost, alone, and can be fetched anew. */
static void unreadable_is_lost(void **state)
{
	struct fix *f = *state;

	set_mem(f, MANY, 0);
	open_pieces(f);
	get(f, 0);
	get(f, 1);
	fail_at(f, FAULT_READ, EIO);
	f->fault->in = 1; /* of two pieces the second one */
	assert_int_equal(read_later(f, 0, 2 * FIX_PIECE_BYTES), EIO);
	assert_string_equal(f->said, "vvl");
	assert_int_equal(f->last_ix, 1);
	assert_state(f, 0, PIECE_CLEAN);
	get(f, 1);
	assert_int_equal(read_later(f, 0, 2 * FIX_PIECE_BYTES), 0);
}

/* An error that says nothing about the bytes loses nothing. */
static void other_read_errors_keep(void **state)
{
	struct fix *f = *state;

	set_mem(f, MANY, 0);
	open_pieces(f);
	get(f, 0);
	fail_at(f, FAULT_READ, EMFILE);
	assert_int_equal(read_later(f, 0, 10), EMFILE);
	assert_state(f, 0, PIECE_CLEAN);
	assert_int_equal(read_later(f, 0, 10), 0);
}

/* A piece that is lost while its put is under way, and fetched again, is not
 * touched by the first put's end. */
static void lost_while_settling(void **state)
{
	struct fix *f = *state;

	set_mem(f, MANY, 0);
	open_pieces(f);
	f->fault->holds_durable = true;
	get(f, 0);
	assert_state(f, 0, PIECE_SETTLING);
	fail_at(f, FAULT_READ, EIO);
	assert_int_equal(read_later(f, 0, 10), EIO);
	assert_state(f, 0, PIECE_ABSENT);
	assert_int_equal(pieces_begin(f->ps, 0), 0);
	fault_release(f->fault);
	assert_state(f, 0, PIECE_FETCHING);
	pieces_check(f->ps);
	fill(f, 0, true);
	settle(f);
	assert_state(f, 0, PIECE_CLEAN);
	assert_string_equal(f->said, "vlv");
}

/* ---- Tests: memory ---- */

/* The cap says EAGAIN; one piece always may; room is announced once it is
 * there, and not from inside the call that made it. */
static void caps_unverified(void **state)
{
	struct fix *f = *state;

	set_mem(f, FIX_PIECE_BYTES / 2, MANY);
	open_pieces(f);
	assert_int_equal(pieces_begin(f->ps, 0), 0);
	assert_int_equal(pieces_begin(f->ps, 1), EAGAIN);
	assert_state(f, 1, PIECE_ABSENT);
	pieces_abandon(f->ps, 0);
	assert_string_equal(f->said, "");
	fix_quiet(&f->l);
	assert_string_equal(f->said, "r");
	get(f, 1);
	assert_string_equal(f->said, "rv");
}

/* Until the store has the bytes they count: a slow disk pushes back. */
static void counts_until_written(void **state)
{
	struct fix *f = *state;
	struct blk *b;

	set_mem(f, 2 * FIX_PIECE_BYTES, 0);
	open_pieces(f);
	assert_int_equal(pieces_begin(f->ps, 0), 0);
	fill(f, 0, true);
	fail_at(f, FAULT_PUT_START, EIO);
	workers_drain(f->l.workers, 10000);
	assert_string_equal(f->said, "v");
	assert_state(f, 0, PIECE_CLEAN);
	b = pieces_peek(f->ps, 0);
	assert_int_equal(pieces_begin(f->ps, 1), 0);
	fill(f, 1, true);
	workers_drain(f->l.workers, 10000);
	assert_state(f, 1, PIECE_SETTLING);
	assert_int_equal(piece_mem_unverified_bytes(f->mem), FIX_PIECE_BYTES);
	settle(f); /* WRITTEN; recent is 0, so both buffers go */
	assert_int_equal(piece_mem_unverified_bytes(f->mem), 0);
	assert_int_equal(piece_mem_recent_bytes(f->mem), 0);
	assert_state(f, 0, PIECE_ABSENT);
	assert_state(f, 1, PIECE_CLEAN);
	assert_true(fix_matches(b->data, 0, b->len)); /* ours, still */
	blk_drop(b);
}

/* What is used stays, what is not goes first. */
static void drops_least_recent(void **state)
{
	struct fix *f = *state;
	struct blk *b;

	set_mem(f, MANY, 2 * FIX_PIECE_BYTES);
	open_pieces(f);
	get(f, 0);
	get(f, 1);
	b = pieces_peek(f->ps, 0);
	assert_non_null(b);
	blk_drop(b);
	get(f, 2);
	assert_null(pieces_peek(f->ps, 1));
	b = pieces_peek(f->ps, 0);
	assert_non_null(b);
	blk_drop(b);
	assert_state(f, 1, PIECE_CLEAN); /* the store has it */
	assert_int_equal(read_now(f, 0, 3 * FIX_PIECE_BYTES), 0);
}

/* Of pieces that are long for the cap the last two are recent, as long as what
 * is unverified leaves room for them. */
static void keeps_two_long_ones(void **state)
{
	struct fix *f = *state;

	f->mem_cfg.recent_long_bytes = 2 * FIX_PIECE_BYTES;
	set_mem(f, 3 * FIX_PIECE_BYTES, FIX_PIECE_BYTES / 2);
	open_pieces(f);
	for (uint32_t ix = 0; ix < 2; ix++)
		get(f, ix);
	assert_int_equal(piece_mem_recent_bytes(f->mem), 2 * FIX_PIECE_BYTES);
	assert_int_equal(pieces_begin(f->ps, 2), 0);
	assert_int_equal(piece_mem_recent_bytes(f->mem), 2 * FIX_PIECE_BYTES);
	assert_int_equal(pieces_begin(f->ps, 3), 0);
	assert_int_equal(piece_mem_recent_bytes(f->mem), FIX_PIECE_BYTES);
	assert_int_equal(pieces_begin(f->ps, 4), 0);
	assert_int_equal(piece_mem_recent_bytes(f->mem), 0);
	pieces_check(f->ps);
	for (uint32_t ix = 2; ix < 5; ix++)
		pieces_abandon(f->ps, ix);
	assert_string_equal(f->said, "vv");
	assert_int_equal(read_later(f, 0, 2 * FIX_PIECE_BYTES), 0);
}

/* One that no store has is not lost to a piece that begins. */
static void keeps_what_no_store_has(void **state)
{
	struct fix *f = *state;

	f->mem_cfg.recent_long_bytes = 2 * FIX_PIECE_BYTES;
	set_mem(f, 2 * FIX_PIECE_BYTES, FIX_PIECE_BYTES / 2);
	open_pieces(f);
	fail_at(f, FAULT_PUT_START, EIO);
	get(f, 0);
	assert_int_equal(piece_mem_recent_bytes(f->mem), FIX_PIECE_BYTES);
	assert_int_equal(pieces_begin(f->ps, 1), 0);
	assert_int_equal(pieces_begin(f->ps, 2), 0);
	assert_state(f, 0, PIECE_CLEAN);
	assert_int_equal(piece_mem_recent_bytes(f->mem), FIX_PIECE_BYTES);
	pieces_abandon(f->ps, 1);
	pieces_abandon(f->ps, 2);
}

/* ---- Tests: reading, opening, closing ---- */

/* A read goes over memory and store alike, to the last short piece. */
static void reads_across(void **state)
{
	struct fix *f = *state;

	set_mem(f, MANY, 2 * FIX_PIECE_BYTES);
	open_pieces(f);
	for (uint32_t ix = 0; ix < N_PIECES; ix++)
		get(f, ix);
	assert_int_equal(read_later(f, 0, (uint32_t)f->mi->total_bytes), 0);
	assert_int_equal(read_now(f, 10, (uint32_t)f->mi->total_bytes - 10), 0);
	assert_int_equal(read_later(f, 5 * FIX_PIECE_BYTES + 1, 50), 0);
	assert_int_equal(read_now(f, f->mi->total_bytes + MANY, 1), ENOENT);
}

/* What the store held is clean when it is opened again. */
static void opens_with_held(void **state)
{
	struct fix *f = *state;

	open_pieces(f);
	get(f, 2);
	get(f, 5);
	close_pieces(f);
	open_pieces(f);
	assert_int_equal(pieces_have(f->ps)->n_set, 2);
	assert_state(f, 2, PIECE_CLEAN);
	assert_state(f, 3, PIECE_ABSENT);
	assert_int_equal(pieces_hashed(f->ps), 0);
}

/* A store that cannot open it says so, once, and nothing is left. */
static void open_that_fails(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};

	assert_int_equal(fix_open(&f->l, f->mem_store, f->mi, &a), 0);
	open_start(f);
	fix_until(&f->l, fix_is_set, &f->is_open);
	assert_int_equal(f->open_err, EEXIST);
	assert_null(f->ps);
	store_close(a.st);
	bits_fini(&a.held);
}

/* A close before the open is done cancels it. */
static void closes_while_opening(void **state)
{
	struct fix *f = *state;

	open_start(f);
	close_pieces(f);
	assert_false(f->is_open);
	open_pieces(f); /* the store's handle was given back */
}

/* A close ends waiters at once and waits for hashes, puts and reads. */
static void closes_with_jobs_under_way(void **state)
{
	struct fix *f = *state;
	struct piece_wait a = {.fn = on_wait, .arg = f};
	struct fix_answer read = {0};
	uint8_t dst[10];

	open_pieces(f);
	get(f, 0);
	f->said[0] = '\0';
	assert_int_equal(pieces_begin(f->ps, 1), 0);
	fill(f, 1, true);
	assert_int_equal(pieces_begin(f->ps, 2), 0);
	fill(f, 2, false);
	assert_int_equal(pieces_begin(f->ps, 3), 0);
	pieces_wait(f->ps, 3, &a);
	f->fault->holds_durable = true;
	assert_int_equal(pieces_read(f->ps, 0, 10, dst, fix_on_done, &read), 0);
	pieces_close(f->ps, on_gone, f);
	f->ps = NULL;
	assert_string_equal(f->said, "e");
	assert_false(read.is_done);
	fix_until(&f->l, fix_is_set, &f->is_gone);
	assert_true(read.is_done);
	assert_int_equal(read.err, ESTALE);
	assert_string_equal(f->said, "e");
	assert_int_equal(piece_mem_unverified_bytes(f->mem), 0);
	assert_int_equal(piece_mem_recent_bytes(f->mem), 0);
	assert_int_equal(blk_pool_live_bytes(f->l.pool), FIX_PIECE_BYTES);
}

/* gone comes only after the put that is under way. */
static void gone_after_the_put(void **state)
{
	struct fix *f = *state;

	open_pieces(f);
	f->fault->holds_durable = true;
	get(f, 0);
	pieces_close(f->ps, on_gone, f);
	f->ps = NULL;
	fix_quiet(&f->l);
	assert_false(f->is_gone);
	fault_release(f->fault);
	assert_false(f->is_gone);
	fix_until(&f->l, fix_is_set, &f->is_gone);
}

/* on_verified may close everything; its waiters hear ESTALE and no more. */
static void closes_from_inside(void **state)
{
	struct fix *f = *state;
	struct piece_wait a = {.fn = on_wait, .arg = f};

	open_pieces(f);
	pieces_wait(f->ps, 0, &a);
	assert_int_equal(pieces_begin(f->ps, 0), 0);
	fill(f, 0, true);
	f->close_in_verified = true;
	fix_until(&f->l, fix_is_set, &f->is_gone);
	f->ps = NULL;
	assert_string_equal(f->said, "ve");
}

/* A torrent that was refused memory and then closed is not told of room. */
static void closed_while_starved(void **state)
{
	struct fix *f = *state;

	set_mem(f, 1, MANY);
	open_pieces(f);
	assert_int_equal(pieces_begin(f->ps, 0), 0);
	assert_int_equal(pieces_begin(f->ps, 1), EAGAIN);
	close_pieces(f);
	assert_string_equal(f->said, "");
}

/* An allocation that fails leaves the piece where it was. */
static void survives_no_memory(void **state)
{
	struct fix *f = *state;
	int err = ENOMEM;

	open_pieces(f);
	for (uint64_t n = 0; err != 0; n++) {
		mem_fail_after(n, 0);
		err = pieces_begin(f->ps, 0);
		mem_fail_after(UINT64_MAX, 0);
		if (err == 0)
			break;
		assert_int_equal(err, ENOMEM);
		assert_state(f, 0, PIECE_ABSENT);
		assert_int_equal(piece_mem_unverified_bytes(f->mem), 0);
	}
	fill(f, 0, true);
	mem_fail_after(0, 1);
	workers_drain(f->l.workers, 10000);
	mem_fail_after(UINT64_MAX, 0);
	assert_string_equal(f->said, "v");
	assert_int_equal(read_now(f, 0, 100), 0);
	pieces_check(f->ps);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(goes_all_the_way),
		T(last_waiter_leaves),
		T(abandons),
		T(bad_hash_fetches_again),
		T(put_that_cannot_start),
		T(put_that_cannot_write),
		T(put_that_cannot_commit),
		T(failed_commit_without_buffer),
		T(unreadable_is_lost),
		T(other_read_errors_keep),
		T(lost_while_settling),
		T(caps_unverified),
		T(counts_until_written),
		T(drops_least_recent),
		T(keeps_two_long_ones),
		T(keeps_what_no_store_has),
		T(reads_across),
		T(opens_with_held),
		T(open_that_fails),
		T(closes_while_opening),
		T(closes_with_jobs_under_way),
		T(gone_after_the_put),
		T(closes_from_inside),
		T(closed_while_starved),
		T(survives_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
