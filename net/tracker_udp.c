/* tracker_udp — announces over UDP (BEP 15, BEP 41).
 *
 * Words: an *announce* is what a caller started; a *leg* is its part over one
 * address family. A *connection id* is a tracker's proof that we receive what
 * is sent to our address; it is asked for first, and good for a minute.
 *
 *   name ──► leg: CONNECT ── connection id ──► ANNOUNCE ── peers ──► ended
 *              ▲    │ no answer: send again         │
 *              │    ▼ (doubling)                    │
 *              └────── refused, or silent, with a remembered id
 *
 * Happy path: the host is looked up, a leg begins for the first address of
 * each family, each leg sends, and the datagrams that come in find their leg
 * by transaction id. The caller is told of each leg's answer at once, and that
 * all is over when the last leg has ended.
 *
 * Failure modes: what is lost is sent again, UDP_TRACKER_RETRIES times in all,
 * each wait twice the last. ask->timeout_us ends the whole, the look-up
 * included. After one family answered the other gets UDP_TRACKER_GRACE_MS: a
 * broken IPv6 must not keep a tracker busy. A datagram that is not from the
 * address we asked, or has another transaction id, or a wrong action, is not
 * there: the id is 32 random bits, so that who cannot see our packets cannot
 * answer for the tracker.
 *
 * Invariants: an announce is on u->announces until `done` or its cancel; a leg
 * is active only after a name was found; only active legs have armed timers. */
#include "net/tracker_udp.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/addr.h"
#include "core/buf.h"
#include "core/err.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/queue.h"
#include "core/rng.h"
#include "net/net_limits.h"
#include "net/resolve.h"
#include "net/tracker_internal.h"
#include "net/tracker_udp_ids.h"
#include "net/tracker_udp_wire.h"

enum {
	FAMILIES = 2, /* IPv4, IPv6: index of sockets and legs */
	HOST_BYTES = 256,
	PACKET_BYTES = 16 << 10,
};

static const int families[FAMILIES] = {AF_INET, AF_INET6};

enum leg_state { LEG_IDLE, LEG_CONNECT, LEG_ANNOUNCE };

struct udp_leg {
	struct udp_announce *a; /* Owner: a->legs */
	enum leg_state state;
	struct addr to;
	uint32_t tid;
	uint64_t conn_id;
	bool id_is_old; /* remembered from an earlier announce */
	unsigned tries;
	struct loop_timer *timer;
};

struct udp_announce {
	struct udp_tracker *u; /* Owner: u->announces */
	struct tracker_ask ask;
	struct tracker_sink sink;
	char host[HOST_BYTES];
	uint16_t port;
	char *path;	 /* of the URL, with its query; "" for none */
	const char *bad; /* what is wrong with the URL, or NULL */
	struct loop_task begin;
	struct resolve *name; /* while it is looked up */
	struct loop_timer *deadline;
	struct udp_leg legs[FAMILIES];
	bool answered; /* by one leg at least */
	int err;       /* of the last leg that failed */
	LIST_ENTRY(udp_announce) link;
};

struct udp_sock {
	struct udp_tracker *u; /* Owner: u->socks */
	int fd;		       /* -1: no such family here */
	int family;
	struct loop_io *io;
};

struct udp_tracker {
	struct loop *loop;
	struct workers *workers;
	struct udp_tracker_times times;
	struct udp_sock socks[FAMILIES];
	struct tracker_udp_ids ids;
	LIST_HEAD(, udp_announce) announces;
	const struct addr *hosts; /* tests: what every name has, or NULL */
	unsigned n_hosts;
};

/* ---- ends ---- */

static void announce_free(struct udp_announce *a)
{
	loop_task_cancel(a->u->loop, &a->begin);
	resolve_cancel(a->name);
	for (unsigned i = 0; i < FAMILIES; i++)
		loop_timer_free(a->legs[i].timer);
	loop_timer_free(a->deadline);
	LIST_REMOVE(a, link);
	mem_free(a->path);
	mem_free(a);
}

static void announce_end(struct udp_announce *a, int err, const char *why)
{
	struct tracker_sink sink = a->sink;

	announce_free(a);
	sink.done(sink.arg, err, why);
}

static void leg_stop(struct udp_leg *leg)
{
	leg->state = LEG_IDLE;
	loop_timer_stop(leg->timer);
}

static bool is_settled(const struct udp_announce *a)
{
	for (unsigned i = 0; i < FAMILIES; i++)
		if (a->legs[i].state != LEG_IDLE)
			return false;
	return true;
}

/* May free the announce. */
static void leg_fail(struct udp_leg *leg, int err)
{
	struct udp_announce *a = leg->a;

	leg_stop(leg);
	a->err = err;
	if (!is_settled(a))
		return;
	err = a->answered ? 0 : a->err;
	announce_end(a, err, err ? err_text(err) : NULL);
}

/* May free the announce. */
static void leg_answer(struct udp_leg *leg, const struct tracker_reply *reply)
{
	struct udp_announce *a = leg->a;

	leg_stop(leg);
	a->answered = true;
	a->sink.reply(a->sink.arg, reply);
	if (is_settled(a))
		announce_end(a, 0, NULL);
	else
		loop_timer_start(a->deadline, a->u->times.grace_us);
}

/* ---- sending ---- */

static int leg_fd(const struct udp_leg *leg)
{
	return leg->a->u->socks[leg - leg->a->legs].fd;
}

/* May free the announce. */
static void leg_send(struct udp_leg *leg)
{
	struct udp_tracker *u = leg->a->u;
	uint64_t wait_us = u->times.first_us;
	struct buf packet = {0};
	int err = 0;

	if (leg->state == LEG_CONNECT)
		tracker_udp_wire_connect(&packet, leg->tid);
	else
		tracker_udp_wire_announce(&packet, leg->conn_id, leg->tid,
					  &leg->a->ask, leg->a->path);
	err = buf_err(&packet);
	/* A full socket buffer is a lost datagram like any other. */
	if (!err &&
	    sendto(leg_fd(leg), packet.data, packet.len, 0, &leg->to.sa,
		   addr_len(&leg->to)) < 0 &&
	    errno != EAGAIN && errno != ENOBUFS)
		err = errno;
	buf_fini(&packet);
	if (err) {
		leg_fail(leg, err);
		return;
	}
	/* A short deadline (`stopped`) still has room for a second try. */
	if (wait_us > leg->a->ask.timeout_us / 4)
		wait_us = leg->a->ask.timeout_us / 4;
	loop_timer_start(leg->timer, wait_us << leg->tries);
}

/* May free the announce. */
static void leg_enter(struct udp_leg *leg, enum leg_state state)
{
	leg->state = state;
	leg->tries = 0;
	leg->tid = rng_u32();
	leg_send(leg);
}

/* A remembered id may be stale, and there are trackers that drop an announce
 * with such an id silently: ask for a new one. May free the announce. */
static void leg_reconnect(struct udp_leg *leg)
{
	tracker_udp_ids_del(&leg->a->u->ids, &leg->to);
	leg->id_is_old = false;
	leg_enter(leg, LEG_CONNECT);
}

static void on_leg_timer(void *arg)
{
	struct udp_leg *leg = arg;

	if (leg->id_is_old)
		leg_reconnect(leg);
	else if (++leg->tries >= UDP_TRACKER_RETRIES)
		leg_fail(leg, ETIMEDOUT);
	else
		leg_send(leg);
}

/* ---- receiving ---- */

static struct udp_leg *find_leg(struct udp_tracker *u, uint32_t tid,
				const struct addr *from)
{
	struct udp_announce *a;

	LIST_FOREACH (a, &u->announces, link) {
		for (unsigned i = 0; i < FAMILIES; i++) {
			struct udp_leg *leg = &a->legs[i];

			if (leg->state != LEG_IDLE && leg->tid == tid &&
			    addr_eq(&leg->to, from))
				return leg;
		}
	}
	return NULL;
}

/* May free the announce. */
static void leg_take(struct udp_leg *leg, uint32_t action, struct span packet)
{
	struct udp_tracker *u = leg->a->u;
	struct tracker_reply reply;

	if (action == TRACKER_ACTION_ERROR && leg->id_is_old) {
		leg_reconnect(leg);
	} else if (action == TRACKER_ACTION_CONNECT) {
		if (leg->state != LEG_CONNECT ||
		    tracker_reply_udp_connect(&leg->conn_id, packet) != 0)
			return;
		tracker_udp_ids_put(&u->ids, &leg->to, loop_now_us(u->loop),
				    leg->conn_id);
		leg_enter(leg, LEG_ANNOUNCE);
	} else if (action == TRACKER_ACTION_ERROR ||
		   leg->state == LEG_ANNOUNCE) {
		if (tracker_reply_udp(&reply, packet, leg->to.sa.sa_family) ==
		    0)
			leg_answer(leg, &reply);
	}
}

static void take_datagram(struct udp_tracker *u, struct span packet,
			  const struct sockaddr *sa, socklen_t sa_len)
{
	struct tracker_udp_head head;
	struct udp_leg *leg;
	struct addr from;

	if (addr_from_sa(&from, sa, sa_len) != 0 ||
	    tracker_reply_udp_head(&head, packet) != 0)
		return;
	leg = find_leg(u, head.tid, &from);
	if (leg)
		leg_take(leg, head.action, packet);
}

static void on_datagrams(void *arg, int fd, unsigned events)
{
	struct udp_sock *s = arg;
	uint8_t packet[PACKET_BYTES];
	union {
		struct sockaddr sa;
		struct sockaddr_storage room;
	} from;

	for (unsigned i = 0; i < UDP_TRACKER_BATCH; i++) {
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, packet, sizeof(packet), MSG_DONTWAIT,
				     &from.sa, &len);

		if (n < 0)
			return; /* none left; an ICMP error is a lost packet */
		take_datagram(s->u, span_of(packet, (size_t)n), &from.sa, len);
	}
}

/* ---- starting ---- */

/* A name may have led here that led elsewhere a minute ago: it is the address
 * that counts, each time anew. */
static bool may_ask(const struct udp_announce *a, const struct addr *to)
{
	if (!addr_can_dial(to) || addr_is_link_local(to))
		return false;
	return !addr_is_local(to) || strncmp(a->path, TRACKER_LOCAL_PATH,
					     strlen(TRACKER_LOCAL_PATH)) == 0;
}

static void begin_legs(struct udp_announce *a, const struct addr *addrs,
		       unsigned n)
{
	uint64_t now_us = loop_now_us(a->u->loop);

	for (unsigned i = 0; i < FAMILIES; i++) {
		struct udp_leg *leg = &a->legs[i];

		for (unsigned k = 0; k < n && leg->state == LEG_IDLE; k++) {
			if (addrs[k].sa.sa_family != families[i] ||
			    a->u->socks[i].fd < 0 || !may_ask(a, &addrs[k]))
				continue;
			leg->to = addrs[k];
			leg->id_is_old = tracker_udp_ids_get(
				&a->u->ids, &leg->to, now_us, &leg->conn_id);
			leg->state =
				leg->id_is_old ? LEG_ANNOUNCE : LEG_CONNECT;
		}
	}
}

static void on_names(void *arg, int err, const struct addr *addrs, unsigned n)
{
	struct udp_announce *a = arg;
	bool active[FAMILIES];

	a->name = NULL;
	if (err) {
		announce_end(a, err,
			     err == ENOENT ? "no such host"
					   : "the name was not found");
		return;
	}
	begin_legs(a, addrs, n);
	if (is_settled(a)) {
		announce_end(a, ENOENT, "the host has no address to ask");
		return;
	}
	/* All are marked before the first sends, whose failure would else end
	 * the announce; the last to fail does. */
	for (unsigned i = 0; i < FAMILIES; i++)
		active[i] = a->legs[i].state != LEG_IDLE;
	for (unsigned i = 0; i < FAMILIES; i++)
		if (active[i])
			leg_enter(&a->legs[i], a->legs[i].state);
}

static void on_begin(void *arg)
{
	struct udp_announce *a = arg;
	char text[HOST_BYTES + 16];
	struct addr addr;
	int err;

	if (a->bad) {
		announce_end(a, EINVAL, a->bad);
		return;
	}
	(void)snprintf(text, sizeof(text),
		       strchr(a->host, ':') ? "[%s]:%u" : "%s:%u", a->host,
		       a->port);
	/* Numbers need no worker, who may be busy with a dead name server. */
	if (addr_parse(&addr, text) == 0) {
		on_names(a, 0, &addr, 1);
		return;
	}
	if (a->u->hosts) {
		on_names(a, 0, a->u->hosts, a->u->n_hosts);
		return;
	}
	err = resolve_start(a->u->workers, a->host, a->port, on_names, a,
			    &a->name);
	if (err)
		announce_end(a, err, err_text(err));
}

static void on_deadline(void *arg)
{
	struct udp_announce *a = arg;
	int err = a->answered ? 0 : ETIMEDOUT;

	announce_end(a, err, err ? "no answer" : NULL);
}

/* "udp://host:port/path?query#fragment" into the announce. 0 or ENOMEM; what
 * is wrong with the URL itself goes to a->bad. */
static int take_url(struct udp_announce *a, const char *url)
{
	const char *host = strstr(url, "://");
	char authority[HOST_BYTES + 16];
	const char *path;
	size_t len;

	host = host ? host + 3 : url;
	len = strcspn(host, "/?#");
	path = host + len;
	a->path = mem_dup(path, strcspn(path, "#"));
	if (!a->path)
		return ENOMEM;
	if (strcmp(a->path, "/") == 0)
		a->path[0] = '\0';
	if (len >= sizeof(authority)) {
		a->bad = "the host name is too long";
		return 0;
	}
	memcpy(authority, host, len);
	authority[len] = '\0';
	if (resolve_split(authority, a->host, sizeof(a->host), &a->port) != 0)
		a->bad = "not udp://HOST:PORT";
	return 0;
}

static int make_timers(struct udp_announce *a)
{
	struct loop *loop = a->u->loop;
	int err = loop_timer_new(loop, on_deadline, a, &a->deadline);

	for (unsigned i = 0; i < FAMILIES && !err; i++) {
		a->legs[i].a = a;
		err = loop_timer_new(loop, on_leg_timer, &a->legs[i],
				     &a->legs[i].timer);
	}
	return err;
}

int udp_tracker_announce(struct udp_tracker *u, const char *url,
			 const struct tracker_ask *ask,
			 const struct tracker_sink *sink,
			 struct udp_announce **out)
{
	struct udp_announce *a;
	int err;

	ASSERT_LOOP(u->loop);
	a = mem_new(struct udp_announce);
	if (!a)
		return ENOMEM;
	a->u = u;
	a->ask = *ask;
	a->sink = *sink;
	loop_task_init(&a->begin, on_begin, a);
	LIST_INSERT_HEAD(&u->announces, a, link);
	err = take_url(a, url);
	if (!err)
		err = make_timers(a);
	if (err) {
		announce_free(a);
		return err;
	}
	loop_timer_start(a->deadline, ask->timeout_us);
	loop_defer(u->loop, &a->begin);
	*out = a;
	return 0;
}

void udp_tracker_cancel(struct udp_announce *a)
{
	if (a)
		announce_free(a);
}

/* ---- life ---- */

static int sock_open(struct udp_tracker *u, struct udp_sock *s, int family)
{
	const int on = 1;
	int err;

	s->u = u;
	s->family = family;
	s->fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return errno;
	if (family == AF_INET6)
		(void)setsockopt(s->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on,
				 sizeof(on));
	err = loop_io_new(u->loop, s->fd, on_datagrams, s, &s->io);
	if (!err)
		err = loop_io_want(s->io, LOOP_READ);
	if (err) {
		loop_io_free(s->io);
		s->io = NULL;
		(void)close(s->fd);
		s->fd = -1;
	}
	return err;
}

int udp_tracker_new(struct loop *loop, struct workers *workers,
		    struct udp_tracker **out)
{
	struct udp_tracker *u = mem_new(struct udp_tracker);
	int err4, err6;

	if (!u)
		return ENOMEM;
	u->loop = loop;
	u->workers = workers;
	u->times.first_us = UDP_TRACKER_FIRST_MS * UINT64_C(1000);
	u->times.grace_us = UDP_TRACKER_GRACE_MS * UINT64_C(1000);
	LIST_INIT(&u->announces);
	err4 = sock_open(u, &u->socks[0], AF_INET);
	err6 = sock_open(u, &u->socks[1], AF_INET6);
	/* One family is enough: many hosts have no other. */
	if (err4 && err6) {
		mem_free(u);
		return err4;
	}
	*out = u;
	return 0;
}

void udp_tracker_free(struct udp_tracker *u)
{
	struct udp_announce *a, *next;

	if (!u)
		return;
	ASSERT_LOOP(u->loop);
	LIST_FOREACH_SAFE (a, &u->announces, link, next)
		announce_free(a);
	for (unsigned i = 0; i < FAMILIES; i++) {
		loop_io_free(u->socks[i].io);
		if (u->socks[i].fd >= 0)
			(void)close(u->socks[i].fd);
	}
	mem_free(u);
}

void udp_tracker_set_times(struct udp_tracker *u,
			   const struct udp_tracker_times *times)
{
	u->times = *times;
}

void udp_tracker_set_hosts(struct udp_tracker *u, const struct addr *addrs,
			   unsigned n)
{
	u->hosts = addrs;
	u->n_hosts = n;
}
