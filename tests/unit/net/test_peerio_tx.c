/* Unit tests of net/peerio_tx. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "core/be.h"
#include "core/blk.h"
#include "core/mem.h"
#include "core/rng.h"
#include "net/peerio_internal.h"

/* ---- Fixture ---- */

struct rig {
	struct blk_pool *pool;
	struct blk *data;
	struct peerio_tx tx;
	struct buf want; /* the stream as it must leave */
	struct buf got;
	uint64_t payload;
};

static void rig_init(struct rig *r)
{
	*r = (struct rig){0};
	assert_int_equal(blk_pool_new(0, &r->pool), 0);
	r->data = blk_new(r->pool, 64 << 10);
	assert_non_null(r->data);
	for (size_t i = 0; i < r->data->len; i++)
		r->data->data[i] = (uint8_t)(i * 5 + (i >> 8));
	peerio_tx_init(&r->tx);
}

static void rig_fini(struct rig *r)
{
	peerio_tx_fini(&r->tx);
	assert_int_equal(r->data->refs, 1);
	blk_drop(r->data);
	blk_pool_free(r->pool);
	buf_fini(&r->want);
	buf_fini(&r->got);
}

/* ---- Helpers ---- */

static void put_have(struct rig *r, uint32_t ix)
{
	wire_put_ix(&r->tx.out, WIRE_HAVE, ix);
	wire_put_ix(&r->want, WIRE_HAVE, ix);
}

static void put_block(struct rig *r, const struct wire_block *b, bool is_wanted)
{
	uint8_t hdr[WIRE_PIECE_HEADER];

	assert_int_equal(peerio_tx_add(&r->tx, b, r->data, b->begin_bytes), 0);
	if (!is_wanted)
		return;
	wire_encode_piece_header(hdr, b);
	buf_add(&r->want, hdr, sizeof(hdr));
	buf_add(&r->want, r->data->data + b->begin_bytes, b->len_bytes);
}

/* Let at most `max` bytes leave through `n_iov` vectors; how many did. */
static size_t leave(struct rig *r, size_t max, unsigned n_iov)
{
	struct iovec iov[64];
	unsigned n = peerio_tx_fill(&r->tx, iov, n_iov);
	size_t done = 0;

	assert_in_range(n, 0, n_iov);
	for (unsigned i = 0; i < n && done < max; i++) {
		size_t len = iov[i].iov_len;

		assert_true(len > 0);
		len = len < max - done ? len : max - done;
		buf_add(&r->got, iov[i].iov_base, len);
		done += len;
	}
	r->payload += peerio_tx_sent(&r->tx, done);
	return done;
}

static void assert_all_left(struct rig *r)
{
	assert_int_equal(peerio_tx_bytes(&r->tx), 0);
	assert_int_equal(r->got.len, r->want.len);
	assert_memory_equal(r->got.data, r->want.data, r->want.len);
}

/* ---- Tests ---- */

/* Messages and blocks leave in the order in which they were queued, however
 * little the socket takes each time. */
static void order_holds_for_any_cut(void **state)
{
	for (uint64_t seed = 0; seed < 60; seed++) {
		uint64_t payload = 0;
		struct rng rng;
		struct rig r;

		rig_init(&r);
		rng_seed(&rng, seed);
		for (uint32_t i = 0; i < 50; i++) {
			struct wire_block b = {i, i * 64, 1 + i * 20};

			if (rng_below(&rng, 2) == 0) {
				put_have(&r, i);
			} else {
				put_block(&r, &b, true);
				payload += b.len_bytes;
			}
			if (rng_below(&rng, 4) == 0)
				leave(&r, rng_below(&rng, 900),
				      3 + (unsigned)rng_below(&rng, 62));
		}
		while (leave(&r, 1 + rng_below(&rng, 3000), 64) > 0)
			;
		assert_all_left(&r);
		assert_int_equal(r.payload, payload);
		rig_fini(&r);
	}
}

/* A block can be taken back until its first byte has left. */
static void block_can_be_taken_back(void **state)
{
	struct wire_block a = {1, 0, 100}, b = {2, 0, 100}, c = {3, 0, 100};
	struct rig r;

	rig_init(&r);
	put_have(&r, 1);
	put_block(&r, &a, true);
	put_have(&r, 2);
	put_block(&r, &b, false);
	put_have(&r, 3);
	put_block(&r, &c, true);
	leave(&r, 10, 64); /* a HAVE, and one byte of a */
	assert_false(peerio_tx_drop(&r.tx, &a));
	assert_true(peerio_tx_drop(&r.tx, &b));
	assert_false(peerio_tx_drop(&r.tx, &b));
	while (leave(&r, 1000, 64) > 0)
		;
	assert_all_left(&r);
	rig_fini(&r);
}

/* What waits is counted to the byte, headers and messages included. */
static void waiting_bytes_are_counted(void **state)
{
	struct wire_block a = {1, 0, 100};
	struct rig r;

	rig_init(&r);
	put_have(&r, 1);
	put_block(&r, &a, true);
	assert_int_equal(peerio_tx_bytes(&r.tx), 9 + 13 + 100);
	leave(&r, 9 + 13 + 1, 64);
	assert_int_equal(peerio_tx_bytes(&r.tx), 99);
	assert_int_equal(r.payload, 1);
	rig_fini(&r);
}

/* A block that finds no memory is refused, and holds nothing. */
static void no_memory_refuses_a_block(void **state)
{
	struct wire_block a = {1, 0, 100};
	struct rig r;

	rig_init(&r);
	mem_fail_after(0, 0);
	assert_int_equal(peerio_tx_add(&r.tx, &a, r.data, 0), ENOMEM);
	mem_fail_after(UINT64_MAX, 0);
	assert_int_equal(r.data->refs, 1);
	assert_int_equal(peerio_tx_bytes(&r.tx), 0);
	rig_fini(&r);
}

/* A queue that was large gives its memory back when it is empty. */
static void large_queue_gives_memory_back(void **state)
{
	struct rig r;

	rig_init(&r);
	for (uint32_t i = 0; i < 20000; i++)
		put_have(&r, i);
	while (leave(&r, 100000, 64) > 0)
		;
	assert_all_left(&r);
	assert_int_equal(r.tx.out.cap, 0);
	rig_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order_holds_for_any_cut),
		cmocka_unit_test(block_can_be_taken_back),
		cmocka_unit_test(waiting_bytes_are_counted),
		cmocka_unit_test(no_memory_refuses_a_block),
		cmocka_unit_test(large_queue_gives_memory_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
