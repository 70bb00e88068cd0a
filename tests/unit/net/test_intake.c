/* Unit tests of net/intake and net/reclaim: what becomes of pieces that are
 * half there when the memory for unverified bytes is short. */
#include "cache/pieces.h"
#include "net/engine_internal.h"
#include "net/fetch.h"
#include "net/intake.h"
#include "net/net_limits.h"
#include "net/picker.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"
#include "tests/unit/net/net_rogue.h"
#include "tests/unit/net/net_world.h"

enum { PIECE = 32 << 10, PIECES = 6 };

/* ---- Helpers ---- */

static const unsigned BOTH[] = {0, 1};

/* A rogue that begins every piece and ends none as node 0, a seed as node 1, a
 * leecher as node 2 with memory for two pieces. */
static void short_of_memory(struct world *w, struct rogue *r, enum holds holds)
{
	world_torrent(w, PIECES, PIECE, (uint64_t)PIECES * PIECE);
	w->unverified_bytes = 2 * PIECE;
	rogue_start(r, w, 0, MANNER_BEGIN);
	node_seed(w, 1, holds);
	node_start(w, 2, HOLDS_NONE, BOTH, 2, false);
	node_add(&w->nodes[2]);
}

static uint64_t unverified_bytes(struct node *n)
{
	return piece_mem_unverified_bytes(n->engine->mem);
}

static bool has_two_unchoked(void *arg)
{
	return node_view(arg).unchoked_us == 2;
}

static bool has_unchoked(void *arg)
{
	return node_view(arg).unchoked_us > 0;
}

/* Two pieces are open, and their first blocks are there. */
static bool has_begun_two(void *arg)
{
	struct node *n = arg;
	const struct intake_piece *ip;
	unsigned n_begun = 0;

	LIST_FOREACH (ip, &n->t->swarm->intake->pieces, link)
		n_begun += ip->n_arrived > 0;
	return n_begun == 2;
}

/* ---- Tests ---- */

/* The pieces of a window that nobody delivers have taken all memory: a read of
 * another piece gets it, and the window gets its turn afterwards. */
static void a_read_takes_memory_from_windows(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[2];
	struct cursor *a, *b;
	struct rogue r;

	short_of_memory(w, &r, HOLDS_ODD);
	world_run(w, has_two_unchoked, n);
	assert_int_equal(cursor_open(n->t, &a), 0);
	assert_int_equal(cursor_open(n->t, &b), 0);
	cursor_set(a, 0, 1);
	cursor_set(b, 2 * PIECE, 1);
	world_run(w, has_begun_two, n);
	assert_int_equal(unverified_bytes(n), 2 * PIECE);
	node_read(n, 3 * PIECE, PIECE);
	assert_int_equal(picker_class(n->t->swarm->picker, 0), WANT_WINDOW);
	assert_int_equal(picker_class(n->t->swarm->picker, 2), WANT_WINDOW);
	world_run(w, has_begun_two, n);
	cursor_close(a);
	cursor_close(b);
	rogue_stop(&r);
}

/* What one torrent holds of pieces that nobody wants any more is given back
 * when a read of another torrent needs the memory. */
static void a_read_takes_memory_from_other_torrents(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[2];
	struct reading rd[2];
	struct torrent *first;
	struct rogue r;

	short_of_memory(w, &r, HOLDS_NONE);
	world_run(w, has_unchoked, n);
	reading_start(&rd[0], n, 0, PIECE);
	reading_start(&rd[1], n, 2 * PIECE, PIECE);
	world_run(w, has_begun_two, n);
	torrent_read_cancel(rd[0].rd);
	torrent_read_cancel(rd[1].rd);
	assert_int_equal(unverified_bytes(n), 2 * PIECE);
	first = n->t;

	mem_free(w->content);
	buf_fini(&w->file);
	world_torrent(w, PIECES, PIECE, (uint64_t)PIECES * PIECE - 1);
	node_seed(w, 3, HOLDS_ALL);
	n->is_ready = false;
	node_add(n);
	assert_ptr_not_equal(n->t, first);
	node_meet(n, &w->nodes[3]);
	node_read(n, 0, PIECE);
	rogue_stop(&r);
}

/* Reads of one torrent hold all memory, and nothing comes for them: after a
 * while a read of another gets what it needs, and they wait on. */
static void a_read_takes_memory_from_reads_that_hang(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[2];
	struct intake_piece *ip;
	uint64_t came_us;
	struct reading rd[2];
	struct torrent *first;
	struct rogue r;

	short_of_memory(w, &r, HOLDS_NONE);
	world_run(w, has_unchoked, n);
	reading_start(&rd[0], n, 0, PIECE);
	reading_start(&rd[1], n, 2 * PIECE, PIECE);
	world_run(w, has_begun_two, n);
	first = n->t;
	LIST_FOREACH (ip, &first->swarm->intake->pieces, link)
		ip->came_us -= (uint64_t)RECLAIM_HUNG_MS * 1000;

	mem_free(w->content);
	buf_fini(&w->file);
	world_torrent(w, PIECES, PIECE, (uint64_t)PIECES * PIECE - 1);
	node_seed(w, 3, HOLDS_ALL);
	n->is_ready = false;
	node_add(n);
	node_meet(n, &w->nodes[3]);
	node_read(n, 0, PIECE);
	assert_int_equal(picker_class(first->swarm->picker, 0), WANT_URGENT);
	assert_int_equal(picker_class(first->swarm->picker, 2), WANT_URGENT);
	/* What is brought once more keeps no reader waiting. */
	came_us = fetch_progress_us(first->fetch, 0);
	fetch_on_block(first->fetch, 0, 1, came_us + 1);
	assert_int_equal(fetch_progress_us(first->fetch, 0), came_us);
	fetch_on_block(first->fetch, 0, 2, came_us + 1);
	assert_int_equal(fetch_progress_us(first->fetch, 0), came_us + 1);
	torrent_read_cancel(rd[0].rd);
	torrent_read_cancel(rd[1].rd);
	rogue_stop(&r);
}

/* ---- staged pieces ---- */

enum { LONG = 8 * WIRE_BLOCK_BYTES };

static bool has_staged_some(void *arg)
{
	struct node *n = arg;
	const struct intake_piece *ip = intake_find(n->t->swarm->intake, 0);

	return ip != NULL && ip->n_arrived > 0 &&
	       picker_outstanding(n->t->swarm->picker) > 0;
}

static bool has_no_unverified(void *arg)
{
	return unverified_bytes(arg) == 0;
}

/* A long piece nobody delivers gives back what is in memory, and then, when
 * nobody wants it any more, all of it. */
static void gives_back_by_segments(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[2];
	struct intake_piece *ip;
	struct reading rd;
	struct rogue r;

	(void)setenv("WORLD_STAGED", "1", 1);
	world_torrent(w, 2, LONG, 2 * LONG);
	rogue_start(&r, w, 0, MANNER_BEGIN);
	node_start(w, 2, HOLDS_NONE, BOTH, 1, false);
	(void)unsetenv("WORLD_STAGED");
	node_add(n);
	world_run(w, has_unchoked, n);
	reading_start(&rd, n, 0, LONG);
	world_run(w, has_staged_some, n);
	ip = intake_find(n->t->swarm->intake, 0);
	assert_int_equal(ip->n_missing[0], 0);
	assert_true(intake_give_back(n->t->swarm->intake, 0));
	assert_true(ip->n_arrived >= 1); /* what is full stays */
	assert_int_equal(picker_outstanding(n->t->swarm->picker), 0);
	assert_ptr_equal(intake_find(n->t->swarm->intake, 0), ip);
	assert_true(intake_give_back(n->t->swarm->intake, 0));
	assert_null(intake_find(n->t->swarm->intake, 0));
	torrent_read_cancel(rd.rd);
	world_run(w, has_no_unverified, n); /* a worker may be at it still */
	rogue_stop(&r);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		T(a_read_takes_memory_from_windows),
		T(a_read_takes_memory_from_other_torrents),
		T(a_read_takes_memory_from_reads_that_hang),
		T(gives_back_by_segments),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
