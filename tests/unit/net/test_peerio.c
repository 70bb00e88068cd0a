/* Unit tests of net/peerio: two ends of a loopback connection on one loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/blk.h"
#include "core/loop.h"
#include "core/mem.h"
#include "net/peerio_internal.h"

enum { PIECE_BYTES = 1 << 20, N_PIECES = 4 };

/* ---- Fixture: a dialling end and an accepting end ---- */

struct end {
	struct rig *rig;
	struct peerio *io;
	struct handshake theirs;
	bool shook;
	unsigned n_msgs[32];
	unsigned n_blocks, n_dropped;
	uint64_t payload, sent;
	enum peer_end why;
	unsigned n_connected, n_ended;
	struct wire_block next; /* what `expect` begins with */
	bool predicts;
	uint8_t *pieces[N_PIECES];
	/* what a callback does: */
	enum wire_id free_at_msg; /* WIRE_CHOKE: nothing */
	bool frees_at_handshake, frees_at_block, frees_at_end, frees_at_sent;
	enum peer_end refuses;
};

struct rig {
	struct loop *loop;
	struct loop_timer *deadline;
	struct blk_pool *pool;
	int listen_fd;
	struct end a, b; /* a dials */
	bool (*is_done)(struct rig *r);
};

/* ---- The owner's side ---- */

static void look(struct rig *r)
{
	if (r->is_done && r->is_done(r))
		loop_stop(r->loop);
}

static void free_io(struct end *e)
{
	peerio_free(e->io);
	e->io = NULL;
}

static enum peer_end on_handshake(void *arg, struct peerio *io,
				  const struct handshake *hs)
{
	struct end *e = arg;

	assert_ptr_equal(io, e->io);
	assert_false(e->shook);
	e->shook = true;
	e->theirs = *hs;
	if (peerio_is_incoming(io) && e->refuses == PEER_END_NONE) {
		struct handshake ours = {.has_fast = true};

		peerio_send_handshake(io, &ours);
	}
	if (e->frees_at_handshake)
		free_io(e);
	look(e->rig);
	return e->refuses;
}

static void on_msg(void *arg, const struct wire_msg *m)
{
	struct end *e = arg;

	e->n_msgs[m->id]++;
	if (e->free_at_msg == m->id && m->id != WIRE_CHOKE)
		free_io(e);
	look(e->rig);
}

static uint8_t *place(void *arg, const struct wire_block *b)
{
	struct end *e = arg;

	if (b->piece_ix >= N_PIECES || !e->pieces[b->piece_ix])
		return NULL;
	return e->pieces[b->piece_ix] + b->begin_bytes;
}

static void advance(struct wire_block *b)
{
	b->begin_bytes += WIRE_BLOCK_BYTES;
	if (b->begin_bytes < PIECE_BYTES)
		return;
	b->begin_bytes = 0;
	b->piece_ix++;
}

static unsigned expect(void *arg, struct peerio_slot *slots, unsigned max)
{
	struct end *e = arg;
	struct wire_block b = e->next;
	unsigned n;

	for (n = 0; e->predicts && n < max && b.piece_ix < N_PIECES; n++) {
		slots[n].block = b;
		slots[n].dst = place(e, &b);
		advance(&b);
	}
	return n;
}

static void on_block(void *arg, const struct wire_block *b, uint8_t *dst)
{
	struct end *e = arg;

	assert_true(!dst || dst == place(e, b));
	e->n_blocks++;
	e->n_dropped += dst == NULL;
	advance(&e->next);
	if (e->frees_at_block)
		free_io(e);
	look(e->rig);
}

static void on_payload(void *arg, uint32_t bytes)
{
	struct end *e = arg;

	e->payload += bytes;
	look(e->rig);
}

static void on_sent(void *arg, uint32_t bytes)
{
	struct end *e = arg;

	e->sent += bytes;
	if (e->frees_at_sent)
		free_io(e);
	look(e->rig);
}

static void on_end(void *arg, enum peer_end why)
{
	struct end *e = arg;

	assert_int_equal(e->n_ended, 0);
	e->n_ended++;
	e->why = why;
	if (e->frees_at_end)
		free_io(e);
	look(e->rig);
}

static void on_connect(void *arg)
{
	struct end *e = arg;

	e->n_connected++;
}

static const struct peerio_ops ops = {
	.on_connect = on_connect,
	.on_handshake = on_handshake,
	.on_msg = on_msg,
	.expect = expect,
	.place = place,
	.on_block = on_block,
	.on_payload = on_payload,
	.on_sent = on_sent,
	.on_end = on_end,
};

/* ---- Helpers ---- */

static void on_deadline(void *arg)
{
	fail_msg("nothing happened in ten seconds");
}

static void listen_at(struct rig *r, struct addr *a)
{
	socklen_t len = sizeof(*a);

	assert_int_equal(addr_parse(a, "127.0.0.1:1"), 0);
	addr_set_port(a, 0);
	r->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(r->listen_fd, &a->sa, addr_len(a)), 0);
	assert_int_equal(listen(r->listen_fd, 4), 0);
	assert_int_equal(getsockname(r->listen_fd, &a->sa, &len), 0);
}

static struct rig *rig_empty(void)
{
	struct rig *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	assert_int_equal(loop_new(&r->loop), 0);
	assert_int_equal(loop_timer_new(r->loop, on_deadline, r, &r->deadline),
			 0);
	assert_int_equal(blk_pool_new(0, &r->pool), 0);
	r->a.rig = r->b.rig = r;
	r->listen_fd = -1;
	return r;
}

/* Connected; no handshake was read yet. */
static struct rig *rig_new(void)
{
	struct handshake ours = {.has_ext = true};
	struct rig *r = rig_empty();
	struct addr at;
	int fd;

	listen_at(r, &at);
	memset(ours.peer_id, 'a', sizeof(ours.peer_id));
	assert_int_equal(
		peerio_dial(r->loop, &at, &ours, &ops, &r->a, &r->a.io), 0);
	fd = accept4(r->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(peerio_adopt(r->loop, fd, &at, &ops, &r->b, &r->b.io),
			 0);
	return r;
}

static void run_until(struct rig *r, bool (*is_done)(struct rig *r))
{
	r->is_done = is_done;
	if (is_done(r))
		return;
	loop_timer_start(r->deadline, 10000000);
	assert_int_equal(loop_run(r->loop), 0);
	loop_timer_stop(r->deadline);
	assert_true(is_done(r));
}

static bool both_shook(struct rig *r)
{
	return r->a.shook && r->b.shook;
}

static bool a_ended(struct rig *r)
{
	return r->a.n_ended > 0;
}

static bool b_ended(struct rig *r)
{
	return r->b.n_ended > 0;
}

static struct rig *rig_shaken(void)
{
	struct rig *r = rig_new();

	run_until(r, both_shook);
	return r;
}

static void rig_free(struct rig *r)
{
	peerio_free(r->a.io);
	peerio_free(r->b.io);
	for (int i = 0; i < N_PIECES; i++) {
		free(r->a.pieces[i]);
		free(r->b.pieces[i]);
	}
	blk_pool_free(r->pool); /* asserts that nothing is held */
	loop_timer_free(r->deadline);
	loop_free(r->loop);
	if (r->listen_fd >= 0)
		(void)close(r->listen_fd);
	free(r);
}

static struct blk *filled(struct rig *r, int seed)
{
	struct blk *b = blk_new(r->pool, PIECE_BYTES);

	assert_non_null(b);
	for (size_t i = 0; i < b->len; i++)
		b->data[i] = (uint8_t)((size_t)seed + i * 3 + (i >> 9));
	return b;
}

static void send_piece(struct peerio *io, uint32_t ix, struct blk *data)
{
	struct wire_block b = {ix, 0, WIRE_BLOCK_BYTES};

	for (; b.piece_ix == ix; advance(&b))
		assert_int_equal(peerio_send_block(io, &b, data, b.begin_bytes),
				 0);
}

static void make_pieces(struct end *e)
{
	for (int i = 0; i < N_PIECES; i++) {
		e->pieces[i] = malloc(PIECE_BYTES);
		assert_non_null(e->pieces[i]);
	}
	e->next.len_bytes = WIRE_BLOCK_BYTES;
}

static const struct peerio_times long_times = {
	.handshake_ms = PEERIO_HANDSHAKE_MS,
	.silence_ms = PEERIO_SILENCE_MS,
	.keepalive_ms = PEERIO_KEEPALIVE_MS,
	.stuck_ms = PEERIO_STUCK_MS,
};

/* ---- Tests: life ---- */

/* Both sides learn of each other's handshake, and what is queued in that
 * callback follows it. */
static void handshakes_are_exchanged(void **state)
{
	struct rig *r = rig_shaken();

	assert_true(r->b.theirs.has_ext && !r->b.theirs.has_fast);
	assert_int_equal(r->b.theirs.peer_id[0], 'a');
	assert_true(r->a.theirs.has_fast && !r->a.theirs.has_ext);
	assert_false(peerio_is_incoming(r->a.io));
	assert_true(peerio_is_incoming(r->b.io));
	assert_true(addr_is_loopback(peerio_addr(r->a.io)));
	rig_free(r);
}

/* A port where nobody listens ends the connection later, not in the call. */
static void refused_connection_ends_later(void **state)
{
	struct handshake ours = {0};
	struct rig *r = rig_empty();
	struct addr at;

	listen_at(r, &at);
	(void)close(r->listen_fd);
	r->listen_fd = -1;
	assert_int_equal(
		peerio_dial(r->loop, &at, &ours, &ops, &r->a, &r->a.io), 0);
	assert_int_equal(r->a.n_ended, 0);
	run_until(r, a_ended);
	assert_int_equal(r->a.why, PEER_END_CONNECT);
	rig_free(r);
}

/* So does an address that connect refuses at once. */
static void unreachable_address_ends_later(void **state)
{
	struct handshake ours = {0};
	struct rig *r = rig_empty();
	struct addr at;

	assert_int_equal(addr_parse(&at, "255.255.255.255:9"), 0);
	assert_int_equal(
		peerio_dial(r->loop, &at, &ours, &ops, &r->a, &r->a.io), 0);
	assert_int_equal(r->a.n_ended, 0);
	run_until(r, a_ended);
	assert_int_equal(r->a.why, PEER_END_CONNECT);
	rig_free(r);
}

/* The other side's end is told once; on_end may free. */
static void eof_is_told_once(void **state)
{
	struct rig *r = rig_shaken();

	r->a.frees_at_end = true;
	free_io(&r->b);
	run_until(r, a_ended);
	assert_int_equal(r->a.why, PEER_END_EOF);
	assert_int_equal(r->b.n_ended, 0);
	assert_null(r->a.io);
	rig_free(r);
}

/* The owner's reason for refusing a handshake is the connection's. */
static void refused_handshake_has_its_reason(void **state)
{
	struct rig *r = rig_new();

	r->b.refuses = PEER_END_SELF;
	run_until(r, b_ended);
	assert_int_equal(r->b.why, PEER_END_SELF);
	rig_free(r);
}

/* A peer who breaks a rule is ended with the reason that the parser found. */
static void broken_rule_ends_it(void **state)
{
	struct rig *r = rig_shaken();

	buf_add(peerio_out(r->a.io), "\x7F\xFF\xFF\xFF", 4);
	run_until(r, b_ended);
	assert_int_equal(r->b.why, PEER_END_TOO_LONG);
	rig_free(r);
}

/* No callback follows a free: not even of the same read. */
static void free_in_every_callback(void **state)
{
	for (int where = 0; where < 3; where++) {
		struct rig *r = where == 0 ? rig_new() : rig_shaken();
		struct blk *data = filled(r, 1);

		r->b.frees_at_handshake = where == 0;
		r->b.free_at_msg = where == 1 ? WIRE_HAVE : WIRE_CHOKE;
		r->b.frees_at_block = where == 2;
		make_pieces(&r->b);
		r->b.predicts = true;
		wire_put_ix(peerio_out(r->a.io), WIRE_HAVE, 1);
		wire_put_ix(peerio_out(r->a.io), WIRE_HAVE, 2);
		send_piece(r->a.io, 0, data);
		blk_drop(data);
		run_until(r, a_ended);
		assert_null(r->b.io);
		if (where == 1)
			assert_int_equal(r->b.n_msgs[WIRE_HAVE], 1);
		if (where == 2)
			assert_int_equal(r->b.n_blocks, 1);
		rig_free(r);
	}
}

/* Freeing in on_sent, with more queued, lets go of every block. */
static bool a_is_freed(struct rig *r)
{
	return r->a.io == NULL;
}

static void free_while_sending(void **state)
{
	struct rig *r = rig_shaken();
	struct blk *data = filled(r, 1);

	r->a.frees_at_sent = true;
	for (uint32_t i = 0; i < N_PIECES; i++)
		send_piece(r->a.io, i, data);
	blk_drop(data);
	run_until(r, a_is_freed);
	assert_int_equal(blk_pool_live_bytes(r->pool), 0);
	rig_free(r);
}

/* A connection may be freed in the turn it was made, and after its end was
 * found but not told. */
static void free_before_anything_happens(void **state)
{
	struct handshake ours = {0};
	struct rig *r = rig_new();
	struct addr at;

	assert_int_equal(addr_parse(&at, "255.255.255.255:9"), 0);
	free_io(&r->a);
	assert_int_equal(
		peerio_dial(r->loop, &at, &ours, &ops, &r->a, &r->a.io), 0);
	rig_free(r);
}

static bool a_got_have(struct rig *r)
{
	return r->a.n_msgs[WIRE_HAVE] > 0;
}

/* After a bind the new owner hears, the old one does not. */
static void bound_owner_hears(void **state)
{
	struct rig *r = rig_shaken();

	peerio_bind(r->b.io, &ops, &r->a);
	wire_put_ix(peerio_out(r->a.io), WIRE_HAVE, 1);
	run_until(r, a_got_have);
	assert_int_equal(r->b.n_msgs[WIRE_HAVE], 0);
	rig_free(r);
}

/* ---- Tests: bytes ---- */

static bool b_has_all(struct rig *r)
{
	return r->b.n_blocks == N_PIECES * (PIECE_BYTES / WIRE_BLOCK_BYTES) &&
	       r->a.sent == (uint64_t)N_PIECES * PIECE_BYTES &&
	       r->b.n_msgs[WIRE_HAVE] == N_PIECES;
}

/* Pieces arrive byte for byte, predicted or not, with messages in between. */
static void pieces_arrive(void **state)
{
	for (int predicts = 0; predicts < 2; predicts++) {
		struct rig *r = rig_shaken();

		make_pieces(&r->b);
		r->b.predicts = predicts != 0;
		for (uint32_t i = 0; i < N_PIECES; i++) {
			struct blk *data = filled(r, (int)i);

			wire_put_ix(peerio_out(r->a.io), WIRE_HAVE, i);
			send_piece(r->a.io, i, data);
			blk_drop(data);
		}
		run_until(r, b_has_all);
		assert_int_equal(r->b.payload, N_PIECES * PIECE_BYTES);
		assert_int_equal(r->b.n_dropped, 0);
		assert_int_equal(peerio_queued_bytes(r->a.io), 0);
		for (uint32_t i = 0; i < N_PIECES; i++) {
			struct blk *data = filled(r, (int)i);

			assert_memory_equal(r->b.pieces[i], data->data,
					    PIECE_BYTES);
			blk_drop(data);
		}
		rig_free(r);
	}
}

static bool b_got_unchoke(struct rig *r)
{
	return r->b.n_msgs[WIRE_UNCHOKE] > 0;
}

/* A block that was cancelled before it left does not leave. */
static void cancelled_block_stays(void **state)
{
	struct wire_block b = {0, 0, WIRE_BLOCK_BYTES};
	struct rig *r = rig_shaken();
	struct blk *data = filled(r, 0);

	assert_int_equal(peerio_send_block(r->a.io, &b, data, 0), 0);
	blk_drop(data);
	assert_true(peerio_drop_block(r->a.io, &b));
	assert_int_equal(blk_pool_live_bytes(r->pool), 0);
	wire_put_plain(peerio_out(r->a.io), WIRE_UNCHOKE);
	run_until(r, b_got_unchoke);
	assert_int_equal(r->b.n_blocks, 0);
	rig_free(r);
}

static bool b_has_half_a_block(struct rig *r)
{
	return r->b.payload == WIRE_BLOCK_BYTES / 2;
}

/* A block that is half received says so, and is dropped once forgotten. */
static void half_received_block_can_be_forgotten(void **state)
{
	static const uint8_t half[WIRE_BLOCK_BYTES / 2];
	struct wire_block b = {1, 0, WIRE_BLOCK_BYTES}, got;
	uint8_t hdr[WIRE_PIECE_HEADER];
	struct rig *r = rig_shaken();

	make_pieces(&r->b);
	assert_false(peerio_receiving(r->b.io, &got));
	wire_encode_piece_header(hdr, &b);
	buf_add(peerio_out(r->a.io), hdr, sizeof(hdr));
	buf_add(peerio_out(r->a.io), half, sizeof(half));
	run_until(r, b_has_half_a_block);
	assert_true(peerio_receiving(r->b.io, &got));
	assert_true(wire_block_eq(&got, &b));
	peerio_forget_dst(r->b.io, r->b.pieces[1], PIECE_BYTES);
	free(r->b.pieces[1]);
	r->b.pieces[1] = NULL;
	buf_add(peerio_out(r->a.io), half, sizeof(half));
	wire_put_plain(peerio_out(r->a.io), WIRE_UNCHOKE);
	run_until(r, b_got_unchoke);
	assert_int_equal(r->b.n_dropped, 1);
	assert_int_equal(r->b.payload, WIRE_BLOCK_BYTES);
	rig_free(r);
}

/* While paused nothing is read; afterwards everything is. */
static void paused_connection_reads_nothing(void **state)
{
	struct rig *r = rig_shaken();

	peerio_pause(r->b.io, true);
	wire_put_plain(peerio_out(r->a.io), WIRE_UNCHOKE);
	wire_put_ix(peerio_out(r->b.io), WIRE_HAVE, 1);
	run_until(r, a_got_have);
	assert_int_equal(r->b.n_msgs[WIRE_UNCHOKE], 0);
	peerio_pause(r->b.io, false);
	run_until(r, b_got_unchoke);
	rig_free(r);
}

/* The kernel knows the round-trip time of a live connection. */
static void rtt_is_known(void **state)
{
	struct rig *r = rig_shaken();

	assert_in_range(peerio_rtt_us(r->a.io), 1, 1000000);
	rig_free(r);
}

/* ---- Tests: deadlines ---- */

/* Who connects and says nothing is dropped. */
static void silent_stranger_is_dropped(void **state)
{
	struct peerio_times t = long_times;
	struct rig *r = rig_empty();
	struct addr at;
	int pair[2];

	assert_int_equal(addr_parse(&at, "127.0.0.1:1"), 0);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(
		peerio_adopt(r->loop, pair[0], &at, &ops, &r->b, &r->b.io), 0);
	t.handshake_ms = 5;
	peerio_set_times(r->b.io, &t);
	run_until(r, b_ended);
	assert_int_equal(r->b.why, PEER_END_TIMEOUT);
	(void)close(pair[1]);
	rig_free(r);
}

/* A peer who falls silent is dropped, unless it is us who do not listen. */
static void silent_peer_is_dropped(void **state)
{
	struct peerio_times t = long_times;
	struct rig *r = rig_shaken();

	t.silence_ms = 5;
	peerio_pause(r->a.io, true);
	peerio_set_times(r->a.io, &t);
	peerio_set_times(r->b.io, &t);
	run_until(r, b_ended);
	assert_int_equal(r->b.why, PEER_END_TIMEOUT);
	assert_int_equal(r->a.n_ended, 0);
	peerio_pause(r->a.io, false);
	run_until(r, a_ended);
	assert_int_equal(r->a.why, PEER_END_TIMEOUT);
	rig_free(r);
}

static void stop_later(void *arg)
{
	struct rig *r = arg;

	loop_stop(r->loop);
}

/* Two idle peers keep each other alive. */
static void keepalives_keep_it_alive(void **state)
{
	struct peerio_times t = long_times;
	struct rig *r = rig_shaken();
	struct loop_timer *stop;

	t.silence_ms = 60;
	t.keepalive_ms = 10;
	peerio_set_times(r->a.io, &t);
	peerio_set_times(r->b.io, &t);
	r->is_done = NULL;
	assert_int_equal(loop_timer_new(r->loop, stop_later, r, &stop), 0);
	loop_timer_start(stop, 200000);
	assert_int_equal(loop_run(r->loop), 0);
	assert_int_equal(r->a.n_ended + r->b.n_ended, 0);
	loop_timer_free(stop);
	rig_free(r);
}

/* A peer who asks and does not read is dropped. */
static void stuck_peer_is_dropped(void **state)
{
	struct peerio_times t = long_times;
	struct rig *r = rig_shaken();
	struct blk *data = filled(r, 0);

	peerio_pause(r->b.io, true);
	t.stuck_ms = 20;
	peerio_set_times(r->a.io, &t);
	for (int i = 0; i < 16; i++)
		send_piece(r->a.io, 0, data);
	blk_drop(data);
	run_until(r, a_ended);
	assert_int_equal(r->a.why, PEER_END_TIMEOUT);
	rig_free(r);
}

static bool a_heard_or_ended(struct rig *r)
{
	return a_got_have(r) || a_ended(r);
}

/* Control messages to a peer who does not read have a limit. */
static void control_queue_is_limited(void **state)
{
	static const uint8_t body[16 << 10];
	struct rig *r = rig_shaken();
	struct blk *data = filled(r, 0);

	/* The socket is filled first; then the queue grows while it is full. */
	peerio_pause(r->b.io, true);
	for (int i = 0; i < 16; i++)
		send_piece(r->a.io, 0, data);
	blk_drop(data);
	while (r->a.n_ended == 0) {
		for (int i = 0; i < 64; i++)
			wire_put_extended(peerio_out(r->a.io), 1,
					  span_of(body, sizeof(body)));
		assert_in_range(peerio_queued_bytes(r->a.io), 0, 32 << 20);
		wire_put_ix(peerio_out(r->b.io), WIRE_HAVE, 1);
		r->a.n_msgs[WIRE_HAVE] = 0;
		run_until(r, a_heard_or_ended);
	}
	assert_int_equal(r->a.why, PEER_END_TIMEOUT);
	rig_free(r);
}

/* ---- Tests: memory ---- */

/* Any allocation that fails in making a connection leaves nothing open. */
static void every_allocation_may_fail(void **state)
{
	struct handshake ours = {0};
	struct rig *r = rig_empty();
	struct addr at;
	int err = ENOMEM;

	listen_at(r, &at);
	for (uint64_t n = 0; err != 0; n++) {
		mem_fail_after(n, 0);
		err = peerio_dial(r->loop, &at, &ours, &ops, &r->a, &r->a.io);
		mem_fail_after(UINT64_MAX, 0);
		assert_true(err == 0 || err == ENOMEM);
	}
	rig_free(r);
}

/* Every reason has its own text. */
static void every_reason_has_a_text(void **state)
{
	for (int i = 0; i < PEER_END_N; i++)
		for (int j = 0; j < i; j++)
			assert_string_not_equal(
				peerio_end_text((enum peer_end)i),
				peerio_end_text((enum peer_end)j));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handshakes_are_exchanged),
		cmocka_unit_test(refused_connection_ends_later),
		cmocka_unit_test(unreachable_address_ends_later),
		cmocka_unit_test(eof_is_told_once),
		cmocka_unit_test(refused_handshake_has_its_reason),
		cmocka_unit_test(broken_rule_ends_it),
		cmocka_unit_test(free_in_every_callback),
		cmocka_unit_test(free_while_sending),
		cmocka_unit_test(free_before_anything_happens),
		cmocka_unit_test(bound_owner_hears),
		cmocka_unit_test(pieces_arrive),
		cmocka_unit_test(cancelled_block_stays),
		cmocka_unit_test(half_received_block_can_be_forgotten),
		cmocka_unit_test(paused_connection_reads_nothing),
		cmocka_unit_test(rtt_is_known),
		cmocka_unit_test(silent_stranger_is_dropped),
		cmocka_unit_test(silent_peer_is_dropped),
		cmocka_unit_test(keepalives_keep_it_alive),
		cmocka_unit_test(stuck_peer_is_dropped),
		cmocka_unit_test(control_queue_is_limited),
		cmocka_unit_test(every_allocation_may_fail),
		cmocka_unit_test(every_reason_has_a_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
