/* rttmodel — how long answers take: a histogram of all of them. A value. */
#ifndef SHOAL_DHT_RTTMODEL_H
#define SHOAL_DHT_RTTMODEL_H

#include <stdint.h>

enum { RTTMODEL_BINS = 64 };

struct rttmodel {
	uint16_t bins[RTTMODEL_BINS];
	uint32_t total;
};

/* rttmodel_init — a few guesses, that some twenty answers outweigh. */
void rttmodel_init(struct rttmodel *m);
void rttmodel_add(struct rttmodel *m, uint64_t rtt_us);

/* rttmodel_percent_us — so many percent of the answers came sooner. */
uint64_t rttmodel_percent_us(const struct rttmodel *m, uint32_t percent);

#endif
