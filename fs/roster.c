/* roster — which torrents are shown in the root, under which names.
 *
 * Names. The one that came first keeps the plain name; a later one of the
 * same name gets " [first 8 digits of its info-hash]", and if even that is
 * taken, its whole info-hash in brackets; who has taken that as well must
 * have meant to, and the later one is refused. So no name changes under a
 * reader. Names with a meaning of their own (an info-hash, ".shoalfs") always
 * get the suffix: whoever makes torrents must not be able to stand in for
 * another.
 *
 * Order. The root is listed by age, so that a listing that is under way when
 * a torrent is added neither skips nor repeats one. */
#include "fs/roster.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "core/err.h"
#include "core/hmap.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "fs/inode.h"
#include "fs/node.h"
#include "fs/tree.h"
#include "net/torrent.h"

int roster_init(struct roster *r)
{
	memset(r, 0, sizeof(*r));
	return hmap_new(sizeof(uint64_t), &r->by_base);
}

static void free_shown(struct shown *s)
{
	if (s == NULL)
		return;
	tree_free(s->tree);
	mem_free(s);
}

void roster_fini(struct roster *r)
{
	for (uint32_t i = 0; i < r->n; i++) {
		torrent_set_user(r->by_age[i]->torrent, NULL);
		free_shown(r->by_age[i]);
	}
	mem_free(r->by_age);
	mem_free(r->by_name);
	hmap_free(r->by_base);
	memset(r, 0, sizeof(*r));
}

/* ---- names ---- */

bool roster_name_is_hash(const char *name)
{
	size_t len = strlen(name);

	return (len == 2 * HASH_SHA1_BYTES || len == 2 * HASH_SHA256_BYTES) &&
	       strspn(name, "0123456789abcdefABCDEF") == len;
}

/* Where `name` is or would be in by_name. */
static uint32_t place(const struct roster *r, const char *name, bool *found)
{
	uint32_t lo = 0, hi = r->n;

	*found = false;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		int c = strcmp(name, r->by_name[mid]->name);

		if (c == 0) {
			*found = true;
			return mid;
		}
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

static bool is_free(const struct roster *r, const char *name)
{
	bool found;

	(void)place(r, name, &found);
	return !found && name[0] != '\0' && strchr(name, '/') == NULL &&
	       strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
	       strcmp(name, NODE_CONTROL_NAME) != 0 &&
	       !roster_name_is_hash(name);
}

/* The metainfo's name has at most NAME_MAX_BYTES (240), so that the short
 * suffix of 11 fits; the precision is for the compiler. */
static int choose_name(const struct roster *r, struct shown *s)
{
	char hex[TORRENT_HEX_BYTES];

	snprintf(s->name, sizeof(s->name), "%s", s->mi->name);
	if (is_free(r, s->name))
		return 0;
	torrent_id_hex(&s->mi->id, hex);
	snprintf(s->name, sizeof(s->name), "%.240s [%.8s]", s->mi->name, hex);
	if (is_free(r, s->name))
		return 0;
	snprintf(s->name, sizeof(s->name), "[%s]", hex);
	return is_free(r, s->name) ? 0 : EEXIST;
}

/* ---- adding ---- */

static int make_room(struct roster *r)
{
	uint32_t room = r->room != 0 ? 2 * r->room : 16;
	struct shown **grown;

	if (r->n < r->room)
		return 0;
	grown = mem_grow(r->by_age, room, sizeof(struct shown *));
	if (grown == NULL)
		return ENOMEM;
	r->by_age = grown;
	grown = mem_grow(r->by_name, room, sizeof(struct shown *));
	if (grown == NULL)
		return ENOMEM;
	r->by_name = grown;
	r->room = room;
	return 0;
}

static void insert(struct roster *r, struct shown *s)
{
	bool found;
	uint32_t at = place(r, s->name, &found);

	assert(!found);
	memmove(&r->by_name[at + 1], &r->by_name[at],
		(r->n - at) * sizeof(struct shown *));
	r->by_name[at] = s;
	r->by_age[r->n++] = s;
}

int roster_add(struct roster *r, struct torrent *t, struct shown **out)
{
	const struct metainfo *mi = torrent_metainfo(t);
	struct shown *s;
	int err;

	assert(mi != NULL);
	err = make_room(r);
	if (err != 0)
		return err;
	s = mem_new(struct shown);
	if (s == NULL)
		return ENOMEM;
	s->torrent = t;
	s->mi = mi;
	s->base = inode_base(&mi->id);
	s->time_s = mi->created_s > 0 ? mi->created_s : torrent_added_s(t);
	err = choose_name(r, s);
	if (err != 0)
		goto free_s;
	err = tree_new(mi, &s->tree);
	if (err != 0)
		goto free_s;
	err = hmap_put(r->by_base, &s->base, s);
	if (err != 0)
		goto free_s;
	insert(r, s);
	torrent_set_user(t, s);
	*out = s;
	return 0;
free_s:
	free_shown(s);
	return err;
}

struct shown *roster_by_name(const struct roster *r, const char *name)
{
	bool found;
	uint32_t at = place(r, name, &found);

	return found ? r->by_name[at] : NULL;
}

struct shown *roster_by_base(const struct roster *r, uint64_t base)
{
	return hmap_get(r->by_base, &base);
}
