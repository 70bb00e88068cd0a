/* items — what others stored with us by BEP 44, and the rules of such items.
 * Embedded in the node; needs no memory until the first put.
 *
 * Bounded in items and in items of one network; what has to go is the oldest of
 * the network that has most (fair.h). Anybody may put an item again: it counts
 * for who put it first, or, if that network is heavy, for a lighter one.
 *
 * Time: microseconds of the node's clock. Thread: one at a time. */
#ifndef SHOAL_DHT_ITEMS_H
#define SHOAL_DHT_ITEMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/span.h"
#include "dht/fair.h"
#include "dht/nodeid.h"

struct dht_item; /* dht/node.h */
struct hasher;
struct hmap;

struct items {
	struct hmap *by_target; /* NULL before the first put */
	struct fair fair;
	TAILQ_HEAD(, stored_item) by_age; /* the last put at the end */
	uint32_t items_max;
};

/* Why an item is not taken, in the order in which it is looked at. */
enum item_fault {
	ITEM_GOOD,
	ITEM_TOO_BIG,	/* a value above DHT_ITEM_MAX: 205 */
	ITEM_SALT,	/* a salt above DHT_SALT_MAX: 207 */
	ITEM_MALFORMED, /* no bencoded value, or seq below zero: 203 */
	ITEM_CAS,	/* not the seq that was expected: 301 */
	ITEM_OLD,	/* a lower seq, or the same with another value: 302 */
	ITEM_SIGNATURE, /* not signed by the key: 206 */
	ITEM_NO_MEMORY, /* 202 */
};

/* item_target — where an item lies: the SHA-1 of its value, or of its key and
 * salt. */
void item_target(struct hasher *h, const struct dht_item *item,
		 struct dht_id *out);

/* item_look — its form, and the signature. Nothing is looked at but the item
 * itself: whether it is the one that was asked for, item_target says. */
enum item_fault item_look(const struct dht_item *item);

/* item_signed — the bytes that are signed, into `out`; returns how many.
 * Value and salt are within their limits. */
enum { ITEM_SIGNED_MAX = 1152 };
size_t item_signed(const struct dht_item *item, uint8_t out[ITEM_SIGNED_MAX]);

/* item_sign — as `seed` signs it: fills `sig` and `key`. Errors as of
 * sign_make. */
int item_sign(const struct dht_item *item, const uint8_t seed[32],
	      uint8_t key[32], uint8_t sig[64]);

void items_init(struct items *s, uint32_t items_max); /* 0: the limit's */
void items_fini(struct items *s);

/* items_put — store it for `from`, who showed a token (to check a signature
 * costs 0.1 ms). `cas`: NULL when none was sent. */
enum item_fault items_put(struct items *s, uint64_t now_us, struct hasher *h,
			  const struct addr *from, const struct dht_item *item,
			  const int64_t *cas);

/* items_get — false: not here. Lends until the next call on `s`. */
bool items_get(struct items *s, uint64_t now_us, const struct dht_id *target,
	       struct dht_item *out);

/* items_expire — forget what was not put again for DHT_STORED_ITEM_S. Returns
 * when to call again; UINT64_MAX: not before the next put. */
uint64_t items_expire(struct items *s, uint64_t now_us);

uint32_t items_count(const struct items *s);
void items_check(const struct items *s);

#endif
