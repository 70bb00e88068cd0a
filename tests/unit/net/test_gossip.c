/* Unit tests of net/gossip, and of what peers say of themselves by BEP 21, 27
 * and 54: whole engines that meet each other. */
#include "cache/pieces_internal.h"
#include "net/addrbook.h"
#include "net/crowd.h"
#include "net/engine_internal.h"
#include "net/gossip.h"
#include "net/net_limits.h"
#include "net/peer.h"
#include "net/swarm_internal.h"
#include "tests/unit/net/net_rogue.h"
#include "tests/unit/net/net_world.h"

enum { PIECE = 64 << 10, PIECES = 8 };

static const unsigned NODE0[] = {0};
static const unsigned NODE1[] = {1};

/* ---- Helpers ---- */

static void small_world(struct world *w)
{
	world_torrent(w, PIECES, PIECE, (uint64_t)PIECES * PIECE);
}

static struct swarm *swarm_of(const struct node *n)
{
	return n->t->swarm;
}

static struct peer *only_peer(struct node *n)
{
	struct peer *p = TAILQ_FIRST(&swarm_of(n)->peers);

	assert_non_null(p);
	assert_null(TAILQ_NEXT(p, link));
	return p;
}

static void magnet_to(struct node *n)
{
	struct metainfo *mi = world_metainfo(n->w);
	struct engine_source src = {0};
	struct mi_error err;
	char *link = magnet_format(&mi->id, NULL, NULL, 0, NULL, 0);

	assert_int_equal(magnet_parse(link, &src.magnet, &err), 0);
	assert_int_equal(engine_add(n->engine, src, &n->t), 0);
	mem_free(link);
	metainfo_free(mi);
}

static void say(struct peer *p, uint8_t ext_id, const void *body, size_t len)
{
	const struct wire_msg m = {.id = WIRE_EXTENDED,
				   .ext_id = ext_id,
				   .body = span_of(body, len)};

	peer_msg_on(p, &m);
}

static bool has_heard(void *arg)
{
	const struct peer *p = TAILQ_FIRST(&swarm_of(arg)->peers);

	return p != NULL && p->client[0] != '\0';
}

static bool has_two_peers(void *arg)
{
	return node_view(arg).peers == 2;
}

static bool has_no_peer(void *arg)
{
	return node_view(arg).peers == 0;
}

/* B in the middle, as node 0; C, who has it all and knows B, as node 1; A, who
 * knows B, as node 2. */
static void chain(struct world *w, bool no_pex)
{
	unsigned i;

	small_world(w);
	node_start(w, 0, HOLDS_NONE, NULL, 0, false);
	node_start(w, 1, HOLDS_ALL, NODE0, 1, false);
	node_start(w, 2, HOLDS_NONE, NODE0, 1, false);
	for (i = 0; i < 3; i++) {
		w->nodes[i].engine->cfg.no_pex = no_pex && i == 2;
		node_add(&w->nodes[i]);
	}
	world_run(w, has_two_peers, &w->nodes[0]);
	world_run(w, has_heard, &w->nodes[2]);
}

/* ---- Tests ---- */

/* Three who know only one of them find each other: pieces come from the one
 * whom nobody named. */
static void a_third_is_found_by_gossip(void **state)
{
	struct world *w = *state;

	chain(w, false);
	node_read(&w->nodes[2], 0, PIECES * PIECE);
	assert_int_equal(node_view(&w->nodes[2]).held_pieces, PIECES);
	assert_int_equal(node_view(&w->nodes[0]).held_pieces, 0);
}

static bool asleep(void *arg)
{
	const struct node *n = arg;

	return !loop_timer_is_armed(swarm_of(&n[0])->gossip) &&
	       !loop_timer_is_armed(swarm_of(&n[1])->gossip) &&
	       !loop_timer_is_armed(swarm_of(&n[2])->gossip);
}

/* In a private torrent nobody speaks of others, nor says that he would. */
static void private_torrents_do_not_gossip(void **state)
{
	struct world *w = *state;
	struct addr a;

	w->is_private = true;
	chain(w, false);
	assert_true(asleep(w->nodes));
	assert_int_equal(only_peer(&w->nodes[2])->ut_pex, 0);
	assert_null(only_peer(&w->nodes[2])->gossip);
	assert_int_equal(addr_parse(&a, "127.0.0.1:9"), 0);
	assert_int_equal(
		swarm_add_gossip(swarm_of(&w->nodes[2]), &a, TORRENT_V1), 0);
	assert_int_equal(node_view(&w->nodes[2]).peers, 1);
	assert_int_equal(addrbook_count(swarm_of(&w->nodes[2])->book), 1);
}

/* One who was told not to gossip is not told of anybody. */
static void who_does_not_want_it_hears_none(void **state)
{
	struct world *w = *state;
	const struct peer *p;

	chain(w, true);
	assert_int_equal(engine_port(w->nodes[0].engine),
			 addr_port(&only_peer(&w->nodes[2])->addr));
	assert_false(gossip_is_wanted(swarm_of(&w->nodes[2])));
	TAILQ_FOREACH (p, &swarm_of(&w->nodes[0])->peers, link)
		if (p->client[0] != '\0')
			assert_true((p->ut_pex != 0) == (p->gossip != NULL));
	/* B speaks it, and its word is not taken. */
	assert_int_not_equal(only_peer(&w->nodes[2])->ut_pex, 0);
	say(TAILQ_FIRST(&swarm_of(&w->nodes[2])->peers), EXT_ID_UT_PEX,
	    "d5:added6:\x7f\0\0\1\0\x09"
	    "e",
	    17);
	assert_int_equal(addrbook_count(swarm_of(&w->nodes[2])->book), 1);
}

static bool is_private_now(void *arg)
{
	const struct node *n = arg;

	return n->is_ready && torrent_metainfo(n->t)->is_private;
}

/* A magnet turns out to be private: whom only gossip named is let go, and not
 * known any more; who was named stays. */
static void metadata_ends_gossip(void **state)
{
	struct world *w = *state;
	struct node *a = &w->nodes[2], *c = &w->nodes[3];
	struct addr there;

	w->is_private = true;
	small_world(w);
	node_start(w, 1, HOLDS_NONE, NULL, 0, false);
	magnet_to(&w->nodes[1]);
	node_start(w, 3, HOLDS_NONE, NULL, 0, false);
	magnet_to(c);
	node_start(w, 2, HOLDS_NONE, NODE1, 1, false);
	magnet_to(a);
	assert_int_equal(addr_parse(&there, "127.0.0.1:1"), 0);
	addr_set_port(&there, engine_port(c->engine));
	assert_int_equal(swarm_add_gossip(swarm_of(a), &there, TORRENT_V1), 0);
	world_run(w, has_two_peers, a);
	assert_int_equal(addrbook_count(swarm_of(a)->book), 2);
	node_start(w, 0, HOLDS_ALL, NODE1, 1, false);
	node_add(&w->nodes[0]);
	world_run(w, is_private_now, a);
	assert_int_equal(addrbook_count(swarm_of(a)->book), 1);
	assert_int_equal(addr_port(&only_peer(a)->addr),
			 engine_port(w->nodes[1].engine));
}

/* Who gossips far too often is ended; who does it a little too often is not
 * listened to. */
static void chatter_ends_the_peer(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[1];
	struct peer *p;
	char body[] = "d5:added6:\x7f\0\0\1\0\x01"
		      "e";
	unsigned i;

	small_world(w);
	node_seed(w, 0, HOLDS_ALL);
	node_start(w, 1, HOLDS_NONE, NODE0, 1, false);
	node_add(n);
	world_run(w, has_heard, n);
	p = only_peer(n);
	for (i = 0; i <= PEX_EARLY_MAX; i++) {
		body[15] = (char)(1 + i);
		say(p, EXT_ID_UT_PEX, body, sizeof(body) - 1);
		assert_int_equal(addrbook_count(swarm_of(n)->book), 2);
		assert_int_equal(p->end, PEER_END_NONE);
	}
	say(p, EXT_ID_UT_PEX, body, sizeof(body) - 1);
	assert_int_equal(p->end, PEER_END_PROTOCOL);
}

struct upload_only {
	struct node *n;
	bool is_so;
};

static bool is_upload_only(void *arg)
{
	const struct upload_only *u = arg;
	const struct peer *p = TAILQ_FIRST(&swarm_of(u->n)->peers);

	return p != NULL && p->is_upload_only == u->is_so;
}

/* Who becomes complete says that it wants nothing any more; who loses a piece
 * says so, and that it has that piece no longer. */
static void changes_of_mind_are_said(void **state)
{
	struct world *w = *state;
	struct upload_only u = {.n = &w->nodes[2]};
	struct peer *p;

	small_world(w);
	node_seed(w, 0, HOLDS_ALL);
	node_start(w, 1, HOLDS_EVEN, NODE0, 1, false);
	w->nodes[1].engine->cfg.no_pex = true; /* or the others would meet */
	node_add(&w->nodes[1]);
	node_start(w, 2, HOLDS_NONE, NODE1, 1, false);
	node_add(&w->nodes[2]);
	world_run(w, has_heard, u.n);
	world_run(w, is_upload_only, &u);
	u.is_so = true;
	node_read(&w->nodes[1], 0, PIECES * PIECE);
	world_run(w, is_upload_only, &u);
	p = only_peer(u.n);
	assert_true(bits_is_full(&p->have));
	assert_int_equal(p->useful, PIECES);
	pieces_lose(w->nodes[1].t->ps, 2); /* no buffer has it */
	u.is_so = false;
	world_run(w, is_upload_only, &u);
	assert_false(bits_has(&p->have, 2));
	assert_int_equal(p->useful, PIECES - 1);
}

/* Two who want nothing part, also when one of them has not got everything. */
static void a_seed_parts_from_a_partial_seed(void **state)
{
	struct world *w = *state;
	struct peer *p;

	small_world(w);
	node_seed(w, 0, HOLDS_ALL);
	node_start(w, 1, HOLDS_EVEN, NODE0, 1, false);
	node_add(&w->nodes[1]);
	world_run(w, has_heard, &w->nodes[0]);
	p = only_peer(&w->nodes[0]);
	say(p, EXT_ID_HANDSHAKE, "d11:upload_onlyi0ee", 19);
	assert_int_equal(p->end, PEER_END_NONE);
	say(p, EXT_ID_HANDSHAKE, "d11:upload_onlyi1ee", 19);
	assert_int_equal(p->end, PEER_END_USELESS);
	world_run(w, has_no_peer, &w->nodes[0]);
}

/* What a handshake does not name stays as it was. */
static void a_second_handshake_adds(void **state)
{
	struct world *w = *state;
	struct peer *p;

	small_world(w);
	node_seed(w, 0, HOLDS_EVEN);
	node_start(w, 1, HOLDS_NONE, NODE0, 1, false);
	node_add(&w->nodes[1]);
	world_run(w, has_heard, &w->nodes[1]);
	p = only_peer(&w->nodes[1]);
	say(p, EXT_ID_HANDSHAKE, "d1:md6:ut_pexi0eee", 18);
	assert_int_equal(p->ut_pex, 0);
	assert_int_equal(p->ut_metadata, EXT_ID_UT_METADATA);
	assert_int_equal(p->lt_donthave, EXT_ID_LT_DONTHAVE);
}

static bool was_asked(void *arg)
{
	return ((struct rogue *)arg)->n[WIRE_REQUEST] > 0;
}

static bool has_unchoked(void *arg)
{
	return node_view(arg).unchoked_us > 0;
}

/* A peer that loses a piece is asked for it no more, and what was asked is
 * asked of others at once. */
static void a_lost_piece_is_asked_of_others(void **state)
{
	static const uint8_t first[4] = {0}, beyond[4] = {0, 0, 0, PIECES};
	struct world *w = *state;
	struct node *n = &w->nodes[1];
	struct reading rd;
	struct rogue r;
	struct peer *p;

	small_world(w);
	rogue_start(&r, w, 0, MANNER_SILENT);
	node_start(w, 1, HOLDS_NONE, NODE0, 1, false);
	node_add(n);
	world_run(w, has_unchoked, n);
	p = only_peer(n);
	p->has_ext = true;
	reading_start(&rd, n, 0, PIECE);
	world_run(w, was_asked, &r);
	assert_int_not_equal(p->asks.n, 0);
	say(p, EXT_ID_LT_DONTHAVE, first, sizeof(first));
	assert_int_equal(p->asks.n, 0);
	assert_int_equal(p->useful, PIECES - 1);
	say(p, EXT_ID_LT_DONTHAVE, first, sizeof(first));
	assert_int_equal(p->useful, PIECES - 1);
	node_seed(w, 2, HOLDS_ALL);
	node_meet(n, &w->nodes[2]);
	world_run(w, reading_is_done, &rd);
	assert_int_equal(rd.err, 0);
	say(p, EXT_ID_LT_DONTHAVE, beyond, sizeof(beyond));
	assert_int_equal(p->end, PEER_END_PROTOCOL);
	rogue_stop(&r);
}

/* An address of this host whose priority to `sw` is above or below. */
static struct addr knocker(const struct swarm *sw, uint32_t than, bool above)
{
	struct addr a;
	uint16_t port;

	assert_int_equal(addr_parse(&a, "127.0.0.1:1"), 0);
	for (port = 1; port < UINT16_MAX; port++) {
		uint32_t prio;

		addr_set_port(&a, port);
		prio = addrbook_priority(sw->book, &a);
		if (above ? prio > than : prio < than)
			return a;
	}
	fail();
	return a;
}

static bool has_heard_two(void *arg)
{
	const struct swarm *sw = swarm_of(arg);
	const struct peer *p;
	unsigned n = 0;

	TAILQ_FOREACH (p, &sw->peers, link)
		n += p->client[0] != '\0';
	return n == 2;
}

/* On loopback all peers are of one network, and do not make it known. */
static void tell_who_we_are(const struct node *n)
{
	static const char *const from[] = {"10.1.0.1:1", "10.2.0.1:1",
					   "10.3.0.1:1"};
	struct addr self, a;

	assert_int_equal(addr_parse(&self, "127.0.0.1:1"), 0);
	addr_set_port(&self, engine_port(n->engine));
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(addr_parse(&a, from[i]), 0);
		addrbook_on_self(swarm_of(n)->book, &self, &a);
	}
}

/* As if so many others had come in, too. */
static void make_way_in_a_full_swarm(struct peer *p)
{
	struct swarm *sw = p->sw;

	sw->n_incoming += SWARM_INCOMING_MAX;
	crowd_make_way(p);
	sw->n_incoming -= SWARM_INCOMING_MAX;
}

/* In a full swarm an idle peer gives way to one whom BEP 40 prefers, and to
 * nobody else; in one that is not full nobody does. */
static void the_preferred_take_the_place_of_the_idle(void **state)
{
	struct world *w = *state;
	struct swarm *sw;
	struct addr lesser, greater;
	struct peer *a, *b;
	unsigned i;

	small_world(w);
	for (i = 0; i < 3; i++) {
		node_start(w, i, HOLDS_EVEN, NODE0, i > 0, false);
		node_add(&w->nodes[i]);
	}
	world_run(w, has_heard_two, &w->nodes[0]);
	tell_who_we_are(&w->nodes[0]);
	sw = swarm_of(&w->nodes[0]);
	a = TAILQ_FIRST(&sw->peers);
	b = TAILQ_NEXT(a, link);
	if (addrbook_priority(sw->book, &a->addr) >
	    addrbook_priority(sw->book, &b->addr)) {
		b = a;
		a = TAILQ_NEXT(b, link);
	}
	lesser = knocker(sw, addrbook_priority(sw->book, &a->addr), false);
	greater = knocker(sw, addrbook_priority(sw->book, &a->addr), true);
	assert_false(crowd_may_enter(sw, &lesser));
	assert_false(crowd_may_enter(sw, &a->addr));
	assert_true(crowd_may_enter(sw, &greater));
	crowd_make_way(b);
	make_way_in_a_full_swarm(a);
	assert_int_equal(a->end, PEER_END_NONE);
	assert_int_equal(b->end, PEER_END_NONE);
	make_way_in_a_full_swarm(b);
	assert_int_equal(a->end, PEER_END_LIMIT);
	assert_int_equal(b->end, PEER_END_NONE);
	assert_false(crowd_may_enter(sw, &lesser));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		T(a_third_is_found_by_gossip),
		T(private_torrents_do_not_gossip),
		T(who_does_not_want_it_hears_none),
		T(metadata_ends_gossip),
		T(chatter_ends_the_peer),
		T(changes_of_mind_are_said),
		T(a_seed_parts_from_a_partial_seed),
		T(a_second_handshake_adds),
		T(a_lost_piece_is_asked_of_others),
		T(the_preferred_take_the_place_of_the_idle),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
