/* Unit tests of net/mainline and net/torrent_seek: engines that know of each
 * other by the DHT alone; torrents that leave. */
#include "net/engine_internal.h"
#include "net/mainline_internal.h"
#include "net/net_limits.h"
#include "tests/unit/net/net_world.h"

enum { PIECE = 64 << 10, PIECES = 8 };

/* ---- Helpers ---- */

static void dht_world(struct world *w)
{
	w->has_dht = true;
	world_torrent(w, PIECES, PIECE, (uint64_t)PIECES * PIECE);
}

static void magnet_to(struct node *n, bool is_guest)
{
	struct metainfo *mi = world_metainfo(n->w);
	struct engine_source src = {.magnet = mem_new(struct magnet),
				    .is_guest = is_guest};

	src.magnet->id = mi->id;
	assert_int_equal(engine_add(n->engine, src, &n->t), 0);
	metainfo_free(mi);
}

static bool is_announced(void *arg)
{
	struct node *n = arg;
	struct mainline_view v;

	mainline_view(engine_dht(n->engine), &v);
	return v.node.stored_peers > 0;
}

static bool knows_somebody(void *arg)
{
	struct node *n = arg;

	return !dht_node_is_lost(mainline_node(engine_dht(n->engine)));
}

static bool has_failed(void *arg)
{
	return ((struct node *)arg)->has_failed;
}

/* ---- Tests ---- */

/* 0 is in the DHT, 1 has the torrent, 2 knows its hash. */
static void finds_who_has_it(void **state)
{
	struct world *w = *state;

	dht_world(w);
	node_start(w, 0, HOLDS_NONE, NULL, 0, false);
	node_start(w, 1, HOLDS_ALL, NULL, 0, false);
	node_start(w, 2, HOLDS_NONE, NULL, 0, false);
	node_add(&w->nodes[1]);
	world_run(w, is_announced, &w->nodes[0]);
	magnet_to(&w->nodes[2], false);
	world_run(w, node_is_ready, &w->nodes[2]);
	assert_true(w->nodes[2].is_ready);
	node_read(&w->nodes[2], 0, PIECES * PIECE);
}

/* 1 announces when 0 is all there is; the nodes that come later have it too. */
static void announces_again_when_there_are_more(void **state)
{
	struct world *w = *state;

	dht_world(w);
	node_start(w, 0, HOLDS_NONE, NULL, 0, false);
	node_start(w, 1, HOLDS_ALL, NULL, 0, false);
	node_add(&w->nodes[1]);
	world_run(w, is_announced, &w->nodes[0]);
	for (unsigned i = 2; i < WORLD_NODES; i++)
		node_start(w, i, HOLDS_NONE, NULL, 0, false);
	for (unsigned i = 2; i < WORLD_NODES; i++)
		world_run(w, is_announced, &w->nodes[i]);
}

static void guest_that_nobody_has_fails(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[1];

	dht_world(w);
	node_start(w, 0, HOLDS_NONE, NULL, 0, false);
	node_start(w, 1, HOLDS_NONE, NULL, 0, false);
	magnet_to(n, true);
	world_run(w, has_failed, n);
	assert_string_equal(torrent_why(n->t),
			    "the DHT knows nobody who has it");
	engine_remove(n->engine, n->t);
	assert_null(engine_next(n->engine, NULL));
}

static bool is_hurried(void *arg)
{
	const struct mainline *m = engine_dht(((struct node *)arg)->engine);

	return m->found_us != 0 && !TAILQ_EMPTY(&m->hurried);
}

/* Who hurries has a minute's messages to spend; then it waits like others. */
static void hurry_has_a_budget(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[2];
	struct mainline *m;

	dht_world(w);
	node_start(w, 0, HOLDS_NONE, NULL, 0, false);
	node_start(w, 1, HOLDS_ALL, NULL, 0, false);
	node_start(w, 2, HOLDS_NONE, NULL, 0, false);
	node_add(&w->nodes[1]);
	world_run(w, is_announced, &w->nodes[0]);
	m = engine_dht(n->engine);
	m->hurry_paid_us = mainline_now_us(m) +
			   (SEEK_HURRY_BURST / SEEK_HURRY_PER_S + 3600) *
				   UINT64_C(1000000);
	magnet_to(n, true);
	world_run(w, is_hurried, n);
	mainline_on_turn(m);
	assert_int_equal(m->n_hurried, 0);
	m->hurry_paid_us = mainline_now_us(m) + SEEK_HURRY_BURST /
							SEEK_HURRY_PER_S *
							UINT64_C(1000000);
	mainline_on_turn(m);
	assert_int_equal(m->n_hurried, 1);
	world_run(w, node_is_ready, n);
	assert_true(m->hurry_paid_us > mainline_now_us(m));
}

static bool is_calm_over(void *arg)
{
	const struct mainline *m = engine_dht(((struct node *)arg)->engine);

	return m->n_calm_running == 0;
}

/* What is announced again and again waits until the messages of the search
 * before it are earned, and pays for its own. */
static void calm_ones_have_a_budget(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[1];
	struct mainline *m;
	uint64_t begun_us;

	dht_world(w);
	node_start(w, 0, HOLDS_NONE, NULL, 0, false);
	node_start(w, 1, HOLDS_ALL, NULL, 0, false);
	m = engine_dht(n->engine);
	world_run(w, knows_somebody, n);
	m->is_ready = true; /* this is all there is */
	begun_us = mainline_now_us(m);
	m->paid_us = begun_us + UINT64_C(3600) * 1000000;
	node_add(n);
	mainline_on_turn(m);
	assert_int_equal(m->n_calm_running, 0);
	m->paid_us = 0;
	mainline_on_turn(m);
	assert_int_equal(m->n_calm_running, 1);
	world_run(w, is_calm_over, n);
	assert_true(m->paid_us >= begun_us + 1000000 / SEEK_CALM_PER_S);
	assert_true(is_announced(&w->nodes[0]));
}

static unsigned seeks_of(struct node *n)
{
	struct mainline_view v;

	mainline_view(engine_dht(n->engine), &v);
	return v.seeks;
}

/* Nor is one that was only a hash until its metadata came; and to its peers no
 * word is said of the DHT. */
static void private_ones_stay_out(void **state)
{
	const unsigned zero = 0;
	struct world *w = *state;

	w->is_private = true;
	w->has_no_router = true;
	dht_world(w);
	node_start(w, 0, HOLDS_ALL, NULL, 0, false);
	node_add(&w->nodes[0]);
	assert_int_equal(seeks_of(&w->nodes[0]), 0);
	node_start(w, 1, HOLDS_NONE, &zero, 1, false);
	magnet_to(&w->nodes[1], false);
	world_run(w, node_is_ready, &w->nodes[1]);
	assert_int_equal(seeks_of(&w->nodes[1]), 0);
	node_start(w, 2, HOLDS_NONE, &zero, 1, false);
	node_add(&w->nodes[2]);
	node_read(&w->nodes[2], 0, PIECES * PIECE);
	assert_int_equal(seeks_of(&w->nodes[2]), 0);
	assert_false(knows_somebody(&w->nodes[2]));
}

/* Peers say where their nodes are (BEP 5's PORT): who knows nobody in the DHT
 * begins there, on both sides. */
static void peers_lead_into_the_dht(void **state)
{
	const unsigned zero = 0;
	struct world *w = *state;

	w->has_no_router = true;
	dht_world(w);
	node_start(w, 0, HOLDS_ALL, NULL, 0, false);
	node_add(&w->nodes[0]);
	node_start(w, 1, HOLDS_NONE, &zero, 1, false);
	node_add(&w->nodes[1]);
	world_run(w, knows_somebody, &w->nodes[1]);
	world_run(w, knows_somebody, &w->nodes[0]);
}

static void removed_ones_are_gone(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[0];
	struct metainfo *mi;
	struct reading r;

	dht_world(w);
	node_start(w, 0, HOLDS_NONE, NULL, 0, false);
	node_add(n);
	reading_start(&r, n, 0, PIECE);
	mi = world_metainfo(w);
	assert_ptr_equal(engine_find(n->engine, &mi->id.v1), n->t);
	engine_remove(n->engine, n->t);
	assert_true(r.is_done);
	assert_int_equal(r.err, ESTALE);
	assert_null(engine_find(n->engine, &mi->id.v1));
	metainfo_free(mi);
	n->is_ready = false;
	node_add(n);
}

int main(void)
{
#define T(name) \
	cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		T(finds_who_has_it),
		T(announces_again_when_there_are_more),
		T(guest_that_nobody_has_fails),
		T(hurry_has_a_budget),
		T(calm_ones_have_a_budget),
		T(private_ones_stay_out),
		T(peers_lead_into_the_dht),
		T(removed_ones_are_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
