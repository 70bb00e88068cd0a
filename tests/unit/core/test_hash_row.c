/* test_hash_row — messages hashed side by side, against OpenSSL's digest of
 * each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/hash_row.h"
#include "core/mem.h"
#include "core/rng.h"

enum {
	LONGEST = 20000,
	N_MAX = 2 * HASH_ROW_MAX + 3,
	DIGEST = HASH_SHA256_BYTES,
	ROOM = N_MAX * (LONGEST + 1),
};

static const size_t digest_bytes[] = {HASH_SHA1_BYTES, HASH_SHA256_BYTES};

/* ---- fixture ---- */

struct rows {
	struct hasher *h;
	struct rng rng;
	uint8_t *bytes;
	const uint8_t *at[N_MAX]; /* the messages; nothing lies aligned */
};

static int setup(void **state)
{
	struct rows *f = mem_new(struct rows);

	f->bytes = mem_alloc(ROOM);
	rng_seed(&f->rng, 4711);
	for (size_t i = 0; i < ROOM; i++)
		f->bytes[i] = (uint8_t)rng_next(&f->rng);
	for (size_t i = 0; i < N_MAX; i++)
		f->at[i] = f->bytes + i * (LONGEST + 1);
	*state = f;
	return hasher_new(&f->h);
}

static int teardown(void **state)
{
	struct rows *f = *state;

	hasher_free(f->h);
	mem_free(f->bytes);
	mem_free(f);
	return 0;
}

/* ---- assertions ---- */

static void assert_digests(struct rows *f, enum hash_algo algo, size_t len,
			   size_t n, const uint8_t *got)
{
	uint8_t want[DIGEST];

	for (size_t i = 0; i < n; i++) {
		hasher_once(f->h, algo, f->at[i], len, want);
		assert_memory_equal(got + i * digest_bytes[algo], want,
				    digest_bytes[algo]);
	}
}

static void assert_all(struct rows *f, size_t len, size_t n)
{
	uint8_t got[N_MAX * DIGEST];

	for (enum hash_algo a = HASH_SHA1; a <= HASH_SHA256; a++) {
		hash_all(f->h, a, f->at, len, n, got);
		assert_digests(f, a, len, n, got);
	}
}

/* One row, whose messages come in parts of `part` bytes. */
static void assert_row(struct rows *f, enum hash_algo algo, size_t len,
		       size_t part, unsigned n)
{
	uint8_t got[HASH_ROW_MAX * DIGEST];
	uint8_t *to[HASH_ROW_MAX];
	const uint8_t *at[HASH_ROW_MAX];
	struct hash_row row;

	hash_row_begin(&row, algo, n);
	for (size_t off = 0; off < len; off += part) {
		for (unsigned i = 0; i < n; i++)
			at[i] = f->at[i] + off;
		hash_row_add(&row, at, len - off < part ? len - off : part);
	}
	for (unsigned i = 0; i < n; i++)
		to[i] = got + i * digest_bytes[algo];
	hash_row_end(&row, to);
	assert_digests(f, algo, len, n, got);
}

/* ---- tests ---- */

/* Each length around the ends of the first blocks, where padding takes one
 * block or two. */
static void lengths_around_blocks(void **state)
{
	for (size_t len = 0; len <= 200; len++)
		assert_all(*state, len, HASH_ROW_MAX);
}

/* Any number of messages: none, fewer than a row, several rows and a rest. */
static void any_number(void **state)
{
	for (size_t n = 0; n <= N_MAX; n++)
		assert_all(*state, 16384, n);
}

static void random_lengths(void **state)
{
	struct rows *f = *state;

	for (int i = 0; i < 100; i++)
		assert_all(f, rng_below(&f->rng, LONGEST + 1),
			   rng_below(&f->rng, N_MAX + 1));
}

/* A message may come in parts of whole blocks; the last is what is left. */
static void in_parts(void **state)
{
	struct rows *f = *state;

	for (enum hash_algo a = HASH_SHA1; a <= HASH_SHA256; a++) {
		if (!hash_row_pays(a, HASH_ROW_MAX))
			skip();
		for (int i = 0; i < 40; i++)
			assert_row(
				f, a, rng_below(&f->rng, LONGEST + 1),
				64 * (1 + rng_below(&f->rng, 40)),
				1 + (unsigned)rng_below(&f->rng, HASH_ROW_MAX));
	}
}

/* Who goes together pays, and is no more than there are. */
static void the_best_number_pays(void **state)
{
	(void)state;
	for (enum hash_algo a = HASH_SHA1; a <= HASH_SHA256; a++) {
		for (unsigned n = 1; n <= HASH_ROW_MAX; n++) {
			unsigned best = hash_row_best(a, n);

			assert_in_range(best, 1, n);
			assert_true(best == 1 || hash_row_pays(a, best));
			assert_int_equal(best > 1, hash_row_pays(a, n));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lengths_around_blocks, setup,
						teardown),
		cmocka_unit_test_setup_teardown(any_number, setup, teardown),
		cmocka_unit_test_setup_teardown(random_lengths, setup,
						teardown),
		cmocka_unit_test_setup_teardown(in_parts, setup, teardown),
		cmocka_unit_test(the_best_number_pays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
