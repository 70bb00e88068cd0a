/* test_loop — the event loop: what runs, when, and what may be freed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/err.h"
#include "core/loop.h"
#include "core/mem.h"

/* ---- Fixture: a loop, a socket pair, and a diary of what ran ---- */

struct fix {
	struct loop *loop;
	int fd[2];
	char diary[64];
	struct loop_io *io[2];
	struct loop_timer *timer[4];
	struct loop_signal *sig;
	struct loop_task task[4];
	int n;
	uint64_t at_us;
};

static int set_up(void **state)
{
	struct fix *f = mem_new(struct fix);

	assert_non_null(f);
	assert_int_equal(loop_new(&f->loop), 0);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, f->fd), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fix *f = *state;

	for (size_t i = 0; i < 2; i++)
		loop_io_free(f->io[i]);
	for (size_t i = 0; i < 4; i++)
		loop_timer_free(f->timer[i]);
	loop_signal_free(f->sig);
	loop_free(f->loop);
	close(f->fd[0]);
	close(f->fd[1]);
	mem_free(f);
	return 0;
}

static void note(struct fix *f, char what)
{
	size_t len = strlen(f->diary);

	if (len + 1 < sizeof(f->diary))
		f->diary[len] = what;
}

static void stop(void *arg)
{
	struct fix *f = arg;

	loop_stop(f->loop);
}

static void note_a(void *arg)
{
	note(arg, 'a');
}

static void note_b(void *arg)
{
	note(arg, 'b');
}

static void note_c(void *arg)
{
	note(arg, 'c');
}

static struct loop_timer *new_timer(struct fix *f, loop_timer_fn *fn)
{
	struct loop_timer *t;

	assert_int_equal(loop_timer_new(f->loop, fn, f, &t), 0);
	return t;
}

static void run_for(struct fix *f, uint64_t us)
{
	struct loop_timer *t = new_timer(f, stop);

	loop_timer_start(t, us);
	assert_int_equal(loop_run(f->loop), 0);
	loop_timer_free(t);
}

static void watch(struct fix *f, int i, loop_io_fn *fn, unsigned events)
{
	assert_int_equal(loop_io_new(f->loop, f->fd[i], fn, f, &f->io[i]), 0);
	assert_int_equal(loop_io_want(f->io[i], events), 0);
}

/* ---- descriptors ---- */

static void on_bytes(void *arg, int fd, unsigned events)
{
	struct fix *f = arg;
	char c;

	assert_int_equal(events, LOOP_READ);
	assert_int_equal(read(fd, &c, 1), 1);
	note(f, c);
	if (c == '.')
		loop_stop(f->loop);
}

/* A descriptor is reported as long as there is something to read. */
static void reads_level_triggered(void **state)
{
	struct fix *f = *state;

	watch(f, 0, on_bytes, LOOP_READ);
	assert_int_equal(write(f->fd[1], "xyz.", 4), 4);
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->diary, "xyz.");
}

static void on_either(void *arg, int fd, unsigned events)
{
	struct fix *f = arg;

	note(f, events == LOOP_READ ? 'r' : 'w');
	if (++f->n == 4)
		loop_stop(f->loop);
	if (f->n == 2)
		assert_int_equal(loop_io_want(f->io[0], LOOP_WRITE), 0);
	if (f->n == 3)
		assert_int_equal(loop_io_want(f->io[0], LOOP_READ), 0);
}

/* Only what is wanted at the time is reported, and both when both are. */
static void reports_what_is_wanted(void **state)
{
	struct fix *f = *state;

	assert_int_equal(write(f->fd[1], "x", 1), 1);
	watch(f, 0, on_either, LOOP_READ | LOOP_WRITE);
	assert_int_equal(loop_run(f->loop), 0);
	assert_true(strcmp(f->diary, "rwwr") == 0 ||
		    strcmp(f->diary, "wrwr") == 0);
}

/* A descriptor nobody wants anything from is silent, even when hung up. */
static void unwanted_is_silent(void **state)
{
	struct fix *f = *state;

	watch(f, 0, on_either, LOOP_READ);
	assert_int_equal(loop_io_want(f->io[0], 0), 0);
	assert_int_equal(write(f->fd[1], "x", 1), 1);
	assert_int_equal(shutdown(f->fd[1], SHUT_RDWR), 0);
	run_for(f, 2000);
	assert_string_equal(f->diary, "");
}

/* What epoll refuses is told, and changes nothing. */
static void refuses_plain_files(void **state)
{
	struct fix *f = *state;
	char name[] = "/tmp/test_loop.XXXXXX";
	int fd = mkstemp(name);

	assert_true(fd >= 0);
	assert_int_equal(loop_io_new(f->loop, fd, on_either, f, &f->io[0]), 0);
	assert_int_equal(loop_io_want(f->io[0], LOOP_READ), EPERM);
	loop_io_free(f->io[0]);
	f->io[0] = NULL;
	unlink(name);
	close(fd);
}

static void free_both(void *arg, int fd, unsigned events)
{
	struct fix *f = arg;

	note(f, 'x');
	for (int i = 0; i < 2; i++) {
		loop_io_free(f->io[i]);
		f->io[i] = NULL;
	}
	loop_timer_free(f->timer[0]);
	f->timer[0] = NULL;
}

/* A callback may free its own watcher and others that are ready in the same
 * turn: those then stay silent. */
static void frees_all_from_io(void **state)
{
	struct fix *f = *state;

	assert_int_equal(write(f->fd[0], "x", 1), 1);
	assert_int_equal(write(f->fd[1], "x", 1), 1);
	watch(f, 0, free_both, LOOP_READ | LOOP_WRITE);
	watch(f, 1, free_both, LOOP_READ | LOOP_WRITE);
	f->timer[0] = new_timer(f, note_a);
	loop_timer_start(f->timer[0], 1000000);
	run_for(f, 2000);
	assert_string_equal(f->diary, "x");
}

static void look_at_clock(void *arg, int fd, unsigned events)
{
	struct fix *f = arg;
	uint64_t now = loop_now_us(f->loop);

	if (f->n++ == 0)
		f->at_us = now;
	assert_true(now == f->at_us);
	while (clock_mono_us() < now + 300)
		;
	if (f->n == 2)
		loop_stop(f->loop);
}

/* All callbacks of one turn see the same time, however long they take. */
static void one_time_a_turn(void **state)
{
	struct fix *f = *state;

	watch(f, 0, look_at_clock, LOOP_WRITE);
	watch(f, 1, look_at_clock, LOOP_WRITE);
	assert_int_equal(loop_run(f->loop), 0);
	assert_int_equal(f->n, 2);
}

/* ---- timers ---- */

/* Timers fire by deadline, equal ones by arming; a stopped one does not; one
 * that is started again moves. */
static void timers_in_order(void **state)
{
	struct fix *f = *state;

	f->timer[0] = new_timer(f, note_a);
	f->timer[1] = new_timer(f, note_b);
	f->timer[2] = new_timer(f, note_c);
	f->timer[3] = new_timer(f, stop);
	loop_timer_start(f->timer[1], 2000);
	loop_timer_start(f->timer[0], 1000);
	loop_timer_start(f->timer[2], 500);
	loop_timer_stop(f->timer[2]);
	assert_false(loop_timer_is_armed(f->timer[2]));
	assert_true(loop_timer_is_armed(f->timer[1]));
	loop_timer_start(f->timer[3], 100);
	loop_timer_start(f->timer[3], 4000);
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->diary, "ab");
	assert_false(loop_timer_is_armed(f->timer[1]));
}

static void note_time(void *arg)
{
	struct fix *f = arg;

	f->at_us = loop_now_us(f->loop);
	loop_stop(f->loop);
}

/* No timer is early, by the loop's own clock, though the clock is read once
 * a turn; and the farthest deadline is no trap. */
static void never_early(void **state)
{
	struct fix *f = *state;

	f->timer[0] = new_timer(f, note_time);
	f->timer[1] = new_timer(f, note_b);
	loop_timer_start(f->timer[1], UINT64_MAX);
	for (uint64_t us = 0; us < 2000; us = us * 2 + 1) {
		uint64_t armed = clock_mono_us();

		loop_timer_start(f->timer[0], us);
		assert_int_equal(loop_run(f->loop), 0);
		assert_true(f->at_us >= armed + us);
	}
	assert_string_equal(f->diary, "");
}

static void arm_again(void *arg)
{
	struct fix *f = arg;

	f->at_us = loop_now_us(f->loop);
	while (clock_mono_us() < f->at_us + 300)
		;
	assert_true(loop_now_us(f->loop) == f->at_us);
	loop_timer_start(f->timer[0], 0);
	if (++f->n == 5)
		loop_stop(f->loop);
}

/* Within a turn the loop's time stands still; a timer armed from a timer with
 * no delay fires in a later turn, not in this one. */
static void zero_delay_is_a_new_turn(void **state)
{
	struct fix *f = *state;

	f->timer[0] = new_timer(f, arm_again);
	watch(f, 0, on_bytes, LOOP_READ);
	assert_int_equal(write(f->fd[1], ".", 1), 1);
	loop_timer_start(f->timer[0], 0);
	assert_int_equal(loop_run(f->loop), 0);
	assert_true(f->n >= 1 && f->n <= 2);
	assert_string_equal(f->diary, ".");
}

static void free_timers(void *arg)
{
	struct fix *f = arg;

	note(f, 'x');
	for (int i = 0; i < 3; i++) {
		loop_timer_free(f->timer[i]);
		f->timer[i] = NULL;
	}
}

/* A timer may free itself and others that are due at the same time. */
static void frees_all_from_timer(void **state)
{
	struct fix *f = *state;

	for (int i = 0; i < 3; i++) {
		f->timer[i] = new_timer(f, free_timers);
		loop_timer_start(f->timer[i], 0);
	}
	run_for(f, 2000);
	assert_string_equal(f->diary, "x");
}

/* Once a timer is made, arming it needs no memory. */
static void arming_needs_no_memory(void **state)
{
	struct fix *f = *state;
	struct loop_timer *timers[100];

	for (int i = 0; i < 100; i++)
		timers[i] = new_timer(f, note_a);
	mem_fail_after(0, 1);
	for (int i = 0; i < 100; i++)
		loop_timer_start(timers[i], 1000000);
	mem_fail_after(UINT64_MAX, 0);
	for (int i = 0; i < 100; i++)
		loop_timer_free(timers[i]);
}

/* ---- tasks ---- */

static void defer_both(void *arg, int fd, unsigned events)
{
	struct fix *f = arg;
	char c;

	assert_int_equal(read(fd, &c, 1), 1);
	loop_defer(f->loop, &f->task[1]);
	loop_defer(f->loop, &f->task[0]);
	loop_defer(f->loop, &f->task[1]);
	loop_defer(f->loop, &f->task[2]);
	loop_task_cancel(f->loop, &f->task[2]);
	note(f, 'x');
}

/* Tasks run after the callback that deferred them, in order, once each; a
 * cancelled one does not. */
static void tasks_in_order(void **state)
{
	struct fix *f = *state;

	loop_task_init(&f->task[0], note_a, f);
	loop_task_init(&f->task[1], note_b, f);
	loop_task_init(&f->task[2], note_c, f);
	watch(f, 0, defer_both, LOOP_READ);
	assert_int_equal(write(f->fd[1], "x", 1), 1);
	run_for(f, 2000);
	assert_string_equal(f->diary, "xba");
}

static void defer_again(void *arg)
{
	struct fix *f = arg;

	note(f, 't');
	loop_defer(f->loop, &f->task[0]);
	f->n++;
	assert_true(f->n < 10000);
}

/* A task that defers itself for ever does not keep the descriptors or the
 * timers from their turn, and the loop does not wait meanwhile. */
static void deferring_itself_starves_nobody(void **state)
{
	struct fix *f = *state;

	loop_task_init(&f->task[0], defer_again, f);
	loop_defer(f->loop, &f->task[0]);
	watch(f, 0, on_bytes, LOOP_READ);
	assert_int_equal(write(f->fd[1], "xy.", 3), 3);
	assert_int_equal(loop_run(f->loop), 0);
	loop_task_cancel(f->loop, &f->task[0]);
	assert_string_equal(f->diary, "txtyt.");
}

static void cancel_next(void *arg)
{
	struct fix *f = arg;

	note(f, 'x');
	loop_task_cancel(f->loop, &f->task[1]);
	loop_task_cancel(f->loop, &f->task[3]);
	loop_defer(f->loop, &f->task[3]);
}

/* A task may cancel the next one, the last one, and put that off again. */
static void tasks_cancel_tasks(void **state)
{
	struct fix *f = *state;

	loop_task_init(&f->task[0], cancel_next, f);
	loop_task_init(&f->task[1], note_a, f);
	loop_task_init(&f->task[2], note_b, f);
	loop_task_init(&f->task[3], note_c, f);
	for (int i = 0; i < 4; i++)
		loop_defer(f->loop, &f->task[i]);
	run_for(f, 2000);
	assert_string_equal(f->diary, "xbc");
}

/* ---- signals, stopping, threads ---- */

static void on_signal(void *arg, int signo)
{
	struct fix *f = arg;

	assert_int_equal(signo, SIGUSR1);
	note(f, 's');
	loop_signal_free(f->sig);
	f->sig = NULL;
	loop_stop(f->loop);
}

/* A signal comes as a callback on the loop, which may free its watcher. */
static void signals_come_as_callbacks(void **state)
{
	struct fix *f = *state;

	assert_int_equal(
		loop_signal_new(f->loop, SIGUSR1, on_signal, f, &f->sig), 0);
	raise(SIGUSR1);
	assert_string_equal(f->diary, "");
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->diary, "s");
}

/* A stop before the run counts for that run only; tasks wait for the next. */
static void stop_is_for_one_run(void **state)
{
	struct fix *f = *state;

	loop_task_init(&f->task[0], note_a, f);
	loop_defer(f->loop, &f->task[0]);
	loop_stop(f->loop);
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(f->diary, "");
	run_for(f, 100);
	assert_string_equal(f->diary, "a");
}

static void *ask_elsewhere(void *arg)
{
	struct fix *f = arg;

	f->n = loop_is_mine(f->loop);
	return NULL;
}

/* Only the loop's own thread is told that the loop is its own. */
static void knows_its_thread(void **state)
{
	struct fix *f = *state;
	pthread_t other;

	f->n = -1;
	assert_true(loop_is_mine(f->loop));
	assert_int_equal(pthread_create(&other, NULL, ask_elsewhere, f), 0);
	pthread_join(other, NULL);
	assert_int_equal(f->n, 0);
}

/* Whatever allocation fails, making things fails whole. */
static void says_no_memory(void **state)
{
	struct fix *f = *state;
	struct loop *loop;
	struct loop_io *io;
	struct loop_timer *t;
	struct loop_signal *s;

	for (uint64_t n = 0; n < 2; n++) {
		mem_fail_after(0, 1);
		assert_int_equal(loop_new(&loop), ENOMEM);
		assert_int_equal(
			loop_io_new(f->loop, f->fd[0], on_either, f, &io),
			ENOMEM);
		mem_fail_after(n, 0);
		assert_int_equal(loop_timer_new(f->loop, stop, f, &t), ENOMEM);
		mem_fail_after(0, 0);
		assert_int_equal(
			loop_signal_new(f->loop, SIGUSR1, on_signal, f, &s),
			ENOMEM);
		mem_fail_after(UINT64_MAX, 0);
		if (n == 0) {
			assert_int_equal(loop_new(&loop), 0);
			loop_free(loop);
		}
	}
	loop_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reads_level_triggered),
		TEST(reports_what_is_wanted),
		TEST(unwanted_is_silent),
		TEST(refuses_plain_files),
		TEST(frees_all_from_io),
		TEST(one_time_a_turn),
		TEST(timers_in_order),
		TEST(never_early),
		TEST(zero_delay_is_a_new_turn),
		TEST(frees_all_from_timer),
		TEST(arming_needs_no_memory),
		TEST(tasks_in_order),
		TEST(deferring_itself_starves_nobody),
		TEST(tasks_cancel_tasks),
		TEST(signals_come_as_callbacks),
		TEST(stop_is_for_one_run),
		TEST(knows_its_thread),
		TEST(says_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
