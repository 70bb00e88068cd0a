/* bloom — BEP 33's filters: k = 2, m = 2048.
 *
 * The two bits of a host come from the first four bytes of the SHA-1 of its
 * address, little-endian. The size of a set is guessed from the bits that are
 * still zero: n hosts leave each of them so with probability (1 - 1/m)^(kn). */
#include "dht/bloom.h"

#include <math.h>
#include <string.h>

#include "core/hash.h"

enum { N_BITS = BLOOM_BYTES * 8, N_MARKS = 2 };

struct bloom_mark bloom_mark_of(struct hasher *h, const struct addr *a)
{
	uint8_t ip[ADDR_COMPACT6], sha[HASH_SHA1_BYTES];
	size_t len = addr_to_compact(a, ip) - sizeof(in_port_t);

	hasher_once(h, HASH_SHA1, ip, len, sha);
	return (struct bloom_mark){
		.at = {(uint16_t)((sha[0] | sha[1] << 8) % N_BITS),
		       (uint16_t)((sha[2] | sha[3] << 8) % N_BITS)}};
}

void bloom_add(struct bloom *f, struct bloom_mark m)
{
	for (int i = 0; i < N_MARKS; i++)
		f->b[m.at[i] / 8] |= (uint8_t)(1 << m.at[i] % 8);
}

bool bloom_has(const struct bloom *f, struct bloom_mark m)
{
	for (int i = 0; i < N_MARKS; i++)
		if ((f->b[m.at[i] / 8] & 1 << m.at[i] % 8) == 0)
			return false;
	return true;
}

void bloom_unite(struct bloom *f, const uint8_t other[BLOOM_BYTES])
{
	for (int i = 0; i < BLOOM_BYTES; i++)
		f->b[i] |= other[i];
}

double bloom_estimate(const struct bloom *f)
{
	int n_zero = 0;

	for (int i = 0; i < BLOOM_BYTES; i++)
		n_zero += 8 - __builtin_popcount(f->b[i]);
	if (n_zero == N_BITS)
		return 0;
	/* BEP 33 counts one bit of an empty filter as set, and would guess
	 * half a host there; and a full one has no logarithm. */
	if (n_zero == 0)
		n_zero = 1;
	return log((double)n_zero / N_BITS) / (N_MARKS * log1p(-1.0 / N_BITS));
}
