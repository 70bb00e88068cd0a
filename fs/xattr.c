/* xattr — the extended attributes user.shoalfs.*.
 *
 *   infohash  every node of a torrent: v1's if there is one, in hex
 *   infohash_v2  v2's, if there is one
 *   held      files and the torrent's directory: bytes verified and kept
 *   pieces    the same, while it is awake: "held/all"; a file's are those that
 *             it has bytes in
 *   pin       a pinned file: "1"
 *   down, up  the torrent's directory: payload bytes that came and went, ever
 *   why       a file some reader waits on: what for
 *   control   the mount point: where its control socket is
 *
 * What else begins with "user." is ENODATA. Of other classes (capabilities,
 * labels, access lists) there is none here, and EOPNOTSUPP says so once: `ls
 * -l` asks for three of them of every entry until it hears that. Never ENOSYS:
 * after it the kernel would not ask again for any attribute of the mount. */
#include "fs/xattr.h"

#include <string.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/metainfo.h"
#include "fs/node.h"
#include "fs/readop.h"
#include "fs/mount_internal.h"
#include "fs/roster.h"
#include "fs/warmth.h"
#include "fs/steer.h"
#include "fs/tree.h"
#include "net/engine.h"
#include "net/torrent.h"

static bool is_top(const struct node *n)
{
	return n->kind == NODE_DIR && n->ix == TREE_TOP;
}

static int get_infohash(const struct mount *m, const struct node *n,
			struct buf *out)
{
	char hex[TORRENT_HEX_BYTES];

	if (n->shown == NULL)
		return ENODATA;
	buf_add_str(out, torrent_id_hex(&n->shown->id, hex));
	return 0;
}

static int get_infohash_v2(const struct mount *m, const struct node *n,
			   struct buf *out)
{
	char hex[TORRENT_HEX_BYTES];

	if (n->shown == NULL || n->shown->id.v2.len == 0)
		return ENODATA;
	buf_add_str(out, info_hash_hex(&n->shown->id.v2, hex));
	return 0;
}

static int get_held(const struct mount *m, const struct node *n,
		    struct buf *out)
{
	if (n->kind == NODE_FILE)
		buf_addf(out, "%llu", (unsigned long long)node_held(n));
	else if (is_top(n))
		buf_addf(out, "%llu",
			 (unsigned long long)warmth_held(n->shown));
	else
		return ENODATA;
	return 0;
}

static void add_file_pieces(const struct node *n, struct buf *out)
{
	const struct metainfo *mi = n->shown->mi;
	const struct mi_file *f = &mi->files[tree_file(n->ix)];
	uint32_t first, last, held = 0;

	if (f->len_bytes == 0) {
		buf_add_str(out, "0/0");
		return;
	}
	first = (uint32_t)(f->off_bytes / mi->piece_bytes);
	last = (uint32_t)((f->off_bytes + f->len_bytes - 1) / mi->piece_bytes);
	for (uint32_t ix = first; ix <= last; ix++)
		held += torrent_piece_held(n->shown->torrent, ix);
	buf_addf(out, "%u/%u", held, last - first + 1);
}

static int get_pieces(const struct mount *m, const struct node *n,
		      struct buf *out)
{
	struct torrent_view v;

	if (n->kind != NODE_FILE && !is_top(n))
		return ENODATA;
	if (!warmth_is_ready(n->shown))
		return ENODATA;
	if (n->kind == NODE_FILE) {
		add_file_pieces(n, out);
		return 0;
	}
	torrent_view(n->shown->torrent, &v);
	buf_addf(out, "%u/%u", v.held_pieces, v.n_pieces);
	return 0;
}

static int get_why(const struct mount *m, const struct node *n, struct buf *out)
{
	const char *why;

	if (n->kind != NODE_FILE)
		return ENODATA;
	why = readop_why(m, n->shown, tree_file(n->ix));
	if (why == NULL)
		return ENODATA;
	buf_add_str(out, why);
	return 0;
}

static int get_pin(const struct mount *m, const struct node *n, struct buf *out)
{
	if (n->kind != NODE_FILE || !warmth_is_ready(n->shown) ||
	    !torrent_is_pinned(n->shown->torrent, tree_file(n->ix)))
		return ENODATA;
	buf_add_str(out, "1");
	return 0;
}

static int get_down(const struct mount *m, const struct node *n,
		    struct buf *out)
{
	struct traffic t;

	if (!is_top(n))
		return ENODATA;
	engine_traffic(m->engine, &n->shown->id, &t);
	buf_addf(out, "%llu", (unsigned long long)t.down_bytes);
	return 0;
}

static int get_up(const struct mount *m, const struct node *n, struct buf *out)
{
	struct traffic t;

	if (!is_top(n))
		return ENODATA;
	engine_traffic(m->engine, &n->shown->id, &t);
	buf_addf(out, "%llu", (unsigned long long)t.up_bytes);
	return 0;
}

static int get_control(const struct mount *m, const struct node *n,
		       struct buf *out)
{
	if (n->kind != NODE_ROOT || m->steer == NULL)
		return ENODATA;
	buf_add_str(out, steer_path(m->steer));
	return 0;
}

static const struct {
	const char *name;
	int (*get)(const struct mount *m, const struct node *n,
		   struct buf *out);
} attrs[] = {
	{"user.shoalfs.infohash", get_infohash},
	{"user.shoalfs.infohash_v2", get_infohash_v2},
	{"user.shoalfs.held", get_held},
	{"user.shoalfs.pieces", get_pieces},
	{"user.shoalfs.pin", get_pin},
	{"user.shoalfs.down", get_down},
	{"user.shoalfs.up", get_up},
	{"user.shoalfs.why", get_why},
	{"user.shoalfs.control", get_control},
};

enum { N_ATTRS = sizeof(attrs) / sizeof(attrs[0]) };

static const char USERS[] = "user.";

int xattr_get(const struct mount *m, const struct node *n, const char *name,
	      struct buf *out)
{
	for (unsigned i = 0; i < N_ATTRS; i++) {
		int r;

		if (strcmp(name, attrs[i].name) != 0)
			continue;
		r = attrs[i].get(m, n, out);
		return r != 0 ? r : buf_err(out);
	}
	return strncmp(name, USERS, strlen(USERS)) == 0 ? ENODATA : EOPNOTSUPP;
}

int xattr_list(const struct mount *m, const struct node *n, struct buf *out)
{
	struct buf value = {0};

	for (unsigned i = 0; i < N_ATTRS; i++) {
		buf_reset(&value);
		if (attrs[i].get(m, n, &value) == 0)
			buf_add(out, attrs[i].name, strlen(attrs[i].name) + 1);
	}
	buf_fini(&value);
	return buf_err(out);
}
