/* loop — the one event loop: descriptors, timers, signals, and calls put off
 * to the next turn. The only home of <event2/…>.
 *
 * Thread: the thread that runs loop_run (or, before that, the one that made
 * it) and no other; ASSERT_LOOP says so in debug builds. What comes from
 * other threads comes through core/worker.h.
 *
 * Callbacks are never run from inside the call that arms them. A watcher may
 * be freed from any callback, its own included. */
#ifndef SHOAL_CORE_LOOP_H
#define SHOAL_CORE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "core/queue.h"

struct loop;
struct loop_io;
struct loop_timer;
struct loop_signal;

/* loop_new — 0 or ENOMEM. */
int loop_new(struct loop **out);

/* loop_free — every watcher must have been freed. NULL is fine. */
void loop_free(struct loop *loop);

/* loop_run — until loop_stop. 0, or EIO when the back end failed.
 * loop_stop — end with the turn that is running; before loop_run: at once.
 * Tasks still queued then stay queued. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* loop_now_us — monotonic microseconds, read once a turn. */
uint64_t loop_now_us(const struct loop *loop);

/* loop_is_mine — the caller is on the loop's thread. */
bool loop_is_mine(const struct loop *loop);

#ifdef SHOAL_CHECKS
void loop_assert(const struct loop *loop, const char *where);
#define ASSERT_LOOP(loop) loop_assert((loop), __func__)
#else
#define ASSERT_LOOP(loop) ((void)(loop))
#endif

/* ---- descriptors ---- */

enum { LOOP_READ = 1, LOOP_WRITE = 2 };

typedef void loop_io_fn(void *arg, int fd, unsigned events);

/* loop_io_new — watch `fd` (kept, never closed) for nothing yet. */
int loop_io_new(struct loop *loop, int fd, loop_io_fn *fn, void *arg,
		struct loop_io **out);

/* loop_io_want — from now on exactly `events`, level-triggered. Cheap when
 * nothing changes. 0 or an errno of epoll_ctl. When both events are there the
 * callback runs once for each; an error or a hang-up counts as what is
 * wanted. */
int loop_io_want(struct loop_io *io, unsigned events);
void loop_io_free(struct loop_io *io);

/* ---- timers: one shot ---- */

typedef void loop_timer_fn(void *arg);

int loop_timer_new(struct loop *loop, loop_timer_fn *fn, void *arg,
		   struct loop_timer **out);

/* loop_timer_start — in `delay_us` from now, never earlier; an armed timer is
 * moved. Timers due at the same microsecond fire in the order of arming. */
void loop_timer_start(struct loop_timer *t, uint64_t delay_us);
void loop_timer_stop(struct loop_timer *t);
bool loop_timer_is_armed(const struct loop_timer *t);
void loop_timer_free(struct loop_timer *t);

/* ---- signals ---- */

typedef void loop_signal_fn(void *arg, int signo);

int loop_signal_new(struct loop *loop, int signo, loop_signal_fn *fn, void *arg,
		    struct loop_signal **out);
void loop_signal_free(struct loop_signal *s);

/* ---- later, on the next turn ---- */

typedef void loop_task_fn(void *arg);

/* A call put off. Embedded in its owner, who must cancel it before dying. */
struct loop_task {
	loop_task_fn *fn;
	void *arg;
	TAILQ_ENTRY(loop_task) link;
	bool queued;
};

void loop_task_init(struct loop_task *task, loop_task_fn *fn, void *arg);

/* loop_defer — run `task` once, after the callback that is running now and
 * before the loop waits again. A queued task stays where it is. Tasks run in
 * the order they were deferred; one deferred by a task runs in the same
 * round's next pass, after the descriptors had their turn. */
void loop_defer(struct loop *loop, struct loop_task *task);
void loop_task_cancel(struct loop *loop, struct loop_task *task);

#endif
