/* exits — how shoalfs ends: the codes of mount(8). */
#ifndef SHOAL_CMD_EXITS_H
#define SHOAL_CMD_EXITS_H

enum exits {
	EXITS_OK = 0,
	EXITS_USAGE = 1,       /* wrong command line, or no permission */
	EXITS_SYSTEM = 2,      /* out of memory, cannot fork, no port */
	EXITS_INTERNAL = 4,    /* our bug */
	EXITS_INTERRUPTED = 8, /* a signal before the mount answered */
	EXITS_MOUNT = 32,      /* the source or the mount point would not do */
};

enum { WHY_BYTES = 512 }; /* one line for a person */

#endif
