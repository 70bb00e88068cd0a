/* mount_internal — the mount's fields, for the files of fs/ and its tests. */
#ifndef SHOAL_FS_MOUNT_INTERNAL_H
#define SHOAL_FS_MOUNT_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/btpk.h"
#include "core/loop.h"
#include "core/queue.h"
#include "fs/again.h"
#include "fs/fuse_api.h"
#include "fs/latency.h"
#include "fs/library.h"
#include "fs/mount.h"
#include "fs/mountinfo.h"
#include "fs/passthrough.h"
#include "fs/roster.h"
#include "fs/sleepers.h"
#include "fs/walkahead.h"
#include "fs/warmth.h"
#include "fs/upload.h"
#include "fs/verify.h"

struct guest;
struct hmap;
struct handle;
struct nameop;
struct notes;
struct readop;
struct steer;
struct survey;
struct writeop;

TAILQ_HEAD(readop_list, readop);
TAILQ_HEAD(nameop_list, nameop);
TAILQ_HEAD(writeop_list, writeop);
TAILQ_HEAD(guest_list, guest);
LIST_HEAD(handle_list, handle);

struct mount {
	struct loop *loop;
	struct engine *engine;
	const struct keeper *keeper; /* NULL: nothing is remembered */
	bool is_ro;
	uid_t uid;
	gid_t gid;
	mode_t umask;
	uint64_t read_timeout_us;
	uint64_t nudge_us; /* how long before a read is nudged */
	uint64_t lookup_wait_us;
	uint64_t request_limit_us; /* the kernel's patience; UINT64_MAX: any */
	void (*on_up)(void *arg);
	void *up_arg;
	void (*on_end)(void *arg, enum mount_end why);
	void *arg;

	struct fuse_session *se;
	const struct fuse_custom_io *below; /* device.c's; NULL: the system */
	bool init_seen;			    /* the kernel's INIT */
	uint32_t kernel_flags2;		    /* what it offered there */
	uint32_t init_flags;		    /* to be put into its reply */
	bool init_flags_due;
	bool forgets_names;   /* device_forget_names works */
	bool keeps_listings;  /* the kernel, of all directories */
	unsigned n_plus;      /* ops.c's: listings with attributes */
	unsigned n_told_dirs; /* likewise: not gone into since */
	unsigned pace;	      /* mount.c's: how close requests come */
	uint64_t answered_us; /* likewise: the last one */
	struct latency latency;
	bool is_replaying;	      /* INIT was answered by a predecessor */
	bool is_resumed;	      /* the mount was there before us */
	void (*on_detach)(void *arg); /* NULL: it is ours to take away */
	enum passthrough_state passthrough_state;
	const char *sandbox; /* for the status; NULL: none */
	struct fuse_buf in;  /* requests as they come; libfuse's memory */
	const struct fuse_buf *at_hand; /* what is being answered */
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
	struct warmth warmth;
	struct walkahead walkahead;
	struct sleepers sleepers;
	struct verifies verifies;
	struct library library;
	struct uploads uploads;
	struct again_list again;
	struct readop_list reads;
	struct nameop_list names;
	struct writeop_list writes;
	struct guest_list guests;
	unsigned n_guests;
	struct survey *survey; /* NULL: there is none */
	struct handle_list handles;
	struct hmap *by_fh; /* handle.fh -> handle */
	uint64_t next_fh;
	struct notes *notes;
	struct hmap *twins; /* fs/passthrough.c: node number -> record */
	unsigned n_through;
	char keylink_name[BTPK_NAME_BYTES]; /* keylink.c's */
	int64_t changed_s; /* when the root last changed, wall time */
	uint64_t born_us;
};

/* mount_new_on_fd — as mount_new, on a descriptor (taken) that speaks the
 * kernel's protocol; nothing is mounted and nothing will be unmounted. */
int mount_new_on_fd(const struct mount_cfg *cfg, int fd,
		    const struct fuse_custom_io *io, struct mount **out);

/* mount_process — hand a request to libfuse, which calls ops.c. */
void mount_process(struct mount *m, const struct fuse_buf *b);

#endif
