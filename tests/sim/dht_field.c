/* dht_field — thousands of whole nodes of ours behind a TUN device: programs
 * with sockets live among them, by the wall's clock, as in a wide network.
 *
 *   dht_field TUN N SEED ADDRESS…
 *
 * N nodes are made and live for LIFE_S in virtual time; then the clock becomes
 * the wall's, and UDP that comes out of the device is delivered among them,
 * with the delay that the network has between its two hosts, as between any
 * others (dht_net.h: lognormal, 80 ms, sigma 0.6). ADDRESSes are those whose
 * programs send and receive through the device; the rest of the world are the
 * nodes. Commands come on standard input, one a line, and each answers with one
 * line of JSON:
 *
 *   nodes K       ["IP:PORT", …] of K nodes that are not silent
 *   silence       every other node says and hears nothing from now on
 *   speak         all do again, and the next silence is of others
 *   announce K    [["hash", "IP:PORT"], …]: K new keys were announced, each by
 *                 a node that is not silent; those that eight nodes have
 *   late          {"most_ms", "busy"}: since the last time, how late an event
 *                 was at most, and how much of the time they took
 *   quit */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/be.h"
#include "core/clock.h"
#include "core/mem.h"
#include "dht/dht_limits.h"
#include "tests/sim/dht_actors.h"

enum {
	S = 1000000,
	JOIN_S = 60,
	LIFE_S = 240,
	TOLD = 4,
	KEY_PORT = 7000,
	KEYS_MAX = 256,
	IP_BYTES = 20,
	UDP_BYTES = 8,
	PACKET_MAX = 2048,
};

/* Where a program with sockets is. */
struct gate {
	struct sim_actor actor;
	struct field *field;
};

struct field {
	struct sim_net net;
	struct sim_real **nodes;
	uint32_t n;
	int tun;
	uint64_t base_us;		     /* virtual time - the clock's */
	uint64_t late_us, busy_us, since_us; /* for `late` */
	uint32_t n_silences;
	struct sim_search keys[KEYS_MAX];
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* ---- packets ---- */

static uint16_t ip_sum(const uint8_t *p)
{
	uint32_t sum = 0;

	for (int i = 0; i < IP_BYTES; i += 2)
		sum += be16_get(p + i);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~(sum + (sum >> 16));
}

/* UDP's own sum may be left out. */
static void to_program(struct sim_net *net, struct sim_actor *self,
		       const struct addr *from, const uint8_t *bytes,
		       size_t len)
{
	const struct gate *g = (const struct gate *)self;
	uint8_t p[PACKET_MAX] = {0x45};
	size_t all = IP_BYTES + UDP_BYTES + len;

	if (all > sizeof(p))
		return;
	be16_put(p + 2, (uint16_t)all);
	p[8] = 64;
	p[9] = IPPROTO_UDP;
	memcpy(p + 12, &from->in4.sin_addr, 4);
	be32_put(p + 16, net->ips[self->host]);
	be16_put(p + 10, ip_sum(p));
	be16_put(p + 20, addr_port(from));
	be16_put(p + 22, SIM_PORT);
	be16_put(p + 24, (uint16_t)(UDP_BYTES + len));
	memcpy(p + IP_BYTES + UDP_BYTES, bytes, len);
	if (write(g->field->tun, p, all) < 0 && errno != EAGAIN)
		die("tun");
}

static void nothing(struct sim_net *net, struct sim_actor *self)
{
}

static void gate_free(struct sim_net *net, struct sim_actor *self)
{
	mem_free(self);
}

static void from_programs(struct field *f)
{
	uint8_t p[PACKET_MAX];
	ssize_t got;

	while ((got = read(f->tun, p, sizeof(p))) > 0) {
		struct addr src = {.in4 = {.sin_family = AF_INET}};
		struct addr to = src;
		size_t at = (size_t)(p[0] & 15) * 4;
		uint32_t host;

		if (p[0] >> 4 != 4 || p[9] != IPPROTO_UDP ||
		    (size_t)got < at + UDP_BYTES)
			continue;
		memcpy(&src.in4.sin_addr, p + 12, 4);
		memcpy(&to.in4.sin_addr, p + 16, 4);
		addr_set_port(&to, be16_get(p + at + 2));
		host = sim_net_host(&f->net, &src);
		if (host != UINT32_MAX)
			sim_net_send(&f->net, host, &to, p + at + UDP_BYTES,
				     (size_t)got - at - UDP_BYTES);
	}
}

static int open_tun(const char *name)
{
	struct ifreq r = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	(void)snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &r) != 0)
		die(name);
	return fd;
}

/* ---- the nodes ---- */

static bool is_silent(const struct field *f, uint32_t i)
{
	return !(f->net.flags[f->nodes[i]->actor.host] & SIM_ALIVE);
}

static struct sim_real *somebody(struct field *f)
{
	uint32_t i;

	do
		i = (uint32_t)rng_below(&f->net.rng, f->n);
	while (is_silent(f, i));
	return f->nodes[i];
}

static void make(struct field *f, uint32_t n)
{
	const struct sim_real_cfg cfg = {0};

	f->nodes = sim_alloc(n, sizeof(struct sim_real *));
	for (uint32_t i = 0; i < n; i++) {
		struct sim_real *real = sim_real_new(&f->net, &cfg);

		for (int k = 0; k < TOLD && f->n > 0; k++) {
			struct addr a =
				sim_net_addr(&f->net, somebody(f)->actor.host);

			sim_real_tell(real, &a);
		}
		f->nodes[f->n++] = real;
		sim_net_run(&f->net, (uint64_t)JOIN_S * S * i / n);
	}
	sim_net_run(&f->net, (uint64_t)(JOIN_S + LIFE_S) * S);
}

static void add_gate(struct field *f, const char *text)
{
	struct gate *g = sim_alloc(1, sizeof(*g));
	struct in_addr ip;

	if (inet_pton(AF_INET, text, &ip) != 1)
		die(text);
	g->actor = (struct sim_actor){
		.receive = to_program, .wake = nothing, .free = gate_free};
	g->field = f;
	sim_net_add(&f->net, &g->actor, ntohl(ip.s_addr));
}

/* ---- time ---- */

/* What was due just after the last time is late by as much as lies between. */
static void catch_up(struct field *f)
{
	uint64_t was_us = f->net.now_us - f->base_us;
	uint64_t begun_us = clock_mono_us();
	uint64_t now_us;

	sim_net_run(&f->net, begun_us + f->base_us);
	now_us = clock_mono_us();
	f->busy_us += now_us - begun_us;
	if (now_us - was_us > f->late_us)
		f->late_us = now_us - was_us;
}

static void print_late(struct field *f)
{
	uint64_t now_us = clock_mono_us();

	printf("{\"most_ms\": %.1f, \"busy\": %.3f}\n",
	       (double)f->late_us / 1e3,
	       (double)f->busy_us / (double)(now_us - f->since_us + 1));
	f->late_us = f->busy_us = 0;
	f->since_us = now_us;
}

/* Until there is a line, or, without one wanted, for a while. */
static void live(struct field *f, bool wants_line)
{
	struct pollfd fds[2] = {
		{.fd = f->tun, .events = POLLIN},
		{.fd = wants_line ? STDIN_FILENO : -1, .events = POLLIN}};

	do {
		if (poll(fds, 2, 1) < 0 && errno != EINTR)
			die("poll");
		catch_up(f);
		if (fds[0].revents & POLLIN)
			from_programs(f);
		catch_up(f);
	} while (wants_line && fds[1].revents == 0);
}

/* ---- commands ---- */

static void print_nodes(struct field *f, uint32_t n)
{
	char text[ADDR_TEXT_BYTES];

	for (uint32_t i = 0; i < n; i++) {
		struct addr a = sim_net_addr(&f->net, somebody(f)->actor.host);

		printf("%s\"%s\"", i > 0 ? ", " : "[", addr_format(&a, text));
	}
	printf("]\n");
}

static void silence(struct field *f)
{
	f->n_silences++;
	for (uint32_t i = 0; i < f->n; i++)
		if (sim_mix(i, f->n_silences) & 1)
			f->net.flags[f->nodes[i]->actor.host] &=
				(uint8_t)~SIM_ALIVE;
	printf("{}\n");
}

static void speak(struct field *f)
{
	for (uint32_t i = 0; i < f->n; i++)
		f->net.flags[f->nodes[i]->actor.host] |= SIM_ALIVE;
	printf("{}\n");
}

static void announce(struct field *f, uint32_t n)
{
	char text[ADDR_TEXT_BYTES];
	uint32_t n_done = 0;

	n = n < KEYS_MAX ? n : KEYS_MAX;
	for (uint32_t i = 0; i < n; i++) {
		struct sim_search *s = &f->keys[i];
		struct sim_real *who = somebody(f);

		*s = (struct sim_search){0};
		for (int k = 0; k < DHT_ID_BYTES; k += 4)
			be32_put(s->target.b + k,
				 (uint32_t)rng_next(&f->net.rng));
		s->wanted = sim_net_addr(&f->net, who->actor.host);
		addr_set_port(&s->wanted, KEY_PORT);
		sim_real_search(who, s, KEY_PORT, DHT_PACE_URGENT);
	}
	while (n_done < n) {
		live(f, false);
		n_done = 0;
		for (uint32_t i = 0; i < n; i++)
			n_done += f->keys[i].has_ended;
	}
	n_done = 0;
	for (uint32_t i = 0; i < n; i++) {
		/* Who was silent himself a moment ago may know nobody. */
		if (f->keys[i].n_stored < DHT_NODES_TOLD)
			continue;
		printf("%s[\"", n_done++ > 0 ? ", " : "[");
		for (int k = 0; k < DHT_ID_BYTES; k++)
			printf("%02x", f->keys[i].target.b[k]);
		printf("\", \"%s\"]", addr_format(&f->keys[i].wanted, text));
	}
	printf("%s]\n", n_done > 0 ? "" : "[");
}

/* False: no more will come. */
static bool command(struct field *f)
{
	char line[64] = "";
	uint32_t n;
	ssize_t got = read(STDIN_FILENO, line, sizeof(line) - 1);
	char *number = strchr(line, ' ');

	if (got <= 0 || strncmp(line, "quit", 4) == 0)
		return false;
	n = number != NULL ? (uint32_t)strtoul(number, NULL, 10) : 0;
	if (strncmp(line, "nodes", 5) == 0)
		print_nodes(f, n);
	else if (strncmp(line, "silence", 7) == 0)
		silence(f);
	else if (strncmp(line, "speak", 5) == 0)
		speak(f);
	else if (strncmp(line, "announce", 8) == 0)
		announce(f, n);
	else if (strncmp(line, "late", 4) == 0)
		print_late(f);
	else
		return false;
	(void)fflush(stdout);
	return true;
}

int main(int argc, char **argv)
{
	static struct field f;
	struct sim_net_cfg cfg = {
		.link = {.rtt_ms = 80, .sigma = 0.6, .jitter = 0.1}};

	if (argc < 5) {
		(void)fprintf(stderr,
			      "usage: dht_field TUN N SEED ADDRESS...\n");
		return 2;
	}
	cfg.seed = strtoull(argv[3], NULL, 10);
	f.tun = open_tun(argv[1]);
	sim_net_init(&f.net, &cfg);
	make(&f, (uint32_t)strtoul(argv[2], NULL, 10));
	for (int i = 4; i < argc; i++)
		add_gate(&f, argv[i]);
	f.since_us = clock_mono_us();
	f.base_us = f.net.now_us - f.since_us;
	printf("{\"datagrams\": %llu}\n",
	       (unsigned long long)f.net.counts.sent);
	(void)fflush(stdout);
	do
		live(&f, true);
	while (command(&f));
	sim_net_fini(&f.net);
	mem_free(f.nodes);
	(void)close(f.tun);
	return 0;
}
