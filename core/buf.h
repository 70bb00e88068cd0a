/* buf — a growing run of bytes: what encoders write into.
 *
 * Failure is sticky: after an ENOMEM every call does nothing and buf_err
 * says so, so that an encoder checks once, at its end. Thread: the owner's. */
#ifndef SHOAL_CORE_BUF_H
#define SHOAL_CORE_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "core/span.h"

struct buf {
	uint8_t *data;
	size_t len;
	size_t cap;
	int err;
};

/* buf_init / buf_fini — an empty buf needs no memory; {0} is one too. */
void buf_init(struct buf *b);
void buf_fini(struct buf *b);

/* buf_reset — forget the content and the error, keep the memory. */
void buf_reset(struct buf *b);

void buf_add(struct buf *b, const void *ptr, size_t len);
void buf_add_str(struct buf *b, const char *s);
void buf_add_u8(struct buf *b, uint8_t v);
void buf_add_be16(struct buf *b, uint16_t v);
void buf_add_be32(struct buf *b, uint32_t v);
void buf_add_be64(struct buf *b, uint64_t v);
void buf_addf(struct buf *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* buf_room — at least `len` writable bytes at the end; lends until the next
 * call on `b`; NULL on ENOMEM. buf_took says how many were used. */
uint8_t *buf_room(struct buf *b, size_t len);
void buf_took(struct buf *b, size_t len);

/* buf_cut — drop the first `len` bytes (moves the rest down). */
void buf_cut(struct buf *b, size_t len);

/* buf_err — 0 or ENOMEM. */
int buf_err(const struct buf *b);

/* buf_cstr — the content as a string (a NUL is put behind it); lends until
 * the next call; NULL on ENOMEM. */
const char *buf_cstr(struct buf *b);

static inline struct span buf_span(const struct buf *b)
{
	return span_of(b->data, b->len);
}

#endif
