/* folder — a directory of .torrent files. */
#ifndef SHOAL_CMD_FOLDER_H
#define SHOAL_CMD_FOLDER_H

#include <stdbool.h>

#include "cmd/exits.h"

/* folder_is — is it a directory? */
bool folder_is(const char *path);

/* folder_names_torrent — the last element of a path is *.torrent, and hidden
 * from nobody: temporary names of other programs begin with a dot. */
bool folder_names_torrent(const char *name);

/* folder_each — `fn` with the path of each .torrent in it, in the order of
 * their names; not of its directories. 0, or an errno with a line in `why`. */
int folder_each(const char *dir, void (*fn)(void *arg, const char *path),
		void *arg, char why[WHY_BYTES]);

#endif
