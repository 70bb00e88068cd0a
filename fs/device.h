/* device — the descriptor that speaks the kernel's protocol, between libfuse
 * and the system, for what libfuse 3.14 has no call for: it lets its own
 * reading and writing be replaced, so a reply can be amended on its way.
 *
 * Thread: loop. */
#ifndef SHOAL_FS_DEVICE_H
#define SHOAL_FS_DEVICE_H

#include "fs/fuse_api.h"

struct mount;

/* device_attach — the session of `m` speaks through us from now on; `below`
 * (kept): read and write with that; NULL: the system calls. 0 or ENOMEM. */
int device_attach(struct mount *m, int fd, const struct fuse_custom_io *below);

/* device_on_init — inside the handler of INIT: its reply is to be amended. */
void device_on_init(struct mount *m, const struct fuse_conn_info *conn);

#endif
