/* addrbook — a table by address and a heap by due time.
 *
 * Back-off: ADDRBOOK_WORKED starts anew at the first step, each failure
 * doubles the wait: SWARM_REDIAL_MS … SWARM_REDIAL_MAX_MS, for named addresses
 * SWARM_NAMED_MS … SWARM_NAMED_MAX_MS. An address that failed
 * SWARM_CANDIDATE_TRIES times in a row is forgotten unless it is named.
 *
 * Limit: SWARM_CANDIDATES_MAX entries. When the book is full a new address
 * takes the place of the one whose turn is furthest away and that has failed;
 * if there is none it is refused.
 *
 * Invariants: an entry is in the heap iff it is free and not barred; the heap
 * has room for every entry, so that coming back never fails. */
#include "net/addrbook.h"

#include "core/err.h"
#include "core/heap.h"
#include "core/hmap.h"
#include "core/mem.h"
#include "core/queue.h"
#include "net/net_limits.h"

struct cand {
	struct addr addr;
	struct heap_node due; /* in the heap iff free and not barred */
	bool is_named;
	bool is_used;
	bool is_idle; /* waits for a need, not for a failure to heal */
	unsigned failures;
};

struct addrbook {
	struct hmap *by_addr;
	struct heap due;
};

int addrbook_new(struct addrbook **out)
{
	struct addrbook *b = mem_new(struct addrbook);
	int r;

	if (b == NULL)
		return ENOMEM;
	heap_init(&b->due);
	r = hmap_new(ADDR_KEY_BYTES, &b->by_addr);
	if (r != 0) {
		mem_free(b);
		return r;
	}
	*out = b;
	return 0;
}

void addrbook_free(struct addrbook *b)
{
	struct cand *c;
	size_t pos = 0;

	if (b == NULL)
		return;
	while ((c = hmap_next(b->by_addr, &pos)) != NULL)
		mem_free(c);
	hmap_free(b->by_addr);
	heap_fini(&b->due);
	mem_free(b);
}

static void forget(struct addrbook *b, struct cand *c)
{
	uint8_t key[ADDR_KEY_BYTES];

	if (heap_has(&c->due))
		heap_del(&b->due, &c->due);
	addr_key(&c->addr, key);
	(void)hmap_del(b->by_addr, key);
	mem_free(c);
}

/* Make room for one more by dropping the most hopeless entry. */
static bool evict(struct addrbook *b)
{
	struct cand *worst = NULL;
	size_t pos = 0;
	struct cand *c;

	while ((c = hmap_next(b->by_addr, &pos)) != NULL) {
		if (c->is_used || c->is_named || c->failures == 0)
			continue;
		if (!heap_has(&c->due)) { /* barred: bans know it anyway */
			worst = c;
			break;
		}
		if (worst == NULL || c->due.key > worst->due.key)
			worst = c;
	}
	if (worst == NULL)
		return false;
	forget(b, worst);
	return true;
}

int addrbook_add(struct addrbook *b, const struct addr *a, bool is_named,
		 uint64_t now_us, struct cand **out)
{
	uint8_t key[ADDR_KEY_BYTES];
	struct cand *c;
	int r;

	if (!addr_can_dial(a))
		return EINVAL;
	addr_key(a, key);
	c = hmap_get(b->by_addr, key);
	if (c != NULL) {
		c->is_named = c->is_named || is_named;
		if (out != NULL)
			*out = c;
		return EEXIST;
	}
	if (hmap_count(b->by_addr) >= SWARM_CANDIDATES_MAX && !evict(b))
		return E2BIG;
	r = heap_reserve(&b->due, hmap_count(b->by_addr) + 1);
	if (r != 0)
		return r;
	c = mem_new(struct cand);
	if (c == NULL)
		return ENOMEM;
	c->addr = *a;
	c->is_named = is_named;
	r = hmap_put(b->by_addr, key, c);
	if (r != 0) {
		mem_free(c);
		return r;
	}
	heap_add(&b->due, &c->due, now_us);
	if (out != NULL)
		*out = c;
	return 0;
}

struct cand *addrbook_take(struct addrbook *b, uint64_t now_us)
{
	struct heap_node *node = heap_first(&b->due);
	struct cand *c;

	if (node == NULL || node->key > now_us)
		return NULL;
	c = CONTAINER_OF(node, struct cand, due);
	heap_del(&b->due, node);
	c->is_used = true;
	return c;
}

bool addrbook_use(struct addrbook *b, struct cand *c)
{
	if (c->is_used)
		return false;
	if (heap_has(&c->due))
		heap_del(&b->due, &c->due);
	c->is_used = true;
	return true;
}

uint64_t addrbook_next_us(const struct addrbook *b)
{
	const struct heap_node *node = heap_first(&b->due);

	return node == NULL ? UINT64_MAX : node->key;
}

static uint64_t wait_us(const struct cand *c)
{
	uint64_t first = c->is_named ? SWARM_NAMED_MS : SWARM_REDIAL_MS;
	uint64_t most = c->is_named ? SWARM_NAMED_MAX_MS : SWARM_REDIAL_MAX_MS;
	unsigned doublings = c->failures > 0 ? c->failures - 1 : 0;
	uint64_t ms = doublings > 20 ? most : first << doublings;

	return (ms < most ? ms : most) * 1000;
}

void addrbook_on_end(struct addrbook *b, struct cand *c, enum addrbook_end why,
		     uint64_t now_us)
{
	c->is_used = false;
	c->is_idle = false;
	switch (why) {
	case ADDRBOOK_WORKED:
		c->failures = 0;
		break;
	case ADDRBOOK_FAILED:
		c->failures++;
		if (c->failures >= SWARM_CANDIDATE_TRIES && !c->is_named) {
			forget(b, c);
			return;
		}
		break;
	case ADDRBOOK_IDLE:
		c->failures = 0;
		c->is_idle = true;
		heap_add(&b->due, &c->due,
			 now_us + (uint64_t)SWARM_REDIAL_MAX_MS * 1000);
		return;
	case ADDRBOOK_NEVER:
		c->failures++;
		c->is_named = false;
		return;
	}
	heap_add(&b->due, &c->due, now_us + wait_us(c));
}

void addrbook_hurry(struct addrbook *b, uint64_t now_us)
{
	size_t pos = 0;
	struct cand *c;

	while ((c = hmap_next(b->by_addr, &pos)) != NULL) {
		if (!c->is_idle || !heap_has(&c->due))
			continue;
		c->is_idle = false;
		heap_del(&b->due, &c->due);
		heap_add(&b->due, &c->due, now_us);
	}
}

const struct addr *addrbook_addr(const struct cand *c)
{
	return &c->addr;
}

uint32_t addrbook_count(const struct addrbook *b)
{
	return (uint32_t)hmap_count(b->by_addr);
}
