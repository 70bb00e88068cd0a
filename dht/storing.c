/* storing — the second half of a search that announces or puts: what is to be
 * stored goes to the closest nodes that gave a token, all at once, and the
 * search ends when each has answered or expired. */
#include <assert.h>

#include "dht/node_internal.h"

/* What is given; `put` is NULL for an announce. */
struct gift {
	const struct dht_item *put;
	bool has_cas;
	int64_t cas;
};

static struct krpc_query query_of(const struct dht_search *s,
				  const struct candidate *c,
				  const struct gift *g)
{
	struct krpc_query q = {
		.target = &s->cfg.target,
		.token = span_of(c->token, c->token_len),
	};

	if (!g->put) {
		q.method = KRPC_ANNOUNCE_PEER;
		q.port = s->cfg.announce_port;
		q.is_port_implied = s->cfg.is_port_implied;
		q.is_seed = s->cfg.is_seed;
		return q;
	}
	q.method = KRPC_PUT;
	q.value = g->put->value;
	if (g->put->is_mutable) {
		q.key = g->put->key;
		q.sig = g->put->sig;
		q.seq = g->put->seq;
		q.salt = g->put->salt;
		/* BEP 44: not to a node that has nothing yet. */
		q.has_cas = g->has_cas && c->has_item;
		q.cas = g->cas;
	}
	return q;
}

static void give(struct dht_search *s, uint64_t now_us, enum dht_family f,
		 uint8_t place, const struct gift *g)
{
	const struct candidate *c = &s->lookup[f].cands[place];
	struct krpc_query q = query_of(s, c, g);
	struct flight like = {
		.what = FLIGHT_STORE,
		.search = s,
		.candidate = place,
		.has_id = true,
		.id = c->id,
		.to = c->a,
	};

	if (!node_ask(s->node, now_us, &like, &q))
		return;
	s->outcome.n_asked++;
	s->n_storing++;
}

void storing_begin(struct dht_search *s, uint64_t now_us)
{
	uint8_t places[DHT_NODES_TOLD];
	struct dht_item item = {0};
	struct gift g = {0};

	s->state = SEARCH_STORING;
	if (s->cfg.on_put) {
		if (!s->cfg.on_put(s->cfg.arg, harvest_best(s), &item,
				   &g.has_cas, &g.cas)) {
			search_end(s, DHT_END_DONE);
			return;
		}
		if (s->state == SEARCH_ENDED) /* it was cancelled in there */
			return;
		g.put = &item;
	}
	for (int f = 0; f < DHT_FAMILIES; f++) {
		uint32_t n = s->has[f] ? lookup_storers(&s->lookup[f], places,
							DHT_NODES_TOLD)
				       : 0;

		for (uint32_t i = 0; i < n; i++)
			give(s, now_us, (enum dht_family)f, places[i], &g);
	}
	if (s->n_storing == 0)
		search_end(s, DHT_END_DONE);
}

void storing_on_answer(struct dht_search *s, bool is_stored)
{
	assert(s->n_storing > 0);
	s->outcome.n_stored += is_stored ? 1 : 0;
	if (--s->n_storing == 0)
		search_end(s, DHT_END_DONE);
}
