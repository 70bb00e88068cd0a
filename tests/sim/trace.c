/* trace — where a swarm's time goes, a line every ten seconds of its time. */
#include <stdio.h>

#include "tests/sim/world.h"

enum { PERIOD_US = 10000000 };

struct sums {
	double n, used, have, slots, open, busy, wanted, asks, starved, slow;
};

static void add_conn(struct sums *s, const struct sim_conn *c)
{
	s->open += !c->i_choke;
	s->busy += c->n_serves > 0;
	s->wanted += c->wants_me;
	s->asks += c->n_asks;
}

static void add_peer(struct world *w, struct sums *s, struct sim_peer *p)
{
	bool has_work = false;

	s->n++;
	s->used += (double)rate_meter_Bps(&p->up, w->now_us) /
		   (double)p->kind.up_Bps;
	s->have += (double)p->have.n_set / p->have.n;
	s->slots += p->choker.slots;
	for (uint32_t i = 0; i < p->n_conns; i++) {
		add_conn(s, &p->conns[i]);
		has_work |= p->conns[i].n_serves > 0;
	}
	s->starved += !p->is_sending && !has_work;
	s->slow += !p->is_sending && has_work;
}

uint64_t trace_line(struct world *w, void *arg)
{
	struct sums s = {0};
	double n;

	(void)arg;
	for (uint32_t i = 0; i < w->n_peers; i++)
		if (w->peers[i].is_in && !w->peers[i].kind.is_seed)
			add_peer(w, &s, &w->peers[i]);
	n = s.n > 0 ? s.n : 1;
	printf("%6.0f s: have %5.3f, upload used %4.2f (nothing to send %4.2f, "
	       "window %4.2f); each: slots %4.1f open %4.1f busy %4.1f, wanted "
	       "by %4.1f, asks %5.1f; done %u of %u\n",
	       (double)w->now_us / 1e6, s.have / n, s.used / n, s.starved / n,
	       s.slow / n, s.slots / n, s.open / n, s.busy / n, s.wanted / n,
	       s.asks / n, w->n_done, w->n_leechers);
	return w->now_us + PERIOD_US;
}
