/* Several torrents with one v2 file, in one engine, each of its own length of
 * piece: what is fetched, and how often. */
#include "net_world.h"

#include "net/fetch.h"
#include "net/intake.h"
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

static bool all_are_done(void *arg)
{
	const struct reading *r = arg;

	return r[0].is_done && r[1].is_done && r[2].is_done;
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
	struct reading r[TORRENTS];

	two_shelves(w, TORRENTS);
	world_run(w, all_are_unchoked, &reader_shelf);
	for (uint64_t at = 0; at < TOTAL; at += LARGE) {
		uint32_t len =
			TOTAL - at < LARGE ? (uint32_t)(TOTAL - at) : LARGE;

		for (unsigned i = 0; i < TORRENTS; i++) {
			w->nodes[1].t = reader_shelf.t[i];
			reading_start(&r[i], &w->nodes[1], at, len);
		}
		world_run(w, all_are_done, r);
		for (unsigned i = 0; i < TORRENTS; i++)
			assert_int_equal(r[i].err, 0);
	}
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

#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_pinned_in_all_comes_once),
		T(what_is_read_in_all_comes_once),
		T(a_piece_is_filled_from_the_store),
	};

	return cmocka_run_group_tests_name("intake_joint", tests, NULL, NULL);
}
