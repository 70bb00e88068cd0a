/* errand — an item of BEP 44 fetched from the DHT, or left there, by our node.
 *
 * What is fetched was checked: an immutable item is the one of its hash, a
 * mutable one is signed by its key. What is put is checked as well; who signs
 * it, and with which seq, is the caller's matter (item_sign in dht/items.h).
 *
 * Life: errand_get or errand_put → its done once, later, on the loop; or
 * errand_cancel, and done never runs. An engine that stops ends them with
 * ESHUTDOWN, from within engine_stop. Thread: loop. */
#ifndef SHOAL_NET_ERRAND_H
#define SHOAL_NET_ERRAND_H

#include <stdbool.h>
#include <stdint.h>

#include "core/own.h"
#include "core/span.h"
#include "dht/dht_limits.h"
#include "dht/search.h" /* struct dht_item */

struct engine;
struct errand;

/* An item with its bytes: nothing in `item` points elsewhere. Not to be
 * copied by assignment. */
struct item_box {
	struct dht_item item;
	uint8_t key[32], sig[64];
	uint8_t salt[DHT_SALT_MAX];
	uint8_t value[DHT_ITEM_MAX];
};

/* item_box_set — false: value or salt are longer than BEP 44 allows. `item`
 * may lie in `b` itself. */
bool item_box_set(struct item_box *b, const struct dht_item *item);

struct errand_result {
	/* get: ENOENT: the closest nodes have answered, and none has it.
	 * put: EINVAL: the item breaks a rule of BEP 44, or its signature is
	 * wrong; EEXIST: its seq, or a later one, is there with another value;
	 * EAGAIN: another seq than `cas` is there; ECONNREFUSED: every node
	 * refused it.
	 * both: ETIMEDOUT; EHOSTUNREACH: no node answered until then;
	 * ENETDOWN: there is no DHT; ESHUTDOWN. */
	int err;
	/* get: the item. put: what the nodes had before, the newest of it;
	 * NULL: nothing. Lent during the call. */
	const struct dht_item *item;
	unsigned n_answered; /* nodes that were heard */
	unsigned n_stored;   /* put: nodes that took it, … */
	unsigned n_outdone;  /* … and that have something newer now */
};

typedef void errand_done_fn(void *arg, const struct errand_result *result);

struct errand_want {
	bool is_mutable;
	uint8_t target[20]; /* immutable: the SHA-1 of its value */
	uint8_t key[32];    /* mutable */
	struct span salt;   /* copied; at most DHT_SALT_MAX */
	bool is_calm;	    /* few messages rather than little time */
};

/* errand_get — the item; of a mutable one the newest that the closest nodes
 * have. 0; EBUSY: ERRANDS_MAX are under way, or the node searches for too much;
 * ENOMEM. deadline_ms: at most ERRAND_DEADLINE_MAX_MS. */
int errand_get(struct engine *e, const struct errand_want *want,
	       unsigned deadline_ms, errand_done_fn *done, void *arg,
	       struct errand **out);

/* errand_put — leave `item` (copied) at the closest nodes, unless they have a
 * newer one. `cas`: only if they have exactly that seq, or nothing; NULL: in
 * any case. Errors as above. */
int errand_put(struct engine *e, const struct dht_item *item,
	       const int64_t *cas, unsigned deadline_ms, errand_done_fn *done,
	       void *arg, struct errand **out);

/* errand_cancel — NULL is fine. */
void errand_cancel(struct errand *er TAKES);

#endif
