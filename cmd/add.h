/* add — shoalctl add: torrents into a running mount. What is named is read
 * here, by who asks and with his rights; the mount gets its bytes. */
#ifndef SHOAL_CMD_ADD_H
#define SHOAL_CMD_ADD_H

/* add_run — the exit code; -1: it was called without a SOURCE. */
int add_run(const char *mountpoint, int argc, char **argv);

#endif
