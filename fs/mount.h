/* mount — the FUSE session: made, served on the loop, ended; and the torrents
 * that are shown in it.
 *
 * Thread: loop. Life: mount_new (mounted, the kernel's INIT not yet answered)
 * → mount_serve → … → on_end once, when the session has ended for whatever
 * reason → mount_free. */
#ifndef SHOAL_FS_MOUNT_H
#define SHOAL_FS_MOUNT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct engine;
struct loop;
struct mount;
struct torrent;

enum mount_end {
	MOUNT_END_UNMOUNTED, /* by umount, fusermount3 -u or -uz */
	MOUNT_END_STOPPED,   /* mount_stop */
	MOUNT_END_ABORTED,   /* the kernel cut the connection */
};

struct mount_cfg {
	struct loop *loop;     /* kept */
	struct engine *engine; /* kept */
	const char *mountpoint;
	const char *fuse_options; /* "allow_other,fsname=…", as fuse(8) has
				     them; may be NULL */
	uid_t uid;
	gid_t gid;
	mode_t umask;		  /* taken from 0444 and 0555 */
	bool debug;		  /* libfuse's own trace */
	uint32_t read_timeout_ms; /* without one byte arriving → EIO */
	uint32_t lookup_wait_ms;  /* how long naming an info-hash may wait for
				     its metadata */
	/* The session is over; mount_free may be called. */
	void (*on_end)(void *arg, enum mount_end why);
	void *arg;
};

/* mount_new — mount. 0, or an errno; `why` gets the reason for a person,
 * without the mount point. Nothing is left mounted on failure. */
int mount_new(const struct mount_cfg *cfg, struct mount **out, char why[160]);

/* mount_serve — watch the descriptor. `on_up` runs when the kernel's INIT was
 * answered: from then on the mount works. */
int mount_serve(struct mount *m, void (*on_up)(void *arg), void *arg);

/* mount_show — list a READY torrent, which must outlive the mount. 0; EEXIST:
 * it is shown already, or its name or numbers cannot be told from another's;
 * E2BIG: it has more nodes than there are numbers; ENOMEM. */
int mount_show(struct mount *m, struct torrent *t);

/* mount_on_failed — `t` is FAILED: lookups that wait for it end now. */
void mount_on_failed(struct mount *m, struct torrent *t);

/* mount_stop — end every parked request with an error, unmount; on_end runs
 * later. Does nothing when the session is over. */
void mount_stop(struct mount *m);

void mount_free(struct mount *m);

#endif
