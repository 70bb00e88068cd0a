/* A secret key in a file: what is written is read, by OpenSSL too; what others
 * may read, or is something else, is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cmd/keyfile.h"

/* RFC 8410's example. */
static const char rfc[] =
	"-----BEGIN PRIVATE KEY-----\n"
	"MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n"
	"-----END PRIVATE KEY-----\n";

static void the_rfcs_example_is_read_and_written(void **state)
{
	uint8_t seed[KEYFILE_SEED_BYTES];
	char text[KEYFILE_TEXT_BYTES];

	assert_true(keyfile_read(rfc, strlen(rfc), seed));
	assert_int_equal(seed[0], 0xd4);
	assert_int_equal(seed[31], 0x42);
	assert_int_equal(keyfile_write(seed, text), strlen(rfc));
	assert_string_equal(text, rfc);
}

static void other_texts_are_refused(void **state)
{
	static const char *const wrong[] = {
		"",
		"-----BEGIN PRIVATE KEY-----",
		"-----BEGIN PRIVATE KEY-----\n",
		"-----BEGIN PRIVATE KEY-----\nMC4CAQAw\n",
		"-----BEGIN PUBLIC KEY-----\n"
		"MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9E"
		"dVhC\n",
		"-----BEGIN PRIVATE KEY-----\n"
		"MC4CAQAwBQYDK2VuBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9E"
		"dVhC\n",
		"-----BEGIN PRIVATE KEY-----\n"
		"MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9E"
		"dVh=\n",
		"-----BEGIN PRIVATE KEY-----\n"
		"MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9E"
		"dVhCAAAA\n",
	};
	uint8_t seed[KEYFILE_SEED_BYTES];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(keyfile_read(wrong[i], strlen(wrong[i]), seed));
}

static void files_are_made_once(void **state)
{
	uint8_t seed[KEYFILE_SEED_BYTES], again[KEYFILE_SEED_BYTES];
	char dir[] = "/tmp/shoal-keyfile-XXXXXX", path[64], why[WHY_BYTES];
	struct stat sb;
	bool is_new;

	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/key.pem", dir);
	assert_int_equal(keyfile_open(path, seed, &is_new, why), 0);
	assert_true(is_new);
	assert_int_equal(stat(path, &sb), 0);
	assert_int_equal(sb.st_mode & 0777, 0600);
	assert_int_equal(keyfile_open(path, again, &is_new, why), 0);
	assert_false(is_new);
	assert_memory_equal(seed, again, sizeof(seed));

	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(keyfile_open(path, again, &is_new, why), EACCES);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(truncate(path, 50), 0);
	assert_int_equal(keyfile_open(path, again, &is_new, why), EBADMSG);
	assert_non_null(strstr(why, path));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(keyfile_open(path, again, &is_new, why), ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rfcs_example_is_read_and_written),
		cmocka_unit_test(other_texts_are_refused),
		cmocka_unit_test(files_are_made_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
