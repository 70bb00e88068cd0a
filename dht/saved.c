/* saved — the table between two runs: a bencoded dictionary of our ids and
 * compact nodes, "id4", "id6", "nodes", "nodes6".
 *
 * It is read as a stranger's: contacts are asked before anything is built on
 * them, and an id is taken only if it cannot hurt: by a node that has no other
 * yet. */
#include <errno.h>
#include <string.h>

#include "core/bencode.h"
#include "dht/node_internal.h"

static const struct {
	const char *id, *nodes;
} names[DHT_FAMILIES] = {
	[DHT_IPV4] = {"id4", "nodes"},
	[DHT_IPV6] = {"id6", "nodes6"},
};

static void put_contact(struct buf *out, const struct shelf *s,
			const struct contact *c)
{
	struct addr a = contact_addr(s, c);
	uint8_t compact[ADDR_COMPACT6];
	size_t len = addr_to_compact(&a, compact);

	buf_add(out, c->id.b, DHT_ID_BYTES);
	buf_add(out, compact, len);
}

/* The closest first, so that the neighbourhood is always among them. */
static void save_nodes(const struct dht_node *n, enum dht_family f,
		       struct buf *out)
{
	const struct routing *r = &n->half[f].routing;
	struct contact *best[DHT_SAVED_CONTACTS];
	struct buf nodes = {0};
	uint32_t n_best;

	n_best = shelf_closest(&r->table, &r->self, NULL, 0, best,
			       DHT_SAVED_CONTACTS);
	for (uint32_t i = 0; i < n_best; i++)
		if (best[i]->fails == 0)
			put_contact(&nodes, &r->table, best[i]);
	benc_put_cstr(out, names[f].nodes);
	benc_put_str(out, nodes.data, nodes.len);
	if (buf_err(&nodes) != 0)
		out->err = buf_err(&nodes);
	buf_fini(&nodes);
}

void dht_node_save(const struct dht_node *n, struct buf *out)
{
	benc_put_dict(out);
	for (int f = 0; f < DHT_FAMILIES; f++) {
		if (!n->half[f].is_on)
			continue;
		benc_put_cstr(out, names[f].id);
		benc_put_str(out, n->half[f].routing.self.b, DHT_ID_BYTES);
	}
	for (int f = 0; f < DHT_FAMILIES; f++)
		if (n->half[f].is_on)
			save_nodes(n, (enum dht_family)f, out);
	benc_put_end(out);
}

static void load_id(struct dht_node *n, enum dht_family f, struct span id)
{
	struct half *h = &n->half[f];

	if (id.len != DHT_ID_BYTES || h->is_id_fixed || h->has_external ||
	    n->out_queries > 0 || h->routing.table.n > 0)
		return;
	routing_set_self(&h->routing, (const struct dht_id *)id.ptr);
}

static void load_nodes(struct dht_node *n, uint64_t now_us, enum dht_family f,
		       struct span nodes)
{
	uint16_t tick = node_tick(n, now_us);
	const struct dht_id *id;
	struct addr a;
	size_t at = 0;

	for (uint32_t i = 0; i < DHT_SAVED_CONTACTS; i++) {
		if (!krpc_next_node(nodes, f == DHT_IPV6, &at, &id, &a))
			return;
		if (node_family(&a) == f && node_can_be(n, &a, NULL))
			routing_load(&n->half[f].routing, id, &a, tick);
	}
}

int dht_node_load(struct dht_node *n, uint64_t now_us, struct span saved)
{
	const struct benc_limits limits = {
		.depth = 1,
		.tokens = DHT_SAVED_TOKENS,
	};
	struct benc b;
	int r;

	if (saved.len > DHT_SAVED_MAX_BYTES)
		return EBADMSG;
	r = benc_decode(&b, saved.ptr, saved.len, &limits, NULL);
	if (r != 0)
		return r == ENOMEM ? ENOMEM : EBADMSG;
	if (!benc_is(&b, BENC_ROOT, BENC_DICT)) {
		benc_fini(&b);
		return EBADMSG;
	}
	for (int f = 0; f < DHT_FAMILIES; f++) {
		struct span s;

		if (!n->half[f].is_on)
			continue;
		if (benc_get_str(&b, BENC_ROOT, names[f].id, &s))
			load_id(n, (enum dht_family)f, s);
		if (benc_get_str(&b, BENC_ROOT, names[f].nodes, &s))
			load_nodes(n, now_us, (enum dht_family)f, s);
	}
	benc_fini(&b);
	upkeep_soon(n, now_us);
	return 0;
}
