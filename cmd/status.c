/* status — the mount tells its own state in two files, so this only has to
 * find the mount and copy. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd/mounts.h"
#include "cmd/status.h"
#include "core/err.h"

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "shoalctl status: %s%s%s\n", what, why[0] ? ": " : "",
		why);
	return 1;
}

static int copy_out(int fd)
{
	char data[65536];
	ssize_t n;

	while ((n = read(fd, data, sizeof(data))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		if (fwrite(data, 1, (size_t)n, stdout) != (size_t)n)
			return EIO;
	}
	return fflush(stdout) == 0 ? 0 : errno;
}

int status_run(const char *mountpoint, bool json)
{
	char found[PATH_MAX], path[PATH_MAX + 32];
	unsigned n;
	int fd, r;

	if (mountpoint) {
		if (!realpath(mountpoint, found))
			return fail(mountpoint, err_text(errno));
		if (!mounts_has(found))
			return fail(mountpoint, "no shoalfs is mounted there");
	} else {
		n = mounts_find(found);
		if (n == 0)
			return fail("no shoalfs is mounted", "");
		if (n > 1)
			return fail("several are mounted; name one with -m",
				    "");
	}
	(void)snprintf(path, sizeof(path), "%s/.shoalfs/%s", found,
		       json ? "status.json" : "status");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail(found, err_text(errno));
	r = copy_out(fd);
	(void)close(fd);
	return r ? fail(found, err_text(r)) : 0;
}
