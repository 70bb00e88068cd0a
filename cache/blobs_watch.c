/* blobs_watch — blobs that somebody else may change.
 *
 * Purpose: sight.h says what can be seen of a blob; here is which blob it is,
 * and who hears of it. What a changed blob means is its owner's to know
 * (on_changed): blobs have no pieces.
 *
 * A blob that was changed by anybody is *unkept*: the index does not know how
 * it is now. Whoever writes rows takes that list along.
 *
 * Threads: loop. */
#include "cache/blobs.h"

#include "core/hmap.h"
#include "core/mem.h"

struct watched *blobs_watch(struct blob_set *set, uint32_t file_ix)
{
	struct watched *w = hmap_get(set->seen, &file_ix);

	if (w != NULL)
		return w;
	w = mem_new(struct watched);
	if (w == NULL)
		return NULL;
	w->set = set;
	w->file_ix = file_ix;
	sight_init(&w->seen);
	if (hmap_put(set->seen, &file_ix, w) == 0)
		return w;
	sight_fini(&w->seen);
	mem_free(w);
	return NULL;
}

struct watched *blobs_find_watched(struct blob_set *set,
				   struct shared_blob *shared, uint32_t file_ix)
{
	return shared != NULL ? &shared->watched
			      : hmap_get(set->seen, &file_ix);
}

void blobs_unkept(struct watched *w)
{
	struct blobs *t = w->set->table;

	w->seen.is_kept = false;
	if (w->is_listed || t->on_unkept == NULL)
		return;
	w->is_listed = true;
	TAILQ_INSERT_TAIL(&t->unkept, w, link);
	t->on_unkept(t);
}

void blobs_kept(struct watched *w)
{
	if (w->is_listed)
		TAILQ_REMOVE(&w->set->table->unkept, w, link);
	w->is_listed = false;
}

void blobs_look_begin(struct glance *l, struct watched *w, bool is_write)
{
	look_begin(l, w != NULL ? &w->seen : NULL, is_write);
}

enum look_end blobs_look_end(struct glance *l)
{
	struct watched *w =
		l->seen != NULL ? CONTAINER_OF(l->seen, struct watched, seen)
				: NULL;
	enum look_end end = look_end(l);

	if (w == NULL)
		return end;
	if (!w->seen.is_kept)
		blobs_unkept(w);
	if (end == LOOK_SAME || end == LOOK_LATE)
		return end; /* whoever found it has told */
	if (w->set->table->on_changed != NULL)
		w->set->table->on_changed(w, end == LOOK_LOST);
	return end;
}

void blobs_close_lost(struct watched *w)
{
	sight_forget(&w->seen);
	w->is_doubtful = false;
	w->is_losing = false;
	blobs_kept(w);
	if (w->shared != NULL)
		w->shared->is_made = false;
	else
		bits_clear(&w->set->made, w->file_ix);
	blobs_close_key(w->set,
			w->shared != NULL ? w->shared->key : w->file_ix);
}
