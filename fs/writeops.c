/* writeops — the FUSE operations that would change something.
 *
 * The root may be written to: a .torrent that is copied in is added when it is
 * closed, or renamed to its name; rmdir of a torrent's directory removes it, rm
 * of the link of a key ends that.
 * Everything else is EROFS, and all of it where the mount is `ro`: then the
 * kernel says so before we are asked.
 *
 * Close (FLUSH) comes for each descriptor of an open file, a shell's for its
 * redirection among them, before anything was written: a file that is no
 * torrent then is EINVAL to that close, and is looked at again at the next one.
 * What it has goes with the last descriptor.
 *
 * Under another name a close is never refused; of what is long and may be a
 * torrent it waits until that was parsed, so that the rename to NAME.torrent
 * finds it done. Who is interrupted there goes on, and the parse too: a rename
 * that comes meanwhile waits for it.
 *
 * Who copied hears that the torrent was added when that is durable: these
 * replies wait for a sync of the store, and for nothing else. The kernel holds
 * the root's lock for a rename and a rmdir meanwhile: then nobody else looks up
 * a new name there. */
#include "fs/writeops.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <string.h>

#include "core/err.h"
#include "core/mem.h"
#include "fs/library.h"
#include "fs/mount_internal.h"
#include "fs/node.h"
#include "fs/nameop.h"
#include "fs/ops.h"
#include "fs/upload.h"
#include "net/signpost.h"

/* What a reply waits for: that something is durable; that what is closed was
 * parsed; or that, to be added then. */
enum writeop_wait { WAIT_DURABLE, WAIT_PARSED, WAIT_TO_ADD };

struct writeop {
	TAILQ_ENTRY(writeop) link;
	struct mount *m;
	fuse_req_t req;
	enum writeop_wait what;
	struct library_op *op;
	uint64_t upload; /* that is added or parsed: its number */
	struct signpost_wait wait;
	struct loop_task interrupt;
};

static fuse_req_t finish(struct writeop *w)
{
	fuse_req_t req = w->req;

	TAILQ_REMOVE(&w->m->writes, w, link);
	loop_task_cancel(w->m->loop, &w->interrupt);
	mem_free(w);
	return req;
}

/* That it was there before is no mistake of who copies it. */
static void on_done(void *arg, int err, const char *text)
{
	fuse_req_t req = finish(arg);

	fuse_reply_err(req, err == EEXIST ? 0 : err);
}

void writeops_end_all(struct mount *m)
{
	struct writeop *w;

	while ((w = TAILQ_FIRST(&m->writes)) != NULL) {
		if (w->op != NULL)
			library_cancel(w->op);
		signpost_settle_cancel(&w->wait);
		fuse_reply_err(finish(w), EIO);
	}
}

static void on_interrupt_turn(void *arg)
{
	fuse_reply_err(finish(arg), 0);
}

static void on_interrupt(fuse_req_t req, void *data)
{
	struct writeop *w = data;

	loop_defer(w->m->loop, &w->interrupt);
}

static struct writeop *park(struct mount *m, fuse_req_t req)
{
	struct writeop *w = mem_new(struct writeop);

	if (w == NULL)
		return NULL;
	w->m = m;
	w->req = req;
	loop_task_init(&w->interrupt, on_interrupt_turn, w);
	TAILQ_INSERT_TAIL(&m->writes, w, link);
	return w;
}

/* ---- files that are copied in ---- */

/* By number: what a predecessor was being given is gone, and then NULL. */
static struct upload *upload_of(const struct mount *m,
				const struct fuse_file_info *fi)
{
	return upload_by_number(m, fi->fh);
}

static bool is_upload(const struct mount *m, fuse_ino_t ino)
{
	return upload_by_number(m, ino) != NULL;
}

static void hand_over(struct upload *u, struct fuse_file_info *fi)
{
	fi->fh = upload_number(u);
	fi->direct_io = 1; /* who writes hears at once how it went */
}

void writeops_open(fuse_req_t req, const struct node *n,
		   struct fuse_file_info *fi)
{
	struct mount *m = fuse_req_userdata(req);

	if (fi->flags & O_TRUNC)
		(void)upload_cut(m, n->upload, 0);
	upload_open(n->upload);
	hand_over(n->upload, fi);
	if (fuse_reply_open(req, fi) == -ENOENT)
		upload_close(m, n->upload);
}

void writeops_create(fuse_req_t req, fuse_ino_t parent, const char *name,
		     mode_t mode, struct fuse_file_info *fi)
{
	struct mount *m = fuse_req_userdata(req);
	struct fuse_entry_param e;
	struct node root, n;
	struct upload *u;
	int r;

	if (!ops_find(req, parent, &root))
		return;
	r = root.kind != NODE_ROOT || m->is_ro ? EROFS
	    : strlen(name) > NAME_MAX	       ? ENAMETOOLONG
	    : roster_name_is_hash(name)	       ? EROFS
					       : 0;
	if (r == 0 && node_lookup(m, &root, name, &n) == 0) {
		r = n.kind == NODE_UPLOAD ? 0 : EEXIST;
		if (r == 0)
			upload_open(n.upload);
	} else if (r == 0)
		r = upload_new(m, name, mode, &u);
	if (r != 0) {
		fuse_reply_err(req, r);
		return;
	}
	(void)node_lookup(m, &root, name, &n);
	hand_over(n.upload, fi);
	node_entry(m, &n, &e);
	if (fuse_reply_create(req, &e, fi) == -ENOENT)
		upload_close(m, n.upload);
}

void writeops_read(fuse_req_t req, size_t size, off_t off,
		   struct fuse_file_info *fi)
{
	struct upload *u = upload_of(fuse_req_userdata(req), fi);
	struct span b;

	if (u == NULL || upload_is_lent(u)) {
		fuse_reply_err(req, u == NULL ? ESTALE : EBUSY);
		return;
	}
	b = upload_bytes(u);
	if (off < 0 || (uint64_t)off >= b.len)
		size = 0;
	else if (size > b.len - (size_t)off)
		size = b.len - (size_t)off;
	fuse_reply_buf(req, size > 0 ? (const char *)b.ptr + off : NULL, size);
}

void writeops_write(fuse_req_t req, fuse_ino_t ino, const char *buf,
		    size_t size, off_t off, struct fuse_file_info *fi)
{
	struct mount *m = fuse_req_userdata(req);
	int r = EROFS;

	if (is_upload(m, ino) && upload_of(m, fi) != NULL && off >= 0)
		r = upload_write(m, upload_of(m, fi), buf, size, (uint64_t)off);
	if (r != 0)
		fuse_reply_err(req, r);
	else
		fuse_reply_write(req, size);
}

void writeops_release(fuse_req_t req, struct fuse_file_info *fi)
{
	struct mount *m = fuse_req_userdata(req);
	struct upload *u = upload_of(m, fi);

	if (u != NULL)
		upload_close(m, u);
	fuse_reply_err(req, 0);
}

/* It was kept open until now. */
static void on_added(void *arg, int err, const char *text)
{
	struct writeop *w = arg;
	struct upload *u = upload_by_number(w->m, w->upload);

	if (u != NULL)
		upload_give_back(u, library_op_take(w->op));
	if (u != NULL && (err == 0 || err == EEXIST))
		upload_added(u);
	if (u != NULL)
		upload_close(w->m, u);
	on_done(w, err, text);
}

/* The reply waits for the parse that is going on. */
static int await_parse(struct mount *m, fuse_req_t req, const struct upload *u,
		       enum writeop_wait what)
{
	struct writeop *w = park(m, req);

	if (w == NULL)
		return ENOMEM;
	w->upload = upload_number(u);
	w->what = what;
	if (what == WAIT_PARSED)
		fuse_req_interrupt_func(req, on_interrupt, w);
	return 0;
}

/* Add what is in it; replies. A file that is closed goes with that. */
static void take(struct mount *m, fuse_req_t req, struct upload *u)
{
	struct library_source src = {0};
	struct writeop *w;
	int r;

	if (upload_is_parsing(u)) {
		r = await_parse(m, req, u, WAIT_TO_ADD);
		if (r != 0)
			fuse_reply_err(req, r);
		return;
	}
	w = park(m, req);
	r = w != NULL ? 0 : ENOMEM;
	upload_taken(u);
	upload_open(u);
	if (r == 0) {
		w->upload = upload_number(u);
		upload_lend(u, &src);
		r = library_add(m, &src, RECORD_BY_COPY, on_added, w, &w->op);
	}
	if (r == 0)
		return;
	if (w != NULL) {
		/* it is freed */
		upload_give_back(u, (struct library_bytes){0});
		(void)finish(w);
	}
	upload_close(m, u);
	fuse_reply_err(req, r);
}

static void on_parsed(struct mount *m, struct upload *u)
{
	struct writeop *w, *next;

	TAILQ_FOREACH_SAFE (w, &m->writes, link, next) {
		if (w->upload != upload_number(u) || w->what == WAIT_DURABLE)
			continue;
		if (w->what == WAIT_TO_ADD && upload_is_due(u))
			take(m, finish(w), u);
		else
			fuse_reply_err(finish(w), 0);
	}
}

/* Of what may get a name to be added by: whatever it is, the close is good. */
static void parse_ahead(struct mount *m, fuse_req_t req, struct upload *u)
{
	int r = upload_parse(m, u, on_parsed);

	if (r == 0)
		r = await_parse(m, req, u, WAIT_PARSED);
	if (r != 0)
		fuse_reply_err(req, 0);
}

void writeops_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct mount *m = fuse_req_userdata(req);
	struct upload *u = is_upload(m, ino) ? upload_of(m, fi) : NULL;

	if (u == NULL)
		fuse_reply_err(req, 0);
	else if (upload_is_due(u))
		take(m, req, u);
	else
		parse_ahead(m, req, u);
}

/* What cp -p, rsync and file managers say of a file that they have made; its
 * times are nobody's. */
void writeops_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr,
		      int to_set, struct fuse_file_info *fi)
{
	struct mount *m = fuse_req_userdata(req);
	struct stat st;
	struct node n;
	int r = 0;

	if (!ops_find(req, ino, &n))
		return;
	if (n.kind != NODE_UPLOAD)
		r = EROFS;
	else if (to_set & FUSE_SET_ATTR_SIZE)
		r = attr->st_size < 0
			    ? EINVAL
			    : upload_cut(m, n.upload, (uint64_t)attr->st_size);
	if (r != 0) {
		fuse_reply_err(req, r);
		return;
	}
	node_stat(m, &n, &st);
	fuse_reply_attr(req, &st, 0);
}

static void on_settled(void *arg, int err)
{
	fuse_reply_err(finish(arg), err);
}

/* The key that a link is of is not followed any more, nor looked at: as when a
 * torrent's directory is removed, the reply waits until that is durable. */
static int drop_key(struct mount *m, fuse_req_t req, struct signpost *s)
{
	struct writeop *w = park(m, req);
	int r;

	if (w == NULL)
		return ENOMEM;
	w->wait.done = on_settled;
	w->wait.arg = w;
	r = signpost_drop(s);
	if (r == 0)
		r = signpost_settle(m->engine, &w->wait);
	if (r != 0)
		(void)finish(w);
	if (r == ENOENT)
		fuse_reply_err(req, 0);
	return r == ENOENT ? 0 : r == EAGAIN ? EBUSY : r;
}

void writeops_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct mount *m = fuse_req_userdata(req);
	struct node dir, n;
	int r;

	if (!ops_find(req, parent, &dir))
		return;
	r = node_lookup(m, &dir, name, &n);
	if (r == 0 && n.kind == NODE_KEYLINK && !m->is_ro) {
		r = drop_key(m, req, n.signpost);
		if (r != 0)
			fuse_reply_err(req, r);
		return;
	}
	if (r == 0 && n.kind != NODE_UPLOAD)
		r = EROFS;
	if (r == 0)
		upload_unlink(m, n.upload);
	ops_reply_err(req, r);
}

/* Onto a torrent's name: EROFS. */
void writeops_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
		     fuse_ino_t newparent, const char *newname, unsigned flags)
{
	struct mount *m = fuse_req_userdata(req);
	struct node dir, n, old;
	int r;

	if (!ops_find(req, parent, &dir))
		return;
	r = node_lookup(m, &dir, name, &n);
	if (r == 0 && (n.kind != NODE_UPLOAD || newparent != parent ||
		       roster_name_is_hash(newname)))
		r = EROFS;
	if (r == 0 && node_lookup(m, &dir, newname, &old) == 0)
		r = old.kind != NODE_UPLOAD    ? EROFS
		    : flags & RENAME_NOREPLACE ? EEXIST
					       : 0;
	if (r == 0 && (flags & ~(unsigned)RENAME_NOREPLACE) != 0)
		r = EINVAL;
	if (r == 0)
		r = upload_rename(m, n.upload, newname);
	if (r == 0 && upload_is_due(n.upload))
		take(m, req, n.upload);
	else
		ops_reply_err(req, r);
}

/* ---- torrents ---- */

void writeops_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct mount *m = fuse_req_userdata(req);
	struct library_target what = {0};
	struct info_hash hash;
	struct writeop *w;
	struct node dir;
	int r;

	if (!ops_find(req, parent, &dir))
		return;
	if (dir.kind == NODE_ROOT && !m->is_ro)
		what.shown = roster_by_name(&m->roster, name);
	if (dir.kind == NODE_ROOT && !m->is_ro && what.shown == NULL &&
	    info_hash_parse(&hash, name, strlen(name)) == 0)
		what.shown = roster_by_hash(&m->roster, &hash);
	if (what.shown == NULL) {
		fuse_reply_err(req, EROFS);
		return;
	}
	w = park(m, req);
	r = w == NULL ? ENOMEM : library_remove(m, what, on_done, w, &w->op);
	if (r == 0)
		return;
	if (w != NULL)
		(void)finish(w);
	fuse_reply_err(req, r);
}

/* ---- everything else ---- */

void writeops_mknod(fuse_req_t req, fuse_ino_t parent, const char *name,
		    mode_t mode, dev_t rdev)
{
	fuse_reply_err(req, EROFS);
}

void writeops_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name,
		    mode_t mode)
{
	fuse_reply_err(req, EROFS);
}

void writeops_symlink(fuse_req_t req, const char *link, fuse_ino_t parent,
		      const char *name)
{
	fuse_reply_err(req, EROFS);
}

void writeops_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t newparent,
		   const char *newname)
{
	fuse_reply_err(req, EROFS);
}

/* cp -p would copy an ACL; that there are none it takes for an answer. */
void writeops_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
		       const char *value, size_t size, int flags)
{
	fuse_reply_err(req, is_upload(fuse_req_userdata(req), ino) ? EOPNOTSUPP
								   : EROFS);
}

void writeops_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	fuse_reply_err(req, EROFS);
}

/* Room is made as it is needed: who asks ahead (rsync) goes on without. */
void writeops_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off,
			off_t len, struct fuse_file_info *fi)
{
	fuse_reply_err(req, is_upload(fuse_req_userdata(req), ino) ? EOPNOTSUPP
								   : EROFS);
}
