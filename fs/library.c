/* library — how a torrent comes into the mount.
 *
 * Happy path of a .torrent: it is parsed, by a worker if it is long, its
 * directory is in the root at once, it is written down, and the engine has it;
 * when it is durable, who added it is answered. Of a magnet link: the engine
 * looks for the metadata, and the link is written down, which is the answer;
 * when the metadata comes, the wish becomes a torrent like others, and the
 * metadata is written down in place of the link.
 *
 * A .torrent may be long, so its bytes are nowhere twice: they are the
 * metainfo's, and an op that has them written down holds that until it is told.
 *
 * Failure modes: it cannot be written down: it goes again, and who added it
 * hears why. The mount ends meanwhile: the keeper's answer finds an op without
 * a mount, and frees it.
 *
 * The same torrent once more is EEXIST, and brings its trackers. While one is
 * being removed its data is still going: who adds it again waits until that is
 * over. */
#include "fs/library.h"

#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/err.h"
#include "core/log.h"
#include "core/magnet.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "fs/guests.h"
#include "fs/keeper.h"
#include "fs/library_internal.h"
#include "fs/mount_internal.h"
#include "fs/nameop.h"
#include "fs/root.h"
#include "fs/warmth.h"
#include "fs/tree.h"
#include "net/engine.h"
#include "net/torrent.h"

void library_source_fini(struct library_source *src)
{
	tree_free(src->tree);
	metainfo_free(src->mi);
	magnet_free(src->magnet);
	mem_free(src->raw);
	memset(src, 0, sizeof(*src));
}

/* ---- what was asked for ---- */

void library_op_free(struct library_op *op)
{
	if (op->m != NULL) {
		TAILQ_REMOVE(&op->m->library.ops, op, link);
		loop_task_cancel(op->m->loop, &op->task);
	}
	library_source_fini(&op->src);
	warmth_parse_fini(&op->parse);
	metainfo_free(op->held);
	buf_fini(&op->made);
	mem_free(op);
}

static void on_answer(void *arg)
{
	struct library_op *op = arg;
	library_fn *done = op->done;

	op->done = NULL;
	if (done != NULL)
		done(op->arg, op->err, op->text);
	if (op->state != OP_GOING)
		library_op_free(op);
}

void library_answer(struct library_op *op, int err, const char *text)
{
	op->err = err;
	if (text != op->text)
		(void)snprintf(op->text, sizeof(op->text), "%.255s", text);
	if (op->state != OP_GOING)
		op->state = OP_TOLD;
	loop_defer(op->m->loop, &op->task);
}

struct library_op *library_op_new(struct mount *m, const struct torrent_id *id,
				  library_fn *done, void *arg)
{
	struct library_op *op = mem_new(struct library_op);

	if (op == NULL)
		return NULL;
	op->m = m;
	op->id = *id;
	op->done = done;
	op->arg = arg;
	loop_task_init(&op->task, on_answer, op);
	TAILQ_INSERT_TAIL(&m->library.ops, op, link);
	return op;
}

const struct torrent_id *library_op_id(const struct library_op *op)
{
	return &op->id;
}

struct library_bytes library_op_take(struct library_op *op)
{
	struct library_bytes b = {.raw = op->parse.bytes, .mi = op->held};

	op->parse.bytes = NULL;
	op->held = NULL;
	return b;
}

void library_cancel(struct library_op *op)
{
	op->done = NULL;
}

void library_end(struct mount *m)
{
	struct library_op *op, *next;
	struct wish *w;

	TAILQ_FOREACH_SAFE (op, &m->library.ops, link, next) {
		op->done = NULL;
		if (op->leave != NULL)
			engine_leave_cancel(op->leave);
		op->leave = NULL;
		if (op->state != OP_KEEPING && op->state != OP_PARSING) {
			library_op_free(op);
			continue;
		}
		TAILQ_REMOVE(&m->library.ops, op, link);
		loop_task_cancel(m->loop, &op->task);
		op->m = NULL;
	}
	while ((w = TAILQ_FIRST(&m->library.wishes)) != NULL)
		library_wish_free(m, w);
}

/* ---- writing down ---- */

static void set_place(struct mount *m, const struct record *r)
{
	struct shown *s = roster_by_id(&m->roster, &r->id);
	struct wish *w = library_wish_by_id(m, &r->id);

	if (s != NULL) {
		s->source_at = r->source_at;
		s->source_len = r->source_len;
	} else if (w != NULL) {
		w->rec.source_at = r->source_at;
		w->rec.source_len = r->source_len;
	}
}

static void on_kept(void *arg, int err, const struct record *r)
{
	struct library_op *op = arg;
	struct mount *m = op->m;

	if (m == NULL) {
		library_op_free(op);
		return;
	}
	if (err == 0) {
		set_place(m, r);
		library_answer(op, op->err, op->text);
		return;
	}
	log_err("%.200s is not remembered: %s", op->text, err_text(err));
	if (op->is_new)
		library_dismantle(m, &op->id, NULL);
	library_answer(op, err, err_text(err));
}

void library_keep(struct library_op *op, const struct record *rec,
		  struct span source, const char *text)
{
	const struct keeper *k = op->m->keeper;
	int err;

	(void)snprintf(op->text, sizeof(op->text), "%.255s", text);
	if (k == NULL) {
		library_answer(op, op->err, text);
		return;
	}
	op->state = OP_KEEPING;
	err = k->keep(k->ctx, rec, source, on_kept, op);
	if (err != 0)
		on_kept(op, err, rec);
}

/* ---- a torrent whose metadata is there ---- */

void library_describe(const struct metainfo *mi, const struct tree *tree,
		      struct record *rec)
{
	rec->id = mi->id;
	rec->is_magnet = false;
	rec->time_s = mi->created_s > 0 ? mi->created_s : rec->added_s;
	rec->size_bytes = mi->total_bytes;
	rec->n_nodes = tree_count(tree);
	rec->n_subdirs = tree_subdirs(tree, TREE_TOP);
	(void)snprintf(rec->name, sizeof(rec->name), "%.240s", mi->name);
}

static void add_torrent(struct library_op *op)
{
	struct record rec = {.by = op->by, .added_s = clock_wall_s()};
	struct mount *m = op->m;
	struct shown *s;
	int err;

	library_describe(op->parse.mi, op->parse.tree, &rec);
	err = roster_add(&m->roster, &rec, &s);
	if (err != 0) {
		library_answer(op, err, err_text(err));
		return;
	}
	warmth_put(m, s, op->parse.mi, op->parse.tree);
	op->parse.mi = NULL;
	op->parse.tree = NULL;
	root_changed(m);
	op->is_new = true;
	s->is_kept = true;
	roster_record(s, &rec);
	library_keep(op, &rec, op->held->file, s->name);
	/* Behind that, by the same thread: to open it in the store may take
	 * seconds, and nobody waits for it. What could not be kept is gone. */
	s = roster_by_id(&m->roster, &rec.id);
	if (s != NULL && warmth_has_room(m))
		(void)warmth_wake(m, s);
}

/* ---- a wish ---- */

struct wish *library_wish_of(const struct mount *m, const struct torrent *t)
{
	struct wish *w;

	TAILQ_FOREACH (w, &m->library.wishes, link)
		if (w->torrent == t)
			return w;
	return NULL;
}

struct wish *library_wish_by_id(const struct mount *m,
				const struct torrent_id *id)
{
	struct wish *w;

	TAILQ_FOREACH (w, &m->library.wishes, link)
		if (torrent_id_matches(&w->rec.id, id))
			return w;
	return NULL;
}

void library_wish_free(struct mount *m, struct wish *w)
{
	TAILQ_REMOVE(&m->library.wishes, w, link);
	mem_free(w->raw);
	mem_free(w);
}

/* EEXIST: somebody wishes it already. */
int library_wish(struct mount *m, struct library_source *src,
		 const struct record *rec)
{
	struct engine_source es = {.magnet = src->magnet};
	struct wish *w = mem_new(struct wish);
	int err;

	if (w == NULL)
		return ENOMEM;
	src->magnet = NULL;
	err = engine_add(m->engine, es, &w->torrent);
	if (err == EEXIST && library_wish_of(m, w->torrent) == NULL)
		err = 0; /* it was named */
	if (err != 0) {
		mem_free(w);
		return err;
	}
	guests_let_go(m, w->torrent);
	w->rec = *rec;
	w->is_kept = true;
	w->raw = src->raw;
	w->raw_len = src->raw_len;
	src->raw = NULL;
	TAILQ_INSERT_TAIL(&m->library.wishes, w, link);
	return 0;
}

static void add_magnet(struct library_op *op)
{
	struct record rec = {.id = op->id,
			     .by = op->by,
			     .is_magnet = true,
			     .added_s = clock_wall_s()};
	const struct magnet *magnet = op->src.magnet;
	char hex[TORRENT_HEX_BYTES];
	struct wish *w;
	int err;

	buf_add(&op->made, op->src.raw, op->src.raw_len);
	(void)snprintf(rec.name, sizeof(rec.name), "%.240s",
		       magnet->name != NULL ? magnet->name
					    : torrent_id_hex(&op->id, hex));
	err = buf_err(&op->made);
	if (err == 0)
		err = library_wish(op->m, &op->src, &rec);
	if (err != 0) {
		library_answer(op, err,
			       err == EEXIST ? rec.name : err_text(err));
		return;
	}
	op->is_new = true;
	w = library_wish_by_id(op->m, &op->id);
	library_keep(op, &w->rec, buf_span(&op->made), rec.name);
}

/* ---- adding ---- */

/* It was only named, and is shown: from now on it is remembered. */
static void keep_guest(struct library_op *op, struct shown *s)
{
	struct record rec;

	s->by = op->by;
	s->is_kept = true;
	roster_record(s, &rec);
	op->err = EEXIST;
	if (op->parse.mi != NULL)
		library_keep(op, &rec, op->held->file, s->name);
	else
		library_keep_info(op, s, &rec);
}

static void give_hints(struct library_op *op, struct torrent *t)
{
	struct engine_source src = {.mi = op->parse.mi,
				    .magnet = op->src.magnet};

	tree_free(op->parse.tree);
	op->parse.tree = NULL;
	op->parse.mi = NULL;
	op->src.magnet = NULL;
	(void)engine_add(op->m->engine, src, &t); /* EEXIST */
}

static void add_again(struct library_op *op, struct shown *s)
{
	if (!s->is_kept && op->m->keeper != NULL) {
		keep_guest(op, s);
		return;
	}
	if (s->torrent != NULL)
		give_hints(op, s->torrent);
	library_answer(op, EEXIST, s->name);
}

/* Somebody looks for the metadata that is here now. */
static bool is_replaced(struct mount *m, const struct torrent_id *id)
{
	struct torrent *t = engine_find(m->engine, &id->v1);
	struct wish *w;

	if (t == NULL)
		t = engine_find(m->engine, &id->v2);
	if (t == NULL)
		return true;
	if (torrent_state(t) != TORRENT_META &&
	    torrent_state(t) != TORRENT_FAILED)
		return false; /* it comes by itself */
	w = library_wish_of(m, t);
	if (w != NULL)
		library_wish_free(m, w);
	guests_let_go(m, t);
	nameop_on_gone(m, t, EAGAIN);
	engine_remove(m->engine, t);
	return true;
}

static bool is_going(const struct mount *m, const struct library_op *but)
{
	const struct library_op *op;

	TAILQ_FOREACH (op, &m->library.ops, link)
		if (op != but && op->is_removal && op->state != OP_TOLD &&
		    torrent_id_matches(&op->id, &but->id))
			return true;
	return false;
}

void library_begin(struct library_op *op)
{
	struct mount *m = op->m;
	struct shown *s = roster_by_id(&m->roster, &op->id);

	op->state = OP_WAITING;
	if (is_going(m, op))
		return;
	if (s != NULL)
		add_again(op, s);
	else if (op->src.magnet != NULL)
		add_magnet(op);
	else if (is_replaced(m, &op->id))
		add_torrent(op);
	else
		library_answer(op, EEXIST, op->parse.mi->name);
}

/* ---- what is in a file ---- */

/* What is known of it by now counts: it may have been added meanwhile. */
static void take_parsed(struct library_op *op)
{
	const struct warmth_parse *p = &op->parse;
	char text[NAME_BUF_BYTES];

	if (p->err == 0) {
		op->id = p->mi->id;
		op->held = metainfo_hold(p->mi);
		library_begin(op);
		return;
	}
	(void)snprintf(text, sizeof(text), "not a valid torrent: %.160s",
		       p->why.text);
	if (p->err == ENOMEM)
		library_answer(op, ENOMEM, err_text(ENOMEM));
	else if (p->err == E2BIG)
		library_answer(op, E2BIG, p->why.text);
	else
		library_answer(op, EINVAL, text);
}

static void on_parsed(struct job *job)
{
	struct library_op *op = CONTAINER_OF(job, struct library_op, parse.job);

	if (op->m == NULL)
		library_op_free(op);
	else
		take_parsed(op);
}

static void begin_file(struct library_op *op)
{
	struct mount *m = op->m;

	op->parse = (struct warmth_parse){
		.bytes = op->src.raw,
		.len = op->src.mi != NULL ? op->src.mi->file.len
					  : op->src.raw_len,
		.mi = op->src.mi,
		.tree = op->src.tree,
	};
	op->src.raw = NULL;
	op->src.mi = NULL;
	op->src.tree = NULL;
	if (op->parse.tree != NULL) {
		take_parsed(op);
		return;
	}
	if (m->keeper == NULL || op->parse.len <= m->warmth.now_max) {
		warmth_parse(&op->parse, m->warmth.hasher);
		take_parsed(op);
		return;
	}
	op->state = OP_PARSING;
	op->parse.job =
		(struct job){.run = warmth_job_parse, .done = on_parsed};
	m->keeper->work(m->keeper->ctx, &op->parse.job);
}

int library_add(struct mount *m, struct library_source *src TAKES,
		enum record_by by, library_fn *done, void *arg,
		struct library_op **out)
{
	static const struct torrent_id unknown;
	const struct magnet *magnet = src->magnet;
	struct library_op *op = library_op_new(
		m, magnet != NULL ? &magnet->id : &unknown, done, arg);

	ASSERT_LOOP(m->loop);
	if (op == NULL) {
		library_source_fini(src);
		return ENOMEM;
	}
	op->src = *src;
	memset(src, 0, sizeof(*src));
	op->by = by;
	if (magnet != NULL)
		library_begin(op);
	else
		begin_file(op);
	if (out != NULL)
		*out = op;
	return 0;
}
