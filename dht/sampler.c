/* sampler — BEP 51's answer.
 *
 * A choice is kept for DHT_SAMPLE_S, so that asking again sooner gives nothing
 * new, and nobody learns all that we store by asking fast. When all of it fits
 * into one answer there is nothing to choose: the choice is then made anew at
 * each question, and the interval only says when it is worth asking again. */
#include "dht/sampler.h"

#include "core/mem.h"
#include "dht/dht_limits.h"
#include "dht/peerstore.h"

enum { US_A_SECOND = 1000000 };

void sampler_init(struct sampler *m)
{
	*m = (struct sampler){0};
}

void sampler_fini(struct sampler *m)
{
	mem_free(m->chosen);
	sampler_init(m);
}

static void choose(struct sampler *m, uint64_t now_us,
		   const struct peerstore *s, struct rng *rng)
{
	if (m->chosen == NULL)
		m->chosen =
			mem_zalloc(DHT_SAMPLES_TOLD_MAX, sizeof(struct dht_id));
	m->n = 0;
	if (m->chosen != NULL)
		m->n = (uint32_t)peerstore_hashes(s, rng, m->chosen,
						  DHT_SAMPLES_TOLD_MAX);
	m->until_us = now_us + (uint64_t)DHT_SAMPLE_S * US_A_SECOND;
}

struct sample sampler_ask(struct sampler *m, uint64_t now_us,
			  const struct peerstore *s, struct rng *rng)
{
	uint32_t num = peerstore_count_hashes(s);

	if (num == 0)
		sampler_fini(m);
	else if (num <= DHT_SAMPLES_TOLD_MAX || now_us >= m->until_us ||
		 m->n < DHT_SAMPLES_TOLD_MAX)
		choose(m, now_us, s, rng);
	return (struct sample){
		.hashes = span_of(m->chosen, m->n * sizeof(struct dht_id)),
		.num = num,
		.interval_s = num == 0 ? DHT_SAMPLE_S
				       : (int64_t)((m->until_us - now_us +
						    US_A_SECOND - 1) /
						   US_A_SECOND),
	};
}
