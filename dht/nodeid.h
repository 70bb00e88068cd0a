/* nodeid — 160-bit ids, their distances, and which of them BEP 42 allows to
 * an address. Values; pure. */
#ifndef SHOAL_DHT_NODEID_H
#define SHOAL_DHT_NODEID_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "core/be.h"

struct addr;

enum { DHT_ID_BYTES = 20, DHT_ID_BITS = 160 };

struct dht_id {
	uint8_t b[DHT_ID_BYTES];
};

/* nodeid_head — the first 64 bits: enough to tell almost any two apart. */
static inline uint64_t nodeid_head(const struct dht_id *a)
{
	return be64_get(a->b);
}

static inline bool nodeid_eq(const struct dht_id *a, const struct dht_id *b)
{
	return nodeid_head(a) == nodeid_head(b) &&
	       memcmp(a->b, b->b, DHT_ID_BYTES) == 0;
}

/* nodeid_below — as numbers. */
static inline bool nodeid_below(const struct dht_id *a, const struct dht_id *b)
{
	uint64_t x = nodeid_head(a), y = nodeid_head(b);

	return x != y ? x < y : memcmp(a->b, b->b, DHT_ID_BYTES) < 0;
}

/* nodeid_common — bits that both begin with: 0 … 160. */
int nodeid_common(const struct dht_id *a, const struct dht_id *b);

/* nodeid_closer — `a` is closer to `to` than `b` is, by XOR. */
bool nodeid_closer(const struct dht_id *to, const struct dht_id *a,
		   const struct dht_id *b);

/* nodeid_for — an id that BEP 42 allows to the host of `a`. `random`: 20 bytes
 * of which the rest is made. */
void nodeid_for(struct dht_id *out, const struct addr *a,
		const uint8_t random[DHT_ID_BYTES]);

/* nodeid_fits — BEP 42 allows `id` to the host of `a`; local addresses may
 * have any. */
bool nodeid_fits(const struct dht_id *id, const struct addr *a);

/* nodeid_within — a random id that shares exactly the first `common` bits with
 * `id`: somewhere in its bucket. */
void nodeid_within(struct dht_id *out, const struct dht_id *id, int common,
		   const uint8_t random[DHT_ID_BYTES]);

#endif
