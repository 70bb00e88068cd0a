/* policy_ours — the store's policy, its real code, in the shape of the others.
 */
#include <stdlib.h>

#include "cache/evict.h"
#include "core/mem.h"
#include "tests/sim/policy.h"

enum { PIECE = 1 << 20 };

struct ours {
	struct evict evict;
	struct evict_item *items;
	uint32_t room, n;
};

static void *make(uint32_t room, uint32_t n_keys)
{
	struct ours *o = mem_new(struct ours);

	if (o == NULL || evict_init(&o->evict, (uint64_t)room * PIECE) != 0)
		abort();
	o->room = room;
	o->items = mem_zalloc(n_keys, sizeof(*o->items));
	if (o->items == NULL)
		abort();
	return o;
}

static bool use(void *p, uint32_t key, bool is_end)
{
	struct ours *o = p;
	struct evict_item *it = &o->items[key];
	bool hit = it->part != EVICT_OUT;

	it->key = key;
	it->bytes = PIECE;
	it->is_end = is_end;
	evict_use(&o->evict, it);
	if (hit)
		return true;
	evict_add(&o->evict, it);
	if (++o->n <= o->room)
		return false;
	evict_del(&o->evict, evict_pick(&o->evict));
	o->n--;
	return false;
}

static void end(void *p)
{
	struct ours *o = p;

	evict_fini(&o->evict);
	mem_free(o->items);
	mem_free(o);
}

const struct policy policy_ours = {"shoalfs", make, use, end};

double policy_try(const struct policy *p, const struct trace *t, uint32_t room)
{
	void *state = p->make(room, t->n_keys);
	uint64_t hits = 0;

	for (uint64_t i = 0; i < t->n; i++)
		hits += p->use(state, t->keys[i], t->is_end[t->keys[i]]);
	p->end(state);
	return (double)hits / (double)t->n;
}
