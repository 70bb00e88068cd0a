/* tracker_tier — when which tracker of a torrent is asked (BEP 12).
 *
 * Words: a *call* is one announce under way, over HTTP or UDP. A tier is
 * *healthy* when its last round of calls ended with an answer. Each tier has
 * at most one call, to its *current* tracker.
 *
 *             start                all of the tier failed: back off, wrap
 *   TRACKER_IDLE ──► TRACKER_ASKING ──► TRACKER_FAILED ──► next in tier
 *                      ▲      │ answered
 *                      │      ▼
 *                      └── TRACKER_OK: moved to the front of its tier
 *
 * Happy path: tracker_tier_advance asks every tier that is due and arms the one
 * timer for the next that will be. When a tier is due is said by
 * tracker_tier_due_us alone.
 *
 * Events: the first announce that a tracker answers is `started`; until then
 * it is not told of anything else. `completed` is owed to trackers that heard
 * `started` from an unfinished torrent, and paid with the next announce that
 * is answered. `stopped` goes to those that answered a `started`, all at once,
 * with a deadline for the whole.
 *
 * Failure modes: a tracker that fails, whether silent, refusing or absurd,
 * gives way to the next of its tier at once; after the last the tier waits,
 * longer each time. One that answered with a refusal is not asked again within
 * TRACKER_REFUSED_RETRY_MS. No failure ends anything.
 *
 * Invariants: tier->asking is the tracker with a handle, or NULL; while
 * stopping no tier is asking and `n_stopping` trackers have a handle. */
#include "net/tracker_tier.h"

#include <errno.h>
#include <string.h>

#include "core/core_limits.h"
#include "core/err.h"
#include "core/log.h"
#include "core/rng.h"
#include "net/tracker_udp.h"

#define NEVER UINT64_MAX

/* ---- when ---- */

bool tracker_tier_is_healthy(const struct tier *tier)
{
	return tier->answered && tier->fails == 0;
}

static bool is_behind_healthy(const struct tier *tier)
{
	const struct tier *other;

	TAILQ_FOREACH (other, &tier->t->tiers, link) {
		if (other == tier)
			return false;
		if (tracker_tier_is_healthy(other))
			return true;
	}
	return false;
}

uint64_t tracker_tier_due_us(const struct tier *tier)
{
	if (!tier->t->running || tier->t->stop_done || tier->asking)
		return NEVER;
	if (tracker_tier_is_healthy(tier) && tier->cur->owes_completed)
		return 0;
	if (tracker_tier_is_healthy(tier) && tier->hungry)
		return tier->early_us < tier->next_us ? tier->early_us
						      : tier->next_us;
	if (tier->answered && !tier->cur->owes_completed &&
	    is_behind_healthy(tier))
		return NEVER;
	return tier->next_us;
}

/* Doubling with each failed round, a quarter more or less. */
static uint64_t backoff_us(const struct tier *tier, bool refused)
{
	const struct tracker_times *times = &tier->t->times;
	unsigned shift = tier->fails - 1 < 20 ? tier->fails - 1 : 20;
	uint64_t us = times->retry_us << shift;
	uint64_t least_us = TRACKER_REFUSED_RETRY_MS / 1000 * times->second_us;

	if (us > times->retry_max_us)
		us = times->retry_max_us;
	if (refused && us < least_us)
		us = least_us;
	return us - us / 4 + rng_u64() % (us / 2 + 1);
}

/* ---- what a call brings ---- */

static void on_reply(void *arg, const struct tracker_reply *reply)
{
	struct tracker *tr = arg;
	struct trackers *t = tr->tier->t;

	memcpy(tr->why, reply->why, sizeof(tr->why));
	if (reply->refused) {
		tr->refused = true;
		return;
	}
	tr->answered = true;
	if (t->stop_done)
		return;
	tr->interval_s = reply->interval_s;
	tr->min_interval_s = reply->min_interval_s;
	tr->peers += reply->n_peers;
	if (reply->id_len > 0) {
		memcpy(tr->id, reply->id, reply->id_len);
		tr->id_len = reply->id_len;
	}
	if (reply->has_external && t->ops->on_external)
		t->ops->on_external(t->arg, &reply->external);
	if (reply->n_peers > 0)
		t->ops->on_peers(t->arg, reply->peers, reply->n_peers);
}

static void tier_answered(struct tier *tier, struct tracker *tr)
{
	uint64_t now_us = loop_now_us(tier->t->loop);
	uint64_t second_us = tier->t->times.second_us;
	uint32_t early_s;

	tr->state = TRACKER_OK;
	tr->announced = true;
	if (tr->event == TRACKER_EVENT_COMPLETED)
		tr->owes_completed = false;
	/* BEP 12: who answers comes first from now on. */
	TAILQ_REMOVE(&tier->trackers, tr, link);
	TAILQ_INSERT_HEAD(&tier->trackers, tr, link);
	tier->cur = tr;
	tier->answered = true;
	tier->fails = 0;
	tier->next_us = now_us + tr->interval_s * second_us;
	early_s = tier->early_s > tr->min_interval_s ? tier->early_s
						     : tr->min_interval_s;
	tier->early_us = now_us + early_s * second_us;
}

static void tier_failed(struct tier *tier, struct tracker *tr)
{
	struct tracker *next = TAILQ_NEXT(tr, link);

	tr->state = TRACKER_FAILED;
	if (next) {
		tier->cur = next;
		tier->next_us = 0;
		return;
	}
	tier->cur = TAILQ_FIRST(&tier->trackers);
	tier->fails++;
	tier->next_us =
		loop_now_us(tier->t->loop) + backoff_us(tier, tr->refused);
}

static void note_failure(struct tracker *tr, int err, const char *why)
{
	char url[METAINFO_MAX_URL_BYTES];

	if (!tr->refused) {
		why = why ? why : err_text(err);
		tracker_reply_text(tr->why, sizeof(tr->why), span_str(why));
	}
	tracker_mask(tr->url, url, sizeof(url));
	log_debug("tracker %s: %s", url, tr->why);
}

static void on_done(void *arg, int err, const char *why)
{
	struct tracker *tr = arg;
	struct tier *tier = tr->tier;
	struct trackers *t = tier->t;

	tr->http = NULL;
	tr->udp = NULL;
	if (t->stop_done) {
		if (--t->n_stopping == 0)
			tracker_tier_stopped(t);
		return;
	}
	tier->asking = NULL;
	if (tr->answered) {
		tier_answered(tier, tr);
	} else {
		note_failure(tr, err, why);
		tier_failed(tier, tr);
	}
	tracker_tier_advance(t);
}

/* ---- calls ---- */

static int call_start(struct tracker *tr, enum tracker_event event,
		      uint64_t timeout_us)
{
	struct trackers *t = tr->tier->t;
	const struct tracker_sink sink = {on_reply, on_done, tr};
	struct tracker_ask ask = {
		.event = event,
		.key = t->key,
		.tracker_id = span_of(tr->id, tr->id_len),
		.timeout_us = timeout_us,
	};

	t->ops->facts(t->arg, &ask.facts);
	if (event == TRACKER_EVENT_STOPPED)
		ask.facts.want_peers = 0;
	tr->event = event;
	tr->answered = false;
	tr->refused = false;
	tr->peers = 0;
	if (tr->is_udp)
		return udp_tracker_announce(t->udp, tr->url, &ask, &sink,
					    &tr->udp);
	return tracker_http_start(t->http, tr->url, &ask, &sink, &tr->http);
}

void tracker_tier_cancel(struct tracker *tr)
{
	tracker_http_cancel(tr->http);
	tr->http = NULL;
	udp_tracker_cancel(tr->udp);
	tr->udp = NULL;
}

static void tier_ask(struct tier *tier)
{
	struct trackers *t = tier->t;
	struct tracker *tr = tier->cur;
	enum tracker_event event = TRACKER_EVENT_NONE;
	uint32_t early_max_s =
		tr->interval_s ? tr->interval_s : TRACKER_INTERVAL_S;
	int err;

	if (!tr->announced)
		event = TRACKER_EVENT_STARTED;
	else if (tr->owes_completed)
		event = TRACKER_EVENT_COMPLETED;
	if (!tier->hungry)
		tier->early_s = TRACKER_EARLY_S;
	else if (tier->early_s < early_max_s)
		tier->early_s *= 2;
	tier->hungry = false;
	err = call_start(tr, event, t->times.timeout_us);
	if (err) {
		note_failure(tr, err,
			     err == EINVAL ? "the URL has fields of an announce"
					   : NULL);
		tier_failed(tier, tr);
		return;
	}
	tr->state = TRACKER_ASKING;
	tier->asking = tr;
}

void tracker_tier_advance(struct trackers *t)
{
	uint64_t now_us = loop_now_us(t->loop);
	uint64_t first_us = NEVER;
	struct tier *tier;

	/* Ends: a tracker that cannot be asked makes way for the next, and
	 * the last of a tier for a back-off. */
	TAILQ_FOREACH (tier, &t->tiers, link)
		while (tracker_tier_due_us(tier) <= now_us)
			tier_ask(tier);
	/* Only now: a call begun above changes who is behind whom. */
	TAILQ_FOREACH (tier, &t->tiers, link) {
		uint64_t us = tracker_tier_due_us(tier);

		first_us = us < first_us ? us : first_us;
	}
	if (first_us == NEVER)
		loop_timer_stop(t->timer);
	else
		loop_timer_start(t->timer,
				 first_us > now_us ? first_us - now_us : 0);
}

/* ---- the end ---- */

static void reset(struct trackers *t)
{
	struct tier *tier;
	struct tracker *tr;

	TAILQ_FOREACH (tier, &t->tiers, link) {
		TAILQ_FOREACH (tr, &tier->trackers, link) {
			tracker_tier_cancel(tr);
			tr->announced = false;
			tr->owes_completed = false;
			tr->state = TRACKER_IDLE;
		}
		tier->answered = false;
		tier->hungry = false;
		tier->fails = 0;
		tier->next_us = 0;
		tier->cur = TAILQ_FIRST(&tier->trackers);
	}
}

void tracker_tier_stopped(struct trackers *t)
{
	void (*done)(void *arg) = t->stop_done;

	loop_timer_stop(t->stop_timer);
	loop_task_cancel(t->loop, &t->stop_task);
	reset(t);
	t->n_stopping = 0;
	t->running = false;
	t->stop_done = NULL;
	done(t->stop_arg);
}

void tracker_tier_stop(struct trackers *t)
{
	struct tier *tier;
	struct tracker *tr;

	TAILQ_FOREACH (tier, &t->tiers, link) {
		tier->asking = NULL;
		TAILQ_FOREACH (tr, &tier->trackers, link) {
			tracker_tier_cancel(tr);
			if (tr->announced &&
			    call_start(tr, TRACKER_EVENT_STOPPED,
				       t->times.stop_us) == 0)
				t->n_stopping++;
		}
	}
}
