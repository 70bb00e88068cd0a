/* test_merkle — BEP 52's hash trees, against the plain definition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem.h"
#include "core/merkle.h"

enum { MAX_LEAVES = 64 };

typedef uint8_t node[HASH_SHA256_BYTES];

/* ---- fixture ---- */

static int setup(void **state)
{
	return hasher_new((struct hasher **)state);
}

static int teardown(void **state)
{
	hasher_free(*state);
	return 0;
}

/* ---- helpers ---- */

/* The definition: hash pairs of a whole level until one is left. */
static void plain_root(struct hasher *h, node *level, unsigned n, node out)
{
	for (; n > 1; n /= 2)
		for (unsigned i = 0; i < n / 2; i++)
			hasher_once(h, HASH_SHA256, level[2 * i],
				    2 * HASH_SHA256_BYTES, level[i]);
	memcpy(out, level[0], HASH_SHA256_BYTES);
}

/* ---- tests ---- */

/* Any number of leaves in any tree that holds them gives the root of the
 * tree filled up with zero leaves. */
static void equals_the_definition(void **state)
{
	for (unsigned height = 0; height <= 6; height++) {
		for (unsigned n = 0; n <= 1u << height; n++) {
			node level[MAX_LEAVES] = {{0}};
			struct merkle m;
			node want;
			node got;

			merkle_begin(&m, *state, 0);
			for (unsigned i = 0; i < n; i++) {
				memset(level[i], (int)i + 1, sizeof(node));
				merkle_add(&m, level[i]);
			}
			merkle_root(&m, height, got);
			plain_root(*state, level, 1u << height, want);
			assert_memory_equal(got, want, sizeof(want));
		}
	}
}

/* A tree over nodes of a higher level is filled up with the roots of empty
 * subtrees of that level. */
static void pads_at_its_level(void **state)
{
	node level[8] = {{0}};
	struct merkle low;
	struct merkle high;
	node two;
	node want;
	node got;

	for (unsigned i = 0; i < 6; i++)
		memset(level[i], 7, sizeof(node));
	merkle_begin(&high, *state, 1);
	for (unsigned i = 0; i < 6; i += 2) {
		merkle_begin(&low, *state, 0);
		merkle_add(&low, level[i]);
		merkle_add(&low, level[i + 1]);
		merkle_root(&low, 1, two);
		merkle_add(&high, two);
	}
	merkle_root(&high, 2, got);
	plain_root(*state, level, 8, want);
	assert_memory_equal(got, want, sizeof(want));
}

/* Data is cut into leaves of 16 KiB, the last one as short as it is. */
static void cuts_data_into_leaves(void **state)
{
	size_t len = 2 * MERKLE_LEAF_BYTES + 1;
	uint8_t *data = mem_zalloc(len, 1);
	struct merkle m;
	node level[4] = {{0}};
	node want;
	node got;

	data[len - 1] = 9;
	for (size_t i = 0; i < 3; i++)
		hasher_once(*state, HASH_SHA256, data + i * MERKLE_LEAF_BYTES,
			    i < 2 ? MERKLE_LEAF_BYTES : 1, level[i]);
	merkle_begin(&m, *state, 0);
	merkle_add_data(&m, data, len);
	merkle_root(&m, 2, got);
	plain_root(*state, level, 4, want);
	assert_memory_equal(got, want, sizeof(want));
	mem_free(data);
}

/* Heights round up. */
static void heights(void **state)
{
	assert_int_equal(merkle_height(0), 0);
	assert_int_equal(merkle_height(1), 0);
	assert_int_equal(merkle_height(2), 1);
	assert_int_equal(merkle_height(3), 2);
	assert_int_equal(merkle_height(4), 2);
	assert_int_equal(merkle_height(5), 3);
	assert_int_equal(merkle_height(UINT64_C(1) << 40), 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equals_the_definition),
		cmocka_unit_test(pads_at_its_level),
		cmocka_unit_test(cuts_data_into_leaves),
		cmocka_unit_test(heights),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
