/* addrbook — a table by address, a heap of those who wait, by due time, and one
 * of those who are due (ripe), the best first.
 *
 * Back-off: ADDRBOOK_WORKED starts anew at the first step, each failure
 * doubles the wait: SWARM_REDIAL_MS … SWARM_REDIAL_MAX_MS, for named addresses
 * SWARM_NAMED_MS … SWARM_NAMED_MAX_MS. An address that failed
 * SWARM_CANDIDATE_TRIES times in a row is forgotten unless it is named.
 * ADDRBOOK_PLAIN is due again at once, a single time: it cannot end so again.
 * ADDRBOOK_OTHER likewise, once before each other end.
 *
 * Limit: SWARM_CANDIDATES_MAX entries. When the book is full a new address
 * takes the place of the one whose turn is furthest away and that has failed;
 * if there is none it is refused. Gossip that never proved true also makes
 * place for better sources: strangers cannot fill the book.
 *
 * Invariants: an entry is in one of the heaps iff it is free and not barred;
 * both have room for every entry, so that coming back never fails. */
#include "net/addrbook.h"

#include <string.h>

#include "core/err.h"
#include "core/heap.h"
#include "core/hmap.h"
#include "core/mem.h"
#include "core/queue.h"
#include "net/net_limits.h"
#include "net/peerprio.h"

struct cand {
	struct addr addr;
	struct heap_node node; /* in a heap iff free and not barred … */
	bool is_ripe;	       /* … in this one */
	uint64_t due_us;
	enum addrbook_from from;
	bool has_worked;
	bool is_used;
	bool is_idle;  /* waits for a need, not for a failure to heal */
	bool is_plain; /* takes our handshake only if nothing goes with it */
	enum torrent_side side;
	bool is_turned; /* dialled by the other hash this time */
	unsigned failures;
};

/* Who we are, as others see us: one vote a network, the oldest makes way. Port
 * 0: not known, no vote. */
struct selfhood {
	struct addr self;
	struct {
		struct addr self, from;
	} votes[SELF_VOTES];
	unsigned next;
};

struct addrbook {
	struct hmap *by_addr;
	struct heap waiting, ripe;
	struct selfhood us[2]; /* IPv4, IPv6 */
};

int addrbook_new(struct addrbook **out)
{
	struct addrbook *b = mem_new(struct addrbook);
	int r;

	if (b == NULL)
		return ENOMEM;
	heap_init(&b->waiting);
	heap_init(&b->ripe);
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
	heap_fini(&b->waiting);
	heap_fini(&b->ripe);
	mem_free(b);
}

/* ---- who goes first ---- */

static unsigned self_ix(const struct addr *a)
{
	return a->sa.sa_family == AF_INET6;
}

static bool is_same_network(const struct addr *a, const struct addr *b)
{
	if (a->sa.sa_family == AF_INET6)
		return memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, 4) == 0;
	return memcmp(&a->in4.sin_addr, &b->in4.sin_addr, 2) == 0;
}

/* The place of the vote of this network. */
static unsigned vote_ix(struct selfhood *us, const struct addr *from)
{
	unsigned i;

	for (i = 0; i < SELF_VOTES; i++)
		if (addr_port(&us->votes[i].self) != 0 &&
		    is_same_network(&us->votes[i].from, from))
			return i;
	return us->next++ % SELF_VOTES;
}

void addrbook_on_self(struct addrbook *b, const struct addr *self,
		      const struct addr *from)
{
	struct selfhood *us = &b->us[self_ix(self)];
	unsigned i, n = 0;

	if (self_ix(from) != self_ix(self) || addr_port(self) == 0)
		return;
	i = vote_ix(us, from);
	us->votes[i].self = *self;
	us->votes[i].from = *from;
	for (i = 0; i < SELF_VOTES; i++)
		n += addr_port(&us->votes[i].self) != 0 &&
		     addr_eq(&us->votes[i].self, self);
	if (n >= SELF_VOTES_NEEDED)
		us->self = *self;
}

uint32_t addrbook_priority(const struct addrbook *b, const struct addr *a)
{
	const struct addr *self = &b->us[self_ix(a)].self;

	return addr_port(self) == 0 ? 0 : peerprio_of(self, a);
}

enum rank { RANK_NAMED, RANK_WORKED, RANK_NEW, RANK_FAILED };

static enum rank rank_of(const struct cand *c)
{
	if (c->from == ADDRBOOK_NAMED)
		return RANK_NAMED;
	if (c->failures > 0)
		return RANK_FAILED;
	return c->has_worked ? RANK_WORKED : RANK_NEW;
}

/* ---- the two heaps ---- */

static void wait_until(struct addrbook *b, struct cand *c, uint64_t due_us)
{
	c->due_us = due_us;
	c->is_ripe = false;
	heap_add(&b->waiting, &c->node, due_us);
}

static void ripen(struct addrbook *b, uint64_t now_us)
{
	struct heap_node *node;

	while ((node = heap_first(&b->waiting)) != NULL &&
	       node->key <= now_us) {
		struct cand *c = CONTAINER_OF(node, struct cand, node);
		uint32_t priority = addrbook_priority(b, &c->addr);

		heap_del(&b->waiting, node);
		c->is_ripe = true;
		heap_add(&b->ripe, node,
			 (uint64_t)rank_of(c) << 32 | (UINT32_MAX - priority));
	}
}

static void take_out(struct addrbook *b, struct cand *c)
{
	if (heap_has(&c->node))
		heap_del(c->is_ripe ? &b->ripe : &b->waiting, &c->node);
}

/* ---- coming and going ---- */

static void forget(struct addrbook *b, struct cand *c)
{
	uint8_t key[ADDR_KEY_BYTES];

	take_out(b, c);
	addr_key(&c->addr, key);
	(void)hmap_del(b->by_addr, key);
	mem_free(c);
}

static bool is_hopeless(const struct cand *c, enum addrbook_from other)
{
	if (c->is_used || c->from == ADDRBOOK_NAMED)
		return false;
	return c->failures > 0 || (c->from < other && !c->has_worked);
}

/* Make room for one more by dropping the most hopeless entry. */
static bool evict(struct addrbook *b, enum addrbook_from from)
{
	struct cand *worst = NULL;
	size_t pos = 0;
	struct cand *c;

	while ((c = hmap_next(b->by_addr, &pos)) != NULL) {
		if (!is_hopeless(c, from))
			continue;
		if (!heap_has(&c->node)) { /* barred: bans know it anyway */
			worst = c;
			break;
		}
		if (worst == NULL || c->due_us > worst->due_us)
			worst = c;
	}
	if (worst == NULL)
		return false;
	forget(b, worst);
	return true;
}

static int reserve(struct addrbook *b)
{
	size_t n = hmap_count(b->by_addr) + 1;
	int r = heap_reserve(&b->waiting, n);

	return r != 0 ? r : heap_reserve(&b->ripe, n);
}

int addrbook_add(struct addrbook *b, const struct addr *a,
		 enum addrbook_from from, uint64_t now_us, struct cand **out)
{
	uint8_t key[ADDR_KEY_BYTES];
	struct cand *c;
	int r;

	if (!addr_can_dial(a))
		return EINVAL;
	addr_key(a, key);
	c = hmap_get(b->by_addr, key);
	if (c != NULL) {
		c->from = c->from > from ? c->from : from;
		if (out != NULL)
			*out = c;
		return EEXIST;
	}
	if (hmap_count(b->by_addr) >= SWARM_CANDIDATES_MAX && !evict(b, from))
		return E2BIG;
	r = reserve(b);
	if (r != 0)
		return r;
	c = mem_new(struct cand);
	if (c == NULL)
		return ENOMEM;
	c->addr = *a;
	c->from = from;
	r = hmap_put(b->by_addr, key, c);
	if (r != 0) {
		mem_free(c);
		return r;
	}
	wait_until(b, c, now_us);
	if (out != NULL)
		*out = c;
	return 0;
}

struct cand *addrbook_take(struct addrbook *b, uint64_t now_us)
{
	struct heap_node *node;
	struct cand *c;

	ripen(b, now_us);
	node = heap_first(&b->ripe);
	if (node == NULL)
		return NULL;
	c = CONTAINER_OF(node, struct cand, node);
	heap_del(&b->ripe, node);
	c->is_used = true;
	return c;
}

void addrbook_postpone(struct addrbook *b, struct cand *c, uint64_t until_us)
{
	c->is_used = false;
	wait_until(b, c, until_us);
}

bool addrbook_has_untried(struct addrbook *b, uint64_t now_us)
{
	const struct heap_node *node;

	ripen(b, now_us);
	node = heap_first(&b->ripe);
	return node != NULL &&
	       CONTAINER_OF(node, struct cand, node)->failures == 0;
}

bool addrbook_use(struct addrbook *b, struct cand *c)
{
	if (c->is_used)
		return false;
	take_out(b, c);
	c->is_used = true;
	return true;
}

uint64_t addrbook_next_us(const struct addrbook *b)
{
	const struct heap_node *node = heap_first(&b->waiting);

	if (heap_first(&b->ripe) != NULL)
		return 0;
	return node == NULL ? UINT64_MAX : node->key;
}

static uint64_t wait_us(const struct cand *c)
{
	bool is_named = c->from == ADDRBOOK_NAMED;
	uint64_t first = is_named ? SWARM_NAMED_MS : SWARM_REDIAL_MS;
	uint64_t most = is_named ? SWARM_NAMED_MAX_MS : SWARM_REDIAL_MAX_MS;
	unsigned doublings = c->failures > 0 ? c->failures - 1 : 0;
	uint64_t ms = doublings > 20 ? most : first << doublings;

	return (ms < most ? ms : most) * 1000;
}

void addrbook_on_end(struct addrbook *b, struct cand *c, enum addrbook_end why,
		     uint64_t now_us)
{
	bool was_turned = c->is_turned;

	c->is_used = false;
	c->is_idle = false;
	c->is_turned = false;
	switch (why) {
	case ADDRBOOK_WORKED:
		c->failures = 0;
		c->has_worked = true;
		break;
	case ADDRBOOK_FAILED:
		c->failures++;
		if (c->failures >= SWARM_CANDIDATE_TRIES &&
		    c->from != ADDRBOOK_NAMED) {
			forget(b, c);
			return;
		}
		break;
	case ADDRBOOK_IDLE:
		c->failures = 0;
		c->has_worked = true;
		c->is_idle = true;
		wait_until(b, c, now_us + (uint64_t)SWARM_REDIAL_MAX_MS * 1000);
		return;
	case ADDRBOOK_NEVER:
		c->failures++;
		c->from = ADDRBOOK_GOSSIP;
		return;
	case ADDRBOOK_FORGET:
		forget(b, c);
		return;
	case ADDRBOOK_PLAIN:
		c->is_plain = true;
		c->is_turned = was_turned;
		wait_until(b, c, now_us);
		return;
	case ADDRBOOK_AGAIN:
		c->failures = 0;
		wait_until(b, c, now_us);
		return;
	case ADDRBOOK_OTHER:
		c->is_turned = true;
		c->side = c->side == TORRENT_V1 ? TORRENT_V2 : TORRENT_V1;
		wait_until(b, c, now_us);
		return;
	}
	wait_until(b, c, now_us + wait_us(c));
}

void addrbook_hurry(struct addrbook *b, uint64_t now_us)
{
	size_t pos = 0;
	struct cand *c;

	while ((c = hmap_next(b->by_addr, &pos)) != NULL) {
		if (!c->is_idle || !heap_has(&c->node))
			continue;
		c->is_idle = false;
		take_out(b, c);
		wait_until(b, c, now_us);
	}
}

bool addrbook_is_plain(const struct cand *c)
{
	return c->is_plain;
}

enum torrent_side addrbook_side(const struct cand *c)
{
	return c->side;
}

void addrbook_on_side(struct cand *c, enum torrent_side side, bool is_new)
{
	if (is_new || (side == TORRENT_V1 && !c->is_used && !c->has_worked))
		c->side = side;
}

bool addrbook_can_turn(const struct cand *c)
{
	return !c->is_turned;
}

enum addrbook_from addrbook_source(const struct cand *c)
{
	return c->from;
}

bool addrbook_is_gossip(const struct cand *c)
{
	return c->from == ADDRBOOK_GOSSIP;
}

/* Barred entries stay: they are known for what they did. */
void addrbook_forget_gossip(struct addrbook *b)
{
	size_t pos = 0;
	struct cand *c;

	while ((c = hmap_next(b->by_addr, &pos)) != NULL)
		if (addrbook_is_gossip(c) && heap_has(&c->node))
			forget(b, c);
}

const struct addr *addrbook_addr(const struct cand *c)
{
	return &c->addr;
}

uint32_t addrbook_count(const struct addrbook *b)
{
	return (uint32_t)hmap_count(b->by_addr);
}
