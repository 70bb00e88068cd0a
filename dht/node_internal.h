/* node_internal — what the files of a node share: node.c (life, datagrams in
 * and out), answer.c (queries of others), search.c, harvest.c and storing.c
 * (ours), upkeep.c (the table, our address). */
#ifndef SHOAL_DHT_NODE_INTERNAL_H
#define SHOAL_DHT_NODE_INTERNAL_H

#include "core/queue.h"
#include "core/rng.h"
#include "core/siphash.h"
#include "dht/dht_limits.h"
#include "dht/flights.h"
#include "dht/flood.h"
#include "dht/hostset.h"
#include "dht/items.h"
#include "dht/krpc.h"
#include "dht/lookup.h"
#include "dht/node.h"
#include "dht/peerstore.h"
#include "dht/routing.h"
#include "dht/rttmodel.h"
#include "dht/sampler.h"
#include "dht/token.h"
#include "dht/votes.h"

struct best_item;
struct filters;
struct hmap;

/* One family's network, and we in it. */
struct half {
	struct routing routing; /* its `self` is our id */
	struct votes votes;
	struct addr external;
	struct dht_search *self_search; /* for our own id; NULL: none runs */
	struct addr
		*endpoints; /* that we were told of, for when we are lonely */
	uint8_t n_endpoints;
	uint64_t lonely_us; /* when to look for the network again */
	uint32_t lonely_step_us;
	bool is_on;
	bool has_external;
	bool is_id_fixed;
};

struct dht_node {
	struct dht_cfg cfg; /* `external` and `id` are not looked at again */
	struct siphash_key key;
	uint64_t n_random;
	uint64_t born_us;
	struct half half[DHT_FAMILIES];
	struct flights flights;
	struct rttmodel rtt;
	struct hostset dead, proven;

	/* what others store with us, and how much they may ask */
	struct siphash_key secret; /* of tokens */
	struct rng rng;		   /* of what need not be a secret */
	struct peerstore peers;
	struct items items;
	struct sampler sampler;
	struct flood flood;
	uint64_t stored_us; /* when some of it is too old */

	TAILQ_HEAD(, dht_search) searches;
	uint32_t n_searches;

	uint16_t seen_tick;	 /* the last time that came in, as a tick */
	uint64_t last_answer_us; /* of anybody; 0: never */
	uint64_t upkeep_us;	 /* when it is due */
	uint64_t search_us; /* the first deadline of a search, or earlier */
	uint64_t upkeep_credit_us; /* of the message budget: the time it is
				      paid until */
	uint64_t answered_us[2];   /* likewise of answer_Bps: to strangers, to
				      the proven */
	uint32_t depth; /* inside receive or wake: callbacks may run */
	bool has_ended; /* a search waits to be freed */

	uint64_t in_datagrams, in_bytes, out_datagrams, out_bytes;
	uint64_t in_queries, in_answers, in_errors;
	uint64_t out_queries, out_answers, out_errors;
	uint64_t timeouts;
	uint64_t dropped[DHT_DROPS];
};

enum search_state { SEARCH_ASKING, SEARCH_STORING, SEARCH_ENDED };

/* What a search stores in the end: an announce, or an item. */
struct gift {
	bool has_put, has_cas;
	struct dht_item put; /* borrowed */
	int64_t cas;
};

/* A search. ENDED: no callback runs any more; freed when nobody is inside. */
struct dht_search {
	TAILQ_ENTRY(dht_search) link;
	struct dht_node *node; /* Owner */
	struct dht_search_cfg cfg;
	uint8_t key[KRPC_KEY_BYTES];
	uint8_t salt[DHT_SALT_MAX];
	struct lookup lookup[DHT_FAMILIES];
	bool has[DHT_FAMILIES];
	bool is_own; /* of upkeep's: does not count */
	enum search_state state;
	uint64_t deadline_us; /* of the clock */
	bool is_cut;	      /* at its deadline; what it found is used */
	uint32_t n_storing;   /* queries under way, of STORING */
	struct gift gift;
	struct dht_outcome outcome;
	struct hmap *peers;	 /* told already */
	struct best_item *best;	 /* BEP 44 */
	struct filters *filters; /* BEP 33 */
};

/* ---- node.c ---- */

/* node_random — from the seed. */
uint64_t node_random(struct dht_node *n);
void node_random_id(struct dht_node *n, struct dht_id *out);
uint16_t node_tick(const struct dht_node *n, uint64_t now_us);
enum dht_family node_family(const struct addr *a);
uint64_t node_host_hash(const struct dht_node *n, const struct addr *a);

/* node_is_online — somebody answered lately, so that silence means something.
 */
bool node_is_online(const struct dht_node *n, uint64_t now_us);

/* node_can_be — `a`, told by `from` (NULL: by whoever runs us), may be a node
 * or a peer: not unspecified, not ourselves, of a family that we have; a local
 * address only if `from` is local too. */
bool node_can_be(const struct dht_node *n, const struct addr *a,
		 const struct addr *from);

/* node_ask — send a query, and wait for its answer as `like` says: what for,
 * to whom; its times are filled in. The flight is lent; NULL: it was not sent.
 */
struct flight *node_ask(struct dht_node *n, uint64_t now_us,
			const struct flight *like, struct krpc_query *q);
void node_send(struct dht_node *n, const struct addr *to, const void *bytes,
	       size_t len);

/* ---- answer.c ---- */

void answer_query(struct dht_node *n, uint64_t now_us, const struct addr *from,
		  const struct krpc_msg *m, size_t len);

/* ---- search.c ---- */

/* search_new — as dht_search_start, in the families of `has`, and without a
 * query yet. */
int search_new(struct dht_node *n, uint64_t now_us,
	       const struct dht_search_cfg *cfg, const bool has[DHT_FAMILIES],
	       struct dht_search **out);
void search_begin(struct dht_search *s, uint64_t now_us);

/* search_poke — somebody new may be asked. search_is_complete — nobody else
 * need be. */
void search_poke(struct dht_search *s, uint64_t now_us, enum dht_family f);
bool search_is_complete(const struct dht_search *s);

/* What happened to a query of a search; `m` is the answer. */
void search_on_answer(struct dht_search *s, uint64_t now_us,
		      const struct flight *fl, const struct krpc_msg *m);
void search_on_failed(struct dht_search *s, uint64_t now_us,
		      const struct flight *fl);
void search_on_stall(struct dht_search *s, uint64_t now_us,
		     const struct flight *fl, bool is_late);

/* search_on_node — there is a new contact: whoever has nobody to ask does. */
void search_on_node(struct dht_node *n, uint64_t now_us,
		    const struct dht_id *id, const struct addr *a);
void search_wake(struct dht_node *n, uint64_t now_us);
void search_free(struct dht_search *s);
void search_end(struct dht_search *s, enum dht_end why);

/* ---- storing.c ---- */

/* storing_begin — the closest are known; the search may end in it, as in all
 * of these. storing_advance — there are more of them. */
void storing_begin(struct dht_search *s, uint64_t now_us);
void storing_advance(struct dht_search *s, uint64_t now_us);

/* What happened to a query of it. */
void storing_on_answer(struct dht_search *s, uint64_t now_us,
		       const struct flight *fl);
void storing_on_outdone(struct dht_search *s, const struct flight *fl);
void storing_on_failed(struct dht_search *s, uint64_t now_us,
		       const struct flight *fl);
void storing_on_late(struct dht_search *s, uint64_t now_us,
		     const struct flight *fl);

/* ---- harvest.c ---- */

/* harvest_take — what an answer brought; callbacks run. False: it lies.
 * harvest_count — the outcome of the filters. harvest_best — the best item,
 * lent; NULL: none. */
bool harvest_take(struct dht_search *s, const struct flight *fl,
		  const struct krpc_args *a);
void harvest_count(struct dht_search *s);
const struct dht_item *harvest_best(const struct dht_search *s);
void harvest_fini(struct dht_search *s);

/* ---- upkeep.c ---- */

void upkeep_init(struct dht_node *n, uint64_t now_us);
void upkeep_wake(struct dht_node *n, uint64_t now_us);

/* upkeep_soon — there is something to do that was not there before. */
void upkeep_soon(struct dht_node *n, uint64_t now_us);

/* upkeep_ask — a find_node for the table, to a contact or an endpoint (`id`
 * NULL), if the budget has it. upkeep_can_ask — it has. */
bool upkeep_can_ask(const struct dht_node *n, uint64_t now_us);
bool upkeep_ask(struct dht_node *n, uint64_t now_us, const struct dht_id *id,
		const struct addr *a);

/* upkeep_on_voice — `from` says that `ip` is our address. */
void upkeep_on_voice(struct dht_node *n, uint64_t now_us,
		     const struct addr *from, struct span ip);

/* upkeep_hear_nodes — of an answer of `from`: into `s` (may be NULL) and the
 * tables. */
void upkeep_hear_nodes(struct dht_node *n, uint64_t now_us,
		       struct dht_search *s, const struct addr *from,
		       const struct krpc_args *args);

/* upkeep_on_stored — something was: it will have to go one day. */
void upkeep_on_stored(struct dht_node *n, uint64_t now_us);

/* upkeep_look_around — search for our own id, from contacts and endpoints; one
 * that is under way is told of new endpoints. */
void upkeep_look_around(struct dht_node *n, uint64_t now_us, enum dht_family f);

#endif
