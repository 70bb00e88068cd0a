/* Unit tests of net/fetch and net/cursor: what reads and windows make of each
 * piece's demand, seen at the picker. */
#include "cache/pieces_internal.h"
#include "net/fetch.h"
#include "net/picker.h"
#include "net/swarm_internal.h"
#include "tests/unit/net/net_world.h"

enum { PIECE = 16 << 10, PIECES = 8 };

/* ---- Helpers ---- */

static struct node *lonely(struct world *w, enum holds holds)
{
	world_torrent(w, PIECES, PIECE, (uint64_t)PIECES * PIECE - 1);
	node_start(w, 0, holds, NULL, 0, false);
	node_add(&w->nodes[0]);
	return &w->nodes[0];
}

/* ---- Assertions ---- */

/* One letter for each piece: . nothing, b background, w window, u urgent. */
static void assert_demand(struct node *n, const char *want)
{
	char is[PIECES + 1] = "";
	uint32_t ix;

	for (ix = 0; ix < PIECES; ix++)
		is[ix] = ".bwu"[picker_class(n->t->swarm->picker, ix)];
	assert_string_equal(is, want);
	assert_int_equal(fetch_is_hungry(n->t->fetch),
			 strpbrk(want, "bwu") != NULL);
}

/* ---- Tests ---- */

/* Without a read or a window nothing is wanted; a read makes its pieces urgent
 * for as long as it waits. */
static void reads_are_urgent(void **state)
{
	struct node *n = lonely(*state, HOLDS_NONE);
	struct reading a, b;

	assert_demand(n, "........");
	reading_start(&a, n, PIECE - 1, 2);
	reading_start(&b, n, PIECE, 2 * PIECE);
	assert_demand(n, "uuu.....");
	torrent_read_cancel(a.rd);
	assert_demand(n, ".uu.....");
	torrent_read_cancel(b.rd);
	assert_demand(n, "........");
}

/* A piece in a window that is read too is urgent until the read is gone. */
static void a_read_in_a_window_is_urgent(void **state)
{
	struct node *n = lonely(*state, HOLDS_NONE);
	struct reading r;
	struct cursor *c;

	assert_int_equal(cursor_open(n->t, &c), 0);
	cursor_set(c, PIECE, 3 * PIECE);
	reading_start(&r, n, 2 * PIECE, 1);
	assert_demand(n, ".wuw....");
	cursor_set(c, 0, 0);
	assert_demand(n, "..u.....");
	cursor_set(c, 0, 3 * PIECE);
	torrent_read_cancel(r.rd);
	assert_demand(n, "www.....");
	cursor_close(c);
	assert_demand(n, "........");
}

/* A window that moves wants what is new and no more what it left, to either
 * side, and two windows do not take from each other. */
static void windows_move(void **state)
{
	struct node *n = lonely(*state, HOLDS_NONE);
	struct cursor *a, *b;

	assert_int_equal(cursor_open(n->t, &a), 0);
	assert_int_equal(cursor_open(n->t, &b), 0);
	cursor_set(a, 0, 3 * PIECE);
	cursor_set(b, 2 * PIECE, 2 * PIECE);
	assert_demand(n, "wwww....");
	cursor_set(a, PIECE, 1);
	assert_demand(n, ".www....");
	cursor_set(a, 6 * PIECE, 10 * PIECE); /* cut at the end */
	assert_demand(n, "..ww..ww");
	cursor_set(a, 3 * PIECE, PIECE + 1);
	assert_demand(n, "..www...");
	cursor_close(b);
	assert_demand(n, "...ww...");
	cursor_set(a, n->w->total, 1); /* behind the end: nothing */
	assert_demand(n, "........");
	cursor_close(a);
}

/* Held pieces are not wanted; one that gets lost is, if a window has it or a
 * read waits for it. */
static void a_lost_piece_is_wanted_again(void **state)
{
	struct node *n = lonely(*state, HOLDS_ALL);
	struct reading r;
	struct cursor *c;

	assert_int_equal(cursor_open(n->t, &c), 0);
	cursor_set(c, 0, 3 * PIECE);
	assert_demand(n, "........");
	pieces_lose(n->t->ps, 1);
	pieces_lose(n->t->ps, 5);
	assert_demand(n, ".w......");
	reading_start(&r, n, 4 * PIECE, 2 * PIECE);
	assert_demand(n, ".w...u..");
	pieces_lose(n->t->ps, 4); /* the read counts on it no more than we */
	assert_demand(n, ".w...u..");
	torrent_read_cancel(r.rd);
	cursor_close(c);
	assert_demand(n, "........");
}

/* Pinned pieces are wanted after all others, as often as they were pinned, and
 * by who reads more than that. */
static void pins_are_the_background(void **state)
{
	struct node *n = lonely(*state, HOLDS_NONE);
	struct reading r;
	struct cursor *c;

	assert_int_equal(cursor_open(n->t, &c), 0);
	cursor_set(c, 0, 2 * PIECE);
	assert_int_equal(fetch_pin(n->t->fetch, 1, 4), 0);
	assert_demand(n, "wwbb....");
	assert_false(fetch_is_calm(n->t->fetch));
	assert_int_equal(fetch_pin(n->t->fetch, 3, 6), 0);
	reading_start(&r, n, 3 * PIECE, 1);
	assert_demand(n, "wwbubb..");
	cursor_close(c);
	torrent_read_cancel(r.rd);
	assert_demand(n, ".bbbbb..");
	assert_true(fetch_is_calm(n->t->fetch));
	fetch_unpin(n->t->fetch, 1, 4);
	assert_demand(n, "...bbb..");
	assert_int_equal(torrent_pin(n->t, 0), 0);
	assert_int_equal(torrent_pin(n->t, 0), 0);
	assert_demand(n, "bbbbbbbb");
	assert_true(torrent_is_pinned(n->t, 0));
	fetch_unpin(n->t->fetch, 3, 6);
	assert_demand(n, "bbbbbbbb");
	torrent_unpin(n->t, 0);
	assert_demand(n, "........");
	assert_int_equal(torrent_pin(n->t, 1), EINVAL);
}

/* A pinned piece that gets lost is wanted again, after a rest: the store may
 * have no room for it. */
static void a_lost_pin_is_wanted_again(void **state)
{
	struct node *n = lonely(*state, HOLDS_ALL);
	uint64_t now_us = loop_now_us(n->w->loop);

	assert_int_equal(torrent_pin(n->t, 0), 0);
	assert_demand(n, "........");
	assert_int_equal(fetch_rests_until_us(n->t->fetch, now_us), 0);
	pieces_lose(n->t->ps, 1);
	assert_demand(n, ".b......");
	assert_true(fetch_rests_until_us(n->t->fetch, now_us) > now_us);
	torrent_unpin(n->t, 0);
	assert_demand(n, "........");
	assert_int_equal(torrent_pin(n->t, 0), 0);
	assert_int_equal(fetch_rests_until_us(n->t->fetch, now_us), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		T(reads_are_urgent),
		T(a_read_in_a_window_is_urgent),
		T(windows_move),
		T(a_lost_piece_is_wanted_again),
		T(pins_are_the_background),
		T(a_lost_pin_is_wanted_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
