/* mount_internal — the mount's fields, for the files of fs/ and its tests. */
#ifndef SHOAL_FS_MOUNT_INTERNAL_H
#define SHOAL_FS_MOUNT_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/loop.h"
#include "core/queue.h"
#include "fs/fuse_api.h"
#include "fs/mount.h"
#include "fs/mountinfo.h"
#include "fs/roster.h"

struct guest;
struct handle;
struct nameop;
struct readop;
struct steer;

TAILQ_HEAD(readop_list, readop);
TAILQ_HEAD(nameop_list, nameop);
TAILQ_HEAD(guest_list, guest);
LIST_HEAD(handle_list, handle);

struct mount {
	struct loop *loop;
	struct engine *engine;
	uid_t uid;
	gid_t gid;
	mode_t umask;
	uint64_t read_timeout_us;
	uint64_t lookup_wait_us;
	uint64_t request_limit_us; /* the kernel's patience; UINT64_MAX: any */
	void (*on_up)(void *arg);
	void *up_arg;
	void (*on_end)(void *arg, enum mount_end why);
	void *arg;

	struct fuse_session *se;
	const struct fuse_custom_io *below; /* device.c's; NULL: the system */
	uint32_t init_flags;		    /* to be put into INIT's reply */
	bool init_flags_due;
	struct fuse_buf in;	/* the request at hand; libfuse's memory */
	uint8_t *out;		/* MOUNT_BUFFER_BYTES for the reply at hand */
	struct loop_io *io;	/* NULL: not served (yet, any more) */
	char *point;		/* resolved; NULL: not ours to unmount */
	struct mountinfo *info; /* NULL: not watched */
	struct steer *steer;	/* NULL: no control socket */
	struct loop_task up_task;
	struct loop_task end_task;
	bool is_over;
	enum mount_end why;

	struct roster roster;
	struct readop_list reads;
	struct nameop_list names;
	struct guest_list guests;
	unsigned n_guests;
	struct handle_list handles;
	int64_t changed_s; /* when the root last changed, wall time */
	uint64_t born_us;
};

/* mount_new_on_fd — as mount_new, on a descriptor (taken) that speaks the
 * kernel's protocol; nothing is mounted and nothing will be unmounted. */
int mount_new_on_fd(const struct mount_cfg *cfg, int fd,
		    const struct fuse_custom_io *io, struct mount **out);

#endif
