/* rng — random numbers: the kernel's for what must not be guessed
 * (transaction ids, peer ids), a seeded stream for what a simulator must be
 * able to replay. */
#ifndef SHOAL_CORE_RNG_H
#define SHOAL_CORE_RNG_H

#include <stddef.h>
#include <stdint.h>

/* rng_bytes — `len` bytes from the kernel. Never fails after boot; aborts if
 * the kernel has none. Thread: any. */
void rng_bytes(void *out, size_t len);
uint32_t rng_u32(void);
uint64_t rng_u64(void);

/* A replayable stream (splitmix64). */
struct rng {
	uint64_t state;
};

void rng_seed(struct rng *r, uint64_t seed);
uint64_t rng_next(struct rng *r);

/* rng_below — uniform in 0 … n-1; n > 0. */
uint64_t rng_below(struct rng *r, uint64_t n);

#endif
