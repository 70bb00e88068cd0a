/* root — what the kernel keeps of the mount's root, the one directory of which
 * entries come and go: its attributes until they change, its listing never.
 *
 * Thread: loop. */
#ifndef SHOAL_FS_ROOT_H
#define SHOAL_FS_ROOT_H

struct mount;

/* root_changed — a torrent has come or gone: the time of the root is now, and
 * whoever asks the kernel for its attributes from here on gets the new ones. */
void root_changed(struct mount *m);

/* root_resumed — what a predecessor told the kernel counts no more. */
void root_resumed(struct mount *m);

/* root_listed — before the reply that ends a listing of it. */
void root_listed(struct mount *m);

#endif
