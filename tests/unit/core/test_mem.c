/* test_mem — counted allocation and the hook that makes it fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem.h"

/* The count goes up with every kind of allocation and back to where it was. */
static void counts_what_is_held(void **state)
{
	uint64_t before = mem_in_use_bytes();
	void *a = mem_alloc(1000);
	void *b = mem_zalloc(10, 100);
	void *c = mem_alloc_aligned(4096, 10000);
	char *d = mem_strdup("magnet");

	assert_true(mem_in_use_bytes() >= before + 12000);
	a = mem_grow(a, 50, 1000);
	assert_non_null(a);
	assert_true(mem_in_use_bytes() >= before + 61000);
	assert_int_equal((uintptr_t)c % 4096, 0);
	assert_string_equal(d, "magnet");
	mem_free(a);
	mem_free(b);
	mem_free(c);
	mem_free(d);
	mem_free(NULL);
	assert_int_equal(mem_in_use_bytes(), before);
}

/* Sizes that do not fit into size_t, and sizes of nothing, are no trap. */
static void odd_sizes(void **state)
{
	void *p = mem_alloc(0);
	void *q = mem_zalloc(0, 8);
	char *copy = mem_dup("", 0);

	assert_non_null(p);
	assert_non_null(q);
	assert_int_equal(copy[0], '\0');
	assert_null(mem_zalloc(SIZE_MAX / 2, 3));
	assert_null(mem_grow(p, SIZE_MAX / 2, 3));
	assert_null(mem_dup(p, SIZE_MAX));
	p = mem_grow(p, 0, 0);
	assert_non_null(p);
	mem_free(p);
	mem_free(q);
	mem_free(copy);
}

/* A block that grows keeps its content, and keeps it when growing fails. */
static void growing_keeps_content(void **state)
{
	char *p = mem_strdup("piece");

	mem_fail_after(0, 0);
	assert_null(mem_grow(p, 100, 100));
	assert_string_equal(p, "piece");
	p = mem_grow(p, 100, 100);
	assert_string_equal(p, "piece");
	mem_free(p);
}

/* After n allocations one fails, or all do, until the hook is taken off. */
static void fails_on_demand(void **state)
{
	void *p;

	mem_fail_after(1, 0);
	p = mem_alloc(1);
	assert_non_null(p);
	mem_free(p);
	assert_null(mem_zalloc(1, 1));
	p = mem_alloc_aligned(64, 1);
	assert_non_null(p);
	mem_free(p);

	mem_fail_after(0, 1);
	assert_null(mem_alloc(1));
	assert_null(mem_strdup("x"));
	assert_null(mem_alloc_aligned(64, 1));
	mem_fail_after(UINT64_MAX, 0);
	p = mem_alloc(1);
	assert_non_null(p);
	mem_free(p);
}

static void *churn(void *arg)
{
	for (int i = 0; i < 2000; i++) {
		void *p = mem_alloc((size_t)i);

		p = mem_grow(p, (size_t)i, 3);
		mem_free(p);
	}
	return NULL;
}

/* The count stays right when several threads allocate at once. */
static void counts_across_threads(void **state)
{
	uint64_t before = mem_in_use_bytes();
	pthread_t threads[3];

	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, churn, NULL),
				 0);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(mem_in_use_bytes(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_what_is_held),
		cmocka_unit_test(odd_sizes),
		cmocka_unit_test(growing_keeps_content),
		cmocka_unit_test(fails_on_demand),
		cmocka_unit_test(counts_across_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
