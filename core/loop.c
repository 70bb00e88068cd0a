/* loop — the one event loop, on libevent's core.
 *
 * Words. Turn: one wait for the kernel, the callbacks it led to, and one pass
 * over the tasks. Watcher: a loop_io, loop_timer or loop_signal.
 *
 * A turn (loop_run)
 *   1. tasks: those that were queued when the pass began, in order. A marker
 *      at the queue's end stops the pass, so that a task that defers itself
 *      cannot keep the descriptors from their turn.
 *   2. the libevent timer is set to the earliest of our timers, if that
 *      changed since the last turn.
 *   3. one wait of libevent, which does not block while tasks are queued, and
 *      its callbacks. The first of them reads the clock for the whole turn.
 *
 * Timers lie in our own heap, and libevent knows one: the earliest. So arming
 * a timer cannot fail (its room was made with it), costs no system call, and
 * equal deadlines fire in the order they were armed. They count from the real
 * time of arming, not from the turn's: a timer is never early.
 *
 * Descriptors are two libevent events each, one for reading and one for
 * writing, so that the usual change (write interest on or off) is a single
 * epoll_ctl. When both are ready the callback runs twice.
 *
 * Freeing. A watcher may be freed by any callback: libevent forgets an event
 * that is deleted while it waits for its callback, the timer pass looks at
 * the heap afresh each time, and no trampoline touches its watcher after the
 * call.
 *
 * Threads: libevent is never told of threads. Who owns the loop is remembered
 * and asserted; the id is atomic only so that a wrong thread that asks gets a
 * clean answer. A loop does not survive fork: who wants to be a daemon forks
 * first.
 *
 * Failure modes: epoll_ctl may refuse a descriptor (EPERM for plain files,
 * ENOSPC past max_user_watches): loop_io_want says so and leaves the rest as
 * it was. A back end that fails ends loop_run with EIO. */
#include "core/loop.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/heap.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/slice.h"

TAILQ_HEAD(task_list, loop_task);

/* What libevent may be asked to wait for: a timer may be due in ten thousand
 * years, and its sums need not hold that. */
#define ALARM_MAX_US (UINT64_C(86400) * 1000000)

struct loop {
	struct event_base *base;
	_Atomic pthread_t owner;
	uint64_t now_us;
	bool now_is_old; /* the clock was not read since the last wait */
	bool is_stopping;
	bool is_running;
	unsigned n_watchers;
	unsigned n_timers;

	struct heap timers;
	struct event alarm;    /* libevent's one timer */
	uint64_t alarm_due_us; /* what it is set to; 0: not set */

	struct task_list tasks;
	struct loop_task pass_end; /* the marker; its fn is never called */
};

struct loop_io {
	struct loop *loop; /* Owner: who called loop_io_new, like its kin */
	struct event read;
	struct event write;
	unsigned want;
	loop_io_fn *fn;
	void *arg;
};

struct loop_timer {
	struct loop *loop;
	struct heap_node node;
	loop_timer_fn *fn;
	void *arg;
};

struct loop_signal {
	struct loop *loop;
	struct event event;
	loop_signal_fn *fn;
	void *arg;
};

/* ---- time ---- */

static void read_clock(struct loop *loop)
{
	if (!loop->now_is_old)
		return;
	loop->now_us = clock_mono_us();
	loop->now_is_old = false;
}

uint64_t loop_now_us(const struct loop *loop)
{
	ASSERT_LOOP(loop);
	return loop->now_us;
}

/* ---- timers ---- */

/* Run what is due. A timer armed meanwhile has a higher sequence number and
 * waits for the next turn, however short its delay. */
static void run_timers(struct loop *loop)
{
	uint64_t pass = loop->timers.next_seq;
	struct heap_node *node;

	loop->alarm_due_us = 0;
	while ((node = heap_first(&loop->timers)) != NULL) {
		struct loop_timer *t;

		if (node->key > loop->now_us || node->seq >= pass)
			break;
		t = CONTAINER_OF(node, struct loop_timer, node);
		heap_del(&loop->timers, node);
		t->fn(t->arg);
	}
}

static void on_alarm(evutil_socket_t fd, short what, void *arg)
{
	read_clock(arg);
	run_timers(arg);
}

/* Only the first event_add of `alarm` needs memory, and loop_new made it. */
static int set_alarm(struct loop *loop)
{
	const struct heap_node *node = heap_first(&loop->timers);
	uint64_t due = node != NULL ? node->key : 0;
	struct timeval tv;
	uint64_t now, wait;
	int r;

	if (due == loop->alarm_due_us)
		return 0;
	if (node == NULL) {
		r = event_del(&loop->alarm);
	} else {
		now = clock_mono_us();
		wait = due > now ? due - now : 0;
		if (wait > ALARM_MAX_US)
			wait = ALARM_MAX_US;
		tv.tv_sec = (time_t)(wait / 1000000);
		tv.tv_usec = (suseconds_t)(wait % 1000000);
		r = event_add(&loop->alarm, &tv);
	}
	loop->alarm_due_us = due;
	return r == 0 ? 0 : EIO;
}

int loop_timer_new(struct loop *loop, loop_timer_fn *fn, void *arg,
		   struct loop_timer **out)
{
	struct loop_timer *t;
	int r;

	ASSERT_LOOP(loop);
	r = heap_reserve(&loop->timers, loop->n_timers + 1);
	if (r != 0)
		return r;
	t = mem_new(struct loop_timer);
	if (t == NULL)
		return ENOMEM;
	t->loop = loop;
	t->fn = fn;
	t->arg = arg;
	loop->n_timers++;
	*out = t;
	return 0;
}

void loop_timer_start(struct loop_timer *t, uint64_t delay_us)
{
	uint64_t due;

	ASSERT_LOOP(t->loop);
	loop_timer_stop(t);
	if (__builtin_add_overflow(clock_mono_us(), delay_us, &due))
		due = UINT64_MAX;
	heap_add(&t->loop->timers, &t->node, due);
}

void loop_timer_stop(struct loop_timer *t)
{
	ASSERT_LOOP(t->loop);
	if (heap_has(&t->node))
		heap_del(&t->loop->timers, &t->node);
}

bool loop_timer_is_armed(const struct loop_timer *t)
{
	return heap_has(&t->node);
}

void loop_timer_free(struct loop_timer *t)
{
	if (t == NULL)
		return;
	loop_timer_stop(t);
	t->loop->n_timers--;
	mem_free(t);
}

/* ---- descriptors ---- */

static void on_io(evutil_socket_t fd, short what, void *arg)
{
	struct loop_io *io = arg;

	read_clock(io->loop);
	io->fn(io->arg, fd, (what & EV_READ) != 0 ? LOOP_READ : LOOP_WRITE);
}

int loop_io_new(struct loop *loop, int fd, loop_io_fn *fn, void *arg,
		struct loop_io **out)
{
	struct loop_io *io;

	ASSERT_LOOP(loop);
	assert(fd >= 0);
	io = mem_new(struct loop_io);
	if (io == NULL)
		return ENOMEM;
	io->loop = loop;
	io->fn = fn;
	io->arg = arg;
	if (event_assign(&io->read, loop->base, fd, EV_READ | EV_PERSIST, on_io,
			 io) != 0 ||
	    event_assign(&io->write, loop->base, fd, EV_WRITE | EV_PERSIST,
			 on_io, io) != 0) {
		mem_free(io);
		return EINVAL;
	}
	loop->n_watchers++;
	*out = io;
	return 0;
}

static int want_one(struct loop_io *io, struct event *ev, unsigned bit,
		    unsigned events)
{
	if (((io->want ^ events) & bit) == 0)
		return 0;
	errno = 0;
	if ((events & bit) == 0)
		event_del(ev);
	else if (event_add(ev, NULL) != 0)
		return errno != 0 ? errno : EIO;
	io->want ^= bit;
	return 0;
}

int loop_io_want(struct loop_io *io, unsigned events)
{
	int r;

	ASSERT_LOOP(io->loop);
	if (events == io->want)
		return 0;
	r = want_one(io, &io->read, LOOP_READ, events);
	if (r == 0)
		r = want_one(io, &io->write, LOOP_WRITE, events);
	return r;
}

void loop_io_free(struct loop_io *io)
{
	if (io == NULL)
		return;
	loop_io_want(io, 0);
	io->loop->n_watchers--;
	mem_free(io);
}

/* ---- signals ---- */

static void on_signal(evutil_socket_t signo, short what, void *arg)
{
	struct loop_signal *s = arg;

	read_clock(s->loop);
	s->fn(s->arg, signo);
}

int loop_signal_new(struct loop *loop, int signo, loop_signal_fn *fn, void *arg,
		    struct loop_signal **out)
{
	struct loop_signal *s;

	ASSERT_LOOP(loop);
	s = mem_new(struct loop_signal);
	if (s == NULL)
		return ENOMEM;
	s->loop = loop;
	s->fn = fn;
	s->arg = arg;
	if (event_assign(&s->event, loop->base, signo, EV_SIGNAL | EV_PERSIST,
			 on_signal, s) != 0 ||
	    event_add(&s->event, NULL) != 0) {
		mem_free(s);
		return EINVAL;
	}
	loop->n_watchers++;
	*out = s;
	return 0;
}

void loop_signal_free(struct loop_signal *s)
{
	if (s == NULL)
		return;
	ASSERT_LOOP(s->loop);
	event_del(&s->event);
	s->loop->n_watchers--;
	mem_free(s);
}

/* ---- tasks ---- */

void loop_task_init(struct loop_task *task, loop_task_fn *fn, void *arg)
{
	*task = (struct loop_task){.fn = fn, .arg = arg};
}

void loop_defer(struct loop *loop, struct loop_task *task)
{
	ASSERT_LOOP(loop);
	if (task->queued)
		return;
	task->queued = true;
	TAILQ_INSERT_TAIL(&loop->tasks, task, link);
}

void loop_task_cancel(struct loop *loop, struct loop_task *task)
{
	ASSERT_LOOP(loop);
	if (!task->queued)
		return;
	task->queued = false;
	TAILQ_REMOVE(&loop->tasks, task, link);
}

static void run_tasks(struct loop *loop)
{
	struct loop_task *task;

	loop_defer(loop, &loop->pass_end);
	while ((task = TAILQ_FIRST(&loop->tasks)) != &loop->pass_end) {
		loop_task_cancel(loop, task);
		task->fn(task->arg);
	}
	loop_task_cancel(loop, &loop->pass_end);
}

/* ---- the loop itself ---- */

/* libevent's own warnings; it knows no names, so they are for developers. */
static void on_libevent_log(int severity, const char *text)
{
	if (severity >= EVENT_LOG_WARN)
		log_debug("libevent: %s", text);
}

static struct event_base *make_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config == NULL)
		return NULL;
	if (event_config_require_features(config, EV_FEATURE_O1) == 0 &&
	    event_config_set_flag(config,
				  EVENT_BASE_FLAG_PRECISE_TIMER |
					  EVENT_BASE_FLAG_NOLOCK |
					  EVENT_BASE_FLAG_IGNORE_ENV |
					  EVENT_BASE_FLAG_NO_CACHE_TIME) == 0)
		base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

/* Give libevent's timer heap the memory it will need for ever. */
static int make_alarm(struct loop *loop)
{
	const struct timeval later = {.tv_sec = 1};

	if (event_assign(&loop->alarm, loop->base, -1, 0, on_alarm, loop) != 0)
		return ENOMEM;
	if (event_add(&loop->alarm, &later) != 0)
		return ENOMEM;
	event_del(&loop->alarm);
	return 0;
}

int loop_new(struct loop **out)
{
	struct loop *loop = mem_new(struct loop);
	int r = ENOMEM;

	if (loop == NULL)
		return ENOMEM;
	event_set_log_callback(on_libevent_log);
	heap_init(&loop->timers);
	TAILQ_INIT(&loop->tasks);
	atomic_init(&loop->owner, pthread_self());
	loop->now_us = clock_mono_us();
	loop->base = make_base();
	if (loop->base == NULL)
		goto free_loop;
	r = make_alarm(loop);
	if (r != 0)
		goto free_base;
	*out = loop;
	return 0;

free_base:
	event_base_free(loop->base);
free_loop:
	mem_free(loop);
	return r;
}

void loop_free(struct loop *loop)
{
	if (loop == NULL)
		return;
	ASSERT_LOOP(loop);
	assert(!loop->is_running);
	assert(loop->n_watchers == 0 && loop->n_timers == 0);
	event_del(&loop->alarm);
	event_base_free(loop->base);
	heap_fini(&loop->timers);
	mem_free(loop);
}

static int turn(struct loop *loop)
{
	int flags = EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY;
	int r;

	run_tasks(loop);
	if (loop->is_stopping)
		return 0;
	r = set_alarm(loop);
	if (r != 0)
		return r;
	if (!TAILQ_EMPTY(&loop->tasks))
		flags |= EVLOOP_NONBLOCK;
	loop->now_is_old = true;
	r = event_base_loop(loop->base, flags);
	read_clock(loop);
	return r < 0 ? EIO : 0;
}

int loop_run(struct loop *loop)
{
	int r = 0;

	atomic_store(&loop->owner, pthread_self());
	slice_take(SLICE_SHORT_NS);
	assert(!loop->is_running);
	loop->is_running = true;
	loop->now_is_old = true;
	read_clock(loop);
	while (!loop->is_stopping && r == 0)
		r = turn(loop);
	loop->is_stopping = false;
	loop->is_running = false;
	return r;
}

void loop_stop(struct loop *loop)
{
	ASSERT_LOOP(loop);
	loop->is_stopping = true;
}

bool loop_is_mine(const struct loop *loop)
{
	return pthread_equal(atomic_load(&loop->owner), pthread_self()) != 0;
}

#ifdef SHOAL_CHECKS
void loop_assert(const struct loop *loop, const char *where)
{
	if (loop_is_mine(loop))
		return;
	log_err("%s: called off the loop's thread", where);
	abort();
}
#endif
