/* tracker_tier — what tracker.c and tracker_tier.c share: the structs, and when
 * a tier is asked (BEP 12). Thread: loop. */
#ifndef SHOAL_NET_TRACKER_TIER_H
#define SHOAL_NET_TRACKER_TIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/loop.h"
#include "core/queue.h"
#include "net/net_limits.h"
#include "net/tracker_internal.h"

struct udp_announce;

struct tracker {
	struct tier *tier; /* Owner: tier->trackers */
	char *url;
	bool is_udp;
	enum tracker_state state;
	bool announced; /* a `started` was answered */
	bool owes_completed;
	uint32_t peers;
	uint32_t interval_s, min_interval_s;
	char id[TRACKER_ID_BYTES];
	size_t id_len;
	char why[TRACKER_WHY_BYTES];
	/* the call */
	struct tracker_http *http;
	struct udp_announce *udp;
	enum tracker_event event;
	bool answered, refused;
	TAILQ_ENTRY(tracker) link;
};

struct tier {
	struct trackers *t; /* Owner: t->tiers */
	TAILQ_HEAD(tracker_list, tracker) trackers;
	uint32_t n;
	struct tracker *cur; /* the next to ask; NULL only while building */
	struct tracker *asking;
	bool answered;	/* ever */
	unsigned fails; /* rounds that failed in a row */
	uint64_t next_us;
	bool hungry; /* peers are short: not before early_us */
	uint64_t early_us;
	uint32_t early_s; /* grows with each announce out of hunger */
	TAILQ_ENTRY(tier) link;
};

struct trackers {
	struct loop *loop;
	struct http *http;
	struct udp_tracker *udp;
	const struct trackers_ops *ops;
	void *arg;
	uint32_t key;
	struct tracker_times times;
	TAILQ_HEAD(, tier) tiers;
	uint32_t n; /* trackers, of all tiers */
	bool running;
	struct loop_timer *timer; /* the next tier that is due */
	/* stopping, when stop_done is set */
	unsigned n_stopping;
	struct loop_timer *stop_timer;
	struct loop_task stop_task;
	void (*stop_done)(void *arg);
	void *stop_arg;
};

/* tracker_tier_advance — ask every tier that is due, and arm the timer for the
 * next. To be called after anything that changes when one is. */
void tracker_tier_advance(struct trackers *t);

/* tracker_tier_due_us — loop time; UINT64_MAX: not of itself. */
uint64_t tracker_tier_due_us(const struct tier *tier);
bool tracker_tier_is_healthy(const struct tier *tier);

/* tracker_tier_cancel — end the tracker's call, if there is one, silently. */
void tracker_tier_cancel(struct tracker *tr);

/* tracker_tier_stop — cancel every call and send `stopped` where a `started`
 * was answered; t->n_stopping says to how many. t->stop_done is set. */
void tracker_tier_stop(struct trackers *t);

/* tracker_tier_stopped — the stop is over, answered or not: back to the state
 * before the start, then t->stop_done, which may free `t`. */
void tracker_tier_stopped(struct trackers *t);

#endif
