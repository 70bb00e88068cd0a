/* top — a running mount, watched in a terminal. */
#ifndef SHOAL_CMD_TOP_H
#define SHOAL_CMD_TOP_H

extern const char top_usage[];

/* top_run — shoalctl's exit code; 2: it was called wrongly, and said so. */
int top_run(const char *mountpoint, int argc, char **argv);

#endif
