/* node — one node of the Mainline DHT, without I/O of its own: datagrams and
 * the time go in, datagrams and the next wake-up come out. BEP 5, 32, 33, 42,
 * 43, 44 and 51.
 *
 * Life: dht_node_new → dht_node_endpoint or dht_node_load → receive, wake and
 *       searches by turns → dht_node_free, which ends what still runs without
 *       a word to anybody.
 * Time: microseconds of one monotonic clock; never runs backwards; it comes in
 *       with each call, and is nowhere else.
 * Callbacks (send and those of searches) run inside receive and wake, never
 *       inside another call of this header, but for send, which also runs
 *       inside whatever is given the time. They may call everything here but
 *       dht_node_free, receive and wake; send may call nothing.
 * Memory: a node at rest is some 1.5 KiB and its contacts, 42 bytes each
 *       (IPv6: 54). Receiving a query allocates nothing, unless it stores.
 * Replay: the same seed and the same calls give the same datagrams.
 * Thread: one at a time; nodes share nothing. */
#ifndef SHOAL_DHT_NODE_H
#define SHOAL_DHT_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/buf.h"
#include "core/span.h"
#include "dht/nodeid.h" /* struct dht_id */
#include "dht/search.h"

struct dht_node;
struct hasher; /* core/hash.h */

enum dht_family { DHT_IPV4, DHT_IPV6, DHT_FAMILIES };

struct dht_cfg {
	/* A datagram of at most DHT_DATAGRAM_MAX bytes; borrowed. */
	void (*send)(void *arg, const struct addr *to, const void *bytes,
		     size_t len);
	void *arg;

	/* Everything random comes of it: the kernel's (rng_bytes) in earnest,
	 * since whoever knows it can forge answers and tokens. */
	uint8_t seed[16];

	struct hasher *hasher; /* kept until free; nodes may share one */

	/* Which networks there are; at least one. */
	bool has[DHT_FAMILIES];

	/* BEP 43: answers nobody, and says so in each query. */
	bool is_read_only;

	/* Our address as the world sees it, if it is known for sure (keeps
	 * nothing; NULL: found by vote), and our ids (NULL: made from the
	 * address by BEP 42, or at random until there is one). */
	const struct addr *external[DHT_FAMILIES];
	const struct dht_id *id[DHT_FAMILIES];

	/* Contacts in the widest bucket; the next hold half of it each, none
	 * less than eight. 0: DHT_BUCKET_WIDEST. */
	uint16_t widest_bucket;

	/* Nobody asks too much: for simulators and measurements. */
	bool is_unlimited;

	/* Bytes of answers a second, in the mean of DHT_ANSWER_BURST_S, to
	 * hosts that have not proven their address; and as many to those that
	 * have, so that forged senders do not silence us. 0: any. */
	uint32_t answer_Bps;

	/* Of others' peers and items; 0: the limits of dht_limits.h. */
	uint32_t stored_hashes_max;
	uint32_t stored_items_max;
};

/* dht_node_new — 0, ENOMEM, or EINVAL when `cfg` names no network. */
int dht_node_new(const struct dht_cfg *cfg, uint64_t now_us,
		 struct dht_node **out);
void dht_node_free(struct dht_node *n);

/* dht_node_receive — a datagram came from `from`; anything at all. Returns
 * whether it looked like a DHT message (so that one socket can be shared with
 * others: what begins otherwise than with 'd' is not). */
bool dht_node_receive(struct dht_node *n, uint64_t now_us,
		      const struct addr *from, const void *bytes, size_t len);

/* dht_node_wake — do what is due. dht_node_next_us — when it is to be called
 * next; ask after each call that was given the time. UINT64_MAX: never. */
void dht_node_wake(struct dht_node *n, uint64_t now_us);
uint64_t dht_node_next_us(const struct dht_node *n);

/* ---- where the network is ---- */

/* dht_node_endpoint — somebody may answer there: a bootstrap address, a peer's
 * PORT message, `nodes` of a torrent. Asked at once while we know few others,
 * later or never otherwise. Addresses that cannot be are passed over. */
void dht_node_endpoint(struct dht_node *n, uint64_t now_us,
		       const struct addr *a);

/* dht_node_save — our ids and the best contacts, appended to `out`; its
 * buf_err tells of ENOMEM. dht_node_load — the same back, as untrusted as
 * anything from outside: contacts are asked before they count, an id is taken
 * only by a node that was born without and has sent nothing. 0, EBADMSG
 * (nothing changed) or ENOMEM. */
void dht_node_save(const struct dht_node *n, struct buf *out);
int dht_node_load(struct dht_node *n, uint64_t now_us, struct span saved);

/* dht_node_set_read_only — from now on. */
void dht_node_set_read_only(struct dht_node *n, bool is_read_only);

/* dht_node_network_changed — the machine woke up or moved: contacts are asked
 * anew, votes about our address are forgotten. */
void dht_node_network_changed(struct dht_node *n, uint64_t now_us);

/* ---- what can be seen of it ---- */

/* Why a datagram was not served. */
enum dht_drop {
	DHT_DROP_MALFORMED,
	DHT_DROP_RATE,	    /* its address asked too much */
	DHT_DROP_SOURCE,    /* an address that cannot be, or a family we lack */
	DHT_DROP_UNASKED,   /* an answer without a question */
	DHT_DROP_TOKEN,	    /* stale or foreign token: answered by an error */
	DHT_DROP_UNKNOWN,   /* an unknown method: answered by an error */
	DHT_DROP_READ_ONLY, /* we answer nobody */
	DHT_DROP_BUSY,	    /* answer_Bps are used up */
	DHT_DROPS,
};

struct dht_family_stats {
	struct dht_id id;
	bool is_id_good;      /* BEP 42, for the address below */
	bool has_external;    /* an address was agreed upon … */
	struct addr external; /* … with port 0 when only that is not known */
	uint32_t n_contacts;  /* in the table: each answered once */
	uint32_t n_good;      /* of those: heard within 15 minutes */
	uint32_t n_spare;     /* in the replacement cache, and hearsay */
	uint32_t n_deepest;   /* the deepest bucket that has any */
	uint64_t network_about; /* nodes there may be; 0: no idea */
};

struct dht_stats {
	struct dht_family_stats family[DHT_FAMILIES];
	uint64_t in_datagrams, in_bytes;
	uint64_t out_datagrams, out_bytes;
	uint64_t in_queries, in_answers, in_errors;
	uint64_t out_queries, out_answers, out_errors;
	uint64_t dropped[DHT_DROPS];
	uint64_t timeouts;
	uint32_t rtt_p50_ms, rtt_p90_ms;
	uint32_t n_searches, n_waiting; /* searches; queries unanswered */
	uint32_t stored_hashes, stored_peers, stored_items;
};

void dht_node_stats(const struct dht_node *n, struct dht_stats *out);

/* dht_node_is_ready — knows enough good contacts for a search to begin well.
 * dht_node_is_lost — knows none at all. */
bool dht_node_is_ready(const struct dht_node *n);
bool dht_node_is_lost(const struct dht_node *n);

/* dht_node_contacts — of one family, good or not. */
uint32_t dht_node_contacts(const struct dht_node *n, enum dht_family f);

enum dht_standing {
	DHT_CONTACT_GOOD,    /* told to others */
	DHT_CONTACT_DUBIOUS, /* silent, or not asked yet */
	DHT_CONTACT_SPARE, /* its bucket has no room, or it was only heard of */
};

struct dht_contact {
	struct dht_id id;
	struct addr addr;
	enum dht_standing standing;
	int bucket;	 /* bits that it shares with our id */
	uint32_t rtt_ms; /* smoothed; 0: never asked */
	uint32_t age_s;	 /* since it was heard, or heard of */
};

/* dht_node_contact — the i-th of one family, those of the table first, by id;
 * false: there are no more. */
bool dht_node_contact(const struct dht_node *n, enum dht_family f, uint32_t i,
		      struct dht_contact *out);

/* dht_node_check — asserts the invariants of everything in it. */
void dht_node_check(const struct dht_node *n);

#endif
