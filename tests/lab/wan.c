/* wan — a wide-area network between the namespaces of one machine.
 *
 * Purpose: give each host (a network namespace) a device `wan0` whose packets
 * reach the other hosts late, at a limited rate, and some of them never. The
 * kernel's own emulator (netem) is not everywhere; this needs only TUN.
 *
 * Words
 *   host     a namespace with a TUN device of ours, its addresses, and two
 *            links: `up` (what it sends) and `down` (what it receives)
 *   link     a line of a fixed rate with a bounded queue in front of it
 *   packet   one IP packet, or a super-packet: up to 64 KiB that the kernel has
 *            not cut into segments yet (IFF_VNET_HDR + TUNSETOFFLOAD). It is
 *            moved whole, its cost on a link is that of its segments.
 *
 * The way of a packet from A to B
 *   1. read from A's device; dropped by A's loss, or when A's up queue is full
 *   2. leaves A's up link when all before it have left and its own bits have
 *   3. arrives at B's down link after A's delay plus B's delay; dropped by B's
 *      loss, or when B's down queue is full
 *   4. leaves B's down link likewise, and is written to B's device
 *
 * One heap orders steps 3 and 4 by time, and by arrival among equals, so that
 * no flow is ever reordered. One timerfd is set to its first entry.
 *
 * Loss is drawn per packet from one generator a host and direction, all seeded
 * by --seed: the same packets in the same order meet the same fate. A lossy
 * host is offered no segmentation offload, so that one draw is one segment.
 *
 * What it does not do: jitter, reordering, packets between a host and itself,
 * multicast (there is none to route), ICMP for what it drops.
 *
 * On SIGTERM or SIGINT it prints one line of counts per host on standard error
 * and ends with 0. */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* Kernel 6.2; older headers do not have them. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

enum {
	MAX_HOSTS = 64,
	MAX_ADDRS = 4, /* per host */
	MAX_PACKET = 65535 + (int)sizeof(struct virtio_net_hdr),
	READ_BATCH = 64, /* packets of one host before the heap's turn */
};

#define NS_PER_S	1000000000ULL
#define DEFAULT_QUEUE_S 0.1 /* of the rate */
#define MIN_QUEUE_BYTES (256U * 1024)

struct link {
	double ns_per_byte; /* 0: no limit */
	uint64_t queue_bytes;
	uint64_t free_at; /* when all bits accepted so far have left */
	uint64_t dropped;
	uint64_t lost;
	uint64_t rng;
};

struct host {
	const char *name;
	int fd;
	struct in6_addr addrs[MAX_ADDRS]; /* IPv4 ones mapped */
	int n_addrs;
	uint64_t delay_ns;
	double loss;
	double up_rate, down_rate; /* bits a second, 0: no limit */
	uint64_t queue_bytes;	   /* 0: by the rate */
	struct link up, down;
	uint64_t sent_packets, sent_bytes;
};

struct packet {
	uint64_t at; /* heap key, then seq */
	uint64_t seq;
	struct host *to;
	bool on_down;  /* has passed the down link */
	uint32_t len;  /* with the virtio header */
	uint32_t wire; /* bytes on a link, every segment's header in */
	unsigned char data[];
};

struct wan {
	struct host hosts[MAX_HOSTS];
	int n_hosts;
	struct packet **heap;
	size_t n_heap, cap_heap;
	uint64_t seq;
	uint64_t seed;
	int epoll, timer, signals;
};

static void die(const char *format, ...)
{
	va_list args;

	fputs("wan: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* splitmix64: any seed is good, neighbours included. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

/* Evenly from [0, 1). */
static double draw(uint64_t *state)
{
	return (double)(next_random(state) >> 11) * 0x1p-53;
}

/* ---- the heap ---- */

static bool before(const struct packet *a, const struct packet *b)
{
	return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

static void heap_push(struct wan *w, struct packet *p)
{
	size_t i = w->n_heap, up;

	if (w->n_heap == w->cap_heap) {
		w->cap_heap = w->cap_heap ? w->cap_heap * 2 : 1024;
		w->heap =
			realloc(w->heap, w->cap_heap * sizeof(struct packet *));
		if (!w->heap)
			die("out of memory");
	}
	w->n_heap++;
	for (; i > 0; i = up) {
		up = (i - 1) / 2;
		if (!before(p, w->heap[up]))
			break;
		w->heap[i] = w->heap[up];
	}
	w->heap[i] = p;
}

static struct packet *heap_pop(struct wan *w)
{
	struct packet *top = w->heap[0], *last = w->heap[--w->n_heap];
	size_t i = 0, down;

	for (; (down = 2 * i + 1) < w->n_heap; i = down) {
		if (down + 1 < w->n_heap &&
		    before(w->heap[down + 1], w->heap[down]))
			down++;
		if (!before(w->heap[down], last))
			break;
		w->heap[i] = w->heap[down];
	}
	w->heap[i] = last;
	return top;
}

/* ---- links ---- */

/* When the packet, at the link's door at `at`, has left it whole; 0 when the
 * link does not take it. */
static uint64_t link_pass(struct link *l, double loss, uint64_t at,
			  uint32_t wire)
{
	if (loss > 0 && draw(&l->rng) < loss) {
		l->lost++;
		return 0;
	}
	if (l->ns_per_byte == 0)
		return at;
	if (l->free_at < at)
		l->free_at = at;
	if ((double)(l->free_at - at) / l->ns_per_byte + wire >
	    (double)l->queue_bytes) {
		l->dropped++;
		return 0;
	}
	l->free_at += (uint64_t)(wire * l->ns_per_byte);
	return l->free_at;
}

/* What the packet costs on the wire: a super-packet repeats its headers in
 * each of its segments. */
static uint32_t wire_bytes(const unsigned char *data, uint32_t len)
{
	const struct virtio_net_hdr *vnet = (const void *)data;
	const unsigned char *ip = data + sizeof(*vnet);
	uint32_t size = len - (uint32_t)sizeof(*vnet), headers, segments;

	if (vnet->gso_type == VIRTIO_NET_HDR_GSO_NONE || vnet->gso_size == 0)
		return size;
	headers = vnet->csum_start;
	if ((vnet->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) ==
	    VIRTIO_NET_HDR_GSO_UDP_L4)
		headers += 8;
	else if (headers + 12 < size)
		headers += (uint32_t)(ip[headers + 12] >> 4) * 4;
	if (headers >= size)
		return size;
	segments = (size - headers + vnet->gso_size - 1) / vnet->gso_size;
	return size + (segments - 1) * headers;
}

static struct host *destination(struct wan *w, const unsigned char *ip,
				size_t len)
{
	struct in6_addr to = {0};

	if (len >= 20 && ip[0] >> 4 == 4) {
		memset(to.s6_addr + 10, 0xff, 2);
		memcpy(to.s6_addr + 12, ip + 16, 4);
	} else if (len >= 40 && ip[0] >> 4 == 6) {
		memcpy(&to, ip + 24, sizeof(to));
	} else {
		return NULL;
	}
	for (int i = 0; i < w->n_hosts; i++)
		for (int j = 0; j < w->hosts[i].n_addrs; j++)
			if (!memcmp(&w->hosts[i].addrs[j], &to, sizeof(to)))
				return &w->hosts[i];
	return NULL;
}

/* ---- the way of a packet ---- */

static void accept_packet(struct wan *w, struct host *from,
			  const unsigned char *data, uint32_t len)
{
	const size_t vnet = sizeof(struct virtio_net_hdr);
	uint64_t left;
	uint32_t wire;
	struct packet *p;
	struct host *to;

	if (len <= vnet)
		return;
	to = destination(w, data + vnet, len - vnet);
	if (!to || to == from)
		return;
	wire = wire_bytes(data, len);
	left = link_pass(&from->up, from->loss, now_ns(), wire);
	if (left == 0)
		return;
	from->sent_packets++;
	from->sent_bytes += wire;
	p = malloc(sizeof(*p) + len);
	if (!p)
		die("out of memory");
	*p = (struct packet){.at = left + from->delay_ns + to->delay_ns,
			     .seq = w->seq++,
			     .to = to,
			     .len = len,
			     .wire = wire};
	memcpy(p->data, data, len);
	heap_push(w, p);
}

static void read_host(struct wan *w, struct host *from)
{
	static unsigned char buf[MAX_PACKET];
	ssize_t n;

	for (int i = 0; i < READ_BATCH; i++) {
		n = read(from->fd, buf, sizeof(buf));
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0)
			die("read from %s: %s", from->name, strerror(errno));
		accept_packet(w, from, buf, (uint32_t)n);
	}
}

/* Move what is due one step on; afterwards the heap begins in the future. */
static void run_due(struct wan *w)
{
	uint64_t now = now_ns(), left;
	struct packet *p;

	while (w->n_heap > 0 && w->heap[0]->at <= now) {
		p = heap_pop(w);
		if (!p->on_down) {
			left = link_pass(&p->to->down, p->to->loss, p->at,
					 p->wire);
			if (left == 0) {
				free(p);
				continue;
			}
			p->on_down = true;
			p->at = left;
			heap_push(w, p);
			continue;
		}
		/* A device that is down loses the packet, as a line would. */
		if (write(p->to->fd, p->data, p->len) < 0)
			p->to->down.dropped++;
		free(p);
	}
}

static void set_timer(struct wan *w)
{
	struct itimerspec when = {0};

	if (w->n_heap > 0) {
		when.it_value.tv_sec = (time_t)(w->heap[0]->at / NS_PER_S);
		when.it_value.tv_nsec = (long)(w->heap[0]->at % NS_PER_S);
	}
	timerfd_settime(w->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

/* ---- setting up ---- */

static void tun_open(struct host *h, int home)
{
	struct ifreq request = {.ifr_flags =
					IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
	unsigned offload = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
	char path[256];
	int space;

	snprintf(path, sizeof(path), "/run/netns/%s", h->name);
	space = open(path, O_RDONLY | O_CLOEXEC);
	if (space < 0 || setns(space, CLONE_NEWNET) != 0)
		die("namespace %s: %s", h->name, strerror(errno));
	close(space);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "wan0");
	h->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (h->fd < 0 || ioctl(h->fd, TUNSETIFF, &request) != 0)
		die("tun in %s: %s", h->name, strerror(errno));
	if (h->loss > 0)
		offload = TUN_F_CSUM;
	else if (ioctl(h->fd, TUNSETOFFLOAD,
		       offload | TUN_F_USO4 | TUN_F_USO6) == 0)
		offload |= TUN_F_USO4 | TUN_F_USO6;
	if (ioctl(h->fd, TUNSETOFFLOAD, offload) != 0)
		die("offload in %s: %s", h->name, strerror(errno));
	if (setns(home, CLONE_NEWNET) != 0)
		die("namespace of the caller: %s", strerror(errno));
}

static void link_set(struct link *l, double rate, uint64_t queue, uint64_t rng)
{
	l->rng = rng;
	if (rate == 0)
		return;
	l->ns_per_byte = 8e9 / rate;
	l->queue_bytes = queue ? queue : (uint64_t)(rate / 8 * DEFAULT_QUEUE_S);
	if (!queue && l->queue_bytes < MIN_QUEUE_BYTES)
		l->queue_bytes = MIN_QUEUE_BYTES;
}

static double number(const char *key, const char *text, const char *units)
{
	static const struct {
		const char *unit;
		double factor;
	} known[] = {{"ns", 1},	 {"us", 1e3}, {"ms", 1e6}, {"s", 1e9},
		     {"K", 1e3}, {"M", 1e6},  {"G", 1e9},  {"", 1}};
	char *end;
	double value = strtod(text, &end);

	if (end != text && value >= 0 && strstr(units, end))
		for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
			if (!strcmp(end, known[i].unit))
				return value * known[i].factor;
	die("%s=%s: not a number with one of the units %s", key, text, units);
	return 0;
}

static void add_address(struct host *h, const char *text)
{
	struct in6_addr *a = &h->addrs[h->n_addrs];

	if (h->n_addrs == MAX_ADDRS)
		die("%s: more than %d addresses", h->name, MAX_ADDRS);
	memset(a->s6_addr + 10, 0xff, 2);
	if (inet_pton(AF_INET, text, a->s6_addr + 12) != 1 &&
	    inet_pton(AF_INET6, text, a) != 1)
		die("addr=%s: not an address", text);
	h->n_addrs++;
}

static void parse_host(struct wan *w, char *words)
{
	struct host *h = &w->hosts[w->n_hosts];
	char *word, *value;

	if (w->n_hosts == MAX_HOSTS)
		die("more than %d hosts", MAX_HOSTS);
	w->n_hosts++;
	h->name = strsep(&words, ",");
	while ((word = strsep(&words, ","))) {
		value = strchr(word, '=');
		if (!value)
			die("%s: %s has no value", h->name, word);
		*value++ = 0;
		if (!strcmp(word, "addr"))
			add_address(h, value);
		else if (!strcmp(word, "delay"))
			h->delay_ns =
				(uint64_t)number(word, value, "ns us ms s");
		else if (!strcmp(word, "up"))
			h->up_rate = number(word, value, "K M G");
		else if (!strcmp(word, "down"))
			h->down_rate = number(word, value, "K M G");
		else if (!strcmp(word, "queue"))
			h->queue_bytes = (uint64_t)number(word, value, "K M");
		else if (!strcmp(word, "loss"))
			h->loss = number(word, value, "");
		else
			die("%s: unknown option %s", h->name, word);
	}
}

static void watch(struct wan *w, int fd, void *what)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};

	if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
		die("epoll: %s", strerror(errno));
}

static void wan_open(struct wan *w)
{
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	sigset_t ends;
	uint64_t rng = w->seed;

	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	w->signals = signalfd(-1, &ends, SFD_CLOEXEC);
	w->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (home < 0 || w->signals < 0 || w->timer < 0 || w->epoll < 0)
		die("set up: %s", strerror(errno));
	watch(w, w->signals, &w->signals);
	watch(w, w->timer, &w->timer);
	for (int i = 0; i < w->n_hosts; i++) {
		struct host *h = &w->hosts[i];

		tun_open(h, home);
		link_set(&h->up, h->up_rate, h->queue_bytes, next_random(&rng));
		link_set(&h->down, h->down_rate, h->queue_bytes,
			 next_random(&rng));
		watch(w, h->fd, h);
	}
	close(home);
}

static void report(const struct wan *w)
{
	for (int i = 0; i < w->n_hosts; i++) {
		const struct host *h = &w->hosts[i];

		fprintf(stderr,
			"%s sent_packets=%llu sent_bytes=%llu lost=%llu "
			"dropped=%llu\n",
			h->name, (unsigned long long)h->sent_packets,
			(unsigned long long)h->sent_bytes,
			(unsigned long long)(h->up.lost + h->down.lost),
			(unsigned long long)(h->up.dropped + h->down.dropped));
	}
}

static void serve(struct wan *w)
{
	struct epoll_event events[MAX_HOSTS + 2];
	uint64_t ticks;
	int n;

	for (;;) {
		run_due(w);
		set_timer(w);
		n = epoll_wait(w->epoll, events, MAX_HOSTS + 2, -1);
		for (int i = 0; i < n; i++) {
			void *what = events[i].data.ptr;

			if (what == &w->signals)
				return;
			if (what != &w->timer) {
				read_host(w, what);
				continue;
			}
			/* Only to clear it; nothing to read is as good. */
			if (read(w->timer, &ticks, sizeof(ticks)) < 0)
				continue;
		}
	}
}

static void usage(FILE *to)
{
	fputs("usage: wan [--seed=N] HOST[,OPTION=VALUE]...\n"
	      "Joins network namespaces; prints `ready`, and counts at "
	      "SIGTERM.\n"
	      "  HOST         a name of `ip netns`; its device is called wan0\n"
	      "  addr=IP      an address that packets for it carry "
	      "(repeatable)\n"
	      "  delay=T      one way, between it and the middle (ns us ms s)\n"
	      "  up=R down=R  bits a second (K M G); without: no limit\n"
	      "  queue=BYTES  before each of its links (K M); "
	      "default 100 ms of the rate\n"
	      "  loss=P       of what it sends and of what it receives, 0 to "
	      "1\n",
	      to);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"seed", required_argument, NULL, 's'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	static struct wan wan = {.seed = 1};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c != 's') {
			usage(c == 'h' ? stdout : stderr);
			return c == 'h' ? 0 : 2;
		}
		wan.seed = strtoull(optarg, NULL, 0);
	}
	for (; optind < argc; optind++)
		parse_host(&wan, argv[optind]);
	if (wan.n_hosts < 2) {
		usage(stderr);
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	wan_open(&wan);
	puts("ready");
	fflush(stdout);
	serve(&wan);
	report(&wan);
	return 0;
}
