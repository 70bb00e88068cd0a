/* path_job — see path_job.h.
 *
 * Purpose: O_NOFOLLOW is about the last element of a path alone; a directory of
 * the store that somebody has replaced by a link would still lead anywhere. So
 * directories are opened one by one, each from the one before, and the last
 * element from there. It is what openat2(2) with RESOLVE_BENEATH and
 * RESOLVE_NO_SYMLINKS does in one call; paths here have two elements, kernels
 * and system call filters that do not know it are no special case, and the
 * descriptors serve renames and looks as well.
 *
 * Threads: workers and the store thread. */
#include "cache/path_job.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { STEP_FLAGS = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

/* The directory that the last element, `*leaf`, lies in: `dir_fd` itself or a
 * new descriptor; -1 and errno. */
static int parent(int dir_fd, const char *path, const char **leaf)
{
	int at = dir_fd;
	const char *end;

	while ((end = strchr(path, '/')) != NULL) {
		char step[NAME_MAX + 1];
		int next;

		if (end - path > NAME_MAX) {
			next = -1;
			errno = ENAMETOOLONG;
		} else {
			(void)snprintf(step, sizeof(step), "%.*s",
				       (int)(end - path), path);
			next = openat(at, step, STEP_FLAGS);
		}
		if (at != dir_fd) {
			int err = errno;

			close(at);
			errno = err;
		}
		if (next < 0)
			return -1;
		at = next;
		path = end + 1;
	}
	*leaf = path;
	return at;
}

static void leave(int fd, int dir_fd)
{
	int err = errno;

	if (fd != dir_fd && fd >= 0)
		close(fd);
	errno = err;
}

int path_job_open(int dir_fd, const char *path, int flags, mode_t mode)
{
	const char *leaf;
	int fd, at = parent(dir_fd, path, &leaf);

	if (at < 0)
		return -1;
	fd = openat(at, leaf, flags | O_NOFOLLOW | O_CLOEXEC, mode);
	leave(at, dir_fd);
	return fd;
}

int path_job_stat(int dir_fd, const char *path, struct stat *out)
{
	const char *leaf;
	int r, at = parent(dir_fd, path, &leaf);

	if (at < 0)
		return -1;
	r = fstatat(at, leaf, out, AT_SYMLINK_NOFOLLOW);
	leave(at, dir_fd);
	return r;
}

int path_job_rename(int dir_fd, const char *from, const char *to,
		    unsigned flags)
{
	const char *from_leaf, *to_leaf;
	int r = -1, from_fd = parent(dir_fd, from, &from_leaf);
	int to_fd = from_fd >= 0 ? parent(dir_fd, to, &to_leaf) : -1;

	if (to_fd >= 0)
		r = renameat2(from_fd, from_leaf, to_fd, to_leaf, flags);
	leave(to_fd, dir_fd);
	leave(from_fd, dir_fd);
	return r;
}

void path_job_spare_atime(int dir_fd)
{
	int flags;

	if (ioctl(dir_fd, FS_IOC_GETFLAGS, &flags) != 0 ||
	    (flags & FS_NOATIME_FL) != 0)
		return;
	flags |= FS_NOATIME_FL;
	(void)ioctl(dir_fd, FS_IOC_SETFLAGS, &flags);
}
