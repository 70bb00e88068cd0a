/* Unit tests of dht/bloom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/hash.h"
#include "core/hex.h"
#include "dht/bloom.h"

static struct hasher *hasher;

static int setup(void **state)
{
	(void)state;
	return hasher_new(&hasher);
}

static int teardown(void **state)
{
	(void)state;
	hasher_free(hasher);
	return 0;
}

static void add4(struct bloom *f, uint32_t ip)
{
	uint8_t compact[ADDR_COMPACT4] = {(uint8_t)(ip >> 24),
					  (uint8_t)(ip >> 16),
					  (uint8_t)(ip >> 8), (uint8_t)ip};
	struct addr a;

	assert_int_equal(addr_from_compact(&a, compact, sizeof(compact)), 0);
	bloom_add(f, bloom_mark_of(hasher, &a));
}

static void add6(struct bloom *f, uint16_t low)
{
	uint8_t compact[ADDR_COMPACT6] = {0x20, 0x01, 0x0d, 0xb8};
	struct addr a;

	compact[14] = (uint8_t)(low >> 8);
	compact[15] = (uint8_t)low;
	assert_int_equal(addr_from_compact(&a, compact, sizeof(compact)), 0);
	bloom_add(f, bloom_mark_of(hasher, &a));
}

/* BEP 33's own numbers: 192.0.2.0/24 and the first 1000 of 2001:db8::. */
static void numbers_of_the_bep(void **state)
{
	static const char *const want = "F6C3F5EAA07FFD91BDE89F777F26FB2BFF37BD"
					"B8FB2BBAA2FD3DDDE7BACFFF75"
					"EE7CCBAEFE5EEDB1FBFAFF67F6ABFF5E43DDBC"
					"A3FD9B9FFDF4FFD3E9DFF12D1B"
					"DF59DB53DBE9FA5B7FF3B8FDFCDE1AFB8BEDD7"
					"BE2F3EE71EBBBFE93BCDEEFE14"
					"8246C2BC5DBFF7E7EFDCF24FD8DC7ADFFD8FFF"
					"DFDDFFF7A4BBEEDF5CB95CE81F"
					"C7FCFF1FF4FFFFDFE5F7FDCBB7FD79B3FA1FC7"
					"7BFE07FFF905B7B7FFC7FEFEFF"
					"E0B8370BB0CD3F5B7F2BD93FEB4386CFDD6F7F"
					"D5BFAF2E9EBFFFFEECD67ADBF7"
					"C67F17EFD5D75EBA6FFEBA7FFF47A91EB1BFBB"
					"53E8ABFB5762ABE8FF237279BF"
					"EFBFEEF5FFC5FEBFDFE5ADFFADFEE1FB737FFF"
					"FBFD9F6AEFFEEE76B6FD8F72EF";
	struct bloom f = {0};
	double guess;

	(void)state;
	for (uint32_t i = 0; i < 256; i++)
		add4(&f, 0xc0000200u + i);
	for (uint16_t i = 0; i < 1000; i++)
		add6(&f, i);
	for (size_t i = 0; i < BLOOM_BYTES; i++)
		assert_int_equal(f.b[i], hex_value(want[2 * i]) << 4 |
						 hex_value(want[2 * i + 1]));
	guess = bloom_estimate(&f);
	assert_true(guess > 1224.93 && guess < 1224.932);
}

/* United filters are the filter of the union; ports do not matter. */
static void unions(void **state)
{
	struct bloom a = {0}, b = {0}, both = {0};
	struct addr one, two;

	(void)state;
	for (uint32_t i = 0; i < 300; i++) {
		add4(i < 200 ? &a : &b, i);
		if (i >= 100)
			add4(&b, i);
		add4(&both, i);
	}
	bloom_unite(&a, b.b);
	assert_memory_equal(&a, &both, sizeof(a));
	assert_int_equal(addr_parse(&one, "1.2.3.4:5"), 0);
	assert_int_equal(addr_parse(&two, "1.2.3.4:6"), 0);
	assert_false(bloom_has(&a, bloom_mark_of(hasher, &one)));
	bloom_add(&a, bloom_mark_of(hasher, &one));
	assert_true(bloom_has(&a, bloom_mark_of(hasher, &two)));
}

/* An empty one has nobody, a full one a number all the same, and between them
 * the guess is good. */
static void guesses(void **state)
{
	struct bloom f = {0};
	double guess;

	(void)state;
	assert_true(bloom_estimate(&f) == 0);
	for (uint32_t n = 1; n <= 4000; n++) {
		add4(&f, n * 2654435761u);
		if (n % 1000 != 0)
			continue;
		guess = bloom_estimate(&f);
		assert_true(guess > 0.93 * n && guess < 1.07 * n);
	}
	memset(&f, 0xff, sizeof(f));
	guess = bloom_estimate(&f);
	assert_true(guess > 7805 && guess < 7807);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_of_the_bep),
		cmocka_unit_test(unions),
		cmocka_unit_test(guesses),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
