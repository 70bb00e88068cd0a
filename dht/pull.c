/* pull — the reader. Nothing recurses: pull_skip walks any value with a stack
 * of bits, two a level. */
#include "dht/pull.h"

#include <errno.h>

#include "dht/dht_limits.h"

bool pull_fail(struct pull *r, int err)
{
	if (r->err == 0)
		r->err = err;
	return false;
}

/* One more value begins. */
static bool count(struct pull *r)
{
	return ++r->n_values <= DHT_VALUES_MAX || pull_fail(r, EFBIG);
}

bool pull_str(struct pull *r, struct span *out)
{
	const uint8_t *p = r->p;
	size_t len = 0;

	/* Four digits are more than a datagram has bytes. */
	while (p < r->end && pull_is_digit(*p) && p - r->p < 5)
		len = len * 10 + (size_t)(*p++ - '0');
	if (p == r->p || p == r->end || *p != ':' ||
	    (*r->p == '0' && p - r->p > 1) || len > (size_t)(r->end - p - 1))
		return pull_fail(r, EBADMSG);
	*out = span_of(p + 1, len);
	r->p = p + 1 + len;
	return count(r);
}

bool pull_int(struct pull *r, int64_t *out)
{
	const uint8_t *p = r->p + 1;
	bool negative = p < r->end && *p == '-';
	uint64_t max = negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX;
	const uint8_t *first;
	uint64_t v = 0;

	first = p += negative ? 1 : 0;
	for (; p < r->end && pull_is_digit(*p); p++) {
		uint64_t digit = (uint64_t)(*p - '0');

		if (v > (max - digit) / 10)
			return pull_fail(r, EBADMSG);
		v = v * 10 + digit;
	}
	if (p == first || p == r->end || *p != 'e' ||
	    (*first == '0' && (p - first > 1 || negative)))
		return pull_fail(r, EBADMSG);
	*out = (int64_t)(negative ? 0 - v : v);
	r->p = p + 1;
	return count(r);
}

/* A container begins or ends, inside skip. A level has two bits: it is a
 * dictionary; it wants a value for a key. */
static bool skip_edge(struct pull *r, uint32_t *levels, uint32_t *depth)
{
	if (*r->p == 'e') {
		if (*depth == 0 || (*levels & 1))
			return pull_fail(r, EBADMSG);
		*levels >>= 2;
		--*depth;
	} else {
		if (*depth >= DHT_DEPTH_MAX)
			return pull_fail(r, EFBIG);
		*levels = (*levels << 2) | (*r->p == 'd' ? 2u : 0u);
		++*depth;
		if (!count(r))
			return false;
	}
	r->p++;
	return true;
}

bool pull_skip(struct pull *r)
{
	uint32_t levels = 0; /* the innermost in the lowest two bits */
	uint32_t depth = 0;
	struct span str;
	int64_t number;

	do {
		bool in_dict = levels & 2;
		bool wants_key = in_dict && !(levels & 1);

		if (r->p >= r->end)
			return pull_fail(r, EBADMSG);
		if (pull_is_digit(*r->p)) {
			if (!pull_str(r, &str))
				return false;
			levels ^= in_dict ? 1u : 0u;
			continue;
		}
		if (*r->p != 'e' && wants_key)
			return pull_fail(r, EBADMSG);
		/* What begins is the value of its key: said before the
		 * container hides it. */
		levels ^= *r->p != 'e' && in_dict ? 1u : 0u;
		switch (*r->p) {
		case 'i':
			if (!pull_int(r, &number))
				return false;
			break;
		case 'd':
		case 'l':
		case 'e':
			if (!skip_edge(r, &levels, &depth))
				return false;
			break;
		default:
			return pull_fail(r, EBADMSG);
		}
	} while (depth > 0);
	return true;
}
