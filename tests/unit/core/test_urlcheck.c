/* test_urlcheck — which addresses are kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/core_limits.h"
#include "core/urlcheck.h"

/* Schemes decide; a host must be there; control bytes must not. */
static void judges_the_form(void **state)
{
	static const struct {
		const char *url;
		bool tracker, web_seed;
	} rows[] = {
		{"http://a", true, true},
		{"HTTPS://a/b?c", true, true},
		{"udp://a:1", true, false},
		{"http://[::1]/", true, true},
		{"", false, false},
		{"http:", false, false},
		{"http://", false, false},
		{"http:///x", false, false},
		{"http://:80/", false, false},
		{"udp://", false, false},
		{"ftp://a/", false, false},
		{"file:///etc/passwd", false, false},
		{"wss://a/", false, false},
		{"xhttp://a/", false, false},
		{"http://a\r\nHost: b", false, false},
		{"http://a\x7f", false, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct span url = span_str(rows[i].url);

		assert_int_equal(urlcheck_is_tracker(url), rows[i].tracker);
		assert_int_equal(urlcheck_is_web_seed(url), rows[i].web_seed);
	}
}

/* The length is limited, exactly. */
static void length_is_limited(void **state)
{
	uint8_t url[METAINFO_MAX_URL_BYTES + 1];

	memset(url, 'x', sizeof(url));
	memcpy(url, "http://", 7);
	assert_true(urlcheck_is_tracker(span_of(url, sizeof(url) - 1)));
	assert_false(urlcheck_is_tracker(span_of(url, sizeof(url))));
}

/* Blanks around an address go, those within stay. */
static void trims(void **state)
{
	assert_true(span_is(urlcheck_trim(span_str(" \thttp://a b \r\n")),
			    "http://a b"));
	assert_int_equal(urlcheck_trim(span_str(" \n ")).len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(judges_the_form),
		cmocka_unit_test(length_is_limited),
		cmocka_unit_test(trims),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
