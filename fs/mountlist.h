/* mountlist — the text of /proc/PID/mountinfo (proc(5)), line by line. Pure but
 * for mountlist_read. Thread: any. */
#ifndef SHOAL_FS_MOUNTLIST_H
#define SHOAL_FS_MOUNTLIST_H

#include <limits.h>
#include <stdbool.h>

struct buf;

enum { MOUNTLIST_TYPE_BYTES = 64 };

struct mountlist_entry {
	unsigned major, minor;		 /* of the mounted file system */
	char point[PATH_MAX];		 /* without the escapes */
	char type[MOUNTLIST_TYPE_BYTES]; /* "fuse.shoalfs" */
};

/* mountlist_read — the whole list from its descriptor into `text`, as a
 * string. 0, ENOMEM, EFBIG, or what lseek or read said. */
int mountlist_read(int fd, struct buf *text);

/* mountlist_next — the next well-formed line of the text at *at, which moves
 * on; false at the end. The last line of a mount point is the one on top. */
bool mountlist_next(const char **at, struct mountlist_entry *out);

#endif
