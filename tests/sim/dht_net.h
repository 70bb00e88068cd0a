/* dht_net — a network of DHT nodes in one process: hosts, the datagrams between
 * them, one clock, one seed. See docs/TESTING.md, "The simulator".
 *
 * Hosts are numbers. The first `n_model` are model nodes (dht_model.c): sorted
 * by id, a few dozen bytes each, which answer from a routing table that is
 * computed when it is looked at. The others are actors: real nodes
 * (dht_real.c), rivals (dht_rivals.c), liars (dht_liars.c).
 *
 * Everything here aborts without memory. */
#ifndef SHOAL_SIM_DHT_NET_H
#define SHOAL_SIM_DHT_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/rng.h"
#include "dht/nodeid.h"
#include "tests/sim/dht_queue.h"

struct hasher;
struct sim_net;

/* What an actor does. */
struct sim_actor {
	void (*receive)(struct sim_net *net, struct sim_actor *self,
			const struct addr *from, const uint8_t *bytes,
			size_t len);
	void (*wake)(struct sim_net *net, struct sim_actor *self);
	void (*free)(struct sim_net *net, struct sim_actor *self);

	/* Something will happen to it: what that needs is fetched from memory,
	 * in three steps. NULL: nothing is. */
	void (*fetch)(const struct sim_actor *self, int step);
	uint32_t host;	  /* filled in by sim_net_add */
	uint64_t wake_us; /* UINT64_MAX: not set */
};

/* Of any host. */
enum {
	SIM_ALIVE = 1,
	SIM_NAT = 2,  /* hears only whom it wrote to */
	SIM_WEST = 4, /* a side of a partition */
	SIM_SYBIL = 8,
};

struct sim_link_cfg {
	double rtt_ms, sigma; /* lognormal: median, and of the logarithm */
	double jitter;	      /* of each datagram, a share */
	double loss;
	bool is_fresh; /* a round trip of its own for each datagram, not one
			  for each pair of hosts */
};

struct sim_net_cfg {
	uint64_t seed;
	struct sim_link_cfg link;
	uint32_t n_model; /* those that are dead included */
	double fits;	  /* the share whose id BEP 42 allows */
};

struct sim_counts {
	uint64_t sent, sent_bytes, delivered, lost, to_nobody, wakes;
};

struct sim_place {
	uint32_t ip, host; /* 1 + host; 0: free */
};

/* In a NAT. */
struct sim_hole {
	uint64_t pair, until_us;
};

struct sim_net {
	struct sim_net_cfg cfg;
	uint64_t now_us;
	struct rng rng;
	struct sim_queue queue;
	struct sim_post post;
	uint32_t delays[4096]; /* µs one way, by rank */
	uint64_t trace;	       /* a hash of everything that happened */
	struct sim_counts counts;
	uint64_t n_checks; /* of invariants, of whole nodes */
	struct hasher *hasher;
	bool is_parted;
	struct sim_hole *holes;

	/* hosts */
	uint32_t n, room;
	uint32_t *ips;
	uint8_t *flags;
	struct dht_id *ids;	   /* of model nodes, sorted */
	uint32_t *index16;	   /* where ids of each first 16 bits begin */
	struct sim_place *by_ip;   /* open addressing */
	uint32_t by_ip_room;	   /* a power of two */
	struct sim_actor **actors; /* [host - n_model] */
	uint32_t actors_room;

	struct sim_kept *kept; /* what model nodes keep; open addressing */
	uint32_t n_kept, kept_room;

	/* Whoever listens in: called for each datagram that is sent. */
	void (*on_send)(void *arg, uint32_t from, const struct addr *to,
			const uint8_t *bytes, size_t len);
	void *arg;
};

enum { SIM_PORT = 6881 };

void sim_net_init(struct sim_net *net, const struct sim_net_cfg *cfg);
void sim_net_fini(struct sim_net *net);

/* sim_net_add — the actor is a host now, alive, under this address (0: any
 * that is free). sim_net_remove — its host is dead, and it is freed. */
void sim_net_add(struct sim_net *net, struct sim_actor *actor, uint32_t ip);
void sim_net_remove(struct sim_net *net, struct sim_actor *actor);
struct sim_actor *sim_net_actor(const struct sim_net *net, uint32_t host);

/* sim_net_ip — an address that nobody has, a network of its own. */
uint32_t sim_net_ip(struct sim_net *net);
struct addr sim_net_addr(const struct sim_net *net, uint32_t host);

/* sim_net_host — who has that address; UINT32_MAX: nobody. */
uint32_t sim_net_host(const struct sim_net *net, const struct addr *a);

/* sim_net_send — as from `host`; sim_net_wake_at — call the actor's wake. */
void sim_net_send(struct sim_net *net, uint32_t host, const struct addr *to,
		  const void *bytes, size_t len);
void sim_net_wake_at(struct sim_net *net, struct sim_actor *actor,
		     uint64_t at_us);

/* sim_net_forge — host sends in the name of another's address. */
void sim_net_forge(struct sim_net *net, uint32_t host, const struct addr *as,
		   const struct addr *to, const void *bytes, size_t len);

/* sim_net_step — the next event; false: none before `until_us`, which is then
 * the time. sim_net_run — all of them. */
bool sim_net_step(struct sim_net *net, uint64_t until_us);
void sim_net_run(struct sim_net *net, uint64_t until_us);

/* sim_net_rtt_us — of the pair, without jitter. */
uint32_t sim_net_rtt_us(const struct sim_net *net, uint32_t a, uint32_t b);

/* ---- dht_model.c ---- */

void sim_model_init(struct sim_net *net);
void sim_model_fini(struct sim_net *net);
void sim_model_receive(struct sim_net *net, uint32_t host,
		       const struct addr *from, const uint8_t *bytes,
		       size_t len);

/* sim_model_closest — the model nodes closest to `target` in the table of who
 * has id `self` (`salt` tells apart tables of equal ids), whose buckets hold
 * `widest`, half of it, … and eight; up to `most`. */
uint32_t sim_model_closest(const struct sim_net *net, const struct dht_id *self,
			   uint64_t salt, uint32_t widest,
			   const struct dht_id *target, uint32_t *out,
			   uint32_t most);

/* sim_model_nearest — of all alive ones, the nearest to `target`. */
uint32_t sim_model_nearest(const struct sim_net *net,
			   const struct dht_id *target, uint32_t *out,
			   uint32_t most);

/* sim_mix — 64 bits that depend on all of both. */
static inline uint64_t sim_mix(uint64_t a, uint64_t b)
{
	a ^= b + UINT64_C(0x9e3779b97f4a7c15) + (a << 6) + (a >> 2);
	a = (a ^ (a >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	a = (a ^ (a >> 27)) * UINT64_C(0x94d049bb133111eb);
	return a ^ (a >> 31);
}

#endif
