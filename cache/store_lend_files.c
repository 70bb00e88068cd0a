/* store_lend_files — the files that a user lends to one torrent.
 *
 * Happy path
 *   1. the torrent is opened, or the directory comes later: its note is read
 *      (what was right, of files that looked how), then a worker looks at each
 *      file
 *   2. a file that is as it was: its pieces are right still. One that is new,
 *      or changed: all pieces that it has a part in, and whose other files are
 *      there too, are offered
 *   3. whoever has the torrent open hashes what is offered. Right: it is read
 *      from there; the note is written, by and by
 *   4. every read looks behind itself (blobs_watch). A file that has changed:
 *      what is right in it is doubtful, and hashed before it is read again. A
 *      file that was cut, or has lost its name: its pieces are lost, on a turn
 *      of their own. Both are looked at again a moment later, for there may be
 *      another file by then, or more that is right
 *
 * Nothing is ever written there. That a file is open, and read from by us, does
 * not keep anybody from changing it, so the kernel is given none of them to
 * read by itself (store_blob).
 *
 * Failure modes: a file that cannot be opened, or read, is found wrong when it
 * is hashed, and its pieces come from peers. One that changes all the time is
 * looked at less and less often. No memory for a look: there is none. */
#include <errno.h>
#include <string.h>

#include "cache/cache_limits.h"
#include "cache/extent.h"
#include "cache/lend_path.h"
#include "cache/store_lend_internal.h"
#include "cache/store_vet.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/metainfo.h"

/* ---- names ---- */

static int name_files(struct lend_torrent *t)
{
	const struct metainfo *mi = t->mi;

	t->n_files = mi->n_files;
	t->files = mem_zalloc(mi->n_files, sizeof(t->files[0]));
	t->paths = mem_zalloc(mi->n_files, sizeof(t->paths[0]));
	if (t->files == NULL || t->paths == NULL)
		return ENOMEM;
	for (uint32_t i = 0; i < mi->n_files; i++) {
		t->files[i].len_bytes = mi->files[i].len_bytes;
		if (!lend_has_path(mi, i))
			continue;
		t->files[i].path = lend_path(mi, i);
		if (t->files[i].path == NULL)
			return ENOMEM;
	}
	return 0;
}

/* No job uses them. */
static void set_skip(struct lend_torrent *t, uint32_t skip)
{
	t->skip = skip;
	for (uint32_t i = 0; i < t->mi->n_files; i++)
		if (t->files[i].path != NULL)
			t->paths[i] = t->files[i].path + skip;
}

/* ---- pieces ---- */

static bool is_all_there(const struct lend_torrent *t, uint32_t ix)
{
	struct extent_walk walk;
	struct extent e;
	bool is_any = false;

	extent_walk_init(&walk, t->mi, (uint64_t)ix * t->mi->piece_bytes,
			 metainfo_body_bytes(t->mi, ix));
	while (extent_next(&walk, &e)) {
		if (e.file_ix == EXTENT_NO_FILE)
			continue;
		if (!bits_has(&t->there, e.file_ix))
			return false;
		is_any = true;
	}
	return is_any;
}

void lend_files_drop(struct lend_torrent *t, uint32_t ix)
{
	if (bits_has(&t->right, ix))
		lend_note_dirty(t);
	bits_clear(&t->right, ix);
	bits_clear(&t->doubtful, ix);
	bits_clear(&t->offered, ix);
}

/* ---- what others do to them ---- */

static void look_later(struct lend_torrent *t)
{
	if (t->is_closed || loop_timer_is_armed(t->look_timer))
		return;
	loop_timer_start(t->look_timer, t->look_ms * UINT64_C(1000));
	t->look_ms = t->look_ms * 2 < LEND_LOOK_MAX_MS ? t->look_ms * 2
						       : LEND_LOOK_MAX_MS;
}

static void doubt_file(struct lend_torrent *t, uint32_t file_ix)
{
	uint32_t last, ix = extent_pieces(t->mi, file_ix, &last);

	for (; ix <= last; ix++)
		if (bits_has(&t->right, ix))
			bits_set(&t->doubtful, ix);
	lend_note_dirty(t);
}

void lend_files_on_changed(struct watched *w, bool is_lost)
{
	struct lend_torrent *t = CONTAINER_OF(w->set, struct lend_torrent, set);

	if (t->is_closed)
		return;
	if (is_lost) {
		bits_set(&t->gone, w->file_ix);
		loop_defer(t->l->loop, &t->lost_task);
	} else {
		doubt_file(t, w->file_ix);
	}
	t->files[w->file_ix].looked = (struct stamp){0}; /* it is new, then */
	look_later(t);
}

/* Whoever hears of it may close the torrent. */
static void lose_file(struct lend_torrent *t, uint32_t file_ix)
{
	uint32_t last, ix = extent_pieces(t->mi, file_ix, &last);

	bits_clear(&t->there, file_ix);
	for (; ix <= last && !t->is_closed; ix++) {
		bool was_right = bits_has(&t->right, ix);

		lend_files_drop(t, ix);
		if (was_right && t->share != NULL)
			t->share->on_lost(t->share_arg, ix);
	}
}

static void on_lost_task(void *arg)
{
	struct lend_torrent *t = arg;
	uint32_t ix;

	blobs_set_hold(&t->set);
	while (!t->is_closed &&
	       (ix = bits_next(&t->gone, 0)) < t->mi->n_files) {
		struct watched *w = blobs_find_watched(&t->set, NULL, ix);

		log_info("%s: it is not there any more as it was",
			 t->paths[ix]);
		bits_clear(&t->gone, ix);
		if (w != NULL)
			blobs_close_lost(w);
		lose_file(t, ix);
	}
	blobs_set_drop(&t->set);
}

/* ---- looks ---- */

/* True: it is not as it was when it was looked at last, so it is to be hashed.
 * Reads that are under way hear of that, too. */
static bool take_file(struct lend_torrent *t, uint32_t file_ix,
		      const struct stamp *now)
{
	struct lend_file *f = &t->files[file_ix];
	struct watched *w = blobs_watch(&t->set, file_ix);
	bool is_same =
		bits_has(&t->there, file_ix) && stamp_is_equal(&f->looked, now);
	struct stamp last;

	if (w == NULL) {
		look_later(t);
		return false;
	}
	if (is_same && sight_last(&w->seen, &last))
		return false;
	if (!is_same)
		blobs_close_key(&t->set, file_ix);
	f->looked = *now;
	bits_set(&t->there, file_ix);
	sight_see(&w->seen, now);
	return !is_same;
}

/* What has a part in a new file. What another run found right is offered as
 * well, what was told to be held is doubtful. */
static unsigned offer_file(struct lend_torrent *t, uint32_t file_ix)
{
	uint32_t last, ix = extent_pieces(t->mi, file_ix, &last);
	unsigned n = 0;

	for (; ix <= last; ix++) {
		if (t->open_done == NULL && bits_has(&t->right, ix)) {
			bits_set(&t->doubtful, ix);
			continue;
		}
		bits_clear(&t->right, ix);
		if (!is_all_there(t, ix))
			continue;
		bits_set(&t->offered, ix);
		n++;
	}
	lend_note_dirty(t);
	return n;
}

/* Those of a file that is not there, when nobody was told of them yet. */
static void unlearn(struct lend_torrent *t)
{
	for (uint32_t ix = bits_next(&t->right, 0); ix < t->mi->n_pieces;
	     ix = bits_next(&t->right, ix + 1))
		if (!is_all_there(t, ix) || bits_has(&t->held, ix))
			bits_clear(&t->right, ix);
}

static void apply(struct lend_torrent *t, const struct lend_look *k)
{
	struct bits fresh;
	unsigned n = 0;
	uint32_t ix;

	if (bits_init(&fresh, k->n_files) != 0) {
		look_later(t);
		return;
	}
	for (ix = 0; ix < k->n_files; ix++) {
		if (bits_has(&k->there, ix)) {
			if (take_file(t, ix, &k->now[ix]))
				bits_set(&fresh, ix);
		} else if (t->open_done == NULL && bits_has(&t->there, ix)) {
			bits_set(&t->gone, ix);
			loop_defer(t->l->loop, &t->lost_task);
		} else {
			bits_clear(&t->there, ix);
		}
	}
	for (ix = bits_next(&fresh, 0); ix < k->n_files;
	     ix = bits_next(&fresh, ix + 1))
		n += offer_file(t, ix);
	bits_fini(&fresh);
	if (t->open_done != NULL)
		unlearn(t);
	else if (n > 0 && t->share != NULL && t->share->on_offered != NULL)
		t->share->on_offered(t->share_arg);
}

static void look_free(struct lend_look *k)
{
	bits_fini(&k->there);
	mem_free(k->now);
	mem_free(k);
}

static void on_looked(struct job *job)
{
	struct lend_look *k = CONTAINER_OF(job, struct lend_look, job);
	struct lend_torrent *t = k->t;

	t->is_looking = false;
	if (!t->is_closed) {
		/* The other folder can be chosen while nobody uses this one. */
		if (k->skip != t->skip && t->set.n_jobs == 1 &&
		    (t->there.n_set == 0 || t->open_done != NULL)) {
			set_skip(t, k->skip);
			bits_clear_all(&t->there);
		}
		if (k->skip == t->skip)
			apply(t, k);
		if (t->is_look_due)
			lend_files_look(t);
		if (t->open_done != NULL)
			lend_opened(t);
	}
	look_free(k);
	blobs_set_drop(&t->set);
}

static struct lend_look *look_new(struct lend_torrent *t)
{
	struct lend_look *k = mem_new(struct lend_look);

	if (k == NULL)
		return NULL;
	k->t = t;
	k->n_files = t->mi->n_files;
	k->dir_fd = t->lent->dir->fd;
	k->top_bytes = lend_top_bytes(t->mi);
	k->now = mem_zalloc(k->n_files, sizeof(k->now[0]));
	if (k->now != NULL && bits_init(&k->there, k->n_files) == 0)
		return k;
	mem_free(k->now);
	mem_free(k);
	return NULL;
}

void lend_files_look(struct lend_torrent *t)
{
	struct lend_look *k = t->is_looking ? NULL : look_new(t);

	t->is_look_due = t->is_looking;
	if (k == NULL) {
		if (!t->is_looking)
			look_later(t);
		return;
	}
	t->is_looking = true;
	k->job = (struct job){.run = lend_job_look, .done = on_looked};
	blobs_set_hold(&t->set);
	workers_submit(t->l->workers, &k->job);
}

static void on_look_timer(void *arg)
{
	lend_files_look(arg);
}

/* Nothing is believed of a file before it was looked at. */
static void on_note(struct lend_torrent *t)
{
	if (t->note_skip == lend_top_bytes(t->mi))
		set_skip(t, t->note_skip);
	lend_files_look(t);
	if (!t->is_looking && t->open_done != NULL)
		lend_opened(t);
}

/* ---- hashing ---- */

struct lend_vet {
	struct lend_torrent *t;
	uint32_t ix;
	store_read_fn *done;
	void *arg;
};

static void on_vetted(void *arg, int err, enum piece_verdict verdict)
{
	struct lend_vet *v = arg;
	struct lend_torrent *t = v->t;

	if (err == 0 && verdict != PIECE_RIGHT)
		err = EBADMSG;
	if (t->is_closed)
		err = ESTALE;
	else if (err == 0 &&
		 (bits_has(&t->offered, v->ix) || bits_has(&t->right, v->ix))) {
		bits_set(&t->right, v->ix);
		bits_clear(&t->doubtful, v->ix);
		lend_note_dirty(t);
	} else if (err == 0) {
		err = EAGAIN;
	} else if (err == EAGAIN && verdict == PIECE_RIGHT) {
		err = EBUSY;
	}
	bits_clear(&t->offered, v->ix);
	v->done(v->arg, err);
	mem_free(v);
}

int lend_files_vet(struct lend_torrent *t, uint32_t ix,
		   const struct vet_ask *ask, store_read_fn *done, void *arg)
{
	struct spot_map map = {.mi = t->mi, .own = &t->set};
	struct lend_vet *v = mem_new(struct lend_vet);
	int err;

	if (v == NULL)
		return ENOMEM;
	*v = (struct lend_vet){.t = t, .ix = ix, .done = done, .arg = arg};
	err = blobs_vet(&map, ix, ask, on_vetted, v);
	if (err != 0)
		mem_free(v);
	return err;
}

/* ---- life ---- */

static void on_idle(struct blob_set *set)
{
	struct lend_torrent *t = CONTAINER_OF(set, struct lend_torrent, set);
	struct lend *l = t->l;

	lend_files_fini(t);
	mem_free(t);
	l->n_sets--;
}

static int init_sets(struct lend_torrent *t)
{
	uint32_t n = t->mi->n_pieces;
	int err = bits_init(&t->there, t->mi->n_files);

	if (err == 0)
		err = bits_init(&t->gone, t->mi->n_files);
	if (err == 0)
		err = bits_init(&t->right, n);
	if (err == 0)
		err = bits_init(&t->doubtful, n);
	return err == 0 ? bits_init(&t->offered, n) : err;
}

static void on_note_timer(void *arg)
{
	lend_note_keep(arg);
}

int lend_files_open(struct lend_torrent *t)
{
	struct blob_home home = {.dir_fd = t->lent->dir->fd,
				 .door = &t->l->door};
	int err = init_sets(t);

	loop_task_init(&t->lost_task, on_lost_task, t);
	t->look_ms = LEND_LOOK_MS;
	if (err == 0)
		err = name_files(t);
	if (err == 0)
		err = loop_timer_new(t->l->loop, on_look_timer, t,
				     &t->look_timer);
	if (err == 0)
		err = loop_timer_new(t->l->loop, on_note_timer, t,
				     &t->note_timer);
	home.paths = (const char *const *)t->paths;
	if (err == 0)
		err = blobs_set_init(&t->set, &t->l->blobs, &home,
				     t->mi->n_files);
	if (err != 0) {
		lend_files_fini(t);
		return err;
	}
	set_skip(t, 0);
	t->set.on_idle = on_idle;
	t->has_set = true;
	t->l->n_sets++;
	if (lend_note_load(t, on_note) != 0)
		on_note(t);
	return 0;
}

void lend_files_close(struct lend_torrent *t)
{
	if (t->is_dirty)
		lend_note_keep(t);
	loop_timer_free(t->look_timer);
	loop_timer_free(t->note_timer);
	loop_task_cancel(t->l->loop, &t->lost_task);
	t->look_timer = t->note_timer = NULL;
	blobs_set_close(&t->set);
}

void lend_files_fini(struct lend_torrent *t)
{
	if (t->has_set)
		blobs_set_fini(&t->set);
	t->has_set = false;
	loop_timer_free(t->look_timer);
	loop_timer_free(t->note_timer);
	t->look_timer = t->note_timer = NULL;
	for (uint32_t i = 0; t->files != NULL && i < t->n_files; i++)
		mem_free(t->files[i].path);
	mem_free(t->files);
	mem_free((void *)(uintptr_t)t->paths);
	t->files = NULL;
	t->paths = NULL;
	bits_fini(&t->there);
	bits_fini(&t->gone);
	bits_fini(&t->right);
	bits_fini(&t->doubtful);
	bits_fini(&t->offered);
}
