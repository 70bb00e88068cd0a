/* steer — the control socket of a mount: who runs it, and root, may ask and
 * change things there. Thread: loop.
 *
 * AF_UNIX, a stream; a request is one line (steer_request.h), with the bytes of
 * a .torrent behind it if it says so; its answer one line: {"ok": true, …} or
 * {"error": TEXT}. Several requests may follow each other on a connection; each
 * is answered before the next is read.
 *
 * Where it is, the mount says itself: getxattr(MOUNTPOINT,
 * "user.shoalfs.control"). So nobody has to know how its place is chosen. */
#ifndef SHOAL_FS_STEER_H
#define SHOAL_FS_STEER_H

#include <sys/un.h>

struct mount;
struct steer;

/* steer_open — listen at DIR/NAME; DIR is there, absolute, ours and nobody
 * else's (0700). What is left there of a process that died is replaced.
 * `m` must outlive it. 0 or an errno; EADDRINUSE: somebody answers there;
 * EPERM: others may write to DIR. */
int steer_open(struct mount *m, const char *dir, const char *name,
	       struct steer **out);

/* steer_free — close every connection, and remove it. NULL is fine. */
void steer_free(struct steer *s);

/* steer_path — DIR/NAME. Lent. */
const char *steer_path(const struct steer *s);

/* steer_addr — NAME in the open directory, however long its path is. EFBIG
 * when NAME alone is too long. */
int steer_addr(int dir_fd, const char *name, struct sockaddr_un *out);

#endif
