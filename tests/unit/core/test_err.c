/* test_err — texts of error values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/err.h"

/* Each value that err.h gives a meaning has its own, non-empty text. */
static void own_meanings_have_own_texts(void **state)
{
	static const int values[] = {0,		ENOENT, EAGAIN,	   EBADMSG,
				     EPROTO,	EFBIG,	ETIMEDOUT, ESTALE,
				     ESHUTDOWN, EIO,	ENOMEM};
	size_t n = sizeof(values) / sizeof(values[0]);

	for (size_t i = 0; i < n; i++) {
		assert_true(strlen(err_text(values[i])) > 5);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(err_text(values[i]),
						err_text(values[k]));
	}
}

/* Other values get libc's text, and numbers that are none still get one. */
static void every_number_has_a_text(void **state)
{
	assert_string_equal(err_text(EACCES), strerror(EACCES));
	assert_string_equal(err_text(99999), "unknown error");
	assert_string_equal(err_text(-1), "unknown error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_meanings_have_own_texts),
		cmocka_unit_test(every_number_has_a_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
