/* mounts — which mounts are ours, and clearing stale ones.
 *
 * A mount whose daemon died answers every call with ENOTCONN; only then, and
 * only if its type is ours, is it detached: by umount2 when we may, else by
 * fusermount3, which is called by its full argument list and never through a
 * shell. */
#include <dirent.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/mounts.h"
#include "core/buf.h"
#include "core/err.h"
#include "fs/mountlist.h"

/* How many mounts are ours (at `only`, if that is given); the first one goes
 * into `first`, if that is given. */
static unsigned count_ours(const char *only, char *first)
{
	struct mountlist_entry e;
	struct buf text = {0};
	const char *at = "";
	unsigned n = 0;
	int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	if (mountlist_read(fd, &text) == 0)
		at = (const char *)text.data;
	while (mountlist_next(&at, &e)) {
		if (strcmp(e.type, "fuse.shoalfs") != 0 ||
		    (only && strcmp(e.point, only) != 0))
			continue;
		if (n++ == 0 && first)
			memcpy(first, e.point, sizeof(e.point));
	}
	buf_fini(&text);
	(void)close(fd);
	return n;
}

unsigned mounts_find(char path[PATH_MAX])
{
	return count_ours(NULL, path);
}

bool mounts_has(const char *path)
{
	return count_ours(path, NULL) > 0;
}

void mounts_detach(const char *path)
{
	const char *const argv[] = {"fusermount3", "-u", "-z", "-q",
				    "--",	   path, NULL};
	pid_t pid;

	if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		return;
	/* POSIX promises not to write through argv, and cannot say so in C. */
	if (posix_spawnp(&pid, argv[0], NULL, NULL,
			 (char *const *)(uintptr_t)argv, environ) == 0)
		(void)waitpid(pid, NULL, 0);
}

/* realpath fails on a dead mount; its parent can be resolved. Shells put a
 * slash behind a directory's name. */
static int resolve(const char *text, char path[PATH_MAX])
{
	char parent[PATH_MAX], real[PATH_MAX];
	size_t len = strlen(text), base;

	if (realpath(text, path))
		return 0;
	if (errno != ENOTCONN)
		return errno;
	while (len > 1 && text[len - 1] == '/')
		len--;
	for (base = len; base > 0 && text[base - 1] != '/';)
		base--;
	if (snprintf(parent, sizeof(parent), "%.*s", base > 0 ? (int)base : 1,
		     base > 0 ? text : ".") >= PATH_MAX)
		return ENAMETOOLONG;
	if (!realpath(parent, real))
		return errno;
	if (snprintf(path, PATH_MAX, "%s/%.*s", strcmp(real, "/") ? real : "",
		     (int)(len - base), text + base) >= PATH_MAX)
		return ENAMETOOLONG;
	return 0;
}

static int check_empty(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	int r = 0;

	if (!dir)
		return errno;
	while (r == 0 && (e = readdir(dir)) != NULL) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = ENOTEMPTY;
	}
	(void)closedir(dir);
	return r;
}

/* The kernel may know a dead mount's attributes still; who serves it is asked
 * for what is free. */
static int ask(const char *path, struct stat *st)
{
	struct statfs free;

	return stat(path, st) != 0 || statfs(path, &free) != 0 ? errno : 0;
}

int mounts_prepare(const char *text, char path[PATH_MAX], char why[WHY_BYTES])
{
	struct stat st;
	int r = resolve(text, path);

	if (!r)
		r = ask(path, &st);
	if (r == ENOTCONN && mounts_has(path)) {
		mounts_detach(path);
		r = ask(path, &st);
	}
	if (!r && !S_ISDIR(st.st_mode))
		r = ENOTDIR;
	if (!r && mounts_has(path))
		r = EBUSY;
	if (!r)
		r = check_empty(path);
	if (r == ENOENT)
		(void)snprintf(why, WHY_BYTES,
			       "mount point %.160s does not exist", text);
	else if (r == EBUSY)
		(void)snprintf(why, WHY_BYTES,
			       "%.160s: shoalfs is mounted there already",
			       text);
	else if (r)
		(void)snprintf(why, WHY_BYTES, "mount point %.160s: %s", text,
			       err_text(r));
	return r;
}
