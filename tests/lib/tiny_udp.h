/* tiny_udp — a UDP tracker on loopback, on the test's own loop, that can lose
 * packets, refuse, and answer wrongly. Include after tiny_http.h. */
#ifndef SHOAL_TESTS_TINY_UDP_H
#define SHOAL_TESTS_TINY_UDP_H

#include "core/be.h"

struct tiny_udp {
	struct loop *loop;
	int fd;
	int stranger; /* another socket, to answer from */
	uint16_t port;
	struct loop_io *io;
	uint64_t conn_id;
	/* how to behave */
	unsigned lose; /* so many of the next datagrams */
	bool mute;     /* all of them */
	bool refuse;   /* announces */
	bool wrong_tid, wrong_source, wrong_action, cut; /* before the truth */
	bool stale; /* announces with a remembered id are dropped */
	/* what came */
	unsigned connects, announces, stopped;
	uint8_t last[2048];
	size_t last_len;
};

static inline void tiny_udp_send(struct tiny_udp *s, int fd, const void *p,
				 size_t len, const struct sockaddr_storage *to)
{
	assert_true(sendto(fd, p, len, 0, (const struct sockaddr *)to,
			   to->ss_family == AF_INET
				   ? sizeof(struct sockaddr_in)
				   : sizeof(struct sockaddr_in6)) >= 0);
}

static inline void tiny_udp_answer(struct tiny_udp *s, uint8_t *p, size_t len,
				   const struct sockaddr_storage *to)
{
	uint8_t bad[64];

	assert_true(len <= sizeof(bad));
	memcpy(bad, p, len);
	memset(bad + 8, 0xff, len - 8);
	if (s->wrong_tid) {
		bad[7] ^= 1;
		tiny_udp_send(s, s->fd, bad, len, to);
		bad[7] ^= 1;
	}
	if (s->wrong_source)
		tiny_udp_send(s, s->stranger, bad, len, to);
	if (s->wrong_action) {
		bad[3] = 2;
		tiny_udp_send(s, s->fd, bad, len, to);
		bad[3] = (uint8_t)!p[3];
		tiny_udp_send(s, s->fd, bad, len, to);
	}
	if (s->cut)
		for (size_t n = 0; n < (p[3] ? 20 : 16); n++)
			tiny_udp_send(s, s->fd, p, n, to);
	tiny_udp_send(s, s->fd, p, len, to);
}

static inline void tiny_udp_announced(struct tiny_udp *s,
				      const struct sockaddr_storage *to)
{
	uint8_t p[64] = {0};
	size_t each = to->ss_family == AF_INET ? 6 : 18;

	s->announces++;
	if (be32_get(s->last + 80) == 3)
		s->stopped++;
	if (be64_get(s->last) != s->conn_id) {
		if (s->stale)
			return;
		be32_put(p, 3);
		memcpy(p + 4, s->last + 12, 4);
		memcpy(p + 8, "bad id", 6);
		tiny_udp_send(s, s->fd, p, 14, to);
		return;
	}
	memcpy(p + 4, s->last + 12, 4);
	if (s->refuse) {
		be32_put(p, 3);
		memcpy(p + 8, "go away", 7);
		tiny_udp_send(s, s->fd, p, 15, to);
		return;
	}
	be32_put(p, 1);
	be32_put(p + 8, 900);
	memset(p + 20, 0x21, each);
	tiny_udp_answer(s, p, 20 + each, to);
}

static inline void tiny_udp_io(void *arg, int fd, unsigned events)
{
	struct tiny_udp *s = arg;
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	ssize_t n = recvfrom(fd, s->last, sizeof(s->last), MSG_DONTWAIT,
			     (struct sockaddr *)&from, &len);
	uint8_t p[16] = {0};

	assert_true(n >= 16);
	s->last_len = (size_t)n;
	if (s->mute)
		return;
	if (s->lose > 0) {
		s->lose--;
		return;
	}
	if (n >= 98) {
		tiny_udp_announced(s, &from);
		return;
	}
	assert_int_equal(n, 16);
	assert_true(be64_get(s->last) == UINT64_C(0x41727101980));
	assert_int_equal(be32_get(s->last + 8), 0);
	s->connects++;
	memcpy(p + 4, s->last + 12, 4);
	be64_put(p + 8, s->conn_id);
	tiny_udp_answer(s, p, sizeof(p), &from);
}

/* On port `port` of 127.0.0.1 or ::1; 0: any. false: no such family here. */
static inline bool tiny_udp_open(struct tiny_udp *s, struct loop *loop,
				 int family, uint16_t port)
{
	struct sockaddr_in a4 = {.sin_family = AF_INET};
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6,
				  .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr *sa = family == AF_INET ? (struct sockaddr *)&a4
						: (struct sockaddr *)&a6;
	socklen_t len = family == AF_INET ? sizeof(a4) : sizeof(a6);

	memset(s, 0, sizeof(*s));
	a4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a4.sin_port = a6.sin6_port = htons(port);
	s->loop = loop;
	s->conn_id = 0x1234567890abcdef;
	s->fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return false;
	if (bind(s->fd, sa, len) != 0) {
		(void)close(s->fd);
		return false;
	}
	s->stranger = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(getsockname(s->fd, sa, &len), 0);
	s->port = ntohs(family == AF_INET ? a4.sin_port : a6.sin6_port);
	assert_int_equal(loop_io_new(loop, s->fd, tiny_udp_io, s, &s->io), 0);
	assert_int_equal(loop_io_want(s->io, LOOP_READ), 0);
	return true;
}

static inline void tiny_udp_close(struct tiny_udp *s)
{
	loop_io_free(s->io);
	(void)close(s->fd);
	(void)close(s->stranger);
}

#endif
