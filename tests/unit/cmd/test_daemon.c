/* test_daemon — what the shell sees of a program that goes to the background:
 * its exit code, soon, and nothing left behind when it was interrupted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cmd/daemon.h"

enum { LIMIT_S = 10, TEXT_BYTES = 256, UP_FD = 100 };

/* ---- Helpers ---- */

/* A command of which everything can be watched: `is_up` is closed by the
 * child's end and not by the parent's, and has a byte when the child runs. */
struct command {
	pid_t pid;
	int is_up;
	int said;
};

typedef void child_fn(struct daemon *d);

/* In the command: whatever the test's own streams are, the child's descriptor
 * is none of the three that detaching replaces. */
static _Noreturn void be_command(int up, int said, bool no_streams,
				 child_fn *child)
{
	struct daemon d;

	(void)alarm(LIMIT_S);
	(void)dup2(up, UP_FD);
	(void)close(up);
	(void)dup2(said, 2);
	(void)close(said);
	if (no_streams) {
		(void)close(0);
		(void)close(1);
		daemon_open_streams();
	}
	if (daemon_fork(&d, "prog") != 0)
		_exit(100);
	(void)alarm(LIMIT_S);
	child(&d);
	_exit(0);
}

static struct command start(bool no_streams, child_fn *child)
{
	struct command c;
	int up[2], said[2];

	assert_int_equal(pipe(up), 0);
	assert_int_equal(pipe(said), 0);
	c.pid = fork();
	assert_true(c.pid >= 0);
	if (c.pid == 0) {
		(void)close(up[0]);
		(void)close(said[0]);
		be_command(up[1], said[1], no_streams, child);
	}
	(void)close(up[1]);
	(void)close(said[1]);
	c.is_up = up[0];
	c.said = said[0];
	return c;
}

static void wait_up(struct command *c)
{
	char byte;

	assert_int_equal(read(c->is_up, &byte, 1), 1);
}

/* Its exit code; after this nothing of it runs any more. */
static int end(struct command *c, char said[TEXT_BYTES])
{
	size_t len = 0;
	ssize_t n;
	char byte;
	int status;

	assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
	while (len < TEXT_BYTES - 1 &&
	       (n = read(c->said, said + len, TEXT_BYTES - 1 - len)) > 0)
		len += (size_t)n;
	said[len] = '\0';
	while (read(c->is_up, &byte, 1) > 0)
		continue;
	(void)close(c->is_up);
	(void)close(c->said);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* ---- Children ---- */

static void report_ok(struct daemon *d)
{
	daemon_report(d, "prog", EXITS_OK, NULL);
}

static void report_mount(struct daemon *d)
{
	daemon_report(d, "prog", EXITS_MOUNT, "no such torrent");
}

static void die(struct daemon *d)
{
	_exit(0);
}

/* As the program does: a signal ends it in order, with a report. */
static void report_interrupt(struct daemon *d)
{
	sigset_t set;
	int signo;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)!write(UP_FD, "u", 1);
	(void)sigwait(&set, &signo);
	daemon_report(d, "prog", EXITS_INTERRUPTED, "interrupted");
}

static void linger(struct daemon *d)
{
	(void)!write(UP_FD, "u", 1);
	(void)pause();
}

/* ---- Tests ---- */

/* The command ends with the code and the line that the child reports. */
static void passes_the_report_on(void **state)
{
	char said[TEXT_BYTES];
	struct command c = start(false, report_ok);

	assert_int_equal(end(&c, said), EXITS_OK);
	assert_string_equal(said, "");
	c = start(false, report_mount);
	assert_int_equal(end(&c, said), EXITS_MOUNT);
	assert_string_equal(said, "prog: no such torrent\n");
}

/* A child that dies without a word is a bug of ours, and is said so. */
static void tells_of_a_death(void **state)
{
	char said[TEXT_BYTES];
	struct command c = start(false, die);

	assert_int_equal(end(&c, said), EXITS_INTERNAL);
	assert_string_equal(said, "prog: the background process died\n");
}

/* Started without standard input and output, as services are: the report does
 * not get lost when the child replaces its streams. */
static void works_without_streams(void **state)
{
	char said[TEXT_BYTES];
	struct command c = start(true, report_mount);

	assert_int_equal(end(&c, said), EXITS_MOUNT);
	assert_string_equal(said, "prog: no such torrent\n");
}

/* Who interrupts the command before it has returned interrupts what it
 * started: the child ends in order, and the code says 8. */
static void hands_signals_on(void **state)
{
	char said[TEXT_BYTES];
	struct command c = start(false, report_interrupt);

	wait_up(&c);
	assert_int_equal(kill(c.pid, SIGTERM), 0);
	assert_int_equal(end(&c, said), EXITS_INTERRUPTED);
	assert_string_equal(said, "prog: interrupted\n");
}

/* The same when the child is not that far yet: the signal kills it, and that
 * is no bug. */
static void hands_early_signals_on(void **state)
{
	char said[TEXT_BYTES];
	struct command c = start(false, linger);

	wait_up(&c);
	assert_int_equal(kill(c.pid, SIGTERM), 0);
	assert_int_equal(end(&c, said), EXITS_INTERRUPTED);
	assert_string_equal(said, "prog: interrupted\n");
}

/* nohup(1): a signal that was ignored from the start stays so. */
static void sees_what_is_ignored(void **state)
{
	void (*before)(int) = signal(SIGHUP, SIG_IGN);

	assert_true(daemon_is_ignored(SIGHUP));
	(void)signal(SIGHUP, SIG_DFL);
	assert_false(daemon_is_ignored(SIGHUP));
	(void)signal(SIGHUP, before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passes_the_report_on),
		cmocka_unit_test(tells_of_a_death),
		cmocka_unit_test(works_without_streams),
		cmocka_unit_test(hands_signals_on),
		cmocka_unit_test(hands_early_signals_on),
		cmocka_unit_test(sees_what_is_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
