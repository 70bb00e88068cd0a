/* symlink — what a link of a torrent (BEP 47) says to who follows it: a path
 * from the directory it lies in. Pure. Thread: any. */
#ifndef SHOAL_FS_SYMLINK_H
#define SHOAL_FS_SYMLINK_H

#include <stddef.h>

struct mi_file;

/* symlink_text — into `out`, which has `room` bytes, with a NUL. 0, EPERM when
 * it leads to nothing that may be shown, or ENAMETOOLONG. */
int symlink_text(const struct mi_file *f, char *out, size_t room);

#endif
