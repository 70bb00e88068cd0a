/* successor — the way from an old program to a new one.
 *
 * What is passed on: three descriptors, which lose their close-on-exec, and the
 * mount point; their numbers are in one variable of the environment, which goes
 * as soon as it was read. Both programs have to agree on that variable and on
 * the holder's three words; so both are plain, and a release that changed them
 * would change the variable's name.
 *
 * The path is that of the program when it was started: where a package puts the
 * next version. */
#include "cmd/successor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/holder.h"
#include "core/err.h"
#include "core/log.h"
#include "core/mem.h"

static const char variable[] = "SHOALFS_HELD_1";

int successor_remember(struct successor *s, int argc, char *const *argv)
{
	ssize_t n = readlink("/proc/self/exe", s->path, sizeof(s->path) - 1);

	s->words = NULL;
	s->cwd_fd = -1;
	if (n < 0)
		return errno;
	s->path[n] = '\0';
	s->words = mem_zalloc((size_t)argc + 1, sizeof(*s->words));
	if (s->words == NULL)
		return ENOMEM;
	memcpy(s->words, argv, (size_t)argc * sizeof(*s->words));
	/* Without one, relative names will not be found: no reason to fail. */
	s->cwd_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return 0;
}

void successor_fini(struct successor *s)
{
	if (s->cwd_fd >= 0)
		(void)close(s->cwd_fd);
	mem_free(s->words);
}

static void keep_open(int fd, bool is_kept)
{
	(void)fcntl(fd, F_SETFD, is_kept ? 0 : FD_CLOEXEC);
}

static void keep_all_open(const struct held *held, bool is_kept)
{
	keep_open(held->line, is_kept);
	keep_open(held->fuse_fd, is_kept);
	keep_open(held->notes_fd, is_kept);
}

int successor_exec(const struct successor *s, const struct held *held,
		   const char *mountpoint)
{
	char text[PATH_MAX + 64];
	int r, here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	(void)snprintf(text, sizeof(text), "%d %d %d %s", held->line,
		       held->fuse_fd, held->notes_fd, mountpoint);
	if (setenv(variable, text, 1) != 0) {
		r = errno;
		goto close_here;
	}
	/* The words may have relative paths. */
	if (s->cwd_fd < 0 || fchdir(s->cwd_fd) == 0) {
		keep_all_open(held, true);
		(void)execv(s->path, s->words);
	}
	r = errno;
	keep_all_open(held, false);
	(void)unsetenv(variable);
	if (here >= 0 && fchdir(here) != 0)
		log_warn("the directory of the start: %s", err_text(errno));
close_here:
	if (here >= 0)
		(void)close(here);
	return r;
}

bool successor_inherit(struct held *held, char mountpoint[PATH_MAX])
{
	const char *text = getenv(variable);
	int at = 0;
	bool is_one = text != NULL &&
		      sscanf(text, "%d %d %d %n", &held->line, &held->fuse_fd,
			     &held->notes_fd, &at) == 3 &&
		      at > 0 && text[at] == '/' && strlen(text + at) < PATH_MAX;

	if (is_one) {
		held->is_first = false;
		(void)strncpy(mountpoint, text + at, PATH_MAX);
		keep_all_open(held, false);
	}
	(void)unsetenv(variable);
	return is_one;
}
