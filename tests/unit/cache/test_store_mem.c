/* test_store_mem — the store without a disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>

#include <cmocka.h>

#include "cache/store.h"
#include "cache/store_mem.h"
#include "tests/lib/cache_fix.h"

/* Three pieces, and what is kept free. */
enum { MAX_BYTES = 3 * FIX_PIECE_BYTES + 1024 };

struct fix {
	struct fix_loop l;
	struct metainfo *mi;
	struct store *s;
	struct fix_answer open;
};

static const uint64_t two_files[] = {20000, 60000};

static int set_up(void **state)
{
	struct fix *f = mem_new(struct fix);

	fix_loop_init(&f->l, 1);
	f->mi = fix_torrent(&f->l, "two", two_files, 2);
	assert_int_equal(store_mem_new(f->l.loop, MAX_BYTES, &f->s), 0);
	assert_int_equal(fix_open(&f->l, f->s, f->mi, &f->open), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fix *f = *state;

	store_close(f->open.st);
	store_free(f->s);
	bits_fini(&f->open.held);
	metainfo_free(f->mi);
	fix_loop_fini(&f->l);
	mem_free(f);
	return 0;
}

/* A put is answered later, WRITTEN and DURABLE, and read back. */
static void keeps(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};
	uint8_t dst[2 * FIX_PIECE_BYTES];

	fix_put(&f->l, f->open.st, f->mi, 0, &a);
	fix_put(&f->l, f->open.st, f->mi, 1, &a);
	assert_int_equal(a.n_written, 0);
	fix_quiet(&f->l);
	assert_int_equal(a.n_written, 2);
	assert_int_equal(a.n_durable, 2);
	assert_int_equal(store_read_now(f->open.st, 9, sizeof(dst) - 9, dst),
			 0);
	assert_true(fix_matches(dst, 9, sizeof(dst) - 9));
	assert_int_equal(fix_read(&f->l, f->open.st, 100, 20000, dst), 0);
	assert_true(fix_matches(dst, 100, 20000));
	assert_int_equal(blk_pool_live_bytes(f->l.pool), 2 * FIX_PIECE_BYTES);
}

/* A full store lets a piece go for another, and none for one that is there. */
static void is_bounded(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};
	struct store_stats st;

	for (uint32_t ix = 0; ix < 4; ix++)
		fix_put(&f->l, f->open.st, f->mi, ix, &a);
	fix_put(&f->l, f->open.st, f->mi, 3, &a); /* it is there already */
	assert_int_equal(fix_flush(&f->l, f->s), 0);
	assert_int_equal(a.n_durable, 5);
	assert_int_equal(a.n_failed, 0);
	store_stats(f->s, &st);
	assert_int_equal(st.held_bytes, 3 * FIX_PIECE_BYTES);
	assert_int_equal(st.evicted_bytes, FIX_PIECE_BYTES);
	store_forget(f->open.st, 3);
	fix_put(&f->l, f->open.st, f->mi, 4, &a);
	fix_quiet(&f->l);
	assert_int_equal(a.n_durable, 6);
}

static int stage(struct fix *f, uint32_t ix, uint32_t part)
{
	enum { PART = FIX_PIECE_BYTES / 2 };
	struct fix_answer a = {0};
	struct blk *b = blk_new(f->l.pool, PART);

	fix_fill(b->data, (uint64_t)ix * FIX_PIECE_BYTES + part * PART, PART);
	assert_int_equal(
		store_stage(f->open.st, ix, part * PART, b, fix_on_done, &a),
		0);
	blk_drop(b);
	assert_false(a.is_done);
	fix_until(&f->l, fix_is_set, &a.is_done);
	return a.err;
}

/* What is staged counts, is read back, and is held by a put or gone. */
static void stages(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};
	uint8_t dst[FIX_PIECE_BYTES];
	struct store_stats st;

	for (uint32_t ix = 0; ix < 3; ix++)
		for (uint32_t part = 2; part-- > 0;)
			assert_int_equal(stage(f, ix, part), 0);
	assert_int_equal(stage(f, 1, 0), 0); /* in the place of itself */
	store_stats(f->s, &st);
	assert_int_equal(st.held_bytes, 0);
	fix_put(&f->l, f->open.st, f->mi, 3, &a);
	fix_quiet(&f->l);
	assert_int_equal(a.err, ENOSPC);
	assert_int_equal(fix_read(&f->l, f->open.st, FIX_PIECE_BYTES,
				  FIX_PIECE_BYTES, dst),
			 0);
	assert_true(fix_matches(dst, FIX_PIECE_BYTES, FIX_PIECE_BYTES));
	assert_int_equal(store_put(f->open.st, 1, NULL, fix_on_put, &a), 0);
	store_unstage(f->open.st, 0);
	fix_quiet(&f->l);
	assert_int_equal(a.n_durable, 1);
	assert_int_equal(fix_read(&f->l, f->open.st, 0, 4, dst), EIO);
	fix_put(&f->l, f->open.st, f->mi, 0, &a);
	fix_quiet(&f->l);
	assert_int_equal(a.n_durable, 2);
	store_close(f->open.st); /* takes piece 2 with it */
	assert_int_equal(fix_open(&f->l, f->s, f->mi, &f->open), 0);
	assert_int_equal(f->open.held.n_set, 2);
	assert_int_equal(blk_pool_live_bytes(f->l.pool), 2 * FIX_PIECE_BYTES);
	assert_int_equal(
		fix_read(&f->l, f->open.st, 9, FIX_PIECE_BYTES - 9, dst), 0);
	assert_true(fix_matches(dst, 9, FIX_PIECE_BYTES - 9));
}

/* What is not there is EIO, never zeros. */
static void reads_only_what_is_held(void **state)
{
	struct fix *f = *state;
	uint8_t dst[4];

	assert_int_equal(store_read_now(f->open.st, 0, 4, dst), EAGAIN);
	assert_int_equal(fix_read(&f->l, f->open.st, 0, 4, dst), EIO);
}

/* A torrent is remembered over a close, with its dictionary; it is open once.
 */
static void remembers(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0}, other = {0};

	fix_put(&f->l, f->open.st, f->mi, 4, &a);
	fix_quiet(&f->l);
	assert_int_equal(fix_open(&f->l, f->s, f->mi, &other), EEXIST);
	store_close(f->open.st);
	assert_int_equal(fix_open(&f->l, f->s, f->mi, &f->open), 0);
	assert_int_equal(f->open.held.n_set, 1);
	assert_true(bits_has(&f->open.held, 4));
	other.is_done = false;
	assert_int_equal(store_load_info(f->s, &f->mi->id, fix_on_info, &other),
			 0);
	fix_until(&f->l, fix_is_set, &other.is_done);
	assert_int_equal(other.err, 0);
	assert_int_equal(other.info.len, f->mi->info.len);
	mem_free((void *)(uintptr_t)other.info.ptr);
}

/* Freeing lets every answer be given. */
static void free_answers(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};
	struct store *s;
	struct fix_answer o = {0};

	assert_int_equal(store_mem_new(f->l.loop, MAX_BYTES, &s), 0);
	assert_int_equal(fix_open(&f->l, s, f->mi, &o), 0);
	fix_put(&f->l, o.st, f->mi, 0, &a);
	store_close(o.st);
	store_free(s);
	assert_int_equal(a.n_durable, 1);
	bits_fini(&o.held);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(keeps),     T(is_bounded),
		T(stages),    T(reads_only_what_is_held),
		T(remembers), T(free_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
