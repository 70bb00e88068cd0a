/* device — the descriptor that speaks the kernel's protocol, between libfuse
 * and the system, for what libfuse 3.14 has no call for: it lets its own
 * reading and writing be replaced, so a reply can be amended on its way.
 *
 * Thread: loop. */
#ifndef SHOAL_FS_DEVICE_H
#define SHOAL_FS_DEVICE_H

#include <stdint.h>

#include "core/own.h"
#include "fs/fuse_api.h"

struct mount;

/* device_attach — the session of `m` speaks through us from now on; `below`
 * (kept): read and write with that; NULL: the system calls. 0 or ENOMEM. */
int device_attach(struct mount *m, int fd, const struct fuse_custom_io *below);

/* device_on_init — inside the handler of INIT: its reply is to be amended. */
void device_on_init(struct mount *m, const struct fuse_conn_info *conn);

/* device_replay_init — as if the kernel said INIT now, as it is in the notes.
 * device_ask_again — requests that nobody answered come again. */
void device_replay_init(struct mount *m);
void device_ask_again(struct mount *m);

/* device_forget_names — the kernel asks anew for every name, when it is used
 * next. Takes no lock of the kernel's, so it waits for nobody. 0; EINVAL: an
 * old kernel. */
int device_forget_names(struct mount *m);

/* device_backing_open — `fd` (the caller's still) gets a number by which the
 * kernel knows it until device_backing_close: not 0. EPERM: we lack the right;
 * ELOOP: too many file systems on top of each other; ENOTTY: an old kernel. */
int device_backing_open(struct mount *m, int fd, int32_t *id);
void device_backing_close(struct mount *m, int32_t id);

/* device_reply_open — to OPEN: the kernel reads the file from number `id`. As
 * fuse_reply_open returns. */
int device_reply_open(fuse_req_t req TAKES, uint64_t fh, int32_t id);

#endif
