/* The command line: what is accepted, what is refused, and in which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "cmd/options.h"
#include "core/err.h"

/* ---- Helpers ---- */

static int parse(struct options *o, const char *const *words, char *why)
{
	char *argv[16] = {(char *)(uintptr_t) "shoalfs"};
	int argc = 1;

	why[0] = '\0';
	while (words[argc - 1]) {
		argv[argc] = (char *)(uintptr_t)words[argc - 1];
		argc++;
	}
	return options_parse(o, argc, argv, why);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void refused(const char *const *words, const char *says)
{
	char why[WHY_BYTES];
	struct options o;

	assert_int_equal(parse(&o, words, why), EINVAL);
	assert_non_null(strstr(why, says));
	assert_null(strchr(why, '\n'));
	options_fini(&o);
}

/* ---- Tests ---- */

/* What nobody says has the defaults of the manual. */
static void defaults(void **state)
{
	char why[WHY_BYTES];
	struct options o;

	assert_int_equal(parse(&o, WORDS("a.torrent", "/mnt"), why), 0);
	assert_int_equal(o.n_operands, 2);
	assert_string_equal(o.operand[1], "/mnt");
	assert_int_equal(o.read_timeout_s, 60);
	assert_int_equal(o.wait_s, 30);
	assert_null(o.store);
	assert_false(o.foreground);
	assert_string_equal((const char *)o.fuse.data, "");
	options_fini(&o);
}

/* mount(8) puts its -o behind the operands. */
static void mount_order(void **state)
{
	char why[WHY_BYTES];
	struct options o;

	assert_int_equal(
		parse(&o,
		      WORDS("magnet:?xt=urn:btih:x&dn=a,b", "/mnt", "-o",
			    "rw,nosuid,dev,suid,noauto,x-systemd.automount,"
			    "_netdev,allow_other,port=7000"),
		      why),
		0);
	assert_int_equal(o.n_operands, 2);
	assert_int_equal(o.port, 7000);
	assert_string_equal((const char *)o.fuse.data, "allow_other");
	options_fini(&o);
}

/* All three spellings set the same fields. */
static void spellings(void **state)
{
	char why[WHY_BYTES];
	struct options o;

	assert_int_equal(
		parse(&o,
		      WORDS("-f", "-oport=1,wait=0", "--peer=10.0.0.1:99",
			    "--peer=[::1]:5", "--store=/x/y", "--noseed",
			    "--nopex", "--", "-odd", "/m"),
		      why),
		0);
	assert_true(o.foreground && o.no_seed && o.no_pex);
	assert_int_equal(o.port, 1);
	assert_int_equal(o.wait_s, 0);
	assert_int_equal(o.n_peers, 2);
	assert_string_equal(o.peer[1], "[::1]:5");
	assert_string_equal(o.store, "/x/y");
	assert_string_equal(o.operand[0], "-odd");
	options_fini(&o);
}

/* A backslash keeps a comma in a value, for us and for libfuse. */
static void escaped_comma(void **state)
{
	char why[WHY_BYTES];
	struct options o;

	assert_int_equal(
		parse(&o, WORDS("-o", "store=/a\\,b,fsname=x\\,y"), why), 0);
	assert_string_equal(o.store, "/a,b");
	assert_string_equal((const char *)o.fuse.data, "fsname=x\\,y");
	options_fini(&o);
}

/* The store in memory takes a size and forgets a directory. */
static void memory_store(void **state)
{
	char why[WHY_BYTES];
	struct options o;

	assert_int_equal(parse(&o, WORDS("-o", "store=memory:64M"), why), 0);
	assert_int_equal(o.store_mem_bytes, 64 << 20);
	options_fini(&o);
	refused(WORDS("-o", "store=memory:much"), "store=memory:much");
}

/* Limits are none unless they are set, each by itself. */
static void limits(void **state)
{
	char why[WHY_BYTES];
	struct options o;

	assert_int_equal(parse(&o, WORDS("-o", "up_limit=300K"), why), 0);
	assert_int_equal(o.up_Bps, 300 << 10);
	assert_int_equal(o.down_Bps, 0);
	options_fini(&o);
	assert_int_equal(parse(&o, WORDS("--down_limit=1M"), why), 0);
	assert_int_equal(o.down_Bps, 1 << 20);
	options_fini(&o);
	refused(WORDS("-o", "down_limit=0"), "down_limit=0");
	refused(WORDS("-o", "up_limit=1M/s"), "up_limit=1M/s");
}

/* What is wrong is named. */
static void wrong_words_are_named(void **state)
{
	refused(WORDS("-o", "quotta=1G"), "unknown option 'quotta=1G'");
	refused(WORDS("--frobnicate"), "unknown option 'frobnicate'");
	refused(WORDS("-x"), "'-x'");
	refused(WORDS("-o"), "-o needs an argument");
	refused(WORDS("-o", "port=0"), "port=0");
	refused(WORDS("-o", "port=65536"), "port=65536");
	refused(WORDS("-o", "port=1x"), "port=1x");
	refused(WORDS("-o", "port=-1"), "port=-1");
	refused(WORDS("-o", "port"), "needs a value");
	refused(WORDS("-o", "noseed=1"), "takes no value");
	refused(WORDS("-o", "read_timeout=0"), "read_timeout=0");
	refused(WORDS("-o", "umask=9"), "umask=9");
	refused(WORDS("-o", "peer=nohost"), "peer=nohost");
	refused(WORDS("-o", "store="), "store=");
}

/* Sizes have units, and an end. */
static void sizes(void **state)
{
	uint64_t n;

	assert_true(options_size("512", &n) && n == 512);
	assert_true(options_size("3k", &n) && n == 3072);
	assert_true(options_size("2G", &n) && n == UINT64_C(2) << 30);
	assert_false(options_size("0", &n));
	assert_false(options_size("", &n));
	assert_false(options_size("-1", &n));
	assert_false(options_size("1KB", &n));
	assert_false(options_size("99999999999T", &n));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(mount_order),
		cmocka_unit_test(spellings),
		cmocka_unit_test(escaped_comma),
		cmocka_unit_test(memory_store),
		cmocka_unit_test(limits),
		cmocka_unit_test(wrong_words_are_named),
		cmocka_unit_test(sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
