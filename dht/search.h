/* search — the part of a node's face that looks for something: nodes, peers,
 * items or samples on the way to a target, each answer handed on as it comes,
 * then an announce or a put. What dht/node.h says of time, callbacks and
 * threads holds here too. */
#ifndef SHOAL_DHT_SEARCH_H
#define SHOAL_DHT_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/span.h"
#include "dht/nodeid.h"

struct dht_node; /* dht/node.h */
struct dht_search;

/* What is asked on the way to the target. */
enum dht_ask {
	DHT_ASK_NODES,	 /* find_node */
	DHT_ASK_PEERS,	 /* get_peers */
	DHT_ASK_ITEM,	 /* get (BEP 44) */
	DHT_ASK_SAMPLES, /* sample_infohashes (BEP 51) */
};

enum dht_pace {
	DHT_PACE_URGENT,     /* somebody waits */
	DHT_PACE_BACKGROUND, /* few messages rather than little time */
};

/* An item of BEP 44, lent. Immutable: only `value`. */
struct dht_item {
	struct span value; /* bencoded, at most DHT_ITEM_MAX bytes */
	bool is_mutable;
	const uint8_t *key; /* 32 bytes */
	const uint8_t *sig; /* 64 bytes */
	int64_t seq;
	struct span salt;
};

struct dht_samples {
	const struct addr *from;
	const uint8_t *hashes; /* 20 bytes each */
	size_t n;
	uint32_t stored;     /* how many it says it has */
	uint32_t interval_s; /* not to be asked again before */
};

enum dht_end {
	DHT_END_DONE,	  /* the closest nodes have answered */
	DHT_END_NOBODY,	  /* no node answered at all */
	DHT_END_DEADLINE, /* cut short */
};

struct dht_outcome {
	enum dht_end why;
	uint32_t n_asked;    /* messages sent, announces included */
	uint32_t n_answered; /* nodes */
	uint32_t n_peers;    /* told by on_peers, each once */
	uint32_t n_stored;  /* nodes that took the announce, or the item, … */
	bool is_thin;	    /* … but of a network where we know somebody not
			       as many as should have it (BEP 5: eight) */
	uint32_t n_outdone; /* a put: nodes that have something newer now; */
	bool is_outdone;    /* half or more of the closest that had a say */
	/* BEP 33, with is_scrape; 0 when nobody answered it. */
	uint32_t seeds_about;
	uint32_t leeches_about;
};

struct dht_search_cfg {
	enum dht_ask ask;
	enum dht_pace pace;
	struct dht_id target;
	uint64_t deadline_us; /* after now; 0: DHT_SEARCH_DEADLINE_US */

	/* With DHT_ASK_PEERS: then announce us, at this port (0: do not); with
	 * is_port_implied at the port that our datagrams seem to come from. */
	uint16_t announce_port;
	bool is_port_implied;
	bool is_seed;	/* BEP 33: so we announce ourselves */
	bool is_scrape; /* BEP 33: ask for the filters */

	/* With DHT_ASK_ITEM of a mutable item: its key (borrowed) and salt, of
	 * which `target` must have been made; and only what is newer than
	 * `seq_known`. A NULL key: immutable. */
	const uint8_t *key;
	struct span salt;
	bool has_seq_known;
	int64_t seq_known;

	/* Each may be NULL. No peer is told twice. */
	void (*on_peers)(void *arg, const struct addr *peers, size_t n);
	void (*on_item)(void *arg, const struct dht_item *item); /* verified */
	void (*on_samples)(void *arg, const struct dht_samples *samples);

	/* Put an item (DHT_ASK_ITEM): called once when the closest nodes are
	 * known, with the best item they had (or NULL). Fill in `put`, whose
	 * parts are borrowed until on_end, and say true; false: put nothing.
	 * With has_cas the nodes refuse unless they still have that seq. */
	bool (*on_put)(void *arg, const struct dht_item *best,
		       struct dht_item *put, bool *has_cas, int64_t *cas);

	/* Exactly once, last, unless cancelled; the search is gone then. */
	void (*on_end)(void *arg, const struct dht_outcome *outcome);
	void *arg;
};

/* dht_search_start — queries leave at once; no callback runs inside. Lends
 * `*out` (may be NULL) until on_end has returned or it was cancelled. 0,
 * ENOMEM, or EAGAIN when DHT_SEARCHES_MAX run already. */
int dht_search_start(struct dht_node *n, uint64_t now_us,
		     const struct dht_search_cfg *cfg, struct dht_search **out);

/* dht_search_cancel — its callbacks do not run any more. */
void dht_search_cancel(struct dht_search *s);

#endif
