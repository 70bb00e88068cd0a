/* listener — accept peers on one TCP port.
 *
 * Purpose: up to two sockets, one a family, on the same port. An IPv6 socket
 * is kept to IPv6 (IPV6_V6ONLY), so that what one family does never depends
 * on a sysctl of the host.
 *
 * Happy path: make and bind the IPv4 socket, then the IPv6 socket on the port
 * that it got; watch both; each wake-up accepts at most LISTENER_TURN
 * connections, so that a flood cannot keep the loop from its other work.
 *
 * Failure modes: a family that the host has not, or has switched off, is left
 * out; when none is left its error is returned. With port 0 the port that the
 * first socket got may be taken in the other family: both are then closed and
 * another is drawn, LISTENER_DRAWS times. When the process or the host is out
 * of descriptors or memory, accept would fail and the level-triggered watcher
 * would spin: it is put to rest for LISTENER_REST_MS.
 *
 * Invariants: every open socket has its watcher; `is_busy` is set exactly
 * while fn may run, and a free in that time is done when it returns. */
#include "net/listener.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/err.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/mem.h"
#include "net/net_limits.h"

enum { N_FAMILIES = 2, LISTENER_DRAWS = 8 };

struct listener {
	struct loop *loop;
	listener_fn *fn;
	void *arg;
	int fd[N_FAMILIES]; /* -1: none */
	struct loop_io *io[N_FAMILIES];
	struct loop_timer *rest;
	uint16_t port;
	bool is_busy;
	bool is_freed;
};

static void want(struct listener *l, unsigned events)
{
	for (int i = 0; i < N_FAMILIES; i++) {
		int err = l->io[i] ? loop_io_want(l->io[i], events) : 0;

		if (err != 0)
			log_err("port %u: cannot be watched: %s", l->port,
				err_text(err));
	}
}

static void on_rested(void *arg)
{
	struct listener *l = arg;

	want(l, LOOP_READ);
}

static bool is_passing(int err)
{
	/* accept(2): errors of the connection, not of the socket. */
	switch (err) {
	case EINTR:
	case ECONNABORTED:
	case EPERM:
	case EPROTO:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENONET:
	case ENOPROTOOPT:
	case EOPNOTSUPP:
		return true;
	}
	return false;
}

/* One connection. False when accepting is over for this turn. */
static bool accept_one(struct listener *l, int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct sockaddr *sa = (struct sockaddr *)&ss;
	struct addr from;
	int got;

	got = accept4(fd, sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (got < 0 && is_passing(errno))
		return true;
	if (got < 0 && errno != EAGAIN) {
		log_notice("port %u: accepting rests: %s", l->port,
			   err_text(errno));
		want(l, 0);
		loop_timer_start(l->rest, LISTENER_REST_MS * UINT64_C(1000));
	}
	if (got < 0)
		return false;
	if (addr_from_sa(&from, sa, len) != 0) {
		(void)close(got);
		return true;
	}
	l->fn(l->arg, got, &from);
	return true;
}

static void close_all(struct listener *l)
{
	for (int i = 0; i < N_FAMILIES; i++) {
		loop_io_free(l->io[i]);
		l->io[i] = NULL;
		if (l->fd[i] >= 0)
			(void)close(l->fd[i]);
		l->fd[i] = -1;
	}
}

static void on_readable(void *arg, int fd, unsigned events)
{
	struct listener *l = arg;

	l->is_busy = true;
	for (int i = 0; i < LISTENER_TURN && !l->is_freed; i++)
		if (!accept_one(l, fd))
			break;
	l->is_busy = false;
	if (l->is_freed)
		mem_free(l);
}

/* A bound, listening socket; `a`'s port becomes the one it got. */
static int open_one(struct addr *a, int *out)
{
	struct addr bound = *a;
	socklen_t len = sizeof(bound);
	int on = 1;
	int fd, err;

	fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
		    0);
	if (fd < 0)
		return errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0)
		goto close_fd;
	if (a->sa.sa_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0)
		goto close_fd;
	if (bind(fd, &a->sa, addr_len(a)) != 0 || listen(fd, SOMAXCONN) != 0 ||
	    getsockname(fd, &bound.sa, &len) != 0)
		goto close_fd;
	addr_set_port(a, addr_port(&bound));
	*out = fd;
	return 0;

close_fd:
	err = errno;
	(void)close(fd);
	return err;
}

static bool is_family_missing(int err)
{
	return err == EAFNOSUPPORT || err == EADDRNOTAVAIL;
}

/* Both families on one port: the one wanted or, for 0, the one that the first
 * socket got. */
static int open_all(struct listener *l, uint16_t port)
{
	struct addr any[N_FAMILIES] = {
		{.in4 = {.sin_family = AF_INET}},
		{.in6 = {.sin6_family = AF_INET6}},
	};
	int first_err = 0;

	l->port = port;
	for (int i = 0; i < N_FAMILIES; i++) {
		int err;

		addr_set_port(&any[i], l->port);
		err = open_one(&any[i], &l->fd[i]);
		if (err != 0 && !is_family_missing(err)) {
			close_all(l);
			return err;
		}
		if (err != 0)
			first_err = first_err != 0 ? first_err : err;
		else
			l->port = addr_port(&any[i]);
	}
	return l->fd[0] < 0 && l->fd[1] < 0 ? first_err : 0;
}

static int open_any(struct listener *l, const struct addr *bind_to,
		    uint16_t port)
{
	int err = 0;

	if (bind_to) {
		struct addr one = *bind_to;

		addr_set_port(&one, port);
		err = open_one(&one, &l->fd[0]);
		l->port = addr_port(&one);
		return err;
	}
	for (int i = 0; i < LISTENER_DRAWS; i++) {
		err = open_all(l, port);
		if (err != EADDRINUSE || port != 0)
			break;
	}
	return err;
}

static int watch_all(struct listener *l)
{
	for (int i = 0; i < N_FAMILIES; i++) {
		int err;

		if (l->fd[i] < 0)
			continue;
		err = loop_io_new(l->loop, l->fd[i], on_readable, l, &l->io[i]);
		if (err == 0)
			err = loop_io_want(l->io[i], LOOP_READ);
		if (err != 0)
			return err;
	}
	return 0;
}

int listener_new(struct loop *loop, const struct addr *bind_to, uint16_t port,
		 listener_fn *fn, void *arg, struct listener **out)
{
	struct listener *l;
	int err;

	ASSERT_LOOP(loop);
	l = mem_new(struct listener);
	if (!l)
		return ENOMEM;
	l->loop = loop;
	l->fn = fn;
	l->arg = arg;
	l->fd[0] = l->fd[1] = -1;
	err = loop_timer_new(loop, on_rested, l, &l->rest);
	if (err == 0)
		err = open_any(l, bind_to, port);
	if (err == 0)
		err = watch_all(l);
	if (err != 0) {
		listener_free(l);
		return err;
	}
	*out = l;
	return 0;
}

uint16_t listener_port(const struct listener *l)
{
	return l->port;
}

void listener_free(struct listener *l)
{
	if (!l)
		return;
	ASSERT_LOOP(l->loop);
	close_all(l);
	loop_timer_free(l->rest);
	l->rest = NULL;
	if (l->is_busy)
		l->is_freed = true;
	else
		mem_free(l);
}
