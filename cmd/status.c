/* status — the mount tells its own state in two files, so this only has to
 * find the mount and copy. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "cmd/ask.h"
#include "cmd/status.h"
#include "core/err.h"

static int fail(const char *what, int err)
{
	fprintf(stderr, "shoalctl status: %s: %s\n", what, err_text(err));
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
		/* Who called us asks whether all was written. */
		if (fwrite(data, 1, (size_t)n, stdout) != (size_t)n)
			break;
	}
	return 0;
}

int status_run(const char *mountpoint, bool json)
{
	char point[PATH_MAX], path[PATH_MAX + 32], why[WHY_BYTES];
	int fd, r;

	if (ask_mount(mountpoint, point, why) != 0) {
		fprintf(stderr, "shoalctl status: %s\n", why);
		return 1;
	}
	(void)snprintf(path, sizeof(path), "%s/.shoalfs/%s", point,
		       json ? "status.json" : "status");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail(point, errno);
	r = copy_out(fd);
	(void)close(fd);
	return r ? fail(point, r) : 0;
}
