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
struct keeper;
struct loop;
struct mount;
struct signpost;
struct torrent;

enum mount_end {
	MOUNT_END_UNMOUNTED, /* by umount, fusermount3 -u or -uz */
	MOUNT_END_STOPPED,   /* mount_stop */
	MOUNT_END_ABORTED,   /* the kernel cut the connection */
};

/* What a mount has that outlives its daemon (fs/notes.h). */
struct mount_held {
	int fuse_fd;  /* of the mount that is there, taken; -1: make one */
	int notes_fd; /* kept */
	/* The session is over and its descriptor closed; the mount is for the
	 * callee to take away. */
	void (*on_detach)(void *arg);
};

struct mount_cfg {
	struct loop *loop;	     /* kept */
	struct engine *engine;	     /* kept */
	const struct keeper *keeper; /* kept; NULL: nothing is remembered */
	bool is_ro; /* nothing is added or removed through it */
	const char *mountpoint;
	const char *fuse_options; /* "allow_other,fsname=…", as fuse(8) has
				     them; may be NULL */
	uid_t uid;
	gid_t gid;
	mode_t umask;		       /* taken from 0444 and 0555 */
	bool debug;		       /* libfuse's own trace */
	const struct mount_held *held; /* NULL: it goes with us */
	bool no_passthrough;	       /* not even where the kernel can */
	bool no_latency;	       /* CPUs may sleep while we are asked */
	uint32_t read_timeout_ms;      /* without one byte arriving → EIO */
	uint32_t lookup_wait_ms; /* how long naming an info-hash may wait for
				    its metadata */
	/* The session is over; mount_free may be called. */
	void (*on_end)(void *arg, enum mount_end why);
	void *arg;
};

/* mount_new — mount. 0, or an errno; `why` gets the reason for a person,
 * without the mount point. Nothing is left mounted on failure. */
int mount_new(const struct mount_cfg *cfg, struct mount **out, char why[160]);

/* mount_fd — the descriptor that speaks with the kernel. Lends. */
int mount_fd(const struct mount *m);

/* mount_set_sandbox — what the status says of the process; `text` is kept. */
void mount_set_sandbox(struct mount *m, const char *text);

/* mount_serve — watch the descriptor. `on_up` runs when the kernel's INIT was
 * answered: from then on the mount works. A successor serves when the torrents
 * are shown: what waits in the kernel comes at once. */
int mount_serve(struct mount *m, void (*on_up)(void *arg), void *arg);

/* mount_on_ready — the engine says that `t` is READY: it is shown, if it was
 * not already, and reads that wait for it go on. 0; EEXIST: its name or numbers
 * cannot be told from another's; E2BIG: it has more nodes than there are
 * numbers; ENOMEM. */
int mount_on_ready(struct mount *m, struct torrent *t);

/* mount_on_failed — `t` is FAILED: who waits for it waits no more. */
void mount_on_failed(struct mount *m, struct torrent *t);

/* mount_on_asked — the engine's on_asked. */
bool mount_on_asked(struct mount *m, const uint8_t hash[20]);

/* mount_on_signpost — the engine's on_signpost: lookups of that key end. */
void mount_on_signpost(struct mount *m, struct signpost *s);

/* mount_stop — end every parked request with an error, unmount; on_end runs
 * later. Does nothing when the session is over. */
void mount_stop(struct mount *m);

void mount_free(struct mount *m);

#endif
