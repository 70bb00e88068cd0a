/* test_buf — the growing run of bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/mem.h"

/* What is added comes out, in order, numbers in network order. */
static void collects_in_order(void **state)
{
	struct buf b = {0};

	buf_add(&b, "ab", 2);
	buf_add(&b, NULL, 0);
	buf_add_u8(&b, 1);
	buf_add_be16(&b, 0x0203);
	buf_add_be32(&b, 0x04050607);
	buf_add_be64(&b, 0x08090a0b0c0d0e0f);
	buf_add_str(&b, "z");
	buf_addf(&b, "%d-%s", 42, "x");
	assert_int_equal(buf_err(&b), 0);
	assert_int_equal(b.len, 2 + 15 + 1 + 4);
	assert_memory_equal(
		b.data, "ab\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17z42-x", b.len);
	buf_fini(&b);
}

/* A printed text longer than any fixed buffer arrives whole. */
static void prints_long_texts(void **state)
{
	struct buf b = {0};

	buf_addf(&b, "%5000d", 7);
	assert_int_equal(b.len, 5000);
	assert_int_equal(b.data[4999], '7');
	buf_fini(&b);
}

/* Room can be written to and only what was taken counts. */
static void room_and_took(void **state)
{
	struct buf b = {0};
	uint8_t *room = buf_room(&b, 1000);

	assert_non_null(room);
	memset(room, 'x', 1000);
	buf_took(&b, 3);
	assert_int_equal(b.len, 3);
	assert_non_null(buf_room(&b, 0));
	buf_fini(&b);
}

/* Cutting drops from the front and keeps the rest. */
static void cuts_front(void **state)
{
	struct buf b = {0};

	buf_cut(&b, 0);
	buf_add_str(&b, "hello world");
	buf_cut(&b, 6);
	assert_string_equal(buf_cstr(&b), "world");
	buf_cut(&b, 5);
	assert_string_equal(buf_cstr(&b), "");
	buf_fini(&b);
}

/* An empty buf is a valid empty string. */
static void empty_is_a_string(void **state)
{
	struct buf b;

	buf_init(&b);
	assert_string_equal(buf_cstr(&b), "");
	assert_int_equal(b.len, 0);
	buf_fini(&b);
}

/* After a failed allocation nothing is added until the buf is reset. */
static void failure_is_sticky(void **state)
{
	struct buf b = {0};

	buf_add_str(&b, "kept");
	mem_fail_after(0, 0);
	assert_null(buf_room(&b, 1 << 20));
	mem_fail_after(UINT64_MAX, 0);
	buf_add_str(&b, "lost");
	buf_addf(&b, "%s", "lost");
	buf_took(&b, 4);
	assert_int_equal(buf_err(&b), ENOMEM);
	assert_null(buf_cstr(&b));
	assert_int_equal(b.len, 4);

	buf_reset(&b);
	assert_int_equal(buf_err(&b), 0);
	buf_add_str(&b, "new");
	assert_string_equal(buf_cstr(&b), "new");
	buf_fini(&b);
}

/* A length that cannot exist is out of memory, not a wrapped number. */
static void refuses_overflow(void **state)
{
	struct buf b = {0};

	buf_add_str(&b, "x");
	assert_null(buf_room(&b, SIZE_MAX));
	assert_int_equal(buf_err(&b), ENOMEM);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(collects_in_order),
		cmocka_unit_test(prints_long_texts),
		cmocka_unit_test(room_and_took),
		cmocka_unit_test(cuts_front),
		cmocka_unit_test(empty_is_a_string),
		cmocka_unit_test(failure_is_sticky),
		cmocka_unit_test(refuses_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
