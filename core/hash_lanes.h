/* hash_lanes — the inner loops of SHA-1 and SHA-256 over sixteen messages at
 * once, one in each 32-bit lane of a vector. For hash_row.c, and
 * the constants for hash_few.c.
 *
 * Source: FIPS 180-4, 6.1.2 and 6.2.2. Thread: any. */
#ifndef SHOAL_CORE_HASH_LANES_H
#define SHOAL_CORE_HASH_LANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	HASH_LANES = 16,
	HASH_LANES_BLOCK_BYTES = 64,
	HASH_LANES_WORDS = 8, /* of SHA-256's state; SHA-1 has five */
	HASH_SHA256_ROUNDS = 64,
};

/* SHA-256's constants (FIPS 180-4, 4.2.2), aligned to 16 bytes; on x86-64 only.
 */
extern const uint32_t hash_sha256_k[HASH_SHA256_ROUNDS];

struct hash_lanes {
	uint32_t state[HASH_LANES_WORDS][HASH_LANES]; /* word, lane */
};

/* hash_lanes_can — has this processor what it takes (AVX-512 F and BW)? If not,
 * the two below must not be called. */
bool hash_lanes_can(void);

/* hash_lanes_sha1, …_sha256 — the next `n_blocks` of 64 bytes of every lane. */
void hash_lanes_sha1(struct hash_lanes *l, const uint8_t *const at[HASH_LANES],
		     size_t n_blocks);
void hash_lanes_sha256(struct hash_lanes *l,
		       const uint8_t *const at[HASH_LANES], size_t n_blocks);

#endif
