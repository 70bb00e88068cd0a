/* steer_verb — what the verbs of the control socket do.
 *
 * A verb fills an object that is {"ok": true} at first, or gives the reason why
 * not, which is the whole answer then. Paths are looked up as the kernel would
 * have it; a directory stands for all files below it, the root for those of
 * every torrent. A torrent whose metadata is not there yet has no path: why and
 * peers know it by its name or its hash all the same.
 *
 *   ls      "torrents": as in status.json, without peers and trackers
 *   status  as status.json
 *   why     "why": a line, "reads": as in status.json, those of the path
 *   peers   "torrent", "peers": as in status.json
 *   pin, unpin   "files", "size_bytes", "held_bytes": of the path
 *   verify  "round": its number; and of one, "done", "pieces" and "bytes" that
 *           were hashed, and how many of the pieces were "bad"
 *   limit   "down_Bps", "up_Bps": null: none
 *   add     "torrent": its name in the root, or until there is one its link's;
 *           "was_there"
 *   rm      "torrent": the name it had
 *           Of a key that is to be followed, or no more, its name
 *   key, publish  steer_key.c */
#include <jansson.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/btpk.h"
#include "core/buf.h"
#include "core/err.h"
#include "core/magnet.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "fs/control_internal.h"
#include "fs/fs_limits.h"
#include "fs/inode.h"
#include "fs/mount_internal.h"
#include "fs/node.h"
#include "fs/readop.h"
#include "fs/roster.h"
#include "fs/warmth.h"
#include "fs/steer_find.h"
#include "fs/steer_internal.h"
#include "fs/steer_key.h"
#include "fs/steer_request.h"
#include "fs/steer_source.h"
#include "fs/tree.h"
#include "fs/verify.h"
#include "net/engine.h"
#include "net/signpost.h"
#include "net/torrent.h"

struct call {
	struct mount *m;
	struct steer_request *r;
	struct control_json o;
	json_t *answer;
	char why[STEER_WHY_BYTES]; /* not empty: that is the answer */
	bool is_early;		   /* … unless it is asked again */
	struct steer_later *later;
};

__attribute__((format(printf, 2, 3))) static void refuse(struct call *c,
							 const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(c->why, sizeof(c->why), fmt, args);
	va_end(args);
}

/* ---- who is meant ---- */

static bool find(struct call *c, struct node *n)
{
	int r = steer_look_up(c->m, c->r->path, n);

	if (r == 0 && (n->kind == NODE_ROOT || n->shown != NULL))
		return true;
	if (r == EAGAIN)
		c->is_early = true;
	refuse(c, "%.100s: %s", c->r->path,
	       r != 0 ? err_text(r) : "no part of a torrent");
	return false;
}

/* ---- all files below a node ---- */

struct files {
	struct call *c;
	void (*fn)(struct files *f, const struct node *n);
	uint64_t n, size_bytes, held_bytes;
	struct bits pieces; /* verify's */
	int err;
};

/* Whether its files are pinned, only a torrent that is open can say. */
static int be_ready(struct mount *m, const struct node *n)
{
	int r;

	if (n->kind == NODE_ROOT)
		return 0;
	r = warmth_wake(m, n->shown);
	return r != 0 ? r : warmth_is_ready(n->shown) ? 0 : EAGAIN;
}

static void each(struct files *f, const struct node *n)
{
	const char *name;
	struct node kid;
	uint64_t pos = 2; /* behind "." and ".." */

	if (n->kind != NODE_ROOT && n->shown == NULL)
		return; /* what the root has besides torrents */
	f->err = be_ready(f->c->m, n);
	if (f->err != 0)
		return;
	if (n->kind == NODE_FILE) {
		f->n++;
		f->size_bytes += node_size(n);
		f->held_bytes += node_held(n);
		f->fn(f, n);
		return;
	}
	if (n->kind == NODE_LINK)
		return;
	/* As deep as METAINFO_MAX_DEPTH. */
	while (f->err == 0 && node_child(f->c->m, n, &pos, &kid, &name))
		each(f, &kid);
}

static void pin_one(struct files *f, const struct node *n)
{
	f->err = torrent_pin(n->shown->torrent, tree_file(n->ix));
}

static void unpin_one(struct files *f, const struct node *n)
{
	torrent_unpin(n->shown->torrent, tree_file(n->ix));
}

static void pin(struct call *c)
{
	struct files f = {.c = c,
			  .fn = c->r->verb == STEER_PIN ? pin_one : unpin_one};
	struct node n;

	if (!find(c, &n))
		return;
	each(&f, &n);
	if (f.err != 0) {
		c->is_early = f.err == EAGAIN;
		refuse(c, "%.100s: %s", c->r->path, err_text(f.err));
		return;
	}
	control_put_int(&c->o, c->answer, "files", f.n);
	control_put_int(&c->o, c->answer, "size_bytes", f.size_bytes);
	control_put_int(&c->o, c->answer, "held_bytes", f.held_bytes);
}

/* ---- verify ---- */

static void mark_one(struct files *f, const struct node *n)
{
	const struct metainfo *mi = n->shown->mi;
	const struct mi_file *file = &mi->files[tree_file(n->ix)];
	uint64_t first = file->off_bytes / mi->piece_bytes, last;

	if (file->len_bytes == 0)
		return;
	if (f->pieces.data == NULL)
		f->err = bits_init(&f->pieces, mi->n_pieces);
	last = (file->off_bytes + file->len_bytes - 1) / mi->piece_bytes;
	for (; f->err == 0 && first <= last; first++)
		bits_set(&f->pieces, (uint32_t)first);
}

static void verify_begun(struct call *c)
{
	struct files f = {.c = c, .fn = mark_one};
	struct node n;
	uint64_t id;

	if (!find(c, &n))
		return;
	if (n.kind != NODE_ROOT && n.ix != TREE_TOP)
		each(&f, &n);
	if (f.err == 0)
		f.err = verify_start(c->m, n.shown, &f.pieces, &id);
	bits_fini(&f.pieces);
	if (f.err != 0) {
		c->is_early = f.err == EAGAIN;
		refuse(c, "%.100s: %s", c->r->path, err_text(f.err));
		return;
	}
	control_put_int(&c->o, c->answer, "round", id);
}

static void verify(struct call *c)
{
	struct verify_view v;

	if (c->r->round == 0) {
		verify_begun(c);
		return;
	}
	if (!verify_view(c->m, (uint64_t)c->r->round, &v)) {
		refuse(c, "there is no such round");
		return;
	}
	control_put_int(&c->o, c->answer, "round", (uint64_t)c->r->round);
	control_put(&c->o, c->answer, "done", json_boolean(v.is_done));
	control_put_int(&c->o, c->answer, "pieces", v.sums.pieces);
	control_put_int(&c->o, c->answer, "bytes", v.sums.bytes);
	control_put_int(&c->o, c->answer, "bad", v.sums.bad);
}

/* ---- why ---- */

/* Is the read's file this one, or below this directory? */
static bool is_below(const struct node *n, const struct readop_view *v)
{
	const struct mi_file *f = &v->shown->mi->files[v->file_ix];
	uint32_t ix = TREE_TOP;

	if (n->kind == NODE_ROOT)
		return true;
	if (v->shown != n->shown)
		return false;
	if (n->kind == NODE_FILE)
		return v->file_ix == tree_file(n->ix);
	for (uint32_t i = 0; ix != n->ix; i++)
		if (i + 1 >= f->n_path ||
		    tree_lookup(n->shown->tree, ix, f->path[i], &ix) != 0)
			return false;
	return true;
}

static json_t *reads_below(struct call *c, const struct node *n)
{
	const struct readop *op = NULL;
	json_t *reads = json_array();
	unsigned left = CONTROL_READS_MAX;

	while ((op = readop_next(c->m, op)) != NULL && left > 0) {
		struct readop_view v;

		readop_view(op, &v);
		if (!is_below(n, &v))
			continue;
		control_push(&c->o, reads, control_json_read(&c->o, op));
		left--;
	}
	return reads;
}

/* What there is to say of a file that nobody waits for. */
static const char *why_quiet(const struct node *n)
{
	struct torrent *t = n->shown->torrent;
	uint32_t ix = tree_file(n->ix);
	const char *why;

	if (!warmth_is_ready(n->shown))
		return "nothing: nobody uses its torrent";
	if (torrent_file_held(t, ix) == node_size(n))
		return "nothing: all of it is held";
	if (!torrent_is_pinned(t, ix))
		return "nothing: nobody reads what is missing, and it is not "
		       "pinned";
	why = torrent_file_why(t, ix);
	return why != NULL ? why : "nothing: all of it is held";
}

static void why_path(struct call *c, const struct node *n)
{
	json_t *reads = reads_below(c, n);
	const char *why = NULL;

	if (json_array_size(reads) > 0)
		why = json_string_value(
			json_object_get(json_array_get(reads, 0), "why"));
	else if (n->kind == NODE_FILE)
		why = why_quiet(n);
	else
		why = "nothing: no read of it waits";
	control_put(&c->o, c->answer, "why", control_text_value(why));
	control_put(&c->o, c->answer, "reads", reads);
}

static void why(struct call *c)
{
	struct torrent *t = NULL;
	const char *what;
	struct node n;

	if (steer_find_shown(c->m, c->r->path) == NULL)
		t = steer_find_torrent(c->m, c->r->path);
	if (t == NULL) {
		if (find(c, &n))
			why_path(c, &n);
		return;
	}
	what = torrent_state(t) == TORRENT_FAILED ? torrent_why(t)
						  : torrent_meta_why(t);
	control_put(
		&c->o, c->answer, "why",
		control_text_value(
			what != NULL ? what : control_state(torrent_state(t))));
	control_put(&c->o, c->answer, "reads", json_array());
}

/* ---- the other verbs ---- */

static void ls(struct call *c)
{
	const struct roster *r = &c->m->roster;
	const struct torrent *t = NULL;
	json_t *all = json_array();

	for (uint32_t i = 0; i < r->n; i++) {
		const struct shown *s = r->by_name[i];

		control_push(&c->o, all,
			     s->torrent != NULL
				     ? control_json_brief(&c->o, s->torrent)
				     : control_json_asleep(&c->o, s));
	}
	while ((t = engine_next(c->m->engine, t)) != NULL)
		if (torrent_user(t) == NULL)
			control_push(&c->o, all, control_json_brief(&c->o, t));
	control_put(&c->o, c->answer, "torrents", all);
}

static void status(struct call *c)
{
	json_t *all = control_json_status(&c->o);

	if (json_object_update(c->answer, all) != 0)
		c->o.failed = true;
	json_decref(all);
}

static void peers(struct call *c)
{
	const struct shown *s = steer_find_shown(c->m, c->r->torrent);
	const struct torrent *t =
		s != NULL ? s->torrent
			  : steer_find_torrent(c->m, c->r->torrent);

	if (t == NULL) {
		refuse(c,
		       s != NULL ? "%.100s: nobody uses it, so it has no peers"
				 : "no torrent %.100s",
		       c->r->torrent);
		return;
	}
	control_put(&c->o, c->answer, "torrent",
		    control_text_value(control_name(t)));
	control_put(&c->o, c->answer, "peers", control_json_peers(&c->o, t));
}

static void put_limit(struct call *c, const char *key, enum engine_way way)
{
	uint64_t Bps = engine_limit(c->m->engine, way);

	control_put(&c->o, c->answer, key,
		    Bps == 0 ? json_null() : json_integer((json_int_t)Bps));
}

static void limit(struct call *c)
{
	if (c->r->has_rate)
		engine_set_limit(c->m->engine,
				 c->r->is_up ? ENGINE_UP : ENGINE_DOWN,
				 c->r->Bps);
	put_limit(c, "down_Bps", ENGINE_DOWN);
	put_limit(c, "up_Bps", ENGINE_UP);
}

/* ---- adding and removing ---- */

/* The answer comes when what was done to a key is durable. */
static void settle_key(struct call *c, const struct btpk *b)
{
	struct steer_later *later = c->later;
	int r = steer_later_settle(later, c->m, b);

	if (r == ENOENT) {
		control_put(&c->o, c->answer, "torrent",
			    control_text_value(later->key));
		if (!later->is_removal)
			control_put(&c->o, c->answer, "was_there",
				    json_boolean(later->was_there));
	} else if (r != 0) {
		c->is_early = r == EAGAIN;
		refuse(c, "%s", err_text(r));
	}
}

/* Followed from now on. False: refused. */
static bool follow(struct call *c, const struct btpk *b)
{
	struct signpost *s;
	int r = signpost_keep(c->m->engine, b, &s);

	c->later->was_there = r == EEXIST;
	if (r == 0 || r == EEXIST)
		return true;
	refuse(c, r == EBUSY ? "too many keys are known" : "%s", err_text(r));
	return false;
}

static void unfollow(struct call *c, const struct btpk *b)
{
	struct signpost *s = signpost_find(c->m->engine, b);
	int r = s != NULL ? signpost_drop(s) : ENOENT;

	c->later->was_there = false;
	if (r == 0) {
		settle_key(c, b);
		return;
	}
	c->is_early = r == EAGAIN;
	refuse(c, "no key %.100s is known", c->r->torrent);
}

/* A link may name a key, a torrent, or both. True: there is a torrent to add.
 */
static bool add_key(struct call *c, const struct magnet *m)
{
	if (!follow(c, &m->btpk))
		return false;
	if (!magnet_names_torrent(m)) {
		settle_key(c, &m->btpk);
		return false;
	}
	/* Before the torrent is: the store does one after the other. */
	signpost_hurry(c->m->engine);
	return true;
}

/* Files of the user's come with it; false: refused. */
static bool add_data(struct call *c, const struct library_source *src)
{
	int r;

	if (c->r->data == NULL)
		return true;
	if (c->m->keeper == NULL)
		refuse(c, "the store of this mount is in memory: it knows no "
			  "directories");
	else if (c->r->data_fd < 0)
		refuse(c, "data needs its directory's descriptor");
	else if (src->magnet != NULL && !magnet_names_torrent(src->magnet))
		refuse(c, "a key has no files");
	else if ((r = steer_later_lend(c->later, c->m, c->r)) != 0)
		refuse(c, "%s", err_text(r));
	else
		return true;
	return false;
}

static void add(struct call *c)
{
	struct library_source src = {0};
	int r = steer_source(c->r, &src, c->why);

	c->later->is_removal = false;
	if (r == 0 && !add_data(c, &src)) {
		library_source_fini(&src);
		return;
	}
	if (r == 0 && src.magnet != NULL && src.magnet->has_key &&
	    !add_key(c, src.magnet)) {
		steer_later_unlend(c->later);
		library_source_fini(&src);
		return;
	}
	if (r == 0)
		r = library_add(c->m, &src, RECORD_BY_CONTROL, steer_later_done,
				c->later, &c->later->op);
	if (r != 0 && c->why[0] == '\0')
		refuse(c, "%s", err_text(r));
	if (r != 0)
		steer_later_unlend(c->later);
	library_source_fini(&src);
}

/* By its name in the root, its hash, or of one whose metadata is not there the
 * name of its link; a key by its name. */
static void rm(struct call *c)
{
	struct library_target what = {
		.shown = steer_find_shown(c->m, c->r->torrent)};
	struct btpk b;
	int r = ENOENT;

	c->later->is_removal = true;
	if (btpk_parse(&b, c->r->torrent) == 0) {
		unfollow(c, &b);
		return;
	}
	if (what.shown == NULL)
		what.wished = steer_find_torrent(c->m, c->r->torrent);
	if (what.shown != NULL || what.wished != NULL)
		r = library_remove(c->m, what, steer_later_done, c->later,
				   &c->later->op);
	if (r != 0)
		refuse(c,
		       r == ENOENT ? "no torrent %.100s"
				   : "%.100s: it is just being removed",
		       c->r->torrent);
}

static void keys(struct call *c)
{
	const char *why = c->r->verb == STEER_PUBLISH
				  ? steer_publish(c->m, c->r, &c->o, c->answer)
				  : steer_key(c->m, c->r, &c->o, c->answer);

	if (why != NULL)
		refuse(c, "%s", why);
}

static void (*const verbs[STEER_VERBS])(struct call *c) = {
	[STEER_LS] = ls,	 [STEER_STATUS] = status,
	[STEER_WHY] = why,	 [STEER_PEERS] = peers,
	[STEER_PIN] = pin,	 [STEER_UNPIN] = pin,
	[STEER_VERIFY] = verify, [STEER_LIMIT] = limit,
	[STEER_ADD] = add,	 [STEER_RM] = rm,
	[STEER_KEY] = keys,	 [STEER_PUBLISH] = keys,
};

/* ---- answers ---- */

int steer_refuse(const char *why_not, struct buf *out)
{
	struct control_json o = {0};
	json_t *j = json_object();
	int r;

	control_put(&o, j, "error", control_text_value(why_not));
	r = control_json_dump(&o, j, JSON_COMPACT, out);
	json_decref(j);
	return r;
}

int steer_answer(struct mount *m, struct steer_request *r,
		 struct steer_later *later, struct buf *out)
{
	struct call c = {.m = m, .r = r, .o = {.m = m}, .later = later};
	int err;

	c.answer = json_object();
	control_put(&c.o, c.answer, "ok", json_true());
	verbs[r->verb](&c);
	if (later->op != NULL || later->wait.saving != NULL)
		err = EINPROGRESS;
	else if (c.is_early)
		err = EAGAIN;
	else
		err = c.why[0] != '\0' ? steer_refuse(c.why, out)
				       : control_json_dump(&c.o, c.answer,
							   JSON_COMPACT, out);
	json_decref(c.answer);
	return err;
}
