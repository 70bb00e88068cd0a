/* net_rogue — a peer made of a bare socket that breaks rules, in a net_world.
 * For test_swarm.c and test_intake.c. */
#ifndef SHOAL_TESTS_NET_ROGUE_H
#define SHOAL_TESTS_NET_ROGUE_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/be.h"
#include "net/handshake.h"
#include "net/wire.h"
#include "tests/unit/net/net_world.h"

enum { HALF = 8 << 10 };

enum manner {
	MANNER_SILENT,	 /* unchokes, never answers */
	MANNER_REJECT,	 /* unchokes, rejects everything */
	MANNER_HALF,	 /* sends half of the first block, of wrong bytes */
	MANNER_SPAM,	 /* sends what nobody asked for */
	MANNER_HAVE,	 /* has a piece that does not exist */
	MANNER_BITFIELD, /* its bitfield is too short */
	MANNER_ASK,	 /* asks while choked */
	MANNER_MIRROR,	 /* answers with our own peer id */
	MANNER_LOSE,	 /* loses the first request, serves all others */
	MANNER_LOSE_ALL, /* loses all it gets before it hears of it */
	MANNER_BEGIN,	 /* serves the first block of each piece */
	MANNER_MUTE,	 /* never answers the handshake */
	MANNER_PLAIN,	 /* no BEP 6: drops what comes before its UNCHOKE */
	MANNER_AGAIN,	 /* says a second bitfield in place of HAVEs */
	MANNER_EXT,	 /* says its extensions before its bitfield */
	MANNER_ALONE,	 /* hangs up on who says more than a handshake */
	MANNER_BATCH,	 /* serves 4 requests at once, then 8, then 16 … */
};

struct rogue {
	struct world *w;
	enum manner manner;
	int listen_fd, fd;
	struct loop_io *listen_io, *io;
	struct buf in, out;
	bool shook, is_closed, is_lossy, is_unchoking;
	unsigned n_accepted;
	unsigned n[32];		 /* messages by id */
	unsigned n_short;	 /* requests of less than a block */
	struct wire_block first; /* that was asked for */
	struct wire_block batch[64];
	unsigned n_batch, batch_size;
};

static void flush(struct rogue *r)
{
	ssize_t n = send(r->fd, r->out.data, r->out.len, MSG_NOSIGNAL);

	if (n > 0)
		buf_cut(&r->out, (size_t)n);
}

static void put_piece(struct rogue *r, const struct wire_block *b, size_t len)
{
	uint8_t hdr[WIRE_PIECE_HEADER];
	size_t i;

	wire_encode_piece_header(hdr, b);
	buf_add(&r->out, hdr, sizeof(hdr));
	for (i = 0; i < len; i++)
		buf_add_u8(&r->out, 0xee);
}

static void greet(struct rogue *r, const uint8_t *theirs)
{
	struct handshake hs;
	uint8_t bytes[HANDSHAKE_BYTES];
	struct wire_block b = {0, 0, WIRE_BLOCK_BYTES};
	unsigned i;

	assert_int_equal(handshake_decode(theirs, &hs), 0);
	if (r->manner != MANNER_MIRROR)
		memset(hs.peer_id, 'R', sizeof(hs.peer_id));
	hs.has_ext = r->manner == MANNER_EXT;
	if (r->manner == MANNER_PLAIN)
		hs.has_fast = false;
	if (r->manner == MANNER_MUTE)
		return;
	handshake_encode(&hs, bytes);
	buf_add(&r->out, bytes, sizeof(bytes));
	switch (r->manner) {
	case MANNER_SILENT:
	case MANNER_REJECT:
	case MANNER_HALF:
	case MANNER_LOSE:
	case MANNER_LOSE_ALL:
	case MANNER_BEGIN:
	case MANNER_ALONE:
	case MANNER_BATCH:
		wire_put_plain(&r->out, WIRE_HAVE_ALL);
		wire_put_plain(&r->out, WIRE_UNCHOKE);
		break;
	case MANNER_SPAM:
		wire_put_plain(&r->out, WIRE_HAVE_ALL);
		for (i = 0; i < 100; i++)
			put_piece(r, &b, WIRE_BLOCK_BYTES);
		break;
	case MANNER_HAVE:
		wire_put_ix(&r->out, WIRE_HAVE, 1 << 20);
		break;
	case MANNER_BITFIELD:
		wire_put_bitfield(&r->out, span_of("", 0));
		break;
	case MANNER_ASK:
		wire_put_plain(&r->out, WIRE_HAVE_NONE);
		wire_put_plain(&r->out, WIRE_INTERESTED);
		b.piece_ix = r->w->n_pieces - 1;
		wire_put_block(&r->out, WIRE_REQUEST, &b);
		b.begin_bytes = r->w->piece_bytes; /* behind its end */
		wire_put_block(&r->out, WIRE_REQUEST, &b);
		break;
	case MANNER_AGAIN:
		wire_put_bitfield(&r->out, span_of("\x80", 1));
		wire_put_ix(&r->out, WIRE_HAVE, 1);
		wire_put_bitfield(&r->out, span_of("\xf0", 1));
		wire_put_plain(&r->out, WIRE_UNCHOKE);
		break;
	case MANNER_EXT:
		wire_put_extended(&r->out, 0, span_of("de", 2));
		wire_put_bitfield(&r->out, span_of("\xf0", 1));
		break;
	case MANNER_PLAIN:
		wire_put_bitfield(&r->out, span_of("\xf0", 1));
		break;
	case MANNER_MIRROR:
	case MANNER_MUTE:
		break;
	}
}

static void serve(struct rogue *r, const struct wire_block *b)
{
	uint8_t hdr[WIRE_PIECE_HEADER];

	wire_encode_piece_header(hdr, b);
	buf_add(&r->out, hdr, sizeof(hdr));
	buf_add(&r->out,
		r->w->content + (size_t)b->piece_ix * r->w->piece_bytes +
			b->begin_bytes,
		b->len_bytes);
}

static void serve_batch(struct rogue *r)
{
	unsigned i;

	if (r->n_batch < r->batch_size)
		return;
	for (i = 0; i < r->n_batch; i++)
		serve(r, &r->batch[i]);
	r->n_batch = 0;
	r->batch_size *= 2;
}

static void on_request(struct rogue *r, const struct wire_block *b)
{
	if ((r->manner == MANNER_LOSE && r->n[WIRE_REQUEST] > 1) ||
	    (r->manner == MANNER_LOSE_ALL && !r->is_lossy) ||
	    (r->manner == MANNER_BEGIN && b->begin_bytes == 0))
		serve(r, b);
	if (r->manner == MANNER_ALONE ||
	    (r->manner == MANNER_PLAIN && r->is_unchoking))
		serve(r, b);
	if (r->manner == MANNER_BATCH && r->n_batch < 64) {
		r->batch[r->n_batch++] = *b;
		serve_batch(r);
	}
	r->n_short += b->len_bytes < WIRE_BLOCK_BYTES;
	if (r->n[WIRE_REQUEST] == 1)
		r->first = *b;
	if (r->manner == MANNER_REJECT)
		wire_put_block(&r->out, WIRE_REJECT, b);
	if (r->manner == MANNER_HALF && r->n[WIRE_REQUEST] == 1)
		put_piece(r, b, HALF);
}

static void take_messages(struct rogue *r)
{
	struct wire_msg m;

	while (r->in.len >= 4) {
		uint32_t len = be32_get(r->in.data);

		if (r->in.len < 4 + (size_t)len)
			break;
		if (len > 0 && r->in.data[4] < 32)
			r->n[r->in.data[4]]++;
		if (len > 0 && r->in.data[4] != WIRE_PIECE &&
		    wire_decode(r->in.data + 4, len, &m) == WIRE_OK &&
		    m.id == WIRE_REQUEST)
			on_request(r, &m.block);
		buf_cut(&r->in, 4 + (size_t)len);
	}
}

/* Its handshake is all it says; then it waits for another. */
static void hang_up(struct rogue *r)
{
	memset(r->in.data + HANDSHAKE_BYTES - PEER_ID_BYTES, 'R',
	       PEER_ID_BYTES);
	assert_int_equal(send(r->fd, r->in.data, HANDSHAKE_BYTES, MSG_NOSIGNAL),
			 HANDSHAKE_BYTES);
	loop_io_free(r->io);
	(void)close(r->fd);
	r->fd = -1;
	buf_reset(&r->in);
}

static void rogue_on_io(void *arg, int fd, unsigned events)
{
	struct rogue *r = arg;
	uint8_t bytes[4096];
	ssize_t n = recv(fd, bytes, sizeof(bytes), 0);

	(void)events;
	if (n <= 0) {
		r->is_closed = true;
		(void)loop_io_want(r->io, 0);
		return;
	}
	buf_add(&r->in, bytes, (size_t)n);
	if (!r->shook && r->in.len >= HANDSHAKE_BYTES) {
		if (r->manner == MANNER_ALONE && r->in.len > HANDSHAKE_BYTES) {
			hang_up(r);
			return;
		}
		r->shook = true;
		greet(r, r->in.data);
		buf_cut(&r->in, HANDSHAKE_BYTES);
	}
	if (r->shook)
		take_messages(r);
	flush(r);
}

static void rogue_on_accept(void *arg, int fd, unsigned events)
{
	struct rogue *r = arg;
	int got = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	int size = 4 << 20;

	(void)events;
	assert_true(got >= 0);
	r->n_accepted++;
	if (r->fd >= 0) { /* a second try: it gets no answer */
		(void)close(got);
		return;
	}
	r->fd = got;
	(void)setsockopt(got, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	assert_int_equal(loop_io_new(r->w->loop, got, rogue_on_io, r, &r->io),
			 0);
	assert_int_equal(loop_io_want(r->io, LOOP_READ), 0);
}

static void rogue_start(struct rogue *r, struct world *w, unsigned ix,
			enum manner manner)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	socklen_t len = sizeof(sin);

	*r = (struct rogue){.w = w,
			    .manner = manner,
			    .fd = -1,
			    .is_lossy = true,
			    .batch_size = 4};
	r->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(r->listen_fd, (void *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(r->listen_fd, 4), 0);
	assert_int_equal(getsockname(r->listen_fd, (void *)&sin, &len), 0);
	w->nodes[ix].w = w;
	w->nodes[ix].rogue_port = ntohs(sin.sin_port);
	assert_int_equal(loop_io_new(w->loop, r->listen_fd, rogue_on_accept, r,
				     &r->listen_io),
			 0);
	assert_int_equal(loop_io_want(r->listen_io, LOOP_READ), 0);
}

static void rogue_stop(struct rogue *r)
{
	loop_io_free(r->listen_io);
	(void)close(r->listen_fd);
	if (r->fd >= 0) {
		loop_io_free(r->io);
		(void)close(r->fd);
	}
	buf_fini(&r->in);
	buf_fini(&r->out);
}

#endif
