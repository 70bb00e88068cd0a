/* folder — a directory of .torrent files. */
#include "cmd/folder.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/err.h"
#include "core/mem.h"

bool folder_is(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool folder_names_torrent(const char *name)
{
	static const char end[] = ".torrent";
	size_t len = strlen(name), n = sizeof(end) - 1;

	return name[0] != '.' && len > n && strcmp(name + len - n, end) == 0;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The paths, unsorted. */
static int collect(DIR *d, const char *dir, char ***paths, size_t *n)
{
	size_t room = 0;
	struct dirent *e;

	while ((e = readdir(d)) != NULL) {
		char path[PATH_MAX], **grown = *paths;

		if (!folder_names_torrent(e->d_name) ||
		    snprintf(path, sizeof(path), "%s/%s", dir, e->d_name) >=
			    PATH_MAX)
			continue;
		if (*n == room) {
			room = room ? 2 * room : 64;
			grown = mem_grow(*paths, room, sizeof(*grown));
		}
		if (!grown)
			return ENOMEM;
		*paths = grown;
		grown[*n] = mem_strdup(path);
		if (!grown[*n])
			return ENOMEM;
		++*n;
	}
	return 0;
}

int folder_each(const char *dir, void (*fn)(void *arg, const char *path),
		void *arg, char why[WHY_BYTES])
{
	DIR *d = opendir(dir);
	char **paths = NULL;
	size_t n = 0;
	int r = d ? collect(d, dir, &paths, &n) : errno;

	if (d)
		(void)closedir(d);
	if (r)
		(void)snprintf(why, WHY_BYTES, "%.200s: %s", dir, err_text(r));
	else if (n > 0)
		qsort(paths, n, sizeof(*paths), compare);
	for (size_t i = 0; i < n; i++) {
		if (!r)
			fn(arg, paths[i]);
		mem_free(paths[i]);
	}
	mem_free(paths);
	return r;
}
