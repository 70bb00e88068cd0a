/* tracker — the trackers of one torrent, as their owner sees them.
 *
 * Purpose: the list of tiers and trackers, its life, and what a torrent may ask
 * of it. When which tracker is asked, and what is made of its answer, is
 * tracker_tier.c's.
 *
 * Ownership: trackers → tiers → trackers' calls. A tier without trackers does
 * not exist. URLs that are no announce URL, or known already, are left out;
 * at most METAINFO_MAX_TRACKERS are kept, whoever names them. */
#include "net/tracker.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "core/core_limits.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/queue.h"
#include "core/rng.h"
#include "net/net_limits.h"
#include "net/tracker_internal.h"
#include "net/tracker_tier.h"

static void on_timer(void *arg)
{
	tracker_tier_advance(arg);
}

/* ---- what callers ask for ---- */

void trackers_start(struct trackers *t)
{
	ASSERT_LOOP(t->loop);
	assert(!t->stop_done);
	t->running = true;
	tracker_tier_advance(t);
}

void trackers_want_more(struct trackers *t)
{
	bool changed = false;
	struct tier *tier;

	TAILQ_FOREACH (tier, &t->tiers, link) {
		if (tier->hungry || tier->asking ||
		    !tracker_tier_is_healthy(tier))
			continue;
		tier->hungry = true;
		changed = true;
	}
	if (changed)
		tracker_tier_advance(t);
}

void trackers_completed(struct trackers *t)
{
	struct tier *tier;
	struct tracker *tr;

	TAILQ_FOREACH (tier, &t->tiers, link)
		TAILQ_FOREACH (tr, &tier->trackers, link)
			if (tr->announced || tr == tier->asking)
				tr->owes_completed = true;
	tracker_tier_advance(t);
}

void trackers_stop(struct trackers *t, void (*done)(void *arg), void *arg)
{
	ASSERT_LOOP(t->loop);
	assert(!t->stop_done);
	loop_timer_stop(t->timer);
	t->stop_done = done;
	t->stop_arg = arg;
	tracker_tier_stop(t);
	if (t->n_stopping == 0)
		loop_defer(t->loop, &t->stop_task);
	else
		loop_timer_start(t->stop_timer, t->times.stop_us);
}

static void on_stop_end(void *arg)
{
	tracker_tier_stopped(arg);
}

/* ---- the list ---- */

static bool is_scheme(const char *url, const char *scheme)
{
	return strncasecmp(url, scheme, strlen(scheme)) == 0;
}

static bool is_known(const struct trackers *t, const char *url)
{
	const struct tier *tier;
	const struct tracker *tr;

	TAILQ_FOREACH (tier, &t->tiers, link)
		TAILQ_FOREACH (tr, &tier->trackers, link)
			if (strcmp(tr->url, url) == 0)
				return true;
	return false;
}

static int check_url(const struct trackers *t, const char *url)
{
	if (!is_scheme(url, "http://") && !is_scheme(url, "https://") &&
	    !is_scheme(url, "udp://"))
		return EINVAL;
	if (strlen(url) > METAINFO_MAX_URL_BYTES ||
	    t->n >= METAINFO_MAX_TRACKERS)
		return E2BIG;
	return is_known(t, url) ? EEXIST : 0;
}

static void tracker_free(struct tracker *tr)
{
	tracker_tier_cancel(tr);
	mem_free(tr->url);
	mem_free(tr);
}

/* At a random place: the shuffle of BEP 12, one card at a time. */
static void tier_insert(struct tier *tier, struct tracker *tr)
{
	uint32_t at = rng_u32() % (tier->n + 1);
	struct tracker *before = TAILQ_FIRST(&tier->trackers);

	for (; before && at > 0; at--)
		before = TAILQ_NEXT(before, link);
	if (before)
		TAILQ_INSERT_BEFORE(before, tr, link);
	else
		TAILQ_INSERT_TAIL(&tier->trackers, tr, link);
	tier->n++;
	tier->t->n++;
	tier->cur = TAILQ_FIRST(&tier->trackers);
}

static int tier_add(struct tier *tier, const char *url)
{
	struct tracker *tr;
	int err = check_url(tier->t, url);

	if (err)
		return err;
	tr = mem_new(struct tracker);
	if (!tr)
		return ENOMEM;
	tr->url = mem_strdup(url);
	if (!tr->url) {
		mem_free(tr);
		return ENOMEM;
	}
	tr->tier = tier;
	tr->is_udp = is_scheme(url, "udp://");
	tier_insert(tier, tr);
	return 0;
}

static struct tier *tier_new(struct trackers *t)
{
	struct tier *tier = mem_new(struct tier);

	if (!tier)
		return NULL;
	tier->t = t;
	tier->early_s = TRACKER_EARLY_S;
	TAILQ_INIT(&tier->trackers);
	return tier;
}

static void tier_free(struct tier *tier)
{
	struct tracker *tr;

	while ((tr = TAILQ_FIRST(&tier->trackers)) != NULL) {
		TAILQ_REMOVE(&tier->trackers, tr, link);
		tracker_free(tr);
	}
	mem_free(tier);
}

/* A tier of what of `urls` is fit; 0 also when that is nothing. The last
 * refusal goes to `refused`. */
static int add_tier(struct trackers *t, const char *const *urls, uint32_t n,
		    int *refused)
{
	struct tier *tier = tier_new(t);

	if (!tier)
		return ENOMEM;
	/* In the list before it is filled, so that duplicates are seen. */
	TAILQ_INSERT_TAIL(&t->tiers, tier, link);
	*refused = 0;
	for (uint32_t i = 0; i < n; i++) {
		int err = tier_add(tier, urls[i]);

		if (err)
			*refused = err;
		if (err == ENOMEM)
			break;
	}
	if (tier->n == 0) {
		TAILQ_REMOVE(&t->tiers, tier, link);
		tier_free(tier);
	}
	return *refused == ENOMEM ? ENOMEM : 0;
}

int trackers_add(struct trackers *t, const char *url)
{
	int refused, err = add_tier(t, &url, 1, &refused);

	ASSERT_LOOP(t->loop);
	if (err || refused)
		return err ? err : refused;
	tracker_tier_advance(t);
	return 0;
}

/* ---- life ---- */

int trackers_new(const struct trackers_cfg *cfg, struct trackers **out)
{
	struct trackers *t = mem_new(struct trackers);
	int refused, err;

	if (!t)
		return ENOMEM;
	t->loop = cfg->loop;
	t->http = cfg->http;
	t->udp = cfg->udp;
	t->ops = cfg->ops;
	t->arg = cfg->arg;
	t->key = rng_u32();
	t->times = (struct tracker_times){
		.second_us = 1000000,
		.retry_us = TRACKER_RETRY_MS * UINT64_C(1000),
		.retry_max_us = TRACKER_RETRY_MAX_MS * UINT64_C(1000),
		.timeout_us = TRACKER_TIMEOUT_MS * UINT64_C(1000),
		.stop_us = TRACKER_STOP_MS * UINT64_C(1000),
	};
	TAILQ_INIT(&t->tiers);
	loop_task_init(&t->stop_task, on_stop_end, t);
	err = loop_timer_new(t->loop, on_timer, t, &t->timer);
	if (!err)
		err = loop_timer_new(t->loop, on_stop_end, t, &t->stop_timer);
	for (uint32_t i = 0; i < cfg->n_tiers && !err; i++)
		err = add_tier(t, (const char *const *)cfg->tiers[i].urls,
			       cfg->tiers[i].n, &refused);
	if (err) {
		trackers_free(t);
		return err;
	}
	*out = t;
	return 0;
}

void trackers_free(struct trackers *t)
{
	struct tier *tier;

	if (!t)
		return;
	ASSERT_LOOP(t->loop);
	while ((tier = TAILQ_FIRST(&t->tiers)) != NULL) {
		TAILQ_REMOVE(&t->tiers, tier, link);
		tier_free(tier);
	}
	loop_task_cancel(t->loop, &t->stop_task);
	loop_timer_free(t->stop_timer);
	loop_timer_free(t->timer);
	mem_free(t);
}

void trackers_set_times(struct trackers *t, const struct tracker_times *times)
{
	t->times = *times;
}

/* ---- status ---- */

uint32_t trackers_count(const struct trackers *t)
{
	return t->n;
}

void trackers_view(const struct trackers *t, uint32_t ix,
		   struct tracker_view *out)
{
	const struct tier *tier = TAILQ_FIRST(&t->tiers);
	const struct tracker *tr;
	uint32_t tier_ix = 0;
	uint64_t us;

	assert(ix < t->n);
	for (; ix >= tier->n; tier = TAILQ_NEXT(tier, link), tier_ix++)
		ix -= tier->n;
	tr = TAILQ_FIRST(&tier->trackers);
	for (; ix > 0; ix--)
		tr = TAILQ_NEXT(tr, link);
	us = tr == tier->cur ? tracker_tier_due_us(tier) : UINT64_MAX;
	*out = (struct tracker_view){
		.url = tr->url,
		.tier = tier_ix,
		.state = tr->state,
		.next_us = us == UINT64_MAX ? 0 : us,
		.peers = tr->peers,
		.why = tr->why,
	};
}
