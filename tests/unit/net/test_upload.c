/* Unit tests of net/upload and net/torrent_read: stores that answer late, or
 * fail. */
#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/be.h"
#include "net/handshake.h"
#include "net/intake.h"
#include "net/net_limits.h"
#include "net/swarm_internal.h"
#include "tests/unit/net/net_world.h"

enum { PIECE = 64 << 10, PIECES = 6 };

/* A piece that a taker asks for at once: more than a seed has under way for
 * one peer, and the rest of it whole runs. */
enum {
	BIG_PIECE = 1 << 20,
	BIG_BLOCKS = BIG_PIECE / WIRE_BLOCK_BYTES,
	FIRST_BLOCKS = PEER_UPLOAD_QUEUE_BYTES / WIRE_BLOCK_BYTES,
	RUNS = (BIG_BLOCKS - FIRST_BLOCKS) / UPLOAD_RUN_BLOCKS,
};

/* A leecher made of a bare socket, that asks in an order of its own. */
struct taker {
	struct world *w;
	int fd;
	struct loop_io *io;
	struct buf in;
	bool shook, is_unchoked;
	unsigned n_blocks, n_rejects;
	unsigned got[BIG_BLOCKS]; /* blocks of piece 0, how often */
	struct wire_block rejected;
};

/* ---- Helpers ---- */

static const unsigned SEEDS[] = {0, 1};

/* Nodes 0 … n - 1 hold everything in stores that can fail; the last node does
 * not. */
static void faulty_seeds(struct world *w, unsigned n)
{
	unsigned i;

	world_torrent(w, PIECES, PIECE, (uint64_t)PIECES * PIECE - 100);
	w->has_faults = true;
	for (i = 0; i < n; i++)
		node_seed(w, i, HOLDS_ALL);
	w->has_faults = false;
}

static void fail_read(struct node *n, unsigned in, int err)
{
	n->fault->at = FAULT_READ;
	n->fault->in = in;
	n->fault->err = err;
}

static bool has_two_unchoked(void *arg)
{
	return node_view(arg).unchoked_us == 2;
}

static void taker_send(struct taker *k, struct buf *out)
{
	assert_int_equal(send(k->fd, out->data, out->len, MSG_NOSIGNAL),
			 out->len);
	buf_fini(out);
}

static struct wire_block nth_block(unsigned i)
{
	return (struct wire_block){0, i * WIRE_BLOCK_BYTES, WIRE_BLOCK_BYTES};
}

static void taker_ask(struct taker *k, unsigned from, unsigned until)
{
	struct buf out = {0};

	for (; from < until; from++) {
		struct wire_block b = nth_block(from);

		wire_put_block(&out, WIRE_REQUEST, &b);
	}
	taker_send(k, &out);
}

static void taker_on_msg(struct taker *k, uint8_t *msg, uint32_t len)
{
	struct wire_msg m;

	if (len > 0 && msg[0] == WIRE_PIECE) {
		uint32_t at = be32_get(msg + 5);

		assert_int_equal(be32_get(msg + 1), 0);
		assert_int_equal(len, 9 + WIRE_BLOCK_BYTES);
		assert_memory_equal(msg + 9, k->w->content + at,
				    WIRE_BLOCK_BYTES);
		k->got[at / WIRE_BLOCK_BYTES]++;
		k->n_blocks++;
		return;
	}
	if (len == 0 || wire_decode(msg, len, &m) != WIRE_OK)
		return;
	if (m.id == WIRE_UNCHOKE)
		k->is_unchoked = true;
	if (m.id == WIRE_REJECT) {
		k->n_rejects++;
		k->rejected = m.block;
	}
}

static void taker_on_io(void *arg, int fd, unsigned events)
{
	struct taker *k = arg;
	uint8_t bytes[16 << 10];
	ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	(void)events;
	assert_true(n > 0);
	buf_add(&k->in, bytes, (size_t)n);
	if (!k->shook && k->in.len >= HANDSHAKE_BYTES) {
		k->shook = true;
		buf_cut(&k->in, HANDSHAKE_BYTES);
	}
	while (k->shook && k->in.len >= 4) {
		uint32_t len = be32_get(k->in.data);

		if (k->in.len < 4 + (size_t)len)
			break;
		taker_on_msg(k, k->in.data + 4, len);
		buf_cut(&k->in, 4 + (size_t)len);
	}
}

static bool taker_is_unchoked(void *arg)
{
	return ((struct taker *)arg)->is_unchoked;
}

static bool taker_has_all(void *arg)
{
	const struct taker *k = arg;

	return k->n_blocks + k->n_rejects >= BIG_BLOCKS;
}

static bool taker_is_refused(void *arg)
{
	return ((struct taker *)arg)->n_rejects > 0;
}

static bool has_first_reads(void *arg)
{
	return ((struct node *)arg)->fault->n_held_reads == FIRST_BLOCKS;
}

static bool has_run_reads(void *arg)
{
	return ((struct node *)arg)->fault->n_held_reads == RUNS;
}

/* A seed whose reads are late, as node 0, and a taker that it has unchoked. */
static void taker_start(struct taker *k, struct world *w)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	struct handshake hs = {.has_fast = true};
	uint8_t bytes[HANDSHAKE_BYTES];
	struct buf out = {0};

	if (w->file.len == 0)
		world_torrent(w, 1, BIG_PIECE, BIG_PIECE);
	w->has_faults = true;
	node_seed(w, 0, HOLDS_ALL);
	fail_read(&w->nodes[0], UINT32_MAX, EIO);
	*k = (struct taker){.w = w};
	k->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sin.sin_port = htons(engine_port(w->nodes[0].engine));
	assert_int_equal(connect(k->fd, (void *)&sin, sizeof(sin)), 0);
	assert_int_equal(loop_io_new(w->loop, k->fd, taker_on_io, k, &k->io),
			 0);
	assert_int_equal(loop_io_want(k->io, LOOP_READ), 0);
	memcpy(hs.info_hash, w->nodes[0].t->id.v1.bytes, sizeof(hs.info_hash));
	memset(hs.peer_id, 'K', sizeof(hs.peer_id));
	handshake_encode(&hs, bytes);
	buf_add(&out, bytes, sizeof(bytes));
	wire_put_plain(&out, WIRE_HAVE_NONE);
	wire_put_plain(&out, WIRE_INTERESTED);
	taker_send(k, &out);
	world_run(w, taker_is_unchoked, k);
}

static void taker_stop(struct taker *k)
{
	loop_io_free(k->io);
	(void)close(k->fd);
	buf_fini(&k->in);
}

static uint64_t reads_of(const struct node *n)
{
	struct store_stats stats;

	store_stats(n->store, &stats);
	return stats.reads;
}

/* ---- Tests ---- */

/* Blocks that wait, one behind the other, are read at once, and each is sent
 * once and right. */
static void a_run_is_read_at_once(void **state)
{
	struct world *w = *state;
	struct taker k;
	unsigned i;

	taker_start(&k, w);
	taker_ask(&k, 0, BIG_BLOCKS);
	world_run(w, taker_has_all, &k);
	for (i = 0; i < BIG_BLOCKS; i++)
		assert_int_equal(k.got[i], 1);
	assert_int_equal(reads_of(&w->nodes[0]), FIRST_BLOCKS + RUNS);
	taker_stop(&k);
}

/* A gap or a step back ends a run: what is sent is what was asked for. */
static void a_gap_ends_a_run(void **state)
{
	struct world *w = *state;
	struct taker k;
	unsigned i;

	taker_start(&k, w);
	taker_ask(&k, 0, FIRST_BLOCKS);
	for (i = BIG_BLOCKS; i > FIRST_BLOCKS + 2; i--)
		taker_ask(&k, i - 1, i);
	taker_ask(&k, FIRST_BLOCKS, FIRST_BLOCKS + 2);
	world_run(w, taker_has_all, &k);
	for (i = 0; i < BIG_BLOCKS; i++)
		assert_int_equal(k.got[i], 1);
	taker_stop(&k);
}

/* A block that is cancelled while its run is read is refused, and the others
 * of the run are sent. */
static void a_run_loses_its_cancelled_block_only(void **state)
{
	struct world *w = *state;
	struct fault *f;
	struct wire_block b = nth_block(FIRST_BLOCKS + 1);
	struct wire_block senseless = {7, 0, WIRE_BLOCK_BYTES};
	struct buf out = {0};
	struct taker k;
	unsigned i;

	taker_start(&k, w);
	f = w->nodes[0].fault;
	f->holds_reads = true;
	taker_ask(&k, 0, BIG_BLOCKS);
	world_run(w, has_first_reads, &w->nodes[0]);
	fault_release_reads(f);
	world_run(w, has_run_reads, &w->nodes[0]);
	wire_put_block(&out, WIRE_CANCEL, &b);
	wire_put_block(&out, WIRE_REQUEST, &senseless); /* answered at once */
	taker_send(&k, &out);
	world_run(w, taker_is_refused, &k);
	assert_true(wire_block_eq(&k.rejected, &senseless));
	k.n_rejects = 0;
	f->holds_reads = false;
	fault_release_reads(f);
	world_run(w, taker_has_all, &k);
	assert_int_equal(k.n_rejects, 1);
	assert_true(wire_block_eq(&k.rejected, &b));
	for (i = 0; i < BIG_BLOCKS; i++)
		assert_int_equal(k.got[i], i != FIRST_BLOCKS + 1);
	taker_stop(&k);
}

/* A run that cannot be read is refused block by block. */
static void an_unreadable_run_is_refused(void **state)
{
	struct world *w = *state;
	struct taker k;

	taker_start(&k, w);
	fail_read(&w->nodes[0], FIRST_BLOCKS + RUNS - 1, ENOMEM);
	taker_ask(&k, 0, BIG_BLOCKS);
	world_run(w, taker_has_all, &k);
	assert_int_equal(k.n_rejects, UPLOAD_RUN_BLOCKS);
	taker_stop(&k);
}

/* Padding is served as the zeros that it is, and no store is asked for it. */
static void padding_is_zeros(void **state)
{
	enum { FILE_BYTES = 3 * WIRE_BLOCK_BYTES + 5 };
	struct world *w = *state;
	struct taker k;
	unsigned i;

	world_padded_torrent(w, 2, FILE_BYTES, BIG_PIECE);
	taker_start(&k, w);
	taker_ask(&k, 4, BIG_BLOCKS);
	taker_ask(&k, 0, 4);
	world_run(w, taker_has_all, &k);
	for (i = 0; i < BIG_BLOCKS; i++)
		assert_int_equal(k.got[i], 1);
	assert_in_range(reads_of(&w->nodes[0]), 1, 4);
	taker_stop(&k);
}

/* What is in no memory is read by a worker and served all the same. */
static void workers_read_what_is_served(void **state)
{
	struct world *w = *state;

	faulty_seeds(w, 1);
	fail_read(&w->nodes[0], UINT32_MAX, EIO); /* never, but always late */
	node_start(w, 2, HOLDS_NONE, SEEDS, 1, false);
	node_add(&w->nodes[2]);
	node_read(&w->nodes[2], 0, (uint32_t)w->total);
	assert_int_equal(node_view(&w->nodes[2]).waste_bytes, 0);
	assert_int_equal(node_view(&w->nodes[0]).up_bytes, w->total);
}

/* The peer goes while its blocks are read for it: they go nowhere. */
static void a_peer_goes_while_its_blocks_are_read(void **state)
{
	struct world *w = *state;
	struct reading r;

	faulty_seeds(w, 1);
	fail_read(&w->nodes[0], UINT32_MAX, EIO);
	node_start(w, 2, HOLDS_NONE, SEEDS, 1, false);
	node_add(&w->nodes[2]);
	reading_start(&r, &w->nodes[2], 0, (uint32_t)w->total);
	while (LIST_EMPTY(&w->nodes[2].t->swarm->intake->pieces))
		world_run(w, node_is_ready, &w->nodes[2]);
	node_stop(&w->nodes[2]);
	assert_true(r.is_done);
	node_start(w, 2, HOLDS_NONE, SEEDS, 1, false);
	node_add(&w->nodes[2]);
	node_read(&w->nodes[2], 0, (uint32_t)w->total);
}

/* A seed that cannot read a block refuses it, and has the piece no more; the
 * reader gets it from another. */
static void an_unreadable_block_is_refused(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[2];

	faulty_seeds(w, 2);
	fail_read(&w->nodes[0], 1, EIO);
	node_start(w, 2, HOLDS_NONE, SEEDS, 2, false);
	node_add(n);
	world_run(w, has_two_unchoked, n);
	node_read(n, 0, (uint32_t)w->total);
	assert_int_equal(node_view(&w->nodes[0]).held_pieces, PIECES - 1);
	assert_int_equal(node_view(n).held_pieces, PIECES);
}

/* A held piece that cannot be read is fetched again from peers that we had left
 * because neither needed the other; the reader does not notice. */
static void a_piece_lost_by_the_store_is_fetched_again(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[1];

	faulty_seeds(w, 2);
	node_meet(n, &w->nodes[0]);
	fail_read(n, 0, EIO);
	node_read(n, PIECE + 5, PIECE);
	assert_int_equal(node_view(n).held_pieces, PIECES);
	assert_int_equal(node_view(n).hashed_pieces, 1);
	assert_int_equal(node_view(n).down_bytes, PIECE);
}

/* A store that has no memory now is no reason to fetch anything: the read says
 * so, and the next one works. */
static void a_passing_failure_loses_nothing(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[0];
	struct reading r;

	faulty_seeds(w, 1);
	fail_read(n, 0, ENOMEM);
	reading_start(&r, n, 0, 10);
	world_run(w, reading_is_done, &r);
	assert_int_equal(r.err, ENOMEM);
	assert_int_equal(node_view(n).held_pieces, PIECES);
	node_read(n, 0, 10);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		T(a_run_is_read_at_once),
		T(a_gap_ends_a_run),
		T(a_run_loses_its_cancelled_block_only),
		T(an_unreadable_run_is_refused),
		T(padding_is_zeros),
		T(workers_read_what_is_served),
		T(a_peer_goes_while_its_blocks_are_read),
		T(an_unreadable_block_is_refused),
		T(a_piece_lost_by_the_store_is_fetched_again),
		T(a_passing_failure_loses_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
