/* storing — the second half of a search that announces or puts: what is to be
 * stored goes to the closest nodes that gave a token, all at once, and the
 * search ends when each has taken it or is given up.
 *
 * Datagrams are lost, and nodes go: who is late gets it again, up to
 * DHT_STORE_TRIES times, all of which count until they expire. Who refuses, or
 * stays silent to the end, counts as one who failed, so that the search goes on
 * until it has the closest again; and who answers it late has his share. */
#include <assert.h>
#include <string.h>

#include "dht/node_internal.h"

static struct krpc_query query_of(const struct dht_search *s,
				  const struct candidate *c)
{
	const struct gift *g = &s->gift;
	struct krpc_query q = {
		.target = &s->cfg.target,
		.token = span_of(c->token, c->token_len),
	};

	if (!g->has_put) {
		q.method = KRPC_ANNOUNCE_PEER;
		q.port = s->cfg.announce_port;
		q.is_port_implied = s->cfg.is_port_implied;
		q.is_seed = s->cfg.is_seed;
		return q;
	}
	q.method = KRPC_PUT;
	q.value = g->put.value;
	if (g->put.is_mutable) {
		q.key = g->put.key;
		q.sig = g->put.sig;
		q.seq = g->put.seq;
		q.salt = g->put.salt;
		/* BEP 44: not to a node that has nothing yet. */
		q.has_cas = g->has_cas && c->has_item;
		q.cas = g->cas;
	}
	return q;
}

static void refuse(struct dht_search *s, enum dht_family f, uint8_t place)
{
	s->lookup[f].cands[place].store = STORE_REFUSED;
	lookup_on_failed(&s->lookup[f], place);
}

static void give(struct dht_search *s, uint64_t now_us, enum dht_family f,
		 uint8_t place)
{
	struct candidate *c = &s->lookup[f].cands[place];
	struct krpc_query q = query_of(s, c);
	struct flight like = {
		.what = FLIGHT_STORE,
		.search = s,
		.candidate = place,
		.has_id = true,
		.id = c->id,
		.to = c->a,
	};

	if (!node_ask(s->node, now_us, &like, &q)) {
		if (c->n_given == 0)
			refuse(s, f, place);
		return;
	}
	c->store = STORE_GIVEN;
	c->n_given++;
	c->n_waiting++;
	s->outcome.n_asked++;
	s->n_storing++;
}

/* To everybody who should have it and was not given it. */
static void give_to_closest(struct dht_search *s, uint64_t now_us)
{
	uint8_t places[DHT_STORERS_MAX];

	for (int f = 0; f < DHT_FAMILIES; f++) {
		uint32_t n =
			s->has[f] ? lookup_storers(&s->lookup[f], places) : 0;

		for (uint32_t i = 0; i < n; i++)
			if (s->lookup[f].cands[places[i]].store == STORE_NONE)
				give(s, now_us, (enum dht_family)f, places[i]);
	}
}

/* Of a network in which we know somebody. */
static bool is_thin(const struct dht_search *s)
{
	for (int f = 0; f < DHT_FAMILIES; f++) {
		const struct lookup *l = &s->lookup[f];
		uint32_t n_taken = 0;

		if (!s->has[f] || l->n_answered == 0)
			continue;
		for (uint32_t i = 0; i < l->n; i++)
			n_taken += l->cands[l->order[i]].store == STORE_TAKEN;
		if (n_taken < DHT_NODES_TOLD)
			return true;
	}
	return false;
}

/* Two who put at once each reach some of the closest first. Each counts the
 * same eight, so at most one of them has more than half. */
static bool is_outdone(const struct lookup *l)
{
	uint32_t n = 0, n_outdone = 0;

	for (uint32_t i = 0; i < l->n && n < DHT_NODES_TOLD; i++) {
		const struct candidate *c = &l->cands[l->order[i]];

		n += c->is_outdone || c->store == STORE_TAKEN;
		n_outdone += c->is_outdone;
	}
	return n_outdone > 0 && 2 * n_outdone >= n;
}

static void end(struct dht_search *s)
{
	for (int f = 0; f < DHT_FAMILIES; f++)
		s->outcome.is_outdone |= is_outdone(&s->lookup[f]);
	s->outcome.is_thin = is_thin(s);
	search_end(s, s->is_cut ? DHT_END_DEADLINE : DHT_END_DONE);
}

void storing_begin(struct dht_search *s, uint64_t now_us)
{
	struct gift *g = &s->gift;

	s->state = SEARCH_STORING;
	if (s->cfg.on_put) {
		g->has_put = s->cfg.on_put(s->cfg.arg, harvest_best(s), &g->put,
					   &g->has_cas, &g->cas);
		if (s->state == SEARCH_ENDED) /* it was cancelled in there */
			return;
		if (!g->has_put) {
			search_end(s, DHT_END_DONE);
			return;
		}
	}
	storing_advance(s, now_us);
}

void storing_advance(struct dht_search *s, uint64_t now_us)
{
	give_to_closest(s, now_us);
	for (int f = 0; f < DHT_FAMILIES && !s->is_cut; f++)
		if (s->has[f] && !lookup_is_complete(&s->lookup[f]))
			search_poke(s, now_us, (enum dht_family)f);
	if (s->n_storing == 0 && (s->is_cut || search_is_complete(s)))
		end(s);
}

static struct candidate *land(struct dht_search *s, const struct flight *fl)
{
	struct candidate *c =
		&s->lookup[node_family(&fl->to)].cands[fl->candidate];

	assert(s->n_storing > 0 && c->n_waiting > 0);
	s->n_storing--;
	c->n_waiting--;
	return c;
}

void storing_on_answer(struct dht_search *s, uint64_t now_us,
		       const struct flight *fl)
{
	struct candidate *c = land(s, fl);

	s->outcome.n_stored += c->store != STORE_TAKEN ? 1 : 0;
	c->store = STORE_TAKEN;
	storing_advance(s, now_us);
}

/* BEP 44's cas forbids it: the first may have done what it asked for. */
static bool may_give_again(const struct dht_search *s,
			   const struct candidate *c)
{
	return c->store == STORE_GIVEN && c->n_given < DHT_STORE_TRIES &&
	       !s->gift.has_cas;
}

void storing_on_outdone(struct dht_search *s, const struct flight *fl)
{
	s->outcome.n_outdone++;
	s->lookup[node_family(&fl->to)].cands[fl->candidate].is_outdone = true;
}

void storing_on_failed(struct dht_search *s, uint64_t now_us,
		       const struct flight *fl)
{
	struct candidate *c = land(s, fl);

	if (c->store == STORE_GIVEN && c->n_waiting == 0)
		refuse(s, node_family(&fl->to), fl->candidate);
	storing_advance(s, now_us);
}

void storing_on_late(struct dht_search *s, uint64_t now_us,
		     const struct flight *fl)
{
	enum dht_family f = node_family(&fl->to);

	if (may_give_again(s, &s->lookup[f].cands[fl->candidate]))
		give(s, now_us, f, fl->candidate);
}
