/* siphash — SipHash-2-4 (Aumasson, Bernstein: "SipHash: a fast short-input
 * PRF", 2012): four words of state; each word of input is xored in, mixed by
 * two rounds, and xored in again elsewhere; the last word carries the rest of
 * the bytes and the length; four rounds finish. Words are little-endian. */
#include "core/siphash.h"

#include <endian.h>
#include <string.h>

struct sip {
	uint64_t v0, v1, v2, v3;
};

static uint64_t rotl(uint64_t x, unsigned n)
{
	return (x << n) | (x >> (64 - n));
}

static uint64_t le64(const uint8_t *p, size_t len)
{
	uint64_t w = 0;

	for (size_t i = 0; i < len; i++)
		w |= (uint64_t)p[i] << (8 * i);
	return w;
}

static void rounds(struct sip *s, int n)
{
	for (; n > 0; n--) {
		s->v0 += s->v1;
		s->v2 += s->v3;
		s->v1 = rotl(s->v1, 13) ^ s->v0;
		s->v3 = rotl(s->v3, 16) ^ s->v2;
		s->v0 = rotl(s->v0, 32);
		s->v2 += s->v1;
		s->v0 += s->v3;
		s->v1 = rotl(s->v1, 17) ^ s->v2;
		s->v3 = rotl(s->v3, 21) ^ s->v0;
		s->v2 = rotl(s->v2, 32);
	}
}

static void absorb(struct sip *s, uint64_t word)
{
	s->v3 ^= word;
	rounds(s, 2);
	s->v0 ^= word;
}

uint64_t siphash(const struct siphash_key *key, const void *ptr, size_t len)
{
	const uint8_t *p = ptr;
	struct sip s = {
		.v0 = key->k0 ^ UINT64_C(0x736f6d6570736575),
		.v1 = key->k1 ^ UINT64_C(0x646f72616e646f6d),
		.v2 = key->k0 ^ UINT64_C(0x6c7967656e657261),
		.v3 = key->k1 ^ UINT64_C(0x7465646279746573),
	};
	size_t rest = len;

	for (; rest >= 8; rest -= 8, p += 8) {
		uint64_t word;

		memcpy(&word, p, sizeof(word));
		absorb(&s, le64toh(word));
	}
	absorb(&s, le64(p, rest) | ((uint64_t)len << 56));
	s.v2 ^= 0xff;
	rounds(&s, 4);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
