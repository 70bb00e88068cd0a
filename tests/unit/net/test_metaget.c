/* Unit tests of net/metaget. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/core_limits.h"
#include "core/mem.h"
#include "net/ext.h"
#include "net/metaget.h"
#include "net/net_limits.h"

enum { TRUE_BYTES = 5 * EXT_METADATA_BLOCK + 100, TRUE_BLOCKS = 6 };

/* ---- Fixture: a metaget and the peers around it ---- */

enum kind { HONEST, LIES, SILENT, REJECTS };

struct world {
	struct metaget *mg;
	uint8_t truth[TRUE_BYTES];
	uint64_t now_us;
	unsigned n_bad; /* wholes that were wrong */
};

static struct world *world_new(void)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	assert_int_equal(metaget_new(&w->mg), 0);
	for (size_t i = 0; i < sizeof(w->truth); i++)
		w->truth[i] = (uint8_t)(i * 7 + (i >> 8));
	w->now_us = 1;
	return w;
}

static void world_free(struct world *w)
{
	metaget_free(w->mg);
	free(w);
}

/* ---- Helpers ---- */

static int give(struct world *w, uint32_t peer, uint32_t ix, uint32_t size,
		bool is_true)
{
	uint8_t junk[EXT_METADATA_BLOCK];
	uint32_t begin = ix * EXT_METADATA_BLOCK;
	uint32_t len = size - begin;

	len = len < EXT_METADATA_BLOCK ? len : EXT_METADATA_BLOCK;
	memset(junk, (int)peer, sizeof(junk));
	return metaget_on_data(w->mg, peer, ix,
			       span_of(is_true ? w->truth + begin : junk, len));
}

static bool is_true_whole(struct world *w)
{
	struct span s = metaget_whole(w->mg);

	return s.len == TRUE_BYTES && memcmp(s.ptr, w->truth, s.len) == 0;
}

/* Everything `peer` can be asked now, answered as his kind does. */
static void serve(struct world *w, uint32_t peer, uint32_t size, enum kind kind)
{
	uint32_t ix;

	while (metaget_next(w->mg, peer, w->now_us, &ix)) {
		if (kind == REJECTS)
			metaget_on_reject(w->mg, peer, ix);
		else if (kind != SILENT)
			assert_int_equal(
				give(w, peer, ix, size, kind == HONEST), 0);
		if (metaget_whole(w->mg).len > 0 && !is_true_whole(w)) {
			metaget_on_bad(w->mg);
			w->n_bad++;
		}
	}
}

/* Rounds of a tenth of a second until the truth is there; how many. */
static unsigned run(struct world *w, const uint32_t *sizes,
		    const enum kind *kinds, uint32_t n, unsigned max)
{
	for (unsigned round = 1; round <= max; round++) {
		for (uint32_t p = 0; p < n && !is_true_whole(w); p++)
			serve(w, p, sizes[p], kinds[p]);
		if (is_true_whole(w))
			return round;
		w->now_us += 100000;
	}
	fail_msg("not found in %u rounds", max);
	return 0;
}

static void claim_all(struct world *w, const uint32_t *sizes, uint32_t n)
{
	for (uint32_t p = 0; p < n; p++)
		assert_int_equal(metaget_on_peer(w->mg, p, sizes[p]), 0);
}

/* ---- Tests ---- */

/* Three honest peers share the work: no block is asked of two. */
static void honest_peers_share_the_work(void **state)
{
	struct world *w = world_new();
	bool asked[TRUE_BLOCKS] = {false};
	uint32_t n = 0;

	for (uint32_t p = 0; p < 3; p++)
		assert_int_equal(metaget_on_peer(w->mg, p, TRUE_BYTES), 0);
	for (uint32_t p = 0; p < 3; p++) {
		uint32_t ix;

		while (metaget_next(w->mg, p, w->now_us, &ix)) {
			assert_true(ix < TRUE_BLOCKS && !asked[ix]);
			asked[ix] = true;
			n++;
		}
	}
	assert_int_equal(n, TRUE_BLOCKS);
	for (uint32_t ix = 0; ix < TRUE_BLOCKS; ix++) {
		assert_int_equal(metaget_whole(w->mg).len, 0);
		assert_int_equal(give(w, ix < 4 ? 0 : 1, ix, TRUE_BYTES, true),
				 0);
	}
	assert_true(is_true_whole(w));
	world_free(w);
}

/* At most METAGET_PEER_REQUESTS are out to a peer. */
static void requests_of_a_peer_are_limited(void **state)
{
	struct world *w = world_new();
	uint32_t ix, n = 0;

	assert_int_equal(metaget_on_peer(w->mg, 9, TRUE_BYTES), 0);
	while (metaget_next(w->mg, 9, w->now_us, &ix))
		n++;
	assert_int_equal(n, METAGET_PEER_REQUESTS);
	world_free(w);
}

/* Sizes of 0 and past the limit are refused, and cost no memory. */
static void wild_sizes_are_refused(void **state)
{
	struct world *w = world_new();
	uint64_t before = mem_in_use_bytes();

	assert_int_equal(metaget_on_peer(w->mg, 1, 0), EPROTO);
	assert_int_equal(metaget_on_peer(w->mg, 1, METAINFO_WIRE_BYTES + 1),
			 EPROTO);
	assert_int_equal(metaget_on_peer(w->mg, 1, UINT32_MAX), EPROTO);
	assert_int_equal(mem_in_use_bytes(), before);
	world_free(w);
}

/* A claim of 32 MiB costs a table; memory grows with what comes. */
static void memory_grows_by_blocks_not_by_claims(void **state)
{
	struct world *w = world_new();
	uint64_t before = mem_in_use_bytes();
	uint32_t ix;

	assert_int_equal(metaget_on_peer(w->mg, 1, METAINFO_WIRE_BYTES), 0);
	assert_true(metaget_next(w->mg, 1, w->now_us, &ix));
	assert_in_range(mem_in_use_bytes() - before, 0, 64 << 10);
	assert_int_equal(give(w, 1, ix, METAINFO_WIRE_BYTES, false), 0);
	assert_in_range(mem_in_use_bytes() - before, 16 << 10, 96 << 10);
	world_free(w);
}

/* What was not asked for, or has another length, is a broken rule. */
static void unasked_data_is_refused(void **state)
{
	struct world *w = world_new();
	uint8_t data[EXT_METADATA_BLOCK] = {0};
	uint32_t ix;

	assert_int_equal(metaget_on_data(w->mg, 1, 0, span_of(data, 5)),
			 EPROTO);
	assert_int_equal(metaget_on_peer(w->mg, 1, TRUE_BYTES), 0);
	assert_true(metaget_next(w->mg, 1, w->now_us, &ix));
	assert_int_equal(
		metaget_on_data(w->mg, 1, ix + 1, span_of(data, sizeof(data))),
		EPROTO);
	assert_int_equal(
		metaget_on_data(w->mg, 1, ix, span_of(data, sizeof(data) - 1)),
		EPROTO);
	assert_int_equal(metaget_on_data(w->mg, 1, ix, span_of(data, 0)),
			 EPROTO);
	assert_int_equal(give(w, 1, ix, TRUE_BYTES, true), 0);
	assert_int_equal(give(w, 1, ix, TRUE_BYTES, true), EPROTO);
	world_free(w);
}

/* Fifty liars, each with another size, do not keep one honest peer from being
 * heard: each is heard once at most, and the one is never taken for a liar. */
static void fifty_liars_and_one_honest(void **state)
{
	struct world *w = world_new();
	uint32_t sizes[51];
	enum kind kinds[51];

	for (uint32_t p = 0; p < 50; p++) {
		sizes[p] = (p + 1) * 10000;
		kinds[p] = LIES;
	}
	sizes[50] = TRUE_BYTES;
	kinds[50] = HONEST;
	claim_all(w, sizes, 51);
	run(w, sizes, kinds, 51, 60);
	assert_in_range(w->n_bad, 1, 50);
	assert_false(metaget_is_liar(w->mg, 50));
	assert_true(metaget_is_liar(w->mg, 0));
	world_free(w);
}

/* Liars who claim the true size spoil the shared try; after that every peer
 * is tried alone, and who lied is known. */
static void liars_with_the_true_size_are_found(void **state)
{
	struct world *w = world_new();
	uint32_t sizes[8];
	enum kind kinds[8];

	for (uint32_t p = 0; p < 8; p++) {
		sizes[p] = TRUE_BYTES;
		kinds[p] = p < 6 ? LIES : HONEST;
	}
	claim_all(w, sizes, 8);
	run(w, sizes, kinds, 8, 60);
	assert_in_range(w->n_bad, 1, 7);
	assert_false(metaget_is_liar(w->mg, 6));
	assert_false(metaget_is_liar(w->mg, 7));
	world_free(w);
}

/* Peers who claim and never answer cost METAGET_GIVE_UP_US each, no more. */
static void silent_peers_are_given_up(void **state)
{
	struct world *w = world_new();
	const uint32_t sizes[] = {70000, 80000, 90000, TRUE_BYTES};
	const enum kind kinds[] = {SILENT, SILENT, SILENT, HONEST};
	unsigned rounds;

	claim_all(w, sizes, 4);
	rounds = run(w, sizes, kinds, 4, 1000);
	assert_in_range(rounds, 1, 3 * METAGET_GIVE_UP_US / 100000 + 10);
	world_free(w);
}

/* A silent peer of the right size is doubled after METAGET_STALE_US. */
static void stale_requests_are_doubled(void **state)
{
	struct world *w = world_new();
	const uint32_t sizes[] = {TRUE_BYTES, TRUE_BYTES};
	const enum kind kinds[] = {SILENT, HONEST};
	unsigned rounds;

	claim_all(w, sizes, 2);
	rounds = run(w, sizes, kinds, 2, 1000);
	assert_in_range(rounds, METAGET_STALE_US / 100000,
			METAGET_STALE_US / 100000 + 5);
	world_free(w);
}

/* A peer who rejects is left alone for a while: no ping-pong. */
static void rejecting_peer_is_left_alone(void **state)
{
	struct world *w = world_new();
	uint32_t ix, n = 0;

	assert_int_equal(metaget_on_peer(w->mg, 1, TRUE_BYTES), 0);
	for (int i = 0; i < 100; i++) {
		while (metaget_next(w->mg, 1, w->now_us, &ix)) {
			metaget_on_reject(w->mg, 1, ix);
			n++;
		}
		w->now_us += 100000;
	}
	assert_in_range(n, 4, 6);
	world_free(w);
}

/* Rejecting peers do not stand in the way of another size. */
static void rejecting_peers_are_passed_over(void **state)
{
	struct world *w = world_new();
	const uint32_t sizes[] = {90000, 90000, TRUE_BYTES};
	const enum kind kinds[] = {REJECTS, REJECTS, HONEST};

	claim_all(w, sizes, 3);
	assert_in_range(run(w, sizes, kinds, 3, 10), 1, 3);
	world_free(w);
}

/* A peer that goes leaves its requests to others at once, and what it gave
 * stays. */
static void peer_that_goes_leaves_its_work(void **state)
{
	struct world *w = world_new();
	uint32_t ix, n = 0;

	assert_int_equal(metaget_on_peer(w->mg, 1, TRUE_BYTES), 0);
	assert_int_equal(metaget_on_peer(w->mg, 2, TRUE_BYTES), 0);
	while (metaget_next(w->mg, 1, w->now_us, &ix))
		n++;
	assert_int_equal(give(w, 1, 0, TRUE_BYTES, true), 0);
	metaget_on_peer_gone(w->mg, 1);
	serve(w, 2, TRUE_BYTES, HONEST);
	assert_true(is_true_whole(w));
	world_free(w);
}

/* An answer to a request of an earlier target is dropped, not punished. */
static void late_answer_is_not_a_lie(void **state)
{
	struct world *w = world_new();
	uint32_t late, ix;

	assert_int_equal(metaget_on_peer(w->mg, 1, 3 * EXT_METADATA_BLOCK), 0);
	assert_int_equal(metaget_on_peer(w->mg, 2, TRUE_BYTES), 0);
	assert_true(metaget_next(w->mg, 1, w->now_us, &late));
	w->now_us += METAGET_GIVE_UP_US;
	assert_true(metaget_next(w->mg, 2, w->now_us, &ix));
	assert_int_equal(give(w, 1, late, 3 * EXT_METADATA_BLOCK, false), 0);
	assert_int_equal(give(w, 2, ix, TRUE_BYTES, true), 0);
	serve(w, 2, TRUE_BYTES, HONEST);
	assert_true(is_true_whole(w));
	world_free(w);
}

/* A request nobody answers frees its place in time; its late answer passes. */
static void unanswered_requests_are_forgotten(void **state)
{
	struct world *w = world_new();
	uint32_t ix, n = 0;

	assert_int_equal(metaget_on_peer(w->mg, 1, TRUE_BYTES), 0);
	while (metaget_next(w->mg, 1, w->now_us, &ix))
		n++;
	w->now_us += METAGET_FORGET_US;
	assert_true(metaget_next(w->mg, 1, w->now_us, &ix));
	assert_int_equal(give(w, 1, 1, TRUE_BYTES, true), 0);
	world_free(w);
}

/* An allocation that fails anywhere leaves a state from which it goes on. */
static void every_allocation_may_fail(void **state)
{
	const enum kind kind = HONEST;

	for (uint64_t n = 0; n < 20; n++) {
		struct world *w = world_new();
		uint32_t ix;
		int err;

		mem_fail_after(n, 0);
		err = metaget_on_peer(w->mg, 0, TRUE_BYTES);
		if (err != 0)
			assert_int_equal(err, ENOMEM);
		while (metaget_next(w->mg, 0, w->now_us, &ix))
			(void)give(w, 0, ix, TRUE_BYTES, true);
		mem_fail_after(UINT64_MAX, 0);
		assert_int_equal(metaget_on_peer(w->mg, 0, TRUE_BYTES), 0);
		serve(w, 0, TRUE_BYTES, kind);
		assert_true(is_true_whole(w));
		world_free(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(honest_peers_share_the_work),
		cmocka_unit_test(requests_of_a_peer_are_limited),
		cmocka_unit_test(wild_sizes_are_refused),
		cmocka_unit_test(memory_grows_by_blocks_not_by_claims),
		cmocka_unit_test(unasked_data_is_refused),
		cmocka_unit_test(fifty_liars_and_one_honest),
		cmocka_unit_test(liars_with_the_true_size_are_found),
		cmocka_unit_test(silent_peers_are_given_up),
		cmocka_unit_test(stale_requests_are_doubled),
		cmocka_unit_test(rejecting_peer_is_left_alone),
		cmocka_unit_test(rejecting_peers_are_passed_over),
		cmocka_unit_test(peer_that_goes_leaves_its_work),
		cmocka_unit_test(late_answer_is_not_a_lie),
		cmocka_unit_test(unanswered_requests_are_forgotten),
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
