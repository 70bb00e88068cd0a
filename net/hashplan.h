/* hashplan — which spans of v2 hashes are wanted, and of whom each is asked
 * next. Pure: peers, the time and what came are arguments; no I/O, no clock.
 *
 * A job is one span that is wanted; an ask is one request that is out. A peer
 * that does not answer in time is late: the job goes to another, the ask stays
 * until it is answered or the peer is gone, so that a late answer is told from
 * one that nobody asked for. */
#ifndef SHOAL_NET_HASHPLAN_H
#define SHOAL_NET_HASHPLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/hash.h"
#include "core/layers.h"

struct bits;
struct hashplan;

/* What is wanted. */
struct hashplan_want {
	struct hash_span span;
	uint8_t root[HASH_SHA256_BYTES];
	uint32_t piece_ix; /* for whose sake; who has it has the hashes */
	uint32_t block;	   /* of it, in the span, when they are leaves */
	bool is_leaves;	   /* a reader waits; else piece hashes */
};

/* One who may be asked. */
struct hashplan_peer {
	uint32_t id;
	const struct bits *have;
	uint64_t delay_us;    /* request to answer; 0: not known */
	uint64_t patience_us; /* after that it is late */
	bool is_slow;	      /* snubbed or doubtful: asked last */
};

struct hashplan_cfg {
	/* Was peer `id` asked for a block that the span has the leaf of, and
	 * has not answered yet? */
	bool (*owes)(void *arg, uint32_t id, const struct hashplan_want *want);
	void *arg;
};

/* hashplan_new — copies cfg. 0 or ENOMEM. */
int hashplan_new(const struct hashplan_cfg *cfg, struct hashplan **out);
void hashplan_free(struct hashplan *plan);

/* hashplan_want — from now on. 0, also when it was so already; ENOENT: nobody
 * gives it, as hashplan_hopeless said; ENOMEM; EAGAIN: too much is. */
int hashplan_want(struct hashplan *plan, const struct hashplan_want *want);

/* hashplan_next — the next request that is to leave, and which of `peers` gets
 * it; it is out from then on. False: none now. */
bool hashplan_next(struct hashplan *plan, const struct hashplan_peer *peers,
		   unsigned n_peers, uint64_t now_us,
		   struct hashplan_want *want, unsigned *peer_ix);

/* hashplan_hopeless — when hashplan_next has no more: a want that nothing is
 * out for, and nobody is left to ask. Each is said once; should somebody come
 * who has it he is asked all the same. False: no more. */
bool hashplan_hopeless(struct hashplan *plan, uint64_t now_us,
		       struct hashplan_want *want);

/* hashplan_answered — a peer answered this span, right or not: true if it was
 * asked for it; the ask is over. */
bool hashplan_answered(struct hashplan *plan, uint32_t id,
		       const uint8_t root[HASH_SHA256_BYTES],
		       const struct hash_span *numbers,
		       struct hashplan_want *want);

/* hashplan_refused — after hashplan_answered: it does not give it. */
void hashplan_refused(struct hashplan *plan, uint32_t id,
		      const struct hashplan_want *want, uint64_t now_us);

/* hashplan_renew — somebody is there who was not: nothing is hopeless until it
 * has been looked at again. */
void hashplan_renew(struct hashplan *plan);

/* hashplan_known — walk what is wanted: `is_known` says of each whether that is
 * over. */
void hashplan_known(struct hashplan *plan,
		    bool (*is_known)(void *arg,
				     const struct hashplan_want *want),
		    void *arg);

/* hashplan_on_gone — the peer has ended. */
void hashplan_on_gone(struct hashplan *plan, uint32_t id);

/* hashplan_on_time — asks that are late by now free their job; wants that rest
 * too long are forgotten. hashplan_wake_us — when to call it next; UINT64_MAX:
 * not needed. */
void hashplan_on_time(struct hashplan *plan, uint64_t now_us);
uint64_t hashplan_wake_us(const struct hashplan *plan);

bool hashplan_is_idle(const struct hashplan *plan);

/* hashplan_check — assert the invariants of hashplan.c. */
void hashplan_check(const struct hashplan *plan);

#endif
