/* library_life — what becomes of torrents that were added: those that are
 * remembered at the start, metadata that comes, and the end.
 *
 * A torrent that is removed is first forgotten, durably; only then does
 * anything change that somebody could see, so that it is there or gone,
 * whatever happens in between. Its name goes at once, open files of it are
 * ESTALE from then on (what the kernel has of them in memory it may still
 * give, and a file that passes through the kernel is read to its end, as an
 * unlinked one), reads that wait end; its data goes when the engine has let go
 * of it. A crash before that leaves data that no torrent remembers, which the
 * store has to find room by itself. */
#include <stdio.h>
#include <string.h>

#include "core/bencode.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/log.h"
#include "core/magnet.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "fs/device.h"
#include "fs/guests.h"
#include "fs/handle.h"
#include "fs/keeper.h"
#include "fs/library_internal.h"
#include "fs/mount_internal.h"
#include "fs/nameop.h"
#include "fs/readop.h"
#include "fs/root.h"
#include "fs/tree.h"
#include "fs/warmth.h"
#include "net/engine.h"
#include "net/signpost.h"
#include "net/torrent.h"
#include "net/tracker.h"

/* ---- the source of a torrent that had none ---- */

static bool is_listed_before(const struct torrent *t, uint32_t ix,
			     const char *url)
{
	for (uint32_t i = 0; i < ix; i++) {
		struct tracker_view v;

		torrent_tracker(t, i, &v);
		if (strcmp(v.url, url) == 0)
			return true;
	}
	return false;
}

static void put_trackers(struct buf *out, const struct torrent *t)
{
	uint32_t n = torrent_tracker_count(t);

	if (n == 0)
		return;
	benc_put_cstr(out, "announce-list");
	benc_put_list(out);
	for (uint32_t i = 0; i < n; i++) {
		struct tracker_view v;

		torrent_tracker(t, i, &v);
		if (is_listed_before(t, i, v.url))
			continue;
		benc_put_list(out);
		benc_put_cstr(out, v.url);
		benc_put_end(out);
	}
	benc_put_end(out);
}

static void put_web_seeds(struct buf *out, const struct magnet *m)
{
	if (m == NULL || m->n_web_seeds == 0)
		return;
	benc_put_cstr(out, "url-list");
	benc_put_list(out);
	for (uint32_t i = 0; i < m->n_web_seeds; i++)
		benc_put_cstr(out, m->web_seeds[i]);
	benc_put_end(out);
}

/* Of v2 trees only the roots: peers give the rest, as they did before. */
static int make_source(const struct shown *s, const struct magnet *m,
		       struct buf *out)
{
	benc_put_dict(out);
	put_trackers(out, s->torrent);
	benc_put_cstr(out, "info");
	benc_put_raw(out, s->mi->info);
	put_web_seeds(out, m);
	benc_put_end(out);
	return buf_err(out);
}

static void keep_made(struct library_op *op, const struct shown *s,
		      const struct magnet *m, const struct record *rec)
{
	int err = make_source(s, m, &op->made);

	if (err == 0)
		library_keep(op, rec, buf_span(&op->made), s->name);
	else
		library_answer(op, err, err_text(err));
}

void library_keep_info(struct library_op *op, const struct shown *s,
		       const struct record *rec)
{
	if (s->torrent == NULL)
		library_answer(op, EBUSY, "try again");
	else
		keep_made(op, s, op->src.magnet, rec);
}

/* ---- the engine's word ---- */

/* A wish, or a guest, has come true. */
static int show(struct mount *m, struct torrent *t, struct wish *w)
{
	const struct metainfo *mi = torrent_metainfo(t);
	struct record rec = {.by = RECORD_BY_HASH,
			     .added_s = torrent_added_s(t)};
	struct tree *tree;
	struct shown *s;
	int err = tree_new(mi, &tree);

	if (err != 0)
		return err;
	if (w != NULL) {
		rec.by = w->rec.by;
		rec.added_s = w->rec.added_s;
	}
	library_describe(mi, tree, &rec);
	err = roster_add(&m->roster, &rec, &s);
	if (err != 0) {
		tree_free(tree);
		return err;
	}
	s->is_kept = w != NULL && w->is_kept;
	if (w != NULL) {
		s->source_at = w->rec.source_at;
		s->source_len = w->rec.source_len;
	}
	warmth_adopt(m, s, t, tree);
	root_changed(m);
	return 0;
}

/* The metadata in place of the link. Without memory the link stays. */
static void keep_metadata(struct mount *m, struct wish *w)
{
	struct shown *s = roster_by_id(&m->roster, &w->rec.id);
	struct library_op *op;
	struct mi_error why;
	struct record rec;

	if (m->keeper == NULL || s == NULL || s->torrent == NULL)
		return;
	op = library_op_new(m, &s->id, NULL, NULL);
	if (op == NULL)
		return;
	if (w->raw != NULL)
		(void)magnet_parse((const char *)w->raw, &op->src.magnet, &why);
	roster_record(s, &rec);
	keep_made(op, s, op->src.magnet, &rec);
}

int library_on_ready(struct mount *m, struct torrent *t)
{
	struct wish *w = library_wish_of(m, t);
	int err = 0;

	if (torrent_user(t) == NULL)
		err = show(m, t, w);
	if (err != 0)
		return err;
	if (w != NULL) {
		keep_metadata(m, w);
		library_wish_free(m, w);
	}
	nameop_on_change(m, t);
	guests_on_change(m, t);
	readop_on_ready(m, torrent_user(t));
	return 0;
}

/* Two links, one of each hash, turned out to be one torrent. */
static void drop_double(struct mount *m, struct wish *w)
{
	struct torrent *other = engine_find(m->engine, &w->rec.id.v1);
	struct library_op *op;

	if (other == NULL)
		other = engine_find(m->engine, &w->rec.id.v2);
	if (other == NULL || other == w->torrent || m->keeper == NULL)
		return;
	op = library_op_new(m, &w->rec.id, NULL, NULL);
	if (op == NULL)
		return;
	op->is_removal = true;
	op->state = OP_KEEPING;
	if (m->keeper->forget(m->keeper->ctx, &w->rec, library_on_forgotten,
			      op) != 0)
		library_op_free(op);
	library_wish_free(m, w);
}

void library_on_failed(struct mount *m, struct torrent *t)
{
	struct wish *w = library_wish_of(m, t);

	nameop_on_change(m, t);
	if (torrent_user(t) != NULL)
		readop_end_of(m, torrent_user(t), EIO);
	if (w != NULL)
		drop_double(m, w);
	guests_on_change(m, t);
}

unsigned library_n_wishes(const struct mount *m)
{
	const struct wish *w;
	unsigned n = 0;

	TAILQ_FOREACH (w, &m->library.wishes, link)
		n += torrent_state(w->torrent) == TORRENT_META ||
		     torrent_state(w->torrent) == TORRENT_OPENING;
	return n;
}

unsigned library_n_opening(const struct mount *m)
{
	const struct shown *s;
	unsigned n = 0;

	TAILQ_FOREACH (s, &m->warmth.awake, link)
		n += torrent_state(s->torrent) == TORRENT_OPENING;
	return n;
}

/* ---- removing ---- */

/* Its data is gone: who waits to add it again may. */
static void on_gone(void *arg, int err)
{
	struct library_op *op = arg, *o, *next;
	struct mount *m = op->m;

	op->leave = NULL;
	if (err != 0 && err != ENOENT)
		log_warn("data of %.200s stays: %s", op->text, err_text(err));
	op->state = OP_TOLD;
	if (op->done == NULL)
		library_op_free(op);
	TAILQ_FOREACH_SAFE (o, &m->library.ops, link, next)
		if (!o->is_removal && o->state == OP_WAITING)
			library_begin(o);
}

/* Out of the root; what the engine has of it, or is still closing. */
static struct torrent *take_shown(struct mount *m, struct shown *s,
				  struct engine_leave **leave)
{
	struct torrent *t = s->torrent;

	handle_on_removed(m, s);
	readop_end_of(m, s, ESTALE);
	*leave = warmth_forget(m, s);
	roster_remove(&m->roster, s);
	if (m->forgets_names)
		(void)device_forget_names(m);
	root_changed(m);
	return t;
}

void library_dismantle(struct mount *m, const struct torrent_id *id,
		       struct library_op *op)
{
	struct shown *s = roster_by_id(&m->roster, id);
	struct wish *w = s == NULL ? library_wish_by_id(m, id) : NULL;
	struct engine_leave *leave = NULL;
	struct torrent *t = NULL;

	if (s != NULL) {
		t = take_shown(m, s, &leave);
	} else if (w != NULL) {
		t = w->torrent;
		library_wish_free(m, w);
	}
	if (t != NULL)
		nameop_on_gone(m, t, ENOENT);
	if (op == NULL) {
		if (leave != NULL)
			engine_leave_cancel(leave);
		if (t != NULL)
			engine_remove(m->engine, t);
		return;
	}
	op->state = OP_GOING;
	op->leave = leave;
	if (leave != NULL)
		engine_leave_forget(leave, on_gone, op);
	else if (engine_leave(m->engine, t, id, ENGINE_FORGET_DATA, on_gone, op,
			      &op->leave) != 0) {
		op->state = OP_TOLD; /* without memory its data stays */
		if (t != NULL)
			engine_remove(m->engine, t);
	}
}

void library_on_forgotten(void *arg, int err, const struct record *r)
{
	struct library_op *op = arg;
	struct mount *m = op->m;
	struct shown *s;
	struct wish *w;

	if (m == NULL) {
		library_op_free(op);
		return;
	}
	s = roster_by_id(&m->roster, &op->id);
	w = library_wish_by_id(m, &op->id);
	if (err != 0) {
		if (s != NULL)
			s->is_leaving = false;
		if (w != NULL)
			w->is_leaving = false;
		library_answer(op, err, err_text(err));
		return;
	}
	if (s == NULL && w == NULL) {
		library_op_free(op); /* a double */
		return;
	}
	library_dismantle(m, &op->id, op);
	library_answer(op, 0, op->text);
}

static int forget(struct library_op *op, const struct record *rec, bool is_kept)
{
	const struct keeper *k = op->m->keeper;
	int err;

	(void)snprintf(op->text, sizeof(op->text), "%.255s", rec->name);
	op->is_removal = true;
	op->state = OP_KEEPING;
	if (k == NULL || !is_kept) {
		library_on_forgotten(op, 0, rec);
		return 0;
	}
	/* That a key brought it: else it would bring it again. */
	signpost_hurry(op->m->engine);
	err = k->forget(k->ctx, rec, library_on_forgotten, op);
	if (err != 0)
		library_op_free(op);
	return err;
}

int library_remove(struct mount *m, struct library_target what,
		   library_fn *done, void *arg, struct library_op **out)
{
	struct wish *w = NULL;
	struct library_op *op;
	struct record rec;
	bool *is_leaving;

	ASSERT_LOOP(m->loop);
	if (what.shown == NULL)
		w = library_wish_of(m, what.wished);
	if (what.shown == NULL && w == NULL)
		return ENOENT;
	is_leaving = w != NULL ? &w->is_leaving : &what.shown->is_leaving;
	if (*is_leaving)
		return EBUSY;
	if (w != NULL)
		rec = w->rec;
	else
		roster_record(what.shown, &rec);
	op = library_op_new(m, &rec.id, done, arg);
	if (op == NULL)
		return ENOMEM;
	*is_leaving = true;
	if (out != NULL)
		*out = op;
	return forget(op, &rec, w != NULL ? w->is_kept : what.shown->is_kept);
}

/* ---- the start ---- */

struct load {
	struct mount *m;
	unsigned n_failed;
	int err;
};

static int wish_again(struct mount *m, const struct record *r, struct span link)
{
	struct library_source src = {.raw = mem_dup(link.ptr, link.len)};
	struct mi_error why;
	int err = src.raw == NULL ? ENOMEM : 0;

	src.raw_len = link.len;
	if (err == 0)
		err = magnet_parse((const char *)src.raw, &src.magnet, &why);
	if (err == 0)
		err = library_wish(m, &src, r);
	library_source_fini(&src);
	return err;
}

static void on_record(void *arg, const struct record *r, struct span link)
{
	struct load *l = arg;
	int err = r->is_magnet ? wish_again(l->m, r, link)
			       : roster_load(&l->m->roster, r);

	if (err == ENOMEM)
		l->err = ENOMEM;
	else if (err != 0)
		l->n_failed++;
}

/* What is held of a hybrid may have been counted twice. */
static void on_held(void *arg, const struct torrent_id *id, uint64_t bytes)
{
	struct mount *m = arg;
	struct shown *s = roster_by_id(&m->roster, id);

	if (s != NULL && s->torrent == NULL)
		warmth_sleeping(m, s,
				bytes < s->size_bytes ? bytes : s->size_bytes);
}

int library_load(struct mount *m)
{
	struct load l = {.m = m};
	int err;

	ASSERT_LOOP(m->loop);
	if (m->keeper == NULL)
		return 0;
	roster_expect(&m->roster, m->keeper->count(m->keeper->ctx));
	m->keeper->each(m->keeper->ctx, on_record, &l);
	if (l.n_failed > 0)
		log_warn("%u torrents that were remembered are not shown",
			 l.n_failed);
	err = l.err != 0 ? l.err : roster_loaded(&m->roster);
	if (err == 0 && m->keeper->each_held(m->keeper->ctx, on_held, m) != 0)
		log_warn("what is held of torrents that sleep is not known");
	return err;
}
