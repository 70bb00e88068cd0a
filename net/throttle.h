/* throttle — a limit on one way's bytes a second, and who gets them: a token
 * bucket (rate.h), shares (shares.h) and one timer. Thread: loop. Owner: the
 * engine, one for each way.
 *
 * Who wants to move bytes asks; what he is given counts as moved at once, and
 * what he does not need of it he gives back. If there is nothing for him he
 * waits, and his turn comes by a callback. Without a limit everybody gets what
 * he asks for, at the price of one comparison.
 *
 * The limit holds for the payload of blocks: over any span of time not more
 * than rate × span, an eighth of a second's worth, and one turn. */
#ifndef SHOAL_NET_THROTTLE_H
#define SHOAL_NET_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "net/rate.h"
#include "net/shares.h"

struct loop;
struct loop_timer;
struct throttle;

/* Its turn has come: `bytes` are its own, as if it had asked. It does not wait
 * any more. */
typedef void throttle_fn(void *arg, uint32_t bytes);

/* One who wants bytes. */
struct throttle_user {
	struct share share;   /* its weight is the owner's to set */
	uint32_t least, most; /* of one turn */
	throttle_fn *on_turn;
	void *arg;
};

int throttle_new(struct loop *loop, struct throttle **out);

/* throttle_free — nobody waits any more. NULL is fine. */
void throttle_free(struct throttle *th);

/* throttle_set — another limit from now on; 0: none, and everybody's turn
 * comes. */
void throttle_set(struct throttle *th, uint64_t Bps);
uint64_t throttle_Bps(const struct throttle *th);

/* throttle_root — what groups (a torrent's peers) and users hang below. */
struct share *throttle_root(struct throttle *th);

void throttle_user_init(struct throttle_user *u, struct share *above,
			throttle_fn *on_turn, void *arg);

/* LAST gets what others leave; who is in a HURRY may run ahead of those who are
 * CALM by a quarter of a second's worth. */
enum throttle_mood { THROTTLE_LAST, THROTTLE_CALM, THROTTLE_HURRY };

/* throttle_ask — `least` bytes, up to `most` if they are there. 0: not now, its
 * turn will come, unless it leaves. */
uint32_t throttle_ask(struct throttle *th, struct throttle_user *u,
		      uint32_t least, uint32_t most, enum throttle_mood mood);

/* throttle_settle — of `given` bytes `used` were needed; more than were given
 * is allowed, and others wait the longer. */
void throttle_settle(struct throttle *th, struct throttle_user *u,
		     uint32_t given, uint32_t used);
void throttle_leave(struct throttle *th, struct throttle_user *u);

/* throttle_take — bytes that moved though nobody had asked; negative: those
 * that did not though somebody had, long ago. */
void throttle_take(struct throttle *th, int64_t bytes);

/* throttle_debt — by how many bytes more moved than should have; 0: none.
 * throttle_until_us — how long until the debt is no more than `bytes`. */
uint64_t throttle_debt(struct throttle *th);
uint64_t throttle_until_us(struct throttle *th, uint64_t bytes);

#endif
