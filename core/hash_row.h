/* hash_row — messages of one length, hashed side by side: several times as
 * fast as one after the other where the processor has wide vectors, and twice
 * where it has SHA instructions, so v2's
 * leaves always and v1's pieces when several are at hand. Same digests as
 * core/hash.h.
 *
 * Thread: a row is a value of its caller's; any thread, one at a time. */
#ifndef SHOAL_CORE_HASH_ROW_H
#define SHOAL_CORE_HASH_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/hash.h"
#include "core/hash_lanes.h"

enum { HASH_ROW_MAX = HASH_LANES };

struct hash_row {
	enum hash_algo algo;
	unsigned n;	    /* messages */
	uint64_t len_bytes; /* of each, so far */
	struct hash_lanes lanes;
	/* what is left of a block, and then the padding */
	uint8_t tail[HASH_ROW_MAX][2 * HASH_LANES_BLOCK_BYTES];
};

/* hash_row_pays — are `n` messages (up to HASH_ROW_MAX) done sooner in a row
 * than one by one, on this machine? Where not, there must be no row. */
bool hash_row_pays(enum hash_algo algo, unsigned n);

/* hash_row_best — how many messages, `n` or fewer, are done at the least cost
 * each when they go together; 1: none should wait for another. */
unsigned hash_row_best(enum hash_algo algo, unsigned n);

/* hash_row_begin … hash_row_add … hash_row_end — `n` messages. An add has the
 * next `len` bytes of each; only the last may have a length that is no
 * multiple of 64. The i-th digest, 20 or 32 bytes, goes to out[i]. */
void hash_row_begin(struct hash_row *row, enum hash_algo algo, unsigned n);
void hash_row_add(struct hash_row *row, const uint8_t *const *at, size_t len);
void hash_row_end(struct hash_row *row, uint8_t *const *out);

/* hash_all — `n` messages of `len` bytes each, in rows or by `h`, whichever is
 * faster. The digests go to `out`, one behind the other. */
void hash_all(struct hasher *h, enum hash_algo algo, const uint8_t *const *at,
	      size_t len, size_t n, uint8_t *out);

#endif
