/* peerstore — announced peers.
 *
 * A table from info-hash to stored_hash; each has two arrays of peers, one a
 * family, in an order that means nothing: a sample of n shuffles its first n
 * places, which costs n and is as random as the rng. All hashes are also in one
 * array, to be sampled for BEP 51. Every peer is in three orders of age: of its
 * network (fair.h), of all, and, by its hash, of hashes.
 *
 * Who has to go
 *   - a peer of the same network, when that has DHT_STORED_NET_MAX;
 *   - a peer of the network that has most, when there are too many peers;
 *   - in a full hash: of the network that has most in it, or of the newcomer's
 *     if no other has more;
 *   - for a new hash: peers of heavy networks until a hash is empty; if no
 *     network is heavy, the hash announced longest ago. To fill a store with
 *     hashes that nobody wants takes announces from very many networks.
 * Each step takes away what one announce has brought, so an announce costs a
 * constant, on average; only a full hash is looked through.
 *
 * What is too old is dropped at the beginning of every call, from the old end
 * of the list of all: so nothing else here has to think of age.
 *
 * Invariants (peerstore_check)
 *   1. hashes[i]->at == i; a hash is in the table, and has a peer;
 *   2. of a hash, peers[at] is the peer that says `at`; hosts differ;
 *   3. the three orders have each peer once; the numbers are within the limits;
 *   4. in peers_by_age and hashes_by_age nobody is older than who is before
 *      it. */
#include "dht/peerstore.h"

#include <assert.h>
#include <string.h>

#include "core/err.h"
#include "core/hmap.h"
#include "core/mem.h"
#include "core/rng.h"
#include "dht/dht_limits.h"

enum { FAMILIES = 2, ROOM_MIN = 4 };

struct stored_peer {
	struct fair_entry fair;
	TAILQ_ENTRY(stored_peer) by_age;
	struct stored_hash *hash;
	uint64_t heard_us;
	uint32_t at; /* place in its hash's array */
	struct bloom_mark mark;
	uint8_t compact[ADDR_COMPACT6];
	bool is_6, is_seed;
};

struct peer_list {
	struct stored_peer **peers;
	uint32_t n, room;
};

struct stored_hash {
	struct dht_id id;
	uint32_t at; /* place in the array of all */
	uint64_t heard_us;
	TAILQ_ENTRY(stored_hash) by_age;
	struct peer_list lists[FAMILIES];
};

static const uint64_t LIFE_US = (uint64_t)DHT_STORED_PEER_S * 1000000;

void peerstore_init(struct peerstore *s, uint32_t hashes_max)
{
	*s = (struct peerstore){.hashes_max = hashes_max != 0
						      ? hashes_max
						      : DHT_STORED_HASHES_MAX};
	TAILQ_INIT(&s->hashes_by_age);
	TAILQ_INIT(&s->peers_by_age);
	fair_init(&s->fair);
}

static uint32_t hash_count(const struct stored_hash *hash)
{
	return hash->lists[0].n + hash->lists[1].n;
}

/* ---- taking away ---- */

static void drop_hash(struct peerstore *s, struct stored_hash *hash)
{
	struct stored_hash *last = s->hashes[--s->n_hashes];

	s->hashes[hash->at] = last;
	last->at = hash->at;
	(void)hmap_del(s->by_hash, hash->id.b);
	TAILQ_REMOVE(&s->hashes_by_age, hash, by_age);
	for (int i = 0; i < FAMILIES; i++)
		mem_free(hash->lists[i].peers);
	mem_free(hash);
}

static void drop_peer(struct peerstore *s, struct stored_peer *p)
{
	struct stored_hash *hash = p->hash;
	struct peer_list *list = &hash->lists[p->is_6];
	struct stored_peer *last = list->peers[--list->n];

	list->peers[p->at] = last;
	last->at = p->at;
	fair_del(&s->fair, &p->fair);
	TAILQ_REMOVE(&s->peers_by_age, p, by_age);
	mem_free(p);
	if (hash_count(hash) == 0)
		drop_hash(s, hash);
}

static void drop_entry(struct peerstore *s, struct fair_entry *e)
{
	drop_peer(s, CONTAINER_OF(e, struct stored_peer, fair));
}

static void drop_peers_of(struct peerstore *s, struct stored_hash *hash)
{
	/* The hash goes with its last peer. */
	for (uint32_t n = hash_count(hash); n > 0; n--) {
		struct peer_list *list = &hash->lists[hash->lists[0].n == 0];

		drop_peer(s, list->peers[list->n - 1]);
	}
}

uint64_t peerstore_expire(struct peerstore *s, uint64_t now_us)
{
	struct stored_peer *p;

	for (;;) {
		p = TAILQ_FIRST(&s->peers_by_age);
		if (p == NULL)
			return UINT64_MAX;
		if (now_us < p->heard_us + LIFE_US)
			return p->heard_us + LIFE_US;
		drop_peer(s, p);
	}
}

void peerstore_fini(struct peerstore *s)
{
	(void)peerstore_expire(s, UINT64_MAX);
	assert(s->n_hashes == 0);
	hmap_free(s->by_hash);
	mem_free(s->hashes);
	fair_fini(&s->fair);
	peerstore_init(s, s->hashes_max);
}

/* ---- who has to go ---- */

/* Runs over all peers of a hash. */
#define FOREACH_PEER(p, hash, i, k)                             \
	for (int i = 0; i < FAMILIES; i++)                      \
		for (uint32_t k = 0;                            \
		     k < (hash)->lists[i].n &&                  \
		     ((p) = (hash)->lists[i].peers[k]) != NULL; \
		     k++)

/* How many a network has in this hash at most. */
static uint32_t tally(struct stored_hash *hash)
{
	struct stored_peer *p;
	uint32_t most = 0;

	FOREACH_PEER(p, hash, i, k)
	*fair_scratch(p->fair.source) = 0;
	FOREACH_PEER(p, hash, i, k)
	{
		uint32_t n = ++*fair_scratch(p->fair.source);

		if (n > most)
			most = n;
	}
	return most;
}

static bool has_peers_of(struct stored_hash *hash,
			 const struct fair_source *source)
{
	struct stored_peer *p;

	FOREACH_PEER(p, hash, i, k)
	if (p->fair.source == source)
		return true;
	return false;
}

/* One of a full hash goes: of the newcomer's network, if no other has more. */
static void make_room_in(struct peerstore *s, struct stored_hash *hash,
			 const struct addr *newcomer)
{
	struct fair_source *own = fair_source_of(&s->fair, newcomer);
	struct stored_peer *p, *victim = NULL;
	uint32_t most = tally(hash);

	if (own != NULL &&
	    (!has_peers_of(hash, own) || *fair_scratch(own) < most))
		own = NULL;
	FOREACH_PEER(p, hash, i, k)
	{
		if (own != NULL ? p->fair.source != own
				: *fair_scratch(p->fair.source) < most)
			continue;
		if (victim == NULL || p->heard_us < victim->heard_us)
			victim = p;
	}
	drop_peer(s, victim);
}

static void make_room_for_hash(struct peerstore *s)
{
	struct fair_entry *e;

	while (s->n_hashes >= s->hashes_max) {
		e = fair_victim(&s->fair, DHT_STORED_HEAVY);
		if (e == NULL)
			break;
		drop_entry(s, e);
	}
	if (s->n_hashes >= s->hashes_max)
		drop_peers_of(s, TAILQ_FIRST(&s->hashes_by_age));
}

static void make_room(struct peerstore *s, const struct addr *newcomer)
{
	struct fair_entry *e =
		fair_oldest(&s->fair, newcomer, DHT_STORED_NET_MAX);

	if (e == NULL && s->fair.n >= DHT_STORED_PEERS_MAX)
		e = fair_victim(&s->fair, 1);
	if (e != NULL)
		drop_entry(s, e);
}

/* ---- announces ---- */

static struct stored_hash *find_hash(const struct peerstore *s,
				     const struct dht_id *id)
{
	return s->by_hash != NULL ? hmap_get(s->by_hash, id->b) : NULL;
}

static struct stored_peer *find_peer(const struct stored_hash *hash,
				     const struct addr *a)
{
	const struct peer_list *list =
		&hash->lists[a->sa.sa_family == AF_INET6];
	uint8_t compact[ADDR_COMPACT6];
	size_t len = addr_to_compact(a, compact);

	if (!addr_is_loopback(a))
		len -= sizeof(in_port_t);
	for (uint32_t k = 0; k < list->n; k++)
		if (memcmp(list->peers[k]->compact, compact, len) == 0)
			return list->peers[k];
	return NULL;
}

static void hear(struct peerstore *s, uint64_t now_us, struct stored_peer *p,
		 const struct addr *a, bool is_seed)
{
	(void)addr_to_compact(a, p->compact);
	p->is_seed = is_seed;
	p->heard_us = now_us;
	p->hash->heard_us = now_us;
	TAILQ_REMOVE(&s->peers_by_age, p, by_age);
	TAILQ_INSERT_TAIL(&s->peers_by_age, p, by_age);
	TAILQ_REMOVE(&s->hashes_by_age, p->hash, by_age);
	TAILQ_INSERT_TAIL(&s->hashes_by_age, p->hash, by_age);
	fair_touch(&p->fair);
}

/* An array of pointers with room for one more than `n`; NULL: no memory, and
 * the old one is as it was. */
static void *reserve(void *array, uint32_t *room, uint32_t n)
{
	uint32_t wider = *room != 0 ? *room * 2 : ROOM_MIN;

	if (n < *room)
		return array;
	array = mem_grow(array, wider, sizeof(void *));
	if (array != NULL)
		*room = wider;
	return array;
}

static int add_hash(struct peerstore *s, const struct dht_id *id,
		    struct stored_hash **out)
{
	struct stored_hash **hashes, *hash;
	int r = 0;

	if (s->by_hash == NULL)
		r = hmap_new(DHT_ID_BYTES, &s->by_hash);
	if (r != 0)
		return r;
	hashes = reserve(s->hashes, &s->room, s->n_hashes);
	if (hashes == NULL)
		return ENOMEM;
	s->hashes = hashes;
	hash = mem_new(struct stored_hash);
	if (hash == NULL)
		return ENOMEM;
	r = hmap_put(s->by_hash, id->b, hash);
	if (r != 0) {
		mem_free(hash);
		return r;
	}
	hash->id = *id;
	hash->at = s->n_hashes;
	s->hashes[s->n_hashes++] = hash;
	TAILQ_INSERT_TAIL(&s->hashes_by_age, hash, by_age);
	*out = hash;
	return 0;
}

static int add_peer(struct peerstore *s, struct hasher *h,
		    struct stored_hash *hash, const struct addr *a,
		    struct stored_peer **out)
{
	bool is_6 = a->sa.sa_family == AF_INET6;
	struct peer_list *list = &hash->lists[is_6];
	struct stored_peer **peers, *p;
	int r;

	peers = reserve(list->peers, &list->room, list->n);
	if (peers == NULL)
		return ENOMEM;
	list->peers = peers;
	p = mem_new(struct stored_peer);
	if (p == NULL)
		return ENOMEM;
	r = fair_add(&s->fair, a, &p->fair);
	if (r != 0) {
		mem_free(p);
		return r;
	}
	p->hash = hash;
	p->is_6 = is_6;
	p->mark = bloom_mark_of(h, a);
	p->at = list->n;
	list->peers[list->n++] = p;
	TAILQ_INSERT_TAIL(&s->peers_by_age, p, by_age);
	*out = p;
	return 0;
}

int peerstore_announce(struct peerstore *s, uint64_t now_us, struct hasher *h,
		       const struct dht_id *id, const struct addr *peer,
		       bool is_seed)
{
	struct stored_hash *hash;
	struct stored_peer *p;
	int r = 0;

	(void)peerstore_expire(s, now_us);
	hash = find_hash(s, id);
	p = hash != NULL ? find_peer(hash, peer) : NULL;
	if (p != NULL) {
		hear(s, now_us, p, peer, is_seed);
		return 0;
	}
	make_room(s, peer);
	hash = find_hash(s, id); /* its last peer may have been the victim */
	if (hash == NULL) {
		make_room_for_hash(s);
		r = add_hash(s, id, &hash);
	} else if (hash_count(hash) >= DHT_STORED_PEERS_OF_HASH) {
		make_room_in(s, hash, peer);
	}
	if (r != 0)
		return r;
	r = add_peer(s, h, hash, peer, &p);
	if (r == 0)
		hear(s, now_us, p, peer, is_seed);
	else if (hash_count(hash) == 0)
		drop_hash(s, hash);
	return r;
}

/* ---- what is told ---- */

size_t peerstore_sample(struct peerstore *s, uint64_t now_us, struct rng *rng,
			const struct dht_id *id, bool is_6, bool no_seeds,
			uint8_t *out, size_t most)
{
	size_t bytes = is_6 ? ADDR_COMPACT6 : ADDR_COMPACT4;
	struct stored_hash *hash;
	struct peer_list *list;
	size_t n = 0;

	(void)peerstore_expire(s, now_us);
	hash = find_hash(s, id);
	if (hash == NULL)
		return 0;
	list = &hash->lists[is_6];
	for (uint32_t k = 0; k < list->n && n < most; k++) {
		uint32_t from = k + (uint32_t)rng_below(rng, list->n - k);
		struct stored_peer *p = list->peers[from];

		list->peers[from] = list->peers[k];
		list->peers[from]->at = from;
		list->peers[k] = p;
		p->at = k;
		if (no_seeds && p->is_seed)
			continue;
		memcpy(out + n * bytes, p->compact, bytes);
		n++;
	}
	return n;
}

bool peerstore_filters(struct peerstore *s, uint64_t now_us,
		       const struct dht_id *id, struct bloom *seeds,
		       struct bloom *peers)
{
	struct stored_hash *hash;
	struct stored_peer *p;

	*seeds = (struct bloom){0};
	*peers = (struct bloom){0};
	(void)peerstore_expire(s, now_us);
	hash = find_hash(s, id);
	if (hash == NULL)
		return false;
	FOREACH_PEER(p, hash, i, k)
	bloom_add(p->is_seed ? seeds : peers, p->mark);
	return true;
}

size_t peerstore_hashes(const struct peerstore *s, struct rng *rng,
			struct dht_id *out, size_t most)
{
	uint32_t n = s->n_hashes < most ? s->n_hashes : (uint32_t)most;
	size_t n_out = 0;

	/* Floyd's: each subset is as likely, and n numbers are drawn. */
	for (uint32_t end = s->n_hashes - n; end < s->n_hashes; end++) {
		uint32_t pick = (uint32_t)rng_below(rng, end + 1);

		for (size_t i = 0; i < n_out; i++)
			if (nodeid_eq(&out[i], &s->hashes[pick]->id))
				pick = end;
		out[n_out++] = s->hashes[pick]->id;
	}
	return n_out;
}

uint32_t peerstore_count_hashes(const struct peerstore *s)
{
	return s->n_hashes;
}

uint32_t peerstore_count_peers(const struct peerstore *s)
{
	return s->fair.n;
}

/* ---- invariants ---- */

static void check_hash(const struct peerstore *s,
		       const struct stored_hash *hash)
{
	uint32_t n = hash_count(hash);

	assert(hmap_get(s->by_hash, hash->id.b) == hash);
	assert(n > 0 && n <= DHT_STORED_PEERS_OF_HASH);
	for (int i = 0; i < FAMILIES; i++)
		for (uint32_t k = 0; k < hash->lists[i].n; k++) {
			const struct stored_peer *p = hash->lists[i].peers[k];
			struct addr a;

			assert(p->hash == hash && p->at == k && p->is_6 == i);
			assert(p->heard_us <= hash->heard_us);
			assert(addr_from_compact(&a, p->compact,
						 i ? ADDR_COMPACT6
						   : ADDR_COMPACT4) == 0);
			assert(find_peer(hash, &a) == p);
		}
}

static void check_ages(const struct peerstore *s)
{
	const struct stored_hash *hash;
	const struct stored_peer *p;
	uint32_t n_hashes = 0, n_peers = 0;
	uint64_t before = 0;

	TAILQ_FOREACH (hash, &s->hashes_by_age, by_age) {
		assert(hash->heard_us >= before);
		before = hash->heard_us;
		n_hashes++;
	}
	before = 0;
	TAILQ_FOREACH (p, &s->peers_by_age, by_age) {
		assert(p->heard_us >= before);
		before = p->heard_us;
		n_peers++;
	}
	assert(n_hashes == s->n_hashes);
	assert(n_peers == s->fair.n);
}

void peerstore_check(const struct peerstore *s)
{
	uint32_t n_peers = 0;

	assert(s->n_hashes <= s->hashes_max);
	assert(s->fair.n <= DHT_STORED_PEERS_MAX);
	assert(s->by_hash == NULL || hmap_count(s->by_hash) == s->n_hashes);
	for (uint32_t i = 0; i < s->n_hashes; i++) {
		assert(s->hashes[i]->at == i);
		check_hash(s, s->hashes[i]);
		n_peers += hash_count(s->hashes[i]);
	}
	assert(n_peers == s->fair.n);
	check_ages(s);
	fair_check(&s->fair);
}
