/* Unit tests of net/swarm, net/peer, net/intake and net/upload: an engine
 * against a rogue, a peer made of a bare socket that breaks rules. */
#include "net/picker.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"
#include "tests/unit/net/net_rogue.h"
#include "tests/unit/net/net_world.h"

enum { PIECE = 256 << 10, PIECES = 4 };

/* ---- Helpers ---- */

static const unsigned NODE0[] = {0};
static const unsigned BOTH[] = {0, 1};

static void small_world(struct world *w)
{
	world_torrent(w, PIECES, PIECE, (uint64_t)PIECES * PIECE);
}

static bool is_closed(void *arg)
{
	return ((struct rogue *)arg)->is_closed;
}

static bool was_asked(void *arg)
{
	return ((struct rogue *)arg)->n[WIRE_REQUEST] > 0;
}

static bool has_unchoked(void *arg)
{
	return node_view(arg).unchoked_us > 0;
}

static bool has_two_unchoked(void *arg)
{
	return node_view(arg).unchoked_us == 2;
}

static void against(struct world *w, struct rogue *r, enum manner manner,
		    enum holds holds)
{
	small_world(w);
	rogue_start(r, w, 0, manner);
	node_start(w, 1, holds, NODE0, 1, false);
	node_add(&w->nodes[1]);
}

/* The rogue as node 0, a seed as node 1, a leecher as node 2 that is connected
 * to both. */
static void beside_a_seed(struct world *w, struct rogue *r, enum manner manner)
{
	small_world(w);
	rogue_start(r, w, 0, manner);
	node_seed(w, 1, HOLDS_ALL);
	node_start(w, 2, HOLDS_NONE, BOTH, 2, false);
	node_add(&w->nodes[2]);
	world_run(w, has_two_unchoked, &w->nodes[2]);
}

static void ends(void **state, enum manner manner)
{
	struct world *w = *state;
	struct rogue r;

	against(w, &r, manner, HOLDS_NONE);
	world_run(w, is_closed, &r);
	assert_int_equal(node_view(&w->nodes[1]).peers, 0);
	rogue_stop(&r);
}

/* ---- Tests ---- */

/* Blocks that nobody asked for are dropped, and too many end the peer. */
static void unasked_blocks_end_the_peer(void **state)
{
	ends(state, MANNER_SPAM);
}

/* A HAVE for a piece that does not exist ends the peer. */
static void an_impossible_have_ends_the_peer(void **state)
{
	ends(state, MANNER_HAVE);
}

/* A bitfield of the wrong length ends the peer. */
static void a_short_bitfield_ends_the_peer(void **state)
{
	ends(state, MANNER_BITFIELD);
}

static bool heard_interest(void *arg)
{
	return ((struct rogue *)arg)->n[WIRE_INTERESTED] > 0;
}

static bool heard_extensions(void *arg)
{
	return ((struct rogue *)arg)->n[WIRE_EXTENDED] > 0;
}

/* 4 + 8 blocks at once. */
static bool has_batched(void *arg)
{
	return ((struct rogue *)arg)->batch_size >= 16;
}

static bool heard_have(void *arg)
{
	return ((struct rogue *)arg)->n[WIRE_HAVE] > 0;
}

/* What we have and that we are interested goes with our handshake: a round
 * trip less until the first request. */
static void interest_does_not_wait_for_a_handshake(void **state)
{
	struct world *w = *state;
	struct rogue r;

	against(w, &r, MANNER_MUTE, HOLDS_NONE);
	world_run(w, heard_interest, &r);
	assert_int_equal(r.n[WIRE_BITFIELD], 1);
	rogue_stop(&r);
}

static void add_rogue(struct world *w, struct node *n)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, "127.0.0.1:1"), 0);
	addr_set_port(&a, w->nodes[0].rogue_port);
	assert_int_equal(swarm_add_addr(n->t->swarm, &a), 0);
}

/* A reader waits; then the rogue is found. */
static void found_by_a_reader(struct world *w, struct rogue *r,
			      enum manner manner, struct reading *rd)
{
	struct node *n = &w->nodes[1];

	small_world(w);
	rogue_start(r, w, 0, manner);
	node_start(w, 1, HOLDS_NONE, NODE0, 0, false);
	node_add(n);
	reading_start(rd, n, 0, PIECE);
	add_rogue(w, n);
}

/* When a read waits the first requests go with the handshake, too: a few, for
 * what the peer has is a guess. */
static void requests_do_not_wait_for_a_handshake(void **state)
{
	struct world *w = *state;
	struct reading rd;
	struct rogue r;

	found_by_a_reader(w, &r, MANNER_MUTE, &rd);
	world_run(w, was_asked, &r);
	assert_int_equal(r.n[WIRE_REQUEST] - r.n_short, PEER_OPENING_REQUESTS);
	torrent_read_cancel(rd.rd);
	rogue_stop(&r);
}

/* ... and none without a read. */
static void nothing_is_asked_blindly_without_a_reader(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[1];
	struct rogue r;

	against(w, &r, MANNER_SILENT, HOLDS_NONE);
	world_run(w, has_unchoked, n);
	assert_int_equal(r.n[WIRE_REQUEST] - r.n_short, 0);
	rogue_stop(&r);
}

/* Who does not speak BEP 6 drops what it is asked while it chokes, silently:
 * once it unchokes, all of it is asked again. */
static void what_was_dropped_unheard_is_asked_again(void **state)
{
	struct world *w = *state;
	struct reading rd;
	struct rogue r;

	found_by_a_reader(w, &r, MANNER_PLAIN, &rd);
	world_run(w, was_asked, &r);
	r.is_unchoking = true;
	wire_put_plain(&r.out, WIRE_UNCHOKE);
	flush(&r);
	world_run(w, reading_is_done, &rd);
	assert_int_equal(rd.err, 0);
	assert_int_equal(r.n[WIRE_REQUEST] - r.n_short,
			 PEER_OPENING_REQUESTS + PIECE / WIRE_BLOCK_BYTES);
	rogue_stop(&r);
}

/* Who does not answer at all holds nobody up: what it was asked blindly is free
 * again long before a peer counts as stalled, and that is no offence. */
static void a_mute_peer_keeps_no_block(void **state)
{
	struct world *w = *state;
	struct reading rd;
	struct rogue r;

	found_by_a_reader(w, &r, MANNER_MUTE, &rd);
	world_run(w, was_asked, &r);
	node_seed(w, 2, HOLDS_ALL);
	node_meet(&w->nodes[1], &w->nodes[2]);
	world_run(w, reading_is_done, &rd);
	assert_int_equal(rd.err, 0);
	assert_false(TAILQ_FIRST(&w->nodes[1].t->swarm->peers)->is_snubbed);
	rogue_stop(&r);
}

/* Who rejects what it was asked blindly is left with nothing lost: others are
 * asked. */
static void blind_requests_that_are_rejected_go_to_others(void **state)
{
	struct world *w = *state;
	struct reading rd;
	struct rogue r;

	found_by_a_reader(w, &r, MANNER_REJECT, &rd);
	world_run(w, was_asked, &r);
	node_seed(w, 2, HOLDS_ALL);
	node_meet(&w->nodes[1], &w->nodes[2]);
	world_run(w, reading_is_done, &rd);
	assert_int_equal(rd.err, 0);
	rogue_stop(&r);
}

/* It is not said twice, and not contradicted, once the peer answers. */
static void what_we_have_is_said_once(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[1];
	struct reading rd;
	struct rogue r;

	against(w, &r, MANNER_SILENT, HOLDS_NONE);
	world_run(w, has_unchoked, n);
	reading_start(&rd, n, 0, PIECE);
	world_run(w, was_asked, &r);
	assert_int_equal(r.n[WIRE_BITFIELD], 1);
	assert_int_equal(r.n[WIRE_HAVE_NONE] + r.n[WIRE_HAVE_ALL], 0);
	assert_int_equal(r.n[WIRE_INTERESTED], 1);
	assert_int_equal(r.n[WIRE_NOT_INTERESTED], 0);
	torrent_read_cancel(rd.rd);
	rogue_stop(&r);
}

/* ... not even when it speaks of something else before its set. */
static void interest_is_not_taken_back_for_want_of_a_set(void **state)
{
	struct world *w = *state;
	struct rogue r;

	against(w, &r, MANNER_EXT, HOLDS_NONE);
	world_run(w, heard_extensions, &r);
	assert_int_equal(r.n[WIRE_INTERESTED], 1);
	assert_int_equal(r.n[WIRE_NOT_INTERESTED], 0);
	rogue_stop(&r);
}

/* Who hangs up on what is behind our handshake is dialled again at once, and
 * gets the handshake alone. */
static void a_handshake_goes_alone_where_it_must(void **state)
{
	struct world *w = *state;
	struct reading rd;
	struct rogue r;

	found_by_a_reader(w, &r, MANNER_ALONE, &rd);
	world_run(w, reading_is_done, &rd);
	assert_int_equal(rd.err, 0);
	assert_int_equal(r.n_accepted, 2);
	rogue_stop(&r);
}

/* Blocks that come many at once are met with a window that doubles, as those
 * that come one by one: when they were asked for it was full. */
static void the_window_grows_with_batches(void **state)
{
	struct world *w = *state;
	struct reading rd;
	struct rogue r;

	against(w, &r, MANNER_BATCH, HOLDS_NONE);
	reading_start(&rd, &w->nodes[1], 0, PIECES * PIECE);
	world_run(w, has_batched, &r);
	torrent_read_cancel(rd.rd);
	rogue_stop(&r);
}

/* A piece that is verified between our handshake and theirs is told too. */
static void news_reach_a_peer_that_has_not_answered(void **state)
{
	struct world *w = *state;
	struct rogue r;

	small_world(w);
	rogue_start(&r, w, 0, MANNER_MUTE);
	node_seed(w, 1, HOLDS_ALL);
	node_start(w, 2, HOLDS_NONE, BOTH, 2, false);
	node_add(&w->nodes[2]);
	node_read(&w->nodes[2], 0, PIECE);
	world_run(w, heard_have, &r);
	rogue_stop(&r);
}

/* A peer with our own id is ourselves, and not tried again. */
static void we_do_not_talk_to_ourselves(void **state)
{
	struct world *w = *state;
	struct rogue r;

	against(w, &r, MANNER_MIRROR, HOLDS_NONE);
	world_run(w, is_closed, &r);
	assert_int_equal(node_view(&w->nodes[1]).peers, 0);
	assert_int_equal(node_view(&w->nodes[1]).dialing, 0);
	assert_int_equal(r.n_accepted, 1);
	rogue_stop(&r);
}

/* A peer that takes requests and never answers does not hold up a read. */
static void a_silent_peer_does_not_hold_up_a_read(void **state)
{
	struct world *w = *state;
	struct rogue r;

	beside_a_seed(w, &r, MANNER_SILENT);
	node_read(&w->nodes[2], 0, PIECES * PIECE);
	assert_true(r.n[WIRE_REQUEST] > 0);
	rogue_stop(&r);
}

/* Nor does one that rejects everything, and it is not asked over and over. */
static void a_rejecting_peer_is_left_alone(void **state)
{
	struct world *w = *state;
	struct rogue r;

	beside_a_seed(w, &r, MANNER_REJECT);
	node_read(&w->nodes[2], 0, PIECES * PIECE);
	assert_in_range(r.n[WIRE_REQUEST], 1, 64);
	rogue_stop(&r);
}

/* The only peer rejects: the read waits, and the requests stay few. */
static void request_and_reject_do_not_circle(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[1];
	struct reading rd;
	struct rogue r;

	against(w, &r, MANNER_REJECT, HOLDS_NONE);
	world_run(w, has_unchoked, n);
	reading_start(&rd, n, 0, 10);
	world_run(w, was_asked, &r);
	node_stop(n);
	assert_int_equal(rd.err, ESHUTDOWN);
	assert_in_range(r.n[WIRE_REQUEST], 1, 16);
	rogue_stop(&r);
}

/* Half a block of wrong bytes lies in place when the right one comes from
 * elsewhere; what is sent of it later goes nowhere. */
static void a_half_sent_block_spoils_nothing(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[2];
	struct rogue r;
	unsigned i;

	beside_a_seed(w, &r, MANNER_HALF);
	node_read(n, 0, (PIECES - 1) * PIECE);
	assert_true(r.n[WIRE_REQUEST] > 0);
	for (i = HALF; i < r.first.len_bytes; i++)
		buf_add_u8(&r.out, 0xdd);
	flush(&r);
	node_read(n, (PIECES - 1) * PIECE, PIECE);
	node_read(n, 0, PIECES * PIECE);
	assert_int_equal(node_view(n).hashed_pieces, PIECES);
	rogue_stop(&r);
}

/* The swarm's one peer dies with half a block in place; the rest of the read
 * comes from one that appears later. */
static void a_lost_peer_is_replaced(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[1];
	struct engine_source src = {0};
	struct mi_error err;
	struct reading rd;
	struct torrent *t;
	struct rogue r;
	char peer[32];
	const char *peers[] = {peer};
	char *link;

	against(w, &r, MANNER_HALF, HOLDS_NONE);
	world_run(w, has_unchoked, n);
	reading_start(&rd, n, 0, PIECE);
	world_run(w, was_asked, &r);
	rogue_stop(&r);
	node_seed(w, 2, HOLDS_ALL);
	(void)snprintf(peer, sizeof(peer), "127.0.0.1:%u",
		       engine_port(w->nodes[2].engine));
	link = magnet_format(torrent_id(n->t), NULL, NULL, 0, peers, 1);
	assert_int_equal(magnet_parse(link, &src.magnet, &err), 0);
	assert_int_equal(engine_add(n->engine, src, &t), EEXIST);
	mem_free(link);
	world_run(w, reading_is_done, &rd);
	assert_int_equal(rd.err, 0);
}

/* aria2 says a bitfield again when that is shorter than its HAVEs: the peer
 * stays, and is asked for what the second one added. */
static void a_second_bitfield_is_news(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[1];
	struct reading rd;
	struct rogue r;

	against(w, &r, MANNER_AGAIN, HOLDS_NONE);
	world_run(w, has_unchoked, n);
	reading_start(&rd, n, (PIECES - 1) * PIECE, 10);
	world_run(w, was_asked, &r);
	assert_int_equal(r.first.piece_ix, PIECES - 1);
	node_stop(n);
	rogue_stop(&r);
}

static bool has_no_peer(void *arg)
{
	return node_view(arg).peers == 0;
}

/* The one peer dies while an urgent block is out: the swarm sleeps until
 * something happens, and does not look at the clock again and again. */
static void without_peers_the_swarm_sleeps(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[1];
	struct reading rd;
	struct rogue r;

	against(w, &r, MANNER_SILENT, HOLDS_NONE);
	world_run(w, has_unchoked, n);
	reading_start(&rd, n, 0, PIECE);
	world_run(w, was_asked, &r);
	rogue_stop(&r);
	world_run(w, has_no_peer, n);
	assert_true(picker_next_late_us(n->t->swarm->picker) == UINT64_MAX);
	assert_false(rd.is_done);
	torrent_read_cancel(rd.rd);
}

/* A request that the only peer lost, while it answers all others, is made
 * again. */
static void a_lost_request_is_made_again(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[1];
	struct rogue r;

	against(w, &r, MANNER_LOSE, HOLDS_NONE);
	world_run(w, has_unchoked, n);
	node_read(n, 0, PIECE);
	assert_int_equal(r.n[WIRE_REQUEST] - r.n_short,
			 PIECE / WIRE_BLOCK_BYTES + 1);
	rogue_stop(&r);
}

/* Let its silence be that old. */
static void age(struct peer *p, uint64_t us)
{
	p->payload_us -= us;
	p->owed_us -= us;
	swarm_kick(p->sw);
}

static bool is_snubbed(void *arg)
{
	return ((struct peer *)arg)->is_snubbed;
}

/* The only peer lost every request that was out: they are forgotten one day,
 * and it is asked again. */
static void lost_requests_do_not_fill_the_window(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[1];
	struct reading rd;
	struct rogue r;
	struct peer *p;

	against(w, &r, MANNER_LOSE_ALL, HOLDS_NONE);
	world_run(w, has_unchoked, n);
	reading_start(&rd, n, 0, PIECE);
	world_run(w, was_asked, &r);
	p = TAILQ_FIRST(&n->t->swarm->peers);
	age(p, 20u * 1000 * 1000);
	world_run(w, is_snubbed, p);
	r.is_lossy = false;
	age(p, 20u * 1000 * 1000);
	world_run(w, reading_is_done, &rd);
	assert_int_equal(rd.err, 0);
	assert_false(p->is_snubbed);
	assert_int_equal(p->asks.n, 0);
	rogue_stop(&r);
}

static bool has_nudge_due(void *arg)
{
	return ((struct peer *)arg)->nudge_us > 0;
}

static bool was_nudged(void *arg)
{
	return ((struct rogue *)arg)->n_short > 0;
}

static bool owes_no_more(void *arg)
{
	return ((struct peer *)arg)->asks.n == 0;
}

/* Behind the last block of what a reader waits for, a peer far away is asked
 * for a little more, once and somewhat later, or it might come before that
 * block; what comes of it is no offence. */
static void the_end_is_nudged(void **state)
{
	struct world *w = *state;
	struct reading rd;
	struct rogue r;
	struct peer *p;

	against(w, &r, MANNER_LOSE_ALL, HOLDS_NONE);
	r.is_lossy = false;
	node_read(&w->nodes[1], 0, PIECE);
	p = TAILQ_FIRST(&w->nodes[1].t->swarm->peers);
	r.n_short = 0;
	p->window.delay_us = 1000u * 1000 * 1000;
	p->window.window_bytes = 2 * PIECE;
	reading_start(&rd, &w->nodes[1], PIECE, PIECE);
	world_run(w, has_nudge_due, p);
	assert_true(p->asks.n > 0);
	assert_false(p->asks.v[p->asks.head + p->asks.n - 1].is_nudge);
	p->nudge_us = 1;
	swarm_kick(p->sw);
	world_run(w, was_nudged, &r);
	world_run(w, owes_no_more, p);
	assert_true(r.n_short <= 2);
	assert_int_equal(p->unasked, 0);
	node_read(&w->nodes[1], PIECE, PIECE);
	torrent_read_cancel(rd.rd);
	rogue_stop(&r);
}

static bool was_answered(void *arg)
{
	const struct rogue *r = arg;

	return r->n[WIRE_UNCHOKE] > 0 &&
	       r->n[WIRE_REJECT] + r->n[WIRE_PIECE] >= 2;
}

/* A request while choked, and one for bytes that do not exist, are rejected;
 * who is interested is unchoked at once when a slot is free. */
static void choked_requests_are_rejected(void **state)
{
	struct world *w = *state;
	struct rogue r;

	against(w, &r, MANNER_ASK, HOLDS_ALL);
	world_run(w, was_answered, &r);
	assert_int_equal(r.n[WIRE_HAVE_ALL], 1);
	assert_true(r.n[WIRE_REJECT] >= 1);
	assert_int_equal(r.n[WIRE_REJECT] + r.n[WIRE_PIECE], 2);
	rogue_stop(&r);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		T(interest_does_not_wait_for_a_handshake),
		T(requests_do_not_wait_for_a_handshake),
		T(nothing_is_asked_blindly_without_a_reader),
		T(what_was_dropped_unheard_is_asked_again),
		T(a_mute_peer_keeps_no_block),
		T(blind_requests_that_are_rejected_go_to_others),
		T(what_we_have_is_said_once),
		T(interest_is_not_taken_back_for_want_of_a_set),
		T(a_handshake_goes_alone_where_it_must),
		T(the_window_grows_with_batches),
		T(news_reach_a_peer_that_has_not_answered),
		T(unasked_blocks_end_the_peer),
		T(an_impossible_have_ends_the_peer),
		T(a_short_bitfield_ends_the_peer),
		T(we_do_not_talk_to_ourselves),
		T(a_silent_peer_does_not_hold_up_a_read),
		T(a_rejecting_peer_is_left_alone),
		T(request_and_reject_do_not_circle),
		T(a_half_sent_block_spoils_nothing),
		T(a_lost_peer_is_replaced),
		T(a_second_bitfield_is_news),
		T(without_peers_the_swarm_sleeps),
		T(a_lost_request_is_made_again),
		T(lost_requests_do_not_fill_the_window),
		T(the_end_is_nudged),
		T(choked_requests_are_rejected),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
