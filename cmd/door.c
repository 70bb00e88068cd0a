/* door — files beneath directories that the user lends.
 *
 * The daemon tries by itself: without a sandbox, and beneath what it may see
 * anyway, that works. Where Landlock refuses, it asks the holder: the path, the
 * directory as a descriptor, and a socket for the answer, so that many workers
 * can ask at once and nothing is kept between them.
 *
 * A descriptor is a proof: somebody who may read the directory has opened it,
 * and handed it in: shoalctl, over the control socket, which runs as the user;
 * or the daemon itself, before it was locked in, of those that are remembered.
 * A daemon that was taken over can open no other. It could make one with
 * O_PATH, which Landlock lets it do, so the holder takes none of these. From
 * there on no link is followed, no "..", and only plain files are opened, for
 * reading: it gets what it was lent, and nothing else.
 *
 * The open is done by a child of the holder: a disk that hangs holds up nobody
 * but who reads from it, and after DOOR_WAIT_S that file counts as gone. */
#include "cmd/door.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "cache/path_job.h"
#include "cmd/holder.h"

enum { DOOR_WAIT_S = 60, DOOR_FLAGS = O_RDONLY | O_NONBLOCK | O_NOCTTY };

static ssize_t send_with(int line, const void *bytes, size_t len,
			 const int *fds, size_t n)
{
	struct iovec iov = {(void *)(uintptr_t)bytes, len};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(DOOR_FDS * sizeof(int))];
	} control = {0};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *c;

	if (n > 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	return sendmsg(line, &msg, MSG_NOSIGNAL);
}

/* ---- the daemon's side ---- */

/* The descriptor, or -1 and errno. */
static int receive(int reply)
{
	int err = EIO, fd = -1;
	struct iovec iov = {&err, sizeof(err)};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.bytes,
			     .msg_controllen = sizeof(control.bytes)};
	const struct cmsghdr *c;
	ssize_t n;

	do
		n = recvmsg(reply, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	c = n == sizeof(err) && err == 0 ? CMSG_FIRSTHDR(&msg) : NULL;
	if (c != NULL && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	errno = n == sizeof(err) && err != 0 ? err : EIO;
	return fd;
}

static int ask(int line, int dir_fd, const char *path)
{
	const struct timeval limit = {.tv_sec = DOOR_WAIT_S};
	char text[DOOR_LINE_BYTES];
	size_t len = strlen(path) + 1; /* and its NUL */
	int ends[2], fd = -1, err;

	if (len + 1 > sizeof(text)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	text[0] = DOOR_WORD;
	memcpy(text + 1, path, len);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return -1;
	(void)setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit,
			 sizeof(limit));
	if (send_with(line, text, len + 1, (int[]){dir_fd, ends[1]}, DOOR_FDS) <
	    0) {
		err = errno;
		(void)close(ends[1]);
	} else {
		(void)close(ends[1]);
		fd = receive(ends[0]);
		err = errno;
	}
	(void)close(ends[0]);
	errno = err;
	return fd;
}

static int open_door(void *ctx, int dir_fd, const char *path)
{
	const struct held *h = ctx;
	int fd = path_job_open(dir_fd, path, DOOR_FLAGS, 0);

	return fd >= 0 || errno != EACCES || h->line < 0
		       ? fd
		       : ask(h->line, dir_fd, path);
}

struct lend_door door_of(const struct held *h)
{
	return (struct lend_door){.open = open_door,
				  .ctx = (void *)(uintptr_t)h};
}

/* ---- the holder's side ---- */

/* Relative, and nothing in it leads up. */
static bool is_below(const char *path)
{
	if (path[0] == '\0')
		return false;
	while (path != NULL) {
		size_t n = strcspn(path, "/");

		if (n == 0 || (n <= 2 && strncmp(path, "..", n) == 0))
			return false;
		path = path[n] == '/' ? path + n + 1 : NULL;
	}
	return true;
}

static int open_it(int dir_fd, const char *path, int *fd)
{
	int how = fcntl(dir_fd, F_GETFL);
	struct stat sb;

	if (how < 0 || (how & O_PATH) != 0 || !is_below(path))
		return EPERM;
	*fd = path_job_open(dir_fd, path, DOOR_FLAGS, 0);
	if (*fd < 0)
		return errno;
	if (fstat(*fd, &sb) != 0)
		return errno;
	return S_ISREG(sb.st_mode) ? 0 : EPERM;
}

void door_answer(int dir_fd, int reply, const char *path)
{
	int fd = -1, err = open_it(dir_fd, path, &fd);

	(void)send_with(reply, &err, sizeof(err), &fd, err == 0);
}
