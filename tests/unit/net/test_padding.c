/* test_padding — pieces that end with padding (BEP 47): nobody is asked for it,
 * and it counts for nothing. Run once more with every piece staged. */
#include "tests/unit/net/net_world.h"

enum { N = 4, PIECE = 1 << 20, FILE_BYTES = WIRE_BLOCK_BYTES + 3000 };

/* A file costs two blocks; behind the last there is nothing. */
enum {
	COST = (N - 1) * 2 * WIRE_BLOCK_BYTES + FILE_BYTES,
	CONTENT = N * FILE_BYTES,
};

static const unsigned SEED0[] = {0}, SEED1[] = {1};

static bool holds_all(void *arg)
{
	return node_view(arg).held_pieces == N;
}

/* Leaves answer a reader before the last piece has been judged. */
static void read_files(struct world *w, struct node *n)
{
	for (uint32_t i = 0; i < N; i++)
		node_read(n, (uint64_t)i * PIECE, FILE_BYTES);
	world_run(w, holds_all, n);
}

static void fetch_all(struct world *w, enum world_kind kind)
{
	struct node *n = &w->nodes[1];
	struct torrent_view v;

	w->kind = kind;
	world_padded_torrent(w, N, FILE_BYTES, PIECE);
	node_seed(w, 0, HOLDS_ALL);
	node_start(w, 1, HOLDS_NONE, SEED0, 1, false);
	node_add(n);
	read_files(w, n);
	v = node_view(n);
	assert_int_equal(v.down_bytes, COST);
	assert_int_equal(v.waste_bytes, 0);
	assert_int_equal(v.size_bytes, CONTENT);
	assert_int_equal(v.held_pieces, N);
	assert_int_equal(v.held_bytes, CONTENT);
}

/* What is fetched is the blocks in which files are. */
static void v1_costs_its_files(void **state)
{
	fetch_all(*state, WORLD_V1);
}

/* The same of a hybrid; and from there a third has it. */
static void hybrids_cost_their_files(void **state)
{
	struct world *w = *state;

	fetch_all(w, WORLD_HYBRID);
	node_stop(&w->nodes[0]);
	node_start(w, 2, HOLDS_NONE, SEED1, 1, false);
	node_add(&w->nodes[2]);
	read_files(w, &w->nodes[2]);
	assert_int_equal(node_view(&w->nodes[2]).down_bytes, COST);
	assert_int_equal(node_view(&w->nodes[2]).held_bytes, CONTENT);
}

/* Of wrong blocks their sender is guilty; another one has the right ones. */
static void liars_are_found(void **state)
{
	static const unsigned both[] = {0, 2};
	struct world *w = *state;
	struct node *n = &w->nodes[1];

	world_padded_torrent(w, N, FILE_BYTES, PIECE);
	node_seed(w, 0, HOLDS_WRONG);
	node_seed(w, 2, HOLDS_ALL);
	node_start(w, 1, HOLDS_NONE, both, 2, false);
	node_add(n);
	read_files(w, n);
	assert_int_equal(node_view(n).held_bytes, CONTENT);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		T(v1_costs_its_files),
		T(hybrids_cost_their_files),
		T(liars_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
