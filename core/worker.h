/* worker — threads that do what the loop must not: hashing, disk, SQL, name
 * resolution. A pool of n threads takes jobs in order; with n = 1 that order
 * is also the order of execution (the store thread). Jobs that somebody waits
 * for go before all others, and a pool of more than one thread has one more for
 * them alone: a read of 4 KiB does not stand behind pieces that are hashed.
 *
 * A job is one struct, embedded in a larger one. The loop fills it and hands
 * it over; from then on the worker owns it; it comes back through the reply
 * queue and belongs to the loop again when `done` is called. There is no
 * cancel: an owner that goes away marks its job and frees it in `done`.
 *
 * Code that runs in `run` lives in files named *_job.c. */
#ifndef SHOAL_CORE_WORKER_H
#define SHOAL_CORE_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/own.h"
#include "core/queue.h"

struct hasher;
struct loop;
struct workers;

struct worker_env {
	struct hasher *hasher; /* this thread's own */
	unsigned ix; /* 0 … n-1; n: of the thread for hurried jobs alone */
};

struct job {
	/* set before hand-over, then read only */
	void (*run)(struct job *job, struct worker_env *env); /* worker */
	void (*done)(struct job *job);			      /* loop */
	bool is_hurried; /* somebody waits for it */
	/* worker.c's own */
	STAILQ_ENTRY(job) link;
};

/* workers_cores — how many threads have a core: those that this process may run
 * on, at most 256. Thread: any. */
unsigned workers_cores(void);

/* workers_new — start `n` threads called `name`. Signals are blocked in them.
 * 0, ENOMEM, or what pthread_create said. */
int workers_new(struct loop *loop, unsigned n, const char *name,
		struct workers **out);

/* workers_submit — never blocks, never fails. `job` belongs to the pool until
 * `done`. Thread: loop. */
void workers_submit(struct workers *w, struct job *job TAKES);

/* workers_each — every thread calls `fn` once, before the next job that it
 * takes; nobody waits for it, and those that are idle do it at once. Once in a
 * pool's life. `arg` is kept. Thread: loop; `fn` on the workers. */
void workers_each(struct workers *w, void (*fn)(void *arg), void *arg);

/* workers_threads — how many jobs that nobody waits for run at a time. */
unsigned workers_threads(const struct workers *w);

/* workers_pending — jobs submitted whose `done` has not run. */
unsigned workers_pending(const struct workers *w);

/* workers_drain — wait at most `timeout_ms` until nothing is pending, running
 * `done` of each job on the way. 0, or ETIMEDOUT. For shutdown only, and not
 * from a `done`. */
int workers_drain(struct workers *w, unsigned timeout_ms);

/* workers_free — drain without a limit, then join. NULL is fine. Not from a
 * `done`. */
void workers_free(struct workers *w);

/* worker_is_mine — the caller is a worker thread. */
bool worker_is_mine(void);

#ifdef SHOAL_CHECKS
void worker_assert(const char *where);
#define ASSERT_WORKER() worker_assert(__func__)
#else
#define ASSERT_WORKER() ((void)0)
#endif

#endif
