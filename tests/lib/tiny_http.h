/* tiny_http — a server on loopback, on the test's own loop: it reads a request
 * up to the empty line, asks the test what to answer, sends that, and closes;
 * or, if it keeps connections, waits for the next request.
 * Also `spin`, which runs the loop until something happened. */
#ifndef SHOAL_TESTS_TINY_HTTP_H
#define SHOAL_TESTS_TINY_HTTP_H

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/buf.h"
#include "core/loop.h"
#include "core/queue.h"

struct tiny_http;

/* What to answer: bytes into `out`; false: hold the line and say nothing. */
typedef bool tiny_http_fn(void *arg, const char *request, struct buf *out);

struct tiny_conn {
	struct tiny_http *s;
	int fd;
	struct loop_io *io;
	char in[8192];
	size_t in_len;
	struct buf out;
	bool held;
	TAILQ_ENTRY(tiny_conn) link;
};

struct tiny_http {
	struct loop *loop;
	int fd;
	uint16_t port;
	struct loop_io *io;
	tiny_http_fn *fn;
	void *arg;
	unsigned requests, accepted;
	bool keeps; /* connections open */
	TAILQ_HEAD(, tiny_conn) conns;
};

static inline void tiny_conn_free(struct tiny_conn *c)
{
	TAILQ_REMOVE(&c->s->conns, c, link);
	loop_io_free(c->io);
	(void)close(c->fd);
	buf_fini(&c->out);
	free(c);
}

static inline void tiny_conn_send(struct tiny_conn *c)
{
	ssize_t n = send(c->fd, c->out.data, c->out.len,
			 MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n > 0)
		buf_cut(&c->out, (size_t)n);
	if ((c->out.len == 0 && !c->s->keeps) || (n < 0 && errno != EAGAIN))
		tiny_conn_free(c);
	else if (c->out.len == 0)
		(void)loop_io_want(c->io, LOOP_READ);
	else
		(void)loop_io_want(c->io, LOOP_WRITE);
}

static inline void tiny_conn_io(void *arg, int fd, unsigned events)
{
	struct tiny_conn *c = arg;
	ssize_t n;

	if (events & LOOP_WRITE) {
		tiny_conn_send(c);
		return;
	}
	n = recv(fd, c->in + c->in_len, sizeof(c->in) - 1 - c->in_len,
		 MSG_DONTWAIT);
	if (n <= 0) {
		tiny_conn_free(c);
		return;
	}
	c->in_len += (size_t)n;
	c->in[c->in_len] = '\0';
	/* 0x16 opens a TLS handshake, which gets an answer in plain text. */
	if (c->held || (c->in[0] != 0x16 && !strstr(c->in, "\r\n\r\n")))
		return;
	c->s->requests++;
	c->in_len = 0;
	if (c->s->fn(c->s->arg, c->in, &c->out) && buf_err(&c->out) == 0)
		tiny_conn_send(c);
	else if (buf_err(&c->out) != 0) /* a sweep of failing allocations */
		tiny_conn_free(c);
	else
		c->held = true;
}

static inline void tiny_http_accept(void *arg, int fd, unsigned events)
{
	struct tiny_http *s = arg;
	struct tiny_conn *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	c->s = s;
	c->fd = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(c->fd >= 0);
	s->accepted++;
	TAILQ_INSERT_TAIL(&s->conns, c, link);
	while (loop_io_new(s->loop, c->fd, tiny_conn_io, c, &c->io) != 0)
		continue;
	assert_int_equal(loop_io_want(c->io, LOOP_READ), 0);
}

static inline void tiny_http_open(struct tiny_http *s, struct loop *loop,
				  tiny_http_fn *fn, void *arg)
{
	struct sockaddr_in sa = {.sin_family = AF_INET};
	socklen_t len = sizeof(sa);

	memset(s, 0, sizeof(*s));
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->loop = loop;
	s->fn = fn;
	s->arg = arg;
	TAILQ_INIT(&s->conns);
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(s->fd >= 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(s->fd, 16), 0);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&sa, &len), 0);
	s->port = ntohs(sa.sin_port);
	assert_int_equal(loop_io_new(loop, s->fd, tiny_http_accept, s, &s->io),
			 0);
	assert_int_equal(loop_io_want(s->io, LOOP_READ), 0);
}

static inline void tiny_http_close(struct tiny_http *s)
{
	struct tiny_conn *c;

	while ((c = TAILQ_FIRST(&s->conns)) != NULL)
		tiny_conn_free(c);
	loop_io_free(s->io);
	(void)close(s->fd);
}

/* A whole answer with its length. */
static inline void tiny_http_body(struct buf *out, const char *status,
				  const void *body, size_t len)
{
	buf_addf(out,
		 "HTTP/1.1 %s\r\nContent-Length: %zu\r\n"
		 "Connection: close\r\n\r\n",
		 status, len);
	buf_add(out, body, len);
}

/* ---- spin ---- */

struct spin {
	struct loop *loop;
	const unsigned *count;
	unsigned until;
	struct loop_timer *tick;
	unsigned ticks;
	bool late;
};

static inline void spin_tick(void *arg)
{
	struct spin *s = arg;

	s->late = ++s->ticks > 10000;
	if (s->late || (s->count && *s->count >= s->until) ||
	    (!s->count && s->ticks >= s->until))
		loop_stop(s->loop);
	else
		loop_timer_start(s->tick, 500);
}

/* spin — run until `*count` is at least `until`; false: not within seconds. */
static inline bool spin(struct loop *loop, const unsigned *count,
			unsigned until)
{
	struct spin s = {.loop = loop, .count = count, .until = until};

	/* In a sweep of failing allocations the failure is not for us. */
	while (loop_timer_new(loop, spin_tick, &s, &s.tick) != 0)
		continue;
	loop_timer_start(s.tick, 0);
	assert_int_equal(loop_run(loop), 0);
	loop_timer_free(s.tick);
	return !s.late;
}

/* spin_ms — run for about `ms`, to see that nothing happens. */
static inline void spin_ms(struct loop *loop, unsigned ms)
{
	(void)spin(loop, NULL, ms * 2);
}

#endif
