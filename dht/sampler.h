/* sampler — which info-hashes we tell to who asks for a sample (BEP 51): a
 * choice of those we store, the same for everybody until it is made anew.
 * Embedded in the node; has no memory until first asked, and gives it back
 * when nothing is stored. */
#ifndef SHOAL_DHT_SAMPLER_H
#define SHOAL_DHT_SAMPLER_H

#include <stddef.h>
#include <stdint.h>

#include "core/span.h"
#include "dht/nodeid.h"

struct peerstore;
struct rng;

struct sampler {
	struct dht_id *chosen; /* DHT_SAMPLES_TOLD_MAX, or NULL */
	uint32_t n;
	uint64_t until_us; /* then another choice is made */
};

struct sample {
	struct span hashes; /* 20 bytes each; lent until the next call */
	int64_t num;	    /* how many are stored */
	int64_t interval_s; /* until the next choice: 0 … 21600 */
};

void sampler_init(struct sampler *m);
void sampler_fini(struct sampler *m);

/* sampler_ask — what fits all of the stored is told as it is, and the interval
 * is then how soon something new is likely. Without memory: an empty sample. */
struct sample sampler_ask(struct sampler *m, uint64_t now_us,
			  const struct peerstore *s, struct rng *rng);

#endif
