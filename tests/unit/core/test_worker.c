/* test_worker — jobs leave the loop, run elsewhere, and come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

#include "core/err.h"
#include "core/hash.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/worker.h"

enum { N_JOBS = 500 };

/* ---- Fixture: a loop, a pool, jobs that report to it ---- */

struct fix {
	struct loop *loop;
	struct workers *w;
	/* loop only */
	unsigned n_done;
	unsigned stop_at;
	unsigned order[N_JOBS];
	/* one job at a time, by the order of a pool of one */
	unsigned n_run;
};

struct test_job {
	struct job job;
	struct fix *f;
	unsigned ix;
	/* worker only */
	unsigned ran_as;
	unsigned ran_on;
	bool on_worker, on_loop, has_signals;
	char thread[16];
	uint8_t digest[HASH_SHA1_BYTES];
	/* loop only, after reply */
	bool came_back;
	sem_t *gate;
	struct test_job *next;
};

static int set_up(void **state)
{
	struct fix *f = mem_new(struct fix);

	assert_int_equal(loop_new(&f->loop), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fix *f = *state;

	workers_free(f->w);
	loop_free(f->loop);
	mem_free(f);
	return 0;
}

static void start(struct fix *f, unsigned n)
{
	assert_int_equal(workers_new(f->loop, n, "testing", &f->w), 0);
}

static void on_done(struct job *job)
{
	struct test_job *t = CONTAINER_OF(job, struct test_job, job);
	struct fix *f = t->f;

	assert_true(loop_is_mine(f->loop));
	assert_false(worker_is_mine());
	assert_false(t->came_back);
	t->came_back = true;
	f->order[f->n_done++ % N_JOBS] = t->ix;
	if (t->next != NULL)
		workers_submit(f->w, &t->next->job);
	if (f->n_done == f->stop_at)
		loop_stop(f->loop);
}

static void look_around(struct job *job, struct worker_env *env)
{
	struct test_job *t = CONTAINER_OF(job, struct test_job, job);
	sigset_t mask;

	ASSERT_WORKER();
	t->on_worker = worker_is_mine();
	t->on_loop = loop_is_mine(t->f->loop);
	t->ran_on = env->ix;
	pthread_getname_np(pthread_self(), t->thread, sizeof(t->thread));
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	t->has_signals = sigismember(&mask, SIGTERM) == 0 ||
			 sigismember(&mask, SIGUSR1) == 0;
	hasher_once(env->hasher, HASH_SHA1, &t->ix, sizeof(t->ix), t->digest);
}

static void count_run(struct job *job, struct worker_env *env)
{
	struct test_job *t = CONTAINER_OF(job, struct test_job, job);

	t->ran_as = t->f->n_run++;
}

static void wait_at_gate(struct job *job, struct worker_env *env)
{
	struct test_job *t = CONTAINER_OF(job, struct test_job, job);

	while (sem_wait(t->gate) != 0)
		;
}

static struct test_job *new_jobs(struct fix *f, unsigned n,
				 void (*run)(struct job *, struct worker_env *))
{
	struct test_job *jobs = mem_zalloc(n, sizeof(*jobs));

	assert_non_null(jobs);
	for (unsigned i = 0; i < n; i++) {
		jobs[i].job.run = run;
		jobs[i].job.done = on_done;
		jobs[i].f = f;
		jobs[i].ix = i;
	}
	return jobs;
}

/* ---- Tests ---- */

/* Each of many jobs on several threads runs once, on a worker, with a hasher
 * of its own, without signals, and comes back once, on the loop. */
static void many_jobs(void **state)
{
	struct fix *f = *state;
	struct test_job *jobs = new_jobs(f, N_JOBS, look_around);
	struct hasher *h;
	uint8_t digest[HASH_SHA1_BYTES];

	assert_int_equal(hasher_new(&h), 0);
	start(f, 3);
	f->stop_at = N_JOBS;
	for (unsigned i = 0; i < N_JOBS; i++)
		workers_submit(f->w, &jobs[i].job);
	assert_int_equal(workers_pending(f->w), N_JOBS);
	assert_int_equal(f->n_done, 0);
	assert_int_equal(loop_run(f->loop), 0);
	assert_int_equal(workers_pending(f->w), 0);
	for (unsigned i = 0; i < N_JOBS; i++) {
		const struct test_job *t = &jobs[i];

		assert_true(t->came_back && t->on_worker);
		assert_false(t->on_loop || t->has_signals);
		assert_true(t->ran_on < 3);
		assert_memory_equal(t->thread, "testing-", 8);
		hasher_once(h, HASH_SHA1, &i, sizeof(i), digest);
		assert_memory_equal(t->digest, digest, sizeof(digest));
	}
	hasher_free(h);
	mem_free(jobs);
}

/* With one thread the order of submission is that of execution and reply. */
static void one_thread_keeps_order(void **state)
{
	struct fix *f = *state;
	struct test_job *jobs = new_jobs(f, N_JOBS, count_run);

	start(f, 1);
	f->stop_at = N_JOBS;
	for (unsigned i = 0; i < N_JOBS; i++)
		workers_submit(f->w, &jobs[i].job);
	assert_int_equal(loop_run(f->loop), 0);
	for (unsigned i = 0; i < N_JOBS; i++) {
		assert_int_equal(jobs[i].ran_as, i);
		assert_int_equal(f->order[i], i);
	}
	mem_free(jobs);
}

/* `done` may submit; a pool of one bears its plain name. */
static void done_may_submit(void **state)
{
	struct fix *f = *state;
	struct test_job *jobs = new_jobs(f, 3, look_around);

	start(f, 1);
	jobs[0].next = &jobs[1];
	jobs[1].next = &jobs[2];
	f->stop_at = 3;
	workers_submit(f->w, &jobs[0].job);
	assert_int_equal(loop_run(f->loop), 0);
	assert_string_equal(jobs[2].thread, "testing");
	assert_true(jobs[2].came_back);
	mem_free(jobs);
}

/* Draining runs every `done`, also of jobs that a `done` submits. */
static void drain_runs_all(void **state)
{
	struct fix *f = *state;
	struct test_job *jobs = new_jobs(f, 50, count_run);

	start(f, 1);
	assert_int_equal(workers_drain(f->w, 0), 0);
	for (unsigned i = 0; i < 49; i++)
		workers_submit(f->w, &jobs[i].job);
	jobs[48].next = &jobs[49];
	assert_int_equal(workers_drain(f->w, 30000), 0);
	assert_int_equal(f->n_done, 50);
	assert_int_equal(workers_pending(f->w), 0);
	mem_free(jobs);
}

/* A job that does not end makes draining time out; what had ended before has
 * had its `done`, and a later drain gets the rest. */
static void drain_times_out(void **state)
{
	struct fix *f = *state;
	struct test_job *jobs = new_jobs(f, 2, count_run);
	sem_t gate;

	sem_init(&gate, 0, 0);
	jobs[1].job.run = wait_at_gate;
	jobs[1].gate = &gate;
	start(f, 1);
	workers_submit(f->w, &jobs[0].job);
	workers_submit(f->w, &jobs[1].job);
	while (f->n_done == 0)
		assert_int_equal(workers_drain(f->w, 5), ETIMEDOUT);
	assert_true(jobs[0].came_back);
	assert_int_equal(workers_pending(f->w), 1);
	sem_post(&gate);
	assert_int_equal(workers_drain(f->w, 30000), 0);
	assert_true(jobs[1].came_back);
	sem_destroy(&gate);
	mem_free(jobs);
}

/* While every thread is at something long, what somebody waits for is done all
 * the same. */
static void hurried_jobs_do_not_wait(void **state)
{
	struct fix *f = *state;
	struct test_job *jobs = new_jobs(f, 5, wait_at_gate);
	sem_t gate;

	assert_int_equal(sem_init(&gate, 0, 0), 0);
	start(f, 2);
	for (unsigned i = 0; i < 5; i++) {
		jobs[i].gate = &gate;
		if (i == 4) {
			jobs[i].job.run = look_around;
			jobs[i].job.is_hurried = true;
		}
		workers_submit(f->w, &jobs[i].job);
	}
	while (f->n_done == 0)
		assert_int_equal(workers_drain(f->w, 5), ETIMEDOUT);
	assert_int_equal(f->n_done, 1);
	assert_true(jobs[4].came_back);
	for (unsigned i = 0; i < 4; i++)
		sem_post(&gate);
	assert_int_equal(workers_drain(f->w, 30000), 0);
	sem_destroy(&gate);
	mem_free(jobs);
}

/* A single thread takes them before what was there sooner. */
static void hurried_jobs_go_first(void **state)
{
	struct fix *f = *state;
	struct test_job *jobs = new_jobs(f, 4, count_run);
	sem_t gate;

	assert_int_equal(sem_init(&gate, 0, 0), 0);
	start(f, 1);
	jobs[0].gate = &gate;
	jobs[0].job.run = wait_at_gate;
	jobs[3].job.is_hurried = true;
	workers_submit(f->w, &jobs[0].job);
	for (unsigned i = 1; i < 4; i++)
		workers_submit(f->w, &jobs[i].job);
	sem_post(&gate);
	assert_int_equal(workers_drain(f->w, 30000), 0);
	assert_true(jobs[3].ran_as < jobs[1].ran_as);
	assert_true(jobs[1].ran_as < jobs[2].ran_as);
	sem_destroy(&gate);
	mem_free(jobs);
}

/* Freeing a pool waits for its jobs and runs their `done`. */
static void free_drains(void **state)
{
	struct fix *f = *state;
	struct test_job *jobs = new_jobs(f, 20, look_around);

	start(f, 2);
	for (unsigned i = 0; i < 20; i++)
		workers_submit(f->w, &jobs[i].job);
	workers_free(f->w);
	f->w = NULL;
	assert_int_equal(f->n_done, 20);
	mem_free(jobs);
}

struct count {
	pthread_mutex_t mutex;
	pthread_cond_t grew;
	pthread_t seen[8];
	unsigned n;
};

static void count_me(void *arg)
{
	struct count *c = arg;

	pthread_mutex_lock(&c->mutex);
	for (unsigned i = 0; i < c->n; i++)
		assert_false(pthread_equal(c->seen[i], pthread_self()));
	assert_true(worker_is_mine());
	c->seen[c->n++] = pthread_self();
	pthread_cond_signal(&c->grew);
	pthread_mutex_unlock(&c->mutex);
}

/* What every thread is to do, every thread does once, the idle ones and the one
 * for hurried jobs too. */
static void each_thread_is_reached(void **state)
{
	struct fix *f = *state;
	struct count c = {.n = 0};

	pthread_mutex_init(&c.mutex, NULL);
	pthread_cond_init(&c.grew, NULL);
	assert_int_equal(workers_new(f->loop, 3, "testing", &f->w), 0);
	workers_each(f->w, count_me, &c);
	pthread_mutex_lock(&c.mutex);
	while (c.n < 4)
		pthread_cond_wait(&c.grew, &c.mutex);
	pthread_mutex_unlock(&c.mutex);
	workers_free(f->w);
	f->w = NULL;
	assert_int_equal(c.n, 4);
	pthread_cond_destroy(&c.grew);
	pthread_mutex_destroy(&c.mutex);
}

/* Whichever allocation fails, no thread, descriptor or byte is left. */
static void says_no_memory(void **state)
{
	struct fix *f = *state;
	uint64_t before = mem_in_use_bytes();
	int r = ENOMEM;

	for (uint64_t n = 0; r != 0; n++) {
		assert_true(n < 20);
		assert_int_equal(mem_in_use_bytes(), before);
		mem_fail_after(n, 0);
		r = workers_new(f->loop, 2, "testing", &f->w);
		mem_fail_after(UINT64_MAX, 0);
		assert_true(r == 0 || r == ENOMEM);
		assert_true(n >= 3 || r == ENOMEM);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(many_jobs),
		TEST(one_thread_keeps_order),
		TEST(done_may_submit),
		TEST(drain_runs_all),
		TEST(drain_times_out),
		TEST(free_drains),
		TEST(hurried_jobs_do_not_wait),
		TEST(hurried_jobs_go_first),
		TEST(each_thread_is_reached),
		TEST(says_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
