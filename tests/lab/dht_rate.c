/* dht_rate — how many queries a second does a node of ours answer, over real
 * sockets: the program's own loop, net/datagrams and dht/, on one thread.
 *
 *   dht_rate serve ADDR:PORT      until standard input ends; then one line of
 *                                 JSON: answers, processor seconds
 *   dht_rate ask ADDR:PORT NET SECONDS
 *                                 get_peers, at most WINDOW unanswered, from
 *                                 65536 addresses that begin as NET does and
 *                                 are local here; then one line of JSON
 *
 * The node has a table of 400 contacts, peers of 256 hashes, and its limits: it
 * is many hosts that ask, none of them too much. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/be.h"
#include "core/clock.h"
#include "core/hash.h"
#include "core/loop.h"
#include "core/rng.h"
#include "dht/krpc.h"
#include "dht/node.h"
#include "net/datagrams.h"
#include "tests/sim/dht_filled.h"

enum {
	BATCH = 64,
	WINDOW = 192,
	QUERY_BYTES = 128,
	LOST_US = 5000,
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static struct addr parse(const char *text)
{
	struct addr a;

	if (addr_parse(&a, text) != 0) {
		errno = EINVAL;
		die(text);
	}
	return a;
}

static double cpu_seconds(void)
{
	struct rusage u;

	(void)getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* ---- serve ---- */

struct server {
	struct loop *loop;
	struct datagrams *io;
	struct dht_node *node;
	uint64_t now_us;
};

static void on_send(void *arg, const struct addr *to, const void *bytes,
		    size_t len)
{
	struct server *s = arg;

	datagrams_send(s->io, to, bytes, len);
}

static void on_datagram(void *arg, const struct addr *from,
			const uint8_t *bytes, size_t len)
{
	struct server *s = arg;

	(void)dht_node_receive(s->node, loop_now_us(s->loop), from, bytes, len);
}

static void after(void *arg)
{
	struct server *s = arg;

	if (dht_node_next_us(s->node) <= loop_now_us(s->loop))
		dht_node_wake(s->node, loop_now_us(s->loop));
}

static void on_stdin(void *arg, int fd, unsigned events)
{
	struct server *s = arg;
	char c;

	(void)events;
	if (read(fd, &c, 1) <= 0)
		loop_stop(s->loop);
}

static int serve(const char *where)
{
	struct server s = {0};
	struct addr a = parse(where);
	struct hasher *hasher;
	struct loop_io *in;
	struct datagrams_cfg io = {.bind_to = &a,
				   .port = addr_port(&a),
				   .on_datagram = on_datagram,
				   .after = after,
				   .arg = &s};
	struct dht_cfg cfg = {
		.send = on_send, .arg = &s, .has = {[DHT_IPV4] = true}};
	struct dht_stats st;

	if (loop_new(&s.loop) != 0 || hasher_new(&hasher) != 0)
		die("loop");
	io.loop = s.loop;
	cfg.hasher = hasher;
	rng_bytes(cfg.seed, sizeof(cfg.seed));
	if (datagrams_new(&io, &s.io) != 0 ||
	    dht_node_new(&cfg, loop_now_us(s.loop), &s.node) != 0 ||
	    loop_io_new(s.loop, STDIN_FILENO, on_stdin, &s, &in) != 0 ||
	    loop_io_want(in, LOOP_READ) != 0)
		die(where);
	filled_node(s.node, hasher, loop_now_us(s.loop));
	printf("ready\n");
	(void)fflush(stdout);
	(void)loop_run(s.loop);
	dht_node_stats(s.node, &st);
	printf("{\"queries\": %llu, \"answers\": %llu, \"refused\": %llu, "
	       "\"in\": %llu, \"out\": %llu, \"cpu\": %.3f}\n",
	       (unsigned long long)st.in_queries,
	       (unsigned long long)st.out_answers,
	       (unsigned long long)st.dropped[DHT_DROP_RATE],
	       (unsigned long long)st.in_bytes,
	       (unsigned long long)st.out_bytes, cpu_seconds());
	loop_io_free(in);
	dht_node_free(s.node);
	datagrams_free(s.io);
	hasher_free(hasher);
	loop_free(s.loop);
	return 0;
}

/* ---- ask ---- */

struct asker {
	int fd;
	struct addr to;
	uint32_t net, n;
	uint64_t sent, answered;
	struct dht_id self;
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH];
	uint8_t bytes[BATCH][2048];
	char control[BATCH][CMSG_SPACE(sizeof(struct in_pktinfo))];
};

static void put_query(struct asker *k, unsigned i)
{
	struct dht_id target;
	struct krpc_query q = {.method = KRPC_GET_PEERS,
			       .tid = k->n,
			       .self = &k->self,
			       .target = &target};
	struct msghdr *h = &k->msg[i].msg_hdr;
	struct in_pktinfo from = {0};
	struct cmsghdr *c;

	filled_target(k->n, &target);
	k->iov[i].iov_base = k->bytes[i];
	k->iov[i].iov_len = krpc_encode_query(k->bytes[i], QUERY_BYTES, &q);
	*h = (struct msghdr){.msg_name = &k->to,
			     .msg_namelen = addr_len(&k->to),
			     .msg_iov = &k->iov[i],
			     .msg_iovlen = 1,
			     .msg_control = k->control[i],
			     .msg_controllen = sizeof(k->control[i])};
	c = CMSG_FIRSTHDR(h);
	c->cmsg_level = IPPROTO_IP;
	c->cmsg_type = IP_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof(from));
	from.ipi_spec_dst.s_addr = htonl(k->net | (k->n & 0xffff));
	memcpy(CMSG_DATA(c), &from, sizeof(from));
	k->n++;
}

static void send_batch(struct asker *k)
{
	int got;

	for (unsigned i = 0; i < BATCH; i++)
		put_query(k, i);
	got = sendmmsg(k->fd, k->msg, BATCH, 0);
	if (got < 0)
		die("sendmmsg");
	k->sent += (unsigned)got;
}

static int receive_batch(struct asker *k)
{
	int got;

	for (unsigned i = 0; i < BATCH; i++) {
		k->iov[i].iov_base = k->bytes[i];
		k->iov[i].iov_len = sizeof(k->bytes[i]);
		k->msg[i] = (struct mmsghdr){
			.msg_hdr = {.msg_iov = &k->iov[i], .msg_iovlen = 1}};
	}
	got = recvmmsg(k->fd, k->msg, BATCH, MSG_DONTWAIT, NULL);
	k->answered += got > 0 ? (unsigned)got : 0;
	return got;
}

static int ask(const char *where, const char *net, unsigned seconds)
{
	static struct asker k;
	struct addr any = {.in4 = {.sin_family = AF_INET}};
	struct in_addr begin;
	uint64_t begun_us = clock_mono_us(), now_us = begun_us;
	uint64_t heard_us = begun_us, lost = 0;
	int size = 8 << 20;

	k.to = parse(where);
	memset(k.self.b, 7, sizeof(k.self.b));
	k.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	(void)setsockopt(k.fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (k.fd < 0 || bind(k.fd, &any.sa, addr_len(&any)) != 0 ||
	    inet_pton(AF_INET, net, &begin) != 1)
		die(net);
	k.net = ntohl(begin.s_addr);
	while (now_us - begun_us < seconds * UINT64_C(1000000)) {
		if (k.sent - k.answered - lost < WINDOW)
			send_batch(&k);
		now_us = clock_mono_us();
		if (receive_batch(&k) > 0)
			heard_us = now_us;
		else if (now_us - heard_us > LOST_US)
			lost = k.sent - k.answered;
	}
	printf("{\"sent\": %llu, \"answered\": %llu, \"seconds\": %.3f, "
	       "\"cpu\": %.3f}\n",
	       (unsigned long long)k.sent, (unsigned long long)k.answered,
	       (double)(now_us - begun_us) / 1e6, cpu_seconds());
	(void)close(k.fd);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		return serve(argv[2]);
	if (argc == 5 && strcmp(argv[1], "ask") == 0)
		return ask(argv[2], argv[3],
			   (unsigned)strtoul(argv[4], NULL, 10));
	(void)fprintf(stderr, "usage: dht_rate serve ADDR:PORT | "
			      "ask ADDR:PORT NET SECONDS\n");
	return 2;
}
