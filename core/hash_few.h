/* hash_few — the inner loops of SHA-1 and SHA-256 over two or three messages at
 * once, with the processor's own SHA instructions. For hash_row.c only.
 *
 * Source: FIPS 180-4, 6.1.2 and 6.2.2. Thread: any. */
#ifndef SHOAL_CORE_HASH_FEW_H
#define SHOAL_CORE_HASH_FEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hash_lanes; /* core/hash_lanes.h */

enum { HASH_FEW_SHA1 = 3, HASH_FEW_SHA256 = 2 };

/* hash_few_can — has this processor such instructions? If not, the two below
 * must not be called. */
bool hash_few_can(void);

/* hash_few_sha1, …_sha256 — the next `n_blocks` of 64 bytes, which begin at
 * `at[0]` and so on, of `n` lanes from `first` on; at most HASH_FEW_… */
void hash_few_sha1(struct hash_lanes *l, unsigned first, unsigned n,
		   const uint8_t *const *at, size_t n_blocks);
void hash_few_sha256(struct hash_lanes *l, unsigned first, unsigned n,
		     const uint8_t *const *at, size_t n_blocks);

#endif
