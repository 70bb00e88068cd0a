/* dht_net — hosts and what lies between them.
 *
 * A datagram takes half of its pair's round trip, which is drawn once from a
 * lognormal distribution by a hash of the two hosts, give or take a jitter; it
 * may be lost, be stopped by a partition or a NAT, or find nobody.
 *
 * One seed is one run: a single stream of random numbers, events by (time,
 * order of adding), and a hash over every delivery and every wake-up. */
#include "tests/sim/dht_net.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/be.h"
#include "core/hash.h"
#include "core/mem.h"

enum {
	RANKS = sizeof(((struct sim_net *)NULL)->delays) / sizeof(uint32_t),
	N_HOLES = 1 << 16,
};

static const uint64_t HOLE_US = 60000000;

/* ---- time ---- */

/* The normal quantile, by halving: it is asked 4096 times in a run. */
static double quantile(double p)
{
	double lo = -8, hi = 8;

	for (int i = 0; i < 60; i++) {
		double mid = (lo + hi) / 2;

		if (0.5 * erfc(-mid / sqrt(2)) < p)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

static void make_delays(struct sim_net *net)
{
	const struct sim_link_cfg *link = &net->cfg.link;

	for (int i = 0; i < RANKS; i++) {
		double z = quantile((i + 0.5) / RANKS);

		net->delays[i] =
			(uint32_t)(link->rtt_ms * 500 * exp(link->sigma * z));
	}
}

static uint64_t pair_hash(const struct sim_net *net, uint32_t a, uint32_t b)
{
	uint64_t low = a < b ? a : b, high = a < b ? b : a;

	return sim_mix(net->cfg.seed, high << 32 | low);
}

uint32_t sim_net_rtt_us(const struct sim_net *net, uint32_t a, uint32_t b)
{
	return 2 * net->delays[pair_hash(net, a, b) % RANKS];
}

static uint64_t delay_us(struct sim_net *net, uint32_t a, uint32_t b)
{
	uint64_t chance = rng_next(&net->rng);
	uint64_t base = net->cfg.link.is_fresh
				? net->delays[chance >> 32 & (RANKS - 1)]
				: sim_net_rtt_us(net, a, b) / 2;
	uint64_t jitter = (uint64_t)((double)base * net->cfg.link.jitter);

	return 1 + base - jitter / 2 + (chance & 0xffff) * jitter / 0x10000;
}

static bool happens(struct sim_net *net, double share)
{
	return share > 0 &&
	       (double)(rng_next(&net->rng) >> 11) * 0x1p-53 < share;
}

/* ---- hosts ---- */

static uint32_t place_of(const struct sim_net *net, uint32_t ip)
{
	uint32_t i = (uint32_t)sim_mix(ip, 1) & (net->by_ip_room - 1);

	while (net->by_ip[i].host != 0 && net->by_ip[i].ip != ip)
		i = (i + 1) & (net->by_ip_room - 1);
	return i;
}

static void widen_by_ip(struct sim_net *net)
{
	net->by_ip_room = net->by_ip_room != 0 ? net->by_ip_room * 2 : 1024;
	mem_free(net->by_ip);
	net->by_ip = sim_alloc(net->by_ip_room, sizeof(*net->by_ip));
	for (uint32_t i = 0; i < net->n; i++)
		net->by_ip[place_of(net, net->ips[i])] =
			(struct sim_place){net->ips[i], i + 1};
}

/* Class A to C, and nothing special. */
static bool is_plain(uint32_t ip)
{
	uint32_t a = ip >> 24;

	return a >= 11 && a < 224 && a != 127 && a != 100 && a != 169 &&
	       a != 172 && a != 192 && a != 198 && a != 203;
}

uint32_t sim_net_ip(struct sim_net *net)
{
	uint32_t ip;

	do
		ip = (uint32_t)rng_next(&net->rng);
	while (!is_plain(ip) || (net->by_ip_room != 0 &&
				 net->by_ip[place_of(net, ip)].host != 0));
	return ip;
}

static uint32_t add_host(struct sim_net *net, uint32_t ip)
{
	if (net->n == net->room) {
		net->room = net->room != 0 ? net->room * 2 : 1024;
		net->ips = sim_grow(net->ips, net->room, sizeof(*net->ips));
		net->flags = sim_grow(net->flags, net->room, 1);
	}
	net->ips[net->n] = ip;
	net->flags[net->n] = SIM_ALIVE;
	net->n++;
	if (net->n >= net->by_ip_room / 2)
		widen_by_ip(net);
	else
		net->by_ip[place_of(net, ip)] = (struct sim_place){ip, net->n};
	return net->n - 1;
}

static struct addr addr_of(uint32_t ip)
{
	struct addr a = {0};

	a.in4.sin_family = AF_INET;
	a.in4.sin_port = htons(SIM_PORT);
	a.in4.sin_addr.s_addr = htonl(ip);
	return a;
}

struct addr sim_net_addr(const struct sim_net *net, uint32_t host)
{
	return addr_of(net->ips[host]);
}

uint32_t sim_net_host(const struct sim_net *net, const struct addr *a)
{
	if (a->sa.sa_family != AF_INET || net->by_ip_room == 0)
		return UINT32_MAX;
	/* 1 + host, or 0. */
	return net->by_ip[place_of(net, ntohl(a->in4.sin_addr.s_addr))].host -
	       1;
}

void sim_net_add(struct sim_net *net, struct sim_actor *actor, uint32_t ip)
{
	uint32_t i;

	actor->host = add_host(net, ip != 0 ? ip : sim_net_ip(net));
	actor->wake_us = UINT64_MAX;
	i = actor->host - net->cfg.n_model;
	if (i >= net->actors_room) {
		uint32_t room =
			net->actors_room != 0 ? net->actors_room * 2 : 1024;

		net->actors = sim_grow(net->actors, room, sizeof(*net->actors));
		net->actors_room = room;
	}
	net->actors[i] = actor;
}

struct sim_actor *sim_net_actor(const struct sim_net *net, uint32_t host)
{
	return host >= net->cfg.n_model && host < net->n
		       ? net->actors[host - net->cfg.n_model]
		       : NULL;
}

void sim_net_remove(struct sim_net *net, struct sim_actor *actor)
{
	net->flags[actor->host] &= (uint8_t)~SIM_ALIVE;
	net->actors[actor->host - net->cfg.n_model] = NULL;
	actor->free(net, actor);
}

/* ---- life ---- */

void sim_net_init(struct sim_net *net, const struct sim_net_cfg *cfg)
{
	*net = (struct sim_net){.cfg = *cfg, .trace = cfg->seed};
	rng_seed(&net->rng, cfg->seed);
	make_delays(net);
	if (hasher_new(&net->hasher) != 0)
		abort();
	for (uint32_t i = 0; i < cfg->n_model; i++)
		(void)add_host(net, sim_net_ip(net));
	sim_model_init(net);
	if (cfg->n_model > 0) /* sorted by id now */
		widen_by_ip(net);
}

void sim_net_fini(struct sim_net *net)
{
	for (uint32_t i = net->cfg.n_model; i < net->n; i++)
		if (net->actors[i - net->cfg.n_model] != NULL)
			sim_net_remove(net, net->actors[i - net->cfg.n_model]);
	sim_model_fini(net);
	sim_queue_fini(&net->queue);
	sim_post_fini(&net->post);
	hasher_free(net->hasher);
	mem_free(net->ips);
	mem_free(net->flags);
	mem_free(net->by_ip);
	mem_free(net->actors);
	mem_free(net->holes);
}

/* ---- datagrams ---- */

static void post(struct sim_net *net, uint32_t way, uint32_t as, uint32_t to,
		 const void *bytes, size_t len)
{
	struct sim_mail *mail;
	uint32_t ref;

	if (to == UINT32_MAX || !(net->flags[to] & SIM_ALIVE)) {
		net->counts.to_nobody++;
		return;
	}
	if (happens(net, net->cfg.link.loss) ||
	    (net->is_parted &&
	     ((net->flags[to] ^ net->flags[way]) & SIM_WEST) != 0)) {
		net->counts.lost++;
		return;
	}
	mail = sim_post_new(&net->post, len, &ref);
	mail->from = as;
	mail->from_ip = net->ips[as];
	mail->to = to;
	memcpy(mail->bytes, bytes, len);
	sim_queue_add(&net->queue,
		      (struct sim_event){.at_us = net->now_us +
						  delay_us(net, way, to),
					 .host = to,
					 .mail = ref});
}

/* Holes in NATs: one table for all, by a hash of the pair, where the newest
 * stays. */
static struct sim_hole *hole_of(struct sim_net *net, uint32_t in, uint32_t out)
{
	uint64_t pair = (uint64_t)in << 32 | out;
	struct sim_hole *hole;

	if (net->holes == NULL)
		net->holes = sim_alloc(N_HOLES, sizeof(*net->holes));
	hole = &net->holes[sim_mix(pair, 2) % N_HOLES];
	if (hole->pair != pair)
		*hole = (struct sim_hole){.pair = pair};
	return hole;
}

void sim_net_send(struct sim_net *net, uint32_t host, const struct addr *to,
		  const void *bytes, size_t len)
{
	uint32_t dest = sim_net_host(net, to);

	if (!(net->flags[host] & SIM_ALIVE))
		return; /* it may be alive again one day */
	net->counts.sent++;
	net->counts.sent_bytes += len;
	if (net->on_send != NULL)
		net->on_send(net->arg, host, to, bytes, len);
	if ((net->flags[host] & SIM_NAT) && dest != UINT32_MAX)
		hole_of(net, host, dest)->until_us = net->now_us + HOLE_US;
	post(net, host, host, dest, bytes, len);
}

void sim_net_forge(struct sim_net *net, uint32_t host, const struct addr *as,
		   const struct addr *to, const void *bytes, size_t len)
{
	net->counts.sent++;
	net->counts.sent_bytes += len;
	post(net, host, sim_net_host(net, as), sim_net_host(net, to), bytes,
	     len);
}

void sim_net_wake_at(struct sim_net *net, struct sim_actor *actor,
		     uint64_t at_us)
{
	if (at_us < net->now_us)
		at_us = net->now_us;
	/* One that comes too early asks again when it is there. */
	if (at_us >= actor->wake_us)
		return;
	actor->wake_us = at_us;
	sim_queue_add(&net->queue, (struct sim_event){.at_us = at_us,
						      .host = actor->host,
						      .mail = SIM_WAKE});
}

static uint64_t bytes_hash(const uint8_t *p, size_t len)
{
	uint64_t h = len, word;

	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&word, p, 8);
		h = (h ^ word) * UINT64_C(0x9fb21c651e98df25);
		h ^= h >> 32;
	}
	for (; len > 0; len--, p++)
		h = (h ^ *p) * UINT64_C(0x9fb21c651e98df25);
	return h;
}

static void deliver(struct sim_net *net, uint32_t ref)
{
	struct sim_mail *mail = sim_post_at(&net->post, ref);
	struct sim_actor *actor = sim_net_actor(net, mail->to);
	struct addr from = addr_of(mail->from_ip);

	if (!(net->flags[mail->to] & SIM_ALIVE)) {
		net->counts.to_nobody++;
	} else if ((net->flags[mail->to] & SIM_NAT) &&
		   hole_of(net, mail->to, mail->from)->until_us < net->now_us) {
		net->counts.lost++;
	} else {
		net->counts.delivered++;
		net->trace = sim_mix(
			net->trace ^ net->now_us,
			bytes_hash(mail->bytes, mail->len) ^
				((uint64_t)mail->from << 32 | mail->to));
		if (actor != NULL)
			actor->receive(net, actor, &from, mail->bytes,
				       mail->len);
		else
			sim_model_receive(net, mail->to, &from, mail->bytes,
					  mail->len);
	}
	sim_post_free(&net->post, ref);
}

static void wake(struct sim_net *net, uint32_t host)
{
	struct sim_actor *actor = sim_net_actor(net, host);

	/* It is gone, or another wake-up came between. */
	if (actor == NULL || actor->wake_us > net->now_us)
		return;
	net->counts.wakes++;
	net->trace = sim_mix(net->trace ^ net->now_us, host);
	actor->wake_us = UINT64_MAX;
	actor->wake(net, actor);
}

/* ---- the next event, and what those after it need ---- */

/* How many events before it: the datagram, then whose it is, then what that
 * host needs. */
enum {
	SEE_MAIL = 20,
	SEE_HOST = 14,
	SEE_ACTOR = 10,
	SEE_NODE = 7,
	SEE_TABLE = 3
};

/* Of the k-th event from now, if that is a host's; UINT32_MAX: not known. */
static uint32_t host_ahead(struct sim_net *net, size_t k)
{
	const struct sim_event *ev = sim_queue_ahead(&net->queue, k);

	return ev != NULL ? ev->host : UINT32_MAX;
}

static void fetch_actor(struct sim_net *net, size_t k, int step)
{
	uint32_t host = host_ahead(net, k);
	struct sim_actor *actor =
		host != UINT32_MAX ? sim_net_actor(net, host) : NULL;

	if (actor != NULL && actor->fetch != NULL)
		actor->fetch(actor, step);
}

static void look_ahead(struct sim_net *net)
{
	const struct sim_event *ev = sim_queue_ahead(&net->queue, SEE_MAIL);
	uint32_t host;

	if (ev != NULL && ev->mail != SIM_WAKE) {
		const uint8_t *mail =
			(const uint8_t *)sim_post_at(&net->post, ev->mail);

		for (int i = 0; i < 4; i++)
			__builtin_prefetch(mail + (ptrdiff_t)i * 64);
	}
	host = host_ahead(net, SEE_HOST);
	if (host != UINT32_MAX) {
		__builtin_prefetch(&net->flags[host]);
		if (host < net->cfg.n_model)
			__builtin_prefetch(&net->ids[host]);
		else
			__builtin_prefetch(
				&net->actors[host - net->cfg.n_model]);
	}
	fetch_actor(net, SEE_ACTOR, 0);
	fetch_actor(net, SEE_NODE, 1);
	fetch_actor(net, SEE_TABLE, 2);
}

bool sim_net_step(struct sim_net *net, uint64_t until_us)
{
	struct sim_event ev;

	if (!sim_queue_take(&net->queue, until_us, &ev)) {
		net->now_us = until_us;
		return false;
	}
	net->now_us = ev.at_us;
	look_ahead(net);
	if (ev.mail != SIM_WAKE)
		deliver(net, ev.mail);
	else
		wake(net, ev.host);
	return true;
}

void sim_net_run(struct sim_net *net, uint64_t until_us)
{
	while (sim_net_step(net, until_us))
		;
}
