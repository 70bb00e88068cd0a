/* place — where a mount keeps what it needs on disk when nobody says where, and
 * where it must not. */
#ifndef SHOAL_CMD_PLACE_H
#define SHOAL_CMD_PLACE_H

#include <limits.h>
#include <stdbool.h>

/* place_store — $XDG_DATA_HOME/shoalfs/<mount point, / as %>, or its SHA-1 if
 * that is no file name. 0; ENOENT: there is no home; ENAMETOOLONG. */
int place_store(const char *mountpoint, char path[PATH_MAX]);

/* place_control — for a control socket that cannot be in the store: a directory
 * of ours alone, made if need be, and the name in it. 0; ENOENT: this system
 * has no place for such; an errno. */
int place_control(const char *mountpoint, char dir[PATH_MAX],
		  char name[NAME_MAX + 1]);

/* place_is_in — does `path`, of which the end need not be there yet, lie in the
 * directory `dir` (resolved), or is it that? Links are followed. */
bool place_is_in(const char *path, const char *dir);

#endif
