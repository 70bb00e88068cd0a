/* Unit tests of net/upload and net/torrent_read: stores that answer late, or
 * fail. */
#include "net/intake.h"
#include "net/swarm_internal.h"
#include "tests/unit/net/net_world.h"

enum { PIECE = 64 << 10, PIECES = 6 };

/* ---- Helpers ---- */

static const unsigned SEEDS[] = {0, 1};

/* Nodes 0 … n - 1 hold everything in stores that can fail; the last node does
 * not. */
static void faulty_seeds(struct world *w, unsigned n)
{
	unsigned i;

	world_torrent(w, PIECES, PIECE, (uint64_t)PIECES * PIECE - 100);
	w->has_faults = true;
	for (i = 0; i < n; i++)
		node_seed(w, i, HOLDS_ALL);
	w->has_faults = false;
}

static void fail_read(struct node *n, unsigned in, int err)
{
	n->fault->at = FAULT_READ;
	n->fault->in = in;
	n->fault->err = err;
}

static bool has_two_unchoked(void *arg)
{
	return node_view(arg).unchoked_us == 2;
}

/* ---- Tests ---- */

/* What is in no memory is read by a worker and served all the same. */
static void workers_read_what_is_served(void **state)
{
	struct world *w = *state;

	faulty_seeds(w, 1);
	fail_read(&w->nodes[0], UINT32_MAX, EIO); /* never, but always late */
	node_start(w, 2, HOLDS_NONE, SEEDS, 1, false);
	node_add(&w->nodes[2]);
	node_read(&w->nodes[2], 0, (uint32_t)w->total);
	assert_int_equal(node_view(&w->nodes[2]).waste_bytes, 0);
	assert_int_equal(node_view(&w->nodes[0]).up_bytes, w->total);
}

/* The peer goes while its blocks are read for it: they go nowhere. */
static void a_peer_goes_while_its_blocks_are_read(void **state)
{
	struct world *w = *state;
	struct reading r;

	faulty_seeds(w, 1);
	fail_read(&w->nodes[0], UINT32_MAX, EIO);
	node_start(w, 2, HOLDS_NONE, SEEDS, 1, false);
	node_add(&w->nodes[2]);
	reading_start(&r, &w->nodes[2], 0, (uint32_t)w->total);
	while (LIST_EMPTY(&w->nodes[2].t->swarm->intake->pieces))
		world_run(w, node_is_ready, &w->nodes[2]);
	node_stop(&w->nodes[2]);
	assert_true(r.is_done);
	node_start(w, 2, HOLDS_NONE, SEEDS, 1, false);
	node_add(&w->nodes[2]);
	node_read(&w->nodes[2], 0, (uint32_t)w->total);
}

/* A seed that cannot read a block refuses it, and has the piece no more; the
 * reader gets it from another. */
static void an_unreadable_block_is_refused(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[2];

	faulty_seeds(w, 2);
	fail_read(&w->nodes[0], 1, EIO);
	node_start(w, 2, HOLDS_NONE, SEEDS, 2, false);
	node_add(n);
	world_run(w, has_two_unchoked, n);
	node_read(n, 0, (uint32_t)w->total);
	assert_int_equal(node_view(&w->nodes[0]).held_pieces, PIECES - 1);
	assert_int_equal(node_view(n).held_pieces, PIECES);
}

/* A held piece that cannot be read is fetched again from peers that we had left
 * because neither needed the other; the reader does not notice. */
static void a_piece_lost_by_the_store_is_fetched_again(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[1];

	faulty_seeds(w, 2);
	node_meet(n, &w->nodes[0]);
	fail_read(n, 0, EIO);
	node_read(n, PIECE + 5, PIECE);
	assert_int_equal(node_view(n).held_pieces, PIECES);
	assert_int_equal(node_view(n).hashed_pieces, 1);
	assert_int_equal(node_view(n).down_bytes, PIECE);
}

/* A store that has no memory now is no reason to fetch anything: the read says
 * so, and the next one works. */
static void a_passing_failure_loses_nothing(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[0];
	struct reading r;

	faulty_seeds(w, 1);
	fail_read(n, 0, ENOMEM);
	reading_start(&r, n, 0, 10);
	world_run(w, reading_is_done, &r);
	assert_int_equal(r.err, ENOMEM);
	assert_int_equal(node_view(n).held_pieces, PIECES);
	node_read(n, 0, 10);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		T(workers_read_what_is_served),
		T(a_peer_goes_while_its_blocks_are_read),
		T(an_unreadable_block_is_refused),
		T(a_piece_lost_by_the_store_is_fetched_again),
		T(a_passing_failure_loses_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
