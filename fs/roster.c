/* roster — which torrents are shown in the root, under which names.
 *
 * Names. The one that came first keeps the plain name; a later one of the
 * same name gets " [first 8 digits of its info-hash]", and if even that is
 * taken, its whole info-hash in brackets; who has taken that as well must
 * have meant to, and the later one is refused. So no name changes under a
 * reader. Names with a meaning of their own (an info-hash, a key,
 * ".shoalfs") always get the suffix: whoever makes torrents must not be able to
 * stand in for another. A record has the name that was chosen, so that "first"
 * means the same after a restart.
 *
 * Order. The root is listed by base, which is what inode numbers begin with: no
 * other torrent has that place, so that a listing that is under way when one is
 * added or removed neither skips nor repeats another. And whoever goes through
 * the root, by the order of the listing or by that of inode numbers (as fts
 * does in a large directory), comes to the same one next (walkahead.h).
 *
 * Many. A mount may remember 100 000: they are loaded unsorted and sorted once;
 * bases lie beside the pointers, so that neither that nor a search looks at
 * each torrent.
 * What is in memory of one that nobody looks at is its struct shown, its name,
 * and its places in two tables and two arrays. */
#include "fs/roster.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/be.h"
#include "core/err.h"
#include "core/hmap.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "fs/inode.h"
#include "fs/keylink.h"
#include "fs/node.h"
#include "fs/tree.h"
#include "net/torrent.h"

int roster_init(struct roster *r)
{
	int err;

	memset(r, 0, sizeof(*r));
	err = hmap_new_within(sizeof(uint64_t), offsetof(struct shown, base),
			      &r->by_base);
	if (err == 0)
		err = hmap_new_within(TORRENT_WIRE_BYTES,
				      offsetof(struct shown, id.v1.bytes),
				      &r->by_side[TORRENT_V1]);
	if (err == 0)
		err = hmap_new_within(TORRENT_WIRE_BYTES,
				      offsetof(struct shown, id.v2.bytes),
				      &r->by_side[TORRENT_V2]);
	return err;
}

void roster_drop(struct shown *s)
{
	tree_free(s->tree);
	s->tree = NULL;
	if (s->torrent != NULL)
		torrent_set_user(s->torrent, NULL);
	else
		metainfo_free(s->mi);
	s->torrent = NULL;
	s->mi = NULL;
}

static void free_shown(struct shown *s)
{
	if (s == NULL)
		return;
	roster_drop(s);
	mem_free(s->name);
	mem_free(s);
}

void roster_fini(struct roster *r)
{
	for (uint32_t i = 0; i < r->n; i++)
		free_shown(r->listed[i].shown);
	mem_free(r->listed);
	mem_free(r->by_name);
	hmap_free(r->by_base);
	for (int side = 0; side < TORRENT_SIDES; side++)
		hmap_free(r->by_side[side]);
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

static bool is_proper(const char *name)
{
	return name[0] != '\0' && strchr(name, '/') == NULL &&
	       strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
	       strcmp(name, NODE_CONTROL_NAME) != 0 &&
	       strcmp(name, NODE_IGNORE_NAME) != 0 &&
	       !roster_name_is_hash(name) && !keylink_name_is(name);
}

static bool is_free(const struct roster *r, const char *name)
{
	bool found;

	(void)place(r, name, &found);
	return !found && is_proper(name);
}

/* A torrent's own name has at most NAME_MAX_BYTES (240), so that the short
 * suffix of 11 fits; the precision is for the compiler. */
static int choose_name(const struct roster *r, struct shown *s)
{
	char hex[TORRENT_HEX_BYTES], name[NAME_BUF_BYTES];

	if (is_free(r, s->name))
		return 0;
	torrent_id_hex(&s->id, hex);
	snprintf(name, sizeof(name), "%.240s [%.8s]", s->name, hex);
	if (!is_free(r, name))
		snprintf(name, sizeof(name), "[%s]", hex);
	if (!is_free(r, name))
		return EEXIST;
	mem_free(s->name);
	s->name = mem_strdup(name);
	return s->name != NULL ? 0 : ENOMEM;
}

/* ---- the tables ---- */

static int widen(struct roster *r, uint32_t room)
{
	struct listed *listed;
	struct shown **by_name;

	listed = mem_grow(r->listed, room, sizeof(*listed));
	if (listed == NULL)
		return ENOMEM;
	r->listed = listed;
	by_name = mem_grow(r->by_name, room, sizeof(struct shown *));
	if (by_name == NULL)
		return ENOMEM;
	r->by_name = by_name;
	r->room = room;
	return 0;
}

static int make_room(struct roster *r)
{
	return r->n < r->room ? 0 : widen(r, r->room != 0 ? 2 * r->room : 16);
}

/* Without this memory they grow as they must. */
void roster_expect(struct roster *r, uint32_t n)
{
	if (n > r->room)
		(void)widen(r, n);
	(void)hmap_reserve(r->by_base, n);
	(void)hmap_reserve(r->by_side[TORRENT_V1], n);
}

static void leave_tables(struct roster *r, const struct shown *s)
{
	const uint8_t *wire;

	if (hmap_get(r->by_base, &s->base) == s)
		(void)hmap_del(r->by_base, &s->base);
	for (int side = 0; side < TORRENT_SIDES; side++) {
		wire = torrent_id_side(&s->id, (enum torrent_side)side);
		if (wire != NULL && hmap_get(r->by_side[side], wire) == s)
			(void)hmap_del(r->by_side[side], wire);
	}
}

static int enter_tables(struct roster *r, struct shown *s)
{
	const uint8_t *wire;
	int err = hmap_put(r->by_base, &s->base, s);

	for (int side = 0; err == 0 && side < TORRENT_SIDES; side++) {
		wire = torrent_id_side(&s->id, (enum torrent_side)side);
		if (wire == NULL)
			continue;
		err = hmap_get(r->by_side[!side], wire) != NULL
			      ? EEXIST
			      : hmap_put(r->by_side[side], wire, s);
	}
	if (err != 0)
		leave_tables(r, s);
	return err;
}

static int new_shown(const struct record *rec, struct shown **out)
{
	struct shown *s = mem_new(struct shown);

	if (s == NULL)
		return ENOMEM;
	s->id = rec->id;
	s->by = rec->by;
	s->added_s = rec->added_s;
	s->time_s = rec->time_s;
	s->size_bytes = rec->size_bytes;
	s->source_at = rec->source_at;
	s->source_len = rec->source_len;
	s->n_nodes = rec->n_nodes;
	s->n_subdirs = rec->n_subdirs;
	s->base = inode_base(&rec->id);
	s->name = mem_strdup(rec->name);
	if (s->name == NULL) {
		mem_free(s);
		return ENOMEM;
	}
	*out = s;
	return 0;
}

void roster_record(const struct shown *s, struct record *out)
{
	*out = (struct record){
		.id = s->id,
		.by = s->by,
		.added_s = s->added_s,
		.time_s = s->time_s,
		.size_bytes = s->size_bytes,
		.source_at = s->source_at,
		.source_len = s->source_len,
		.n_nodes = s->n_nodes,
		.n_subdirs = s->n_subdirs,
	};
	(void)snprintf(out->name, sizeof(out->name), "%s", s->name);
}

/* ---- adding ---- */

/* Where `base` is or would be in `listed`. */
static uint32_t place_of(const struct roster *r, uint64_t base)
{
	uint32_t lo = 0, hi = r->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (r->listed[mid].base < base)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void put(struct roster *r, struct shown *s, uint32_t name_at,
		uint32_t listed_at)
{
	memmove(&r->by_name[name_at + 1], &r->by_name[name_at],
		(r->n - name_at) * sizeof(struct shown *));
	r->by_name[name_at] = s;
	memmove(&r->listed[listed_at + 1], &r->listed[listed_at],
		(r->n - listed_at) * sizeof(struct listed));
	r->listed[listed_at] = (struct listed){s->base, s};
	r->n++;
	r->n_changes++;
	r->size_bytes += s->size_bytes;
	r->n_nodes += s->n_nodes;
}

static void insert(struct roster *r, struct shown *s)
{
	bool found;
	uint32_t at = place(r, s->name, &found);

	assert(!found);
	put(r, s, at, place_of(r, s->base));
}

int roster_add(struct roster *r, const struct record *rec, struct shown **out)
{
	struct shown *s;
	int err = make_room(r);

	if (err != 0)
		return err;
	err = new_shown(rec, &s);
	if (err != 0)
		return err;
	err = choose_name(r, s);
	if (err == 0)
		err = enter_tables(r, s);
	if (err != 0) {
		free_shown(s);
		return err;
	}
	insert(r, s);
	*out = s;
	return 0;
}

int roster_load(struct roster *r, const struct record *rec)
{
	struct shown *s;
	int err = make_room(r);

	if (err != 0)
		return err;
	err = new_shown(rec, &s);
	if (err != 0)
		return err;
	err = enter_tables(r, s);
	if (err != 0) {
		free_shown(s);
		return err;
	}
	s->is_kept = true;
	put(r, s, r->n, r->n);
	return 0;
}

/* Sorted are names' first bytes, which mostly decide: no look at each name. */
struct sorted {
	uint64_t first; /* as a big-endian number */
	struct shown *s;
	uint32_t at; /* of equal names the older comes first */
};

static uint64_t first_of(const char *name)
{
	uint8_t bytes[sizeof(uint64_t)] = {0};
	size_t len = strlen(name);

	memcpy(bytes, name, len < sizeof(bytes) ? len : sizeof(bytes));
	return be64_get(bytes);
}

static int compare_names(const void *a, const void *b)
{
	const struct sorted *sa = a, *sb = b;
	int c;

	if (sa->first != sb->first)
		return sa->first < sb->first ? -1 : 1;
	c = strcmp(sa->s->name, sb->s->name);
	if (c != 0)
		return c;
	return sa->at < sb->at ? -1 : sa->at > sb->at;
}

static int sort_names(struct roster *r)
{
	struct sorted *all = mem_alloc(r->n * sizeof(*all));

	if (all == NULL)
		return ENOMEM;
	for (uint32_t i = 0; i < r->n; i++)
		all[i] = (struct sorted){first_of(r->by_name[i]->name),
					 r->by_name[i], i};
	qsort(all, r->n, sizeof(*all), compare_names);
	for (uint32_t i = 0; i < r->n; i++)
		r->by_name[i] = all[i].s;
	mem_free(all);
	return 0;
}

static int compare_bases(const void *a, const void *b)
{
	const struct listed *la = a, *lb = b;

	return la->base < lb->base ? -1 : la->base > lb->base;
}

/* Names that were written down are proper and differ; of what was not written
 * by us the later one gets another. */
int roster_loaded(struct roster *r)
{
	uint32_t n = r->n, kept = 0, n_odd = 0;
	struct shown **odd;
	int err = 0;

	if (n == 0)
		return 0;
	r->n_changes++;
	qsort(r->listed, n, sizeof(*r->listed), compare_bases);
	err = sort_names(r);
	if (err != 0)
		return err;
	odd = mem_zalloc(n, sizeof(*odd));
	if (odd == NULL)
		return ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		struct shown *s = r->by_name[i];

		if (!is_proper(s->name) ||
		    (kept > 0 &&
		     strcmp(r->by_name[kept - 1]->name, s->name) == 0))
			odd[n_odd++] = s;
		else
			r->by_name[kept++] = s;
	}
	for (uint32_t i = 0; err == 0 && i < n_odd; i++) {
		bool found;
		uint32_t at;

		r->n = kept; /* of by_name, for as long as it looks there */
		err = choose_name(r, odd[i]);
		at = place(r, odd[i]->name, &found);
		memmove(&r->by_name[at + 1], &r->by_name[at],
			(kept - at) * sizeof(struct shown *));
		r->by_name[at] = odd[i];
		kept++;
	}
	r->n = n;
	mem_free(odd);
	return err;
}

void roster_wake(struct shown *s, struct torrent *t)
{
	s->torrent = t;
	torrent_set_user(t, s);
}

/* ---- removing ---- */

void roster_remove(struct roster *r, struct shown *s)
{
	uint32_t listed = roster_listed_ix(r, s), name = roster_name_ix(r, s);

	r->n--;
	r->n_changes++;
	memmove(&r->listed[listed], &r->listed[listed + 1],
		(r->n - listed) * sizeof(struct listed));
	memmove(&r->by_name[name], &r->by_name[name + 1],
		(r->n - name) * sizeof(struct shown *));
	r->size_bytes -= s->size_bytes;
	r->n_nodes -= s->n_nodes;
	leave_tables(r, s);
	free_shown(s);
}

/* ---- finding ---- */

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

struct shown *roster_by_wire(const struct roster *r,
			     const uint8_t wire[TORRENT_WIRE_BYTES])
{
	struct shown *s = hmap_get(r->by_side[TORRENT_V1], wire);

	return s != NULL ? s : hmap_get(r->by_side[TORRENT_V2], wire);
}

struct shown *roster_by_hash(const struct roster *r, const struct info_hash *h)
{
	struct shown *s = h->len != 0 ? roster_by_wire(r, h->bytes) : NULL;
	enum torrent_side side;

	if (s == NULL)
		return NULL;
	if (h->len == HASH_SHA256_BYTES &&
	    (s->id.v2.len != h->len ||
	     memcmp(s->id.v2.bytes, h->bytes, h->len) != 0))
		return NULL;
	return torrent_id_side_of(&s->id, h->bytes, &side) ? s : NULL;
}

struct shown *roster_by_id(const struct roster *r, const struct torrent_id *id)
{
	struct shown *s = roster_by_hash(r, &id->v1);

	return s != NULL ? s : roster_by_hash(r, &id->v2);
}

struct shown *roster_from(const struct roster *r, uint64_t base)
{
	uint32_t at = place_of(r, base);

	return at < r->n ? r->listed[at].shown : NULL;
}

uint32_t roster_listed_ix(const struct roster *r, const struct shown *s)
{
	uint32_t at = place_of(r, s->base);

	assert(r->listed[at].shown == s);
	return at;
}

uint32_t roster_name_ix(const struct roster *r, const struct shown *s)
{
	bool found;
	uint32_t at = place(r, s->name, &found);

	assert(found && r->by_name[at] == s);
	return at;
}
