/* test_bits — sets of piece numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/bits.h"
#include "core/err.h"
#include "core/mem.h"

/* Bit 0 is the high bit of the first byte (BEP 3). */
static void lies_in_wire_order(void **state)
{
	struct bits b;

	assert_int_equal(bits_init(&b, 10), 0);
	bits_set(&b, 0);
	bits_set(&b, 9);
	assert_int_equal(b.data[0], 0x80);
	assert_int_equal(b.data[1], 0x40);
	bits_check(&b);
	bits_fini(&b);
}

/* Setting and clearing twice counts once. */
static void counts_members(void **state)
{
	struct bits b;

	assert_int_equal(bits_init(&b, 9), 0);
	bits_set(&b, 3);
	bits_set(&b, 3);
	assert_int_equal(b.n_set, 1);
	assert_true(bits_has(&b, 3));
	bits_clear(&b, 3);
	bits_clear(&b, 3);
	assert_int_equal(b.n_set, 0);
	assert_false(bits_has(&b, 3));
	assert_false(bits_has(&b, 9));
	assert_false(bits_has(&b, UINT32_MAX));
	bits_fini(&b);
}

/* Every size has the same idea of full and empty. */
static void fills_every_size(void **state)
{
	for (uint32_t n = 0; n <= 70; n++) {
		struct bits b;

		assert_int_equal(bits_init(&b, n), 0);
		assert_int_equal(bits_next(&b, 0), n);
		bits_set_all(&b);
		bits_check(&b);
		assert_true(bits_is_full(&b));
		assert_int_equal(bits_next_clear(&b, 0), n);
		bits_clear_all(&b);
		bits_check(&b);
		assert_int_equal(bits_is_full(&b), n == 0);
		bits_fini(&b);
	}
}

/* Searches agree with a bit-by-bit scan, from everywhere. */
static void searches_agree_with_a_scan(void **state)
{
	const uint32_t n = 203;
	struct bits b;

	assert_int_equal(bits_init(&b, n), 0);
	for (uint32_t round = 1; round < 90; round += 8) {
		for (uint32_t i = 0; i < n; i += round)
			bits_set(&b, i);
		for (uint32_t from = 0; from <= n + 1; from++) {
			uint32_t set = from;
			uint32_t clear = from;

			while (set < n && !bits_has(&b, set))
				set++;
			while (clear < n && bits_has(&b, clear))
				clear++;
			assert_int_equal(bits_next(&b, from),
					 set < n ? set : n);
			assert_int_equal(bits_next_clear(&b, from),
					 clear < n ? clear : n);
		}
		bits_check(&b);
		bits_clear_all(&b);
	}
	bits_fini(&b);
}

/* A field of the wrong length, or with spare bits, is refused whole. */
static void load_is_strict(void **state)
{
	struct bits b;

	assert_int_equal(bits_init(&b, 10), 0);
	bits_set(&b, 5);
	assert_int_equal(bits_load(&b, (const uint8_t *)"\xff", 1), EBADMSG);
	assert_int_equal(bits_load(&b, (const uint8_t *)"\xff\xc0\0", 3),
			 EBADMSG);
	assert_int_equal(bits_load(&b, (const uint8_t *)"\xff\xe0", 2),
			 EBADMSG);
	assert_int_equal(b.n_set, 1);
	assert_int_equal(bits_load(&b, (const uint8_t *)"\xff\xc0", 2), 0);
	assert_true(bits_is_full(&b));
	bits_check(&b);
	bits_fini(&b);
}

/* No memory is an error value, and leaves nothing to free. */
static void reports_no_memory(void **state)
{
	struct bits b;

	mem_fail_after(0, 0);
	assert_int_equal(bits_init(&b, 100), ENOMEM);
	mem_fail_after(UINT64_MAX, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lies_in_wire_order),
		cmocka_unit_test(counts_members),
		cmocka_unit_test(fills_every_size),
		cmocka_unit_test(searches_agree_with_a_scan),
		cmocka_unit_test(load_is_strict),
		cmocka_unit_test(reports_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
