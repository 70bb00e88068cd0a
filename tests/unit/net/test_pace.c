/* Whole engines under limits: bytes stay exact, the limit holds, torrents and
 * peers get their shares, and nobody is blamed for our silence. */
#include "net/engine_internal.h"
#include "net/net_limits.h"
#include "net/pace.h"
#include "net/peer.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"
#include "tests/unit/net/net_world.h"

/* All but a piece is read: two who have everything would part. */
enum {
	PIECE = 64 << 10,
	PIECES = 17,
	WHOLE = PIECES * PIECE,
	MOST = WHOLE - PIECE,
};
enum { RATE = 4 << 20 };

/* ---- Helpers ---- */

static const unsigned SEED[] = {0};

/* Node 0 seeds, node `ix` reads from it. */
static struct node *reader(struct world *w, unsigned ix)
{
	node_start(w, ix, HOLDS_NONE, SEED, 1, false);
	node_add(&w->nodes[ix]);
	return &w->nodes[ix];
}

static struct node *pair(struct world *w)
{
	world_torrent(w, PIECES, PIECE, WHOLE);
	node_seed(w, 0, HOLDS_ALL);
	return reader(w, 1);
}

static struct peer *first_peer(const struct node *n)
{
	return TAILQ_FIRST(&n->t->swarm->peers);
}

static bool is_unchoked(void *arg)
{
	return node_view(arg).unchoked_us == 1;
}

static void set_down(struct node *n, uint64_t Bps)
{
	engine_set_limit(n->engine, ENGINE_DOWN, Bps);
}

static void assert_held(struct world *w, uint64_t bytes, uint64_t from_us)
{
	uint64_t us = loop_now_us(w->loop) - from_us;

	assert_in_range(bytes, 0,
			(uint64_t)RATE * us / 1000000 + RATE / 8 + (256 << 10));
}

/* ---- Tests ---- */

/* A limit is what it was set to, each way by itself. */
static void limits_are_told(void **state)
{
	struct world *w = *state;
	struct engine *e;

	world_torrent(w, PIECES, PIECE, WHOLE);
	node_start(w, 0, HOLDS_NONE, NULL, 0, false);
	e = w->nodes[0].engine;
	assert_int_equal(engine_limit(e, ENGINE_DOWN), 0);
	engine_set_limit(e, ENGINE_DOWN, 1000);
	engine_set_limit(e, ENGINE_UP, 5);
	assert_int_equal(engine_limit(e, ENGINE_DOWN), 1000);
	assert_int_equal(engine_limit(e, ENGINE_UP), 5);
	engine_set_limit(e, ENGINE_UP, 0);
	assert_int_equal(engine_limit(e, ENGINE_UP), 0);
}

/* All of a torrent comes, not faster than it may; what was counted has come,
 * and the peer did nothing wrong. */
static void down_holds(void **state)
{
	struct world *w = *state;
	struct node *n = pair(w);
	uint64_t from_us = loop_now_us(w->loop);

	set_down(n, RATE);
	node_read(n, 0, MOST);
	assert_held(w, node_view(n).down_bytes, from_us);
	assert_int_equal(node_view(n).down_bytes, MOST);
	assert_int_equal(node_view(n).waste_bytes, 0);
	assert_false(pace_is_deaf(n->engine));
}

/* The same of what goes out; two peers get parts by their weights. */
static void up_holds_by_weight(void **state)
{
	struct world *w = *state;
	struct node *a = pair(w), *b = reader(w, 2);
	uint64_t from_us;
	struct reading ra, rb;
	struct peer *p;

	world_run(w, is_unchoked, a);
	world_run(w, is_unchoked, b);
	p = first_peer(&w->nodes[0]);
	p->up_weight = 3000;
	TAILQ_NEXT(p, link)->up_weight = 1000;
	from_us = loop_now_us(w->loop);
	engine_set_limit(w->nodes[0].engine, ENGINE_UP, RATE);
	/* The readers must not help each other: each knows only the seed. */
	reading_start(&ra, a, 0, MOST);
	reading_start(&rb, b, 0, MOST);
	world_run(w, reading_is_done, &ra);
	assert_int_equal(p->up_bytes, MOST);
	assert_in_range(TAILQ_NEXT(p, link)->up_bytes, MOST / 4, MOST / 2);
	world_run(w, reading_is_done, &rb);
	assert_held(w, node_view(&w->nodes[0]).up_bytes, from_us);
}

static bool is_heard_again(void *arg)
{
	struct node *n = arg;

	if (!pace_is_deaf(n->engine))
		return true;
	/* Meanwhile nothing is read, and nobody is late. */
	assert_int_equal(node_view(n).down_bytes, 0);
	assert_int_equal(peer_ask_late_us(first_peer(n)), UINT64_MAX);
	return false;
}

/* What comes without having been counted makes us deaf until half of it is
 * made good. The peer is not taken for one that stalled. */
static void a_debt_is_made_good(void **state)
{
	struct world *w = *state;
	struct node *n = pair(w);
	uint64_t nothing = 0;
	struct reading rd;

	world_run(w, is_unchoked, n);
	set_down(n, RATE);
	pace_on_payload(n->engine, &nothing, RATE / 4);
	assert_false(pace_is_deaf(n->engine));
	pace_on_payload(n->engine, &nothing, RATE / 4);
	assert_true(pace_is_deaf(n->engine));
	reading_start(&rd, n, 0, PIECE);
	world_run(w, is_heard_again, n);
	world_run(w, reading_is_done, &rd);
	assert_int_equal(rd.err, 0);
	assert_false(first_peer(n)->is_snubbed);
	assert_int_equal(first_peer(n)->paid_bytes, 0);
}

/* The end of a limit is the end of a debt, and of every wait for a turn. */
static void a_limit_ends(void **state)
{
	struct world *w = *state;
	struct node *n = pair(w);
	uint64_t nothing = 0;
	struct reading rd;

	world_run(w, is_unchoked, n);
	set_down(n, 1000);
	pace_on_payload(n->engine, &nothing, 1 << 30);
	assert_true(pace_is_deaf(n->engine));
	reading_start(&rd, n, 0, MOST);
	set_down(n, 0);
	assert_false(pace_is_deaf(n->engine));
	world_run(w, reading_is_done, &rd);
	assert_int_equal(rd.err, 0);
}

/* A limit that is set while much is under way: it all comes, exactly once. */
static void a_limit_begins(void **state)
{
	struct world *w = *state;
	struct node *n = pair(w);
	struct reading rd;

	world_run(w, is_unchoked, n);
	reading_start(&rd, n, 0, MOST / 2);
	set_down(n, 16 << 20);
	world_run(w, reading_is_done, &rd);
	set_down(n, RATE);
	node_read(n, MOST / 2, MOST / 2);
	assert_int_equal(node_view(n).down_bytes, MOST);
	assert_int_equal(first_peer(n)->paid_bytes, 0);
	assert_false(first_peer(n)->is_snubbed);
}

/* What is taken back is counted no more: a read that ends gives its turn and
 * its bytes to the next. */
static void cancelled_is_not_counted(void **state)
{
	struct world *w = *state;
	struct node *n = pair(w);
	struct reading rd;

	world_run(w, is_unchoked, n);
	set_down(n, RATE);
	reading_start(&rd, n, 0, MOST);
	world_run(w, is_unchoked, n);
	torrent_read_cancel(rd.rd);
	node_read(n, MOST / 2, PIECE);
	assert_int_equal(first_peer(n)->paid_bytes, 0);
}

/* Two torrents that are read share evenly, within a fifth: when one has all of
 * its equal part, the other is nearly there. */
static void torrents_share(void **state)
{
	struct world *w = *state;
	struct node *n = pair(w);
	struct world other = *w;
	struct torrent *first = n->t;
	struct reading ra, rb;
	uint64_t got;

	world_run(w, is_unchoked, n);
	/* The second torrent, with a seed of its own. */
	buf_init(&w->file);
	world_torrent(w, PIECES, PIECE, WHOLE - 1);
	node_seed(w, 2, HOLDS_ALL);
	n->is_ready = false;
	node_add(n);
	node_meet(n, &w->nodes[2]);
	world_run(w, is_unchoked, n);

	set_down(n, RATE);
	ra = (struct reading){.w = &other, .off = 0, .len = MOST};
	assert_int_equal(torrent_read_start(first, 0, MOST, reading_on_done,
					    &ra, &ra.rd),
			 0);
	reading_start(&rb, n, 0, MOST);
	world_run(w, reading_is_done, &ra);
	got = node_view(n).down_bytes;
	assert_in_range(got, MOST * 5 / 6, MOST);
	world_run(w, reading_is_done, &rb);
	mem_free(other.content);
	buf_fini(&other.file);
}

static bool has_pieces(void *arg)
{
	return node_view(arg).held_pieces >= PIECES / 2;
}

/* What nobody reads, and is pinned, is limited, too; a read goes first. */
static void pins_are_limited(void **state)
{
	struct world *w = *state;
	struct node *n = pair(w);
	uint64_t from_us;

	world_run(w, is_unchoked, n);
	from_us = loop_now_us(w->loop);
	set_down(n, RATE);
	assert_int_equal(torrent_pin(n->t, 0), 0);
	world_run(w, has_pieces, n);
	assert_held(w, node_view(n).down_bytes, from_us);
	node_read(n, MOST - PIECE, PIECE);
	assert_held(w, node_view(n).down_bytes, from_us);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(limits_are_told, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(down_holds, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(up_holds_by_weight, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(a_debt_is_made_good,
						world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(a_limit_ends, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(a_limit_begins, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(cancelled_is_not_counted,
						world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(pins_are_limited, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(torrents_share, world_setup,
						world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
