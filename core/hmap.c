/* hmap — a hash table from fixed-length keys to pointers.
 *
 * Purpose: look-ups by what strangers choose (node ids, info-hashes,
 * addresses), hence SipHash under a random key of each map: nobody outside
 * can aim many keys at one place.
 *
 * Words. Slot: one place of the table. Home: the slot a key's hash points at.
 * Run: occupied slots without a gap, going round the end of the table. A run
 * is what linear probing searches: a key lies in the run of its home, at or
 * after its home.
 *
 * Deleting leaves no tombstone: the later slots of the run move back to close
 * the gap, each only as far as its own home allows. So the table's speed does
 * not depend on its history.
 *
 * Walking goes *down*, because closing a gap moves keys down: what moves into
 * the slot just emptied comes from above it, and was visited before. The one
 * run that could go round the end is kept whole: the walk begins under the
 * highest empty slot and ends, after going round, above it.
 *
 * Invariants
 *   1. n_slots is a power of two and n < n_slots: there is an empty slot.
 *   2. a slot is empty iff its value is NULL; so no value may be NULL.
 *   3. between a key's home and its slot no slot is empty.
 *
 * Keys that lie in the values are not copied: a slot is then 16 bytes, and one
 * look at a key settles almost always what the hash left open.
 *
 * Failure: growing (at 3/4) may give ENOMEM; the table is then unchanged.
 * The table does not shrink. */
#include "core/hmap.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "core/mem.h"
#include "core/rng.h"
#include "core/siphash.h"

enum { SLOTS_MIN = 8, KEY_MAX = 64 };

#define KEY_COPIED SIZE_MAX

struct slot {
	void *value;
	uint64_t hash;
	uint8_t key[];
};

struct hmap {
	uint8_t *slots;
	size_t n_slots;
	size_t slot_bytes;
	size_t key_len;
	size_t key_at; /* in the value; KEY_COPIED: in the slot */
	size_t n;
	struct siphash_key secret;
};

static struct slot *slot_at(const struct hmap *m, size_t i)
{
	return (struct slot *)(void *)(m->slots + i * m->slot_bytes);
}

static const uint8_t *key_in(const struct hmap *m, const struct slot *s)
{
	return m->key_at == KEY_COPIED ? s->key
				       : (const uint8_t *)s->value + m->key_at;
}

static size_t after(const struct hmap *m, size_t i)
{
	return (i + 1) & (m->n_slots - 1);
}

/* How far slot `to` lies behind slot `from`, going round. */
static size_t distance(const struct hmap *m, size_t from, size_t to)
{
	return (to - from) & (m->n_slots - 1);
}

static size_t home_of(const struct hmap *m, uint64_t hash)
{
	return (size_t)hash & (m->n_slots - 1);
}

static int make(size_t key_len, size_t key_at, struct hmap **out)
{
	struct hmap *m;
	size_t bytes = sizeof(struct slot);

	assert(key_len >= 1 && key_len <= KEY_MAX);
	if (key_at == KEY_COPIED)
		bytes += key_len;
	m = mem_new(struct hmap);
	if (m == NULL)
		return ENOMEM;
	m->key_len = key_len;
	m->key_at = key_at;
	m->slot_bytes = (bytes + _Alignof(struct slot) - 1) &
			~(_Alignof(struct slot) - 1);
	m->n_slots = SLOTS_MIN;
	m->slots = mem_zalloc(m->n_slots, m->slot_bytes);
	if (m->slots == NULL) {
		mem_free(m);
		return ENOMEM;
	}
	rng_bytes(&m->secret, sizeof(m->secret));
	*out = m;
	return 0;
}

int hmap_new(size_t key_len, struct hmap **out)
{
	return make(key_len, KEY_COPIED, out);
}

int hmap_new_within(size_t key_len, size_t key_at, struct hmap **out)
{
	return make(key_len, key_at, out);
}

void hmap_free(struct hmap *m)
{
	if (m == NULL)
		return;
	mem_free(m->slots);
	mem_free(m);
}

/* The slot that holds `key`, or the empty one where it would go. */
static size_t find(const struct hmap *m, const void *key, uint64_t hash)
{
	size_t i = home_of(m, hash);

	for (;; i = after(m, i)) {
		const struct slot *s = slot_at(m, i);

		if (s->value == NULL)
			return i;
		if (s->hash == hash &&
		    memcmp(key_in(m, s), key, m->key_len) == 0)
			return i;
	}
}

/* The first empty slot from a hash's home on. */
static size_t gap_for(const struct hmap *m, uint64_t hash)
{
	size_t i = home_of(m, hash);

	while (slot_at(m, i)->value != NULL)
		i = after(m, i);
	return i;
}

static int grow(struct hmap *m, size_t n_slots)
{
	struct hmap wide = *m;

	wide.n_slots = n_slots;
	wide.slots = mem_zalloc(wide.n_slots, wide.slot_bytes);
	if (wide.slots == NULL)
		return ENOMEM;
	for (size_t i = 0; i < m->n_slots; i++) {
		const struct slot *s = slot_at(m, i);

		if (s->value != NULL)
			memcpy(slot_at(&wide, gap_for(&wide, s->hash)), s,
			       m->slot_bytes);
	}
	mem_free(m->slots);
	*m = wide;
	return 0;
}

static bool is_enough(size_t n_slots, size_t n)
{
	return n <= n_slots / 4 * 3;
}

int hmap_reserve(struct hmap *m, size_t n)
{
	size_t n_slots = m->n_slots;

	while (!is_enough(n_slots, n))
		n_slots *= 2;
	return n_slots > m->n_slots ? grow(m, n_slots) : 0;
}

int hmap_put(struct hmap *m, const void *key, void *value)
{
	uint64_t hash = siphash(&m->secret, key, m->key_len);
	struct slot *s = slot_at(m, find(m, key, hash));
	int r;

	assert(value != NULL);
	if (s->value != NULL)
		return EEXIST;
	if (!is_enough(m->n_slots, m->n + 1)) {
		r = grow(m, 2 * m->n_slots);
		if (r != 0)
			return r;
		s = slot_at(m, find(m, key, hash));
	}
	s->value = value;
	s->hash = hash;
	if (m->key_at == KEY_COPIED)
		memcpy(s->key, key, m->key_len);
	m->n++;
	return 0;
}

void *hmap_get(const struct hmap *m, const void *key)
{
	uint64_t hash = siphash(&m->secret, key, m->key_len);

	return slot_at(m, find(m, key, hash))->value;
}

/* Empty slot `gap`: move back what may move, until the run ends. */
static void close_gap(struct hmap *m, size_t gap)
{
	for (size_t i = after(m, gap);; i = after(m, i)) {
		const struct slot *s = slot_at(m, i);

		if (s->value == NULL)
			break;
		if (distance(m, home_of(m, s->hash), i) < distance(m, gap, i))
			continue;
		memcpy(slot_at(m, gap), s, m->slot_bytes);
		gap = i;
	}
	slot_at(m, gap)->value = NULL;
}

void *hmap_del(struct hmap *m, const void *key)
{
	uint64_t hash = siphash(&m->secret, key, m->key_len);
	size_t i = find(m, key, hash);
	void *value = slot_at(m, i)->value;

	if (value == NULL)
		return NULL;
	close_gap(m, i);
	m->n--;
	return value;
}

size_t hmap_count(const struct hmap *m)
{
	return m->n;
}

/* *pos: 0 before the walk; 1 … n_slots: the slots below that number are to
 * come, then the round; above: the slots below *pos - n_slots are, down to
 * the first empty one; SIZE_MAX after the end. */
void *hmap_next(const struct hmap *m, size_t *pos)
{
	size_t i = *pos;

	if (i == SIZE_MAX)
		return NULL;
	if (i == 0) {
		i = m->n_slots;
		while (slot_at(m, i - 1)->value != NULL)
			i--;
	}
	while (i > 0 && i <= m->n_slots) {
		void *value = slot_at(m, i - 1)->value;

		i = i > 1 ? i - 1 : 2 * m->n_slots;
		if (value != NULL) {
			*pos = i;
			return value;
		}
	}
	*pos = i - 1;
	i -= m->n_slots;
	if (slot_at(m, i - 1)->value != NULL)
		return slot_at(m, i - 1)->value;
	*pos = SIZE_MAX;
	return NULL;
}
