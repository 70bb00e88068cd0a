/* test_stack — the end of a program, when something in it does not end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cmd/stack.h"
#include "core/worker.h"

enum { LIMIT_S = 20, CODE = 42 };

/* ---- Helpers ---- */

static void hang(struct job *job, struct worker_env *env)
{
	for (;;)
		(void)pause();
}

static void do_nothing(struct job *job, struct worker_env *env)
{
}

static void on_done(struct job *job)
{
}

/* The exit code of a process that ends while such a job is under way. */
static int end_with(void (*run)(struct job *job, struct worker_env *env),
		    struct workers *(*pool)(struct stack *s))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		struct job job = {.run = run, .done = on_done};
		struct stack s;

		(void)signal(SIGALRM, SIG_IGN); /* as it may be inherited */
		if (stack_init(&s) != 0 || stack_store_mem(&s, 1) != 0)
			_exit(1);
		workers_submit(pool(&s), &job);
		stack_deadline(&s, CODE);
		stack_fini(&s);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static struct workers *workers_of(struct stack *s)
{
	return s->workers;
}

static struct workers *names_of(struct stack *s)
{
	return s->names;
}

/* ---- Tests ---- */

/* A thread that hangs in the kernel does not keep the process; one that waits
 * for a name is not even an error. */
static void leaves_without_a_thread(void **state)
{
	(void)alarm(LIMIT_S);
	assert_int_equal(end_with(hang, workers_of), CODE);
	assert_int_equal(end_with(hang, names_of), 0);
	(void)alarm(0);
}

/* What ends in time ends in order. */
static void ends_in_order(void **state)
{
	assert_int_equal(end_with(do_nothing, workers_of), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaves_without_a_thread),
		cmocka_unit_test(ends_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
