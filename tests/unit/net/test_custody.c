/* Unit tests of net/custody: which whole pieces wait to be hashed, and until
 * when. An engine with a torrent and no connection: peers are made up, and so
 * is who sent what. A piece is hashed when the test says so. */
#include "cache/pieces.h"
#include "core/hmap.h"
#include "net/custody.h"
#include "net/intake.h"
#include "net/intake_piece.h"
#include "net/net_limits.h"
#include "net/peer.h"
#include "net/picker.h"
#include "net/swarm_internal.h"
#include "tests/unit/net/net_world.h"

enum { BLOCKS = 4, PIECE = BLOCKS * WIRE_BLOCK_BYTES, PIECES = 6, PEERS = 3 };

struct fix {
	struct world *w;
	struct intake *in;
	struct peer peers[PEERS];
	bool has_left[PEERS];
	uint64_t now_us;
};

static struct fix fix;

/* ---- Fixture ---- */

static int begin(void **state, bool is_staged)
{
	struct node *n;

	assert_int_equal(world_setup(state), 0);
	fix = (struct fix){.w = *state};
	world_torrent(fix.w, PIECES, PIECE, (uint64_t)PIECES * PIECE);
	if (is_staged)
		(void)setenv("WORLD_STAGED", "1", 1);
	node_start(fix.w, 0, HOLDS_NONE, NULL, 0, false);
	(void)unsetenv("WORLD_STAGED");
	n = &fix.w->nodes[0];
	node_add(n);
	fix.in = n->t->swarm->intake;
	fix.now_us = loop_now_us(fix.w->loop);
	for (uint32_t i = 0; i < PEERS; i++) {
		fix.peers[i].id = 1000 + i;
		assert_int_equal(addr_parse(&fix.peers[i].addr, "10.0.0.1:1"),
				 0);
		fix.peers[i].addr.in4.sin_port = (in_port_t)(1 + i);
		TAILQ_INSERT_TAIL(&fix.in->sw->peers, &fix.peers[i], link);
	}
	return 0;
}

static int begin_whole(void **state)
{
	return begin(state, false);
}

static int begin_staged(void **state)
{
	return begin(state, true);
}

static void leave(unsigned i)
{
	TAILQ_REMOVE(&fix.in->sw->peers, &fix.peers[i], link);
	fix.has_left[i] = true;
}

static int end(void **state)
{
	struct intake_piece *ip;

	for (unsigned i = 0; i < PEERS; i++)
		if (!fix.has_left[i])
			leave(i);
	fix.in->n_suspects = 0;
	while ((ip = LIST_FIRST(&fix.in->pieces)) != NULL) {
		LIST_REMOVE(ip, link);
		(void)hmap_del(fix.in->by_ix, &ip->ix);
		custody_leave(fix.in, ip);
		intake_piece_free(ip);
	}
	return world_teardown(state);
}

/* ---- Helpers ---- */

/* Piece `ix` is whole; peer `a` sent its first half, `b` the other. */
static struct intake_piece *whole(uint32_t ix, unsigned a, unsigned b)
{
	struct intake_piece *ip;
	uint32_t at = 0;

	assert_true(intake_open(fix.in, ix, 0));
	ip = intake_find(fix.in, ix);
	for (uint32_t i = 0; i < BLOCKS; i++) {
		const struct peer *p = &fix.peers[i < BLOCKS / 2 ? a : b];

		ip->sender[i] =
			(struct intake_sender){.id = p->id, .addr = p->addr};
		at = i * WIRE_BLOCK_BYTES;
		if (ip->segment_blocks == BLOCKS)
			continue;
		assert_true(intake_open(fix.in, ix, at));
		if (i + 1 < BLOCKS)
			pieces_filled(fix.in->sw->t->ps, ix, at);
	}
	ip->n_arrived = BLOCKS;
	memset(ip->n_missing, 0,
	       BLOCKS / ip->segment_blocks * sizeof(*ip->n_missing));
	custody_on_whole(fix.in, ip, at);
	return ip;
}

static void run_after_ms(unsigned ms)
{
	fix.now_us += (uint64_t)ms * 1000;
	(void)custody_run(fix.in, fix.now_us);
}

static void assert_waits(const struct intake_piece *ip)
{
	assert_true(ip->is_held && !ip->is_handed);
	assert_int_equal(pieces_state(fix.in->sw->t->ps, ip->ix),
			 PIECE_FETCHING);
}

static void assert_went(const struct intake_piece *ip)
{
	assert_true(!ip->is_held && ip->is_handed);
	assert_int_equal(pieces_state(fix.in->sw->t->ps, ip->ix),
			 PIECE_CHECKING);
}

/* ---- Tests ---- */

/* What one peer sent alone judges nobody else: it never waits. */
static void alone_it_goes_at_once(void **state)
{
	(void)state;
	for (uint32_t ix = 0; ix < PIECES; ix++)
		assert_went(whole(ix, 0, 0));
	assert_int_equal(fix.peers[0].n_handed, PIECES);
}

/* Of one whom nobody knows one shared piece is hashed at a time, in order. */
static void the_unknown_wait_for_their_first(void **state)
{
	struct intake_piece *first = whole(0, 0, 1), *second = whole(1, 0, 2);
	struct intake_piece *third = whole(2, 1, 2);

	(void)state;
	assert_went(first);
	assert_waits(second);
	assert_waits(third);
	custody_on_hashed(fix.in, first, true);
	run_after_ms(0);
	assert_went(second);
	assert_waits(third);
	assert_int_equal(fix.peers[0].n_right, 1);
	custody_on_hashed(fix.in, second, true);
	run_after_ms(0);
	assert_went(third);
}

/* Trust is earned: one more at a time for so many that were right. */
static void the_known_have_more_at_a_time(void **state)
{
	(void)state;
	fix.peers[0].n_right = fix.peers[1].n_right = 2 * CUSTODY_EARN;
	assert_went(whole(0, 0, 1));
	assert_went(whole(1, 0, 1));
	assert_went(whole(2, 0, 1));
	assert_waits(whole(3, 0, 1));
	assert_true(custody_is_likely(fix.in, intake_find(fix.in, 3)));
	assert_waits(whole(4, 0, 2));
	assert_false(custody_is_likely(fix.in, intake_find(fix.in, 4)));
}

/* What a suspect has a part in waits until he is cleared, or too long. */
static void suspects_are_waited_for(void **state)
{
	struct intake_piece *ip, *late;

	(void)state;
	fix.peers[0].n_accused = 1;
	ip = whole(0, 0, 1);
	assert_waits(ip);
	assert_went(whole(1, 1, 2)); /* of others */
	assert_went(whole(2, 0, 0)); /* his alone */
	custody_on_hashed(fix.in, intake_find(fix.in, 1), true);
	custody_on_hashed(fix.in, intake_find(fix.in, 2), true);
	run_after_ms(100);
	assert_waits(ip);
	fix.peers[0].n_accused = 0;
	run_after_ms(CUSTODY_LOOK_MS);
	assert_went(ip);
	custody_on_hashed(fix.in, ip, true);
	fix.peers[0].n_accused = 1;
	late = whole(3, 0, 1);
	run_after_ms(100);
	assert_waits(late);
	run_after_ms(CUSTODY_HOLD_MS);
	assert_went(late);
}

/* Two accusations hold even what is his alone; and of one who left nobody knows
 * whether he is suspect, as long as anybody is. */
static void the_worse_and_the_gone(void **state)
{
	(void)state;
	fix.peers[0].n_accused = 2;
	assert_waits(whole(0, 0, 0));
	leave(2);
	assert_went(whole(1, 1, 2));
	custody_on_hashed(fix.in, intake_find(fix.in, 1), true);
	fix.in->n_suspects = 1;
	assert_waits(whole(2, 1, 2));
	assert_went(whole(3, 2, 2)); /* he is the one who pays for it */
}

/* A piece that a read waits for goes before those that came before it. */
static void the_urgent_goes_first(void **state)
{
	struct intake_piece *first = whole(0, 0, 1);
	struct intake_piece *calm = whole(1, 0, 1), *urgent = whole(2, 0, 1);

	(void)state;
	assert_int_equal(picker_want(fix.in->sw->picker, 2, WANT_URGENT, 0), 0);
	custody_on_hashed(fix.in, first, true);
	run_after_ms(0);
	assert_waits(calm);
	assert_went(urgent);
}

/* Memory that is wanted back: a long piece that waits need not do so. */
static void a_long_one_is_let_go(void **state)
{
	struct intake_piece *ip;

	(void)state;
	(void)whole(0, 0, 1);
	ip = whole(1, 0, 1);
	assert_waits(ip);
	assert_false(intake_give_back(fix.in, 1));
	assert_went(ip);
}

int main(void)
{
#define W(f) cmocka_unit_test_setup_teardown(f, begin_whole, end)
#define S(f) cmocka_unit_test_setup_teardown(f, begin_staged, end)
	const struct CMUnitTest tests[] = {
		W(alone_it_goes_at_once),
		S(alone_it_goes_at_once),
		W(the_unknown_wait_for_their_first),
		S(the_unknown_wait_for_their_first),
		W(the_known_have_more_at_a_time),
		S(the_known_have_more_at_a_time),
		W(suspects_are_waited_for),
		S(suspects_are_waited_for),
		W(the_worse_and_the_gone),
		W(the_urgent_goes_first),
		S(the_urgent_goes_first),
		S(a_long_one_is_let_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
