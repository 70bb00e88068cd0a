/* test_heap — what falls due first comes first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/err.h"
#include "core/heap.h"
#include "core/mem.h"
#include "core/rng.h"

enum { N = 200 };

/* Equal keys come out in the order they went in. */
static void ties_keep_order(void **state)
{
	struct heap h = {0};
	struct heap_node nodes[N] = {0};

	assert_int_equal(heap_reserve(&h, N), 0);
	for (int i = 0; i < N; i++)
		heap_add(&h, &nodes[i], (uint64_t)(i % 3));
	for (int key = 0; key < 3; key++) {
		for (int i = key; i < N; i += 3) {
			assert_ptr_equal(heap_first(&h), &nodes[i]);
			heap_del(&h, &nodes[i]);
		}
	}
	assert_null(heap_first(&h));
	heap_fini(&h);
}

/* Taking any node out, from anywhere, keeps the order of the rest. */
static void any_node_can_go(void **state)
{
	struct heap h = {0};
	struct heap_node nodes[N] = {0};
	uint64_t last = 0;
	struct rng r;

	rng_seed(&r, 3);
	assert_int_equal(heap_reserve(&h, N), 0);
	for (int step = 0; step < 5000; step++) {
		struct heap_node *node = &nodes[rng_below(&r, N)];

		if (heap_has(node))
			heap_del(&h, node);
		else
			heap_add(&h, node, rng_below(&r, 1000));
		heap_check(&h);
	}
	while (heap_first(&h) != NULL) {
		assert_true(heap_first(&h)->key >= last);
		last = heap_first(&h)->key;
		heap_del(&h, heap_first(&h));
	}
	heap_fini(&h);
}

/* Room that is there stays there; room that cannot be had is refused. */
static void room_is_kept(void **state)
{
	struct heap h = {0};

	assert_int_equal(heap_reserve(&h, 5), 0);
	mem_fail_after(0, 1);
	assert_int_equal(heap_reserve(&h, 5), 0);
	assert_int_equal(heap_reserve(&h, 5000), ENOMEM);
	mem_fail_after(UINT64_MAX, 0);
	assert_int_equal(heap_reserve(&h, 5000), 0);
	heap_fini(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ties_keep_order),
		cmocka_unit_test(any_node_can_go),
		cmocka_unit_test(room_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
