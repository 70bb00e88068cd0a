/* siphash — a keyed hash of short inputs: whoever does not know the key
 * cannot make inputs that collide. For tables and tokens, not for content. */
#ifndef SHOAL_CORE_SIPHASH_H
#define SHOAL_CORE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
	uint64_t k0, k1;
};

/* siphash — SipHash-2-4 of `len` bytes. Pure. Thread: any. */
uint64_t siphash(const struct siphash_key *key, const void *ptr, size_t len);

#endif
