/* peerio — one connection's life: socket, deadlines, and the calls between the
 * loop, the receive path (peerio_rx.c), the send queue (peerio_tx.c) and the
 * owner.
 *
 *            connect(2) is under way        done, or adopted
 *   dial ──> CONNECTING ─────────────────> OPEN ──> ENDED ──> on_end
 *                 │ SO_ERROR, deadline       why set ↑
 *                 └──────────────────────────────────┘
 *
 * Happy path: dial queues our handshake and waits for writability; then each
 * readable turn plans, reads and hands over, at most PEERIO_TURN_BYTES, and
 * the level-triggered watcher brings us back for more. Whatever the owner
 * queues asks for one flush at the end of the turn. Write interest is on only
 * while the socket is full.
 *
 * Ending: whoever finds a reason calls `end`, which records it, stops the
 * watcher and puts on_end off to a task: the owner is never called from inside
 * his own call, and hears of it once. peerio_free closes at once; when one of
 * our frames is on the stack (`is_busy`), the memory goes when that returns.
 *
 * Deadlines: one timer. It is set to the earliest of them and looks at the
 * clock when it fires: bytes that come or go only write down when. It is set
 * earlier in two places alone: when a send gets stuck, and by tests.
 *
 * Invariants (peerio_check):
 *   1. fd >= 0 exactly until peerio_free
 *   2. ENDED exactly when rx.why is set
 *   3. is_full implies that something waits to leave
 *
 * Not here: whether a torrent wants this peer, or any message. */
#include "net/peerio.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/blk.h"
#include "core/loop.h"
#include "core/mem.h"
#include "net/net_limits.h"
#include "net/peerio_internal.h"

enum { WRITE_IOV = 64 };

enum peerio_state { PEERIO_CONNECTING, PEERIO_OPEN, PEERIO_ENDED };

struct peerio {
	struct loop *loop;
	int fd;
	struct loop_io *watch;
	struct loop_timer *timer;
	struct loop_task flush_task;
	struct loop_task end_task;
	struct addr addr;
	bool is_incoming;
	enum peerio_state state;

	struct peerio_rx rx; /* ops and arg are in here */
	struct peerio_tx tx;
	bool is_paused;
	bool is_full; /* the socket took less than we had */
	bool is_busy; /* a frame of ours is below the owner's */
	bool is_freed;

	struct peerio_times times;
	uint64_t begun_us;
	uint64_t heard_us; /* bytes came, or we began to listen again */
	uint64_t sent_us;  /* bytes left */
	uint64_t stuck_us; /* is_full: since when nothing left */
	uint64_t timer_at_us;
};

static void peerio_check(const struct peerio *io)
{
	ASSERT_LOOP(io->loop);
	assert((io->fd >= 0) == !io->is_freed);
	assert((io->state == PEERIO_ENDED) == (io->rx.why != PEER_END_NONE) ||
	       io->is_busy);
	assert(!io->is_full || peerio_tx_bytes(&io->tx) > 0);
}

static bool is_alive(const struct peerio *io)
{
	return io->state != PEERIO_ENDED && !io->is_freed;
}

static void destroy(struct peerio *io)
{
	peerio_rx_fini(&io->rx);
	peerio_tx_fini(&io->tx);
	mem_free(io);
}

/* end — over, for `why`; a second reason is not heard. */
static void end(struct peerio *io, enum peer_end why)
{
	if (!is_alive(io))
		return;
	io->state = PEERIO_ENDED;
	io->rx.why = why;
	(void)loop_io_want(io->watch, 0);
	loop_timer_stop(io->timer);
	loop_defer(io->loop, &io->end_task);
}

/* Every call from the loop is between enter and leave. */
static void enter(struct peerio *io)
{
	assert(!io->is_busy && !io->is_freed);
	io->is_busy = true;
}

static void update_interest(struct peerio *io)
{
	unsigned events = 0;

	if (io->state == PEERIO_CONNECTING || io->is_full)
		events |= LOOP_WRITE;
	if (io->state == PEERIO_OPEN && !io->is_paused)
		events |= LOOP_READ;
	if (loop_io_want(io->watch, events) != 0)
		end(io, PEER_END_IO);
}

static void leave(struct peerio *io)
{
	io->is_busy = false;
	if (io->is_freed) {
		destroy(io);
		return;
	}
	if (is_alive(io))
		update_interest(io);
}

/* ---- deadlines ---- */

static uint64_t earlier(uint64_t a, uint64_t from_us, uint32_t ms)
{
	uint64_t b = from_us + ms * UINT64_C(1000);

	return b < a ? b : a;
}

static bool is_shaking_hands(const struct peerio *io)
{
	return io->rx.state == RX_HANDSHAKE;
}

static void set_timer(struct peerio *io)
{
	uint64_t now = loop_now_us(io->loop);
	uint64_t at = UINT64_MAX;

	if (is_shaking_hands(io))
		at = earlier(at, io->begun_us, io->times.handshake_ms);
	else
		at = earlier(at, io->sent_us, io->times.keepalive_ms);
	if (!is_shaking_hands(io) && !io->is_paused)
		at = earlier(at, io->heard_us, io->times.silence_ms);
	if (io->is_full)
		at = earlier(at, io->stuck_us, io->times.stuck_ms);
	io->timer_at_us = at;
	loop_timer_start(io->timer, at > now ? at - now : 0);
}

static bool is_past(const struct peerio *io, uint64_t from_us, uint32_t ms)
{
	return loop_now_us(io->loop) - from_us >= ms * UINT64_C(1000);
}

static void on_timer(void *arg)
{
	struct peerio *io = arg;

	enter(io);
	if (is_shaking_hands(io)
		    ? is_past(io, io->begun_us, io->times.handshake_ms)
		    : !io->is_paused &&
			      is_past(io, io->heard_us, io->times.silence_ms))
		end(io, io->state == PEERIO_CONNECTING ? PEER_END_CONNECT
						       : PEER_END_TIMEOUT);
	else if (io->is_full && is_past(io, io->stuck_us, io->times.stuck_ms))
		end(io, PEER_END_TIMEOUT);
	if (!is_alive(io)) {
		leave(io);
		return;
	}
	if (!is_shaking_hands(io) &&
	    is_past(io, io->sent_us, io->times.keepalive_ms)) {
		/* While something waits to leave there is no need of one. */
		io->sent_us = loop_now_us(io->loop);
		if (peerio_tx_bytes(&io->tx) == 0)
			wire_put_keepalive(peerio_out(io));
	}
	set_timer(io);
	leave(io);
}

void peerio_set_times(struct peerio *io, const struct peerio_times *times)
{
	io->times = *times;
	set_timer(io);
}

/* ---- sending ---- */

static void on_full(struct peerio *io)
{
	io->is_full = true;
	if (earlier(io->timer_at_us, io->stuck_us, io->times.stuck_ms) <
	    io->timer_at_us)
		set_timer(io);
}

static void send_all(struct peerio *io)
{
	struct iovec iov[WRITE_IOV];
	uint32_t payload = 0;
	unsigned n_iov;

	if (buf_err(&io->tx.out) != 0) {
		end(io, PEER_END_NOMEM);
		return;
	}
	/* What waits is bounded by the owner, so this ends. */
	while ((n_iov = peerio_tx_fill(&io->tx, iov, WRITE_IOV)) > 0) {
		struct msghdr msg = {.msg_iov = iov, .msg_iovlen = n_iov};
		ssize_t n = sendmsg(io->fd, &msg, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		io->sent_us = io->stuck_us = loop_now_us(io->loop);
		payload += peerio_tx_sent(&io->tx, (size_t)n);
	}
	if (n_iov == 0) {
		io->is_full = false;
	} else if (errno == EAGAIN) {
		if (!io->is_full)
			io->stuck_us = loop_now_us(io->loop);
		on_full(io);
	} else {
		io->is_full = false;
		end(io, PEER_END_IO);
	}
	if (payload > 0)
		io->rx.ops->on_sent(io->rx.arg, payload);
}

static void on_flush(void *arg)
{
	struct peerio *io = arg;

	if (!is_alive(io))
		return;
	enter(io);
	if (io->state == PEERIO_OPEN && !io->is_full)
		send_all(io);
	/* What the socket does not take is asked about each time it grows. */
	if (io->tx.out.len > PEERIO_OUT_MAX)
		end(io, PEER_END_TIMEOUT);
	leave(io);
}

struct buf *peerio_out(struct peerio *io)
{
	ASSERT_LOOP(io->loop);
	if (is_alive(io))
		loop_defer(io->loop, &io->flush_task);
	return &io->tx.out;
}

void peerio_send_handshake(struct peerio *io, const struct handshake *ours)
{
	uint8_t raw[HANDSHAKE_BYTES];

	/* Nothing may come before it. */
	assert(peerio_tx_bytes(&io->tx) == 0 && io->tx.out_sent == 0);
	handshake_encode(ours, raw);
	buf_add(peerio_out(io), raw, sizeof(raw));
}

int peerio_send_block(struct peerio *io, const struct wire_block *b,
		      struct blk *data, size_t off_bytes)
{
	int err;

	peerio_check(io);
	err = peerio_tx_add(&io->tx, b, data, off_bytes);
	if (err == 0)
		(void)peerio_out(io);
	return err;
}

bool peerio_drop_block(struct peerio *io, const struct wire_block *b)
{
	bool was_there = peerio_tx_drop(&io->tx, b);

	if (peerio_tx_bytes(&io->tx) == 0)
		io->is_full = false;
	if (was_there && !io->is_busy && is_alive(io))
		update_interest(io);
	return was_there;
}

size_t peerio_queued_bytes(const struct peerio *io)
{
	return peerio_tx_bytes(&io->tx);
}

/* ---- receiving ---- */

static enum peer_end end_of_read(ssize_t n)
{
	if (n == 0)
		return PEER_END_EOF;
	return errno == EAGAIN || errno == EINTR ? PEER_END_NONE : PEER_END_IO;
}

static void receive(struct peerio *io)
{
	struct peerio_plan plan;
	size_t budget = PEERIO_TURN_BYTES;

	while (is_alive(io) && !io->is_paused) {
		enum peer_end why;
		ssize_t n;

		peerio_rx_plan(&io->rx, &plan);
		n = readv(io->fd, plan.iov, (int)plan.n_iov);
		if (n <= 0) {
			why = end_of_read(n);
			if (why != PEER_END_NONE)
				end(io, why);
			return;
		}
		io->heard_us = loop_now_us(io->loop);
		peerio_rx_took(&io->rx, &plan, (size_t)n);
		if (io->is_freed)
			return;
		why = io->rx.why;
		if (why != PEER_END_NONE)
			end(io, why);
		/* A short read has emptied the socket. */
		if ((size_t)n < plan.total || (size_t)n >= budget)
			return;
		budget -= (size_t)n;
	}
}

static void on_connected(struct peerio *io)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0 ||
	    err != 0) {
		end(io, PEER_END_CONNECT);
		return;
	}
	io->state = PEERIO_OPEN;
	io->rx.ops->on_connect(io->rx.arg);
	(void)peerio_out(io);
}

static void on_ready(void *arg, int fd, unsigned events)
{
	struct peerio *io = arg;

	enter(io);
	if (io->state == PEERIO_CONNECTING) {
		on_connected(io);
	} else {
		if ((events & LOOP_WRITE) && is_alive(io))
			send_all(io);
		if ((events & LOOP_READ) && is_alive(io))
			receive(io);
	}
	leave(io);
}

void peerio_forget_dst(struct peerio *io, const uint8_t *ptr, size_t len)
{
	peerio_rx_forget(&io->rx, ptr, len);
}

bool peerio_receiving(const struct peerio *io, struct wire_block *out)
{
	if (io->rx.state != RX_BLOCK)
		return false;
	*out = io->rx.block;
	return true;
}

void peerio_pause(struct peerio *io, bool paused)
{
	peerio_check(io);
	if (io->is_paused == paused)
		return;
	io->is_paused = paused;
	/* Our own deafness is not their silence. */
	io->heard_us = loop_now_us(io->loop);
	if (!is_alive(io))
		return;
	if (!io->is_busy)
		update_interest(io);
	if (!paused && earlier(io->timer_at_us, io->heard_us,
			       io->times.silence_ms) < io->timer_at_us)
		set_timer(io);
}

/* ---- life ---- */

static void on_end(void *arg)
{
	struct peerio *io = arg;

	enter(io);
	io->rx.ops->on_end(io->rx.arg, io->rx.why);
	leave(io);
}

/* Options that make it faster or kinder; without them it works as well. */
static void tune(int fd)
{
	int on = 1;
	int lowat = PEERIO_NOTSENT_BYTES;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat,
			 sizeof(lowat));
}

/* Takes fd, also on failure. */
static int make(struct loop *loop, int fd, const struct addr *addr,
		const struct peerio_ops *ops, void *arg, struct peerio **out)
{
	struct peerio *io = mem_new(struct peerio);
	int err = ENOMEM;

	if (!io)
		goto close_fd;
	io->loop = loop;
	io->fd = fd;
	io->addr = *addr;
	io->begun_us = io->heard_us = io->sent_us = loop_now_us(loop);
	io->times = (struct peerio_times){
		.handshake_ms = PEERIO_HANDSHAKE_MS,
		.silence_ms = PEERIO_SILENCE_MS,
		.keepalive_ms = PEERIO_KEEPALIVE_MS,
		.stuck_ms = PEERIO_STUCK_MS,
	};
	loop_task_init(&io->flush_task, on_flush, io);
	loop_task_init(&io->end_task, on_end, io);
	peerio_rx_init(&io->rx, ops, arg, io);
	peerio_tx_init(&io->tx);
	err = loop_timer_new(loop, on_timer, io, &io->timer);
	if (err != 0)
		goto free_io;
	err = loop_io_new(loop, fd, on_ready, io, &io->watch);
	if (err != 0)
		goto free_timer;
	tune(fd);
	set_timer(io);
	*out = io;
	return 0;

free_timer:
	loop_timer_free(io->timer);
free_io:
	mem_free(io);
close_fd:
	(void)close(fd);
	return err;
}

int peerio_dial(struct loop *loop, const struct addr *to,
		const struct handshake *ours, const struct peerio_ops *ops,
		void *arg, struct peerio **out)
{
	struct peerio *io;
	int fd, err;

	ASSERT_LOOP(loop);
	fd = socket(to->sa.sa_family,
		    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	err = make(loop, fd, to, ops, arg, &io);
	if (err != 0)
		return err;
	io->state = PEERIO_CONNECTING;
	peerio_send_handshake(io, ours);
	if (connect(fd, &to->sa, addr_len(to)) != 0 && errno != EINPROGRESS)
		end(io, PEER_END_CONNECT);
	else
		update_interest(io);
	*out = io;
	return 0;
}

int peerio_adopt(struct loop *loop, int fd TAKES, const struct addr *from,
		 const struct peerio_ops *ops, void *arg, struct peerio **out)
{
	struct peerio *io;
	int err;

	ASSERT_LOOP(loop);
	err = make(loop, fd, from, ops, arg, &io);
	if (err != 0)
		return err;
	io->state = PEERIO_OPEN;
	io->is_incoming = true;
	update_interest(io);
	*out = io;
	return 0;
}

void peerio_bind(struct peerio *io, const struct peerio_ops *ops, void *arg)
{
	peerio_check(io);
	io->rx.ops = ops;
	io->rx.arg = arg;
}

const struct addr *peerio_addr(const struct peerio *io)
{
	return &io->addr;
}

bool peerio_is_incoming(const struct peerio *io)
{
	return io->is_incoming;
}

uint32_t peerio_rtt_us(const struct peerio *io)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	if (getsockopt(io->fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
		return 0;
	return info.tcpi_rtt;
}

void peerio_free(struct peerio *io TAKES)
{
	if (!io)
		return;
	peerio_check(io);
	loop_task_cancel(io->loop, &io->flush_task);
	loop_task_cancel(io->loop, &io->end_task);
	loop_timer_free(io->timer);
	loop_io_free(io->watch);
	(void)close(io->fd);
	io->fd = -1;
	io->is_freed = true;
	io->rx.is_stopped = true;
	if (!io->is_busy)
		destroy(io);
}
