/* bloom — BEP 33's sets of addresses: 2048 bits, of which each host sets two.
 * Sets can be united and their size guessed, but nobody is named. Pure. */
#ifndef SHOAL_DHT_BLOOM_H
#define SHOAL_DHT_BLOOM_H

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"

struct hasher;

enum { BLOOM_BYTES = 256 };

struct bloom {
	uint8_t b[BLOOM_BYTES]; /* as it is sent; zeroed: empty */
};

/* The two bits of one host. */
struct bloom_mark {
	uint16_t at[2]; /* below 2048 */
};

/* bloom_mark_of — of the host of `a`; its port does not matter. */
struct bloom_mark bloom_mark_of(struct hasher *h, const struct addr *a);
void bloom_add(struct bloom *f, struct bloom_mark m);

/* bloom_has — probably; false is sure. */
bool bloom_has(const struct bloom *f, struct bloom_mark m);

/* bloom_unite — `f` has the hosts of both. `other`: BLOOM_BYTES, any. */
void bloom_unite(struct bloom *f, const uint8_t other[BLOOM_BYTES]);

/* bloom_estimate — how many hosts there may be: good to a few in a hundred up
 * to some 4000; never above 7806, which a full one gives. */
double bloom_estimate(const struct bloom *f);

#endif
