/* harvest — what answers bring to a search besides nodes: peers, items,
 * samples, filters; each checked, and handed on at once.
 *
 * Of items only one that is newer than the best so far is looked at: a
 * signature costs 0.1 ms, and eight nodes have the same one. Whoever sends what
 * is not the item that was asked for is a liar, and counts as one who failed.
 */
#include <string.h>

#include "core/hmap.h"
#include "core/mem.h"
#include "dht/bloom.h"
#include "dht/node_internal.h"

/* The best item so far, with its bytes. */
struct best_item {
	struct dht_item item;
	uint8_t key[KRPC_KEY_BYTES];
	uint8_t sig[KRPC_SIG_BYTES];
	uint8_t value[DHT_ITEM_MAX];
};

struct filters {
	struct bloom seeds, leeches;
};

void harvest_fini(struct dht_search *s)
{
	hmap_free(s->peers);
	mem_free(s->best);
	mem_free(s->filters);
}

const struct dht_item *harvest_best(const struct dht_search *s)
{
	return s->best ? &s->best->item : NULL;
}

/* ---- peers ---- */

/* True: nobody was told of it before. */
static bool is_new_peer(struct dht_search *s, const struct addr *a)
{
	uint8_t key[ADDR_KEY_BYTES];

	if (s->outcome.n_peers >= DHT_SEARCH_PEERS_MAX)
		return false;
	if (!s->peers && hmap_new(sizeof(key), &s->peers) != 0)
		return false;
	addr_key(a, key);
	if (hmap_put(s->peers, key, s) != 0)
		return false;
	s->outcome.n_peers++;
	return true;
}

static void take_peers(struct dht_search *s, const struct addr *from,
		       struct span values)
{
	struct addr peers[DHT_PEERS_HEARD_MAX];
	struct addr a;
	uint32_t n = 0;
	size_t at = 0;

	if (!s->cfg.on_peers)
		return;
	while (n < DHT_PEERS_HEARD_MAX && krpc_next_peer(values, &at, &a))
		if (node_can_be(s->node, &a, from) && is_new_peer(s, &a))
			peers[n++] = a;
	if (n > 0)
		s->cfg.on_peers(s->cfg.arg, peers, n);
}

static void take_filters(struct dht_search *s, const struct krpc_args *a)
{
	if (!s->cfg.is_scrape || (!a->seeds && !a->peers))
		return;
	if (!s->filters)
		s->filters = mem_new(struct filters);
	if (!s->filters)
		return;
	if (a->seeds)
		bloom_unite(&s->filters->seeds, a->seeds);
	if (a->peers)
		bloom_unite(&s->filters->leeches, a->peers);
}

void harvest_count(struct dht_search *s)
{
	if (!s->filters)
		return;
	s->outcome.seeds_about =
		(uint32_t)(bloom_estimate(&s->filters->seeds) + 0.5);
	s->outcome.leeches_about =
		(uint32_t)(bloom_estimate(&s->filters->leeches) + 0.5);
}

/* ---- samples ---- */

static void take_samples(struct dht_search *s, const struct addr *from,
			 const struct krpc_args *a)
{
	struct dht_samples samples = {.from = from};

	if (!s->cfg.on_samples || !a->has_samples)
		return;
	samples.hashes = a->samples.ptr;
	samples.n = a->samples.len / DHT_ID_BYTES;
	if (samples.n > DHT_SAMPLES_HEARD_MAX)
		samples.n = DHT_SAMPLES_HEARD_MAX;
	if (a->has_num && a->num > 0)
		samples.stored =
			a->num < UINT32_MAX ? (uint32_t)a->num : UINT32_MAX;
	if (a->has_interval && a->interval > 0)
		samples.interval_s = a->interval < DHT_SAMPLE_INTERVAL_MAX_S
					     ? (uint32_t)a->interval
					     : DHT_SAMPLE_INTERVAL_MAX_S;
	s->cfg.on_samples(s->cfg.arg, &samples);
}

/* ---- items ---- */

static void keep_best(struct dht_search *s, const struct dht_item *item)
{
	struct best_item *b = s->best;

	if (!b)
		b = s->best = mem_new(struct best_item);
	if (!b)
		return;
	memcpy(b->value, item->value.ptr, item->value.len);
	b->item = *item;
	b->item.value.ptr = b->value;
	if (!item->is_mutable)
		return;
	memcpy(b->key, item->key, sizeof(b->key));
	memcpy(b->sig, item->sig, sizeof(b->sig));
	b->item.key = b->key;
	b->item.sig = b->sig;
}

/* It is what the target stands for, and rightly signed. */
static bool is_asked_for(const struct dht_search *s,
			 const struct dht_item *item)
{
	struct dht_id target;

	if (item->is_mutable && memcmp(item->key, s->key, sizeof(s->key)) != 0)
		return false;
	if (item_look(item) != ITEM_GOOD)
		return false;
	item_target(s->node->cfg.hasher, item, &target);
	return nodeid_eq(&target, &s->cfg.target);
}

/* False: a lie. */
static bool take_item(struct dht_search *s, struct candidate *c,
		      const struct krpc_args *a)
{
	bool is_mutable = s->cfg.key != NULL;
	struct dht_item item = {
		.value = a->value,
		.is_mutable = is_mutable,
		.key = a->key,
		.sig = a->sig,
		.seq = a->seq,
		.salt = s->cfg.salt,
	};

	c->has_item = a->value.ptr || (is_mutable && a->has_seq);
	c->seq = a->seq;
	if (!a->value.ptr)
		return true;
	if (is_mutable && (!a->key || !a->sig || !a->has_seq))
		return false;
	if (s->best && (!is_mutable || a->seq <= s->best->item.seq))
		return true;
	if (!is_asked_for(s, &item))
		return false;
	keep_best(s, &item);
	if (s->cfg.on_item)
		s->cfg.on_item(s->cfg.arg, &item);
	return true;
}

bool harvest_take(struct dht_search *s, const struct flight *fl,
		  const struct krpc_args *a)
{
	struct lookup *l = &s->lookup[node_family(&fl->to)];

	switch (s->cfg.ask) {
	case DHT_ASK_NODES:
		return true;
	case DHT_ASK_PEERS:
		take_filters(s, a);
		take_peers(s, &fl->to, a->values);
		return true;
	case DHT_ASK_ITEM:
		return take_item(s, &l->cands[fl->candidate], a);
	case DHT_ASK_SAMPLES:
		take_samples(s, &fl->to, a);
		return true;
	}
	return true;
}
