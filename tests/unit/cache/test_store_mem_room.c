/* test_store_mem_room — what goes when memory is full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>

#include <cmocka.h>

#include "cache/store.h"
#include "cache/store_share.h"
#include "cache/store_mem.h"
#include "tests/lib/cache_fix.h"
#include "tests/lib/v2_torrent.h"

enum {
	ROOM = 8, /* pieces, and what is kept free */
	N_PIECES = 40,
	MAX_BYTES = ROOM * FIX_PIECE_BYTES + 4096,
	V2_PIECE_BYTES = 1 << 20, /* a unit of leaves */
	V2_PIECES = 6,
	V2_MAX_BYTES = (2 * V2_PIECE_BYTES) + (512 << 10),
};

struct fix {
	struct fix_loop l;
	struct metainfo *mi;
	struct store *s;
	struct fix_answer open;
	uint64_t due_us[N_PIECES]; /* 0: nobody wants it */
	bool has_lost[N_PIECES];
	bool closes; /* who loses a piece closes the torrent */
	unsigned n_lost;
};

static void on_gained(void *arg, uint32_t ix)
{
}

static void on_gained_leaves(void *arg, uint32_t ix, uint32_t at, uint32_t len)
{
}

static void on_lost(void *arg, uint32_t ix)
{
	struct fix *f = arg;

	f->n_lost++;
	f->has_lost[ix] = true;
	if (f->closes && f->open.st != NULL) {
		store_close(f->open.st);
		f->open.st = NULL;
	}
}

static uint64_t due_us(void *arg, uint32_t ix)
{
	const struct fix *f = arg;

	return f->due_us[ix] != 0 ? f->due_us[ix] : UINT64_MAX;
}

static const struct store_share_ops watch_ops = {
	.on_gained = on_gained,
	.on_gained_leaves = on_gained_leaves,
	.on_lost = on_lost,
	.due_us = due_us,
};

static void on_open(void *arg, int err, struct store_torrent *st,
		    const struct bits *held)
{
	struct fix *f = arg;

	fix_on_open(&f->open, err, st, held);
	if (err == 0)
		store_watch(st, &watch_ops, f);
}

static void open_torrent(struct fix *f)
{
	bits_fini(&f->open.held);
	f->open = (struct fix_answer){0};
	assert_int_equal(store_open(f->s, f->mi, on_open, f), 0);
	fix_until(&f->l, fix_is_set, &f->open.is_done);
	assert_int_equal(f->open.err, 0);
}

static struct fix *fix_new(uint64_t max_bytes)
{
	struct fix *f = mem_new(struct fix);

	fix_loop_init(&f->l, 1);
	fix_must(store_mem_new(f->l.loop, max_bytes, &f->s), "store");
	return f;
}

static int set_up(void **state)
{
	static const uint64_t lens[] = {
		(uint64_t)N_PIECES / 2 * FIX_PIECE_BYTES,
		(uint64_t)N_PIECES / 2 * FIX_PIECE_BYTES};
	struct fix *f = fix_new(MAX_BYTES);

	f->mi = fix_torrent(&f->l, "own", lens, 2);
	open_torrent(f);
	*state = f;
	return 0;
}

static int set_up_v2(void **state)
{
	struct v2_spec spec = {.name = "leaves",
			       .len_bytes = V2_PIECES * V2_PIECE_BYTES,
			       .piece_bytes = V2_PIECE_BYTES};
	struct fix *f = fix_new(V2_MAX_BYTES);

	f->mi = v2_torrent(f->l.hasher, &spec);
	open_torrent(f);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fix *f = *state;

	if (f->open.st != NULL)
		store_close(f->open.st);
	store_free(f->s);
	assert_int_equal(blk_pool_live_bytes(f->l.pool), 0);
	bits_fini(&f->open.held);
	metainfo_free(f->mi);
	fix_loop_fini(&f->l);
	mem_free(f);
	return 0;
}

/* ---- Helpers ---- */

static int put(struct fix *f, uint32_t ix)
{
	struct fix_answer a = {0};

	fix_put(&f->l, f->open.st, f->mi, ix, &a);
	fix_quiet(&f->l);
	assert_int_equal(a.n_durable + a.n_failed, 1);
	return a.err;
}

static bool is_there(struct fix *f, uint32_t ix)
{
	uint64_t off = (uint64_t)ix * f->mi->piece_bytes;
	uint8_t dst[100];

	if (store_read_now(f->open.st, off, sizeof(dst), dst) != 0)
		return false;
	assert_true(fix_matches(dst, off, sizeof(dst)));
	return true;
}

static struct store_stats stats(const struct fix *f)
{
	struct store_stats st;

	store_stats(f->s, &st);
	return st;
}

/* ---- Tests ---- */

/* Much more than there is room for comes and goes, and the owner is told. */
static void old_goes_for_new(void **state)
{
	struct fix *f = *state;
	unsigned n = 0;

	for (uint32_t ix = 0; ix < N_PIECES; ix++) {
		assert_int_equal(put(f, ix), 0);
		assert_true(stats(f).used_bytes <= MAX_BYTES);
	}
	for (uint32_t ix = 0; ix < N_PIECES; ix++) {
		assert_true(is_there(f, ix) != f->has_lost[ix]);
		n += is_there(f, ix);
	}
	assert_int_equal(n, ROOM);
	assert_int_equal(f->n_lost, N_PIECES - ROOM);
	assert_int_equal(stats(f).evicted_bytes,
			 (uint64_t)(N_PIECES - ROOM) * FIX_PIECE_BYTES);
}

/* What is read again and again outlives what is read once. */
static void what_is_used_stays(void **state)
{
	struct fix *f = *state;

	for (unsigned turn = 0; turn < 4; turn++)
		for (uint32_t ix = 0; ix < N_PIECES; ix++) {
			if (!is_there(f, ix))
				assert_int_equal(put(f, ix), 0);
			if (!is_there(f, 0))
				assert_int_equal(put(f, 0), 0);
		}
	assert_true(is_there(f, 0));
}

/* What a reader's window covers goes only for what is wanted sooner. */
static void wanted_later_goes(void **state)
{
	struct fix *f = *state;

	for (uint32_t ix = 0; ix < ROOM; ix++) {
		f->due_us[ix] = 1000 + ix;
		assert_int_equal(put(f, ix), 0);
	}
	assert_int_equal(put(f, 20), ENOSPC); /* nobody wants it */
	f->due_us[21] = 5000;
	assert_int_equal(put(f, 21), ENOSPC); /* later than all */
	f->due_us[22] = 500;
	assert_int_equal(put(f, 22), 0);
	assert_true(f->has_lost[ROOM - 1]);
	assert_int_equal(f->n_lost, 1);
}

/* A file that is pinned does not go; when it is not any more, it does. */
static void pinned_stays(void **state)
{
	struct fix *f = *state;
	struct bits files = {0};

	assert_int_equal(bits_init(&files, 2), 0);
	for (uint32_t ix = 0; ix < ROOM / 2; ix++)
		assert_int_equal(put(f, ix), 0);
	bits_set(&files, 0);
	assert_int_equal(store_keep_pins(f->open.st, &files), 0);
	for (uint32_t ix = 20; ix < N_PIECES; ix++)
		assert_int_equal(put(f, ix), 0);
	for (uint32_t ix = 0; ix < ROOM / 2; ix++)
		assert_true(is_there(f, ix));
	for (uint32_t ix = ROOM / 2; ix < ROOM; ix++)
		assert_int_equal(put(f, ix), 0);
	assert_int_equal(put(f, ROOM), ENOSPC);
	store_close(f->open.st);
	open_torrent(f);
	assert_true(bits_has(store_pinned(f->open.st), 0));
	bits_clear(&files, 0);
	assert_int_equal(store_keep_pins(f->open.st, &files), 0);
	assert_int_equal(put(f, ROOM), 0);
	bits_fini(&files);
}

/* Puts that come together wait for each other's room, in order. */
static void many_at_once(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};

	for (uint32_t ix = 0; ix < N_PIECES; ix++)
		fix_put(&f->l, f->open.st, f->mi, ix, &a);
	fix_quiet(&f->l);
	assert_int_equal(a.n_durable, N_PIECES);
	assert_int_equal(stats(f).held_bytes, ROOM * FIX_PIECE_BYTES);
}

/* A close ends what waits; so does one by who is told that a piece went. */
static void close_ends_waiting(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};

	for (uint32_t ix = 0; ix < ROOM + 4; ix++)
		fix_put(&f->l, f->open.st, f->mi, ix, &a);
	store_close(f->open.st);
	fix_quiet(&f->l);
	assert_int_equal(a.n_durable, ROOM);
	assert_int_equal(a.n_failed, 4);
	assert_int_equal(a.err, ECANCELED);
	a = (struct fix_answer){0};
	open_torrent(f);
	f->closes = true;
	for (uint32_t ix = 20; ix < 24; ix++)
		fix_put(&f->l, f->open.st, f->mi, ix, &a);
	fix_quiet(&f->l);
	assert_int_equal(a.n_durable + a.n_failed, 4);
	assert_int_equal(f->n_lost, 1);
}

/* What is staged has room made for it, and does not go itself. */
static void staged_stays(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};
	struct blk *b = fix_piece(&f->l, f->mi, 30);
	uint8_t dst[FIX_PIECE_BYTES];

	for (uint32_t ix = 0; ix < ROOM; ix++)
		assert_int_equal(put(f, ix), 0);
	assert_int_equal(store_stage(f->open.st, 30, 0, b, fix_on_done, &a), 0);
	blk_drop(b);
	fix_until(&f->l, fix_is_set, &a.is_done);
	assert_int_equal(a.err, 0);
	for (uint32_t ix = ROOM; ix < 3 * ROOM; ix++)
		assert_int_equal(put(f, ix), 0);
	assert_int_equal(store_read_now(f->open.st,
					(uint64_t)30 * FIX_PIECE_BYTES,
					FIX_PIECE_BYTES, dst),
			 0);
	assert_true(fix_matches(dst, (uint64_t)30 * FIX_PIECE_BYTES,
				FIX_PIECE_BYTES));
}

/* Files with a root: a run of leaves goes at once, and what is wanted of it
 * stays. */
static void leaves_go(void **state)
{
	struct fix *f = *state;

	f->due_us[0] = 1000;
	for (unsigned turn = 0; turn < 2; turn++)
		for (uint32_t ix = 0; ix < V2_PIECES; ix++)
			if (!is_there(f, ix)) {
				assert_int_equal(put(f, ix), 0);
				assert_true(stats(f).used_bytes <=
					    V2_MAX_BYTES);
				f->has_lost[ix] = false;
			}
	assert_true(is_there(f, 0));
	for (uint32_t ix = 0; ix < V2_PIECES; ix++)
		assert_true(is_there(f, ix) != f->has_lost[ix]);
	assert_int_equal(stats(f).held_bytes, 2 * V2_PIECE_BYTES);
}

/* A torrent that is closed has what it has, until there is no room for it. */
static void closed_goes(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0}, other = {0};
	static const uint64_t len = (uint64_t)ROOM * FIX_PIECE_BYTES;
	struct metainfo *mi = fix_torrent(&f->l, "other", &len, 1);

	for (uint32_t ix = 0; ix < ROOM; ix++)
		assert_int_equal(put(f, ix), 0);
	store_close(f->open.st);
	assert_int_equal(fix_open(&f->l, f->s, mi, &other), 0);
	for (uint32_t ix = 0; ix < ROOM; ix++)
		fix_put(&f->l, other.st, mi, ix, &a);
	fix_quiet(&f->l);
	assert_int_equal(a.n_durable, ROOM);
	open_torrent(f);
	assert_int_equal(f->open.held.n_set, 0);
	store_close(other.st);
	bits_fini(&other.held);
	metainfo_free(mi);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(old_goes_for_new),
		T(what_is_used_stays),
		T(wanted_later_goes),
		T(pinned_stays),
		T(many_at_once),
		T(close_ends_waiting),
		T(staged_stays),
		T(closed_goes),
		cmocka_unit_test_setup_teardown(leaves_go, set_up_v2,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
