/* device — replies amended on their way to the kernel.
 *
 * INIT: libfuse 3.14 knows FUSE_PARALLEL_DIROPS, claims to ask for it, and does
 * not put it into its reply. Without it the kernel holds a directory's lock for
 * the time of each lookup: one that waits for metadata would hold up every
 * `ls` of the root.
 *
 * The reply to INIT is the first that leaves after its handler has begun, and
 * has two parts, libfuse's own memory, which may be written to. */
#include "fs/device.h"

#include <linux/fuse.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/err.h"
#include "fs/mount_internal.h"

static ssize_t on_read(int fd, void *buf, size_t len, void *userdata)
{
	const struct mount *m = userdata;

	return m->below != NULL ? m->below->read(fd, buf, len, userdata)
				: read(fd, buf, len);
}

static void amend_init(struct mount *m, struct iovec *iov, int count)
{
	struct fuse_init_out *out;

	m->init_flags_due = false;
	if (count != 2 ||
	    iov[1].iov_len < offsetof(struct fuse_init_out, max_background))
		return; /* an error */
	out = iov[1].iov_base;
	out->flags |= m->init_flags;
}

static ssize_t on_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	struct mount *m = userdata;

	if (m->init_flags_due)
		amend_init(m, iov, count);
	return m->below != NULL ? m->below->writev(fd, iov, count, userdata)
				: writev(fd, iov, count);
}

static const struct fuse_custom_io device_io = {
	.read = on_read,
	.writev = on_writev,
};

int device_attach(struct mount *m, int fd, const struct fuse_custom_io *below)
{
	m->below = below;
	return fuse_session_custom_io(m->se, &device_io, fd) == 0 ? 0 : ENOMEM;
}

void device_on_init(struct mount *m, const struct fuse_conn_info *conn)
{
	m->init_flags = 0;
	if (conn->capable & FUSE_CAP_PARALLEL_DIROPS)
		m->init_flags |= FUSE_PARALLEL_DIROPS;
	m->init_flags_due = true;
}
