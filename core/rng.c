/* rng — random numbers of two kinds; see core/rng.h for which to use when.
 *
 * The kernel's: getrandom(2), which blocks only before the kernel's pool was
 * seeded at boot. Without it nothing that must not be guessed can be made, so
 * its absence ends the program instead of weakening it.
 *
 * The replayable: splitmix64 (Steele, Lea, Flood: "Fast splittable
 * pseudorandom number generators", 2014), a counter and a mixing function.
 * Any seed is good, and a stream is one word of state. */
#include "core/rng.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

void rng_bytes(void *out, size_t len)
{
	uint8_t *p = out;

	while (len > 0) {
		ssize_t n = getrandom(p, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			abort();
		p += n;
		len -= (size_t)n;
	}
}

uint32_t rng_u32(void)
{
	uint32_t v;

	rng_bytes(&v, sizeof(v));
	return v;
}

uint64_t rng_u64(void)
{
	uint64_t v;

	rng_bytes(&v, sizeof(v));
	return v;
}

void rng_seed(struct rng *r, uint64_t seed)
{
	r->state = seed;
}

uint64_t rng_next(struct rng *r)
{
	uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
	uint64_t v, skip;

	assert(n > 0);
	/* 2^64 mod n values too many for every remainder to be as likely. */
	skip = (0 - n) % n;
	do
		v = rng_next(r);
	while (v < skip);
	return v % n;
}
