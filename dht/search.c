/* search — a search under way: asks, hands on what comes, ends.
 *
 *   ASKING ──(complete; nothing to store)──────────────→ ENDED
 *      │ └───(complete, or its deadline;
 *      │      to be announced, put)──────────→ STORING ──→ ENDED
 *      └─────(deadline, cancel)──────────────────────────→ ENDED
 *
 * Pace. It begins with a wave to the fastest of the closest contacts. From then
 * on an answer lets several queries leave at once (more while nothing was found
 * yet), up to DHT_OUT_NEAR in flight among the closest, and a query that stalls
 * or fails lets as many leave as bring those in flight back to DHT_OUT_URGENT;
 * stalled ones do not count. A background search never has more than
 * DHT_OUT_BACKGROUND in flight.
 *
 * A search that has nobody to ask waits for the first contact (search_on_node)
 * until its deadline: the program may have been started a moment ago.
 *
 * Each callback may cancel the search; so after each its state is looked at. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "core/mem.h"
#include "dht/node_internal.h"

enum { SEEDS = 64 };

/* Somebody waits, and nothing was found yet. */
static bool is_eager(const struct dht_search *s)
{
	return s->cfg.pace == DHT_PACE_URGENT && s->outcome.n_peers == 0 &&
	       !harvest_best(s);
}

/* How many queries may leave now. */
static uint32_t fire_now(const struct dht_search *s, const struct lookup *l,
			 bool is_answer)
{
	uint32_t most = s->cfg.pace == DHT_PACE_URGENT ? DHT_OUT_URGENT
						       : DHT_OUT_BACKGROUND;
	uint32_t room = l->n_out < most ? most - l->n_out : 0;

	if (s->cfg.pace == DHT_PACE_URGENT && is_answer)
		return is_eager(s) ? DHT_FIRE_EAGER : DHT_FIRE;
	return room < DHT_FIRE ? room : DHT_FIRE;
}

/* BEP 32: nodes of the other family are worth their bytes while we know few. */
static uint8_t want(const struct dht_node *n, enum dht_family f)
{
	enum dht_family other = f == DHT_IPV4 ? DHT_IPV6 : DHT_IPV4;

	if (!n->half[other].is_on || n->half[other].routing.table.n >= DHT_FEW)
		return 0;
	return KRPC_WANT4 | KRPC_WANT6;
}

static enum krpc_method method_of(enum dht_ask ask)
{
	switch (ask) {
	case DHT_ASK_NODES:
		return KRPC_FIND_NODE;
	case DHT_ASK_PEERS:
		return KRPC_GET_PEERS;
	case DHT_ASK_ITEM:
		return KRPC_GET;
	case DHT_ASK_SAMPLES:
		return KRPC_SAMPLE_INFOHASHES;
	}
	return KRPC_UNKNOWN;
}

static void ask(struct dht_search *s, uint64_t now_us, enum dht_family f,
		int place)
{
	struct lookup *l = &s->lookup[f];
	const struct candidate *c = &l->cands[place];
	struct flight like = {
		.what = FLIGHT_SEARCH,
		.search = s,
		.candidate = (uint8_t)place,
		.has_id = c->has_id,
		.id = c->id,
		.to = c->a,
	};
	struct krpc_query q = {
		.method = method_of(s->cfg.ask),
		.target = &s->cfg.target,
		.want = want(s->node, f),
		.is_scrape = s->cfg.is_scrape,
		.has_seq = s->cfg.has_seq_known,
		.seq = s->cfg.seq_known,
	};

	lookup_on_asked(l, place);
	if (node_ask(s->node, now_us, &like, &q))
		s->outcome.n_asked++;
	else
		lookup_on_failed(l, place);
}

static void pump(struct dht_search *s, uint64_t now_us, enum dht_family f,
		 uint32_t fire)
{
	int place;

	while (fire-- > 0 && (place = lookup_next(&s->lookup[f])) >= 0)
		ask(s, now_us, f, place);
}

static bool is_storing(const struct dht_search *s)
{
	return s->cfg.announce_port != 0 || s->cfg.is_port_implied ||
	       s->cfg.on_put;
}

bool search_is_complete(const struct dht_search *s)
{
	for (int f = 0; f < DHT_FAMILIES; f++)
		if (s->has[f] && !lookup_is_complete(&s->lookup[f]) &&
		    !lookup_is_starved(&s->lookup[f]))
			return false;
	return s->outcome.n_answered > 0;
}

/* Something changed: ask on, or end. */
static void advance(struct dht_search *s, uint64_t now_us, enum dht_family f,
		    bool is_answer)
{
	if (s->state == SEARCH_STORING)
		storing_advance(s, now_us);
	if (s->state != SEARCH_ASKING)
		return;
	pump(s, now_us, f, fire_now(s, &s->lookup[f], is_answer));
	if (s->is_own && s->outcome.n_answered == 0 &&
	    lookup_is_starved(&s->lookup[f]))
		search_end(s, DHT_END_NOBODY); /* upkeep begins again */
	if (!search_is_complete(s))
		return;
	if (is_storing(s))
		storing_begin(s, now_us);
	else
		search_end(s, DHT_END_DONE);
}

/* ---- the beginning ---- */

static void seed(struct dht_search *s, uint64_t now_us, enum dht_family f)
{
	struct dht_node *n = s->node;
	struct routing *r = &n->half[f].routing;
	uint16_t tick = node_tick(n, now_us);
	struct contact *found[SEEDS];
	uint32_t n_found = routing_any(r, &s->cfg.target, tick, found, SEEDS);

	for (uint32_t i = 0; i < n_found; i++) {
		const struct contact *c = found[i];
		struct addr a = contact_addr(&r->table, c);
		struct candidate *cand;

		if (!(c->flags & CONTACT_VERIFIED) &&
		    hostset_has(&n->dead, node_host_hash(n, &a), tick,
				DHT_DEAD_S))
			continue;
		cand = lookup_add(&s->lookup[f], &c->id, &a, NULL);
		if (!cand)
			continue;
		cand->srtt = c->srtt;
		cand->rttvar = c->rttvar;
	}
}

static void begin_in(struct dht_search *s, uint64_t now_us, enum dht_family f)
{
	uint32_t most =
		s->cfg.pace == DHT_PACE_URGENT ? DHT_WAVE : DHT_OUT_BACKGROUND;
	uint64_t usual = rttmodel_percent_us(&s->node->rtt, DHT_STALL_URGENT) /
			 CONTACT_RTT_UNIT_US;
	uint8_t places[DHT_WAVE];
	uint32_t n;

	seed(s, now_us, f);
	n = lookup_wave(&s->lookup[f], places, most,
			usual < UINT16_MAX ? (uint16_t)usual : UINT16_MAX);
	for (uint32_t i = 0; i < n; i++)
		ask(s, now_us, f, places[i]);
}

int search_new(struct dht_node *n, uint64_t now_us,
	       const struct dht_search_cfg *cfg, const bool has[DHT_FAMILIES],
	       struct dht_search **out)
{
	uint64_t wait_us = cfg->deadline_us;
	struct dht_search *s = mem_new(struct dht_search);

	if (!s)
		return ENOMEM;
	assert(cfg->salt.len <= DHT_SALT_MAX);
	s->node = n;
	s->cfg = *cfg;
	if (cfg->key) {
		memcpy(s->key, cfg->key, sizeof(s->key));
		s->cfg.key = s->key;
	}
	if (cfg->salt.len > 0)
		memcpy(s->salt, cfg->salt.ptr, cfg->salt.len);
	s->cfg.salt.ptr = s->salt;
	if (wait_us == 0)
		wait_us = DHT_SEARCH_DEADLINE_US;
	if (wait_us > DHT_SEARCH_DEADLINE_MAX_US)
		wait_us = DHT_SEARCH_DEADLINE_MAX_US;
	s->deadline_us = now_us + wait_us;
	if (s->deadline_us < n->search_us)
		n->search_us = s->deadline_us;
	for (int f = 0; f < DHT_FAMILIES; f++) {
		s->has[f] = has[f];
		lookup_init(&s->lookup[f], &s->cfg.target);
	}
	TAILQ_INSERT_TAIL(&n->searches, s, link);
	*out = s;
	return 0;
}

void search_begin(struct dht_search *s, uint64_t now_us)
{
	for (int f = 0; f < DHT_FAMILIES; f++)
		if (s->has[f])
			begin_in(s, now_us, (enum dht_family)f);
}

void search_poke(struct dht_search *s, uint64_t now_us, enum dht_family f)
{
	pump(s, now_us, f, fire_now(s, &s->lookup[f], false));
}

int dht_search_start(struct dht_node *n, uint64_t now_us,
		     const struct dht_search_cfg *cfg, struct dht_search **out)
{
	struct dht_search *s;
	int r;

	if (n->n_searches >= DHT_SEARCHES_MAX)
		return EAGAIN;
	r = search_new(n, now_us, cfg, n->cfg.has, &s);
	if (r != 0)
		return r;
	n->n_searches++;
	search_begin(s, now_us);
	if (out)
		*out = s;
	return 0;
}

/* ---- the end ---- */

void search_free(struct dht_search *s)
{
	TAILQ_REMOVE(&s->node->searches, s, link);
	flights_forget(&s->node->flights, s);
	for (int f = 0; f < DHT_FAMILIES; f++)
		lookup_fini(&s->lookup[f]);
	harvest_fini(s);
	mem_free(s);
}

/* No callback from here on. */
static void retire(struct dht_search *s)
{
	struct dht_node *n = s->node;

	s->state = SEARCH_ENDED;
	flights_forget(&n->flights, s);
	n->has_ended = true;
	n->n_searches -= s->is_own ? 0 : 1;
	for (int f = 0; f < DHT_FAMILIES; f++)
		if (n->half[f].self_search == s) {
			n->half[f].self_search = NULL;
			n->upkeep_us = 0; /* at once */
		}
}

void search_end(struct dht_search *s, enum dht_end why)
{
	if (s->state == SEARCH_ENDED)
		return;
	assert(s->node->depth > 0);
	retire(s);
	s->outcome.why = why;
	harvest_count(s);
	if (s->cfg.on_end)
		s->cfg.on_end(s->cfg.arg, &s->outcome);
}

void dht_search_cancel(struct dht_search *s)
{
	bool is_inside = s->node->depth > 0;

	if (s->state != SEARCH_ENDED)
		retire(s);
	if (!is_inside)
		search_free(s);
}

/* It has taken its time: what was found so far is what there is. */
static void cut(struct dht_search *s, uint64_t now_us)
{
	if (s->outcome.n_answered == 0) {
		search_end(s, DHT_END_NOBODY);
	} else if (s->state == SEARCH_ASKING && is_storing(s)) {
		s->is_cut = true;
		s->deadline_us = now_us + 2 * DHT_EXPIRE_US;
		storing_begin(s, now_us);
	} else {
		search_end(s, DHT_END_DEADLINE);
	}
}

void search_wake(struct dht_node *n, uint64_t now_us)
{
	struct dht_search *s, *next;

	if (n->search_us > now_us)
		return;
	n->search_us = UINT64_MAX;
	TAILQ_FOREACH_SAFE (s, &n->searches, link, next) {
		if (s->state == SEARCH_ENDED)
			continue;
		if (s->deadline_us <= now_us)
			cut(s, now_us);
		if (s->state != SEARCH_ENDED && s->deadline_us < n->search_us)
			n->search_us = s->deadline_us;
	}
}

/* ---- what comes ---- */

void search_on_answer(struct dht_search *s, uint64_t now_us,
		      const struct flight *fl, const struct krpc_msg *m)
{
	enum dht_family f = node_family(&fl->to);

	if (s->state == SEARCH_ENDED)
		return;
	if (fl->what == FLIGHT_STORE) {
		storing_on_answer(s, now_us, fl);
		return;
	}
	s->outcome.n_answered++;
	lookup_on_answer(&s->lookup[f], fl->candidate, m->args.id);
	if (is_storing(s) && m->args.token.ptr)
		lookup_set_token(&s->lookup[f], fl->candidate, m->args.token);
	upkeep_hear_nodes(s->node, now_us, s, &fl->to, &m->args);
	/* The next queries leave before anybody looks at what came. */
	if (s->state == SEARCH_ASKING)
		pump(s, now_us, f, fire_now(s, &s->lookup[f], true));
	if (!harvest_take(s, fl, &m->args))
		lookup_on_failed(&s->lookup[f], fl->candidate);
	advance(s, now_us, f, false);
}

void search_on_failed(struct dht_search *s, uint64_t now_us,
		      const struct flight *fl)
{
	enum dht_family f = node_family(&fl->to);

	if (s->state == SEARCH_ENDED)
		return;
	if (fl->what == FLIGHT_STORE) {
		storing_on_failed(s, now_us, fl);
		return;
	}
	lookup_on_failed(&s->lookup[f], fl->candidate);
	advance(s, now_us, f, false);
}

void search_on_stall(struct dht_search *s, uint64_t now_us,
		     const struct flight *fl, bool is_late)
{
	enum dht_family f = node_family(&fl->to);

	if (s->state == SEARCH_ENDED)
		return;
	if (fl->what == FLIGHT_STORE) {
		if (is_late)
			storing_on_late(s, now_us, fl);
		return;
	}
	if (is_late)
		lookup_on_late(&s->lookup[f], fl->candidate);
	else
		lookup_on_stall(&s->lookup[f], fl->candidate);
	advance(s, now_us, f, false);
}

void search_on_node(struct dht_node *n, uint64_t now_us,
		    const struct dht_id *id, const struct addr *a)
{
	enum dht_family f = node_family(a);
	struct dht_search *s, *next;

	TAILQ_FOREACH_SAFE (s, &n->searches, link, next) {
		if (s->state != SEARCH_ASKING || !s->has[f] ||
		    !lookup_is_starved(&s->lookup[f]))
			continue;
		if (lookup_add(&s->lookup[f], id, a, NULL))
			pump(s, now_us, f, 1);
	}
}
