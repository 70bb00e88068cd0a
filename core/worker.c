/* worker — a pool of threads, three queues, one eventfd.
 *
 * Purpose: the only way off the loop and back. The loop appends a job to
 * `jobs`; a thread takes the oldest, runs it, and appends it to `replies`;
 * the eventfd wakes the loop, which takes all replies at once and calls
 * their `done` in that order.
 *
 * Hurried jobs have a queue of their own, which goes before `jobs`, and (in a
 * pool of more than one) the `spare`, a thread that takes nothing else: however
 * long the jobs are that the others are at, one of these is begun at once.
 *
 * Who holds a job: the loop until workers_submit, the pool until `done`. The
 * mutex is the hand-over: what one side wrote before it is seen by the other
 * after it, so a job needs no atomics.
 *
 * Waking: the eventfd is written only when `replies` was empty, and read
 * before `replies` is taken. So no reply is left lying, and a busy pool costs
 * one write a batch and not one a job.
 *
 * Shutdown: workers_free lets every job finish and every `done` run, then
 * ends the threads. A job that never ends never lets go: job code bounds its
 * own waits; workers_drain is how an owner sees that it did not.
 *
 * Failure modes: only workers_new can fail, and leaves nothing behind.
 *
 * Threads are born with all signals blocked, so that the loop gets them, but
 * for those that mean a bug of the thread itself. They do not survive fork:
 * who wants to be a daemon forks first.
 *
 * Invariants: n_pending = jobs queued + jobs running + replies + batch. */
#include "core/worker.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/slice.h"

enum {
	THREAD_NAME_BYTES = 16, /* pthread_setname_np(3), with the NUL */
	CORES_MAX = 256,
};

STAILQ_HEAD(job_list, job);

struct thread {
	struct workers *pool; /* Owner */
	pthread_t id;
	bool is_spare;
	bool has_each; /* it has called `each` */
	struct worker_env env;
};

struct workers {
	/* set at birth, then read only */
	struct loop *loop;
	unsigned n; /* with the spare */
	int wake_fd;

	/* loop only */
	struct loop_io *wake;
	struct job_list batch; /* replies taken, `done` not yet run */
	unsigned n_pending;
	bool in_done;

	/* under the mutex */
	pthread_mutex_t mutex;
	pthread_cond_t has_job;
	pthread_cond_t has_hurried; /* the spare's */
	pthread_cond_t has_reply;
	struct job_list jobs;
	struct job_list hurried;
	struct job_list replies;
	void (*each)(void *arg); /* NULL: nothing yet */
	void *each_arg;
	bool is_spare_idle;
	bool is_ending;

	struct thread threads[];
};

/* The one thing asked of the calling thread and not of a pool. */
static _Thread_local bool is_worker;

bool worker_is_mine(void)
{
	return is_worker;
}

#ifdef SHOAL_CHECKS
void worker_assert(const char *where)
{
	if (is_worker)
		return;
	log_err("%s: called off the workers", where);
	abort();
}
#endif

/* ---- the threads' side ---- */

static struct job *take_from(struct job_list *list)
{
	struct job *job = STAILQ_FIRST(list);

	if (job != NULL)
		STAILQ_REMOVE_HEAD(list, link);
	return job;
}

static void wait_for_job(struct thread *t)
{
	struct workers *w = t->pool;

	if (!t->is_spare) {
		pthread_cond_wait(&w->has_job, &w->mutex);
		return;
	}
	w->is_spare_idle = true;
	pthread_cond_wait(&w->has_hurried, &w->mutex);
	w->is_spare_idle = false;
}

/* With the mutex, which is let go meanwhile. */
static void call_each(struct thread *t)
{
	struct workers *w = t->pool;

	if (w->each == NULL || t->has_each)
		return;
	t->has_each = true;
	pthread_mutex_unlock(&w->mutex);
	w->each(w->each_arg);
	pthread_mutex_lock(&w->mutex);
}

static struct job *first_job(struct thread *t)
{
	struct workers *w = t->pool;
	struct job *job;

	call_each(t);
	job = take_from(&w->hurried);
	if (job == NULL && !t->is_spare)
		job = take_from(&w->jobs);
	return job;
}

/* The first job there is for it, waited for; NULL when the pool ends. */
static struct job *take_job(struct thread *t)
{
	struct workers *w = t->pool;
	struct job *job;

	pthread_mutex_lock(&w->mutex);
	while ((job = first_job(t)) == NULL && !w->is_ending)
		wait_for_job(t);
	pthread_mutex_unlock(&w->mutex);
	return job;
}

static void give_reply(struct workers *w, struct job *job)
{
	bool was_empty;

	pthread_mutex_lock(&w->mutex);
	was_empty = STAILQ_EMPTY(&w->replies);
	STAILQ_INSERT_TAIL(&w->replies, job, link);
	pthread_cond_signal(&w->has_reply);
	pthread_mutex_unlock(&w->mutex);
	/* It fails only when the counter is full, and then it wakes too. */
	if (was_empty)
		eventfd_write(w->wake_fd, 1);
}

static void *work(void *arg)
{
	struct thread *t = arg;
	struct job *job;

	is_worker = true;
	slice_take(t->is_spare ? SLICE_SHORT_NS : SLICE_LONG_NS);
	while ((job = take_job(t)) != NULL) {
		job->run(job, &t->env);
		give_reply(t->pool, job);
	}
	return NULL;
}

/* ---- the loop's side ---- */

static void take_replies(struct workers *w)
{
	pthread_mutex_lock(&w->mutex);
	STAILQ_CONCAT(&w->batch, &w->replies);
	pthread_mutex_unlock(&w->mutex);
}

static void run_batch(struct workers *w)
{
	struct job *job;

	w->in_done = true;
	while ((job = STAILQ_FIRST(&w->batch)) != NULL) {
		STAILQ_REMOVE_HEAD(&w->batch, link);
		w->n_pending--;
		job->done(job);
	}
	w->in_done = false;
}

static void on_wake(void *arg, int fd, unsigned events)
{
	struct workers *w = arg;
	eventfd_t count;

	eventfd_read(fd, &count);
	take_replies(w);
	run_batch(w);
}

void workers_submit(struct workers *w, struct job *job TAKES)
{
	ASSERT_LOOP(w->loop);
	w->n_pending++;
	pthread_mutex_lock(&w->mutex);
	STAILQ_INSERT_TAIL(job->is_hurried ? &w->hurried : &w->jobs, job, link);
	if (job->is_hurried && w->is_spare_idle) {
		w->is_spare_idle = false; /* this one is for it */
		pthread_cond_signal(&w->has_hurried);
	} else {
		pthread_cond_signal(&w->has_job);
	}
	pthread_mutex_unlock(&w->mutex);
}

void workers_each(struct workers *w, void (*fn)(void *arg), void *arg)
{
	ASSERT_LOOP(w->loop);
	pthread_mutex_lock(&w->mutex);
	assert(w->each == NULL);
	w->each = fn;
	w->each_arg = arg;
	pthread_cond_broadcast(&w->has_job);
	pthread_cond_broadcast(&w->has_hurried);
	pthread_mutex_unlock(&w->mutex);
}

unsigned workers_threads(const struct workers *w)
{
	return w->n > 1 ? w->n - 1 : w->n;
}

unsigned workers_pending(const struct workers *w)
{
	ASSERT_LOOP(w->loop);
	return w->n_pending;
}

/* Wait until there is a reply, or until `deadline_us` (UINT64_MAX: none). */
static int wait_for_reply(struct workers *w, uint64_t deadline_us)
{
	struct timespec ts = {
		.tv_sec = (time_t)(deadline_us / 1000000),
		.tv_nsec = (long)(deadline_us % 1000000) * 1000,
	};
	int r = 0;

	pthread_mutex_lock(&w->mutex);
	while (STAILQ_EMPTY(&w->replies) && r == 0) {
		if (deadline_us == UINT64_MAX)
			r = pthread_cond_wait(&w->has_reply, &w->mutex);
		else
			r = pthread_cond_timedwait(&w->has_reply, &w->mutex,
						   &ts);
	}
	pthread_mutex_unlock(&w->mutex);
	return r;
}

static int drain(struct workers *w, uint64_t deadline_us)
{
	int r = 0;

	assert(!w->in_done);
	while (w->n_pending > 0 && r == 0) {
		r = wait_for_reply(w, deadline_us);
		take_replies(w);
		run_batch(w);
		if (clock_mono_us() > deadline_us)
			r = ETIMEDOUT;
	}
	return w->n_pending > 0 ? r : 0;
}

int workers_drain(struct workers *w, unsigned timeout_ms)
{
	ASSERT_LOOP(w->loop);
	return drain(w, clock_mono_us() + (uint64_t)timeout_ms * 1000);
}

/* ---- birth and death ---- */

/* End the first `n` threads; nothing is queued. */
static void join_threads(struct workers *w, unsigned n)
{
	pthread_mutex_lock(&w->mutex);
	w->is_ending = true;
	pthread_cond_broadcast(&w->has_job);
	pthread_cond_broadcast(&w->has_hurried);
	pthread_mutex_unlock(&w->mutex);
	for (unsigned i = 0; i < n; i++)
		pthread_join(w->threads[i].id, NULL);
}

static void free_hashers(struct workers *w)
{
	for (unsigned i = 0; i < w->n; i++)
		hasher_free(w->threads[i].env.hasher);
}

static int make_hashers(struct workers *w)
{
	for (unsigned i = 0; i < w->n; i++) {
		int r;

		w->threads[i].pool = w;
		w->threads[i].env.ix = i;
		r = hasher_new(&w->threads[i].env.hasher);
		if (r != 0) {
			free_hashers(w);
			return r;
		}
	}
	return 0;
}

static void init_locks(struct workers *w)
{
	pthread_condattr_t attr;

	/* Linux's initialisers only write to the objects. */
	pthread_mutex_init(&w->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->has_job, &attr);
	pthread_cond_init(&w->has_hurried, &attr);
	pthread_cond_init(&w->has_reply, &attr);
	pthread_condattr_destroy(&attr);
}

static void fini_locks(struct workers *w)
{
	pthread_cond_destroy(&w->has_reply);
	pthread_cond_destroy(&w->has_hurried);
	pthread_cond_destroy(&w->has_job);
	pthread_mutex_destroy(&w->mutex);
}

static int make_wake(struct workers *w)
{
	int r;

	w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->wake_fd < 0)
		return errno;
	r = loop_io_new(w->loop, w->wake_fd, on_wake, w, &w->wake);
	if (r != 0)
		goto close_fd;
	r = loop_io_want(w->wake, LOOP_READ);
	if (r != 0)
		goto free_io;
	return 0;

free_io:
	loop_io_free(w->wake);
close_fd:
	close(w->wake_fd);
	return r;
}

static void free_wake(struct workers *w)
{
	loop_io_free(w->wake);
	close(w->wake_fd);
}

/* The caller's mask is the one a thread inherits. */
static void block_signals(sigset_t *before)
{
	const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
	sigset_t all;

	sigfillset(&all);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		sigdelset(&all, own[i]);
	pthread_sigmask(SIG_SETMASK, &all, before);
}

static int start_threads(struct workers *w, const char *name)
{
	char text[THREAD_NAME_BYTES];
	sigset_t before;
	unsigned i;
	int r = 0;

	block_signals(&before);
	for (i = 0; i < w->n; i++) {
		r = pthread_create(&w->threads[i].id, NULL, work,
				   &w->threads[i]);
		if (r != 0)
			break;
		if (w->n == 1)
			snprintf(text, sizeof(text), "%.15s", name);
		else
			snprintf(text, sizeof(text), "%.10s-%u", name,
				 i % 1000);
		pthread_setname_np(w->threads[i].id, text);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r != 0)
		join_threads(w, i);
	return r;
}

unsigned workers_cores(void)
{
	cpu_set_t set;
	int n = 0;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = CPU_COUNT(&set);
	if (n < 1)
		return 1;
	return n < CORES_MAX ? (unsigned)n : CORES_MAX;
}

int workers_new(struct loop *loop, unsigned n, const char *name,
		struct workers **out)
{
	struct workers *w;
	bool has_spare = n > 1;
	int r;

	ASSERT_LOOP(loop);
	assert(n > 0);
	n += has_spare;
	w = mem_zalloc(1, sizeof(*w) + n * sizeof(w->threads[0]));
	if (w == NULL)
		return ENOMEM;
	w->loop = loop;
	w->n = n;
	w->threads[n - 1].is_spare = has_spare;
	STAILQ_INIT(&w->batch);
	STAILQ_INIT(&w->jobs);
	STAILQ_INIT(&w->hurried);
	STAILQ_INIT(&w->replies);
	init_locks(w);
	r = make_hashers(w);
	if (r != 0)
		goto free_pool;
	r = make_wake(w);
	if (r != 0)
		goto free_hashers;
	r = start_threads(w, name);
	if (r != 0)
		goto free_wake;
	*out = w;
	return 0;

free_wake:
	free_wake(w);
free_hashers:
	free_hashers(w);
free_pool:
	fini_locks(w);
	mem_free(w);
	return r;
}

void workers_free(struct workers *w)
{
	if (w == NULL)
		return;
	ASSERT_LOOP(w->loop);
	drain(w, UINT64_MAX);
	join_threads(w, w->n);
	free_wake(w);
	free_hashers(w);
	fini_locks(w);
	mem_free(w);
}
