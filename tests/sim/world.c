/* world — the clock, the peers, and who is connected to whom.
 *
 * One event at a time, by (time, order of adding). Random numbers come from one
 * stream, and nothing is ordered by address or by hash, so a seed is a run:
 * `hash` over the events says whether two runs were the same. */
#include "tests/sim/world.h"

#include <assert.h>
#include <stdlib.h>

#include "core/mem.h"

enum { TRACKER_US = 200000 }; /* until it knows others */

void *sim_alloc(size_t n, size_t size)
{
	void *v = mem_zalloc(n ? n : 1, size);

	if (v == NULL)
		abort();
	return v;
}

struct world *world_new(const struct world_cfg *cfg)
{
	struct world *w = sim_alloc(1, sizeof(*w));

	w->cfg = *cfg;
	w->peers = sim_alloc(cfg->peers_max, sizeof(*w->peers));
	w->hash = cfg->seed;
	rng_seed(&w->rng, cfg->seed);
	return w;
}

static void conn_free(struct sim_conn *c)
{
	bits_fini(&c->have);
	mem_free(c->asks);
	mem_free(c->serves);
}

void world_free(struct world *w)
{
	for (uint32_t i = 0; i < w->n_peers; i++) {
		struct sim_peer *p = &w->peers[i];

		for (uint32_t k = 0; k < p->n_conns; k++)
			conn_free(&p->conns[k]);
		mem_free(p->conns);
		picker_free(p->picker);
		bits_fini(&p->have);
		mem_free(p->sender);
		viewer_free(p->viewer);
	}
	mem_free(w->peers);
	events_fini(&w->q);
	mem_free(w);
}

uint32_t sim_rtt_us(const struct world *w, const struct sim_peer *p,
		    const struct sim_conn *c)
{
	return 2 * (p->kind.delay_us + w->peers[c->peer].kind.delay_us);
}

void sim_tell(struct world *w, const struct sim_peer *p,
	      const struct sim_conn *c, enum event_kind kind,
	      const struct wire_block *b, uint32_t arg)
{
	struct event ev = {.at_us = w->now_us + sim_rtt_us(w, p, c) / 2,
			   .kind = kind,
			   .peer = c->peer,
			   .conn = c->back,
			   .arg = arg};

	if (b != NULL)
		ev.block = *b;
	events_add(&w->q, ev);
}

/* ---- joining ---- */

static bool open_piece(void *arg, uint32_t piece_ix, uint32_t at_bytes)
{
	struct sim_peer *p = arg;

	(void)piece_ix;
	p->is_short = p->open_max > 0 && p->n_open >= p->open_max;
	if (p->is_short)
		return false;
	p->n_open++;
	if (p->n_open > p->was_open)
		p->was_open = p->n_open;
	return true;
}

static uint32_t piece_len(void *arg, uint32_t piece_ix)
{
	const struct sim_peer *p = arg;

	(void)piece_ix;
	return p->piece_bytes;
}

struct sim_peer *world_add(struct world *w, const struct sim_kind *kind,
			   uint64_t join_us)
{
	struct sim_peer *p = &w->peers[w->n_peers];
	struct picker_cfg cfg = {.open = open_piece,
				 .segment = piece_len,
				 .len = piece_len,
				 .arg = p};
	uint32_t n_blocks = w->cfg.piece_bytes / WIRE_BLOCK_BYTES;

	if (w->n_peers == w->cfg.peers_max)
		abort();
	p->ix = w->n_peers++;
	p->kind = *kind;
	p->piece_bytes = w->cfg.piece_bytes;
	p->open_max = w->cfg.open_max;
	shares_init(&p->upload, NULL);
	if (p->kind.net == 0)
		p->kind.net = 1u << 24 | p->ix;
	p->join_us = join_us;
	p->conns = sim_alloc(w->cfg.peers_max, sizeof(*p->conns));
	p->sender = sim_alloc((size_t)w->cfg.n_pieces * n_blocks,
			      sizeof(*p->sender));
	if (bits_init(&p->have, w->cfg.n_pieces) != 0 ||
	    picker_new(&cfg, &p->picker) != 0)
		abort();
	if (!kind->views && !kind->is_seed &&
	    picker_start_background(p->picker, w->cfg.n_pieces,
				    rng_next(&w->rng)) != 0)
		abort();
	if (kind->is_seed)
		bits_set_all(&p->have);
	else
		w->n_leechers++;
	events_add(&w->q, (struct event){.at_us = join_us,
					 .kind = EV_JOIN,
					 .peer = p->ix});
	return p;
}

static bool are_connected(const struct sim_peer *a, const struct sim_peer *b)
{
	for (uint32_t i = 0; i < a->n_conns; i++)
		if (a->conns[i].peer == b->ix)
			return true;
	return false;
}

/* To so many of those that are in, at random; full ones have no room. */
static void dial(struct world *w, struct sim_peer *p)
{
	uint32_t want = p->kind.n_dials ? p->kind.n_dials : w->cfg.n_dials;
	uint32_t *in = sim_alloc(w->n_peers, sizeof(*in));
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->n_peers; i++)
		if (w->peers[i].is_in && i != p->ix &&
		    !are_connected(p, &w->peers[i]))
			in[n++] = i;
	for (; n > 0 && want > 0; n--) {
		uint32_t k = (uint32_t)rng_below(&w->rng, n);
		struct sim_peer *o = &w->peers[in[k]];

		in[k] = in[n - 1];
		if (o->n_conns >= w->cfg.conns_max)
			continue;
		actor_connect(w, p, o);
		want--;
	}
	mem_free(in);
}

static void join(struct world *w, struct sim_peer *p)
{
	p->is_in = true;
	choker_init(&p->choker);
	rate_meter_init(&p->up, CHOKER_PERIOD_US, w->now_us);
	rate_meter_init(&p->down, CHOKER_WINDOW_US, w->now_us);
	actor_start(w, p);
	events_add(&w->q, (struct event){.at_us = w->now_us + TRACKER_US,
					 .kind = EV_DIAL,
					 .peer = p->ix});
	events_add(&w->q,
		   (struct event){.at_us = w->now_us +
					   rng_below(&w->rng,
						     p->kind.policy->period_us),
				  .kind = EV_ROUND,
				  .peer = p->ix});
}

/* ---- running ---- */

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

static void note(struct world *w, const struct event *ev)
{
	w->n_events++;
	w->hash = mix(w->hash, ev->at_us << 8 | (uint64_t)ev->kind);
	w->hash = mix(w->hash, (uint64_t)ev->peer << 32 | ev->conn);
	w->hash = mix(w->hash, (uint64_t)ev->block.piece_ix << 32 |
				       ev->block.begin_bytes);
	w->hash = mix(w->hash, ev->arg);
}

static void round_of(struct world *w, struct sim_peer *p)
{
	p->kind.policy->round(w, p);
	p->n_rounds++;
	events_add(&w->q, (struct event){.at_us = w->now_us +
						  p->kind.policy->period_us,
					 .kind = EV_ROUND,
					 .peer = p->ix});
}

static void sample(struct world *w)
{
	uint64_t next = w->sample(w, w->arg);

	if (next != UINT64_MAX)
		events_add(&w->q,
			   (struct event){.at_us = next, .kind = EV_SAMPLE});
}

static void handle(struct world *w, struct event *ev)
{
	struct sim_peer *p = &w->peers[ev->peer];

	switch (ev->kind) {
	case EV_JOIN:
		join(w, p);
		break;
	case EV_DIAL:
		dial(w, p);
		break;
	case EV_ROUND:
		round_of(w, p);
		break;
	case EV_DEPART:
		link_on_depart(w, p, ev);
		break;
	case EV_REACH:
		link_on_reach(w, p, ev);
		break;
	case EV_ACK:
		link_on_ack(w, p, ev);
		break;
	case EV_PLAY:
		viewer_on_play(w, p);
		break;
	case EV_SAMPLE:
		sample(w);
		break;
	case EV_STALL:
	case EV_WAKE:
	case EV_ARRIVE:
	case EV_REQUEST:
	case EV_CANCEL:
	case EV_CHOKE:
	case EV_UNCHOKE:
	case EV_INTEREST:
	case EV_HAVE:
		actor_on_event(w, p, ev);
		break;
	case EV_KINDS:
		abort();
	}
}

void world_check(const struct world *w)
{
	uint64_t in = 0, out = 0;

	for (uint32_t i = 0; i < w->n_peers; i++) {
		actor_check(w, &w->peers[i]);
		in += w->peers[i].reached_bytes;
		out += w->peers[i].up_bytes;
	}
	for (uint32_t i = 0; i < w->n_peers; i++)
		shares_check(&w->peers[i].upload);
	assert(out == w->sent_bytes && in == w->received_bytes);
	assert(w->sent_bytes == w->received_bytes + w->flying_bytes);
}

void world_run(struct world *w, uint64_t end_us)
{
	struct event ev;

	if (w->sample != NULL && w->n_events == 0)
		events_add(&w->q, (struct event){.kind = EV_SAMPLE});
	while (w->n_done < w->n_leechers && events_take(&w->q, &ev)) {
		assert(ev.at_us >= w->now_us);
		w->now_us = ev.at_us;
		if (ev.at_us > end_us) {
			events_add(&w->q, ev);
			break;
		}
		note(w, &ev);
		handle(w, &ev);
		if (w->cfg.has_checks) {
			actor_check(w, &w->peers[ev.peer]);
			if (w->n_events % 4096 == 0)
				world_check(w);
		}
	}
	world_check(w);
}
