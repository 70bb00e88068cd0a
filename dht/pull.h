/* pull — bencode read as it comes, value by value, without a token kept: for
 * messages of which few fields matter. As strict as core/bencode, but for the
 * order of keys, which whoever reads a dictionary sees himself. Pure. */
#ifndef SHOAL_DHT_PULL_H
#define SHOAL_DHT_PULL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/span.h"

/* Where the reader is. `err` is sticky: 0, EBADMSG or EFBIG; who has it does
 * not look at `p` again. */
struct pull {
	const uint8_t *p;
	const uint8_t *end;
	uint32_t n_values; /* up to DHT_VALUES_MAX */
	int err;
};

static inline bool pull_is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* pull_fail — false, always. */
bool pull_fail(struct pull *r, int err);

/* The value at `p`, which is before `end`: a string, an integer, any. `p` is
 * behind it then; false: failed. */
bool pull_str(struct pull *r, struct span *out);
bool pull_int(struct pull *r, int64_t *out);
bool pull_skip(struct pull *r);

#endif
