/* steer_find — what a name in a request of the control socket stands for.
 * Thread: loop. */
#ifndef SHOAL_FS_STEER_FIND_H
#define SHOAL_FS_STEER_FIND_H

struct mount;
struct node;
struct shown;
struct torrent;

/* steer_find_shown — what is shown in the root, by its name there or a hash.
 * steer_find_torrent — what is not shown yet, by its hash or its link's name.
 * NULL when there is none. */
struct shown *steer_find_shown(const struct mount *m, const char *text);
struct torrent *steer_find_torrent(const struct mount *m, const char *text);

/* steer_look_up — a path below the root, whose first part may be a hash. 0;
 * ENOENT, ENOTDIR, ENAMETOOLONG; EAGAIN: its tree is on its way from the disk.
 */
int steer_look_up(struct mount *m, const char *path, struct node *out);

#endif
