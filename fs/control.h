/* control — what MOUNT/.shoalfs/status and status.json say: the same facts, for
 * people and for programs. Thread: loop. */
#ifndef SHOAL_FS_CONTROL_H
#define SHOAL_FS_CONTROL_H

struct buf;
struct mount;

/* Both append the whole content as of now. 0 or ENOMEM. */
int control_text(const struct mount *m, struct buf *out);
int control_json(const struct mount *m, struct buf *out);

/* control_path — the path of a read's file below the mount, for messages. */
struct readop_view;
void control_path(const struct readop_view *v, struct buf *out);

#endif
