/* Bytes as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/base64.h"
#include "core/err.h"
#include "core/mem.h"

/* RFC 4648, 10. */
static void as_the_rfc_says(void **state)
{
	static const char *const pairs[][2] = {
		{"", ""},
		{"f", "Zg=="},
		{"fo", "Zm8="},
		{"foo", "Zm9v"},
		{"foob", "Zm9vYg=="},
		{"fooba", "Zm9vYmE="},
		{"foobar", "Zm9vYmFy"},
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		char *text = base64_encode(pairs[i][0], strlen(pairs[i][0]));
		uint8_t *back;
		size_t len;

		assert_string_equal(text, pairs[i][1]);
		assert_int_equal(base64_decode(text, strlen(text), &back, &len),
				 0);
		assert_int_equal(len, strlen(pairs[i][0]));
		assert_memory_equal(back, pairs[i][0], len);
		mem_free(back);
		mem_free(text);
	}
}

static void every_byte(void **state)
{
	uint8_t all[256], *back;
	size_t len;
	char *text;

	for (unsigned i = 0; i < sizeof(all); i++)
		all[i] = (uint8_t)i;
	text = base64_encode(all, sizeof(all));
	assert_int_equal(base64_decode(text, strlen(text), &back, &len), 0);
	assert_int_equal(len, sizeof(all));
	assert_memory_equal(back, all, len);
	mem_free(back);
	mem_free(text);
}

/* Nothing but what the encoder gives. */
static void refuses(void **state)
{
	static const char *const bad[] = {
		"Z",	    "Zg",   "Zg=",  "Zh==", "Zm9=",   "=g==",
		"Zg==Zg==", "Zm 9", "====", "Z===", "Zm9v\n", "Zm9vZm9",
	};
	uint8_t *out;
	size_t len;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(
			base64_decode(bad[i], strlen(bad[i]), &out, &len),
			EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_the_rfc_says),
		cmocka_unit_test(every_byte),
		cmocka_unit_test(refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
