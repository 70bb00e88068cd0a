/* node — what comes in is told apart, what goes out is counted.
 *
 * A datagram in: decoded; a query goes to answer.c; an answer must match a
 * query in flight by transaction and address, then the table learns of it, and
 * whoever asked (search.c) gets it.
 *
 * Re-entrance: callbacks run only while `depth` is not 0, which receive and
 * wake hold; searches that end meanwhile are freed when it is 0 again.
 *
 * A query in flight is due three times: when it stalls, when it is late, when
 * it has expired (lookup.h says what that means). Of upkeep's only the last
 * counts. */
#include "dht/node_internal.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "core/mem.h"

enum { ONLINE_US = 60000000 };

/* ---- small things ---- */

uint64_t node_random(struct dht_node *n)
{
	n->n_random++;
	return siphash(&n->key, &n->n_random, sizeof(n->n_random));
}

void node_random_id(struct dht_node *n, struct dht_id *out)
{
	for (size_t i = 0; i < DHT_ID_BYTES; i += 4)
		be32_put(out->b + i, (uint32_t)node_random(n));
}

uint16_t node_tick(const struct dht_node *n, uint64_t now_us)
{
	return (uint16_t)((now_us - n->born_us) / 1000000 / CONTACT_TICK_S);
}

enum dht_family node_family(const struct addr *a)
{
	return a->sa.sa_family == AF_INET6 ? DHT_IPV6 : DHT_IPV4;
}

uint64_t node_host_hash(const struct dht_node *n, const struct addr *a)
{
	uint8_t key[ADDR_KEY_BYTES];

	addr_key(a, key);
	return siphash(&n->key, key, sizeof(key));
}

bool node_is_online(const struct dht_node *n, uint64_t now_us)
{
	return n->last_answer_us != 0 && now_us - n->last_answer_us < ONLINE_US;
}

bool node_can_be(const struct dht_node *n, const struct addr *a,
		 const struct addr *from)
{
	const struct half *h = &n->half[node_family(a)];

	return h->is_on && addr_can_dial(a) &&
	       (!from || !addr_is_local(a) || addr_is_local(from)) &&
	       !(h->has_external && addr_eq(a, &h->external));
}

/* ---- life ---- */

static void init_half(struct dht_node *n, enum dht_family f)
{
	const struct dht_cfg *cfg = &n->cfg;
	struct half *h = &n->half[f];
	uint16_t widest = cfg->widest_bucket;
	struct dht_id id, random;

	if (widest == 0)
		widest = DHT_BUCKET_WIDEST;
	if (widest > DHT_BUCKET_WIDEST_MAX)
		widest = DHT_BUCKET_WIDEST_MAX;
	h->is_on = cfg->has[f];
	node_random_id(n, &id);
	if (cfg->external[f]) {
		h->has_external = true;
		h->external = *cfg->external[f];
		random = id;
		nodeid_for(&id, &h->external, random.b);
	}
	if (cfg->id[f]) {
		h->is_id_fixed = true;
		id = *cfg->id[f];
	}
	routing_init(&h->routing, f == DHT_IPV6, &id, widest);
}

static void init_stores(struct dht_node *n)
{
	struct siphash_key key = {node_random(n), node_random(n)};
	bool has_limit = !n->cfg.is_unlimited;

	n->secret = (struct siphash_key){node_random(n), node_random(n)};
	rng_seed(&n->rng, node_random(n));
	peerstore_init(&n->peers, n->cfg.stored_hashes_max);
	items_init(&n->items, n->cfg.stored_items_max);
	sampler_init(&n->sampler);
	flood_init(&n->flood, &key, has_limit ? DHT_ASKS_BURST : 0,
		   has_limit ? DHT_ASKS_PER_S : 0);
	n->stored_us = UINT64_MAX;
}

int dht_node_new(const struct dht_cfg *cfg, uint64_t now_us,
		 struct dht_node **out)
{
	struct dht_node *n;

	if (!cfg->send || !cfg->hasher ||
	    (!cfg->has[DHT_IPV4] && !cfg->has[DHT_IPV6]))
		return EINVAL;
	n = mem_new(struct dht_node);
	if (!n)
		return ENOMEM;
	n->cfg = *cfg;
	n->key.k0 = be64_get(cfg->seed);
	n->key.k1 = be64_get(cfg->seed + 8);
	n->born_us = now_us;
	TAILQ_INIT(&n->searches);
	n->search_us = UINT64_MAX;
	flights_init(&n->flights);
	rttmodel_init(&n->rtt);
	hostset_init(&n->dead, DHT_DEAD_MAX);
	hostset_init(&n->proven, DHT_PROVEN_MAX);
	init_stores(n);
	for (int f = 0; f < DHT_FAMILIES; f++)
		init_half(n, (enum dht_family)f);
	upkeep_init(n, now_us);
	*out = n;
	return 0;
}

void dht_node_free(struct dht_node *n)
{
	struct dht_search *s, *next;

	if (!n)
		return;
	assert(n->depth == 0);
	TAILQ_FOREACH_SAFE (s, &n->searches, link, next)
		search_free(s);
	for (int f = 0; f < DHT_FAMILIES; f++) {
		routing_fini(&n->half[f].routing);
		mem_free(n->half[f].endpoints);
	}
	flights_fini(&n->flights);
	hostset_fini(&n->dead);
	hostset_fini(&n->proven);
	peerstore_fini(&n->peers);
	items_fini(&n->items);
	sampler_fini(&n->sampler);
	flood_fini(&n->flood);
	mem_free(n);
}

void dht_node_set_read_only(struct dht_node *n, bool is_read_only)
{
	n->cfg.is_read_only = is_read_only;
}

/* Callbacks may run from here on; until leave. */
static void enter(struct dht_node *n, uint64_t now_us)
{
	assert(n->depth == 0);
	n->depth++;
	n->seen_tick = node_tick(n, now_us);
}

static void leave(struct dht_node *n)
{
	struct dht_search *s, *next;

	n->depth--;
	if (!n->has_ended)
		return;
	n->has_ended = false;
	TAILQ_FOREACH_SAFE (s, &n->searches, link, next)
		if (s->state == SEARCH_ENDED)
			search_free(s);
}

/* ---- out ---- */

void node_send(struct dht_node *n, const struct addr *to, const void *bytes,
	       size_t len)
{
	n->out_datagrams++;
	n->out_bytes += len;
	n->cfg.send(n->cfg.arg, to, bytes, len);
}

static uint64_t clamp_stall(uint64_t us)
{
	if (us < DHT_STALL_MIN_US)
		return DHT_STALL_MIN_US;
	return us < DHT_STALL_MAX_US ? us : DHT_STALL_MAX_US;
}

/* How long this one is waited for before another is asked in its place. */
static uint64_t stall_us(const struct dht_node *n, const struct flight *fl)
{
	const struct dht_search *s = fl->search;
	const struct candidate *c;

	if (fl->what == FLIGHT_TABLE || !s)
		return DHT_EXPIRE_US;
	c = &s->lookup[node_family(&fl->to)].cands[fl->candidate];
	if (c->srtt > 0 && s->cfg.pace == DHT_PACE_URGENT)
		return clamp_stall((c->srtt + UINT64_C(2) * c->rttvar) *
				   CONTACT_RTT_UNIT_US);
	return clamp_stall(
		rttmodel_percent_us(&n->rtt, s->cfg.pace == DHT_PACE_URGENT
						     ? DHT_STALL_URGENT
						     : DHT_STALL_BACKGROUND));
}

struct flight *node_ask(struct dht_node *n, uint64_t now_us,
			const struct flight *like, struct krpc_query *q)
{
	enum dht_family family = node_family(&like->to);
	uint8_t bytes[DHT_DATAGRAM_MAX];
	struct flight timed = *like;
	struct flight *fl;
	size_t len;

	timed.sent_us = now_us;
	timed.due_us = now_us + stall_us(n, like);
	fl = flights_add(&n->flights, &timed, (uint32_t)node_random(n));
	if (!fl)
		return NULL;
	q->tid = fl->tid;
	q->is_read_only = n->cfg.is_read_only;
	q->self = &n->half[family].routing.self;
	len = krpc_encode_query(bytes, sizeof(bytes), q);
	if (len == 0) {
		flights_del(&n->flights, fl);
		return NULL;
	}
	n->out_queries++;
	node_send(n, &fl->to, bytes, len);
	return fl;
}

/* ---- in ---- */

/* An answer to `fl` (which is a copy), in time or not. */
static void take_answer(struct dht_node *n, uint64_t now_us,
			const struct flight *fl, const struct krpc_msg *m)
{
	struct routing *r = &n->half[node_family(&fl->to)].routing;
	const struct dht_id *id = m->args.id;
	uint64_t rtt_us = now_us - fl->sent_us;
	uint16_t tick = node_tick(n, now_us);
	bool is_liar = !id || nodeid_eq(id, &r->self) ||
		       (fl->has_id && !nodeid_eq(id, &fl->id));

	n->last_answer_us = now_us;
	rttmodel_add(&n->rtt, rtt_us);
	hostset_add(&n->proven, node_host_hash(n, &fl->to), tick);
	hostset_del(&n->dead, node_host_hash(n, &fl->to));
	upkeep_on_voice(n, now_us, &fl->to, m->ip);
	if (is_liar && fl->has_id)
		routing_on_silence(r, &fl->id, &fl->to, tick);
	if (id && !nodeid_eq(id, &r->self) && !m->is_read_only &&
	    routing_on_answer(r, id, &fl->to, rtt_us, tick))
		search_on_node(n, now_us, id, &fl->to);
	if (fl->search && is_liar)
		search_on_failed(fl->search, now_us, fl);
	else if (fl->search)
		search_on_answer(fl->search, now_us, fl, m);
	else
		upkeep_hear_nodes(n, now_us, NULL, &fl->to, &m->args);
}

/* The address lives, but does not do what we asked. */
static void take_error(struct dht_node *n, uint64_t now_us,
		       const struct flight *fl, const struct krpc_msg *m)
{
	struct contact *c = NULL;

	n->last_answer_us = now_us;
	upkeep_on_voice(n, now_us, &fl->to, m->ip);
	if (fl->has_id)
		c = routing_find(&n->half[node_family(&fl->to)].routing,
				 &fl->id, &fl->to);
	if (c)
		routing_forgo(&n->half[node_family(&fl->to)].routing, c);
	if (fl->search && fl->what == FLIGHT_STORE &&
	    (m->code == KRPC_ERR_CAS || m->code == KRPC_ERR_OLD))
		storing_on_outdone(fl->search, fl);
	if (fl->search)
		search_on_failed(fl->search, now_us, fl);
}

static void take_reply(struct dht_node *n, uint64_t now_us,
		       const struct addr *from, const struct krpc_msg *m)
{
	struct flight *fl = NULL;
	struct flight copy;
	uint32_t tid;

	if (krpc_tid(m->tid, &tid))
		fl = flights_match(&n->flights, tid, from);
	if (!fl) {
		n->dropped[DHT_DROP_UNASKED]++;
		return;
	}
	copy = *fl;
	flights_del(&n->flights, fl);
	if (m->kind == KRPC_ERROR) {
		n->in_errors++;
		take_error(n, now_us, &copy, m);
	} else {
		n->in_answers++;
		take_answer(n, now_us, &copy, m);
	}
}

bool dht_node_receive(struct dht_node *n, uint64_t now_us,
		      const struct addr *from, const void *bytes, size_t len)
{
	struct krpc_msg m;

	if (len == 0 || *(const uint8_t *)bytes != 'd')
		return false;
	n->in_datagrams++;
	n->in_bytes += len;
	if (!addr_can_dial(from) || !n->half[node_family(from)].is_on) {
		n->dropped[DHT_DROP_SOURCE]++;
		return true;
	}
	if (krpc_decode(&m, bytes, len) != 0) {
		n->dropped[DHT_DROP_MALFORMED]++;
		return true;
	}
	enter(n, now_us);
	if (m.kind == KRPC_QUERY) {
		n->in_queries++;
		answer_query(n, now_us, from, &m, len);
	} else {
		take_reply(n, now_us, from, &m);
	}
	leave(n);
	return true;
}

/* ---- time ---- */

static void expire(struct dht_node *n, uint64_t now_us, struct flight *fl)
{
	struct routing *r = &n->half[node_family(&fl->to)].routing;
	struct flight copy = *fl;
	uint16_t tick = node_tick(n, now_us);

	flights_del(&n->flights, fl);
	n->timeouts++;
	if (node_is_online(n, now_us)) {
		hostset_add(&n->dead, node_host_hash(n, &copy.to), tick);
		if (copy.has_id)
			routing_on_silence(r, &copy.id, &copy.to, tick);
	} else if (copy.has_id) {
		routing_on_outage(r, &copy.id, &copy.to);
	}
	if (copy.search)
		search_on_failed(copy.search, now_us, &copy);
}

/* A query became due. */
static void on_due(struct dht_node *n, uint64_t now_us, struct flight *fl)
{
	uint64_t age_us = now_us - fl->sent_us;
	uint64_t late_us =
		clamp_stall(rttmodel_percent_us(&n->rtt, DHT_STALL_LATE));
	struct flight copy;

	if (age_us >= DHT_EXPIRE_US) {
		expire(n, now_us, fl);
		return;
	}
	if (!fl->is_stalled && late_us > age_us) {
		fl->is_stalled = true;
		flights_set_due(&n->flights, fl, fl->sent_us + late_us);
		copy = *fl;
		if (copy.search)
			search_on_stall(copy.search, now_us, &copy, false);
		return;
	}
	flights_set_due(&n->flights, fl, fl->sent_us + DHT_EXPIRE_US);
	copy = *fl;
	if (copy.search)
		search_on_stall(copy.search, now_us, &copy, true);
}

void dht_node_wake(struct dht_node *n, uint64_t now_us)
{
	struct flight *fl;

	enter(n, now_us);
	while ((fl = flights_due(&n->flights, now_us)) != NULL)
		on_due(n, now_us, fl);
	search_wake(n, now_us);
	upkeep_wake(n, now_us);
	leave(n);
}

uint64_t dht_node_next_us(const struct dht_node *n)
{
	uint64_t next = n->flights.next_us;

	if (n->search_us < next)
		next = n->search_us;
	if (n->stored_us < next)
		next = n->stored_us;
	return n->upkeep_us < next ? n->upkeep_us : next;
}

void dht_node_network_changed(struct dht_node *n, uint64_t now_us)
{
	n->seen_tick = node_tick(n, now_us);
	hostset_clear(&n->dead);
	for (int f = 0; f < DHT_FAMILIES; f++) {
		votes_clear(&n->half[f].votes);
		routing_doubt(&n->half[f].routing, n->seen_tick);
		n->half[f].lonely_us = now_us;
		n->half[f].lonely_step_us = 0;
	}
	n->last_answer_us = 0;
	upkeep_soon(n, now_us);
}
