/* status — `shoalctl status`: what a running mount says of itself. */
#ifndef SHOAL_CMD_STATUS_H
#define SHOAL_CMD_STATUS_H

#include <stdbool.h>

/* status_run — print MOUNT/.shoalfs/status, or status.json. `mountpoint` NULL:
 * the one that is running. The exit code of shoalctl. */
int status_run(const char *mountpoint, bool json);

#endif
