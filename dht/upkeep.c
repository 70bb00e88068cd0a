/* upkeep — what a node does of itself: keeps its table alive, finds the network
 * again when it is alone, learns its address.
 *
 * One message at a time, within a budget: a find_node to the contact that has
 * been silent longest, for a random id in its bucket. It asks whether he lives,
 * and brings others for the same bucket. The closest are asked more often, and
 * for our own id: they are whom others find beside us.
 *
 * Whoever knows few others looks for his own id, from whatever he has; again
 * and again, each time later, while that brings nothing. */
#include <string.h>

#include "core/mem.h"
#include "dht/node_internal.h"

enum {
	STEP_US = 1000000, /* between two queries */
	BUDGET_BURST_US = 20000000,
	LONELY_FIRST_US = 2000000,
	LONELY_MAX_US = 60000000,
	LET_LIE_US = 60000000, /* before it is looked at for age */
	REST_MAX_S = 300,      /* nothing to do: look again, at the latest */
};

void upkeep_init(struct dht_node *n, uint64_t now_us)
{
	n->upkeep_us = now_us + STEP_US;
}

void upkeep_soon(struct dht_node *n, uint64_t now_us)
{
	if (n->upkeep_us > now_us + STEP_US)
		n->upkeep_us = now_us + STEP_US;
}

bool upkeep_can_ask(const struct dht_node *n, uint64_t now_us)
{
	return n->upkeep_credit_us <= now_us;
}

/* A generic cell rate: each query pays for its minute's share of time. */
static bool pay(struct dht_node *n, uint64_t now_us)
{
	const uint64_t price_us = 60000000 / DHT_UPKEEP_PER_MIN;

	if (n->upkeep_credit_us + BUDGET_BURST_US < now_us)
		n->upkeep_credit_us = now_us - BUDGET_BURST_US;
	if (!upkeep_can_ask(n, now_us))
		return false;
	n->upkeep_credit_us += price_us;
	return true;
}

static bool ask_for(struct dht_node *n, uint64_t now_us,
		    const struct dht_id *id, const struct addr *a,
		    const struct dht_id *target)
{
	struct flight like = {.what = FLIGHT_TABLE, .to = *a};
	struct krpc_query q = {.method = KRPC_FIND_NODE, .target = target};

	if (id) {
		like.has_id = true;
		like.id = *id;
	}
	return node_ask(n, now_us, &like, &q) != NULL;
}

bool upkeep_ask(struct dht_node *n, uint64_t now_us, const struct dht_id *id,
		const struct addr *a)
{
	return pay(n, now_us) &&
	       ask_for(n, now_us, id, a, &n->half[node_family(a)].routing.self);
}

/* ---- looking for the network ---- */

void upkeep_look_around(struct dht_node *n, uint64_t now_us, enum dht_family f)
{
	struct half *h = &n->half[f];
	struct dht_search_cfg cfg = {
		.ask = DHT_ASK_NODES,
		.pace = DHT_PACE_URGENT,
		.target = h->routing.self,
	};
	bool has[DHT_FAMILIES] = {false};
	struct dht_search *s = h->self_search;

	has[f] = true;
	if (!s && search_new(n, now_us, &cfg, has, &s) != 0)
		return;
	for (uint32_t i = 0; i < h->n_endpoints; i++)
		(void)lookup_add(&s->lookup[f], NULL, &h->endpoints[i], NULL);
	if (h->self_search) {
		search_poke(s, now_us, f);
		return;
	}
	h->self_search = s;
	s->is_own = true;
	search_begin(s, now_us);
}

/* Remember an endpoint, in the place of the oldest if need be. */
static void keep_endpoint(struct half *h, const struct addr *a)
{
	struct addr *grown;

	for (uint32_t i = 0; i < h->n_endpoints; i++)
		if (addr_eq(&h->endpoints[i], a))
			return;
	if (h->n_endpoints == DHT_ENDPOINTS_MAX) {
		memmove(h->endpoints, h->endpoints + 1,
			(DHT_ENDPOINTS_MAX - 1) * sizeof(*a));
		h->endpoints[DHT_ENDPOINTS_MAX - 1] = *a;
		return;
	}
	grown = mem_grow(h->endpoints, h->n_endpoints + 1u, sizeof(*grown));
	if (!grown)
		return;
	h->endpoints = grown;
	h->endpoints[h->n_endpoints++] = *a;
}

/* When to come again: UINT64_MAX while there is enough company. */
static uint64_t visit_lonely(struct dht_node *n, uint64_t now_us,
			     enum dht_family f)
{
	struct half *h = &n->half[f];
	uint16_t tick = node_tick(n, now_us);

	if (h->self_search) /* its end wakes us */
		return UINT64_MAX;
	if (routing_has_good(&h->routing, tick, DHT_FEW)) {
		h->lonely_step_us = 0;
		return UINT64_MAX;
	}
	if (now_us < h->lonely_us)
		return h->lonely_us;
	h->lonely_step_us =
		h->lonely_step_us > 0 ? h->lonely_step_us * 2 : LONELY_FIRST_US;
	if (h->lonely_step_us > LONELY_MAX_US)
		h->lonely_step_us = LONELY_MAX_US;
	h->lonely_us = now_us + h->lonely_step_us;
	if (h->routing.table.n + h->routing.spare.n + h->n_endpoints > 0)
		upkeep_look_around(n, now_us, f);
	return h->lonely_us;
}

void dht_node_endpoint(struct dht_node *n, uint64_t now_us,
		       const struct addr *a)
{
	enum dht_family f = node_family(a);

	if (!node_can_be(n, a, NULL))
		return;
	keep_endpoint(&n->half[f], a);
	if (!routing_has_good(&n->half[f].routing, node_tick(n, now_us),
			      DHT_FEW))
		upkeep_look_around(n, now_us, f);
	else if (!shelf_find_addr(&n->half[f].routing.table, a))
		(void)upkeep_ask(n, now_us, NULL, a);
}

/* ---- what others store ---- */

void upkeep_on_stored(struct dht_node *n, uint64_t now_us)
{
	uint64_t due_us = now_us + LET_LIE_US;

	if (due_us < n->stored_us)
		n->stored_us = due_us;
}

static void visit_stores(struct dht_node *n, uint64_t now_us)
{
	uint64_t peers_us, items_us;

	if (n->stored_us > now_us)
		return;
	peers_us = peerstore_expire(&n->peers, now_us);
	items_us = items_expire(&n->items, now_us);
	n->stored_us = peers_us < items_us ? peers_us : items_us;
	if (n->stored_us < now_us + STEP_US)
		n->stored_us = now_us + STEP_US;
}

/* ---- the table ---- */

/* Seconds until there is something to do for this half; 0: did something. */
static uint32_t visit_table(struct dht_node *n, uint64_t now_us,
			    enum dht_family f)
{
	struct routing *r = &n->half[f].routing;
	uint16_t tick = node_tick(n, now_us);
	uint32_t wait_s = REST_MAX_S;
	struct dht_id target, random;
	struct contact *c;
	struct addr a;
	int common;

	c = routing_stalest(r, tick, &wait_s);
	if (!c)
		return wait_s;
	if (!pay(n, now_us)) {
		routing_forgo(r, c);
		return 1;
	}
	common = nodeid_common(&r->self, &c->id);
	node_random_id(n, &random);
	if (common >= routing_near(r))
		target = r->self;
	else
		nodeid_within(&target, &r->self, common, random.b);
	a = contact_addr(&r->table, c);
	if (!ask_for(n, now_us, &c->id, &a, &target))
		routing_forgo(r, c);
	return 0;
}

void upkeep_wake(struct dht_node *n, uint64_t now_us)
{
	uint64_t next_us = now_us + REST_MAX_S * UINT64_C(1000000);

	visit_stores(n, now_us);
	if (n->upkeep_us > now_us)
		return;
	for (int i = 0; i < DHT_FAMILIES; i++) {
		enum dht_family f = (enum dht_family)i;
		uint64_t due_us;

		if (!n->half[f].is_on)
			continue;
		due_us = visit_lonely(n, now_us, f);
		next_us = due_us < next_us ? due_us : next_us;
		due_us = now_us + visit_table(n, now_us, f) * UINT64_C(1000000);
		if (due_us < now_us + STEP_US)
			due_us = now_us + STEP_US;
		next_us = due_us < next_us ? due_us : next_us;
	}
	/* Nodes that were started together drift apart. */
	n->upkeep_us = next_us + node_random(n) % (STEP_US / 2);
}

/* ---- what is heard ---- */

static void hear_list(struct dht_node *n, uint64_t now_us, struct dht_search *s,
		      const struct addr *from, struct span nodes, bool is_6)
{
	uint16_t tick = node_tick(n, now_us);
	enum dht_family f = is_6 ? DHT_IPV6 : DHT_IPV4;
	const struct dht_id *id;
	uint32_t most = DHT_NODES_HEARD_MAX;
	bool is_asking = s && s->state == SEARCH_ASKING && s->has[f];
	struct addr a;
	size_t at = 0;

	while (most-- > 0 && krpc_next_node(nodes, is_6, &at, &id, &a)) {
		bool has_room = routing_has_room(&n->half[f].routing, id);

		/* Most that is heard is known, or has no room: the cheapest
		 * question first. */
		if ((!has_room && !is_asking) || node_family(&a) != f ||
		    !node_can_be(n, &a, from) ||
		    nodeid_eq(id, &n->half[f].routing.self) ||
		    hostset_has(&n->dead, node_host_hash(n, &a), tick,
				DHT_DEAD_S))
			continue;
		if (is_asking)
			(void)lookup_add(&s->lookup[f], id, &a, from);
		if (has_room)
			routing_hear(&n->half[f].routing, id, &a, tick);
	}
}

void upkeep_hear_nodes(struct dht_node *n, uint64_t now_us,
		       struct dht_search *s, const struct addr *from,
		       const struct krpc_args *args)
{
	hear_list(n, now_us, s, from, args->nodes, false);
	hear_list(n, now_us, s, from, args->nodes6, true);
	upkeep_soon(n, now_us);
}

void upkeep_on_voice(struct dht_node *n, uint64_t now_us,
		     const struct addr *from, struct span ip)
{
	struct half *h = &n->half[node_family(from)];
	struct dht_id id, random;
	struct addr says;

	if (!ip.ptr || addr_from_compact(&says, ip.ptr, ip.len) != 0 ||
	    node_family(&says) != node_family(from) || !addr_can_dial(&says) ||
	    (addr_is_local(&says) && !addr_is_local(from)) ||
	    !votes_add(&h->votes, from, &says))
		return;
	h->has_external = true;
	h->external = says;
	if (h->is_id_fixed || nodeid_fits(&h->routing.self, &says))
		return;
	node_random_id(n, &random);
	nodeid_for(&id, &says, random.b);
	routing_set_self(&h->routing, &id);
	if (h->self_search) /* for who we were */
		dht_search_cancel(h->self_search);
	upkeep_look_around(n, now_us, node_family(from));
}
