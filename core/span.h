/* span — a borrowed run of bytes. */
#ifndef SHOAL_CORE_SPAN_H
#define SHOAL_CORE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	const uint8_t *ptr;
	size_t len;
};

static inline struct span span_of(const void *ptr, size_t len)
{
	return (struct span){.ptr = ptr, .len = len};
}

static inline struct span span_str(const char *s)
{
	return span_of(s, strlen(s));
}

static inline bool span_equal(struct span a, struct span b)
{
	return a.len == b.len &&
	       (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool span_is(struct span a, const char *s)
{
	size_t len = strlen(s);

	return a.len == len && (len == 0 || memcmp(a.ptr, s, len) == 0);
}

#endif
