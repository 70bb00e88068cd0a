/* ops — the FUSE operations, for fuse_session_new. Its user data is the
 * mount. Thread: loop. */
#ifndef SHOAL_FS_OPS_H
#define SHOAL_FS_OPS_H

#include <stdbool.h>

#include "fs/fuse_api.h"

struct node;

extern const struct fuse_lowlevel_ops ops_table;

/* ops_find — the node the kernel speaks of. False: it was answered, or comes
 * again (fs/again.h). ops_reply_err — an error, of which EAGAIN is that. */
bool ops_find(fuse_req_t req, fuse_ino_t ino, struct node *n);
void ops_reply_err(fuse_req_t req, int err);

#endif
