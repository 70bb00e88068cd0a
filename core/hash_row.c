/* hash_row — from messages to blocks for hash_lanes and hash_few, and the
 * choice between them and OpenSSL.
 *
 * Sixteen lanes cost the same with one message as with sixteen, so few are
 * better hashed by twos and threes, or where the processor cannot do that one
 * by one: see `wide_from`. */
#include "core/hash_row.h"

#include <assert.h>
#include <string.h>

#include "core/hash_few.h"

enum { BLOCK = HASH_LANES_BLOCK_BYTES, LENGTH_BYTES = 8 };

/* The fewest messages for which sixteen lanes win over the processor's own SHA
 * instructions, as hash_few uses them and as OpenSSL does; from what DESIGN.md
 * has of each. */
static const unsigned wide_from_few[] = {[HASH_SHA1] = 7, [HASH_SHA256] = 9};
static const unsigned wide_from_one[] = {[HASH_SHA1] = 4, [HASH_SHA256] = 8};

static const size_t digest_bytes[] = {
	[HASH_SHA1] = HASH_SHA1_BYTES, [HASH_SHA256] = HASH_SHA256_BYTES};

/* FIPS 180-4, 5.3.1 and 5.3.3. */
static const uint32_t first_state[][HASH_LANES_WORDS] = {
	[HASH_SHA1] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476,
		       0xc3d2e1f0},
	[HASH_SHA256] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
			 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19},
};

bool hash_row_pays(enum hash_algo algo, unsigned n)
{
	return hash_few_can() ? n > 1
			      : n >= wide_from_one[algo] && hash_lanes_can();
}

static bool is_wide(enum hash_algo algo, unsigned n)
{
	return hash_lanes_can() &&
	       (n >= wide_from_few[algo] || !hash_few_can());
}

unsigned hash_row_best(enum hash_algo algo, unsigned n)
{
	unsigned few = algo == HASH_SHA1 ? (unsigned)HASH_FEW_SHA1
					 : (unsigned)HASH_FEW_SHA256;

	if (!hash_row_pays(algo, n))
		return 1;
	return is_wide(algo, n) || n < few ? n : few;
}

void hash_row_begin(struct hash_row *row, enum hash_algo algo, unsigned n)
{
	assert(n > 0 && n <= HASH_ROW_MAX);
	row->algo = algo;
	row->n = n;
	row->len_bytes = 0;
	for (int w = 0; w < HASH_LANES_WORDS; w++)
		for (int i = 0; i < HASH_LANES; i++)
			row->lanes.state[w][i] = first_state[algo][w];
}

/* How many of the `n` that are left go at once: the last two rather by
 * themselves than one of them alone. */
static unsigned few(enum hash_algo algo, unsigned n)
{
	unsigned most = algo == HASH_SHA1 && n != HASH_FEW_SHA1 + 1
				? (unsigned)HASH_FEW_SHA1
				: 2;

	return n < most ? n : most;
}

static void run_few(struct hash_row *row, const uint8_t *const *at,
		    size_t n_blocks)
{
	for (unsigned i = 0, n; i < row->n; i += n) {
		n = few(row->algo, row->n - i);
		if (row->algo == HASH_SHA1)
			hash_few_sha1(&row->lanes, i, n, at + i, n_blocks);
		else
			hash_few_sha256(&row->lanes, i, n, at + i, n_blocks);
	}
}

/* Lanes beyond the last message do what the first does. */
static void run_wide(struct hash_row *row, const uint8_t *const *at,
		     size_t n_blocks)
{
	const uint8_t *lane[HASH_LANES];

	for (unsigned i = 0; i < HASH_LANES; i++)
		lane[i] = at[i < row->n ? i : 0];
	if (row->algo == HASH_SHA1)
		hash_lanes_sha1(&row->lanes, lane, n_blocks);
	else
		hash_lanes_sha256(&row->lanes, lane, n_blocks);
}

static void run(struct hash_row *row, const uint8_t *const *at, size_t n_blocks)
{
	if (is_wide(row->algo, row->n))
		run_wide(row, at, n_blocks);
	else
		run_few(row, at, n_blocks);
}

void hash_row_add(struct hash_row *row, const uint8_t *const *at, size_t len)
{
	size_t whole = len / BLOCK * BLOCK;

	assert(row->len_bytes % BLOCK == 0);
	row->len_bytes += len;
	if (whole > 0)
		run(row, at, whole / BLOCK);
	for (unsigned i = 0; i < row->n && whole < len; i++)
		memcpy(row->tail[i], at[i] + whole, len - whole);
}

static void put_be(uint8_t *dst, uint64_t v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		dst[i] = (uint8_t)(v >> 8 * (n - 1 - i));
}

/* 5.1.1: a bit, zeros, and the length in bits at the end of a block. */
static void pad(struct hash_row *row)
{
	size_t used = row->len_bytes % BLOCK;
	size_t end = used + 1 + LENGTH_BYTES <= BLOCK ? BLOCK : 2 * BLOCK;
	const uint8_t *at[HASH_ROW_MAX];

	for (unsigned i = 0; i < row->n; i++) {
		uint8_t *tail = row->tail[i];

		tail[used] = 0x80;
		memset(tail + used + 1, 0, end - used - 1);
		put_be(tail + end - LENGTH_BYTES, row->len_bytes * 8,
		       LENGTH_BYTES);
		at[i] = tail;
	}
	run(row, at, end / BLOCK);
}

void hash_row_end(struct hash_row *row, uint8_t *const *out)
{
	pad(row);
	for (unsigned i = 0; i < row->n; i++)
		for (size_t w = 0; w < digest_bytes[row->algo] / 4; w++)
			put_be(out[i] + 4 * w, row->lanes.state[w][i], 4);
}

void hash_all(struct hasher *h, enum hash_algo algo, const uint8_t *const *at,
	      size_t len, size_t n, uint8_t *out)
{
	const size_t step = digest_bytes[algo];
	uint8_t *to[HASH_ROW_MAX];
	struct hash_row row;

	while (n > 0) {
		unsigned now = n < HASH_ROW_MAX ? (unsigned)n : HASH_ROW_MAX;

		if (hash_row_pays(algo, now)) {
			for (unsigned i = 0; i < now; i++)
				to[i] = out + i * step;
			hash_row_begin(&row, algo, now);
			hash_row_add(&row, at, len);
			hash_row_end(&row, to);
		} else {
			for (unsigned i = 0; i < now; i++)
				hasher_once(h, algo, at[i], len,
					    out + i * step);
		}
		at += now;
		out += now * step;
		n -= now;
	}
}
