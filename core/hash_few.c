/* hash_few — SHA-1 two and three wide, SHA-256 two wide.
 *
 * Purpose: one message is a chain: its next four rounds of SHA-1 wait until
 * those before are through, and OpenSSL, which has one message at a time, waits
 * with them. Two messages hide that well, and a third the rest; with a fourth
 * the registers do not suffice. Of SHA-256 two fill them.
 *
 * How: the instructions are what their makers say (Intel 64 and IA-32 SDM,
 * "SHA1RNDS4" and so on), in the standard's order; group `g` is four rounds.
 * What is done is done for each message before the next step, so that the
 * steps of different messages lie side by side.
 *
 * One message alone is hashed twice, and nobody looks. */
#include "core/hash_few.h"

#include <stdlib.h>

#include "core/hash_lanes.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>

#define NI	  __attribute__((target("sha,ssse3,sse4.1")))
#define NI_INLINE NI __attribute__((always_inline)) static inline

#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 4")
#endif
#define EACH(n) UNROLL for (unsigned m = 0; m < (n); m++)

enum { BLOCK = HASH_LANES_BLOCK_BYTES, QUADS = 4 };

static bool ask_processor(void)
{
	unsigned a, b, c, d;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSSE3) ||
	    !(c & bit_SSE4_1))
		return false;
	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
}

bool hash_few_can(void)
{
	/* As in hash_lanes_can. */
	static _Atomic int answer;

	if (answer == 0)
		answer = ask_processor() ? 2 : 1;
	return answer == 2;
}

/* ---- SHA-1 ---- */

/* Four rounds, with the function and the constant of rounds 20 `f` to 20 `f` +
 * 19. The schedule is a ring of four registers of four words. */
#define SHA1_GROUP(g, f)                                                    \
	EACH(lanes)                                                         \
	{                                                                   \
		if ((g) >= QUADS)                                           \
			w[(g)&3][m] = _mm_sha1msg2_epu32(                   \
				_mm_xor_si128(_mm_sha1msg1_epu32(           \
						      w[(g)&3][m],          \
						      w[((g) + 1) & 3][m]), \
					      w[((g) + 2) & 3][m]),         \
				w[((g) + 3) & 3][m]);                       \
		x = (g) == 0 ? _mm_add_epi32(e[m], w[0][m])                 \
			     : _mm_sha1nexte_epu32(e[m], w[(g)&3][m]);      \
		e[m] = abcd[m];                                             \
		abcd[m] = _mm_sha1rnds4_epu32(abcd[m], x, f);               \
	}

#define SHA1_GROUPS(g, f)      \
	SHA1_GROUP(g, f)       \
	SHA1_GROUP((g) + 1, f) \
	SHA1_GROUP((g) + 2, f) \
	SHA1_GROUP((g) + 3, f) \
	SHA1_GROUP((g) + 4, f)

NI_INLINE void sha1_blocks(__m128i abcd[HASH_FEW_SHA1],
			   __m128i e[HASH_FEW_SHA1],
			   const uint8_t *const at[HASH_FEW_SHA1], size_t n,
			   const unsigned lanes)
{
	const __m128i big_endian =
		_mm_set_epi64x(0x0001020304050607, 0x08090a0b0c0d0e0f);
	__m128i w[QUADS][HASH_FEW_SHA1];
	__m128i abcd_0[HASH_FEW_SHA1], e_0[HASH_FEW_SHA1], x;

	for (size_t off = 0; off < n * BLOCK; off += BLOCK) {
		EACH(lanes)
		{
			const __m128i *from = (const __m128i *)(at[m] + off);

			abcd_0[m] = abcd[m];
			e_0[m] = e[m];
			UNROLL
			for (int i = 0; i < QUADS; i++)
				w[i][m] = _mm_shuffle_epi8(
					_mm_loadu_si128(from + i), big_endian);
		}
		SHA1_GROUPS(0, 0)
		SHA1_GROUPS(5, 1)
		SHA1_GROUPS(10, 2)
		SHA1_GROUPS(15, 3)
		EACH(lanes)
		{
			e[m] = _mm_sha1nexte_epu32(e[m], e_0[m]);
			abcd[m] = _mm_add_epi32(abcd[m], abcd_0[m]);
		}
	}
}

NI void hash_few_sha1(struct hash_lanes *l, unsigned first, unsigned n,
		      const uint8_t *const *at, size_t n_blocks)
{
	__m128i abcd[HASH_FEW_SHA1], e[HASH_FEW_SHA1];
	const uint8_t *from[HASH_FEW_SHA1];

	for (unsigned m = 0; m < HASH_FEW_SHA1; m++) {
		unsigned i = first + (m < n ? m : 0);

		from[m] = at[m < n ? m : 0];
		abcd[m] =
			_mm_set_epi32((int)l->state[0][i], (int)l->state[1][i],
				      (int)l->state[2][i], (int)l->state[3][i]);
		e[m] = _mm_set_epi32((int)l->state[4][i], 0, 0, 0);
	}
	if (n == HASH_FEW_SHA1)
		sha1_blocks(abcd, e, from, n_blocks, HASH_FEW_SHA1);
	else
		sha1_blocks(abcd, e, from, n_blocks, 2);
	for (unsigned m = 0; m < n; m++) {
		l->state[0][first + m] =
			(uint32_t)_mm_extract_epi32(abcd[m], 3);
		l->state[1][first + m] =
			(uint32_t)_mm_extract_epi32(abcd[m], 2);
		l->state[2][first + m] =
			(uint32_t)_mm_extract_epi32(abcd[m], 1);
		l->state[3][first + m] =
			(uint32_t)_mm_extract_epi32(abcd[m], 0);
		l->state[4][first + m] = (uint32_t)_mm_extract_epi32(e[m], 3);
	}
}

/* ---- SHA-256 ---- */

/* Two instructions of two rounds each; they take the halves of the state in
 * turns, and the words for the second from the upper half of `x`. */
#define SHA256_GROUP(g)                                                       \
	EACH(HASH_FEW_SHA256)                                                 \
	{                                                                     \
		if ((g) >= QUADS)                                             \
			w[(g)&3][m] = _mm_sha256msg2_epu32(                   \
				_mm_add_epi32(                                \
					_mm_sha256msg1_epu32(                 \
						w[(g)&3][m],                  \
						w[((g) + 1) & 3][m]),         \
					_mm_alignr_epi8(w[((g) + 3) & 3][m],  \
							w[((g) + 2) & 3][m],  \
							4)),                  \
				w[((g) + 3) & 3][m]);                         \
		x = _mm_add_epi32(                                            \
			w[(g)&3][m],                                          \
			_mm_load_si128(                                       \
				(const __m128i *)(hash_sha256_k + 4 * (g)))); \
		cdgh[m] = _mm_sha256rnds2_epu32(cdgh[m], abef[m], x);         \
		abef[m] = _mm_sha256rnds2_epu32(abef[m], cdgh[m],             \
						_mm_shuffle_epi32(x, 0x0e));  \
	}

#define SHA256_GROUPS(g)      \
	SHA256_GROUP(g)       \
	SHA256_GROUP((g) + 1) \
	SHA256_GROUP((g) + 2) \
	SHA256_GROUP((g) + 3)

NI_INLINE void sha256_blocks(__m128i abef[HASH_FEW_SHA256],
			     __m128i cdgh[HASH_FEW_SHA256],
			     const uint8_t *const at[HASH_FEW_SHA256], size_t n)
{
	const __m128i big_endian =
		_mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
	__m128i w[QUADS][HASH_FEW_SHA256];
	__m128i abef_0[HASH_FEW_SHA256], cdgh_0[HASH_FEW_SHA256], x;

	for (size_t off = 0; off < n * BLOCK; off += BLOCK) {
		EACH(HASH_FEW_SHA256)
		{
			const __m128i *from = (const __m128i *)(at[m] + off);

			abef_0[m] = abef[m];
			cdgh_0[m] = cdgh[m];
			UNROLL
			for (int i = 0; i < QUADS; i++)
				w[i][m] = _mm_shuffle_epi8(
					_mm_loadu_si128(from + i), big_endian);
		}
		SHA256_GROUPS(0)
		SHA256_GROUPS(4)
		SHA256_GROUPS(8)
		SHA256_GROUPS(12)
		EACH(HASH_FEW_SHA256)
		{
			abef[m] = _mm_add_epi32(abef[m], abef_0[m]);
			cdgh[m] = _mm_add_epi32(cdgh[m], cdgh_0[m]);
		}
	}
}

/* The words of the state in the order of a register's lanes. */
static const unsigned char abef_words[] = {5, 4, 1, 0};
static const unsigned char cdgh_words[] = {7, 6, 3, 2};

NI void hash_few_sha256(struct hash_lanes *l, unsigned first, unsigned n,
			const uint8_t *const *at, size_t n_blocks)
{
	__m128i abef[HASH_FEW_SHA256], cdgh[HASH_FEW_SHA256];
	const uint8_t *from[HASH_FEW_SHA256];
	uint32_t words[2][QUADS];

	for (unsigned m = 0; m < HASH_FEW_SHA256; m++) {
		unsigned i = m < n ? m : 0;

		from[m] = at[i];
		for (int q = 0; q < QUADS; q++) {
			words[0][q] = l->state[abef_words[q]][first + i];
			words[1][q] = l->state[cdgh_words[q]][first + i];
		}
		abef[m] = _mm_loadu_si128((const __m128i *)words[0]);
		cdgh[m] = _mm_loadu_si128((const __m128i *)words[1]);
	}
	sha256_blocks(abef, cdgh, from, n_blocks);
	for (unsigned m = 0; m < n; m++) {
		_mm_storeu_si128((__m128i *)words[0], abef[m]);
		_mm_storeu_si128((__m128i *)words[1], cdgh[m]);
		for (int q = 0; q < QUADS; q++) {
			l->state[abef_words[q]][first + m] = words[0][q];
			l->state[cdgh_words[q]][first + m] = words[1][q];
		}
	}
}

#else

bool hash_few_can(void)
{
	return false;
}

void hash_few_sha1(struct hash_lanes *l, unsigned first, unsigned n,
		   const uint8_t *const *at, size_t n_blocks)
{
	abort();
}

void hash_few_sha256(struct hash_lanes *l, unsigned first, unsigned n,
		     const uint8_t *const *at, size_t n_blocks)
{
	abort();
}

#endif
