/* metainfo_names — which names are taken, each in its directory.
 *
 * A torrent of a million files has a million of them, while it is parsed: so a
 * name is 16 bytes here, and a slot of the table 8: the name's number and what
 * its place follows from. Names are strangers' words, so that is a SipHash
 * under a key of this table's own: nobody can choose many that meet.
 *
 * Invariants: n_slots is a power of two, and a quarter of them is empty; a name
 * lies in the run of occupied slots that begins where its hash points.
 *
 * Failure modes: ENOMEM, and the table is as before. */
#include "core/metainfo_internal.h"

#include <assert.h>
#include <errno.h>

#include "core/be.h"
#include "core/mem.h"
#include "core/name.h"
#include "core/rng.h"
#include "core/siphash.h"

enum { SLOTS_MIN = 16, NAMES_MIN = 12 };

struct slot {
	uint32_t hash;
	uint32_t number; /* of the name, + 1; 0: empty */
};

struct mi_names {
	struct mi_name *name;
	uint32_t n, room;
	struct slot *slot;
	uint32_t n_slots;
	struct siphash_key key;
};

static uint32_t hash_of(const struct mi_names *names, uint32_t dir,
			const char *text)
{
	uint8_t bytes[4 + NAME_BUF_BYTES];
	size_t len = strlen(text);

	assert(len < NAME_BUF_BYTES);
	be32_put(bytes, dir);
	memcpy(bytes + 4, text, len);
	return (uint32_t)siphash(&names->key, bytes, 4 + len);
}

static bool is_enough(uint32_t n_slots, uint32_t n)
{
	return n <= n_slots / 4 * 3;
}

/* Where `hash` goes, or from where it may be. */
static uint32_t home_of(const struct mi_names *names, uint32_t hash)
{
	return hash & (names->n_slots - 1);
}

static void put(struct mi_names *names, struct slot s)
{
	uint32_t i = home_of(names, s.hash);

	while (names->slot[i].number != 0)
		i = (i + 1) & (names->n_slots - 1);
	names->slot[i] = s;
}

static int widen(struct mi_names *names, uint32_t n_slots)
{
	struct slot *old = names->slot;
	uint32_t n_old = names->n_slots;
	struct slot *slot = mem_zalloc(n_slots, sizeof(*slot));

	if (!slot)
		return ENOMEM;
	names->slot = slot;
	names->n_slots = n_slots;
	for (uint32_t i = 0; i < n_old; i++)
		if (old[i].number != 0)
			put(names, old[i]);
	mem_free(old);
	return 0;
}

static int make_room(struct mi_names *names)
{
	uint32_t room = names->room > 0 ? 2 * names->room : NAMES_MIN;
	struct mi_name *grown;

	if (!is_enough(names->n_slots, names->n + 1) &&
	    widen(names, 2 * names->n_slots) != 0)
		return ENOMEM;
	if (names->n < names->room)
		return 0;
	grown = mem_grow(names->name, room, sizeof(*grown));
	if (!grown)
		return ENOMEM;
	names->name = grown;
	names->room = room;
	return 0;
}

int mi_names_new(uint32_t n, struct mi_names **out)
{
	struct mi_names *names = mem_new(struct mi_names);
	uint32_t n_slots = SLOTS_MIN;

	if (!names)
		return ENOMEM;
	while (!is_enough(n_slots, n))
		n_slots *= 2;
	if (widen(names, n_slots) != 0) {
		mem_free(names);
		return ENOMEM;
	}
	rng_bytes(&names->key, sizeof(names->key));
	*out = names;
	return 0;
}

void mi_names_free(struct mi_names *names)
{
	if (!names)
		return;
	mem_free(names->name);
	mem_free(names->slot);
	mem_free(names);
}

int mi_names_add(struct mi_names *names, uint32_t dir, char *text, bool is_dir,
		 uint32_t *ix)
{
	int r = make_room(names);

	if (r != 0)
		return r;
	*ix = names->n++;
	names->name[*ix] =
		(struct mi_name){.text = text, .dir = dir, .is_dir = is_dir};
	put(names, (struct slot){hash_of(names, dir, text), names->n});
	return 0;
}

bool mi_names_find(const struct mi_names *names, uint32_t dir, const char *text,
		   uint32_t *ix)
{
	uint32_t hash = hash_of(names, dir, text);
	uint32_t i = home_of(names, hash);

	for (; names->slot[i].number != 0; i = (i + 1) & (names->n_slots - 1)) {
		const struct mi_name *name;

		if (names->slot[i].hash != hash)
			continue;
		name = &names->name[names->slot[i].number - 1];
		if (name->dir != dir || strcmp(name->text, text) != 0)
			continue;
		*ix = names->slot[i].number - 1;
		return true;
	}
	return false;
}

struct mi_name *mi_names_at(struct mi_names *names, uint32_t ix)
{
	assert(ix < names->n);
	return &names->name[ix];
}
