/* rttmodel — four bins an octave, from a quarter of a millisecond to seventeen
 * seconds; the old halves whenever the new has grown to as much. */
#include "dht/rttmodel.h"

#include <string.h>

enum {
	UNIT_SHIFT = 8, /* 256 µs */
	TOTAL_MAX = 512,
};

static uint32_t bin_of(uint64_t us)
{
	uint64_t v = (us >> UNIT_SHIFT) | 4; /* the first bins are one */
	uint32_t top = 63 - (uint32_t)__builtin_clzll(v);
	uint32_t bin = (top - 2) * 4 + (uint32_t)((v >> (top - 2)) & 3);

	return bin < RTTMODEL_BINS ? bin : RTTMODEL_BINS - 1;
}

/* Where a bin begins. */
static uint64_t start_of(uint32_t bin)
{
	return ((UINT64_C(4) + (bin & 3)) << (bin / 4)) << UNIT_SHIFT;
}

void rttmodel_init(struct rttmodel *m)
{
	static const uint32_t guesses_us[] = {100000, 200000, 300000, 600000};

	memset(m, 0, sizeof(*m));
	for (uint32_t i = 0; i < sizeof(guesses_us) / sizeof(*guesses_us); i++)
		rttmodel_add(m, guesses_us[i]);
}

void rttmodel_add(struct rttmodel *m, uint64_t rtt_us)
{
	m->bins[bin_of(rtt_us)]++;
	if (++m->total < TOTAL_MAX)
		return;
	m->total = 0;
	for (uint32_t i = 0; i < RTTMODEL_BINS; i++) {
		m->bins[i] /= 2;
		m->total += m->bins[i];
	}
}

uint64_t rttmodel_percent_us(const struct rttmodel *m, uint32_t percent)
{
	uint32_t want = (uint32_t)((uint64_t)m->total * percent / 100);
	uint32_t below = 0;

	for (uint32_t i = 0; i < RTTMODEL_BINS; i++) {
		uint64_t from = start_of(i);

		if (m->bins[i] == 0 || below + m->bins[i] <= want) {
			below += m->bins[i];
			continue;
		}
		return from +
		       (start_of(i + 1) - from) * (want - below) / m->bins[i];
	}
	return start_of(RTTMODEL_BINS);
}
