/* ops — one function for each FUSE operation: look up, refuse, call, reply.
 *
 * None of them waits. Two may leave the request with somebody who answers
 * later: lookup (fs/nameop.h) and read (fs/readop.h).
 *
 * What is not here, and why: forget (node numbers need no counting; libfuse
 * acknowledges it), access (the kernel checks modes, default_permissions),
 * lseek (tools trust holes; the kernel then treats a file as all data),
 * releasedir (nothing was opened). What writes is in writeops.c. */
#include "fs/ops.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/statvfs.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/metainfo.h"
#include "fs/fs_limits.h"
#include "fs/again.h"
#include "fs/device.h"
#include "fs/handle.h"
#include "fs/inode.h"
#include "fs/keylink.h"
#include "fs/mount_internal.h"
#include "fs/nameop.h"
#include "fs/node.h"
#include "fs/passthrough.h"
#include "fs/root.h"
#include "fs/tree.h"
#include "fs/walkahead.h"
#include "fs/warmth.h"
#include "fs/writeops.h"
#include "fs/xattr.h"
#include "net/torrent.h"

/* Capabilities that DESIGN.md wants on, where the kernel has them, and off. */
enum {
	CAPS_ON = FUSE_CAP_ASYNC_READ | FUSE_CAP_PARALLEL_DIROPS |
		  FUSE_CAP_EXPLICIT_INVAL_DATA | FUSE_CAP_EXPORT_SUPPORT |
		  FUSE_CAP_CACHE_SYMLINKS,
	CAPS_OFF = FUSE_CAP_ASYNC_DIO | FUSE_CAP_AUTO_INVAL_DATA |
		   FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_SPLICE_READ |
		   FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE,
};

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	struct mount *m = userdata;

	conn->want |= conn->capable & (unsigned)CAPS_ON;
	conn->want &= ~(unsigned)CAPS_OFF;
	conn->max_background = MOUNT_BACKGROUND;
	conn->congestion_threshold = MOUNT_BACKGROUND;
	m->keeps_listings = (conn->capable & FUSE_CAP_NO_OPENDIR_SUPPORT) != 0;
	device_on_init(m, conn);
	loop_defer(m->loop, &m->up_task); /* after the reply has left */
}

void ops_reply_err(fuse_req_t req, int err)
{
	if (err == EAGAIN)
		again_park(fuse_req_userdata(req), req);
	else
		fuse_reply_err(req, err);
}

bool ops_find(fuse_req_t req, fuse_ino_t ino, struct node *n)
{
	int r = node_find(fuse_req_userdata(req), ino, n);

	if (r != 0)
		ops_reply_err(req, r);
	return r == 0;
}

static bool find(fuse_req_t req, fuse_ino_t ino, struct node *n)
{
	return ops_find(req, ino, n);
}

/* Somebody goes into a directory: so may be told of more of them. */
static void look_into(struct mount *m)
{
	m->n_told_dirs -=
		m->n_told_dirs < OPS_TOLD_LESS ? m->n_told_dirs : OPS_TOLD_LESS;
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct mount *m = fuse_req_userdata(req);
	struct fuse_entry_param e;
	struct node dir, n;
	int r;

	if (!find(req, parent, &dir))
		return;
	if (dir.kind == NODE_ROOT && roster_name_is_hash(name)) {
		nameop_start(m, req, name);
		return;
	}
	if (dir.kind == NODE_ROOT && keylink_name_is(name)) {
		nameop_start_key(m, req, name);
		return;
	}
	r = node_lookup(m, &dir, name, &n);
	if (r != 0) {
		ops_reply_err(req, r);
		return;
	}
	if (n.shown != NULL && !node_is_dir(&n))
		m->n_plus = OPS_PLUS_LISTINGS;
	else
		look_into(m);
	node_entry(m, &n, &e);
	if (strcmp(name, ".") == 0)
		e.ino = parent; /* asked for by its number, and no other */
	fuse_reply_entry(req, &e);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	struct stat st;
	struct node n;

	if (!find(req, ino, &n))
		return;
	node_stat(fuse_req_userdata(req), &n, &st);
	fuse_reply_attr(req, &st, node_attr_s(&n));
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	char text[PATH_MAX];
	struct node n;
	int r;

	if (!find(req, ino, &n))
		return;
	r = node_is_link(&n) ? node_link(&n, text, sizeof(text)) : EINVAL;
	if (r != 0)
		fuse_reply_err(req, r);
	else
		fuse_reply_readlink(req, text);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct handle *h;
	struct node n;
	int r;

	if (!find(req, ino, &n))
		return;
	if (n.kind == NODE_UPLOAD) {
		writeops_open(req, &n, fi);
		return;
	}
	if ((fi->flags & O_ACCMODE) != O_RDONLY || (fi->flags & O_TRUNC) != 0)
		r = EROFS;
	else if (node_is_dir(&n))
		r = EISDIR;
	else if (node_is_link(&n))
		r = ELOOP;
	else
		r = handle_open(fuse_req_userdata(req), &n, &h);
	if (r != 0) {
		fuse_reply_err(req, r);
		return;
	}
	if (n.kind == NODE_FILE && inode_is_twin(n.number)) {
		passthrough_open(fuse_req_userdata(req), req, h);
		return;
	}
	fi->fh = h->fh;
	fi->keep_cache = n.kind == NODE_FILE;
	fi->noflush = 1; /* nothing to write back */
	fi->direct_io = n.kind != NODE_FILE;
	if (fuse_reply_open(req, fi) == -ENOENT)
		handle_close(h); /* the opener was killed: no RELEASE comes */
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	struct mount *m = fuse_req_userdata(req);
	struct handle *h = handle_find(m, fi->fh);
	int r = off < 0 ? EINVAL : 0;

	if (inode_is_upload(ino)) {
		writeops_read(req, size, off, fi);
		return;
	}
	if (r == 0 && h == NULL)
		r = handle_adopt(m, ino, fi->fh, &h);
	if (r == 0)
		r = handle_dress(h);
	if (r != 0)
		ops_reply_err(req, r);
	else
		handle_read(h, req, (uint64_t)off, size,
			    (fi->flags & O_DIRECT) != 0);
}

/* One that we do not know was opened by a predecessor, and not read since; or
 * this is asked for the second time. */
static void op_release(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	struct mount *m = fuse_req_userdata(req);
	struct handle *h = handle_find(m, fi->fh);

	if (inode_is_upload(ino)) {
		writeops_release(req, fi);
		return;
	}
	if (h != NULL && inode_is_twin(h->number))
		passthrough_release(m, h->number);
	if (h != NULL)
		handle_close(h);
	fuse_reply_err(req, 0);
}

/* ---- directories ---- */

/* ENOSYS: nothing has to be opened. From then on the kernel (Linux 5.1) asks
 * neither this nor releasedir, and keeps every listing (root.c). */
static void op_opendir(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	const struct mount *m = fuse_req_userdata(req);
	struct node n;

	if (m->keeps_listings) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	if (!find(req, ino, &n))
		return;
	if (!node_is_dir(&n)) {
		fuse_reply_err(req, ENOTDIR);
		return;
	}
	/* A torrent's directories never change; the root does. */
	fi->cache_readdir = n.kind == NODE_DIR;
	fi->keep_cache = n.kind == NODE_DIR;
	fuse_reply_open(req, fi);
}

/* One entry at `at`; how much room it needs, more than `room` when it was
 * not put there. `next` is the position after it. */
typedef size_t entry_fn(fuse_req_t req, char *at, size_t room,
			const struct node *n, const char *name, off_t next);

static mode_t type_of(const struct node *n)
{
	if (node_is_dir(n))
		return S_IFDIR;
	return node_is_link(n) ? S_IFLNK : S_IFREG;
}

static size_t add_plain(fuse_req_t req, char *at, size_t room,
			const struct node *n, const char *name, off_t next)
{
	struct stat st = {
		.st_ino = n->number & ~INODE_TWIN,
		.st_mode = type_of(n),
	};

	return fuse_add_direntry(req, at, room, name, &st, next);
}

/* The name alone: the kernel then makes no inode, nor would it of "." and
 * "..". */
static size_t add_bare(fuse_req_t req, char *at, size_t room,
		       const struct node *n, const char *name, off_t next)
{
	struct fuse_entry_param e = {.attr = {
					     .st_ino = n->number & ~INODE_TWIN,
					     .st_mode = type_of(n),
				     }};

	return fuse_add_direntry_plus(req, at, room, name, &e, next);
}

static size_t add_full(fuse_req_t req, char *at, size_t room,
		       const struct node *n, const char *name, off_t next)
{
	struct fuse_entry_param e;

	node_entry(fuse_req_userdata(req), n, &e);
	return fuse_add_direntry_plus(req, at, room, name, &e, next);
}

static size_t add_some(fuse_req_t req, char *at, size_t room,
		       const struct node *n, const char *name, off_t next)
{
	struct mount *m = fuse_req_userdata(req);
	size_t len;

	if (n->shown == NULL)
		return add_full(req, at, room, n, name, next);
	if (!node_is_dir(n) || next <= NODE_DOTS ||
	    m->n_told_dirs >= OPS_TOLD_MAX)
		return add_bare(req, at, room, n, name, next);
	len = add_full(req, at, room, n, name, next);
	if (len <= room)
		m->n_told_dirs++;
	return len;
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		 entry_fn *add)
{
	struct mount *m = fuse_req_userdata(req);
	uint64_t pos = (uint64_t)off;
	struct node dir, n;
	const char *name;
	size_t used = 0;
	int r;

	if (!find(req, ino, &dir))
		return;
	r = node_is_dir(&dir) ? node_warm(m, &dir) : ENOTDIR;
	if (r != 0) {
		ops_reply_err(req, r);
		return;
	}
	if (off == 0 && dir.kind == NODE_DIR && dir.ix == TREE_TOP)
		walkahead_seen(m, dir.shown);
	if (size > MOUNT_BUFFER_BYTES)
		size = MOUNT_BUFFER_BYTES;
	while (node_child(m, &dir, &pos, &n, &name)) {
		size_t len = add(req, (char *)m->out + used, size - used, &n,
				 name, (off_t)pos);

		if (len > size - used)
			break;
		used += len;
	}
	if (used == 0 && dir.kind == NODE_ROOT)
		root_listed(m);
	fuse_reply_buf(req, (const char *)m->out, used);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	list(req, ino, size, off, add_plain);
}

/* The kernel asks so for any directory, whatever is to become of it. Who walks
 * a tree (find) wants the attributes of directories, to go on, and of files
 * their names; each node that is told of whole costs the kernel an inode and a
 * name, some two KiB in memory that is not ours. So files come whole only for
 * as long as they are being looked up by name, and directories while those that
 * came so are also gone into: a mere `ls` of the root is not a walk. */
static void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size,
			   off_t off, struct fuse_file_info *fi)
{
	struct mount *m = fuse_req_userdata(req);
	bool is_full = m->n_plus > 0;

	if (is_full && off == 0)
		m->n_plus--;
	if (off == 0)
		look_into(m);
	list(req, ino, size, off, is_full ? add_full : add_some);
}

/* ---- the rest ---- */

/* Used is what is held, so that df and du agree and nothing looks full. */
static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	enum { UNIT_BYTES = 4096 };
	const struct mount *m = fuse_req_userdata(req);
	struct statvfs sv = {.f_bsize = UNIT_BYTES, .f_frsize = UNIT_BYTES};
	uint64_t size = m->roster.size_bytes, held = warmth_held_bytes(m);

	sv.f_files = m->roster.n_nodes;
	if (held > size)
		held = size;
	sv.f_blocks = (size + UNIT_BYTES - 1) / UNIT_BYTES;
	sv.f_bfree = sv.f_blocks - (held + UNIT_BYTES - 1) / UNIT_BYTES;
	sv.f_bavail = sv.f_bfree;
	sv.f_flag = ST_NOSUID | ST_NODEV;
	sv.f_namemax = 255;
	fuse_reply_statfs(req, &sv);
}

/* How getxattr and listxattr answer: the length when `size` is 0. */
static void reply_sized(fuse_req_t req, int err, const struct buf *b,
			size_t size)
{
	if (err == 0 && size != 0 && b->len > size)
		err = ERANGE;
	if (err != 0)
		fuse_reply_err(req, err);
	else if (size == 0)
		fuse_reply_xattr(req, b->len);
	else
		fuse_reply_buf(req, (const char *)b->data, b->len);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
			size_t size)
{
	struct buf value = {0};
	struct node n;
	int r;

	if (!find(req, ino, &n))
		return;
	r = xattr_get(fuse_req_userdata(req), &n, name, &value);
	reply_sized(req, r, &value, size);
	buf_fini(&value);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct buf names = {0};
	struct node n;
	int r;

	if (!find(req, ino, &n))
		return;
	r = xattr_list(fuse_req_userdata(req), &n, &names);
	reply_sized(req, r, &names, size);
	buf_fini(&names);
}

const struct fuse_lowlevel_ops ops_table = {
	.init = op_init,
	.lookup = op_lookup,
	.getattr = op_getattr,
	.setattr = writeops_setattr,
	.readlink = op_readlink,
	.open = op_open,
	.read = op_read,
	.release = op_release,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.statfs = op_statfs,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.mknod = writeops_mknod,
	.mkdir = writeops_mkdir,
	.unlink = writeops_unlink,
	.rmdir = writeops_rmdir,
	.symlink = writeops_symlink,
	.rename = writeops_rename,
	.link = writeops_link,
	.write = writeops_write,
	.flush = writeops_flush,
	.create = writeops_create,
	.setxattr = writeops_setxattr,
	.removexattr = writeops_removexattr,
	.fallocate = writeops_fallocate,
};
