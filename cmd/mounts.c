/* mounts — reading mountinfo, clearing stale mounts.
 *
 * A mount whose daemon died answers every call with ENOTCONN; only then, and
 * only if its type is ours, is it detached: by umount2 when we may, else by
 * fusermount3, which is called by its full argument list and never through a
 * shell. Mount points in mountinfo have space, tab, newline and backslash
 * written in octal (proc(5)). */
#include <dirent.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/mounts.h"
#include "core/err.h"

static void unescape(char *s)
{
	char *out = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] &&
		    s[3]) {
			*out++ = (char)(((s[1] - '0') << 6) |
					((s[2] - '0') << 3) | (s[3] - '0'));
			s += 4;
		} else {
			*out++ = *s++;
		}
	}
	*out = '\0';
}

/* The mount point of a line whose type is ours; else NULL. */
static char *our_mount_point(char *line)
{
	char *save = NULL, *field = NULL, *point = NULL;

	for (int i = 0; i < 5; i++) {
		field = strtok_r(i == 0 ? line : NULL, " \n", &save);
		if (!field)
			return NULL;
	}
	point = field;
	do {
		field = strtok_r(NULL, " \n", &save);
	} while (field && strcmp(field, "-") != 0);
	field = field ? strtok_r(NULL, " \n", &save) : NULL;
	if (!field || strcmp(field, "fuse.shoalfs") != 0)
		return NULL;
	unescape(point);
	return point;
}

static unsigned walk(const char *only, char *first)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, *point;
	size_t cap = 0;
	unsigned n = 0;

	if (!f)
		return 0;
	while (getline(&line, &cap, f) > 0) {
		point = our_mount_point(line);
		if (!point || (only && strcmp(point, only) != 0))
			continue;
		if (n++ == 0 && first)
			(void)snprintf(first, PATH_MAX, "%s", point);
	}
	(free)(line); /* getline's own memory */
	(void)fclose(f);
	return n;
}

unsigned mounts_find(char path[PATH_MAX])
{
	return walk(NULL, path);
}

bool mounts_has(const char *path)
{
	return walk(path, NULL) > 0;
}

static void detach_stale(const char *path)
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

/* realpath fails on a dead mount; its parent can be resolved. */
static int resolve(const char *text, char path[PATH_MAX])
{
	char parent[PATH_MAX], real[PATH_MAX];
	const char *slash, *base;

	if (realpath(text, path))
		return 0;
	if (errno != ENOTCONN)
		return errno;
	slash = strrchr(text, '/');
	base = slash ? slash + 1 : text;
	(void)snprintf(parent, sizeof(parent), "%.*s",
		       slash ? (int)(slash - text + 1) : 1, slash ? text : ".");
	if (!realpath(parent, real))
		return errno;
	if (snprintf(path, PATH_MAX, "%s/%s", strcmp(real, "/") ? real : "",
		     base) >= PATH_MAX)
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

int mounts_prepare(const char *text, char path[PATH_MAX], char why[WHY_BYTES])
{
	struct stat st;
	int r = resolve(text, path);

	if (!r && stat(path, &st) != 0)
		r = errno;
	if (r == ENOTCONN && mounts_has(path)) {
		detach_stale(path);
		r = stat(path, &st) != 0 ? errno : 0;
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
