/* test_blk — counted bytes and the pool that keeps them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/blk.h"
#include "core/err.h"
#include "core/mem.h"

enum { PIECE = 256 << 10 };

static struct blk_pool *new_pool(size_t keep)
{
	struct blk_pool *pool;

	assert_int_equal(blk_pool_new(keep, &pool), 0);
	return pool;
}

/* The memory goes with the last reference, not before. */
static void last_drop_frees(void **state)
{
	struct blk_pool *pool = new_pool(0);
	uint64_t before = mem_in_use_bytes();
	struct blk *b = blk_new(pool, PIECE);

	assert_int_equal(b->len, PIECE);
	memset(b->data, 1, b->len);
	assert_ptr_equal(blk_hold(b), b);
	blk_drop(b);
	assert_int_equal(blk_pool_live_bytes(pool), PIECE);
	assert_int_equal(b->data[PIECE - 1], 1);
	blk_drop(b);
	assert_int_equal(blk_pool_live_bytes(pool), 0);
	assert_int_equal(mem_in_use_bytes(), before);
	blk_drop(NULL);
	blk_pool_free(pool);
}

/* A freed run is used again for the same length, and only for that. */
static void reuses_same_length(void **state)
{
	struct blk_pool *pool = new_pool(4 * PIECE);
	struct blk *b = blk_new(pool, PIECE);
	const uint8_t *data = b->data;
	struct blk *other;

	blk_drop(b);
	other = blk_new(pool, PIECE - 1);
	assert_ptr_not_equal(other->data, data);
	b = blk_new(pool, PIECE);
	assert_ptr_equal(b->data, data);
	blk_drop(b);
	blk_drop(other);
	blk_pool_free(pool);
}

/* Large runs begin at a page. */
static void large_ones_are_aligned(void **state)
{
	struct blk_pool *pool = new_pool(0);
	struct blk *b = blk_new(pool, PIECE);

	assert_int_equal((uintptr_t)b->data % 4096, 0);
	blk_drop(b);
	blk_pool_free(pool);
}

/* What is kept stays below the cap, whatever lengths come and go; the most
 * recent length is the one that is kept. */
static void keeps_within_cap(void **state)
{
	struct blk_pool *pool = new_pool(2 * PIECE);
	uint64_t before = mem_in_use_bytes();
	struct blk *held[4];
	const uint8_t *last = NULL;

	for (size_t len = PIECE - 20; len <= PIECE; len++) {
		for (int i = 0; i < 4; i++)
			held[i] = blk_new(pool, len);
		for (int i = 0; i < 4; i++)
			blk_drop(held[i]);
		assert_true(mem_in_use_bytes() - before < 2 * PIECE + 16384);
	}
	held[0] = blk_new(pool, PIECE);
	held[1] = blk_new(pool, PIECE);
	last = held[1]->data;
	assert_true(mem_in_use_bytes() - before < 2 * PIECE + 16384);
	blk_drop(held[0]);
	blk_drop(held[1]);
	held[0] = blk_new(pool, PIECE);
	assert_ptr_equal(held[0]->data, last);
	blk_drop(held[0]);
	blk_pool_free(pool);
	assert_true(mem_in_use_bytes() <= before);
}

/* More than the cap is never kept. */
static void too_large_is_not_kept(void **state)
{
	struct blk_pool *pool = new_pool(PIECE);
	uint64_t before = mem_in_use_bytes();

	blk_drop(blk_new(pool, PIECE + 1));
	assert_int_equal(mem_in_use_bytes(), before);
	blk_drop(blk_new(pool, 0));
	assert_int_equal(mem_in_use_bytes(), before);
	blk_pool_free(pool);
}

/* Without memory there is no blk, and the pool is unharmed. */
static void says_no_memory(void **state)
{
	struct blk_pool *pool = new_pool(PIECE);
	struct blk *b;

	for (uint64_t n = 0; n < 2; n++) {
		mem_fail_after(n, 0);
		assert_null(blk_new(pool, PIECE));
	}
	assert_int_equal(blk_pool_live_bytes(pool), 0);
	b = blk_new(pool, PIECE);
	assert_non_null(b);
	blk_drop(b);
	blk_pool_free(pool);
	mem_fail_after(0, 0);
	assert_int_equal(blk_pool_new(1, &pool), ENOMEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(last_drop_frees),
		cmocka_unit_test(reuses_same_length),
		cmocka_unit_test(large_ones_are_aligned),
		cmocka_unit_test(keeps_within_cap),
		cmocka_unit_test(too_large_is_not_kept),
		cmocka_unit_test(says_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
