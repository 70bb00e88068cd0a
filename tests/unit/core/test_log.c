/* test_log — lines as they leave the program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/log.h"

/* ---- Fixture: stderr is a pipe while a test logs ---- */

struct fix {
	int pipe[2];
	int real_stderr;
	char got[65536];
};

static int set_up(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_int_equal(pipe(f->pipe), 0);
	fcntl(f->pipe[0], F_SETFL, O_NONBLOCK);
	f->real_stderr = dup(STDERR_FILENO);
	dup2(f->pipe[1], STDERR_FILENO);
	unsetenv("JOURNAL_STREAM");
	log_open("prog", LOG_SINK_STDERR, LOG_LEVEL_INFO);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fix *f = *state;

	dup2(f->real_stderr, STDERR_FILENO);
	close(f->real_stderr);
	close(f->pipe[0]);
	close(f->pipe[1]);
	log_open("prog", LOG_SINK_STDERR, LOG_LEVEL_INFO);
	free(f);
	return 0;
}

/* What was logged since the last call. */
static const char *logged(struct fix *f)
{
	ssize_t n = read(f->pipe[0], f->got, sizeof(f->got) - 1);

	f->got[n > 0 ? n : 0] = '\0';
	return f->got;
}

/* ---- Tests ---- */

/* A line bears the program's name and, where it matters, its level. */
static void bears_name_and_level(void **state)
{
	struct fix *f = *state;

	log_info("held %d of %s", 3, "x");
	assert_string_equal(logged(f), "prog: held 3 of x\n");
	log_err("no");
	assert_string_equal(logged(f), "prog: error: no\n");
	log_warn("hm");
	assert_string_equal(logged(f), "prog: warning: hm\n");
	log_notice("up");
	assert_string_equal(logged(f), "prog: up\n");
}

/* What is above the level is dropped; log_open moves the level. */
static void level_filters(void **state)
{
	struct fix *f = *state;

	log_debug("x");
	log_line(LOG_LEVEL_DEBUG, "x");
	assert_string_equal(logged(f), "");
	log_open("prog", LOG_SINK_STDERR, LOG_LEVEL_DEBUG);
	assert_int_equal(log_max(), LOG_LEVEL_DEBUG);
	log_debug("x");
	assert_string_equal(logged(f), "prog: debug: x\n");
	log_open("prog", LOG_SINK_STDERR, LOG_LEVEL_ERR);
	log_warn("x");
	assert_string_equal(logged(f), "");
}

/* Nothing in a name can end a line or move a cursor; other UTF-8 passes. */
static void escapes_control_bytes(void **state)
{
	struct fix *f = *state;

	log_info("%s", "a\nb\x1b[2J\x7f\xc2\x9b"
		       "1m\tz");
	assert_string_equal(logged(f),
			    "prog: a\\x0ab\\x1b[2J\\x7f\\xc2\\x9b1m\\x09z\n");
	log_info("%s", "\xc3\xa9\xe2\x82\xac\xc2\xa0\xc2");
	assert_string_equal(logged(f),
			    "prog: \xc3\xa9\xe2\x82\xac\xc2\xa0\xc2\n");
}

/* A line never exceeds 1 KiB, also when escaping makes it four times as
 * long; one that was cut says so. */
static void long_lines_are_cut(void **state)
{
	struct fix *f = *state;
	char text[3000];
	size_t len;

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	log_info("%s", text);
	len = strlen(logged(f));
	assert_in_range(len, 1000, 1024);
	assert_string_equal(f->got + len - 5, "x...\n");

	memset(text, '\n', 900);
	text[900] = '\0';
	log_info("%s", text);
	len = strlen(logged(f));
	assert_in_range(len, 1000, 1024);
	assert_string_equal(f->got + len - 8, "\\x0a...\n");
	assert_ptr_equal(strchr(f->got, '\n'), f->got + len - 1);
}

/* With stderr the journal's, lines begin with "<N>"; a JOURNAL_STREAM that
 * was inherited but names another file changes nothing. */
static void speaks_to_the_journal(void **state)
{
	struct fix *f = *state;
	char name[64];
	struct stat st;

	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(name, sizeof(name), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", name, 1);
	log_open("prog", LOG_SINK_STDERR, LOG_LEVEL_INFO);
	log_warn("hm");
	assert_string_equal(logged(f), "<4>hm\n");
	setenv("JOURNAL_STREAM", "1:2", 1);
	log_open("prog", LOG_SINK_STDERR, LOG_LEVEL_INFO);
	log_info("hm");
	assert_string_equal(logged(f), "prog: hm\n");
	unsetenv("JOURNAL_STREAM");
}

/* A burst passes, the rest is counted, and the count is told with the next
 * line that passes; time refills the bucket. */
static void limits_and_tells(void **state)
{
	struct fix *f = *state;
	struct log_limit lim = LOG_LIMIT(2, 60000);

	for (int i = 0; i < 5; i++)
		log_limited(&lim, LOG_LEVEL_INFO, "n%d", i);
	assert_string_equal(logged(f), "prog: n0\nprog: n1\n");
	lim.last_ms -= 60000;
	log_limited(&lim, LOG_LEVEL_INFO, "n5");
	assert_string_equal(logged(f), "prog: (3 like this not shown) n5\n");
	log_limited(&lim, LOG_LEVEL_INFO, "n6");
	assert_string_equal(logged(f), "");
	lim.last_ms -= 3 * 60000;
	log_limited(&lim, LOG_LEVEL_DEBUG, "d");
	log_limited(&lim, LOG_LEVEL_INFO, "n7");
	log_limited(&lim, LOG_LEVEL_INFO, "n8");
	log_limited(&lim, LOG_LEVEL_INFO, "n9");
	assert_string_equal(logged(f),
			    "prog: (1 like this not shown) n7\nprog: n8\n");
}

/* A line between a failure and its reading does not hide the failure. */
static void keeps_errno(void **state)
{
	struct fix *f = *state;

	close(STDERR_FILENO);
	errno = EXDEV;
	log_err("lost");
	assert_int_equal(errno, EXDEV);
	dup2(f->pipe[1], STDERR_FILENO);
}

static void *chatter(void *arg)
{
	struct log_limit *lim = arg;

	for (int i = 0; i < 50; i++) {
		log_info("twelve bytes");
		log_limited(lim, LOG_LEVEL_INFO, "twelve bytes");
	}
	return NULL;
}

/* Lines of several threads come whole. */
static void threads_do_not_mix(void **state)
{
	struct fix *f = *state;
	struct log_limit lim = LOG_LIMIT(1000, 1000);
	pthread_t threads[3];
	const char *p;
	int n = 0;

	for (int i = 0; i < 3; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, chatter, &lim), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	for (p = logged(f); *p != '\0';
	     p += strlen("prog: twelve bytes\n"), n++)
		assert_memory_equal(p, "prog: twelve bytes\n",
				    strlen("prog: twelve bytes\n"));
	assert_int_equal(n, 300);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bears_name_and_level),  TEST(level_filters),
		TEST(escapes_control_bytes), TEST(long_lines_are_cut),
		TEST(speaks_to_the_journal), TEST(limits_and_tells),
		TEST(keeps_errno),	     TEST(threads_do_not_mix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
