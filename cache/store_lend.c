/* store_lend — one store over another: the calls, and which torrents have a
 * directory.
 *
 * A piece is in one of the two, never in both: what is offered or lent is so
 * until the store below gets it, by a put or from another torrent, and what it
 * has is not read from the user's files. So each call about a piece has one
 * place to go, and whatever is not about a lent piece goes below as it came.
 * A piece that the store below loses may still be offered, and is hashed then.
 *
 * Failure modes: a directory's note cannot be written: said once by the store
 * below; what was right is hashed again after the next start.
 *
 * Limits: the list is written whole with each directory, 150 bytes a torrent:
 * it is for thousands of them, not for hundreds of thousands. */
#include "cache/store_lend.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cache/cache_limits.h"
#include "cache/extent.h"
#include "cache/store_lend_internal.h"
#include "cache/store_vet.h"
#include "core/mem.h"
#include "core/metainfo.h"

static struct lend *lend_of(const struct store *s)
{
	return (struct lend *)(uintptr_t)s; /* its first member */
}

static struct store *below_of(const struct store *s)
{
	return lend_of(s)->below;
}

static bool is_right(const struct lend_torrent *t, uint32_t ix)
{
	return t->lent != NULL && bits_has(&t->right, ix);
}

static const struct lend_torrent *peek_torrent(const struct store_torrent *st)
{
	return lend_torrent_of((struct store_torrent *)(uintptr_t)st);
}

/* ---- which have a directory ---- */

struct lent *lend_find(const struct lend *l, const struct torrent_id *id)
{
	struct lent *e;

	TAILQ_FOREACH (e, &l->lents, link)
		if (torrent_id_matches(&e->id, id))
			return e;
	return NULL;
}

static struct lend_dir *find_dir(struct lend *l, const char *path)
{
	struct lend_dir *d;

	LIST_FOREACH (d, &l->dirs, link)
		if (strcmp(d->path, path) == 0)
			return d;
	d = mem_new(struct lend_dir);
	if (d == NULL)
		return NULL;
	d->fd = -1;
	d->path = mem_strdup(path);
	if (d->path == NULL) {
		mem_free(d);
		return NULL;
	}
	LIST_INSERT_HEAD(&l->dirs, d, link);
	return d;
}

struct lent *lend_enter(struct lend *l, const struct torrent_id *id,
			const char *dir)
{
	struct lend_dir *d = find_dir(l, dir);
	struct lent *e = d != NULL ? mem_new(struct lent) : NULL;

	if (e == NULL)
		return NULL;
	e->id = *id;
	e->dir = d;
	TAILQ_INSERT_TAIL(&l->lents, e, link);
	return e;
}

static struct lend_torrent *find_open(const struct lend *l,
				      const struct torrent_id *id)
{
	struct lend_torrent *t;

	LIST_FOREACH (t, &l->torrents, link)
		if (t->below != NULL && torrent_id_matches(&t->mi->id, id))
			return t;
	return NULL;
}

/* What could not be opened is there now: no job has used it, for nothing was
 * found in it. Or it is another one by that name, a disk that was mounted anew,
 * say. */
static void open_dir(struct lend *l, struct lend_dir *d, int fd)
{
	struct lend_torrent *t;

	if (d->fd >= 0) {
		(void)dup3(fd, d->fd, O_CLOEXEC);
		(void)close(fd);
		return;
	}
	d->fd = fd;
	LIST_FOREACH (t, &l->torrents, link)
		if (t->lent != NULL && t->lent->dir == d)
			t->set.home.dir_fd = fd;
}

int store_lend_add(struct store *s, const struct torrent_id *id,
		   const char *dir, int dir_fd TAKES, store_done_fn *done,
		   void *arg)
{
	struct lend *l = lend_of(s);
	struct lent *e = lend_find(l, id);
	struct lend_torrent *t;
	int err = 0;

	ASSERT_LOOP(l->loop);
	if (e != NULL && strcmp(e->dir->path, dir) != 0)
		err = EBUSY;
	else if (e == NULL && (e = lend_enter(l, id, dir)) == NULL)
		err = ENOMEM;
	if (err != 0) {
		(void)close(dir_fd);
		return err;
	}
	open_dir(l, e->dir, dir_fd);
	t = find_open(l, id);
	if (t != NULL && t->lent != NULL) {
		t->look_ms = LEND_LOOK_MS;
		lend_files_look(t);
	} else if (t != NULL && t->open_done == NULL) {
		t->lent = e;
		err = lend_files_open(t);
		if (err != 0)
			t->lent = NULL;
	}
	return err == 0 ? lend_list_keep(l, done, arg) : err;
}

static void drop_entry(struct lend *l, const struct torrent_id *id)
{
	struct lent *e = lend_find(l, id);

	if (e == NULL)
		return;
	TAILQ_REMOVE(&l->lents, e, link);
	(void)lend_list_keep(l, NULL, NULL);
	lend_note_forget(l, &e->id);
	mem_free(e);
}

/* ---- a torrent is opened ---- */

/* Whoever hears of it may close it at once. */
static void tell(struct lend_torrent *t)
{
	store_open_fn *done = t->open_done;
	struct bits held = t->held;

	t->open_done = NULL;
	t->held = (struct bits){0};
	done(t->open_arg, 0, &t->base, &held);
	bits_fini(&held);
}

/* What was right in another run is so still. */
void lend_opened(struct lend_torrent *t)
{
	for (uint32_t ix = bits_next(&t->right, 0); ix < t->right.n;
	     ix = bits_next(&t->right, ix + 1))
		bits_set(&t->held, ix);
	tell(t);
}

static void end_open(struct lend_torrent *t, int err)
{
	store_open_fn *done = t->open_done;
	void *arg = t->open_arg;

	LIST_REMOVE(t, link);
	bits_fini(&t->held);
	mem_free(t);
	done(arg, err, NULL, NULL);
}

static void on_below_open(void *arg, int err, struct store_torrent *st,
			  const struct bits *held)
{
	struct lend_torrent *t = arg;

	if (err == 0 && bits_init(&t->held, held->n) != 0) {
		store_close(st);
		err = ENOMEM;
	}
	if (err != 0) {
		end_open(t, err);
		return;
	}
	(void)bits_load(&t->held, held->data, bits_bytes(held->n));
	t->below = st;
	t->base = *st; /* pins and leaves are lent */
	t->base.store = &t->l->base;
	t->lent = lend_find(t->l, &t->mi->id);
	if (t->lent != NULL && lend_files_open(t) == 0)
		return;
	t->lent = NULL;
	tell(t);
}

static int lend_open(struct store *s, const struct metainfo *mi,
		     store_open_fn *done, void *arg)
{
	struct lend_torrent *t = mem_new(struct lend_torrent);
	int err;

	if (t == NULL)
		return ENOMEM;
	t->l = lend_of(s);
	t->mi = mi;
	t->open_done = done;
	t->open_arg = arg;
	err = store_open(below_of(s), mi, on_below_open, t);
	if (err != 0)
		mem_free(t);
	else
		LIST_INSERT_HEAD(&t->l->torrents, t, link);
	return err;
}

static void lend_close(struct store_torrent *st)
{
	struct lend_torrent *t = lend_torrent_of(st);

	t->is_closed = true;
	LIST_REMOVE(t, link);
	store_close(t->below);
	if (t->has_set)
		lend_files_close(t); /* it may be gone */
	else
		mem_free(t);
}

/* ---- what is told ---- */

static void on_gained(void *arg, uint32_t ix)
{
	struct lend_torrent *t = arg;

	if (t->lent != NULL)
		lend_files_drop(t, ix);
	t->share->on_gained(t->share_arg, ix);
}

static void on_gained_leaves(void *arg, uint32_t ix, uint32_t at_bytes,
			     uint32_t len_bytes)
{
	struct lend_torrent *t = arg;

	t->share->on_gained_leaves(t->share_arg, ix, at_bytes, len_bytes);
}

static void on_lost(void *arg, uint32_t ix)
{
	struct lend_torrent *t = arg;

	if (!is_right(t, ix))
		t->share->on_lost(t->share_arg, ix);
}

static void on_disputed(void *arg, uint32_t ix)
{
	struct lend_torrent *t = arg;

	t->share->on_disputed(t->share_arg, ix);
}

static uint64_t due_us(void *arg, uint32_t ix)
{
	struct lend_torrent *t = arg;

	return t->share->due_us != NULL ? t->share->due_us(t->share_arg, ix)
					: UINT64_MAX;
}

static uint64_t coming_us(void *arg, uint32_t ix, uint32_t at_bytes,
			  uint32_t len_bytes, bool only_asked)
{
	struct lend_torrent *t = arg;

	return t->share->coming_us != NULL
		       ? t->share->coming_us(t->share_arg, ix, at_bytes,
					     len_bytes, only_asked)
		       : UINT64_MAX;
}

static void lend_watch(struct store_torrent *st,
		       const struct store_share_ops *ops, void *arg)
{
	static const struct store_share_ops ours = {
		.on_gained = on_gained,
		.on_gained_leaves = on_gained_leaves,
		.on_lost = on_lost,
		.on_disputed = on_disputed,
		.due_us = due_us,
		.coming_us = coming_us,
	};
	struct lend_torrent *t = lend_torrent_of(st);

	t->share = ops;
	t->share_arg = arg;
	store_watch(t->below, &ours, t);
}

/* ---- pieces ---- */

static struct lend_torrent *reads_lent(struct store_torrent *st,
				       uint64_t off_bytes, uint32_t len_bytes)
{
	struct lend_torrent *t = lend_torrent_of(st);
	uint32_t ix = (uint32_t)(off_bytes / t->mi->piece_bytes);

	if (!is_right(t, ix))
		return NULL;
	assert((off_bytes + len_bytes - 1) / t->mi->piece_bytes == ix);
	return t;
}

static int lend_read_now(struct store_torrent *st, uint64_t off_bytes,
			 uint32_t len_bytes, uint8_t *dst)
{
	struct lend_torrent *t = reads_lent(st, off_bytes, len_bytes);
	struct spot_map map;

	if (t == NULL)
		return store_read_now(lend_torrent_of(st)->below, off_bytes,
				      len_bytes, dst);
	map = (struct spot_map){.mi = t->mi, .own = &t->set};
	return blobs_read_now(&map, off_bytes, len_bytes, dst);
}

static int lend_read(struct store_torrent *st, uint64_t off_bytes,
		     uint32_t len_bytes, uint8_t *dst, store_read_fn *done,
		     void *arg)
{
	struct lend_torrent *t = reads_lent(st, off_bytes, len_bytes);
	struct spot_map map;

	if (t == NULL)
		return store_read(lend_torrent_of(st)->below, off_bytes,
				  len_bytes, dst, done, arg);
	map = (struct spot_map){.mi = t->mi, .own = &t->set};
	return blobs_read(&map, SPOT_READ, off_bytes, len_bytes, dst, done,
			  arg);
}

static int lend_put(struct store_torrent *st, uint32_t ix, struct blk *data,
		    store_put_fn *done, void *arg)
{
	struct lend_torrent *t = lend_torrent_of(st);

	if (t->lent != NULL)
		lend_files_drop(t, ix);
	return store_put(t->below, ix, data, done, arg);
}

static void lend_forget(struct store_torrent *st, uint32_t ix)
{
	struct lend_torrent *t = lend_torrent_of(st);

	if (is_right(t, ix))
		lend_files_drop(t, ix);
	else
		store_forget(t->below, ix);
}

static bool lend_is_doubtful(const struct store_torrent *st, uint32_t ix)
{
	const struct lend_torrent *t = peek_torrent(st);

	return is_right(t, ix) ? bits_has(&t->doubtful, ix)
			       : store_is_doubtful(t->below, ix);
}

static uint32_t lend_next_offer(const struct store_torrent *st, uint32_t from)
{
	const struct lend_torrent *t = peek_torrent(st);

	return t->lent != NULL && from < t->offered.n
		       ? bits_next(&t->offered, from)
		       : t->mi->n_pieces;
}

static int lend_vet(struct store_torrent *st, uint32_t ix,
		    const struct vet_ask *ask, store_read_fn *done, void *arg)
{
	struct lend_torrent *t = lend_torrent_of(st);

	return is_right(t, ix) || lend_next_offer(st, ix) == ix
		       ? lend_files_vet(t, ix, ask, done, arg)
		       : store_vet(t->below, ix, ask, done, arg);
}

/* The kernel gets no file that others may write to. */
static int lend_blob(struct store_torrent *st, uint32_t file_ix,
		     store_blob_fn *done, void *arg)
{
	struct lend_torrent *t = lend_torrent_of(st);
	uint32_t last = 0, ix = extent_pieces(t->mi, file_ix, &last);

	for (; ix <= last; ix++)
		if (is_right(t, ix))
			return ENOENT;
	return store_blob(t->below, file_ix, done, arg);
}

/* ---- the whole store ---- */

/* Its directory is not lent any more; what lies there is the user's. */
static int lend_remove(struct store *s, const struct torrent_id *id,
		       store_done_fn *done, void *arg)
{
	struct lend *l = lend_of(s);

	if (find_open(l, id) == NULL)
		drop_entry(l, id);
	return store_remove(l->below, id, done, arg);
}

struct adding {
	struct lend *l;
	store_held_fn *fn;
	void *arg;
};

static void on_held(void *arg, const struct torrent_id *id, uint64_t bytes)
{
	const struct adding *a = arg;
	const struct lent *e = lend_find(a->l, id);

	a->fn(a->arg, id, bytes + (e != NULL ? e->bytes : 0));
}

static int lend_each_held(struct store *s, store_held_fn *fn, void *arg)
{
	struct adding a = {lend_of(s), fn, arg};
	const struct lent *e;

	/* Those of which there is more below are told of again, with the sum.
	 */
	TAILQ_FOREACH (e, &a.l->lents, link)
		if (e->bytes > 0)
			fn(arg, &e->id, e->bytes);
	return store_each_held(a.l->below, on_held, &a);
}

static void lend_free(struct store *s)
{
	struct lend *l = lend_of(s);
	struct lend_dir *d;
	struct lent *e;

	assert(LIST_EMPTY(&l->torrents));
	while (l->n_sets > 0) {
		(void)workers_drain(l->thread, UINT32_MAX);
		(void)workers_drain(l->workers, UINT32_MAX);
	}
	store_free(l->below);
	while ((e = TAILQ_FIRST(&l->lents)) != NULL) {
		TAILQ_REMOVE(&l->lents, e, link);
		mem_free(e);
	}
	while ((d = LIST_FIRST(&l->dirs)) != NULL) {
		LIST_REMOVE(d, link);
		if (d->fd >= 0)
			(void)close(d->fd);
		mem_free(d->path);
		mem_free(d);
	}
	blobs_fini(&l->blobs);
	mem_free(l);
}

static void set_ops(struct store_ops *ops, const struct store *below)
{
	*ops = lend_below_ops;
	if (below->ops->count == NULL) {
		ops->count = NULL;
		ops->traffic = NULL;
	}
	ops->open = lend_open;
	ops->remove = lend_remove;
	ops->each_held = lend_each_held;
	ops->free = lend_free;
	ops->read_now = lend_read_now;
	ops->read = lend_read;
	ops->put = lend_put;
	ops->forget = lend_forget;
	ops->is_doubtful = lend_is_doubtful;
	ops->vet = lend_vet;
	ops->watch = lend_watch;
	ops->next_offer = lend_next_offer;
	ops->blob = lend_blob;
	ops->close = lend_close;
}

int store_lend_new(const struct store_lend_cfg *cfg, struct store **out)
{
	struct lend *l = mem_new(struct lend);
	int err;

	if (l == NULL)
		return ENOMEM;
	ASSERT_LOOP(cfg->loop);
	set_ops(&l->ops, cfg->below);
	l->base.ops = &l->ops;
	l->loop = cfg->loop;
	l->workers = cfg->workers;
	l->thread = cfg->thread;
	l->below = cfg->below;
	l->door = cfg->door;
	blobs_init(&l->blobs, cfg->workers);
	l->blobs.on_changed = lend_files_on_changed;
	LIST_INIT(&l->dirs);
	TAILQ_INIT(&l->lents);
	LIST_INIT(&l->torrents);
	err = lend_list_load(l);
	if (err == 0) {
		*out = &l->base;
		return 0;
	}
	l->below = NULL; /* it is the caller's still */
	lend_free(&l->base);
	return err;
}
