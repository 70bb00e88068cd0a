/* store_disk_lost — blobs that are gone: missing, cut, or unlinked while we had
 * them open.
 *
 * There is nothing in them to hash. Their pieces are told to be lost, their
 * rows go in one transaction, and then the blob may be made anew. Not before: a
 * row must never speak of a hole in the new one. So a put that is under way to
 * the old one, or an eviction that punches it, ends first, and puts that come
 * meanwhile wait (disk_doubt_bars).
 *
 * All on a turn of its own, for whoever finds it out is in the middle of
 * something.
 *
 * Failure modes: no memory: the blob is *stuck*; what was in it is found to be
 * gone piece by piece, and nothing is kept in it until the torrent is opened
 * again. The rows cannot be written: the same, and no put waits any more.
 *
 * Threads: loop. */
#include "cache/store_disk_internal.h"

#include <errno.h>

#include "cache/doubt_job.h"
#include "cache/extent.h"
#include "core/err.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/metainfo.h"

static void on_rows_gone(struct job *job)
{
	struct doubt_lose *l = CONTAINER_OF(job, struct doubt_lose, job);
	struct disk *d = l->disk;

	d->stats.held_bytes -= l->dropped_bytes;
	if (l->err != 0)
		log_warn("store: pieces that are gone are still in the index: "
			 "%s",
			 err_text(l->err));
	d->doubts.has_failed |= l->err != 0;
	for (uint32_t i = 0; i < l->n && l->err == 0; i++)
		bits_clear(&l->t->claimed, l->pieces[i].ix);
	loop_defer(d->loop, &d->doubts.lost_task);
	if (l->t != NULL)
		blobs_set_drop(&l->t->blobs);
	mem_free(l);
}

static struct doubt_lose *lose_new(struct disk *d, uint32_t n)
{
	struct doubt_lose *l =
		mem_zalloc(1, sizeof(*l) + n * sizeof(l->pieces[0]));

	if (l == NULL)
		return NULL;
	l->disk = d;
	l->index = d->index;
	l->job = (struct job){.run = doubt_job_lose, .done = on_rows_gone};
	return l;
}

/* Is a put under way whose row would speak of it? */
static bool is_being_put(const struct watched *w)
{
	const struct put *p;
	uint32_t first, last;

	if (w->shared == NULL) {
		first = extent_pieces(watched_torrent(w)->mi, w->file_ix,
				      &last);
		return doubt_next_put(watched_torrent(w), NULL, first, last) !=
		       NULL;
	}
	TAILQ_FOREACH (p, &watched_disk(w)->puts, link)
		if (p->kind != PUT_OWN && p->stage != PUT_WAITING &&
		    disk_file_of(p->leaves.use) == watched_file(w))
			return true;
	return false;
}

/* What is held in it is told to be lost, and its rows go. */
static void lose_own(struct watched *w)
{
	struct disk_torrent *t = watched_torrent(w);
	uint32_t last, first = extent_pieces(t->mi, w->file_ix, &last);
	struct doubt_lose *l = lose_new(t->disk, last - first + 1);

	w->is_stuck = l == NULL; /* each goes when somebody wants it */
	if (l == NULL)
		return;
	l->t = t;
	l->row = t->row;
	blobs_set_hold(&t->blobs);
	for (uint32_t ix = bits_next(&t->claimed, first);
	     ix <= last && ix < t->claimed.n;
	     ix = bits_next(&t->claimed, ix + 1))
		l->pieces[l->n++] = (struct doubt_piece){
			ix, metainfo_body_bytes(t->mi, ix)};
	for (uint32_t i = 0; i < l->n && t->mi != NULL; i++) {
		uint32_t ix = l->pieces[i].ix;

		room_doom(t, ix);
		joint_lost(&t->joint, ix);
		if (t->joint.ops != NULL)
			t->joint.ops->on_lost(t->joint.arg, ix);
	}
	workers_submit(t->disk->thread, &l->job);
}

static void lose_shared(struct watched *w)
{
	struct disk_file *f = watched_file(w);
	struct disk *d = watched_disk(w);
	struct doubt_lose *l = lose_new(d, 0);

	w->is_stuck = l == NULL;
	if (l == NULL)
		return;
	l->row = f->row;
	l->is_shared = true;
	workers_submit(d->thread, &l->job);
	joint_evict(&f->base, 0, f->base.n_leaves); /* may free it */
}

static bool has_rows(const struct watched *w)
{
	const struct disk_torrent *t;
	uint32_t first, last;

	if (w->shared != NULL)
		return watched_file(w)->base.leaves.n_set > 0;
	t = watched_torrent(w);
	first = extent_pieces(t->mi, w->file_ix, &last);
	return bits_next(&t->claimed, first) <= last;
}

static void make_anew(struct watched *w)
{
	if (w->shared != NULL) {
		struct disk_file *f = watched_file(w);

		doubt_clear(&f->doubt, 0, f->base.n_leaves);
	} else {
		uint32_t last, first;

		first = extent_pieces(watched_torrent(w)->mi, w->file_ix,
				      &last);
		doubt_clear(&watched_torrent(w)->doubt, first,
			    last - first + 1);
	}
	blobs_close_lost(w);
	batch_on_room(watched_disk(w)); /* puts waited */
}

/* One step of one blob; false: there is nothing to do but wait. */
static bool lose_one(struct watched *w)
{
	if (!w->seen.is_lost)
		return false;
	watched_disk(w)->doubts.has_lost = true; /* until it is made anew */
	if (w->seen.n_writers > 0 ||
	    (w->shared == NULL && watched_torrent(w)->mi == NULL) ||
	    is_being_put(w))
		return false;
	if (!has_rows(w)) {
		make_anew(w);
		return true;
	}
	if (w->is_losing)
		return false;
	w->is_losing = true;
	if (w->shared != NULL)
		lose_shared(w);
	else
		lose_own(w);
	return true;
}

static bool lose_in(struct disk_torrent *t)
{
	const struct joint_use *use;
	struct watched *w;

	for (uint32_t i = 0; t->mi != NULL && i < t->mi->n_files; i++) {
		w = blobs_find_watched(&t->blobs, NULL, i);
		if (w != NULL && lose_one(w))
			return true;
	}
	if (t->mi == NULL)
		return false;
	LIST_FOREACH (use, &t->joint.list, of_torrent)
		if (disk_file_of(use)->files != NULL &&
		    lose_one(&disk_file_of(use)->blob.watched))
			return true;
	return false;
}

/* Whoever is told may close torrents: from the front again after each. */
void disk_lost_task(void *arg)
{
	struct disk *d = arg;
	struct disk_torrent *t;
	bool any = d->doubts.has_lost;

	d->doubts.has_lost = false;
	while (any) {
		any = false;
		LIST_FOREACH (t, &d->torrents, link) {
			any = lose_in(t);
			if (any)
				break;
		}
	}
}

void disk_doubt_look(struct disk *d)
{
	if (d->doubts.has_lost)
		loop_defer(d->loop, &d->doubts.lost_task);
}

/* ---- puts that wait for it ---- */

static bool is_going(const struct watched *w)
{
	return w != NULL && w->seen.is_lost && !w->is_stuck;
}

bool disk_doubt_bars(const struct put *p)
{
	struct disk_torrent *t = p->t;
	struct extent_walk walk;
	struct extent e;
	bool bars = false;

	if (!t->disk->doubts.has_lost || t->disk->doubts.has_failed ||
	    t->disk->err != 0 || t->mi == NULL)
		return false;
	if (p->kind != PUT_OWN)
		return is_going(&disk_file_of(p->leaves.use)->blob.watched);
	extent_walk_init(&walk, t->mi,
			 (uint64_t)p->piece_ix * t->mi->piece_bytes,
			 metainfo_piece_bytes(t->mi, p->piece_ix));
	while (extent_next(&walk, &e) && !bars)
		bars = e.file_ix != EXTENT_NO_FILE &&
		       is_going(blobs_find_watched(&t->blobs, NULL, e.file_ix));
	return bars;
}
