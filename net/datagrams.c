/* datagrams — the UDP port of the engine.
 *
 * Happy path: a socket becomes readable; up to DATAGRAMS_BATCH datagrams are
 * read with one call and handed on, at most DATAGRAMS_TURN in a turn, so that
 * a flood does not keep the loop from its other work. What callbacks send is
 * put into `out`; full, or at the end of the turn (a task), it leaves with one
 * call for each family.
 *
 * Failure modes
 *   the kernel has no room   what is left of the batch is dropped
 *   an ICMP error came       the next call on the socket reports it once: it
 *                            says nothing of which datagram, so it is passed
 *                            over, and the call made again
 *   longer than the buffer   cut by the kernel, and so nobody's: dropped
 *
 * Invariants: every open socket has its watcher; out.n > 0 iff `flush` is
 * queued or datagrams are being handed on. */
#include "net/datagrams.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/err.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/mem.h"
#include "net/net_limits.h"

enum { FAMILIES = 2 };

static const int families[FAMILIES] = {AF_INET, AF_INET6};

struct outgoing {
	struct addr to;
	size_t len;
	uint8_t bytes[DATAGRAM_MAX];
};

struct datagrams {
	struct datagrams_cfg cfg;
	int fd[FAMILIES]; /* -1: none */
	struct loop_io *io[FAMILIES];
	struct loop_task flush;
	struct outgoing out[DATAGRAMS_BATCH];
	unsigned n_out;
	/* where what comes in is read to */
	struct mmsghdr msg[DATAGRAMS_BATCH];
	struct iovec iov[DATAGRAMS_BATCH];
	struct sockaddr_storage from[DATAGRAMS_BATCH];
	uint8_t in[DATAGRAMS_BATCH][DATAGRAM_IN_MAX];
};

/* ---- out ---- */

static bool is_for(const struct outgoing *o, unsigned family)
{
	return o->to.sa.sa_family == families[family];
}

static void flush_family(struct datagrams *d, unsigned family)
{
	struct mmsghdr msg[DATAGRAMS_BATCH];
	struct iovec iov[DATAGRAMS_BATCH];
	unsigned n = 0, at = 0, errors = 0;

	for (unsigned i = 0; i < d->n_out; i++) {
		struct outgoing *o = &d->out[i];

		if (!is_for(o, family))
			continue;
		iov[n] =
			(struct iovec){.iov_base = o->bytes, .iov_len = o->len};
		msg[n] = (struct mmsghdr){
			.msg_hdr = {.msg_name = &o->to,
				    .msg_namelen = addr_len(&o->to),
				    .msg_iov = &iov[n],
				    .msg_iovlen = 1}};
		n++;
	}
	while (at < n) {
		int got =
			sendmmsg(d->fd[family], msg + at, n - at, MSG_DONTWAIT);

		if (got > 0)
			at += (unsigned)got;
		else if (errno == EAGAIN || errno == ENOBUFS)
			return;
		else if (errno != EINTR && ++errors > 1) {
			at++; /* it is this one's, and not an older error */
			errors = 0;
		}
	}
}

static void flush(struct datagrams *d)
{
	for (unsigned i = 0; i < FAMILIES && d->n_out > 0; i++)
		if (d->fd[i] >= 0)
			flush_family(d, i);
	d->n_out = 0;
	loop_task_cancel(d->cfg.loop, &d->flush);
}

static void on_flush(void *arg)
{
	flush(arg);
}

void datagrams_send(struct datagrams *d, const struct addr *to,
		    const void *bytes, size_t len)
{
	struct outgoing *o;

	if (len > DATAGRAM_MAX || !datagrams_has(d, to->sa.sa_family))
		return;
	if (d->n_out == DATAGRAMS_BATCH)
		flush(d);
	o = &d->out[d->n_out++];
	o->to = *to;
	o->len = len;
	memcpy(o->bytes, bytes, len);
	loop_defer(d->cfg.loop, &d->flush);
}

/* ---- in ---- */

static void hand_on(struct datagrams *d, unsigned i)
{
	const struct msghdr *h = &d->msg[i].msg_hdr;
	struct addr from;

	if ((h->msg_flags & MSG_TRUNC) ||
	    addr_from_sa(&from, h->msg_name, h->msg_namelen) != 0)
		return;
	d->cfg.on_datagram(d->cfg.arg, &from, d->in[i], d->msg[i].msg_len);
}

static void make_ready(struct datagrams *d)
{
	for (unsigned i = 0; i < DATAGRAMS_BATCH; i++) {
		d->iov[i] = (struct iovec){.iov_base = d->in[i],
					   .iov_len = sizeof(d->in[i])};
		d->msg[i] = (struct mmsghdr){
			.msg_hdr = {.msg_name = &d->from[i],
				    .msg_namelen = sizeof(d->from[i]),
				    .msg_iov = &d->iov[i],
				    .msg_iovlen = 1}};
	}
}

static void on_readable(void *arg, int fd, unsigned events)
{
	struct datagrams *d = arg;
	unsigned n = 0, errors = 0;

	while (n < DATAGRAMS_TURN) {
		int got;

		make_ready(d);
		got = recvmmsg(fd, d->msg, DATAGRAMS_BATCH, MSG_DONTWAIT, NULL);
		if (got < 0 && (errno == EAGAIN || ++errors > DATAGRAMS_BATCH))
			break;
		for (int i = 0; i < got; i++)
			hand_on(d, (unsigned)i);
		n += got > 0 ? (unsigned)got : 0;
		if (got >= 0 && got < DATAGRAMS_BATCH)
			break;
	}
	d->cfg.after(d->cfg.arg);
}

/* ---- life ---- */

static int open_socket(int family, const struct addr *a)
{
	int on = 1, size = DATAGRAMS_SOCKET_BYTES;
	int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if ((family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0) ||
	    bind(fd, &a->sa, addr_len(a)) != 0) {
		int err = errno;

		(void)close(fd);
		return -err;
	}
	return fd;
}

static bool is_family_missing(int err)
{
	return err == EAFNOSUPPORT || err == EADDRNOTAVAIL ||
	       err == EPROTONOSUPPORT;
}

static int open_family(struct datagrams *d, unsigned i)
{
	struct addr a = {0};
	int fd, r;

	a.sa.sa_family = (sa_family_t)families[i];
	if (d->cfg.bind_to != NULL)
		a = *d->cfg.bind_to;
	if (a.sa.sa_family != families[i])
		return EAFNOSUPPORT;
	addr_set_port(&a, d->cfg.port);
	fd = open_socket(families[i], &a);
	if (fd < 0)
		return -fd;
	d->fd[i] = fd;
	r = loop_io_new(d->cfg.loop, fd, on_readable, d, &d->io[i]);
	return r != 0 ? r : loop_io_want(d->io[i], LOOP_READ);
}

int datagrams_new(const struct datagrams_cfg *cfg, struct datagrams **out)
{
	struct datagrams *d = mem_new(struct datagrams);
	int why = 0;

	if (d == NULL)
		return ENOMEM;
	d->cfg = *cfg;
	d->fd[0] = d->fd[1] = -1;
	loop_task_init(&d->flush, on_flush, d);
	for (unsigned i = 0; i < FAMILIES; i++) {
		int r = open_family(d, i);

		if (r != 0 && !is_family_missing(r)) {
			datagrams_free(d);
			return r;
		}
		why = r != 0 ? r : why;
	}
	d->cfg.bind_to = NULL;
	if (d->fd[0] < 0 && d->fd[1] < 0) {
		datagrams_free(d);
		return why;
	}
	*out = d;
	return 0;
}

void datagrams_free(struct datagrams *d)
{
	if (d == NULL)
		return;
	flush(d);
	for (unsigned i = 0; i < FAMILIES; i++) {
		loop_io_free(d->io[i]);
		if (d->fd[i] >= 0)
			(void)close(d->fd[i]);
	}
	mem_free(d);
}

bool datagrams_has(const struct datagrams *d, int family)
{
	return d->fd[family == AF_INET6] >= 0;
}
