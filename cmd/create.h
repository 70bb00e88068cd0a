/* create — `shoalctl create`: make a torrent of files on disk, print its
 * magnet link, and if asked serve the files where they lie. */
#ifndef SHOAL_CMD_CREATE_H
#define SHOAL_CMD_CREATE_H

/* create_run — argv[0] is "create". The exit code of shoalctl. */
int create_run(int argc, char **argv);

extern const char create_usage[];

#endif
