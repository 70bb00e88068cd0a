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
 *   limit   "down_Bps", "up_Bps": null: none */
#include <jansson.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/metainfo.h"
#include "fs/control_internal.h"
#include "fs/fs_limits.h"
#include "fs/inode.h"
#include "fs/mount_internal.h"
#include "fs/node.h"
#include "fs/readop.h"
#include "fs/roster.h"
#include "fs/steer_internal.h"
#include "fs/steer_request.h"
#include "fs/tree.h"
#include "net/engine.h"
#include "net/torrent.h"

struct call {
	struct mount *m;
	const struct steer_request *r;
	struct control_json o;
	json_t *answer;
	char why[STEER_WHY_BYTES]; /* not empty: that is the answer */
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

static struct torrent *by_hash(const struct mount *m, const char *text)
{
	struct info_hash h;

	if (!roster_name_is_hash(text) ||
	    info_hash_parse(&h, text, strlen(text)) != 0)
		return NULL;
	return engine_find(m->engine, &h);
}

static struct torrent *find_torrent(const struct mount *m, const char *text)
{
	struct shown *s = roster_by_name(&m->roster, text);
	struct torrent *t = s != NULL ? s->torrent : by_hash(m, text);

	if (t != NULL)
		return t;
	while ((t = engine_next(m->engine, t)) != NULL)
		if (torrent_user(t) == NULL &&
		    strcmp(torrent_name(t), text) == 0)
			return t;
	return NULL;
}

static int step(const struct mount *m, struct node *n, const char *name)
{
	struct torrent *t;

	if (n->kind != NODE_ROOT || !roster_name_is_hash(name))
		return node_lookup(m, n, name, n);
	t = by_hash(m, name);
	if (t == NULL || torrent_user(t) == NULL)
		return ENOENT;
	*n = node_top(torrent_user(t), true);
	return 0;
}

static int look_up(const struct mount *m, const char *path, struct node *out)
{
	char name[NAME_MAX + 1];
	int r = node_find(m, INODE_ROOT, out);

	while (r == 0 && *path != '\0') {
		size_t len = strcspn(path, "/");

		if (len > NAME_MAX)
			return ENAMETOOLONG;
		memcpy(name, path, len);
		name[len] = '\0';
		path += len + (path[len] == '/');
		if (len > 0)
			r = step(m, out, name);
	}
	return r;
}

static bool find(struct call *c, struct node *n)
{
	int r = look_up(c->m, c->r->path, n);

	if (r == 0 && (n->kind == NODE_ROOT || n->shown != NULL))
		return true;
	refuse(c, "%.100s: %s", c->r->path,
	       r != 0 ? err_text(r) : "no part of a torrent");
	return false;
}

/* ---- all files below a node ---- */

struct files {
	struct call *c;
	void (*fn)(struct files *f, const struct node *n);
	uint64_t n, size_bytes, held_bytes;
	int err;
};

static void each(struct files *f, const struct node *n)
{
	const char *name;
	struct node kid;
	uint64_t pos = 2; /* behind "." and ".." */

	if (n->kind == NODE_FILE) {
		f->n++;
		f->size_bytes += node_size(n);
		f->held_bytes +=
			torrent_file_held(n->shown->torrent, tree_file(n->ix));
		f->fn(f, n);
		return;
	}
	if (n->kind == NODE_LINK)
		return;
	/* As deep as METAINFO_MAX_DEPTH. */
	for (; f->err == 0 && node_child(f->c->m, n, pos, &kid, &name); pos++)
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
		refuse(c, "%.100s: %s", c->r->path, err_text(f.err));
		return;
	}
	control_put_int(&c->o, c->answer, "files", f.n);
	control_put_int(&c->o, c->answer, "size_bytes", f.size_bytes);
	control_put_int(&c->o, c->answer, "held_bytes", f.held_bytes);
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
	struct torrent *t = find_torrent(c->m, c->r->path);
	struct node n;

	if (t == NULL || torrent_user(t) != NULL) {
		if (find(c, &n))
			why_path(c, &n);
		return;
	}
	control_put(
		&c->o, c->answer, "why",
		control_text_value(torrent_state(t) == TORRENT_FAILED
					   ? torrent_why(t)
					   : control_state(torrent_state(t))));
	control_put(&c->o, c->answer, "reads", json_array());
}

/* ---- the other verbs ---- */

static void ls(struct call *c)
{
	const struct torrent *t = NULL;
	json_t *all = json_array();

	while ((t = engine_next(c->m->engine, t)) != NULL)
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
	const struct torrent *t = find_torrent(c->m, c->r->torrent);

	if (t == NULL) {
		refuse(c, "no torrent %.100s", c->r->torrent);
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

static void (*const verbs[STEER_VERBS])(struct call *c) = {
	[STEER_LS] = ls,       [STEER_STATUS] = status, [STEER_WHY] = why,
	[STEER_PEERS] = peers, [STEER_PIN] = pin,	[STEER_UNPIN] = pin,
	[STEER_LIMIT] = limit,
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

int steer_answer(struct mount *m, const struct steer_request *r,
		 struct buf *out)
{
	struct call c = {.m = m, .r = r, .o = {.m = m}};
	int err;

	c.answer = json_object();
	control_put(&c.o, c.answer, "ok", json_true());
	verbs[r->verb](&c);
	err = c.why[0] != '\0'
		      ? steer_refuse(c.why, out)
		      : control_json_dump(&c.o, c.answer, JSON_COMPACT, out);
	json_decref(c.answer);
	return err;
}
