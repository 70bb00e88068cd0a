/* mounts — what /proc/self/mountinfo says of shoalfs, and the mount point
 * before it is one. */
#ifndef SHOAL_CMD_MOUNTS_H
#define SHOAL_CMD_MOUNTS_H

#include <limits.h>
#include <stdbool.h>

#include "cmd/exits.h"

/* mounts_find — the mount points of type fuse.shoalfs: how many there are; the
 * first one goes into `path`. */
unsigned mounts_find(char path[PATH_MAX]);

/* mounts_has — is there one at exactly `path` (absolute, resolved)? */
bool mounts_has(const char *path);

/* mounts_detach — lazily, what is on top of `path`. */
void mounts_detach(const char *path);

/* mounts_prepare — resolve `text` into an absolute `path`, clear a stale mount
 * of ours there ("Transport endpoint is not connected"), and check that it is
 * an empty directory. 0 or an errno, with one line for a person. */
int mounts_prepare(const char *text, char path[PATH_MAX], char why[WHY_BYTES]);

#endif
