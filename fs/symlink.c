/* symlink — from a target that counts from the torrent's top to one that counts
 * from the link.
 *
 * What makes it safe: the target has no ".." (core/metainfo_paths.c), so the
 * only ones in the text are those put here, and they go up real directories,
 * from the link's own to the last that the target is in too. Nothing outside
 * the torrent can be named, wherever the mount is; a name on the way down may
 * be another link, of which the same holds. */
#include "fs/symlink.h"

#include <stdio.h>
#include <string.h>

#include "core/err.h"
#include "core/metainfo.h"

/* Where the target goes on after the first `n` directories of the link's own;
 * NULL when it is not in them. */
static const char *below(const struct mi_file *f, const char *target,
			 uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		size_t len = strlen(f->path[i]);

		if (strncmp(target, f->path[i], len) != 0 ||
		    (target[len] != '/' && target[len] != '\0'))
			return NULL;
		target += len + (target[len] == '/');
	}
	return target;
}

int symlink_text(const struct mi_file *f, char *out, size_t room)
{
	uint32_t n_dirs = f->n_path - 1, common = n_dirs;
	const char *rest;
	size_t len = 0;

	if (f->symlink == NULL)
		return EPERM;
	while ((rest = below(f, f->symlink, common)) == NULL)
		common--;
	if (rest[0] == '\0') /* the directory that was gone up to */
		rest = ".";
	if (3 * (size_t)(n_dirs - common) + strlen(rest) + 1 > room)
		return ENAMETOOLONG;
	for (uint32_t i = common; i < n_dirs; i++)
		len += (size_t)snprintf(out + len, room - len, "../");
	(void)snprintf(out + len, room - len, "%s", rest);
	return 0;
}
