/* dht_real — nodes of dht/, each with a socket's worth of simulator around it:
 * what it sends is posted, what comes is handed in with the time, and its next
 * wake-up is asked for after each call. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/be.h"
#include "core/mem.h"
#include "dht/node_internal.h"
#include "tests/sim/dht_actors.h"

static void on_send(void *arg, const struct addr *to, const void *bytes,
		    size_t len)
{
	struct sim_real *real = arg;

	sim_net_send(real->net, real->actor.host, to, bytes, len);
}

static void after(struct sim_real *real)
{
	uint64_t next_us = dht_node_next_us(real->node);

	if (next_us != UINT64_MAX)
		sim_net_wake_at(real->net, &real->actor, next_us);
	real->n_events++;
	if (real->check_every == 0 || real->n_events % real->check_every != 0)
		return;
	dht_node_check(real->node);
	real->net->n_checks++;
}

static void receive(struct sim_net *net, struct sim_actor *self,
		    const struct addr *from, const uint8_t *bytes, size_t len)
{
	struct sim_real *real = (struct sim_real *)self;

	(void)dht_node_receive(real->node, net->now_us, from, bytes, len);
	after(real);
}

static void on_wake(struct sim_net *net, struct sim_actor *self)
{
	struct sim_real *real = (struct sim_real *)self;

	/* It may have been put off since. */
	if (dht_node_next_us(real->node) <= net->now_us)
		dht_node_wake(real->node, net->now_us);
	after(real);
}

/* The actor; its node; where a search in the table begins. */
static void fetch(const struct sim_actor *self, int step)
{
	const struct sim_real *real = (const struct sim_real *)self;
	const struct shelf *table;

	if (step == 0) {
		__builtin_prefetch(real);
		return;
	}
	if (step == 1) {
		for (size_t i = 0; i < sizeof(*real->node); i += 64)
			__builtin_prefetch((const uint8_t *)real->node + i);
		return;
	}
	table = &real->node->half[DHT_IPV4].routing.table;
	for (uint32_t i = 0; i < table->n; i += 32)
		__builtin_prefetch(table->heads + i);
	__builtin_prefetch(real->node->flights.slots);
}

static void real_free(struct sim_net *net, struct sim_actor *self)
{
	struct sim_real *real = (struct sim_real *)self;

	dht_node_free(real->node);
	mem_free(real);
}

struct sim_real *sim_real_new(struct sim_net *net,
			      const struct sim_real_cfg *cfg)
{
	struct sim_real *real = sim_alloc(1, sizeof(*real));
	struct dht_cfg node = {
		.send = on_send,
		.arg = real,
		.hasher = net->hasher,
		.has = {[DHT_IPV4] = true},
		.is_read_only = cfg->is_read_only,
		.widest_bucket = cfg->widest,
		.is_unlimited = !cfg->has_limits,
	};
	struct addr self;

	real->actor = (struct sim_actor){.receive = receive,
					 .wake = on_wake,
					 .free = real_free,
					 .fetch = fetch};
	real->net = net;
	real->check_every = cfg->check_every;
	sim_net_add(net, &real->actor, cfg->ip);
	if (cfg->has_nat)
		net->flags[real->actor.host] |= SIM_NAT;
	for (size_t i = 0; i < sizeof(node.seed); i += 8)
		be64_put(node.seed + i, rng_next(&net->rng));
	self = sim_net_addr(net, real->actor.host);
	node.external[DHT_IPV4] = &self;
	if (dht_node_new(&node, net->now_us, &real->node) != 0)
		abort();
	after(real);
	return real;
}

void sim_real_tell(struct sim_real *real, const struct addr *a)
{
	dht_node_endpoint(real->node, real->net->now_us, a);
	after(real);
}

uint32_t sim_real_count(const struct sim_real *real, uint8_t flag)
{
	const struct shelf *table = &real->node->half[DHT_IPV4].routing.table;
	uint32_t n = 0;

	for (uint32_t i = 0; i < table->n; i++) {
		struct addr a = contact_addr(table, shelf_at(table, i));
		uint32_t host = sim_net_host(real->net, &a);

		n += host != UINT32_MAX && (real->net->flags[host] & flag);
	}
	return n;
}

/* ---- searches ---- */

static uint64_t out_queries(const struct dht_node *node)
{
	struct dht_stats stats;

	dht_node_stats(node, &stats);
	return stats.out_queries;
}

static void on_peers(void *arg, const struct addr *peers, size_t n)
{
	struct sim_search *s = arg;

	for (size_t i = 0; i < n; i++) {
		s->n_peers++;
		if (!addr_eq_host(&peers[i], &s->wanted)) {
			s->n_false++;
		} else if (s->first_us == 0) {
			s->first_us = s->net->now_us - s->started_us;
			s->n_asked_first =
				out_queries(s->node) - s->n_asked_first;
		}
	}
}

static void on_end(void *arg, const struct dht_outcome *outcome)
{
	struct sim_search *s = arg;

	assert(!s->has_ended);
	s->has_ended = true;
	s->end_us = s->net->now_us - s->started_us;
	s->n_asked = outcome->n_asked;
	s->n_stored = outcome->n_stored;
}

void sim_real_search(struct sim_real *real, struct sim_search *out,
		     uint16_t announce_port, enum dht_pace pace)
{
	struct dht_search_cfg cfg = {
		.ask = DHT_ASK_PEERS,
		.pace = pace,
		.target = out->target,
		.announce_port = announce_port,
		.on_peers = on_peers,
		.on_end = on_end,
		.arg = out,
	};

	out->net = real->net;
	out->node = real->node;
	out->n_asked_first = out_queries(real->node);
	out->started_us = real->net->now_us;
	if (dht_search_start(real->node, real->net->now_us, &cfg, NULL) != 0)
		abort();
	after(real);
}
