/* bits — a set of piece numbers in wire order.
 *
 * The member count is kept beside the bits, because "is it complete" and "how
 * much has he" are asked far more often than a bit changes. Searches go a
 * word at a time: a picker walks sets of 2^21 pieces that are nearly all one
 * value. Words are read big-endian, so that the first member is the leading
 * one bit.
 * Invariants (bits_check): n_set is the number of one bits; the spare bits of
 * the last byte are zero. */
#include "core/bits.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "core/be.h"
#include "core/mem.h"

static uint32_t count_ones(const uint8_t *data, size_t len)
{
	uint32_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += (uint32_t)__builtin_popcount(data[i]);
	return n;
}

/* The bits of the last byte that stand for no number. */
static uint8_t spare_mask(uint32_t n)
{
	if (n % 8 == 0)
		return 0;
	return (uint8_t)(0xffu >> (n % 8));
}

int bits_init(struct bits *b, uint32_t n)
{
	size_t len = bits_bytes(n);

	*b = (struct bits){.n = n};
	b->data = mem_zalloc(len > 0 ? len : 1, 1);
	return b->data ? 0 : ENOMEM;
}

void bits_fini(struct bits *b)
{
	mem_free(b->data);
	*b = (struct bits){0};
}

int bits_load(struct bits *b, const uint8_t *data, size_t len)
{
	if (len != bits_bytes(b->n))
		return EBADMSG;
	if (len == 0)
		return 0;
	if (data[len - 1] & spare_mask(b->n))
		return EBADMSG;
	memcpy(b->data, data, len);
	b->n_set = count_ones(data, len);
	return 0;
}

void bits_set(struct bits *b, uint32_t i)
{
	assert(i < b->n);
	if (bits_has(b, i))
		return;
	b->data[i >> 3] |= (uint8_t)(0x80u >> (i & 7));
	b->n_set++;
}

void bits_clear(struct bits *b, uint32_t i)
{
	assert(i < b->n);
	if (!bits_has(b, i))
		return;
	b->data[i >> 3] &= (uint8_t) ~(0x80u >> (i & 7));
	b->n_set--;
}

void bits_set_all(struct bits *b)
{
	size_t len = bits_bytes(b->n);

	if (len == 0)
		return;
	memset(b->data, 0xff, len);
	b->data[len - 1] &= (uint8_t)~spare_mask(b->n);
	b->n_set = b->n;
}

void bits_clear_all(struct bits *b)
{
	memset(b->data, 0, bits_bytes(b->n));
	b->n_set = 0;
}

/* The first number >= from whose bit, xored with `flip`, is one. */
static uint32_t find(const struct bits *b, uint32_t from, uint8_t flip)
{
	uint64_t flip_word = flip ? UINT64_MAX : 0;
	size_t len = bits_bytes(b->n);
	size_t at = from >> 3;
	uint32_t found;
	uint8_t byte;

	if (from >= b->n)
		return b->n;
	byte = (uint8_t)((b->data[at] ^ flip) & (0xffu >> (from & 7)));
	while (byte == 0) {
		at++;
		while (at + 8 <= len &&
		       (be64_get(b->data + at) ^ flip_word) == 0)
			at += 8;
		if (at >= len)
			return b->n;
		byte = b->data[at] ^ flip;
	}
	found = (uint32_t)at * 8 + (uint32_t)__builtin_clz(byte) - 24;
	return found < b->n ? found : b->n; /* a flipped spare bit */
}

uint32_t bits_next(const struct bits *b, uint32_t from)
{
	return find(b, from, 0);
}

uint32_t bits_next_clear(const struct bits *b, uint32_t from)
{
	return find(b, from, 0xff);
}

void bits_check(const struct bits *b)
{
	size_t len = bits_bytes(b->n);

	assert(b->n_set == count_ones(b->data, len));
	assert(len == 0 || (b->data[len - 1] & spare_mask(b->n)) == 0);
}
