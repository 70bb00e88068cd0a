/* bits — a set of small numbers, kept in the wire order of BEP 3's bitfield
 * (bit 0 is the high bit of byte 0), so that it can be sent as it lies. */
#ifndef SHOAL_CORE_BITS_H
#define SHOAL_CORE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bits {
	uint8_t *data;
	uint32_t n;	/* size of the universe */
	uint32_t n_set; /* how many are in */
};

/* bits_init — the empty set over 0 … n-1. 0 or ENOMEM. */
int bits_init(struct bits *b, uint32_t n);
void bits_fini(struct bits *b);

/* bits_load — take over `len` bytes from a wire or a file. EBADMSG when the
 * length is not exactly bits_bytes(b->n) or a spare bit is set; then `b` is
 * unchanged. */
int bits_load(struct bits *b, const uint8_t *data, size_t len);

void bits_set(struct bits *b, uint32_t i);
void bits_clear(struct bits *b, uint32_t i);
void bits_set_all(struct bits *b);
void bits_clear_all(struct bits *b);

/* bits_next — the first member >= `from`; bits_next_clear the first number
 * that is not one. b->n when there is none. */
uint32_t bits_next(const struct bits *b, uint32_t from);
uint32_t bits_next_clear(const struct bits *b, uint32_t from);

/* bits_check — assert n_set and the spare bits. */
void bits_check(const struct bits *b);

static inline size_t bits_bytes(uint32_t n)
{
	return ((size_t)n + 7) / 8;
}

static inline bool bits_has(const struct bits *b, uint32_t i)
{
	return i < b->n && (b->data[i >> 3] & (0x80u >> (i & 7))) != 0;
}

static inline bool bits_is_full(const struct bits *b)
{
	return b->n_set == b->n;
}

#endif
