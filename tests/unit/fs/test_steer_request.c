/* What a line of the control socket means, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/err.h"
#include "fs/steer_request.h"

static int decode(const char *line, struct steer_request *r)
{
	char why[STEER_WHY_BYTES] = "";
	int err = steer_request_decode(line, strlen(line), r, why);

	assert_int_equal(err != 0, why[0] != '\0');
	return err;
}

static void refused(const char *line)
{
	struct steer_request r;

	assert_int_equal(decode(line, &r), EBADMSG);
	assert_null(r.json);
}

/* Each verb with what it takes. */
static void verbs_and_their_words(void **state)
{
	struct steer_request r;

	(void)state;
	assert_int_equal(decode("{\"verb\":\"ls\"}", &r), 0);
	assert_int_equal(r.verb, STEER_LS);
	assert_null(r.path);
	steer_request_fini(&r);
	assert_int_equal(
		decode("{\"path\":\"a/\\u00fc\",\"verb\":\"why\"}", &r), 0);
	assert_int_equal(r.verb, STEER_WHY);
	assert_string_equal(r.path, "a/\xc3\xbc");
	steer_request_fini(&r);
	assert_int_equal(decode("{\"verb\":\"peers\",\"torrent\":\"x\"} ", &r),
			 0);
	assert_string_equal(r.torrent, "x");
	steer_request_fini(&r);
	assert_int_equal(decode("{\"verb\":\"limit\"}", &r), 0);
	assert_false(r.has_rate);
	steer_request_fini(&r);
	assert_int_equal(
		decode("{\"verb\":\"limit\",\"way\":\"up\",\"Bps\":70}", &r),
		0);
	assert_true(r.has_rate && r.is_up);
	assert_int_equal(r.Bps, 70);
	steer_request_fini(&r);
	assert_int_equal(decode("{\"verb\":\"add\",\"metainfo_bytes\":70}", &r),
			 0);
	assert_int_equal(r.file_len, 70);
	assert_null(r.file);
	assert_null(r.magnet);
	steer_request_fini(&r);
}

/* What is no request, or says less or more than its verb can. */
static void nonsense_is_refused(void **state)
{
	(void)state;
	refused("");
	refused("x");
	refused("[]");
	refused("{}");
	refused("7");
	refused("{\"verb\":7}");
	refused("{\"verb\":\"fly\"}");
	refused("{\"verb\":\"ls\"}{");
	refused("{\"verb\":\"ls\",\"path\":\"a\"}");
	refused("{\"verb\":\"add\"}");
	refused("{\"verb\":\"add\",\"metainfo_bytes\":0}");
	refused("{\"verb\":\"add\",\"metainfo_bytes\":-1}");
	refused("{\"verb\":\"add\",\"metainfo_bytes\":\"7\"}");
	refused("{\"verb\":\"add\",\"metainfo_bytes\":100663297}");
	refused("{\"verb\":\"add\",\"metainfo_bytes\":7,\"magnet\":\"x\"}");
	refused("{\"verb\":\"ls\",\"verb\":\"ls\"}");
	refused("{\"verb\":\"pin\"}");
	refused("{\"verb\":\"pin\",\"path\":7}");
	refused("{\"verb\":\"pin\",\"path\":\"a\\u0000b\"}");
	refused("{\"verb\":\"pin\",\"path\":\"a\xff\"}");
	refused("{\"verb\":\"limit\",\"way\":\"up\"}");
	refused("{\"verb\":\"limit\",\"Bps\":1}");
	refused("{\"verb\":\"limit\",\"way\":\"in\",\"Bps\":1}");
	refused("{\"verb\":\"limit\",\"way\":\"up\",\"Bps\":-1}");
	refused("{\"verb\":\"limit\",\"way\":\"up\",\"Bps\":1.5}");
	refused("{\"verb\":\"limit\",\"way\":\"up\",\"Bps\":1e99}");
}

/* What is added may have its files in a directory of the user's. */
static void data_is_a_path(void **state)
{
	struct steer_request r;

	(void)state;
	assert_int_equal(decode("{\"verb\":\"add\",\"magnet\":\"x\","
				"\"data\":\"/srv\"}",
				&r),
			 0);
	assert_string_equal(r.data, "/srv");
	assert_int_equal(r.data_fd, -1);
	steer_request_fini(&r);
	assert_int_equal(decode("{\"verb\":\"add\",\"magnet\":\"x\"}", &r), 0);
	assert_null(r.data);
	steer_request_fini(&r);
	refused("{\"verb\":\"add\",\"magnet\":\"x\",\"data\":\"srv\"}");
	refused("{\"verb\":\"add\",\"magnet\":\"x\",\"data\":1}");
	refused("{\"verb\":\"add\",\"data\":\"/srv\"}");
	refused("{\"verb\":\"rm\",\"torrent\":\"x\",\"data\":\"/srv\"}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verbs_and_their_words),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(data_is_a_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
