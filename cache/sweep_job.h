/* sweep_job — blocks of blobs that no row speaks of are given back.
 *
 * Thread: store. */
#ifndef SHOAL_CACHE_SWEEP_JOB_H
#define SHOAL_CACHE_SWEEP_JOB_H

#include <stdbool.h>
#include <stdint.h>

struct bits;

/* What of a blob is claimed: of each unit that is set in `bits`, what lies in
 * the file. Unit i is [i, i + 1) × unit_bytes; the file is [off, off + len). */
struct sweep_claims {
	const struct bits *bits;
	uint64_t unit_bytes;
	uint64_t off_bytes, len_bytes;
};

/* sweep_next — the first claimed stretch of the file that ends behind `at`;
 * false: there is none. Pure. */
bool sweep_next(const struct sweep_claims *c, uint64_t at, uint64_t *from,
		uint64_t *to);

#endif
