/* test_siphash — against the vectors of its paper. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/siphash.h"

/* Key 00 … 0f, input 00 … n-1: the values that the authors published. */
static void paper_vectors(void **state)
{
	const struct siphash_key key = {UINT64_C(0x0706050403020100),
					UINT64_C(0x0f0e0d0c0b0a0908)};
	uint8_t in[15];

	for (uint8_t i = 0; i < sizeof(in); i++)
		in[i] = i;
	assert_true(siphash(&key, in, 0) == UINT64_C(0x726fdb47dd0e0e31));
	assert_true(siphash(&key, in, 1) == UINT64_C(0x74f839c593dc67fd));
	assert_true(siphash(&key, in, 15) == UINT64_C(0xa129ca6149be45e5));
}

/* Another key, another hash. */
static void key_matters(void **state)
{
	const struct siphash_key a = {1, 2}, b = {1, 3};

	assert_true(siphash(&a, "peer", 4) != siphash(&b, "peer", 4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paper_vectors),
		cmocka_unit_test(key_matters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
