/* ops — one function for each FUSE operation: look up, refuse, call, reply.
 *
 * None of them waits. Two may leave the request with somebody who answers
 * later: lookup (fs/nameop.h) and read (fs/readop.h).
 *
 * What is not here, and why: forget (node numbers need no counting; libfuse
 * acknowledges it), access (the kernel checks modes, default_permissions),
 * flush (nothing to write back), lseek (tools trust holes; the kernel then
 * treats a file as all data), releasedir (nothing was opened), and everything
 * that writes: the kernel answers EROFS for a mount that is `ro`. */
#include "fs/ops.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/statvfs.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/metainfo.h"
#include "fs/fs_limits.h"
#include "fs/device.h"
#include "fs/handle.h"
#include "fs/inode.h"
#include "fs/mount_internal.h"
#include "fs/nameop.h"
#include "fs/node.h"
#include "fs/tree.h"
#include "fs/xattr.h"
#include "net/torrent.h"

/* Capabilities that DESIGN.md wants on, where the kernel has them, and off. */
enum {
	CAPS_ON = FUSE_CAP_ASYNC_READ | FUSE_CAP_PARALLEL_DIROPS |
		  FUSE_CAP_EXPLICIT_INVAL_DATA | FUSE_CAP_EXPORT_SUPPORT |
		  FUSE_CAP_CACHE_SYMLINKS,
	CAPS_OFF = FUSE_CAP_ASYNC_DIO | FUSE_CAP_AUTO_INVAL_DATA |
		   FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
		   FUSE_CAP_SPLICE_MOVE,
};

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	struct mount *m = userdata;

	conn->want |= conn->capable & (unsigned)CAPS_ON;
	conn->want &= ~(unsigned)CAPS_OFF;
	conn->max_background = MOUNT_BACKGROUND;
	conn->congestion_threshold = MOUNT_BACKGROUND;
	device_on_init(m, conn);
	loop_defer(m->loop, &m->up_task); /* after the reply has left */
}

/* The node the kernel speaks of; replies ESTALE itself when there is none. */
static bool find(fuse_req_t req, fuse_ino_t ino, struct node *n)
{
	int r = node_find(fuse_req_userdata(req), ino, n);

	if (r != 0)
		fuse_reply_err(req, r);
	return r == 0;
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
	r = node_lookup(m, &dir, name, &n);
	if (r != 0) {
		fuse_reply_err(req, r);
		return;
	}
	node_entry(m, &n, &e);
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
	r = n.kind == NODE_LINK ? node_link(&n, text, sizeof(text)) : EINVAL;
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
	if ((fi->flags & O_ACCMODE) != O_RDONLY)
		r = EROFS;
	else if (node_is_dir(&n))
		r = EISDIR;
	else if (n.kind == NODE_LINK)
		r = ELOOP;
	else
		r = handle_open(fuse_req_userdata(req), &n, &h);
	if (r != 0) {
		fuse_reply_err(req, r);
		return;
	}
	fi->fh = (uintptr_t)h;
	fi->keep_cache = n.kind == NODE_FILE;
	fi->direct_io = n.kind != NODE_FILE;
	if (fuse_reply_open(req, fi) == -ENOENT)
		handle_close(h); /* the opener was killed: no RELEASE comes */
}

static struct handle *handle_of(const struct fuse_file_info *fi)
{
	return (struct handle *)(uintptr_t)fi->fh;
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	if (off < 0)
		fuse_reply_err(req, EINVAL);
	else
		handle_read(handle_of(fi), req, (uint64_t)off, size);
}

static void op_release(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	handle_close(handle_of(fi));
	fuse_reply_err(req, 0);
}

/* ---- directories ---- */

static void op_opendir(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	struct node n;

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

static size_t add_plain(fuse_req_t req, char *at, size_t room,
			const struct node *n, const char *name, off_t next)
{
	struct stat st = {
		.st_ino = n->number & ~INODE_TWIN,
		.st_mode = S_IFREG,
	};

	if (node_is_dir(n))
		st.st_mode = S_IFDIR;
	else if (n->kind == NODE_LINK)
		st.st_mode = S_IFLNK;
	return fuse_add_direntry(req, at, room, name, &st, next);
}

static size_t add_plus(fuse_req_t req, char *at, size_t room,
		       const struct node *n, const char *name, off_t next)
{
	struct fuse_entry_param e;

	node_entry(fuse_req_userdata(req), n, &e);
	return fuse_add_direntry_plus(req, at, room, name, &e, next);
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		 entry_fn *add)
{
	struct mount *m = fuse_req_userdata(req);
	uint64_t pos = (uint64_t)off;
	struct node dir, n;
	const char *name;
	size_t used = 0;

	if (!find(req, ino, &dir))
		return;
	if (!node_is_dir(&dir)) {
		fuse_reply_err(req, ENOTDIR);
		return;
	}
	if (size > MOUNT_BUFFER_BYTES)
		size = MOUNT_BUFFER_BYTES;
	for (; node_child(m, &dir, pos, &n, &name); pos++) {
		size_t len = add(req, (char *)m->out + used, size - used, &n,
				 name, (off_t)(pos + 1));

		if (len > size - used)
			break;
		used += len;
	}
	fuse_reply_buf(req, (const char *)m->out, used);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	list(req, ino, size, off, add_plain);
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size,
			   off_t off, struct fuse_file_info *fi)
{
	list(req, ino, size, off, add_plus);
}

/* ---- the rest ---- */

/* Used is what is held, so that df and du agree and nothing looks full. */
static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	enum { UNIT_BYTES = 4096 };
	const struct mount *m = fuse_req_userdata(req);
	struct statvfs sv = {.f_bsize = UNIT_BYTES, .f_frsize = UNIT_BYTES};
	uint64_t size = 0, held = 0;

	for (uint32_t i = 0; i < m->roster.n; i++) {
		const struct shown *s = m->roster.by_age[i];
		struct torrent_view v;

		torrent_view(s->torrent, &v);
		size += v.size_bytes;
		held += v.held_bytes;
		sv.f_files += tree_count(s->tree);
	}
	if (held > size)
		held = size;
	sv.f_blocks = (size + UNIT_BYTES - 1) / UNIT_BYTES;
	sv.f_bfree = sv.f_blocks - (held + UNIT_BYTES - 1) / UNIT_BYTES;
	sv.f_bavail = sv.f_bfree;
	sv.f_flag = ST_RDONLY | ST_NOSUID | ST_NODEV;
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
};
