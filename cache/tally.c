/* tally — see tally.h.
 *
 * Purpose: figures that a person sees must not go back when the process was
 * killed and started anew. So what is shown (`kept`) is what is on the disk,
 * a few seconds behind what was counted (`counted`). The other way, to write
 * down more than was counted, would show what never was.
 *
 * What is written are sums and not differences: written once more, after an
 * error of unknown effect, they say the same.
 *
 * Invariants: 1. kept <= counted, each of the three; `all` is the sum of every
 * kept, and of what was removed. 2. One is in `dirty` when counted is more than
 * kept and nobody has taken it. */
#include "cache/tally.h"

#include <errno.h>
#include <string.h>

#include "core/hmap.h"
#include "core/mem.h"

struct tally_one {
	struct torrent_id id;
	struct traffic counted, kept;
	bool is_dirty;
	TAILQ_ENTRY(tally_one) link;
};

/* Raise `kept` to `to`, and `all` with it. */
static void raise_one(uint64_t *kept, uint64_t to, uint64_t *all)
{
	if (to <= *kept)
		return;
	*all += to - *kept;
	*kept = to;
}

static void raise_kept(struct tally *t, struct traffic *kept,
		       const struct traffic *to)
{
	raise_one(&kept->down_bytes, to->down_bytes, &t->all.down_bytes);
	raise_one(&kept->up_bytes, to->up_bytes, &t->all.up_bytes);
	raise_one(&kept->waste_bytes, to->waste_bytes, &t->all.waste_bytes);
}

static struct tally_one *find(const struct tally *t,
			      const struct torrent_id *id)
{
	for (unsigned side = 0; side < TORRENT_SIDES; side++) {
		const uint8_t *wire =
			torrent_id_side(id, (enum torrent_side)side);
		struct tally_one *one =
			wire != NULL ? hmap_get(t->by_hash, wire) : NULL;

		if (one != NULL && torrent_id_matches(&one->id, id))
			return one;
	}
	return NULL;
}

static void leave(struct tally *t, const struct tally_one *one)
{
	for (unsigned side = 0; side < TORRENT_SIDES; side++) {
		const uint8_t *wire =
			torrent_id_side(&one->id, (enum torrent_side)side);

		if (wire != NULL && hmap_get(t->by_hash, wire) == one)
			(void)hmap_del(t->by_hash, wire);
	}
}

static int enter(struct tally *t, struct tally_one *one)
{
	int err = 0;

	for (unsigned side = 0; side < TORRENT_SIDES && err == 0; side++) {
		const uint8_t *wire =
			torrent_id_side(&one->id, (enum torrent_side)side);

		if (wire != NULL)
			err = hmap_put(t->by_hash, wire, one);
		if (err == EEXIST) /* half a hash is another's */
			err = 0;
	}
	return err;
}

static struct tally_one *one_new(struct tally *t, const struct torrent_id *id)
{
	struct tally_one *one = mem_new(struct tally_one);

	if (one == NULL)
		return NULL;
	one->id = *id;
	/* Another that contradicts it may have both its names. */
	if (enter(t, one) != 0 || find(t, id) != one) {
		leave(t, one);
		mem_free(one);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&t->clean, one, link);
	return one;
}

static void set_dirty(struct tally *t, struct tally_one *one, bool is_dirty)
{
	if (one->is_dirty == is_dirty)
		return;
	one->is_dirty = is_dirty;
	if (is_dirty) {
		TAILQ_REMOVE(&t->clean, one, link);
		TAILQ_INSERT_TAIL(&t->dirty, one, link);
		t->n_dirty++;
	} else {
		TAILQ_REMOVE(&t->dirty, one, link);
		TAILQ_INSERT_TAIL(&t->clean, one, link);
		t->n_dirty--;
	}
}

int tally_init(struct tally *t)
{
	*t = (struct tally){0};
	TAILQ_INIT(&t->dirty);
	TAILQ_INIT(&t->clean);
	return hmap_new(TORRENT_WIRE_BYTES, &t->by_hash);
}

static void free_all(struct tally_list *list)
{
	struct tally_one *one;

	while ((one = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, one, link);
		mem_free(one);
	}
}

void tally_fini(struct tally *t)
{
	free_all(&t->dirty);
	free_all(&t->clean);
	hmap_free(t->by_hash);
}

int tally_load(struct tally *t, const struct tally_row *row)
{
	struct tally_one *one = find(t, &row->id);

	if (one == NULL)
		one = one_new(t, &row->id);
	if (one == NULL)
		return ENOMEM;
	one->counted = row->counted;
	raise_kept(t, &one->kept, &row->counted);
	return 0;
}

int tally_count(struct tally *t, const struct torrent_id *id,
		const struct traffic *more)
{
	struct tally_one *one = find(t, id);

	if (one == NULL)
		one = one_new(t, id);
	if (one == NULL)
		return ENOMEM;
	traffic_add(&one->counted, more);
	set_dirty(t, one, true);
	return 0;
}

void tally_take(struct tally *t, struct tally_rows *rows)
{
	struct tally_one *one;

	*rows = (struct tally_rows){0};
	if (t->n_dirty == 0)
		return;
	rows->v = mem_zalloc(t->n_dirty, sizeof(*rows->v));
	while (rows->v != NULL && (one = TAILQ_FIRST(&t->dirty)) != NULL) {
		rows->v[rows->n++] = (struct tally_row){
			.id = one->id, .counted = one->counted};
		set_dirty(t, one, false);
	}
}

void tally_kept(struct tally *t, struct tally_rows *rows)
{
	for (uint32_t i = 0; i < rows->n; i++) {
		struct tally_one *one = find(t, &rows->v[i].id);

		if (one != NULL)
			raise_kept(t, &one->kept, &rows->v[i].counted);
	}
	mem_free(rows->v);
	*rows = (struct tally_rows){0};
}

void tally_back(struct tally *t, struct tally_rows *rows)
{
	for (uint32_t i = 0; i < rows->n; i++) {
		struct tally_one *one = find(t, &rows->v[i].id);

		if (one != NULL)
			set_dirty(t, one, true);
	}
	mem_free(rows->v);
	*rows = (struct tally_rows){0};
}

bool tally_counted(const struct tally *t, const struct torrent_id *id,
		   struct traffic *out)
{
	const struct tally_one *one = find(t, id);

	if (one != NULL)
		*out = one->counted;
	return one != NULL;
}

static void one_free(struct tally *t, struct tally_one *one)
{
	set_dirty(t, one, false);
	TAILQ_REMOVE(&t->clean, one, link);
	leave(t, one);
	mem_free(one);
}

void tally_drop(struct tally *t, const struct torrent_id *id)
{
	struct tally_one *one = find(t, id);

	if (one == NULL)
		return;
	raise_kept(t, &one->kept, &one->counted);
	one_free(t, one);
}

void tally_forget(struct tally *t, const struct torrent_id *id)
{
	struct tally_one *one = find(t, id);

	if (one == NULL)
		return;
	traffic_sub(&t->all, &one->kept);
	one_free(t, one);
}

void tally_get(const struct tally *t, const struct torrent_id *id,
	       struct traffic *out)
{
	const struct tally_one *one = find(t, id);

	*out = one != NULL ? one->kept : (struct traffic){0};
}
