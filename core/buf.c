/* buf — the growing run of bytes behind every encoder.
 *
 * Growth: doubling, from BUF_MIN_BYTES, so that n appended bytes cost O(n).
 * Failure modes: an allocation that fails, or a length that would overflow,
 * sets `err` and leaves what was there; from then on every call is a no-op
 * until buf_reset. An encoder therefore writes straight on and asks buf_err
 * once.
 * Invariants: len <= cap; data is NULL exactly when cap is 0.
 * Not here: a limit on size. Callers encode what is theirs, and what a
 * stranger influences was limited when it came in. */
#include "core/buf.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/be.h"
#include "core/mem.h"

enum { BUF_MIN_BYTES = 64 };

void buf_init(struct buf *b)
{
	*b = (struct buf){0};
}

void buf_fini(struct buf *b)
{
	mem_free(b->data);
	*b = (struct buf){0};
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->err = 0;
}

uint8_t *buf_room(struct buf *b, size_t len)
{
	size_t want;
	size_t cap;
	uint8_t *data;

	if (b->err != 0)
		return NULL;
	if (__builtin_add_overflow(b->len, len, &want) || want > SIZE_MAX / 2) {
		b->err = ENOMEM;
		return NULL;
	}
	/* Even for len 0: callers may tell failure by NULL alone. */
	if (want <= b->cap && b->cap > 0)
		return b->data + b->len;

	cap = b->cap > 0 ? b->cap : BUF_MIN_BYTES;
	while (cap < want)
		cap *= 2;
	data = mem_grow(b->data, cap, 1);
	if (!data) {
		b->err = ENOMEM;
		return NULL;
	}
	b->data = data;
	b->cap = cap;
	return b->data + b->len;
}

void buf_took(struct buf *b, size_t len)
{
	if (b->err != 0)
		return;
	assert(len <= b->cap - b->len);
	b->len += len;
}

void buf_add(struct buf *b, const void *ptr, size_t len)
{
	uint8_t *room = buf_room(b, len);

	if (!room || len == 0)
		return;
	memcpy(room, ptr, len);
	b->len += len;
}

void buf_add_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_add_u8(struct buf *b, uint8_t v)
{
	buf_add(b, &v, 1);
}

void buf_add_be16(struct buf *b, uint16_t v)
{
	uint8_t raw[2];

	be16_put(raw, v);
	buf_add(b, raw, sizeof(raw));
}

void buf_add_be32(struct buf *b, uint32_t v)
{
	uint8_t raw[4];

	be32_put(raw, v);
	buf_add(b, raw, sizeof(raw));
}

void buf_add_be64(struct buf *b, uint64_t v)
{
	uint8_t raw[8];

	be64_put(raw, v);
	buf_add(b, raw, sizeof(raw));
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list measure;
	va_list print;
	uint8_t *room;
	int len;

	va_start(measure, fmt);
	va_copy(print, measure);
	len = vsnprintf(NULL, 0, fmt, measure);
	va_end(measure);
	assert(len >= 0);

	room = buf_room(b, (size_t)len + 1);
	if (room) {
		(void)vsnprintf((char *)room, (size_t)len + 1, fmt, print);
		b->len += (size_t)len;
	}
	va_end(print);
}

void buf_cut(struct buf *b, size_t len)
{
	assert(len <= b->len);
	if (len == 0)
		return;
	b->len -= len;
	memmove(b->data, b->data + len, b->len);
}

int buf_err(const struct buf *b)
{
	return b->err;
}

const char *buf_cstr(struct buf *b)
{
	uint8_t *room = buf_room(b, 1);

	if (!room)
		return NULL;
	*room = 0;
	return (const char *)b->data;
}
