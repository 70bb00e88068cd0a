/* Several torrents with one v2 file, in one engine, each of its own length of
 * piece: what is fetched, and how often. */
#include "net_world.h"

#include "cache/pieces.h"
#include "net/bans.h"
#include "net/engine_internal.h"
#include "net/fetch.h"
#include "net/intake.h"
#include "net/peer.h"
#include "net/picker.h"
#include "net/swarm_internal.h"

enum {
	SMALL = 64 << 10,
	LARGE = 512 << 10,
	TOTAL = 3 * LARGE - 777,
	TORRENTS = 3,
};

static const unsigned FIRST[] = {0};
static const struct {
	enum world_kind kind;
	uint32_t piece_bytes;
} SHAPES[TORRENTS] = {
	{WORLD_V2, SMALL}, {WORLD_V2, LARGE}, {WORLD_HYBRID, 2 * SMALL}};

/* ---- Fixture ---- */

/* One node's torrents. */
struct shelf {
	struct node *n;
	struct torrent *t[TORRENTS];
	unsigned n_torrents;
};

static struct shelf seed_shelf, reader_shelf;

static void shape(struct world *w, unsigned i)
{
	world_forget_torrent(w);
	w->kind = SHAPES[i].kind;
	world_torrent(
		w, (TOTAL + SHAPES[i].piece_bytes - 1) / SHAPES[i].piece_bytes,
		SHAPES[i].piece_bytes, TOTAL);
}

static void add_to(struct shelf *s, struct node *n, unsigned i)
{
	shape(n->w, i);
	n->is_ready = false;
	n->t = NULL;
	node_add(n);
	s->n = n;
	s->t[i] = n->t;
	s->n_torrents = i + 1;
}

static bool holds_all(const struct torrent *t)
{
	struct torrent_view v;

	torrent_view((struct torrent *)t, &v);
	return v.held_pieces == v.n_pieces;
}

static bool all_hold_all(void *arg)
{
	const struct shelf *s = arg;

	for (unsigned i = 0; i < s->n_torrents; i++)
		if (!holds_all(s->t[i]))
			return false;
	return true;
}

static uint64_t down_bytes(const struct shelf *s)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < s->n_torrents; i++) {
		struct torrent_view v;

		torrent_view(s->t[i], &v);
		sum += v.down_bytes;
	}
	return sum;
}

/* Node 0 holds the file, in `n` torrents; node 1 has those torrents. */
static void two_shelves(struct world *w, unsigned n)
{
	shape(w, 0);
	node_start(w, 0, HOLDS_ALL, NULL, 0, false);
	for (unsigned i = 0; i < n; i++)
		add_to(&seed_shelf, &w->nodes[0], i);
	world_run(w, all_hold_all, &seed_shelf);
	node_start(w, 1, HOLDS_NONE, FIRST, 1, false);
	for (unsigned i = 0; i < n; i++)
		add_to(&reader_shelf, &w->nodes[1], i);
}

static bool all_are_unchoked(void *arg)
{
	const struct shelf *s = arg;

	for (unsigned i = 0; i < s->n_torrents; i++) {
		struct torrent_view v;

		torrent_view(s->t[i], &v);
		if (v.unchoked_us == 0)
			return false;
	}
	return true;
}

static bool has_two_unchoked(void *arg)
{
	return node_view(arg).unchoked_us == 2;
}

static bool node_holds_all(void *arg)
{
	return holds_all(((struct node *)arg)->t);
}

static bool all_are_done(void *arg)
{
	const struct reading *r = arg;

	return r[0].is_done && r[1].is_done && r[2].is_done;
}

static void read_all_at(struct world *w, uint64_t at, uint32_t len)
{
	struct reading r[TORRENTS];

	for (unsigned i = 0; i < TORRENTS; i++) {
		w->nodes[1].t = reader_shelf.t[i];
		reading_start(&r[i], &w->nodes[1], at, len);
	}
	world_run(w, all_are_done, r);
	for (unsigned i = 0; i < TORRENTS; i++)
		assert_int_equal(r[i].err, 0);
}

static void read_in_steps(struct world *w, uint32_t step)
{
	for (uint64_t at = 0; at < TOTAL; at += step)
		read_all_at(w, at,
			    TOTAL - at < step ? (uint32_t)(TOTAL - at) : step);
}

static void on_wrong_put(void *arg, uint32_t ix, enum store_phase phase,
			 int err)
{
	assert_int_equal(err, 0);
	if (phase == STORE_DURABLE)
		*(bool *)arg = true;
}

static bool is_set(void *arg)
{
	return *(bool *)arg;
}

/* As if the store had verified them once, and they had changed since. */
static void put_wrong_leaves(struct world *w, struct torrent *t, uint32_t ix,
			     uint32_t at, uint32_t len)
{
	struct blk *b = blk_new(w->pool, len);
	bool is_there = false;

	memset(b->data, 0xee, len);
	assert_int_equal(store_put_leaves(pieces_store(t->ps), ix, at, b,
					  on_wrong_put, &is_there),
			 0);
	blk_drop(b);
	world_run(w, is_set, &is_there);
}

static bool is_banned(const struct node *n, const struct node *who)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, "127.0.0.1:1"), 0);
	addr_set_port(&a, engine_port(who->engine));
	return bans_has(n->engine->bans, &a);
}

/* ---- Tests ---- */

static void what_is_pinned_in_all_comes_once(void **state)
{
	struct world *w = *state;

	two_shelves(w, TORRENTS);
	world_run(w, all_are_unchoked, &reader_shelf);
	for (unsigned i = 0; i < TORRENTS; i++)
		assert_int_equal(torrent_pin(reader_shelf.t[i], 0), 0);
	world_run(w, all_hold_all, &reader_shelf);
	assert_in_range(down_bytes(&reader_shelf), TOTAL, TOTAL * 21 / 20);
}

static void what_is_read_in_all_comes_once(void **state)
{
	struct world *w = *state;

	two_shelves(w, TORRENTS);
	world_run(w, all_are_unchoked, &reader_shelf);
	read_in_steps(w, LARGE);
	world_run(w, all_hold_all, &reader_shelf);
	assert_in_range(down_bytes(&reader_shelf), TOTAL, TOTAL * 21 / 20);
}

/* A long piece of which another torrent brought short ones: the rest alone is
 * asked for. */
static void a_piece_is_filled_from_the_store(void **state)
{
	struct world *w = *state;
	struct torrent_view v;

	two_shelves(w, 2);
	world_run(w, all_are_unchoked, &reader_shelf);
	w->nodes[1].t = reader_shelf.t[0];
	node_read(&w->nodes[1], SMALL, SMALL);
	node_read(&w->nodes[1], LARGE, 3 * SMALL);
	assert_int_equal(torrent_pin(reader_shelf.t[1], 0), 0);
	world_run(w, all_hold_all, &reader_shelf);
	torrent_view(reader_shelf.t[1], &v);
	assert_int_equal(v.down_bytes, TOTAL - 4 * SMALL);
	assert_int_equal(down_bytes(&reader_shelf), TOTAL);
}

/* Readers who go side by side, a little at a time. */
static void readers_in_lockstep_fetch_once(void **state)
{
	struct world *w = *state;

	two_shelves(w, TORRENTS);
	world_run(w, all_are_unchoked, &reader_shelf);
	read_in_steps(w, SMALL);
	assert_in_range(down_bytes(&reader_shelf), TOTAL, TOTAL * 21 / 20);
}

/* What the store gave is wrong: it comes again from peers, of whom nobody is to
 * blame. */
static void wrong_copies_heal(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[1];

	two_shelves(w, 2);
	world_run(w, all_are_unchoked, &reader_shelf);
	n->t = reader_shelf.t[0];
	node_read(n, SMALL, SMALL);
	put_wrong_leaves(w, reader_shelf.t[0], 2, 0, SMALL / 2);
	assert_int_equal(torrent_pin(reader_shelf.t[1], 0), 0);
	n->t = reader_shelf.t[1];
	world_run(w, node_holds_all, n);
	node_read(n, 0, TOTAL);
	assert_false(is_banned(n, &w->nodes[0]));
}

/* Right copies in a piece that a liar spoils: he is found, and nobody else. */
static void a_liar_beside_copies_is_found(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[1];

	two_shelves(w, 2);
	shape(w, 1);
	node_seed(w, 2, HOLDS_WRONG);
	n->t = reader_shelf.t[1];
	node_meet(n, &w->nodes[2]);
	world_run(w, has_two_unchoked, n);
	world_run(w, all_are_unchoked, &reader_shelf);
	n->t = reader_shelf.t[0];
	node_read(n, SMALL, SMALL);
	node_read(n, LARGE, 3 * SMALL);
	assert_int_equal(torrent_pin(reader_shelf.t[1], 0), 0);
	n->t = reader_shelf.t[1];
	world_run(w, node_holds_all, n);
	node_read(n, 0, TOTAL);
	assert_true(is_banned(n, &w->nodes[2]));
	assert_false(is_banned(n, &w->nodes[0]));
}

struct turns {
	struct world *w;
	struct loop_task task;
	unsigned left;
};

static void on_turn(void *arg)
{
	struct turns *turns = arg;

	if (--turns->left == 0)
		loop_stop(turns->w->loop);
	else
		loop_defer(turns->w->loop, &turns->task);
}

/* So many turns of the loop, however long they take. */
static void run_turns(struct world *w, unsigned n)
{
	struct turns turns = {.w = w, .left = n};

	loop_task_init(&turns.task, on_turn, &turns);
	loop_defer(w->loop, &turns.task);
	assert_int_equal(loop_run(w->loop), 0);
}

static bool is_begun(const struct torrent *t)
{
	return picker_is_open(t->swarm->picker, 0);
}

/* Two torrents, each with a peer of its own; the first one's gives nothing. The
 * other's reader leaves the file to it. */
static void one_waits_for_the_other(struct world *w, struct reading *r)
{
	struct node *n = &w->nodes[1];

	shape(w, 0);
	node_seed(w, 0, HOLDS_ALL);
	engine_set_limit(w->nodes[0].engine, ENGINE_UP, 1);
	shape(w, 1);
	node_seed(w, 2, HOLDS_ALL);
	node_start(w, 1, HOLDS_NONE, NULL, 0, false);
	for (unsigned i = 0; i < 2; i++) {
		add_to(&reader_shelf, n, i);
		node_meet(n, &w->nodes[2 * i]);
	}
	world_run(w, all_are_unchoked, &reader_shelf);
	for (unsigned i = 0; i < 2; i++) {
		n->t = reader_shelf.t[i];
		reading_start(&r[i], n, 0, SMALL);
		run_turns(w, 4);
	}
	assert_true(is_begun(reader_shelf.t[0]));
	assert_false(is_begun(reader_shelf.t[1]));
	assert_false(r[1].is_done);
}

/* Its peer goes: nobody waits any longer. */
static void who_waits_does_not_when_the_peer_goes(void **state)
{
	struct world *w = *state;
	struct reading r[2];

	one_waits_for_the_other(w, r);
	peer_end(TAILQ_FIRST(&reader_shelf.t[0]->swarm->peers),
		 PEER_END_CLOSED);
	run_turns(w, 4);
	assert_true(is_begun(reader_shelf.t[1]));
	world_run(w, reading_is_done, &r[1]);
	assert_int_equal(r[1].err, 0);
	world_run(w, reading_is_done, &r[0]); /* by what the other brought */
	assert_int_equal(r[0].err, 0);
}

/* It chokes: the same. */
static void who_waits_does_not_when_the_peer_chokes(void **state)
{
	struct wire_msg choke = {.id = WIRE_CHOKE};
	struct world *w = *state;
	struct reading r[2];
	struct peer *p;

	one_waits_for_the_other(w, r);
	p = TAILQ_FIRST(&reader_shelf.t[0]->swarm->peers);
	peer_msg_on(p, &choke);
	run_turns(w, 4);
	assert_true(is_begun(reader_shelf.t[1]));
	for (unsigned i = 0; i < 2; i++) {
		world_run(w, reading_is_done, &r[i]);
		assert_int_equal(r[i].err, 0);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_pinned_in_all_comes_once),
		T(what_is_read_in_all_comes_once),
		T(a_piece_is_filled_from_the_store),
		T(readers_in_lockstep_fetch_once),
		T(wrong_copies_heal),
		T(a_liar_beside_copies_is_found),
		T(who_waits_does_not_when_the_peer_goes),
		T(who_waits_does_not_when_the_peer_chokes),
	};

	return cmocka_run_group_tests_name("intake_joint", tests, NULL, NULL);
}
