/* holder — the process that keeps a mount while daemons come and go.
 *
 * It has the descriptor of /dev/fuse and the notes (fs/notes.h) and does
 * nothing with either: it starts the daemon, and another one when that was
 * killed. Who reads waits a moment longer, and nothing else changes.
 *
 * Thread: it has one, and no loop. */
#ifndef SHOAL_CMD_HOLDER_H
#define SHOAL_CMD_HOLDER_H

#include <stdbool.h>

#include "cmd/exits.h"

struct daemon;
struct successor;

/* What a daemon has of its holder. */
struct held {
	int line;      /* to the holder; -1: there is none */
	int fuse_fd;   /* of the mount that is there; -1: it is to be made */
	int notes_fd;  /* -1 iff line is */
	bool is_first; /* nobody served this mount before */
};

/* holder_none — a daemon without a holder. */
struct held holder_none(void);

/* holder_run — true in every daemon that is started, with what it has; it goes
 * on from here with one thread and no child. False once, in the holder, when
 * all is over: `code` is how. `daemon` (kept): its report is the first
 * daemon's to make. `mountpoint` is absolute; kept, as is `next`: upon SIGUSR2
 * the daemon is replaced by the program that is on disk by then. */
bool holder_run(const char *mountpoint, struct daemon *daemon,
		const struct successor *next, struct held *out,
		enum exits *code);

/* holder_on_mounted — in the daemon: this is the mount's descriptor.
 * holder_on_up — the command has returned. holder_on_end — it is over: the
 * holder lets go of the descriptor and takes the mount away. */
void holder_on_mounted(const struct held *h, int fuse_fd);
void holder_on_up(const struct held *h);
void holder_on_end(const struct held *h);

#endif
