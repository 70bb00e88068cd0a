/* kernelahead — how far the kernel reads ahead in our files by itself.
 *
 * Thread: loop. */
#ifndef SHOAL_FS_KERNELAHEAD_H
#define SHOAL_FS_KERNELAHEAD_H

struct mountinfo_dev;

/* kernelahead_raise — to MOUNT_KERNEL_AHEAD_KB, after the mount is up. Where
 * that may not be or was set to something else it stays as it is: a courtesy.
 * Never touches the mount itself. */
void kernelahead_raise(struct mountinfo_dev dev);

#endif
