/* ops — the FUSE operations, for fuse_session_new. Its user data is the
 * mount. Thread: loop. */
#ifndef SHOAL_FS_OPS_H
#define SHOAL_FS_OPS_H

#include "fs/fuse_api.h"

extern const struct fuse_lowlevel_ops ops_table;

#endif
