/* dht_liars — nodes that do harm.
 *
 *   SYBIL     many, of few networks, with ids made to be near one target: tells
 *             only of its own kind, takes announces, has no peer
 *   WRONG_ID  answers each time with another id
 *   FALSE     tells of peers that are none, and of nodes that are dead
 *   LONG      tells of forty nodes where eight are usual, all of them somebody
 *             else's addresses
 *
 * What a liar says is well-formed otherwise: what is not is the fuzzers'. */
#include <stdlib.h>
#include <string.h>

#include "core/be.h"
#include "core/mem.h"
#include "dht/krpc.h"
#include "tests/sim/dht_actors.h"

enum { TOLD = 8, TOLD_LONG = 40, FALSE_PEERS = 20 };

struct sim_liar {
	struct sim_actor actor;
	struct sim_gang *gang;
	enum sim_lie lie;
	struct dht_id id;
	uint32_t next_tid;
};

static void random_id(struct sim_net *net, struct dht_id *id)
{
	for (int i = 0; i < DHT_ID_BYTES; i += 4)
		be32_put(id->b + i, (uint32_t)rng_next(&net->rng));
}

static void put_node(uint8_t *p, const struct dht_id *id, uint32_t ip)
{
	memcpy(p, id->b, DHT_ID_BYTES);
	be32_put(p + DHT_ID_BYTES, ip);
	be16_put(p + DHT_ID_BYTES + 4, SIM_PORT);
}

/* An id that begins as the target does: who would not ask it? */
static void near_id(struct sim_net *net, const struct dht_id *target,
		    struct dht_id *out)
{
	random_id(net, out);
	memcpy(out->b, target->b, 6);
}

/* Returns the bytes. */
static size_t tell_nodes(struct sim_net *net, struct sim_liar *liar,
			 const struct dht_id *target, uint8_t *out)
{
	uint32_t n = liar->lie == SIM_LIE_LONG ? TOLD_LONG : TOLD;

	for (uint32_t i = 0; i < n; i++) {
		uint8_t *p = out + i * KRPC_NODE4_BYTES;
		struct dht_id id;

		if (liar->lie == SIM_LIE_SYBIL) {
			struct sim_liar *other = liar->gang->liars[rng_below(
				&net->rng, liar->gang->n)];

			put_node(p, &other->id, net->ips[other->actor.host]);
			continue;
		}
		near_id(net, target, &id);
		put_node(p, &id, sim_net_ip(net));
	}
	return (size_t)n * KRPC_NODE4_BYTES;
}

static void answer(struct sim_net *net, struct sim_liar *liar,
		   const struct addr *from, const struct krpc_msg *m)
{
	uint8_t nodes[TOLD_LONG * KRPC_NODE4_BYTES], out[1400];
	uint8_t peers[FALSE_PEERS * ADDR_COMPACT4];
	struct dht_id wrong;
	struct krpc_answer a = {.tid = m->tid, .to = from, .self = &liar->id};
	size_t len;

	if (liar->lie == SIM_LIE_WRONG_ID) {
		random_id(net, &wrong);
		a.self = &wrong;
	}
	if (m->args.target != NULL)
		a.nodes = span_of(nodes,
				  tell_nodes(net, liar, m->args.target, nodes));
	if (m->method == KRPC_GET_PEERS) {
		a.token = span_str("token");
		if (liar->lie == SIM_LIE_FALSE) {
			for (int i = 0; i < FALSE_PEERS; i++) {
				be32_put(peers + i * ADDR_COMPACT4,
					 sim_net_ip(net));
				be16_put(peers + i * ADDR_COMPACT4 + 4, 6882);
			}
			a.peers = peers;
			a.n_peers = FALSE_PEERS;
			a.peer_bytes = ADDR_COMPACT4;
		}
	}
	len = krpc_encode_answer(out, sizeof(out), &a);
	if (len > 0)
		sim_net_send(net, liar->actor.host, from, out, len);
}

static void receive(struct sim_net *net, struct sim_actor *self,
		    const struct addr *from, const uint8_t *bytes, size_t len)
{
	struct sim_liar *liar = (struct sim_liar *)self;
	struct krpc_msg m;

	if (krpc_decode(&m, bytes, len) == 0 && m.kind == KRPC_QUERY)
		answer(net, liar, from, &m);
}

static void on_wake(struct sim_net *net, struct sim_actor *self)
{
}

static void liar_free(struct sim_net *net, struct sim_actor *self)
{
	mem_free(self);
}

struct sim_liar *sim_liar_new(struct sim_net *net, struct sim_gang *gang,
			      enum sim_lie lie, uint32_t ip,
			      const struct dht_id *id)
{
	struct sim_liar *liar = sim_alloc(1, sizeof(*liar));

	liar->actor = (struct sim_actor){
		.receive = receive, .wake = on_wake, .free = liar_free};
	liar->gang = gang;
	liar->lie = lie;
	liar->id = *id;
	sim_net_add(net, &liar->actor, ip);
	if (gang->n == gang->room) {
		gang->room = gang->room != 0 ? gang->room * 2 : 64;
		gang->liars =
			sim_grow(gang->liars, gang->room, sizeof(*gang->liars));
	}
	gang->liars[gang->n++] = liar;
	return liar;
}

uint32_t sim_liar_host(const struct sim_liar *liar)
{
	return liar->actor.host;
}

void sim_liar_greet(struct sim_net *net, struct sim_liar *liar,
		    const struct addr *to, const struct dht_id *target)
{
	struct krpc_query q = {
		.method = KRPC_FIND_NODE,
		.tid = ++liar->next_tid,
		.self = &liar->id,
		.target = target,
	};
	uint8_t bytes[256];
	size_t len = krpc_encode_query(bytes, sizeof(bytes), &q);

	sim_net_send(net, liar->actor.host, to, bytes, len);
}

void sim_gang_fini(struct sim_gang *gang)
{
	mem_free(gang->liars);
	*gang = (struct sim_gang){0};
}
