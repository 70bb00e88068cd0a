/* fair — entries by the network they came from.
 *
 * A hash table from network to source, each source a list of its entries, and
 * a heap of the sources by how many they have. Each change costs O(log n) of
 * the sources. Equal ones: who came to that number first gives first, so that
 * a run can be replayed.
 *
 * Nothing is walked in the hash table's order, which is random. */
#include "dht/fair.h"

#include <assert.h>
#include <string.h>

#include "core/err.h"
#include "core/hmap.h"
#include "core/mem.h"

/* The first octets of an address that say whose network it is: 13 to 15 of a
 * mapped IPv4 address, 1 to 6 of IPv6. */
enum { NET_BYTES = 16, NET4_END = 15, NET6_END = 6 };

struct fair_source {
	uint8_t net[NET_BYTES];
	uint32_t n;
	uint32_t scratch;
	struct heap_node node; /* key: the more entries, the less */
	TAILQ_HEAD(, fair_entry) entries;
};

static void net_of(const struct addr *a, uint8_t net[NET_BYTES])
{
	size_t end = a->sa.sa_family == AF_INET6 ? NET6_END : NET4_END;
	uint8_t key[ADDR_KEY_BYTES];

	addr_key(a, key);
	memset(net, 0, NET_BYTES);
	memcpy(net, key, end);
}

void fair_init(struct fair *f)
{
	*f = (struct fair){0};
	heap_init(&f->heaviest);
}

void fair_fini(struct fair *f)
{
	assert(f->n == 0);
	hmap_free(f->sources);
	heap_fini(&f->heaviest);
	fair_init(f);
}

static void weigh(struct fair *f, struct fair_source *s)
{
	if (heap_has(&s->node))
		heap_del(&f->heaviest, &s->node);
	heap_add(&f->heaviest, &s->node, UINT64_MAX - s->n);
}

struct fair_source *fair_source_of(const struct fair *f, const struct addr *a)
{
	uint8_t net[NET_BYTES];

	if (f->sources == NULL)
		return NULL;
	net_of(a, net);
	return hmap_get(f->sources, net);
}

static int source_new(struct fair *f, const struct addr *a,
		      struct fair_source **out)
{
	struct fair_source *s;
	int r = 0;

	if (f->sources == NULL)
		r = hmap_new(NET_BYTES, &f->sources);
	if (r == 0)
		r = heap_reserve(&f->heaviest, hmap_count(f->sources) + 1);
	if (r != 0)
		return r;
	s = mem_new(struct fair_source);
	if (s == NULL)
		return ENOMEM;
	TAILQ_INIT(&s->entries);
	net_of(a, s->net);
	r = hmap_put(f->sources, s->net, s);
	if (r != 0) {
		mem_free(s);
		return r;
	}
	*out = s;
	return 0;
}

static void enter(struct fair *f, struct fair_source *s, struct fair_entry *e)
{
	e->source = s;
	TAILQ_INSERT_TAIL(&s->entries, e, link);
	s->n++;
	f->n++;
	weigh(f, s);
}

int fair_add(struct fair *f, const struct addr *a, struct fair_entry *e)
{
	struct fair_source *s = fair_source_of(f, a);
	int r = 0;

	if (s == NULL)
		r = source_new(f, a, &s);
	if (r != 0)
		return r;
	enter(f, s, e);
	return 0;
}

void fair_del(struct fair *f, struct fair_entry *e)
{
	struct fair_source *s = e->source;

	TAILQ_REMOVE(&s->entries, e, link);
	e->source = NULL;
	s->n--;
	f->n--;
	if (s->n > 0) {
		weigh(f, s);
		return;
	}
	heap_del(&f->heaviest, &s->node);
	(void)hmap_del(f->sources, s->net);
	mem_free(s);
}

void fair_touch(struct fair_entry *e)
{
	struct fair_source *s = e->source;

	TAILQ_REMOVE(&s->entries, e, link);
	TAILQ_INSERT_TAIL(&s->entries, e, link);
}

struct fair_entry *fair_oldest(const struct fair *f, const struct addr *a,
			       uint32_t least)
{
	struct fair_source *s = fair_source_of(f, a);

	return s != NULL && s->n >= least ? TAILQ_FIRST(&s->entries) : NULL;
}

struct fair_entry *fair_victim(const struct fair *f, uint32_t least)
{
	struct heap_node *node = heap_first(&f->heaviest);
	struct fair_source *s;

	if (node == NULL)
		return NULL;
	s = CONTAINER_OF(node, struct fair_source, node);
	return s->n >= least ? TAILQ_FIRST(&s->entries) : NULL;
}

int fair_move(struct fair *f, const struct addr *a, struct fair_entry *e)
{
	struct fair_source *to = fair_source_of(f, a);
	int r = 0;

	if (to == NULL)
		r = source_new(f, a, &to);
	if (r != 0)
		return r;
	fair_del(f, e);
	enter(f, to, e);
	return 0;
}

uint32_t fair_weight(const struct fair_source *s)
{
	return s->n;
}

uint32_t *fair_scratch(struct fair_source *s)
{
	return &s->scratch;
}

void fair_check(const struct fair *f)
{
	uint32_t sum = 0;

	heap_check(&f->heaviest);
	assert(f->sources != NULL || f->n == 0);
	for (size_t i = 0; i < f->heaviest.n; i++) {
		const struct fair_source *s = CONTAINER_OF(
			f->heaviest.nodes[i], struct fair_source, node);
		const struct fair_entry *e;
		uint32_t n = 0;

		assert(hmap_get(f->sources, s->net) == s);
		TAILQ_FOREACH (e, &s->entries, link) {
			assert(e->source == s);
			n++;
		}
		assert(n > 0 && n == s->n);
		assert(s->node.key == UINT64_MAX - n);
		sum += n;
	}
	assert(sum == f->n);
	assert(f->sources == NULL || hmap_count(f->sources) == f->heaviest.n);
}
