/* status — what can be seen of a node from outside. */
#include <assert.h>
#include <string.h>

#include "dht/node_internal.h"

/* How many nodes there may be: as far apart as the closest eight lie. */
static uint64_t network_about(const struct routing *r)
{
	struct contact *closest[DHT_NODES_TOLD];
	uint32_t n = shelf_closest(&r->table, &r->self, NULL, 0, closest,
				   DHT_NODES_TOLD);
	uint64_t away;

	if (n < DHT_NODES_TOLD)
		return n;
	away = nodeid_head(&closest[n - 1]->id) ^ nodeid_head(&r->self);
	if (away == 0)
		return 0;
	return (uint64_t)((double)n * 0x1p64 / (double)away);
}

static void family_stats(const struct dht_node *n, enum dht_family f,
			 struct dht_family_stats *out)
{
	const struct half *h = &n->half[f];
	const struct routing *r = &h->routing;
	int deepest = routing_deepest(r);

	if (!h->is_on)
		return;
	out->id = r->self;
	out->has_external = h->has_external;
	out->external = h->external;
	out->is_id_good =
		h->has_external && nodeid_fits(&r->self, &h->external);
	out->n_contacts = r->table.n;
	out->n_good = routing_count_good(r, n->seen_tick);
	out->n_spare = r->spare.n;
	out->n_deepest = deepest > 0 ? (uint32_t)deepest : 0;
	out->network_about = network_about(r);
}

void dht_node_stats(const struct dht_node *n, struct dht_stats *out)
{
	*out = (struct dht_stats){
		.in_datagrams = n->in_datagrams,
		.in_bytes = n->in_bytes,
		.out_datagrams = n->out_datagrams,
		.out_bytes = n->out_bytes,
		.in_queries = n->in_queries,
		.in_answers = n->in_answers,
		.in_errors = n->in_errors,
		.out_queries = n->out_queries,
		.out_answers = n->out_answers,
		.out_errors = n->out_errors,
		.timeouts = n->timeouts,
		.n_searches = n->n_searches,
		.n_waiting = n->flights.n,
		.stored_hashes = peerstore_count_hashes(&n->peers),
		.stored_peers = peerstore_count_peers(&n->peers),
		.stored_items = items_count(&n->items),
	};
	memcpy(out->dropped, n->dropped, sizeof(out->dropped));
	out->rtt_p50_ms = (uint32_t)(rttmodel_percent_us(&n->rtt, 50) / 1000);
	out->rtt_p90_ms = (uint32_t)(rttmodel_percent_us(&n->rtt, 90) / 1000);
	for (int f = 0; f < DHT_FAMILIES; f++)
		family_stats(n, (enum dht_family)f, &out->family[f]);
}

bool dht_node_is_ready(const struct dht_node *n)
{
	for (int f = 0; f < DHT_FAMILIES; f++)
		if (n->half[f].is_on &&
		    routing_has_good(&n->half[f].routing, n->seen_tick,
				     DHT_NODES_TOLD))
			return true;
	return false;
}

bool dht_node_is_lost(const struct dht_node *n)
{
	for (int f = 0; f < DHT_FAMILIES; f++)
		if (n->half[f].is_on &&
		    routing_has_good(&n->half[f].routing, n->seen_tick, 1))
			return false;
	return true;
}

uint32_t dht_node_contacts(const struct dht_node *n, enum dht_family f)
{
	return n->half[f].is_on ? n->half[f].routing.table.n : 0;
}

bool dht_node_contact(const struct dht_node *n, enum dht_family f, uint32_t i,
		      struct dht_contact *out)
{
	const struct routing *r = &n->half[f].routing;
	const struct shelf *s = i < r->table.n ? &r->table : &r->spare;
	const struct contact *c;

	if (!n->half[f].is_on || i >= (uint32_t)r->table.n + r->spare.n)
		return false;
	c = shelf_at(s, s == &r->table ? i : i - r->table.n);
	*out = (struct dht_contact){
		.id = c->id,
		.addr = contact_addr(s, c),
		.standing = DHT_CONTACT_SPARE,
		.bucket = nodeid_common(&r->self, &c->id),
		.age_s = contact_age_s(c, n->seen_tick),
	};
	if (c->srtt > 0) /* of a millisecond at least: 0 is never */
		out->rtt_ms = c->srtt * CONTACT_RTT_UNIT_US / 1000u + 1;
	if (s == &r->table)
		out->standing = contact_is_good(c, n->seen_tick)
					? DHT_CONTACT_GOOD
					: DHT_CONTACT_DUBIOUS;
	return true;
}

void dht_node_check(const struct dht_node *n)
{
	const struct dht_search *s;

	for (int f = 0; f < DHT_FAMILIES; f++)
		routing_check(&n->half[f].routing);
	flights_check(&n->flights);
	TAILQ_FOREACH (s, &n->searches, link)
		for (int f = 0; f < DHT_FAMILIES; f++)
			lookup_check(&s->lookup[f]);
	peerstore_check(&n->peers);
	items_check(&n->items);
}
