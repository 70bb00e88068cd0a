/* test_hmap — the hash table, against a plain array that cannot be wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/err.h"
#include "core/hmap.h"
#include "core/mem.h"
#include "core/rng.h"

enum { N_KEYS = 300, KEY_BYTES = 20 };

/* ---- the model: value i is &cells[i], in the map iff in[i] ---- */

struct cell {
	char other;
	uint8_t key[KEY_BYTES];
};

struct model {
	struct hmap *map;
	struct cell cells[N_KEYS];
	unsigned char in[N_KEYS];
	size_t n;
};

static const uint8_t *key_of(size_t i)
{
	static uint8_t key[KEY_BYTES];

	memset(key, 0, sizeof(key));
	memcpy(key + 3, &i, sizeof(i));
	return key;
}

/* With keys in the values or copied. */
static void model_init(struct model *m, int within)
{
	memset(m, 0, sizeof(*m));
	for (size_t i = 0; i < N_KEYS; i++)
		memcpy(m->cells[i].key, key_of(i), KEY_BYTES);
	if (within)
		assert_int_equal(hmap_new_within(KEY_BYTES,
						 offsetof(struct cell, key),
						 &m->map),
				 0);
	else
		assert_int_equal(hmap_new(KEY_BYTES, &m->map), 0);
}

static void model_put(struct model *m, size_t i)
{
	int r = hmap_put(m->map, key_of(i), &m->cells[i]);

	assert_int_equal(r, m->in[i] ? EEXIST : 0);
	m->n += !m->in[i];
	m->in[i] = 1;
}

static void model_del(struct model *m, size_t i)
{
	void *v = hmap_del(m->map, key_of(i));

	assert_ptr_equal(v, m->in[i] ? &m->cells[i] : NULL);
	m->n -= m->in[i];
	m->in[i] = 0;
}

static void model_compare(const struct model *m)
{
	assert_int_equal(hmap_count(m->map), m->n);
	for (size_t i = 0; i < N_KEYS; i++)
		assert_ptr_equal(hmap_get(m->map, key_of(i)),
				 m->in[i] ? &m->cells[i] : NULL);
}

/* Walk, deleting those of which `r` says so; each comes exactly once. */
static void model_walk(struct model *m, struct rng *r, uint64_t one_in)
{
	unsigned char seen[N_KEYS] = {0};
	size_t pos = 0, n = m->n, n_seen = 0;
	struct cell *v;

	while ((v = hmap_next(m->map, &pos)) != NULL) {
		size_t i = (size_t)(v - m->cells);

		assert_true(m->in[i]);
		assert_false(seen[i]);
		seen[i] = 1;
		n_seen++;
		if (one_in > 0 && rng_below(r, one_in) == 0)
			model_del(m, i);
	}
	assert_int_equal(n_seen, n);
	assert_null(hmap_next(m->map, &pos));
}

/* ---- tests ---- */

/* Whatever is put in and taken out, in any order, the map and the model
 * agree after each step; walks that delete see each value exactly once. */
static void agrees_with_model(void **state)
{
	struct model m;
	struct rng r;

	rng_seed(&r, 42);
	for (int round = 0; round < 60; round++) {
		uint64_t width = 1 + rng_below(&r, N_KEYS);

		model_init(&m, round % 2);
		if (round % 3 == 0)
			assert_int_equal(hmap_reserve(m.map, width), 0);
		for (int step = 0; step < 300; step++) {
			size_t i = rng_below(&r, width);

			if (rng_below(&r, 3) == 0)
				model_del(&m, i);
			else
				model_put(&m, i);
		}
		model_compare(&m);
		model_walk(&m, &r, 0);
		model_walk(&m, &r, 1 + rng_below(&r, 4));
		model_compare(&m);
		hmap_free(m.map);
	}
}

/* Small full tables, where runs go round the end: each map has a secret of
 * its own, so many maps are many layouts. */
static void walk_and_delete_round_the_end(void **state)
{
	struct model m;
	struct rng r;

	rng_seed(&r, 7);
	for (int round = 0; round < 3000; round++) {
		model_init(&m, round % 2);
		for (size_t i = 0; i < 6; i++)
			model_put(&m, i);
		model_walk(&m, &r, 2);
		model_compare(&m);
		model_walk(&m, &r, 1);
		assert_int_equal(hmap_count(m.map), 0);
		hmap_free(m.map);
	}
}

/* The key is copied, and all of its bytes count. */
static void copies_whole_keys(void **state)
{
	struct hmap *m;
	char key[64] = {0};
	int a, b;

	assert_int_equal(hmap_new(sizeof(key), &m), 0);
	assert_int_equal(hmap_put(m, key, &a), 0);
	key[63] = 1;
	assert_null(hmap_get(m, key));
	assert_int_equal(hmap_put(m, key, &b), 0);
	assert_ptr_equal(hmap_get(m, key), &b);
	key[63] = 0;
	assert_ptr_equal(hmap_get(m, key), &a);
	hmap_free(m);
}

/* When growing fails, the map is as it was, and can be tried again. */
static void survives_no_memory(void **state)
{
	struct model m;
	size_t i = 0;
	int r = 0;

	mem_fail_after(0, 0);
	assert_int_equal(hmap_new(1, &m.map), ENOMEM);
	mem_fail_after(1, 0);
	assert_int_equal(hmap_new(1, &m.map), ENOMEM);
	model_init(&m, 0);
	mem_fail_after(0, 1);
	for (i = 0; r == 0 && i < N_KEYS; i++) {
		r = hmap_put(m.map, key_of(i), &m.cells[i]);
		m.in[i] = r == 0;
		m.n += r == 0;
	}
	mem_fail_after(UINT64_MAX, 0);
	assert_int_equal(r, ENOMEM);
	model_compare(&m);
	model_put(&m, i - 1);
	model_compare(&m);
	hmap_free(m.map);
	hmap_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_model),
		cmocka_unit_test(walk_and_delete_round_the_end),
		cmocka_unit_test(copies_whole_keys),
		cmocka_unit_test(survives_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
