/* kernelahead — how far the kernel reads ahead in our files by itself.
 *
 * For a sequential reader of a FUSE mount it asks for 128 KiB at a time, which
 * is its default for every file system; INIT can only lower that. Each request
 * wakes the daemon, and then the reader: over a fast network these two cost
 * more than the bytes. Who may write to the mount's backing device in /sys
 * (root) can raise it. DESIGN.md says what that brings, and why not more.
 *
 * A value that is not the kernel's default was wished for by somebody, by
 * `-o max_readahead` for one, and stays. */
#include "fs/kernelahead.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/err.h"
#include "core/log.h"
#include "fs/fs_limits.h"
#include "fs/mountinfo.h"

enum { DEFAULT_KB = 128, PATH_BYTES = 80, TEXT_BYTES = 16 };

static int raise_at(const char *path)
{
	char text[TEXT_BYTES] = {0};
	int fd = open(path, O_RDWR | O_CLOEXEC);
	int len, r = 0;

	if (fd < 0)
		return errno;
	if (read(fd, text, sizeof(text) - 1) < 0)
		r = errno;
	if (r == 0 && strtoul(text, NULL, 10) == DEFAULT_KB) {
		len = snprintf(text, sizeof(text), "%d", MOUNT_KERNEL_AHEAD_KB);
		if (pwrite(fd, text, (size_t)len, 0) < 0)
			r = errno;
	}
	close(fd);
	return r;
}

void kernelahead_raise(struct mountinfo_dev dev)
{
	char path[PATH_BYTES];
	int r;

	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb",
		 dev.major, dev.minor);
	r = raise_at(path);
	if (r != 0)
		log_debug("%s: %s", path, err_text(r));
}
