/* test_latency — when CPUs are kept awake, and for how long; in virtual time,
 * over a pipe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/loop.h"
#include "fs/fs_limits.h"
#include "fs/fuse_kernel.h"
#include "fs/latency.h"

enum { NOTHING = -1, NO_SLEEP = 0, NO_DEMAND = 2000000000 };

/* ---- Fixture: a clock, one timer, a pipe for the kernel ---- */

struct loop_timer {
	bool is_armed;
	loop_timer_fn *fn;
	void *arg;
	uint64_t at_us;
};

static struct fix {
	uint64_t now_us;
	struct loop_timer timer;
	struct latency l;
	int kernel;
} f;

uint64_t clock_mono_us(void)
{
	return f.now_us;
}

int loop_timer_new(struct loop *loop, loop_timer_fn *fn, void *arg,
		   struct loop_timer **out)
{
	f.timer = (struct loop_timer){.fn = fn, .arg = arg};
	*out = &f.timer;
	return 0;
}

void loop_timer_start(struct loop_timer *t, uint64_t delay_us)
{
	t->is_armed = true;
	t->at_us = f.now_us + delay_us;
}

void loop_timer_free(struct loop_timer *t)
{
	if (t != NULL)
		t->is_armed = false;
}

static int set_up(void **state)
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	f = (struct fix){.now_us = 1000000, .kernel = fds[0]};
	latency_use(&f.l, NULL, fds[1], 0);
	return 0;
}

static int tear_down(void **state)
{
	latency_fini(&f.l);
	assert_false(f.timer.is_armed);
	close(f.kernel);
	return 0;
}

/* ---- Helpers ---- */

static void pass(uint64_t us)
{
	uint64_t end = f.now_us + us;

	while (f.timer.is_armed && f.timer.at_us <= end) {
		f.timer.is_armed = false;
		f.now_us = f.timer.at_us;
		f.timer.fn(f.timer.arg);
	}
	f.now_us = end;
}

static void ask(uint32_t opcode, unsigned n, uint64_t gap_us)
{
	struct fuse_in_header h = {.len = sizeof(h), .opcode = opcode};

	for (unsigned i = 0; i < n; i++) {
		pass(gap_us);
		latency_asked(&f.l, f.now_us, &h, sizeof(h));
		latency_answered(&f.l, f.now_us);
	}
}

/* What was demanded since the last look. */
static int32_t demanded(void)
{
	int32_t us;

	return read(f.kernel, &us, sizeof(us)) == sizeof(us) ? us : NOTHING;
}

/* ---- Tests ---- */

/* A walk holds CPUs awake from its 256th question on, once, and lets them
 * sleep when it is over. */
static void a_walk_holds_them(void **state)
{
	ask(FUSE_READDIRPLUS, 1, 5000000);
	ask(FUSE_READDIRPLUS, LATENCY_ROW - 1, 100);
	assert_int_equal(demanded(), NOTHING);
	ask(FUSE_LOOKUP, 1, 100);
	assert_int_equal(demanded(), NO_SLEEP);
	assert_string_equal(latency_text(&f.l), "awake: somebody walks");
	ask(FUSE_GETATTR, 10000, 100);
	assert_int_equal(demanded(), NOTHING);
	pass(LATENCY_LINGER_US - 1);
	assert_int_equal(demanded(), NOTHING);
	pass(1);
	assert_int_equal(demanded(), NO_DEMAND);
	assert_string_equal(latency_text(&f.l), "on demand");
	assert_false(f.timer.is_armed);
}

/* Questions that a person asks are none. */
static void slow_questions_do_not(void **state)
{
	ask(FUSE_LOOKUP, 10 * LATENCY_ROW, LATENCY_CLOSE_US);
	assert_int_equal(demanded(), NOTHING);
	assert_false(f.timer.is_armed);
}

/* Reads are no walk, and end one. */
static void reads_do_not(void **state)
{
	ask(FUSE_READ, 10 * LATENCY_ROW, 10);
	for (unsigned i = 0; i < 100; i++) {
		ask(FUSE_LOOKUP, LATENCY_ROW / 2, 10);
		ask(FUSE_READ, 1, 10);
	}
	assert_int_equal(demanded(), NOTHING);
	ask(FUSE_LOOKUP, LATENCY_ROW, 10);
	assert_int_equal(demanded(), NO_SLEEP);
	ask(FUSE_READ, 10 * LATENCY_ROW, 100);
	assert_int_equal(demanded(), NO_DEMAND);
}

/* A kernel that takes no demand is not asked again. */
static void a_refusal_ends_it(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	latency_fini(&f.l);
	latency_use(&f.l, NULL, fd, 0);
	ask(FUSE_LOOKUP, 3 * LATENCY_ROW, 10);
	assert_int_equal(f.l.fd, -1);
	assert_false(f.l.is_held);
	assert_false(f.timer.is_armed);
	assert_string_equal(latency_text(&f.l),
			    "off: /dev/cpu_dma_latency is of no use");
}

/* Without a descriptor there is a reason, and nothing else. */
static void without_a_right(void **state)
{
	latency_fini(&f.l);
	assert_string_equal(latency_text(&f.l), "off: nolatency");
	latency_use(&f.l, NULL, -1, EACCES);
	ask(FUSE_LOOKUP, 3 * LATENCY_ROW, 10);
	assert_string_equal(latency_text(&f.l), "off: it takes root");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_walk_holds_them, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(slow_questions_do_not, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(reads_do_not, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_refusal_ends_it, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(without_a_right, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
