/* store_disk_doubt — what to make of a blob that somebody else has changed.
 *
 * Purpose: rows say what was verified and written; they do not say that it is
 * still there. What is *doubtful* is held, but goes to nobody before it was
 * hashed again (store_vet).
 *
 * How
 *   1. each commit, and each torrent's end, writes down how its blobs are
 *      (sight.h), beside the rows.
 *   2. a torrent is opened: a blob that is not as it was written down makes
 *      all that is held in it doubtful. So after a crash what was written
 *      behind the last commit's stamp is, and everything else is proven.
 *   3. while it is open each read and write looks at the blob it used
 *      (blobs_watch.c): on_changed.
 *   4. a piece that was hashed and is right is not doubtful any more. When
 *      nothing in the blob is, its stamp is written down again; not before, so
 *      doubts outlive the process.
 *
 * A blob that is *lost* (missing, cut, unlinked) has nothing to hash: its
 * pieces are dropped, on a turn of their own, their rows too, and then it may
 * be made anew. A put that was under way to it ends first: its row must not
 * speak of the new one.
 *
 * Doubts are of pieces where they are kept for one torrent, of leaves where all
 * that have the file share them.
 *
 * Failure modes: no memory to say which: everything is doubtful, to the end of
 * the process. A row that cannot be written: it is doubtful at the next start.
 *
 * Threads: loop. */
#include "cache/store_disk_internal.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "cache/cache_limits.h"
#include "cache/doubt_job.h"
#include "cache/extent.h"
#include "core/err.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/metainfo.h"

/* ---- a set of doubts ---- */

static void doubt_add(struct doubt *doubt, uint32_t n, uint32_t ix)
{
	if (doubt->bits.data == NULL && bits_init(&doubt->bits, n) != 0)
		doubt->is_all = true;
	else
		bits_set(&doubt->bits, ix);
}

static bool doubt_has_any(const struct doubt *doubt, uint32_t first, uint32_t n)
{
	return doubt->is_all || (doubt->bits.data != NULL &&
				 bits_next(&doubt->bits, first) < first + n);
}

void doubt_clear(struct doubt *doubt, uint32_t first, uint32_t n)
{
	if (doubt->bits.data == NULL)
		return;
	for (uint32_t i = first; i < first + n; i++)
		bits_clear(&doubt->bits, i);
}

void doubt_fini(struct doubt *doubt)
{
	bits_fini(&doubt->bits);
}

/* ---- doubts ---- */

struct put *doubt_next_put(const struct disk_torrent *t, struct put *p,
			   uint32_t first, uint32_t last)
{
	p = p == NULL ? TAILQ_FIRST(&t->disk->puts) : TAILQ_NEXT(p, link);
	while (p != NULL &&
	       (p->t != t || p->kind != PUT_OWN || p->stage == PUT_WAITING ||
		p->piece_ix < first || p->piece_ix > last))
		p = TAILQ_NEXT(p, link);
	return p;
}

static void doubt_own(struct disk_torrent *t, uint32_t file_ix)
{
	uint32_t last, ix = extent_pieces(t->mi, file_ix, &last);
	struct put *p = NULL;

	while ((p = doubt_next_put(t, p, ix, last)) != NULL)
		doubt_add(&t->doubt, t->claimed.n, p->piece_ix);
	for (ix = bits_next(&t->claimed, ix); ix <= last && ix < t->claimed.n;
	     ix = bits_next(&t->claimed, ix + 1))
		doubt_add(&t->doubt, t->claimed.n, ix);
}

static void doubt_shared(struct disk_file *f)
{
	const struct bits *leaves = &f->base.leaves;

	for (uint32_t i = bits_next(leaves, 0); i < leaves->n;
	     i = bits_next(leaves, i + 1))
		doubt_add(&f->doubt, f->base.n_leaves, i);
}

static void doubt_all_in(struct watched *w)
{
	w->is_doubtful = true;
	if (w->shared != NULL)
		doubt_shared(watched_file(w));
	else if (watched_torrent(w)->mi != NULL)
		doubt_own(watched_torrent(w), w->file_ix);
}

static void on_changed(struct watched *w, bool is_lost)
{
	struct disk *d = watched_disk(w);

	if (w->is_losing)
		return; /* it is known */
	if (!w->is_doubtful)
		log_info("store: a blob was %s by somebody else: what is in "
			 "it is %s",
			 is_lost ? "removed or cut" : "changed",
			 is_lost ? "fetched anew"
				 : "checked before it is used");
	doubt_all_in(w);
	if (is_lost) {
		d->doubts.has_lost = true;
		loop_defer(d->loop, &d->doubts.lost_task);
	}
}

bool disk_is_doubtful(const struct store_torrent *st, uint32_t piece_ix)
{
	const struct disk_torrent *t =
		CONTAINER_OF(st, const struct disk_torrent, base);
	struct joint_piece p;

	if (doubt_has_any(&t->doubt, piece_ix, 1))
		return true;
	return joint_is_any(&t->joint) && !bits_has(&t->claimed, piece_ix) &&
	       joint_piece(&t->joint, piece_ix, &p) &&
	       doubt_has_any(&disk_file_of(p.use)->doubt, p.first, p.n);
}

/* Nothing in the blob is doubtful any more? */
static bool is_clean(const struct watched *w)
{
	const struct disk_torrent *t;
	uint32_t first, last;

	if (w->shared != NULL) {
		const struct disk_file *f = watched_file(w);

		return !doubt_has_any(&f->doubt, 0, f->base.n_leaves);
	}
	t = watched_torrent(w);
	if (t->mi == NULL)
		return false;
	first = extent_pieces(t->mi, w->file_ix, &last);
	return !doubt_has_any(&t->doubt, first, last - first + 1);
}

static void settle(struct watched *w)
{
	if (w == NULL || !w->is_doubtful || w->seen.is_lost || !is_clean(w))
		return;
	w->is_doubtful = false;
	blobs_unkept(w);
}

void disk_doubt_clear_leaves(struct disk_file *f, uint32_t first, uint32_t n)
{
	if (f->files == NULL || !f->blob.watched.is_doubtful)
		return;
	doubt_clear(&f->doubt, first, n);
	settle(&f->blob.watched);
}

void disk_doubt_clear_own(struct disk_torrent *t, uint32_t piece_ix)
{
	struct extent_walk walk;
	struct extent e;

	if (t->mi == NULL || t->doubt.bits.data == NULL ||
	    !bits_has(&t->doubt.bits, piece_ix))
		return;
	bits_clear(&t->doubt.bits, piece_ix);
	extent_walk_init(&walk, t->mi, (uint64_t)piece_ix * t->mi->piece_bytes,
			 metainfo_piece_bytes(t->mi, piece_ix));
	while (extent_next(&walk, &e))
		if (e.file_ix != EXTENT_NO_FILE)
			settle(blobs_find_watched(&t->blobs, NULL, e.file_ix));
}

void disk_doubt_clear(struct disk_torrent *t, uint32_t piece_ix)
{
	struct joint_piece p;

	if (t->mi == NULL)
		return;
	if (!bits_has(&t->claimed, piece_ix) &&
	    joint_piece(&t->joint, piece_ix, &p))
		disk_doubt_clear_leaves(disk_file_of(p.use), p.first, p.n);
	else
		disk_doubt_clear_own(t, piece_ix);
}

/* ---- hashing it again ---- */

struct disk_vet {
	struct disk_torrent *t;
	uint32_t piece_ix;
	unsigned era;
	store_read_fn *done;
	void *arg;
};

static void on_vetted(void *arg, int err, enum piece_verdict verdict)
{
	struct disk_vet *v = arg;
	struct disk *d = v->t->disk;
	unsigned era = v->era;

	if (err == 0 && verdict != PIECE_RIGHT)
		err = EBADMSG;
	if (err == EAGAIN && verdict == PIECE_RIGHT)
		err = EBUSY;
	if (err == 0)
		disk_doubt_clear(v->t, v->piece_ix);
	v->done(v->arg, err);
	mem_free(v);
	room_read_end(d, era);
}

int disk_vet(struct store_torrent *st, uint32_t piece_ix,
	     const struct vet_ask *ask, store_read_fn *done, void *arg)
{
	struct disk_torrent *t = disk_torrent_of(st);
	struct spot_map map = disk_files_map(t);
	struct disk_vet *v = mem_new(struct disk_vet);
	int err;

	ASSERT_LOOP(t->disk->loop);
	if (v == NULL)
		return ENOMEM;
	*v = (struct disk_vet){
		.t = t, .piece_ix = piece_ix, .done = done, .arg = arg};
	err = blobs_vet(&map, piece_ix, ask, on_vetted, v);
	if (err != 0) {
		mem_free(v);
		return err;
	}
	t->disk->stats.reads++;
	v->era = room_read_begin(t->disk);
	return 0;
}

/* ---- at the opening ---- */

int disk_doubt_opened(struct disk_torrent *t, const struct opened_blob *b)
{
	struct watched *w;
	struct stamp last;

	if (b->is_shared)
		w = &disk_files_map(t).blob_of(&t->joint, b->file_ix)->watched;
	else
		w = blobs_watch(&t->blobs, b->file_ix);
	if (w == NULL)
		return ENOMEM;
	if (sight_last(&w->seen, &last))
		return 0; /* another torrent has it open */
	sight_see(&w->seen, &b->stamp);
	w->seen.is_kept = b->is_kept;
	if (b->is_doubtful)
		doubt_all_in(w);
	else if (!b->is_kept)
		blobs_unkept(w);
	return 0;
}

/* ---- writing it down ---- */

static bool is_ripe(struct watched *w)
{
	struct stamp last;

	return !w->is_doubtful && !w->seen.is_lost && w->seen.n_writers == 0 &&
	       sight_last(&w->seen, &last);
}

static void add_row(struct stamp_rows *rows, struct watched *w)
{
	struct stamp_row *r = &rows->v[rows->n];

	*r = (struct stamp_row){.file_ix = w->file_ix,
				.is_shared = w->shared != NULL};
	(void)sight_last(&w->seen, &r->stamp);
	if (r->is_shared) {
		const struct disk_file *f = watched_file(w);

		r->row = f->row;
		memcpy(r->root, f->base.id, sizeof(r->root));
		r->file_bytes = f->base.bytes;
	} else {
		r->row = watched_torrent(w)->row;
	}
	rows->n += r->is_shared || r->row != 0;
}

void disk_doubt_take_stamps(struct disk *d, struct stamp_rows *rows)
{
	struct watched *w, *next;
	uint32_t n = 0;

	*rows = (struct stamp_rows){0};
	TAILQ_FOREACH (w, &d->blobs.unkept, link)
		n += is_ripe(w);
	if (n == 0)
		return;
	rows->v = mem_alloc(n * sizeof(rows->v[0]));
	if (rows->v == NULL)
		return;
	TAILQ_FOREACH_SAFE (w, &d->blobs.unkept, link, next) {
		if (!is_ripe(w))
			continue;
		add_row(rows, w);
		blobs_kept(w);
		w->seen.is_kept = true;
	}
}

static void on_stamps_kept(struct job *job)
{
	struct doubt_stamps *s = CONTAINER_OF(job, struct doubt_stamps, job);

	if (s->err != 0)
		log_debug("store: stamps are not kept: %s", err_text(s->err));
	mem_free(s->rows.v);
	mem_free(s);
}

void disk_doubt_flush(struct disk *d)
{
	struct doubt_stamps *s;

	if (TAILQ_EMPTY(&d->blobs.unkept) || d->err != 0)
		return;
	s = mem_new(struct doubt_stamps);
	if (s == NULL)
		return;
	s->index = d->index;
	s->job = (struct job){.run = doubt_job_stamps, .done = on_stamps_kept};
	disk_doubt_take_stamps(d, &s->rows);
	if (s->rows.n > 0)
		workers_submit(d->thread, &s->job);
	else
		on_stamps_kept(&s->job);
}

static void on_timer(void *arg)
{
	disk_doubt_flush(arg);
}

/* A commit takes them along, if there is one soon. */
static void on_unkept(struct blobs *t)
{
	struct disk *d = CONTAINER_OF(t, struct disk, blobs);

	if (!loop_timer_is_armed(d->doubts.stamp_timer))
		loop_timer_start(d->doubts.stamp_timer,
				 (uint64_t)STORE_STAMP_MS * 1000);
}

int disk_doubt_init(struct disk *d)
{
	d->blobs.on_changed = on_changed;
	d->blobs.on_unkept = on_unkept;
	loop_task_init(&d->doubts.lost_task, disk_lost_task, d);
	return loop_timer_new(d->loop, on_timer, d, &d->doubts.stamp_timer);
}

void disk_doubt_fini(struct disk *d)
{
	loop_task_cancel(d->loop, &d->doubts.lost_task);
	loop_timer_free(d->doubts.stamp_timer);
}
