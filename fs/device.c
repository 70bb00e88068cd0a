/* device — replies amended on their way to the kernel.
 *
 * Requests: INIT, which is the first, is looked at before libfuse takes it
 * apart, since it drops what it does not know.
 *
 * Its reply, for what libfuse 3.14 cannot say in it:
 *   PARALLEL_DIROPS  libfuse knows it, claims to ask for it, and does not.
 *                    Without it the kernel holds a directory's lock for the
 *                    time of each lookup: one that waits for metadata would
 *                    hold up every `ls` of the root.
 *   PASSTHROUGH      newer than libfuse 3.14 (fs/passthrough.h). One file
 * system below us is what a store is on; with two, nothing could be stacked on
 * the mount (an overlay).
 *
 * A successor (fs/notes.h) gets no INIT. It takes the one that was noted, so
 * that libfuse and we are where the predecessor was, and keeps the reply.
 *
 * The reply to INIT is the first that leaves after its handler has begun, and
 * has two parts, libfuse's own memory, which may be written to. */
#include "fs/device.h"

#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/err.h"
#include "core/log.h"
#include "fs/fuse_kernel.h"
#include "fs/mount_internal.h"
#include "fs/notes.h"

enum { STACK_DEPTH = 1 };

/* ---- requests ---- */

static void look_at_init(struct mount *m, const uint8_t *buf, size_t len)
{
	struct fuse_in_header h;
	struct fuse_init_in in = {0};

	m->init_seen = true;
	if (len < sizeof(h))
		return;
	memcpy(&h, buf, sizeof(h));
	if (h.opcode != FUSE_INIT)
		return;
	notes_set_init(m->notes, buf, len);
	len -= sizeof(h);
	memcpy(&in, buf + sizeof(h), len < sizeof(in) ? len : sizeof(in));
	m->kernel_flags2 = in.flags & FUSE_INIT_EXT ? in.flags2 : 0;
}

static ssize_t on_read(int fd, void *buf, size_t len, void *userdata)
{
	struct mount *m = userdata;
	ssize_t n = m->below != NULL ? m->below->read(fd, buf, len, userdata)
				     : read(fd, buf, len);

	if (n > 0 && !m->init_seen)
		look_at_init(m, buf, (size_t)n);
	return n;
}

/* ---- replies ---- */

static void amend_init(struct mount *m, struct iovec *iov, int count)
{
	struct fuse_init_out *out;

	m->init_flags_due = false;
	if (count != 2 || iov[1].iov_len < sizeof(*out))
		return; /* an error */
	out = iov[1].iov_base;
	out->flags |= m->init_flags;
	if (m->kernel_flags2 & KERNEL_PASSTHROUGH &&
	    m->passthrough_state == PASSTHROUGH_OLD) {
		out->flags |= FUSE_INIT_EXT;
		out->flags2 |= KERNEL_PASSTHROUGH;
		out->unused[KERNEL_INIT_STACK_DEPTH] = STACK_DEPTH;
		m->passthrough_state = PASSTHROUGH_ON;
	}
}

static ssize_t total_of(const struct iovec *iov, int count)
{
	ssize_t sum = 0;

	for (int i = 0; i < count; i++)
		sum += (ssize_t)iov[i].iov_len;
	return sum;
}

static ssize_t on_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	struct mount *m = userdata;

	if (m->init_flags_due)
		amend_init(m, iov, count);
	if (m->is_replaying)
		return total_of(iov, count); /* the kernel has it already */
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

/* ---- succession ---- */

void device_replay_init(struct mount *m)
{
	const uint8_t *noted;
	uint8_t init[NOTES_INIT_MAX];
	struct fuse_buf b = {.mem = init};

	b.size = notes_init(m->notes, &noted);
	memcpy(init, noted, b.size);
	look_at_init(m, init, b.size);
	m->is_replaying = true;
	fuse_session_process_buf(m->se, &b);
	m->is_replaying = false;
}

static int notify(struct mount *m, int code)
{
	struct fuse_out_header h = {.len = sizeof(h), .error = code};

	return write(fuse_session_fd(m->se), &h, sizeof(h)) == sizeof(h)
		       ? 0
		       : errno;
}

void device_ask_again(struct mount *m)
{
	int err = notify(m, KERNEL_NOTIFY_RESEND);

	if (err != 0)
		log_err("the kernel does not send again what nobody answered: "
			"%s",
			err_text(err));
}

int device_forget_names(struct mount *m)
{
	return notify(m, KERNEL_NOTIFY_INC_EPOCH);
}

/* ---- files that the kernel reads by itself ---- */

int device_backing_open(struct mount *m, int fd, int32_t *id)
{
	struct kernel_backing_map map = {.fd = fd};
	int r = ioctl(fuse_session_fd(m->se), KERNEL_BACKING_OPEN, &map);

	if (r < 0)
		return errno;
	*id = r;
	return r != 0 ? 0 : EINVAL;
}

void device_backing_close(struct mount *m, int32_t id)
{
	uint32_t number = (uint32_t)id;

	(void)ioctl(fuse_session_fd(m->se), KERNEL_BACKING_CLOSE, &number);
}

int device_reply_open(fuse_req_t req TAKES, uint64_t fh, int32_t id)
{
	struct kernel_open_out out = {
		.fh = fh,
		.open_flags = KERNEL_FOPEN_PASSTHROUGH,
		.backing_id = id,
	};

	return fuse_reply_buf(req, (const char *)&out, sizeof(out));
}
