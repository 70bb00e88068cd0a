/* dht_scenes — networks to look at, and their figures. */
#ifndef SHOAL_SIM_DHT_SCENES_H
#define SHOAL_SIM_DHT_SCENES_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/dht_actors.h"

/* Of many searches, by one policy. */
struct sim_figures {
	uint32_t n, n_found;
	double p50_ms, p90_ms, p99_ms; /* the first peers; not found: the end */
	double asked;		       /* queries of one search, to its end */
	double asked_first;	       /* … and until the first peers */
	double asked_p99;
	double end_p50_ms;
};

struct sim_figures sim_figures_of(const struct sim_search *s, uint32_t n);

/* ---- searches in a large network of model nodes ---- */

struct sim_large {
	uint64_t seed;
	struct sim_link_cfg link;
	uint32_t n_alive;     /* besides, as many are dead as `dead` says */
	double dead;	      /* of all that tables have */
	bool is_fresh_table;  /* searchers' tables have none that are dead */
	uint32_t n_searchers; /* real nodes, one first search each … */
	uint32_t n_later;     /* … and so many after it */
	uint32_t n_keys;
	uint32_t warm_s;
	bool has_rivals;
	bool is_all_real; /* no model nodes at all; then without rivals */
};

struct sim_large_figures {
	struct sim_figures first, later;
	struct sim_figures rivals[SIM_POLICIES];
	uint32_t n_stored_least;	/* nodes that took an announce */
	double contacts, dead_contacts; /* of a searcher, before its search */
	uint64_t trace;
	struct sim_counts counts;
};

void sim_large_run(const struct sim_large *cfg, struct sim_large_figures *out);

/* ---- the scene of bench dht sockets ---- */

struct sim_young {
	uint64_t seed;
	struct sim_link_cfg link;
	uint32_t n_alive; /* as many fall silent */
	uint32_t n_rounds, n_searchers, n_searches;
};

struct sim_young_figures {
	struct sim_figures all, first, second, later;
	uint64_t trace;
};

void sim_young_run(const struct sim_young *cfg, struct sim_young_figures *out);

/* ---- real nodes only, that come and go, search and announce ---- */

struct sim_crowd {
	uint64_t seed;
	struct sim_link_cfg link;
	uint32_t n_nodes;   /* at a time */
	double nat;	    /* the share behind a NAT */
	uint32_t session_s; /* mean life of a node; 0: for ever */
	uint32_t join_s;    /* they come in so long */
	uint32_t settle_s;  /* and live for so long before the searches */
	uint32_t n_keys, n_searches;
	uint32_t searches_s;  /* they begin within so long */
	uint32_t check_every; /* events of a node between two checks */

	/* Some of them lie; addresses of their own networks. */
	uint32_t n_wrong_id, n_false, n_long;

	/* Sybils around the first key, in so many /24s. */
	uint32_t n_sybils, n_sybil_nets;

	/* The network is cut in two, in the middle of settling. */
	uint32_t parted_s;

	/* Queries with the address of somebody else as the sender. */
	uint32_t n_forged;
};

struct sim_crowd_figures {
	struct sim_figures searches;
	uint32_t n_stored_least;
	double contacts;      /* of a node, in the mean */
	double sybil_share;   /* of all contacts */
	uint32_t sybils_most; /* in one node's table */
	double forged_gain,
		forged_asked; /* bytes at the victim, for each byte forged */
	uint64_t n_checks;
	uint64_t trace;
	struct sim_counts counts;
};

void sim_crowd_run(const struct sim_crowd *cfg, struct sim_crowd_figures *out);

/* ---- a node that is asked by many ---- */

struct sim_asked {
	uint64_t seed;
	uint32_t n_strangers, seconds;
};

struct sim_asked_figures {
	uint64_t n_asked, n_answered;
	uint64_t n_messages;	  /* delivered, both ways */
	uint64_t wall_us, cpu_us; /* not of the simulated time */
	struct sim_counts counts;
	uint64_t trace;
};

void sim_asked_run(const struct sim_asked *cfg, struct sim_asked_figures *out);

#endif
