/* Unit tests of pins, giveway and the background: engines that fetch what
 * nobody reads. */
#include "cache/pieces.h"
#include "net/engine_internal.h"
#include "net/fetch.h"
#include "net/picker.h"
#include "net/rarity.h"
#include "net/swarm_internal.h"
#include "tests/unit/net/net_rogue.h"
#include "tests/unit/net/net_world.h"

enum { PIECE = 32 << 10, PIECES = 24 };

/* ---- Helpers ---- */

static const unsigned FIRST[] = {0};
static const unsigned BOTH[] = {0, 1};

static bool is_complete(void *arg)
{
	struct node *n = arg;

	return node_view(n).held_pieces == n->w->n_pieces;
}

static bool has_unchoked(void *arg)
{
	return node_view(arg).unchoked_us > 0;
}

static uint32_t out_blocks(struct node *n)
{
	return picker_outstanding(n->t->swarm->picker);
}

static bool has_out(void *arg)
{
	return out_blocks(arg) > 0;
}

static bool waited_a_bit(void *arg)
{
	return ++*(unsigned *)arg > 50;
}

/* ---- Tests ---- */

/* Nothing comes unasked; what is pinned comes whole, once, and right. */
static void what_is_pinned_comes(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[1];
	unsigned waited = 0;

	world_torrent(w, PIECES, PIECE, (uint64_t)PIECES * PIECE - 77);
	node_seed(w, 0, HOLDS_ALL);
	node_start(w, 1, HOLDS_NONE, FIRST, 1, false);
	node_add(n);
	world_run(w, has_unchoked, n);
	world_run(w, waited_a_bit, &waited);
	assert_int_equal(node_view(n).down_bytes, 0);
	assert_int_equal(torrent_pin(n->t, 0), 0);
	world_run(w, is_complete, n);
	assert_int_equal(node_view(n).down_bytes, w->total);
	assert_int_equal(node_view(n).pinned_files, 1);
	assert_false(n->t->swarm->has_background);
	node_read(n, 0, (uint32_t)w->total);
}

/* Two peers with half of it each; a third that comes for it gets it from one
 * that pinned it, too. */
static void it_comes_from_whoever_has_it(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[2];

	world_torrent(w, PIECES, PIECE, (uint64_t)PIECES * PIECE);
	node_seed(w, 0, HOLDS_EVEN);
	node_seed(w, 1, HOLDS_ODD);
	node_start(w, 2, HOLDS_NONE, BOTH, 2, false);
	node_add(n);
	assert_int_equal(torrent_pin(n->t, 0), 0);
	world_run(w, is_complete, n);
	assert_int_equal(node_view(n).waste_bytes, 0);
}

/* Unpinning ends it: what is out is cancelled, nothing new is asked for. */
static void unpinning_stops_it(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[1];
	struct rogue r;

	world_torrent(w, PIECES, PIECE, (uint64_t)PIECES * PIECE);
	rogue_start(&r, w, 0, MANNER_SILENT);
	node_start(w, 1, HOLDS_NONE, FIRST, 1, false);
	node_add(n);
	world_run(w, has_unchoked, n);
	assert_int_equal(torrent_pin(n->t, 0), 0);
	world_run(w, has_out, n);
	torrent_unpin(n->t, 0);
	assert_int_equal(out_blocks(n), 0);
	assert_int_equal(piece_mem_unverified_bytes(n->engine->mem), 0);
	assert_false(fetch_is_hungry(n->t->fetch));
	rogue_stop(&r);
}

static bool only_piece_0_is_out(void *arg)
{
	struct node *n = arg;

	return out_blocks(n) == PIECE / WIRE_BLOCK_BYTES &&
	       picker_class(n->t->swarm->picker, 0) == WANT_URGENT;
}

/* A read takes back what is out for the background, and while its blocks are
 * out there is nothing else. */
static void a_read_has_the_line_for_itself(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[1];
	struct reading rd;
	struct rogue r;

	world_torrent(w, PIECES, PIECE, (uint64_t)PIECES * PIECE);
	rogue_start(&r, w, 0, MANNER_SILENT);
	node_start(w, 1, HOLDS_NONE, FIRST, 1, false);
	node_add(n);
	world_run(w, has_unchoked, n);
	assert_int_equal(torrent_pin(n->t, 0), 0);
	world_run(w, has_out, n);
	reading_start(&rd, n, 0, 1);
	world_run(w, only_piece_0_is_out, n);
	torrent_read_cancel(rd.rd);
	rogue_stop(&r);
}

static void meet_rogue(struct node *n, struct node *rogue)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, "127.0.0.1:1"), 0);
	addr_set_port(&a, rogue->rogue_port);
	assert_int_equal(swarm_add_addr(n->t->swarm, &a), 0);
	world_run(n->w, has_unchoked, n);
}

/* Readers of one torrent stop the background of another, but not for long. */
static void other_torrents_give_way_for_a_while(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[2];
	struct torrent *first;
	struct rogue r[2];
	struct reading rd;

	world_torrent(w, PIECES, PIECE, (uint64_t)PIECES * PIECE);
	rogue_start(&r[0], w, 0, MANNER_SILENT);
	rogue_start(&r[1], w, 1, MANNER_SILENT);
	node_start(w, 2, HOLDS_NONE, NULL, 0, false);
	node_add(n);
	meet_rogue(n, &w->nodes[0]);
	first = n->t;
	assert_int_equal(torrent_pin(n->t, 0), 0);
	world_run(w, has_out, n);

	mem_free(w->content);
	buf_fini(&w->file);
	world_torrent(w, PIECES, PIECE, (uint64_t)PIECES * PIECE - 1);
	n->is_ready = false;
	node_add(n);
	meet_rogue(n, &w->nodes[1]);
	reading_start(&rd, n, 0, 1);
	world_run(w, only_piece_0_is_out, n);
	n->t = first;
	assert_int_equal(out_blocks(n), 0);
	world_run(w, has_out, n);
	torrent_read_cancel(rd.rd);
	rogue_stop(&r[0]);
	rogue_stop(&r[1]);
}

static bool knows_both(void *arg)
{
	struct node *n = arg;
	struct torrent_peer_view v[2];

	return torrent_peers(n->t, v, 2) == 2 && v[0].have_pieces > 0 &&
	       v[1].have_pieces > 0;
}

static bool knows_one(void *arg)
{
	return node_view(arg).peers == 1;
}

/* How rare a piece is follows who is there; one that has everything changes
 * nothing. */
static void rarity_follows_the_peers(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[2];
	struct rarity *rare;
	uint32_t at;

	world_torrent(w, PIECES, PIECE, (uint64_t)PIECES * PIECE);
	node_start(w, 0, HOLDS_EVEN, NULL, 0, true);
	node_add(&w->nodes[0]);
	node_start(w, 1, HOLDS_ALL, NULL, 0, true);
	node_add(&w->nodes[1]);
	node_start(w, 2, HOLDS_NONE, BOTH, 2, false);
	node_add(n);
	assert_int_equal(torrent_pin(n->t, 0), 0);
	world_run(w, knows_both, n);
	rare = picker_rarity(n->t->swarm->picker);
	assert_int_equal(rarity_count(rare), PIECES);
	for (at = 0; at < PIECES; at++)
		assert_int_equal(rarity_at(rare, at) % 2, at < PIECES / 2);
	node_stop(&w->nodes[0]);
	world_run(w, knows_one, n);
	rarity_on_have(rare, 1); /* the only one that somebody has, if … */
	assert_int_equal(rarity_at(rare, PIECES - 1), 1);
	rarity_on_lost(rare, 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		T(what_is_pinned_comes),
		T(it_comes_from_whoever_has_it),
		T(unpinning_stops_it),
		T(a_read_has_the_line_for_itself),
		T(other_torrents_give_way_for_a_while),
		T(rarity_follows_the_peers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
