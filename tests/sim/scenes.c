/* scenes — the swarms, and what is measured in them. */
#include "tests/sim/scenes.h"

#include "tests/sim/world.h"

enum { SAMPLE_US = 1000000 };

static const uint64_t UP_BPS = 128 << 10;

/* Uploads of home lines, in parts of UP_BPS / 4; downloads are DOWN times. */
static uint64_t up_of(const struct scene *s, uint32_t i)
{
	static const unsigned part[10] = {2, 2, 3, 4, 4, 4, 6, 8, 16, 32};

	return s->is_mixed ? UP_BPS * part[i % 10] / 4 : UP_BPS;
}

static struct sim_kind kind_of(const struct scene *s, uint32_t i, bool is_odd)
{
	uint64_t up = up_of(s, i);

	return (struct sim_kind){
		.policy = is_odd ? s->odd : s->policy,
		.up_Bps = up,
		.down_Bps = 8 * up,
		.delay_us = 10000 + (i * 7919) % 30 * 1000,
		.knows_limit = s->knows_limit,
		.n_dials = is_odd && s->has_large_view ? 10000 : 0,
	};
}

static struct world *build(const struct scene *s)
{
	struct world_cfg cfg = {
		.seed = s->seed,
		.n_pieces = s->n_pieces,
		.piece_bytes = s->piece_bytes,
		.peers_max = s->n_peers + s->n_odd + 1,
		.conns_max = s->has_large_view ? 1000 : 64,
		.n_dials = 25,
		.open_max = s->open_max,
		.has_checks = s->has_checks,
		.bitrate_Bps = s->bitrate_Bps,
		.scatter = s->scatter,
		.places = s->places,
	};
	struct world *w = world_new(&cfg);
	struct sim_kind seed = {
		.policy = s->policy,
		.up_Bps = s->seed_Bps,
		.down_Bps = s->seed_Bps,
		.delay_us = 10000,
		.is_seed = true,
		.knows_limit = s->knows_limit,
	};

	if (s->has_trace)
		w->sample = trace_line;
	(void)world_add(w, &seed, 0);
	return w;
}

static void end(struct world *w, struct figures *f)
{
	uint64_t waste = 0;

	for (uint32_t i = 0; i < w->n_peers; i++) {
		waste += w->peers[i].waste_bytes;
		if (w->peers[i].was_open > f->open_max)
			f->open_max = w->peers[i].was_open;
	}
	f->waste = w->sent_bytes ? (double)waste / (double)w->sent_bytes : 0;
	f->hash = w->hash;
	f->n_events = w->n_events;
	f->end_s = (double)w->now_us / 1e6;
	world_free(w);
}

/* max(F / u_seed, F / d_min, N F / (u_seed + sum of u)) */
static double bound_s(const struct world *w)
{
	double size = (double)w->cfg.n_pieces * w->cfg.piece_bytes;
	double up = 0, seed = 0, down = 1e18, n = 0, t;

	for (uint32_t i = 0; i < w->n_peers; i++) {
		const struct sim_kind *k = &w->peers[i].kind;

		up += (double)k->up_Bps;
		if (k->is_seed) {
			seed += (double)k->up_Bps;
			continue;
		}
		n++;
		if ((double)k->down_Bps < down)
			down = (double)k->down_Bps;
	}
	t = size / seed;
	if (size / down > t)
		t = size / down;
	return n * size / up > t ? n * size / up : t;
}

struct figures scene_complete(const struct scene *s)
{
	struct world *w = build(s);
	struct figures f = {0};

	for (uint32_t i = 0; i < s->n_peers; i++) {
		struct sim_kind k = kind_of(s, i, false);

		(void)world_add(w, &k, 0);
	}
	world_run(w, UINT64_C(36000) * 1000000);
	for (uint32_t i = 0; i < w->n_peers; i++) {
		double t = (double)w->peers[i].done_us / 1e6;

		f.mean_s += t / s->n_peers;
		f.last_s = t > f.last_s ? t : f.last_s;
	}
	f.bound_s = bound_s(w);
	end(w, &f);
	return f;
}

/* ---- two kinds in one swarm ---- */

static void mark(struct world *w)
{
	for (uint32_t i = 0; i < w->n_peers; i++)
		w->peers[i].mark_bytes = w->peers[i].down_bytes;
}

static bool is_odd(const struct scene *s, const struct sim_peer *p)
{
	return p->ix > s->n_peers;
}

static void rates(const struct scene *s, const struct world *w, double span_s,
		  struct figures *f)
{
	for (uint32_t i = 1; i < w->n_peers; i++) {
		const struct sim_peer *p = &w->peers[i];
		double Bps = (double)(p->down_bytes - p->mark_bytes) / span_s;

		if (is_odd(s, p))
			f->odd_Bps += Bps / s->n_odd;
		else
			f->peer_Bps += Bps / s->n_peers;
	}
}

static void firsts(const struct scene *s, const struct world *w,
		   struct figures *f)
{
	for (uint32_t i = 1; i < w->n_peers; i++) {
		const struct sim_peer *p = &w->peers[i];
		double t = (double)((p->first_us ? p->first_us : w->now_us) -
				    p->join_us) /
			   1e6;

		if (!is_odd(s, p))
			continue;
		f->first_s += t / s->n_odd;
		f->first_max_s = t > f->first_max_s ? t : f->first_max_s;
	}
}

struct figures scene_odd(const struct scene *s, double from_s, double until_s)
{
	struct world *w = build(s);
	struct figures f = {0};

	for (uint32_t i = 0; i < s->n_peers + s->n_odd; i++) {
		bool odd = i >= s->n_peers;
		struct sim_kind k = kind_of(s, odd ? i * 7 : i, odd);

		if (odd)
			k.up_Bps = UP_BPS, k.down_Bps = 8 * UP_BPS;
		(void)world_add(w, &k,
				(odd ? (uint64_t)(from_s * 5e5) : 0) +
					rng_below(&w->rng, 5000000));
	}
	world_run(w, (uint64_t)(from_s * 1e6));
	mark(w);
	world_run(w, (uint64_t)(until_s * 1e6));
	rates(s, w, (double)w->now_us / 1e6 - from_s, &f);
	firsts(s, w, &f);
	end(w, &f);
	return f;
}

/* ---- newcomers ---- */

struct watch {
	const struct scene *s;
	double at_s;
	double half_s[1000];
};

/* Half of the mean rate of those who were there, over the last window. */
static uint64_t on_sample(struct world *w, void *arg)
{
	struct watch *wt = arg;
	double mean = 0, n = 0, now_s = (double)w->now_us / 1e6;

	for (uint32_t i = 1; i <= wt->s->n_peers; i++) {
		struct sim_peer *p = &w->peers[i];

		if (!p->is_in || p->done_us != 0)
			continue;
		mean += (double)rate_meter_Bps(&p->down, w->now_us);
		n++;
	}
	for (uint32_t i = wt->s->n_peers + 1; i < w->n_peers; i++) {
		struct sim_peer *p = &w->peers[i];
		double *half = &wt->half_s[i - wt->s->n_peers - 1];

		if (*half > 0 || !p->is_in || now_s < wt->at_s + 1)
			continue;
		if ((double)rate_meter_Bps(&p->down, w->now_us) >= mean / n / 2)
			*half = now_s - (double)p->join_us / 1e6;
	}
	return w->now_us + SAMPLE_US;
}

struct figures scene_newcomers(const struct scene *s, double at_s,
			       double until_s)
{
	struct world *w = build(s);
	struct watch wt = {.s = s, .at_s = at_s};
	struct figures f = {0};

	w->sample = on_sample;
	w->arg = &wt;
	for (uint32_t i = 0; i < s->n_peers + s->n_odd; i++) {
		bool odd = i >= s->n_peers;
		struct sim_kind k = kind_of(s, i, odd);

		k.policy = s->policy;
		if (odd)
			k.up_Bps = UP_BPS, k.down_Bps = 8 * UP_BPS;
		(void)world_add(w, &k,
				(odd ? (uint64_t)(at_s * 1e6) : 0) +
					rng_below(&w->rng, 5000000));
	}
	world_run(w, (uint64_t)(until_s * 1e6));
	for (uint32_t i = 0; i < s->n_odd; i++) {
		double t = wt.half_s[i] > 0 ? wt.half_s[i] : until_s - at_s;

		f.half_s += t / s->n_odd;
		f.half_max_s = t > f.half_max_s ? t : f.half_max_s;
	}
	firsts(s, w, &f);
	end(w, &f);
	return f;
}

/* ---- viewers ---- */

/* What it fetched and did not read, the same bytes twice included. */
static double over_of(const struct world *w, const struct sim_peer *p)
{
	double got = (double)p->have.n_set * w->cfg.piece_bytes +
		     (double)p->waste_bytes;

	if (viewer_read_bytes(p->viewer) == 0)
		return 0;
	return got / (double)viewer_read_bytes(p->viewer) - 1;
}

static void sum_up_viewers(const struct world *w, const struct scene *s,
			   struct figures *f)
{
	double viewing = 0, stalled = 0, least = 1e9;

	for (uint32_t i = 1; i < w->n_peers; i++) {
		const struct sim_peer *p = &w->peers[i];
		const struct sim_viewer *v = p->viewer;
		double start = (double)(viewer_start_us(v) ? viewer_start_us(v)
							   : w->now_us);
		double played =
			(double)viewer_played_bytes(v) / (double)s->bitrate_Bps;

		start = (start - (double)p->join_us) / 1e6;
		f->start_max_s =
			start > f->start_max_s ? start : f->start_max_s;
		f->first_s += start / s->n_peers;
		stalled += (double)viewer_stall_us(v, w->now_us) / 1e6;
		viewing += played;
		least = played < least ? played : least;
		f->n_stalled += viewer_stalls(v) > 0;
		f->over += over_of(w, p) / s->n_peers;
	}
	f->smooth = viewing / (viewing + stalled);
	f->least_played = least * s->n_peers / viewing;
}

struct figures scene_viewers(const struct scene *s, double within_s)
{
	struct world *w = build(s);
	struct figures f = {0};
	double play_s =
		(double)s->n_pieces * s->piece_bytes / (double)s->bitrate_Bps;

	for (uint32_t i = 0; i < s->n_peers; i++) {
		struct sim_kind k = kind_of(s, i, false);

		k.views = true;
		k.up_Bps = s->bitrate_Bps * 12 / 10;
		k.down_Bps = s->bitrate_Bps * 8;
		(void)world_add(
			w, &k,
			rng_below(&w->rng, (uint64_t)(within_s * 1e6) + 1));
	}
	w->n_leechers++; /* goes on though all have all: they still watch */
	/* At places half of it is watched; the last are still at it then. */
	if (s->places > 0)
		play_s = play_s / 4;
	world_run(w, (uint64_t)((within_s + 2 * play_s) * 1e6));
	sum_up_viewers(w, s, &f);
	end(w, &f);
	return f;
}
