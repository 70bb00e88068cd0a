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

/* There is memory for one piece, and parts of all are read: what each was given
 * up for had served its reader, is kept, and counts as no waste. */
static void parts_outlive_their_memory(void **state)
{
	struct world *w = *state;
	struct node *n;
	uint64_t down;

	w->unverified_bytes = PIECE + PIECE / 2;
	n = meet(w, WORLD_V2);
	for (uint32_t i = 0; i < N; i++)
		node_read(n, i * PIECE + LEAF, 2 * LEAF);
	assert_int_equal(node_view(n).waste_bytes, 0);
	down = node_view(n).down_bytes;
	for (uint32_t i = 0; i < N; i++)
		node_read(n, i * PIECE + LEAF, 2 * LEAF);
	assert_int_equal(node_view(n).down_bytes, down);
}

/* A hybrid is read either way. */
static void a_hybrid_is_read(void **state)
{
	struct world *w = *state;
	struct node *n = meet(w, WORLD_HYBRID);

	node_read(n, PIECE + 3 * LEAF, 10);
	node_read(n, 0, (uint32_t)w->total);
}

static bool holds_all(void *arg)
{
	return node_view(arg).held_pieces == N;
}

/* Leaf by leaf, from one piece to the next; none is ever in memory as a whole,
 * for there is only room for one. In the end all are held, and given on. */
static void leaves_become_pieces(struct world *w, enum world_kind kind)
{
	static const unsigned seed1[] = {1};
	struct node *n;

	w->unverified_bytes = PIECE + 2 * LEAF;
	n = meet(w, kind);
	for (uint32_t i = 0; i < 64 * N; i++) {
		uint64_t off = (uint64_t)(i % N) * PIECE + i / N * LEAF;

		if (off < w->total)
			node_read(n, off, 1);
	}
	world_run(w, holds_all, n);
	node_stop(&w->nodes[0]);
	w->unverified_bytes = 0;
	node_start(w, 2, HOLDS_NONE, seed1, 1, false);
	node_add(&w->nodes[2]);
	node_read(&w->nodes[2], 0, (uint32_t)w->total);
}

static void leaves_become_v2_pieces(void **state)
{
	leaves_become_pieces(*state, WORLD_V2);
}

static void leaves_become_hybrid_pieces(void **state)
{
	leaves_become_pieces(*state, WORLD_HYBRID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_read_fetches_its_leaves,
						world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(parts_become_pieces,
						world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(parts_outlive_their_memory,
						world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(a_hybrid_is_read, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(leaves_become_v2_pieces,
						world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(leaves_become_hybrid_pieces,
						world_setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
