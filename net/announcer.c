/* announcer — one struct trackers for each side of the torrent.
 *
 * They know nothing of each other: a tracker that keeps a list of hashes and
 * has one of a hybrid's only refuses the other, and is backed off from there
 * alone; tiers, intervals and events are per hash, as the trackers' own.
 *
 * A side that becomes known later (a magnet of one hash, when the metadata
 * shows a hybrid) gets the trackers that the first has. Magnets have no tiers,
 * so none are lost. */
#include "net/announcer.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "core/mem.h"

struct side {
	struct announcer *a; /* Owner: */
	enum torrent_side ix;
	struct trackers *trackers; /* NULL: no such side, so far */
};

struct announcer {
	struct announcer_cfg cfg; /* its tiers are not kept */
	struct side sides[TORRENT_SIDES];
	bool is_running;
	unsigned n_stopping;
	void (*stop_done)(void *arg);
	void *stop_arg;
};

/* ---- one side's trackers ---- */

static void on_facts(void *arg, struct tracker_facts *out)
{
	const struct side *s = arg;
	const struct announcer_cfg *cfg = &s->a->cfg;

	cfg->ops->facts(cfg->arg, out);
	memcpy(out->info_hash, torrent_id_side(cfg->id, s->ix),
	       sizeof(out->info_hash));
}

static void on_peers(void *arg, const struct addr *peers, unsigned n)
{
	const struct side *s = arg;

	s->a->cfg.ops->on_peers(s->a->cfg.arg, s->ix, peers, n);
}

static const struct trackers_ops trackers_ops = {
	.facts = on_facts,
	.on_peers = on_peers,
};

static int make_side(struct side *s, struct trackers_cfg cfg)
{
	if (s->trackers != NULL || torrent_id_side(s->a->cfg.id, s->ix) == NULL)
		return 0;
	cfg.ops = &trackers_ops;
	cfg.arg = s;
	return trackers_new(&cfg, &s->trackers);
}

/* ---- life ---- */

int announcer_new(const struct announcer_cfg *cfg, struct announcer **out)
{
	struct announcer *a = mem_new(struct announcer);
	int r = 0;

	if (a == NULL)
		return ENOMEM;
	a->cfg = *cfg;
	a->cfg.trackers.tiers = NULL;
	a->cfg.trackers.n_tiers = 0;
	for (unsigned i = 0; i < TORRENT_SIDES; i++) {
		a->sides[i].a = a;
		a->sides[i].ix = (enum torrent_side)i;
		if (r == 0)
			r = make_side(&a->sides[i], cfg->trackers);
	}
	if (r != 0) {
		announcer_free(a);
		return r;
	}
	*out = a;
	return 0;
}

static int copy_urls(const struct trackers *from, struct trackers *to)
{
	uint32_t n = trackers_count(from);

	for (uint32_t i = 0; i < n; i++) {
		struct tracker_view tv;

		trackers_view(from, i, &tv);
		if (trackers_add(to, tv.url) == ENOMEM)
			return ENOMEM;
	}
	return 0;
}

static int learn_side(struct announcer *a, struct side *s,
		      const struct side *other)
{
	int r;

	if (s->trackers != NULL)
		return 0;
	r = make_side(s, a->cfg.trackers);
	if (r != 0 || s->trackers == NULL)
		return r;
	if (other->trackers != NULL)
		r = copy_urls(other->trackers, s->trackers);
	if (r != 0) {
		trackers_free(s->trackers);
		s->trackers = NULL;
		return r;
	}
	if (a->is_running)
		trackers_start(s->trackers);
	return 0;
}

int announcer_learn(struct announcer *a)
{
	int r = learn_side(a, &a->sides[TORRENT_V1], &a->sides[TORRENT_V2]);

	return r != 0 ? r
		      : learn_side(a, &a->sides[TORRENT_V2],
				   &a->sides[TORRENT_V1]);
}

void announcer_free(struct announcer *a)
{
	if (a == NULL)
		return;
	for (unsigned i = 0; i < TORRENT_SIDES; i++)
		trackers_free(a->sides[i].trackers);
	mem_free(a);
}

/* ---- for all sides ---- */

int announcer_add(struct announcer *a, const char *url)
{
	int r = 0;

	for (unsigned i = 0; i < TORRENT_SIDES; i++) {
		int one = a->sides[i].trackers == NULL
				  ? 0
				  : trackers_add(a->sides[i].trackers, url);

		if (r == 0 || one == ENOMEM)
			r = one;
	}
	return r;
}

void announcer_start(struct announcer *a)
{
	a->is_running = true;
	for (unsigned i = 0; i < TORRENT_SIDES; i++)
		if (a->sides[i].trackers != NULL)
			trackers_start(a->sides[i].trackers);
}

void announcer_want_more(struct announcer *a)
{
	for (unsigned i = 0; i < TORRENT_SIDES; i++)
		if (a->sides[i].trackers != NULL)
			trackers_want_more(a->sides[i].trackers);
}

void announcer_completed(struct announcer *a)
{
	for (unsigned i = 0; i < TORRENT_SIDES; i++)
		if (a->sides[i].trackers != NULL)
			trackers_completed(a->sides[i].trackers);
}

static void on_side_stopped(void *arg)
{
	struct announcer *a = arg;

	if (--a->n_stopping == 0)
		a->stop_done(a->stop_arg); /* which may free it */
}

void announcer_stop(struct announcer *a, void (*done)(void *arg), void *arg)
{
	a->is_running = false;
	a->stop_done = done;
	a->stop_arg = arg;
	a->n_stopping = 0;
	for (unsigned i = 0; i < TORRENT_SIDES; i++)
		a->n_stopping += a->sides[i].trackers != NULL;
	assert(a->n_stopping > 0); /* an id has a hash */
	for (unsigned i = 0; i < TORRENT_SIDES; i++)
		if (a->sides[i].trackers != NULL)
			trackers_stop(a->sides[i].trackers, on_side_stopped, a);
}

/* ---- status ---- */

static uint32_t count(const struct side *s)
{
	return s->trackers == NULL ? 0 : trackers_count(s->trackers);
}

uint32_t announcer_count(const struct announcer *a)
{
	return count(&a->sides[TORRENT_V1]) + count(&a->sides[TORRENT_V2]);
}

void announcer_view(const struct announcer *a, uint32_t ix,
		    struct tracker_view *out)
{
	uint32_t n_v1 = count(&a->sides[TORRENT_V1]);
	bool is_v2 = ix >= n_v1;

	if (is_v2)
		trackers_view(a->sides[TORRENT_V2].trackers, ix - n_v1, out);
	else
		trackers_view(a->sides[TORRENT_V1].trackers, ix, out);
	out->is_v2 = is_v2;
}
