/* throttle — see throttle.h for what it is for.
 *
 * Happy path: throttle_ask puts the user among those that wait and, if there
 * are tokens and it is his turn, takes him out again and gives him his bytes.
 * Else the timer is set to when there will be a token. Then turns are given
 * while tokens last; the last of them may take more than there are, and the
 * next comes when that is made good.
 *
 * A turn is at least `least` bytes, so what is cut small by others is not cut
 * smaller here; more than that, up to `most`, only of what is there now. The
 * timer waits WAKE_MIN_US at least: at high rates several turns are given at
 * once, and the loop is not woken for each.
 *
 * Turns are given from the timer, or from a task when tokens were given back:
 * never from inside throttle_ask or throttle_settle. An on_turn may call
 * anything here.
 *
 * Invariant: somebody waits iff the timer is armed, or the task queued. */
#include "net/throttle.h"

#include <assert.h>
#include <stddef.h>

#include "core/err.h"
#include "core/loop.h"
#include "core/mem.h"

enum { WAKE_MIN_US = 8000 };

struct throttle {
	struct loop *loop;
	struct loop_timer *timer;
	struct loop_task task;
	struct rate_bucket bucket;
	struct share root;
};

static uint64_t now_us(const struct throttle *th)
{
	return loop_now_us(th->loop);
}

static bool is_on(const struct throttle *th)
{
	return th->bucket.rate_Bps > 0;
}

static struct throttle_user *user_of(struct share *s)
{
	return (struct throttle_user *)((char *)s -
					offsetof(struct throttle_user, share));
}

/* Its turn: it waits no more, and this is what it gets. */
static uint32_t give(struct throttle *th, struct throttle_user *u)
{
	int64_t tokens = rate_bucket_tokens(&th->bucket, now_us(th));
	uint32_t bytes = u->least;

	shares_leave(&u->share);
	if (!is_on(th) || tokens >= (int64_t)u->most)
		bytes = u->most;
	else if (tokens > (int64_t)bytes)
		bytes = (uint32_t)tokens;
	rate_bucket_take(&th->bucket, bytes);
	shares_charge(&u->share, bytes);
	return bytes;
}

static void set_timer(struct throttle *th)
{
	uint64_t us;

	if (shares_next(&th->root) == NULL) {
		loop_timer_stop(th->timer);
		return;
	}
	if (loop_timer_is_armed(th->timer))
		return;
	us = rate_bucket_wait_us(&th->bucket, 1, now_us(th));
	loop_timer_start(th->timer, us > WAKE_MIN_US ? us : WAKE_MIN_US);
}

static void give_turns(void *arg)
{
	struct throttle *th = arg;
	struct share *s;

	shares_check(&th->root);
	while (rate_bucket_may(&th->bucket, now_us(th)) &&
	       (s = shares_next(&th->root)) != NULL) {
		struct throttle_user *u = user_of(s);
		uint32_t bytes = give(th, u);

		u->on_turn(u->arg, bytes);
	}
	set_timer(th);
}

/* ---- life ---- */

int throttle_new(struct loop *loop, struct throttle **out)
{
	struct throttle *th = mem_new(struct throttle);
	int r;

	if (th == NULL)
		return ENOMEM;
	th->loop = loop;
	loop_task_init(&th->task, give_turns, th);
	rate_bucket_init(&th->bucket, 0, loop_now_us(loop));
	shares_init(&th->root, NULL);
	r = loop_timer_new(loop, give_turns, th, &th->timer);
	if (r != 0) {
		mem_free(th);
		return r;
	}
	*out = th;
	return 0;
}

void throttle_free(struct throttle *th)
{
	if (th == NULL)
		return;
	assert(shares_next(&th->root) == NULL);
	loop_task_cancel(th->loop, &th->task);
	loop_timer_free(th->timer);
	mem_free(th);
}

void throttle_set(struct throttle *th, uint64_t Bps)
{
	rate_bucket_set(&th->bucket, Bps, now_us(th));
	loop_timer_stop(th->timer); /* set for another rate */
	if (shares_next(&th->root) != NULL)
		loop_defer(th->loop, &th->task);
}

uint64_t throttle_Bps(const struct throttle *th)
{
	return th->bucket.rate_Bps;
}

struct share *throttle_root(struct throttle *th)
{
	return &th->root;
}

void throttle_user_init(struct throttle_user *u, struct share *above,
			throttle_fn *on_turn, void *arg)
{
	shares_init(&u->share, above);
	u->on_turn = on_turn;
	u->arg = arg;
}

/* ---- asking ---- */

uint32_t throttle_ask(struct throttle *th, struct throttle_user *u,
		      uint32_t least, uint32_t most, enum throttle_mood mood)
{
	assert(least > 0 && least <= most);
	if (!is_on(th))
		return most;
	u->least = least;
	u->most = most;
	shares_wait(&u->share,
		    mood == THROTTLE_LAST ? SHARES_LAST : SHARES_FIRST,
		    mood == THROTTLE_HURRY ? throttle_Bps(th) / 4 : 0);
	if (rate_bucket_may(&th->bucket, now_us(th)) &&
	    shares_next(&th->root) == &u->share)
		return give(th, u);
	set_timer(th);
	return 0;
}

void throttle_settle(struct throttle *th, struct throttle_user *u,
		     uint32_t given, uint32_t used)
{
	int64_t back = (int64_t)given - used;

	if (!is_on(th) || back == 0)
		return;
	shares_charge(&u->share, -back);
	throttle_take(th, -back);
}

void throttle_leave(struct throttle *th, struct throttle_user *u)
{
	shares_leave(&u->share);
	set_timer(th);
}

void throttle_take(struct throttle *th, int64_t bytes)
{
	rate_bucket_take(&th->bucket, bytes);
	if (bytes < 0 && shares_next(&th->root) != NULL &&
	    rate_bucket_may(&th->bucket, now_us(th)))
		loop_defer(th->loop, &th->task);
}

uint64_t throttle_debt(struct throttle *th)
{
	int64_t tokens = rate_bucket_tokens(&th->bucket, now_us(th));

	return is_on(th) && tokens < 0 ? (uint64_t)-tokens : 0;
}

uint64_t throttle_until_us(struct throttle *th, uint64_t bytes)
{
	return rate_bucket_wait_us(&th->bucket, -(int64_t)bytes, now_us(th));
}
