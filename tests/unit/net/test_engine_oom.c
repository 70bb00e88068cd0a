/* Unit tests of the engine without memory: the n-th allocation of a whole
 * session fails, for each n. */
#include "tests/unit/net/net_world.h"

enum { PIECE = 64 << 10, PIECES = 2, STEP = 7 };

static const unsigned SEED0[] = {0};

static bool is_over(void *arg)
{
	const struct reading *r = arg;

	return r->is_done;
}

/* Add, read, stop. True when all of it went well. */
static bool session(struct world *w, struct node *n, struct metainfo *mi)
{
	struct engine_source src = {.mi = mi};
	struct reading r = {.w = w, .len = PIECES * PIECE};

	if (engine_add(n->engine, src, &n->t) != 0)
		return false;
	world_run(w, node_is_ready, n);
	if (n->has_failed)
		return false;
	if (torrent_read_start(n->t, 0, r.len, reading_on_done, &r, &r.rd) != 0)
		return false;
	world_run(w, is_over, &r);
	return r.err == 0;
}

/* Whatever allocation fails, a session ends: with the bytes or with an error,
 * never with a crash, a leak or a wait. */
static void every_allocation_may_fail(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[1];
	unsigned at, n_fine = 0;
	struct metainfo *mi;

	world_torrent(w, PIECES, PIECE, PIECES * PIECE);
	node_seed(w, 0, HOLDS_ALL);
	for (at = 0; at < 600; at += STEP) {
		node_start(w, 1, HOLDS_NONE, SEED0, 1, false);
		mi = world_metainfo(w);
		mem_fail_after(at, 0);
		n_fine += session(w, n, mi);
		mem_fail_after(UINT64_MAX, 0);
		node_stop(n);
	}
	assert_true(n_fine > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_allocation_may_fail,
						world_setup, world_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
