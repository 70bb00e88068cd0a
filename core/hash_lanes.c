/* hash_lanes — SHA-1 and SHA-256, sixteen wide.
 *
 * Purpose: one message is a chain: each round waits for the one before, and the
 * processor's own SHA instructions, which OpenSSL uses, spend most of their
 * time waiting too. Messages that do not depend on each other fill a vector:
 * lane i of every variable is message i's, and one pass does a block of each.
 *
 * Why it is ours: Debian has one library that hashes so (libipsec-mb), and it
 * takes whole messages of less than 64 KiB; a v1 piece is longer, and comes in
 * parts. DESIGN.md has the figures.
 *
 * How: the rounds are the standard's text with the compiler's vectors, which
 * turn into one instruction each (rotation, three-operand logic). Only the way
 * in is by hand: sixteen lines of 64 bytes become sixteen vectors of one word
 * of each message, a transposition in three steps.
 *
 * A lane that is not used hashes some other lane's bytes, and nobody looks. */
#include "core/hash_lanes.h"

#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>

#define WIDE	    __attribute__((target("avx512f,avx512bw")))
#define WIDE_INLINE WIDE __attribute__((always_inline)) static inline

#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 80")
#endif

typedef uint32_t lanes __attribute__((vector_size(64)));

enum { BLOCK_WORDS = 16, SHA1_ROUNDS = 80 };

const uint32_t hash_sha256_k[HASH_SHA256_ROUNDS] __attribute__((
	aligned(16))) = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
	0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
	0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
	0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
	0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
	0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

/* The processor has the instructions, and the kernel keeps the registers. By
 * hand, for gcc's __builtin_cpu_supports does not link with LTO. */
static bool ask_processor(void)
{
	enum { XMM_YMM_ZMM = 0xe6 };
	unsigned a, b, c, d, kept, high;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
		return false;
	__asm__("xgetbv" : "=a"(kept), "=d"(high) : "c"(0));
	return (kept & XMM_YMM_ZMM) == XMM_YMM_ZMM &&
	       __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_AVX512F) &&
	       (b & bit_AVX512BW);
}

bool hash_lanes_can(void)
{
	/* 0: not asked yet; then 1 or 2. CPUID takes a microsecond and more in
	 * a virtual machine. */
	static _Atomic int answer;

	if (answer == 0)
		answer = ask_processor() ? 2 : 1;
	return answer == 2;
}

#define ROTL(x, n)	((x) << (n) | (x) >> (32 - (n)))
#define CH(x, y, z)	(((x) & (y)) | (~(x) & (z)))
#define MAJ(x, y, z)	(((x) & (y)) | ((z) & ((x) | (y))))
#define PARITY(x, y, z) ((x) ^ (y) ^ (z))

/* w[i] gets the i-th word of each lane's block, `off` bytes from its `at`. */
WIDE_INLINE void load_block(lanes w[BLOCK_WORDS],
			    const uint8_t *const at[HASH_LANES], size_t off)
{
	const __m512i big_endian = _mm512_broadcast_i32x4(
		_mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203));
	__m512i r[16], t[16];

	UNROLL
	for (int i = 0; i < 16; i++)
		r[i] = _mm512_shuffle_epi8(_mm512_loadu_si512(at[i] + off),
					   big_endian);
	UNROLL
	for (int i = 0; i < 16; i += 2) {
		t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
		t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
	}
	UNROLL
	for (int i = 0; i < 16; i += 4) {
		r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
		r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
		r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
		r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
	}
	/* Quarter q of r[4g + j] has word 4q + j of lanes 4g to 4g + 3. */
	UNROLL
	for (int j = 0; j < 4; j++) {
		__m512i even_low = _mm512_shuffle_i32x4(r[j], r[4 + j], 0x88);
		__m512i odd_low = _mm512_shuffle_i32x4(r[j], r[4 + j], 0xdd);
		__m512i even_high =
			_mm512_shuffle_i32x4(r[8 + j], r[12 + j], 0x88);
		__m512i odd_high =
			_mm512_shuffle_i32x4(r[8 + j], r[12 + j], 0xdd);

		w[j] = (lanes)_mm512_shuffle_i32x4(even_low, even_high, 0x88);
		w[4 + j] = (lanes)_mm512_shuffle_i32x4(odd_low, odd_high, 0x88);
		w[8 + j] =
			(lanes)_mm512_shuffle_i32x4(even_low, even_high, 0xdd);
		w[12 + j] =
			(lanes)_mm512_shuffle_i32x4(odd_low, odd_high, 0xdd);
	}
}

/* 6.1.2, with the schedule as a ring of sixteen words. */
WIDE_INLINE void sha1_block(lanes s[5], lanes w[BLOCK_WORDS])
{
	lanes a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f, x;

	UNROLL
	for (int t = 0; t < SHA1_ROUNDS; t++) {
		if (t >= BLOCK_WORDS) {
			x = w[(t + 13) & 15] ^ w[(t + 8) & 15] ^
			    w[(t + 2) & 15] ^ w[t & 15];
			w[t & 15] = ROTL(x, 1);
		}
		if (t < 20)
			f = CH(b, c, d) + 0x5a827999;
		else if (t < 40)
			f = PARITY(b, c, d) + 0x6ed9eba1;
		else if (t < 60)
			f = MAJ(b, c, d) + 0x8f1bbcdc;
		else
			f = PARITY(b, c, d) + 0xca62c1d6;
		x = ROTL(a, 5) + f + e + w[t & 15];
		e = d;
		d = c;
		c = ROTL(b, 30);
		b = a;
		a = x;
	}
	s[0] += a;
	s[1] += b;
	s[2] += c;
	s[3] += d;
	s[4] += e;
}

/* 6.2.2, likewise. v is a to h. */
WIDE_INLINE void sha256_block(lanes s[8], lanes w[BLOCK_WORDS])
{
	lanes v[8], x, y, t1, t2;

	UNROLL
	for (int i = 0; i < 8; i++)
		v[i] = s[i];
	UNROLL
	for (int t = 0; t < HASH_SHA256_ROUNDS; t++) {
		if (t >= BLOCK_WORDS) {
			x = w[(t + 1) & 15];
			y = w[(t + 14) & 15];
			w[t & 15] += (ROTL(x, 25) ^ ROTL(x, 14) ^ (x >> 3)) +
				     w[(t + 9) & 15] +
				     (ROTL(y, 15) ^ ROTL(y, 13) ^ (y >> 10));
		}
		x = v[4];
		y = v[0];
		t1 = v[7] + (ROTL(x, 26) ^ ROTL(x, 21) ^ ROTL(x, 7)) +
		     CH(x, v[5], v[6]) + hash_sha256_k[t] + w[t & 15];
		t2 = (ROTL(y, 30) ^ ROTL(y, 19) ^ ROTL(y, 10)) +
		     MAJ(y, v[1], v[2]);
		v[7] = v[6];
		v[6] = v[5];
		v[5] = v[4];
		v[4] = v[3] + t1;
		v[3] = v[2];
		v[2] = v[1];
		v[1] = v[0];
		v[0] = t1 + t2;
	}
	UNROLL
	for (int i = 0; i < 8; i++)
		s[i] += v[i];
}

WIDE void hash_lanes_sha1(struct hash_lanes *l,
			  const uint8_t *const at[HASH_LANES], size_t n_blocks)
{
	lanes s[5], w[BLOCK_WORDS];

	memcpy(s, l->state, sizeof(s));
	for (size_t i = 0; i < n_blocks; i++) {
		load_block(w, at, i * HASH_LANES_BLOCK_BYTES);
		sha1_block(s, w);
	}
	memcpy(l->state, s, sizeof(s));
}

WIDE void hash_lanes_sha256(struct hash_lanes *l,
			    const uint8_t *const at[HASH_LANES],
			    size_t n_blocks)
{
	lanes s[8], w[BLOCK_WORDS];

	memcpy(s, l->state, sizeof(s));
	for (size_t i = 0; i < n_blocks; i++) {
		load_block(w, at, i * HASH_LANES_BLOCK_BYTES);
		sha256_block(s, w);
	}
	memcpy(l->state, s, sizeof(s));
}

#else /* another processor: OpenSSL alone */

bool hash_lanes_can(void)
{
	return false;
}

void hash_lanes_sha1(struct hash_lanes *l, const uint8_t *const at[HASH_LANES],
		     size_t n_blocks)
{
	abort();
}

void hash_lanes_sha256(struct hash_lanes *l,
		       const uint8_t *const at[HASH_LANES], size_t n_blocks)
{
	abort();
}

#endif
