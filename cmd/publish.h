/* publish — `shoalctl publish`: signs that a key names a torrent from now on
 * (BEP 46), and lets a running mount put that into the DHT. */
#ifndef SHOAL_CMD_PUBLISH_H
#define SHOAL_CMD_PUBLISH_H

extern const char publish_usage[];

/* publish_run — the exit code: 0, 1 failed, 2 usage. `mountpoint`: -m's, or
 * NULL. argv[0] is "publish". */
int publish_run(const char *mountpoint, int argc, char **argv);

#endif
