/* dht_young — the scene of tests/bench/bench dht sockets (dht_field.c) in
 * virtual time: real nodes only, half of which fall silent; those that search
 * were told of a hundred of them half a minute before, and search by turns.
 * Many searchers at once, so that percentiles are no chance.
 */
#include <stdlib.h>
#include <string.h>

#include "core/be.h"
#include "core/mem.h"
#include "tests/sim/dht_scenes.h"

enum {
	S = 1000000,
	JOIN_S = 60,
	LIFE_S = 240,
	TOLD = 4,
	TOLD_LATE = 100,
	YOUNG_S = 30,
	EVERY_MS = 1200, /* a search of each */
	KEY_PORT = 7000,
	K = 8, /* nodes that have a key */
};

struct young {
	const struct sim_young *cfg;
	struct sim_net net;
	struct sim_real **nodes, **searchers;
	struct sim_search *keys, *all;
	uint32_t n;
};

static bool is_silent(const struct young *w, uint32_t i)
{
	return !(w->net.flags[w->nodes[i]->actor.host] & SIM_ALIVE);
}

static struct sim_real *somebody(struct young *w)
{
	uint32_t i;

	do
		i = (uint32_t)rng_below(&w->net.rng, w->n);
	while (is_silent(w, i));
	return w->nodes[i];
}

static void tell(struct young *w, struct sim_real *real, int n)
{
	while (n-- > 0) {
		struct addr a = sim_net_addr(&w->net, somebody(w)->actor.host);

		sim_real_tell(real, &a);
	}
}

static void make(struct young *w)
{
	const struct sim_real_cfg cfg = {0};
	uint32_t n = 2 * w->cfg->n_alive;

	for (uint32_t i = 0; i < n; i++) {
		struct sim_real *real = sim_real_new(&w->net, &cfg);

		if (w->n > 0)
			tell(w, real, TOLD);
		w->nodes[w->n++] = real;
		sim_net_run(&w->net, (uint64_t)JOIN_S * S * i / n);
	}
	sim_net_run(&w->net, (uint64_t)(JOIN_S + LIFE_S) * S);
}

static void announce(struct young *w)
{
	for (uint32_t i = 0; i < w->cfg->n_searches; i++) {
		struct sim_search *s = &w->keys[i];
		struct sim_real *who = somebody(w);

		*s = (struct sim_search){0};
		for (int k = 0; k < DHT_ID_BYTES; k += 4)
			be32_put(s->target.b + k,
				 (uint32_t)rng_next(&w->net.rng));
		s->wanted = sim_net_addr(&w->net, who->actor.host);
		addr_set_port(&s->wanted, KEY_PORT);
		sim_real_search(who, s, KEY_PORT, DHT_PACE_URGENT);
	}
	sim_net_run(&w->net, w->net.now_us + 15 * (uint64_t)S);
}

static void one_round(struct young *w, uint32_t round)
{
	const struct sim_young *cfg = w->cfg;
	const struct sim_real_cfg plain = {0};
	uint32_t gap_us = EVERY_MS * 1000 / cfg->n_searchers;

	for (uint32_t i = 0; i < cfg->n_searchers; i++) {
		w->searchers[i] = sim_real_new(&w->net, &plain);
		tell(w, w->searchers[i], TOLD_LATE);
	}
	sim_net_run(&w->net, w->net.now_us + (uint64_t)YOUNG_S * S);
	for (uint32_t i = 0; i < w->n; i++)
		if (sim_mix(i, round + 1) & 1)
			w->net.flags[w->nodes[i]->actor.host] &=
				(uint8_t)~SIM_ALIVE;
	announce(w);
	for (uint32_t k = 0; k < cfg->n_searches; k++)
		for (uint32_t i = 0; i < cfg->n_searchers; i++) {
			struct sim_search *s =
				&w->all[(k * cfg->n_rounds + round) *
						cfg->n_searchers +
					i];

			s->target = w->keys[k].target;
			s->wanted = w->keys[k].wanted;
			if (w->keys[k].n_stored < K)
				s->first_us = 1; /* not announced: no search */
			else
				sim_real_search(w->searchers[i], s, 0,
						DHT_PACE_URGENT);
			sim_net_run(&w->net, w->net.now_us + gap_us);
		}
	sim_net_run(&w->net, w->net.now_us + 30 * (uint64_t)S);
	for (uint32_t i = 0; i < cfg->n_searchers; i++)
		sim_net_remove(&w->net, &w->searchers[i]->actor);
	for (uint32_t i = 0; i < w->n; i++)
		w->net.flags[w->nodes[i]->actor.host] |= SIM_ALIVE;
}

void sim_young_run(const struct sim_young *cfg, struct sim_young_figures *out)
{
	struct sim_net_cfg net = {.seed = cfg->seed, .link = cfg->link};
	uint32_t wide = cfg->n_searchers * cfg->n_rounds;
	struct young w = {.cfg = cfg};

	sim_net_init(&w.net, &net);
	w.nodes = sim_alloc(2 * cfg->n_alive, sizeof(struct sim_real *));
	w.searchers = sim_alloc(cfg->n_searchers, sizeof(struct sim_real *));
	w.keys = sim_alloc(cfg->n_searches, sizeof(*w.keys));
	w.all = sim_alloc((size_t)wide * cfg->n_searches, sizeof(*w.all));
	make(&w);
	for (uint32_t r = 0; r < cfg->n_rounds; r++)
		one_round(&w, r);
	out->all = sim_figures_of(w.all, wide * cfg->n_searches);
	out->first = sim_figures_of(w.all, wide);
	out->second = sim_figures_of(w.all + wide, 4 * wide);
	out->later =
		sim_figures_of(w.all + 5 * wide, (cfg->n_searches - 5) * wide);
	out->trace = w.net.trace;
	sim_net_fini(&w.net);
	mem_free(w.nodes);
	mem_free(w.searchers);
	mem_free(w.keys);
	mem_free(w.all);
}
