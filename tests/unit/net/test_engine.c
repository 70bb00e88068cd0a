/* Unit tests of net/engine and net/torrent: whole engines against each other,
 * seen through the face that the file system sees. */
#include "net/engine_internal.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"
#include "tests/unit/net/net_world.h"

enum { PIECE = 256 << 10, PIECES = 8 };

static const unsigned SEED0[] = {0};
static const unsigned SEEDS01[] = {0, 1};

static void small_world(struct world *w)
{
	world_torrent(w, PIECES, PIECE, (uint64_t)PIECES * PIECE - 1000);
}

static void leech(struct world *w, unsigned ix, const unsigned *peers,
		  unsigned n_peers)
{
	node_start(w, ix, HOLDS_NONE, peers, n_peers, false);
	node_add(&w->nodes[ix]);
}

static void take_byte(void *arg, int err, const struct iovec *iov,
		      unsigned n_iov)
{
	uint8_t *byte = arg;

	assert_int_equal(err, 0);
	assert_int_equal(n_iov, 1);
	assert_int_equal(iov[0].iov_len, 1);
	*byte = *(const uint8_t *)iov[0].iov_base;
}

static int read_byte(struct node *n, uint64_t off_bytes, uint8_t *byte)
{
	uint8_t scratch[1];

	return torrent_read_now(n->t, off_bytes, 1, scratch, take_byte, byte);
}

/* ---- Tests ---- */

/* Bytes read through a leecher are the seed's, at every kind of border. */
static void reads_are_byte_exact(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[1];

	small_world(w);
	node_seed(w, 0, HOLDS_ALL);
	leech(w, 1, SEED0, 1);
	node_read(n, 0, 1);
	node_read(n, PIECE - 1, 2);
	node_read(n, 3 * PIECE + 777, PIECE + 5);
	node_read(n, w->total - 10, 10);
	node_read(n, 0, (uint32_t)w->total);
	assert_int_equal(node_view(n).held_pieces, PIECES);
	assert_int_equal(node_view(n).held_bytes, w->total);
	assert_int_equal(node_view(n).hashed_pieces, PIECES);
	assert_int_equal(torrent_file_held(n->t, 0), w->total);
}

static bool is_unchoked(void *arg)
{
	return node_view(arg).unchoked_us > 0;
}

/* Being connected and unchoked costs no payload, and a read fetches its
 * piece and nothing else. */
static void only_what_is_read_is_fetched(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[1];
	uint8_t byte;

	small_world(w);
	node_seed(w, 0, HOLDS_ALL);
	leech(w, 1, SEED0, 1);
	world_run(w, is_unchoked, n);
	assert_int_equal(node_view(n).down_bytes, 0);
	assert_int_equal(read_byte(n, 0, &byte), EAGAIN);
	node_read(n, 2 * PIECE + 1, 100);
	assert_int_equal(node_view(n).held_pieces, 1);
	assert_int_equal(node_view(n).down_bytes, PIECE);
	assert_int_equal(node_view(n).waste_bytes, 0);
	assert_true(torrent_piece_held(n->t, 2));
	assert_int_equal(read_byte(n, 2 * PIECE, &byte), 0);
	assert_int_equal(byte, w->content[2 * PIECE]);
}

/* A magnet's metadata, of more than one block, comes from a peer. */
static void a_magnet_becomes_a_torrent(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[1];
	struct engine_source src = {0};
	struct metainfo *mi;
	struct mi_error err;
	char peer[32];
	const char *peers[] = {peer};
	char *link;

	world_torrent(w, 900, 16 << 10, 900u * (16 << 10));
	node_seed(w, 0, HOLDS_ALL);
	node_start(w, 1, HOLDS_NONE, NULL, 0, false);
	(void)snprintf(peer, sizeof(peer), "127.0.0.1:%u",
		       engine_port(w->nodes[0].engine));
	mi = world_metainfo(w);
	assert_true(mi->info.len > 16384);
	link = magnet_format(&mi->id, NULL, NULL, 0, peers, 1);
	assert_int_equal(magnet_parse(link, &src.magnet, &err), 0);
	assert_int_equal(engine_add(n->engine, src, &n->t), 0);
	assert_null(torrent_metainfo(n->t));
	world_run(w, node_is_ready, n);
	assert_true(n->is_ready);
	assert_int_equal(torrent_metainfo(n->t)->n_pieces, 900);
	assert_string_equal(torrent_name(n->t), "content.bin");
	node_read(n, 123456, 100000);
	metainfo_free(mi);
	mem_free(link);
}

/* Two peers with half of the pieces each make a whole. */
static void partial_seeds_complete_each_other(void **state)
{
	struct world *w = *state;

	small_world(w);
	node_seed(w, 0, HOLDS_EVEN);
	node_seed(w, 1, HOLDS_ODD);
	leech(w, 2, SEEDS01, 2);
	node_read(&w->nodes[2], 0, (uint32_t)w->total);
	assert_int_equal(node_view(&w->nodes[2]).waste_bytes, 0);
}

static bool has_two_unchoked(void *arg)
{
	return node_view(arg).unchoked_us == 2;
}

static bool has_one_peer(void *arg)
{
	return node_view(arg).peers == 1;
}

/* A peer that sends wrong bytes is found out and banned; the reader never
 * notices, and the honest one stays. */
static void a_liar_is_banned_and_the_honest_stays(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[2];
	struct torrent_peer_view views[4];

	small_world(w);
	node_seed(w, 0, HOLDS_ALL);
	node_seed(w, 1, HOLDS_WRONG);
	leech(w, 2, SEEDS01, 2);
	world_run(w, has_two_unchoked, n);
	node_read(n, 0, (PIECES - 1) * PIECE);
	world_run(w, has_one_peer, n);
	assert_int_equal(torrent_peers(n->t, views, 4), 1);
	assert_int_equal(addr_port(&views[0].addr),
			 engine_port(w->nodes[0].engine));
	assert_true(node_view(n).waste_bytes > 0);
}

static bool has_peer(void *arg)
{
	return node_view(arg).peers > 0;
}

/* Who does not seed chokes everybody, and a read that waits for him says so;
 * cancelled, it is never answered. */
static void a_choked_read_says_why_and_can_be_cancelled(void **state)
{
	struct world *w = *state;
	struct reading r;

	small_world(w);
	node_start(w, 0, HOLDS_ALL, NULL, 0, true);
	node_add(&w->nodes[0]);
	leech(w, 1, SEED0, 1);
	world_run(w, has_peer, &w->nodes[1]);
	reading_start(&r, &w->nodes[1], 0, 10);
	world_run(w, has_peer, &w->nodes[1]);
	assert_non_null(strstr(torrent_read_why(r.rd), "choke us"));
	assert_int_equal(node_view(&w->nodes[1]).reads_waiting, 1);
	torrent_read_cancel(r.rd);
	assert_int_equal(node_view(&w->nodes[1]).reads_waiting, 0);
	node_stop(&w->nodes[1]);
	assert_false(r.is_done);
}

/* A read cancelled while its blocks are under way leaves nothing behind, and
 * the same bytes can be read again. */
static void a_read_cancelled_midway_leaves_nothing_behind(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[1];
	struct reading r;

	small_world(w);
	node_seed(w, 0, HOLDS_ALL);
	leech(w, 1, SEED0, 1);
	world_run(w, is_unchoked, n);
	reading_start(&r, n, 0, 4 * PIECE);
	world_run(w, has_peer, n);
	if (!r.is_done)
		torrent_read_cancel(r.rd);
	node_read(n, 0, (uint32_t)w->total);
}

/* Without any peer a read waits and says so; engine_stop ends it. */
static void stopping_ends_waiting_reads(void **state)
{
	struct world *w = *state;
	struct reading r[3];
	unsigned i;

	small_world(w);
	leech(w, 0, NULL, 0);
	for (i = 0; i < 3; i++)
		reading_start(&r[i], &w->nodes[0], i * PIECE, 2 * PIECE);
	assert_non_null(strstr(torrent_read_why(r[0].rd), "no peers known"));
	node_stop(&w->nodes[0]);
	for (i = 0; i < 3; i++) {
		assert_true(r[i].is_done);
		assert_int_equal(r[i].err, ESHUTDOWN);
	}
}

/* A read of a torrent that is closed is answered later, with ESTALE. */
static void a_read_after_the_stop_is_stale(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[0];
	struct reading r;
	uint8_t byte;

	small_world(w);
	leech(w, 0, NULL, 0);
	engine_stop(n->engine, 2000, node_on_stopped, n);
	assert_int_equal(read_byte(n, 0, &byte), ESTALE);
	reading_start(&r, n, 0, 10);
	world_run(w, reading_is_done, &r);
	assert_int_equal(r.err, ESTALE);
	world_run(w, node_is_stopped, n);
	engine_free(n->engine);
	store_free(n->store);
	*n = (struct node){.w = w};
}

static bool two_are_done(void *arg)
{
	struct reading *r = arg;

	return r[0].is_done && r[1].is_done;
}

/* One seed serves two leechers at the same time. */
static void a_seed_serves_two_leechers(void **state)
{
	struct world *w = *state;
	struct reading r[2];

	small_world(w);
	node_seed(w, 0, HOLDS_ALL);
	leech(w, 1, SEED0, 1);
	leech(w, 2, SEED0, 1);
	reading_start(&r[0], &w->nodes[1], 0, (uint32_t)w->total);
	reading_start(&r[1], &w->nodes[2], 0, (uint32_t)w->total);
	world_run(w, two_are_done, r);
	assert_int_equal(r[0].err, 0);
	assert_int_equal(r[1].err, 0);
	assert_true(node_view(&w->nodes[0]).up_bytes >= 2 * w->total);
}

/* What a leecher has fetched it serves to the next. */
static void what_was_fetched_is_served(void **state)
{
	static const unsigned middle[] = {1};
	struct world *w = *state;

	small_world(w);
	node_seed(w, 0, HOLDS_ALL);
	leech(w, 1, SEED0, 1);
	node_read(&w->nodes[1], PIECE, 10);
	node_stop(&w->nodes[0]);
	leech(w, 2, middle, 1);
	node_read(&w->nodes[2], PIECE, 100);
	assert_int_equal(node_view(&w->nodes[1]).up_bytes, PIECE);
}

static bool holds_three(void *arg)
{
	return node_view(arg).held_pieces == 3;
}

/* A cursor's window is fetched without a read, and no more than that. */
static void a_window_is_fetched_ahead(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[1];
	struct cursor *c;

	small_world(w);
	node_seed(w, 0, HOLDS_ALL);
	leech(w, 1, SEED0, 1);
	assert_int_equal(cursor_open(n->t, &c), 0);
	cursor_set(c, 2 * PIECE, 3 * PIECE);
	world_run(w, holds_three, n);
	cursor_set(c, 0, 0);
	node_read(n, 2 * PIECE, 3 * PIECE);
	assert_int_equal(node_view(n).held_pieces, 3);
	assert_int_equal(node_view(n).down_bytes, 3 * PIECE);
	cursor_close(c);
}

static bool has_metadata(void *arg)
{
	struct node *n = arg;

	return n[1].is_ready && n[2].is_ready;
}

static void add_magnet(struct node *n, const struct torrent_id *id)
{
	struct engine_source src = {0};
	struct mi_error err;
	char *link = magnet_format(id, NULL, NULL, 0, NULL, 0);

	assert_int_equal(magnet_parse(link, &src.magnet, &err), 0);
	assert_int_equal(engine_add(n->engine, src, &n->t), 0);
	mem_free(link);
}

/* Metadata goes from peer to peer: a magnet whose only peer had none when they
 * met gets it as soon as that peer does. */
static void metadata_is_passed_on(void **state)
{
	static const unsigned middle[] = {1};
	struct world *w = *state;
	struct metainfo *mi;

	small_world(w);
	mi = world_metainfo(w);
	node_start(w, 1, HOLDS_NONE, NULL, 0, false);
	add_magnet(&w->nodes[1], &mi->id);
	node_start(w, 2, HOLDS_NONE, middle, 1, false);
	add_magnet(&w->nodes[2], &mi->id);
	world_run(w, has_peer, &w->nodes[2]);
	node_start(w, 0, HOLDS_ALL, middle, 1, false);
	node_add(&w->nodes[0]);
	world_run(w, has_metadata, w->nodes);
	node_read(&w->nodes[1], 0, 10);
	node_read(&w->nodes[2], 0, 10);
	metainfo_free(mi);
}

static bool holds_two(void *arg)
{
	return node_view(arg).held_pieces == 2;
}

/* A piece that falls out of every window is not fetched any more; what is
 * read meanwhile still is. */
static void a_window_can_be_taken_back(void **state)
{
	static const unsigned node1[] = {1};
	struct world *w = *state;
	struct node *n = &w->nodes[1];
	struct cursor *a, *b;

	small_world(w);
	leech(w, 1, NULL, 0);
	assert_int_equal(cursor_open(n->t, &a), 0);
	assert_int_equal(cursor_open(n->t, &b), 0);
	cursor_set(a, 0, w->total);
	cursor_set(b, 5 * PIECE, 1);
	cursor_set(a, 0, 0);
	node_start(w, 0, HOLDS_ALL, node1, 1, false);
	node_add(&w->nodes[0]);
	node_read(n, 0, 10);
	world_run(w, holds_two, n);
	assert_int_equal(node_view(n).down_bytes, 2 * PIECE);
	assert_true(torrent_piece_held(n->t, 0));
	assert_true(torrent_piece_held(n->t, 5));
	cursor_close(a);
	cursor_close(b);
}

/* A range outside of the torrent is refused at once; the same torrent is not
 * added twice. */
static void senseless_calls_are_refused(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[0];
	struct engine_source src = {0};
	struct torrent_read *rd;
	struct torrent *t;
	uint8_t byte;

	small_world(w);
	leech(w, 0, NULL, 0);
	assert_int_equal(read_byte(n, w->total, &byte), EINVAL);
	assert_int_equal(torrent_read_start(n->t, w->total - 1, 2,
					    reading_on_done, NULL, &rd),
			 EINVAL);
	src.mi = world_metainfo(w);
	assert_int_equal(engine_add(n->engine, src, &t), EEXIST);
	assert_ptr_equal(t, n->t);
	assert_ptr_equal(engine_find(n->engine, &torrent_id(n->t)->v1), n->t);
}

static bool have_settled(void *arg)
{
	struct node *n = arg;
	struct torrent_view a = node_view(&n[0]), b = node_view(&n[1]);

	return a.peers == 1 && b.peers == 1 && a.dialing == 0 && b.dialing == 0;
}

/* Two engines that dial each other in the same moment keep one connection, the
 * same on both sides: the one that the greater peer id dialled. */
static void who_dial_each_other_keep_one_connection(void **state)
{
	struct world *w = *state;
	struct node *n = w->nodes;
	const struct peer *a, *b;
	bool is_greater;

	small_world(w);
	node_seed(w, 0, HOLDS_EVEN);
	node_seed(w, 1, HOLDS_ODD);
	node_meet(&n[0], &n[1]);
	node_meet(&n[1], &n[0]);
	assert_int_equal(node_view(&n[0]).dialing, 1);
	assert_int_equal(node_view(&n[1]).dialing, 1);
	world_run(w, have_settled, n);
	a = TAILQ_FIRST(&n[0].t->swarm->peers);
	b = TAILQ_FIRST(&n[1].t->swarm->peers);
	is_greater = memcmp(n[0].engine->peer_id, n[1].engine->peer_id,
			    PEER_ID_BYTES) > 0;
	assert_int_equal(a->is_incoming, !is_greater);
	assert_int_equal(b->is_incoming, is_greater);
	node_read(&n[0], 0, (uint32_t)w->total);
	node_read(&n[1], 0, (uint32_t)w->total);
}

static bool holds_durable(void *arg)
{
	return ((struct node *)arg)->fault->n_held > 0;
}

static bool is_idle(void *arg)
{
	return ((struct node *)arg)->fault->n_held == 0;
}

/* A store that never answers does not keep the engine from stopping; what it
 * still owes frees the rest when it comes. */
static void a_hanging_store_does_not_stop_the_stop(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[1];
	struct fault *fault;

	small_world(w);
	node_seed(w, 0, HOLDS_ALL);
	w->has_faults = true;
	leech(w, 1, SEED0, 1);
	fault = n->fault;
	fault->holds_durable = true;
	node_read(n, 0, PIECE);
	world_run(w, holds_durable, n);
	engine_stop(n->engine, 20, node_on_stopped, n);
	world_run(w, node_is_stopped, n);
	engine_free(n->engine);
	fault_release(fault);
	world_run(w, is_idle, n);
	store_free(n->store);
	*n = (struct node){.w = w};
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		T(reads_are_byte_exact),
		T(only_what_is_read_is_fetched),
		T(a_magnet_becomes_a_torrent),
		T(partial_seeds_complete_each_other),
		T(a_liar_is_banned_and_the_honest_stays),
		T(a_choked_read_says_why_and_can_be_cancelled),
		T(a_read_cancelled_midway_leaves_nothing_behind),
		T(stopping_ends_waiting_reads),
		T(a_read_after_the_stop_is_stale),
		T(a_seed_serves_two_leechers),
		T(what_was_fetched_is_served),
		T(a_window_is_fetched_ahead),
		T(metadata_is_passed_on),
		T(a_window_can_be_taken_back),
		T(senseless_calls_are_refused),
		T(who_dial_each_other_keep_one_connection),
		T(a_hanging_store_does_not_stop_the_stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
