/* fuse_api — <fuse_lowlevel.h> in the one version of its interface that we
 * are written for. 312 is what Debian 12 has, and newer libraries keep it. */
#ifndef SHOAL_FS_FUSE_API_H
#define SHOAL_FS_FUSE_API_H

#define FUSE_USE_VERSION 312

#include <fuse_lowlevel.h>

#endif
