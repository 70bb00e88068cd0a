/* dht_actors — who takes part in a network of dht_net.h beside model nodes:
 * real nodes and their searches, rivals' searches, liars. */
#ifndef SHOAL_SIM_DHT_ACTORS_H
#define SHOAL_SIM_DHT_ACTORS_H

#include "dht/node.h"
#include "dht/search.h"
#include "tests/sim/dht_net.h"

/* ---- real nodes (dht_real.c) ---- */

struct sim_real {
	struct sim_actor actor;
	struct sim_net *net;
	struct dht_node *node;
	uint32_t n_events;
	uint32_t check_every; /* events between two dht_node_check; 0: never */
};

struct sim_real_cfg {
	uint32_t ip;	 /* 0: any */
	uint16_t widest; /* 0: the node's own */
	uint32_t check_every;
	bool is_read_only, has_nat;
	bool has_limits; /* on what one host may ask */
};

/* sim_real_new — a node, a host of the net; it knows nobody. */
struct sim_real *sim_real_new(struct sim_net *net,
			      const struct sim_real_cfg *cfg);

/* sim_real_tell — an address where somebody may answer. */
void sim_real_tell(struct sim_real *real, const struct addr *a);

/* sim_real_count — contacts whose hosts have that flag. */
uint32_t sim_real_count(const struct sim_real *real, uint8_t flag);

/* What came of a search, of any kind. */
struct sim_search {
	struct sim_net *net;
	struct dht_node *node; /* of a real one */
	struct dht_id target;
	struct addr wanted; /* the peer that is to be found */
	uint64_t started_us;
	uint64_t first_us; /* after the start: the wanted one came; 0: not */
	uint64_t end_us;   /* after the start */
	uint64_t n_asked_first; /* queries until then */
	uint32_t n_asked;	/* in all */
	uint32_t n_stored;
	uint32_t n_peers, n_false;
	bool has_ended;
};

/* sim_real_search — for `out->target`; announce_port 0: do not announce. */
void sim_real_search(struct sim_real *real, struct sim_search *out,
		     uint16_t announce_port, enum dht_pace pace);

/* ---- rivals (dht_rivals.c) ---- */

enum sim_policy {
	SIM_LIBTORRENT,	  /* 5 at the top, 1 s and 15 s, 128/64/32/16/8 */
	SIM_LIBTORRENT_8, /* the same with buckets of eight */
	SIM_JECH,	  /* 4 in flight, 14 candidates, 10 s, 128/64/32/16/8 */
	SIM_KADEMLIA,	  /* BEP 5 by the book: 3 in flight, 2 s */
	SIM_POLICIES,
};

extern const char *const sim_policy_name[SIM_POLICIES];

/* sim_rival_search — a node of its own, born for one search, whose table is
 * computed as a model node's is; gone when the net is. */
void sim_rival_search(struct sim_net *net, enum sim_policy policy,
		      struct sim_search *out);

/* ---- liars (dht_liars.c) ---- */

enum sim_lie {
	SIM_LIE_SYBIL,	  /* knows only its own kind, finds no peer */
	SIM_LIE_WRONG_ID, /* answers with another id than it is known by */
	SIM_LIE_FALSE,	  /* gives peers that are none */
	SIM_LIE_LONG,	  /* gives far more nodes than were asked, all dead */
};

struct sim_liar;

/* A gang: they know each other. */
struct sim_gang {
	struct sim_liar **liars;
	uint32_t n, room;
};

struct sim_liar *sim_liar_new(struct sim_net *net, struct sim_gang *gang,
			      enum sim_lie lie, uint32_t ip,
			      const struct dht_id *id);

uint32_t sim_liar_host(const struct sim_liar *liar);

/* sim_liar_greet — asks a node something, to get into its table. */
void sim_liar_greet(struct sim_net *net, struct sim_liar *liar,
		    const struct addr *to, const struct dht_id *target);
void sim_gang_fini(struct sim_gang *gang);

#endif
