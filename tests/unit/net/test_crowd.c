/* Unit tests of net/crowd: an engine with two torrents that has as many
 * connections as it may. */
#include "net/engine_internal.h"
#include "net/net_limits.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"
#include "tests/unit/net/net_world.h"

enum { PIECE = 32 << 10, PIECES = 4, FULL = ENGINE_PEERS_MAX };

/* ---- Helpers ---- */

static const unsigned SEEDS[] = {0, 1};

static bool has_two_peers(void *arg)
{
	return node_view(arg).peers == 2;
}

static bool has_one_peer(void *arg)
{
	return ((struct torrent *)arg)->swarm->n_peers == 1;
}

static bool has_a_peer(void *arg)
{
	return node_view(arg).peers > 0;
}

/* Nodes 0 and 1 seed a first torrent to node 2; node 3 seeds a second one. The
 * engine of node 2 counts as full. Gives the first torrent. */
static struct torrent *two_torrents(struct world *w)
{
	struct node *n = &w->nodes[2];
	struct torrent *first;

	world_torrent(w, PIECES, PIECE, (uint64_t)PIECES * PIECE);
	node_seed(w, 0, HOLDS_ALL);
	node_seed(w, 1, HOLDS_ALL);
	node_start(w, 2, HOLDS_NONE, NULL, 0, false);
	node_add(n);
	node_meet(n, &w->nodes[SEEDS[0]]);
	node_meet(n, &w->nodes[SEEDS[1]]);
	world_run(w, has_two_peers, n);
	first = n->t;
	mem_free(w->content);
	buf_fini(&w->file);
	world_torrent(w, PIECES, PIECE, (uint64_t)PIECES * PIECE - 1);
	node_seed(w, 3, HOLDS_ALL);
	n->is_ready = false;
	n->engine->n_peers += FULL - 2;
	node_add(n);
	return first;
}

/* ---- Tests ---- */

/* A torrent without a peer gets a connection of one that has two, and what it
 * is asked for. */
static void a_new_torrent_gets_its_share(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[2];
	struct torrent *first = two_torrents(w);

	node_meet(n, &w->nodes[3]);
	world_run(w, has_a_peer, n);
	assert_int_equal(first->swarm->n_peers, 1);
	assert_int_equal(n->engine->n_peers, FULL);
	node_read(n, 0, PIECES * PIECE - 1);
	n->engine->n_peers -= FULL - 2;
}

/* At rest nobody takes the only peer of another; who hungers does. */
static void the_hungry_come_first(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[2];
	struct torrent *first = two_torrents(w);
	struct reading rd;

	node_stop(&w->nodes[1]);
	world_run(w, has_one_peer, first);
	n->engine->n_peers = FULL;
	node_meet(n, &w->nodes[3]);
	assert_int_equal(n->t->swarm->n_peers, 0);
	assert_int_equal(first->swarm->n_peers, 1);
	reading_start(&rd, n, 0, PIECE);
	world_run(w, reading_is_done, &rd);
	assert_int_equal(rd.err, 0);
	assert_int_equal(first->swarm->n_peers, 0);
	n->engine->n_peers -= FULL - 1;
}

/* Who found no room dials as soon as anybody's connection ends. */
static void who_found_no_room_dials_later(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[2];
	struct torrent *first = two_torrents(w);

	node_stop(&w->nodes[1]);
	world_run(w, has_one_peer, first);
	n->engine->n_peers = FULL;
	node_meet(n, &w->nodes[3]);
	assert_int_equal(n->t->swarm->n_peers, 0);
	node_stop(&w->nodes[0]);
	world_run(w, has_a_peer, n);
	n->engine->n_peers -= FULL - 1;
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		T(a_new_torrent_gets_its_share),
		T(the_hungry_come_first),
		T(who_found_no_room_dials_later),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
