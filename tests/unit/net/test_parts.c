/* test_parts — reads of v2 torrents, block by block: engines that tell each
 * other leaf hashes. Run once more with every piece staged. */
#include "tests/unit/net/net_world.h"

enum { LEAF = 16 << 10, PIECE = 64 * LEAF, N = 3 };

static const unsigned SEED0[] = {0};

static struct node *meet(struct world *w, enum world_kind kind)
{
	struct node *n = &w->nodes[1];

	w->kind = kind;
	world_torrent(w, N, PIECE, (N - 1) * PIECE + 5 * LEAF + 77);
	node_seed(w, 0, HOLDS_ALL);
	node_start(w, 1, HOLDS_NONE, SEED0, 1, false);
	node_add(n);
	return n;
}

/* A few bytes out of the middle of a piece: their leaves come, and no more. */
static void a_read_fetches_its_leaves(void **state)
{
	struct world *w = *state;
	struct node *n = meet(w, WORLD_V2);
	uint64_t down;

	node_read(n, PIECE + 20 * LEAF + 100, 2 * LEAF);
	down = node_view(n).down_bytes;
	assert_int_equal(node_view(n).held_pieces, 0);
	assert_in_range(down, 3 * LEAF, 4 * LEAF);
	/* The same again needs nobody. */
	node_read(n, PIECE + 20 * LEAF + 200, LEAF);
	assert_int_equal(node_view(n).down_bytes, down);
	node_read(n, w->total - 50, 50);
	node_read(n, PIECE - 10, 20);
	assert_int_equal(node_view(n).held_pieces, 0);
}

/* All of it, after a part: every byte, and every piece held. */
static void parts_become_pieces(void **state)
{
	struct world *w = *state;
	struct node *n = meet(w, WORLD_V2);

	node_read(n, 10 * LEAF, LEAF);
	node_read(n, 0, (uint32_t)w->total);
	node_read(n, 0, (uint32_t)w->total);
	assert_int_equal(node_view(n).waste_bytes, 0);
}

/* A hybrid is read either way. */
static void a_hybrid_is_read(void **state)
{
	struct world *w = *state;
	struct node *n = meet(w, WORLD_HYBRID);

	node_read(n, PIECE + 3 * LEAF, 10);
	node_read(n, 0, (uint32_t)w->total);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_read_fetches_its_leaves,
						world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(parts_become_pieces,
						world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(a_hybrid_is_read, world_setup,
						world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
