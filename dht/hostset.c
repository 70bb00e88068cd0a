/* hostset — direct-mapped: an entry's place is its tag's low bits, and who
 * comes later wins it. It doubles while it is half full, up to its limit. */
#include "dht/hostset.h"

#include "core/mem.h"
#include "dht/shelf.h" /* CONTACT_TICK_S */

struct hostset_entry {
	uint32_t tag; /* 0: free */
	uint16_t tick;
};

enum { SLOTS_AT_FIRST = 16 };

void hostset_init(struct hostset *s, uint32_t max)
{
	*s = (struct hostset){.max = max};
}

void hostset_fini(struct hostset *s)
{
	mem_free(s->entries);
	hostset_init(s, s->max);
}

void hostset_clear(struct hostset *s)
{
	hostset_fini(s);
}

static uint32_t tag_of(uint64_t hash)
{
	uint32_t tag = (uint32_t)(hash >> 32);

	return tag != 0 ? tag : 1;
}

static struct hostset_entry *place(const struct hostset *s, uint32_t tag)
{
	return &s->entries[tag & (s->slots - 1)];
}

static void grow(struct hostset *s)
{
	struct hostset old = *s;
	uint32_t slots = s->slots > 0 ? s->slots * 2 : SLOTS_AT_FIRST;

	s->entries = mem_zalloc(slots, sizeof(*s->entries));
	if (!s->entries) {
		s->entries = old.entries;
		return;
	}
	s->slots = slots;
	for (uint32_t i = 0; i < old.slots; i++)
		if (old.entries[i].tag != 0)
			*place(s, old.entries[i].tag) = old.entries[i];
	mem_free(old.entries);
}

void hostset_add(struct hostset *s, uint64_t hash, uint16_t tick)
{
	struct hostset_entry *e;

	if (s->n >= s->slots / 2 && s->slots < s->max)
		grow(s);
	if (s->slots == 0)
		return;
	e = place(s, tag_of(hash));
	s->n += e->tag == 0 ? 1 : 0;
	*e = (struct hostset_entry){.tag = tag_of(hash), .tick = tick};
}

void hostset_del(struct hostset *s, uint64_t hash)
{
	struct hostset_entry *e;

	if (s->slots == 0)
		return;
	e = place(s, tag_of(hash));
	if (e->tag != tag_of(hash))
		return;
	e->tag = 0;
	s->n--;
}

bool hostset_has(const struct hostset *s, uint64_t hash, uint16_t tick,
		 uint32_t most_s)
{
	const struct hostset_entry *e;

	if (s->slots == 0)
		return false;
	e = place(s, tag_of(hash));
	return e->tag == tag_of(hash) &&
	       (uint32_t)(uint16_t)(tick - e->tick) * CONTACT_TICK_S <= most_s;
}
