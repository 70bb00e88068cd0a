/* dht_large — searches in a network of up to millions.
 *
 * 1. All are alive. Real nodes come, are told some addresses, and live for
 *    `warm_s`: their tables are what the real code makes of such a network.
 * 2. So many of all nodes die, at once: that share of every table is dead, the
 *    searchers' too, before anybody could notice.
 * 3. Real nodes announce the keys.
 * 4. Each searcher searches for a key: its first search after the deaths. Each
 *    rival searches for the same one, from a table with as many dead. Then each
 *    searcher searches again, some times: it has learnt by then.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/be.h"
#include "core/mem.h"
#include "tests/sim/dht_scenes.h"

enum { S = 1000000, MS = 1000, TOLD = 8, SETTLE_S = 20, KEY_PORT = 7000 };

struct large {
	const struct sim_large *cfg;
	struct sim_net net;
	struct sim_real **nodes; /* in all-real networks: everybody */
	struct sim_real **searchers;
	struct sim_real **announcers; /* one a key */
	struct sim_search *announces, *first, *later;
	struct sim_search *rivals[SIM_POLICIES];
	uint32_t n_nodes;
};

/* ---- figures ---- */

static int by_number(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double rank(double *v, uint32_t n, double share)
{
	uint32_t i = (uint32_t)(share * n);

	qsort(v, n, sizeof(*v), by_number);
	return n > 0 ? v[i < n ? i : n - 1] : 0;
}

/* Of one that has not ended: until now. */
static uint64_t ended_us(const struct sim_search *s)
{
	return s->has_ended ? s->end_us : s->net->now_us - s->started_us;
}

struct sim_figures sim_figures_of(const struct sim_search *s, uint32_t n)
{
	struct sim_figures f = {.n = n};
	double *first = sim_alloc(n + 1, sizeof(*first));
	double *end = sim_alloc(n + 1, sizeof(*end));
	double *asked = sim_alloc(n + 1, sizeof(*asked));

	for (uint32_t i = 0; i < n; i++) {
		first[i] = (double)(s[i].first_us != 0 ? s[i].first_us
						       : ended_us(&s[i])) /
			   MS;
		end[i] = (double)ended_us(&s[i]) / MS;
		asked[i] = s[i].n_asked;
		f.asked += asked[i] / n;
		f.n_found += s[i].first_us != 0;
		if (s[i].first_us != 0)
			f.asked_first += (double)s[i].n_asked_first;
	}
	f.asked_first /= f.n_found > 0 ? f.n_found : 1;
	f.p50_ms = rank(first, n, 0.5);
	f.p90_ms = rank(first, n, 0.9);
	f.p99_ms = rank(first, n, 0.99);
	f.asked_p99 = rank(asked, n, 0.99);
	f.end_p50_ms = rank(end, n, 0.5);
	mem_free(first);
	mem_free(end);
	mem_free(asked);
	return f;
}

/* ---- the network ---- */

static uint32_t any_host(struct large *w)
{
	return (uint32_t)rng_below(&w->net.rng, w->cfg->is_all_real
							? w->net.n
							: w->net.cfg.n_model);
}

static struct sim_real *join(struct large *w)
{
	const struct sim_real_cfg cfg = {0};
	struct sim_real *real = sim_real_new(&w->net, &cfg);

	for (int i = 0; i < TOLD; i++) {
		struct addr a = sim_net_addr(&w->net, any_host(w));

		sim_real_tell(real, &a);
	}
	return real;
}

/* Those that are there come within the first third of the time. */
static void warm_up(struct large *w)
{
	const struct sim_large *cfg = w->cfg;
	uint64_t warm_us = (uint64_t)cfg->warm_s * S;
	uint32_t n = w->n_nodes + cfg->n_keys + cfg->n_searchers;

	for (uint32_t i = 0; i < n; i++) {
		struct sim_real *real;

		sim_net_run(&w->net, warm_us / 3 * i / n);
		real = join(w);
		if (i < w->n_nodes)
			w->nodes[i] = real;
		else if (i < w->n_nodes + cfg->n_keys)
			w->announcers[i - w->n_nodes] = real;
		else
			w->searchers[i - w->n_nodes - cfg->n_keys] = real;
	}
	sim_net_run(&w->net, warm_us);
}

static bool dies(struct large *w)
{
	return (double)rng_below(&w->net.rng, 1000) < w->cfg->dead * 1000;
}

static void half_die(struct large *w)
{
	for (uint32_t i = 0; i < w->net.cfg.n_model; i++)
		if (dies(w))
			w->net.flags[i] &= (uint8_t)~SIM_ALIVE;
	for (uint32_t i = 0; i < w->n_nodes; i++)
		if (dies(w)) {
			sim_net_remove(&w->net, &w->nodes[i]->actor);
			w->nodes[i] = NULL;
		}
}

static void random_id(struct large *w, struct dht_id *id)
{
	for (int i = 0; i < DHT_ID_BYTES; i += 4)
		be32_put(id->b + i, (uint32_t)rng_next(&w->net.rng));
}

static void announce(struct large *w)
{
	for (uint32_t i = 0; i < w->cfg->n_keys; i++) {
		struct sim_search *s = &w->announces[i];

		random_id(w, &s->target);
		s->wanted = sim_net_addr(&w->net, w->announcers[i]->actor.host);
		sim_real_search(w->announcers[i], s, KEY_PORT, DHT_PACE_URGENT);
		sim_net_run(&w->net, w->net.now_us + 50 * MS);
	}
	sim_net_run(&w->net, w->net.now_us + SETTLE_S * S);
}

static void begin(struct large *w, struct sim_search *s)
{
	const struct sim_search *key =
		&w->announces[rng_below(&w->net.rng, w->cfg->n_keys)];

	s->target = key->target;
	s->wanted = key->wanted;
}

static void search_first(struct large *w)
{
	for (uint32_t i = 0; i < w->cfg->n_searchers; i++) {
		begin(w, &w->first[i]);
		sim_real_search(w->searchers[i], &w->first[i], 0,
				DHT_PACE_URGENT);
		for (int p = 0; p < SIM_POLICIES && w->cfg->has_rivals; p++) {
			struct sim_search *s = &w->rivals[p][i];

			s->target = w->first[i].target;
			s->wanted = w->first[i].wanted;
			sim_rival_search(&w->net, (enum sim_policy)p, s);
		}
		sim_net_run(&w->net, w->net.now_us + 2 * MS);
	}
	sim_net_run(&w->net, w->net.now_us + 100 * (uint64_t)S);
}

static void search_later(struct large *w)
{
	for (uint32_t k = 0; k < w->cfg->n_later; k++) {
		for (uint32_t i = 0; i < w->cfg->n_searchers; i++) {
			struct sim_search *s =
				&w->later[k * w->cfg->n_searchers + i];

			begin(w, s);
			sim_real_search(w->searchers[i], s, 0, DHT_PACE_URGENT);
			sim_net_run(&w->net, w->net.now_us + 2 * MS);
		}
		sim_net_run(&w->net, w->net.now_us + 10 * S);
	}
}

static void look_at_tables(struct large *w, struct sim_large_figures *out)
{
	for (uint32_t i = 0; i < w->cfg->n_searchers; i++) {
		struct dht_stats stats;

		dht_node_stats(w->searchers[i]->node, &stats);
		out->contacts += (double)stats.family[DHT_IPV4].n_contacts /
				 w->cfg->n_searchers;
	}
}

static void setup(struct large *w, const struct sim_large *cfg)
{
	uint32_t n_all = (uint32_t)((double)cfg->n_alive / (1 - cfg->dead));
	struct sim_net_cfg net = {
		.seed = cfg->seed,
		.link = cfg->link,
		.n_model = cfg->is_all_real ? 0 : n_all,
		.fits = 0.75,
	};

	*w = (struct large){.cfg = cfg};
	w->n_nodes = cfg->is_all_real ? n_all : 0;
	w->nodes = sim_alloc(w->n_nodes + 1, sizeof(*w->nodes));
	w->searchers = sim_alloc(cfg->n_searchers, sizeof(*w->searchers));
	w->announcers = sim_alloc(cfg->n_keys, sizeof(*w->announcers));
	w->announces = sim_alloc(cfg->n_keys, sizeof(*w->announces));
	w->first = sim_alloc(cfg->n_searchers, sizeof(*w->first));
	w->later = sim_alloc((size_t)cfg->n_searchers * cfg->n_later + 1,
			     sizeof(*w->later));
	for (int p = 0; p < SIM_POLICIES; p++)
		w->rivals[p] = sim_alloc(cfg->n_searchers, sizeof(*w->first));
	sim_net_init(&w->net, &net);
}

static void cleanup(struct large *w)
{
	sim_net_fini(&w->net);
	mem_free(w->nodes);
	mem_free(w->searchers);
	mem_free(w->announcers);
	mem_free(w->announces);
	mem_free(w->first);
	mem_free(w->later);
	for (int p = 0; p < SIM_POLICIES; p++)
		mem_free(w->rivals[p]);
}

void sim_large_run(const struct sim_large *cfg, struct sim_large_figures *out)
{
	struct large w;

	*out = (struct sim_large_figures){0};
	setup(&w, cfg);
	warm_up(&w);
	half_die(&w);
	announce(&w);
	out->n_stored_least = UINT32_MAX;
	for (uint32_t i = 0; i < cfg->n_keys; i++)
		if (w.announces[i].n_stored < out->n_stored_least)
			out->n_stored_least = w.announces[i].n_stored;
	look_at_tables(&w, out);
	search_first(&w);
	search_later(&w);
	out->first = sim_figures_of(w.first, cfg->n_searchers);
	out->later = sim_figures_of(w.later, cfg->n_searchers * cfg->n_later);
	for (int p = 0; p < SIM_POLICIES && cfg->has_rivals; p++)
		out->rivals[p] = sim_figures_of(w.rivals[p], cfg->n_searchers);
	out->trace = w.net.trace;
	out->counts = w.net.counts;
	cleanup(&w);
}
