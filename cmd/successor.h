/* successor — a daemon that is started from the program on disk, by a holder
 * whose own program is older.
 *
 * The holder's side is remembered once, before anything changes; the other side
 * finds in its environment what it gets. Thread: main. */
#ifndef SHOAL_CMD_SUCCESSOR_H
#define SHOAL_CMD_SUCCESSOR_H

#include <limits.h>
#include <stdbool.h>

struct held;

struct successor {
	char **words; /* of the command; NULL-terminated */
	int cwd_fd;   /* where it was typed, for relative names */
	char path[PATH_MAX];
};

/* successor_remember — how this process was started. 0 or an errno. */
int successor_remember(struct successor *s, int argc, char *const *argv);
void successor_fini(struct successor *s);

/* successor_exec — in a child of the holder: the program that is at the path
 * now, with the same words. Returns only if there is none that can be started:
 * an errno, and nothing has changed. */
int successor_exec(const struct successor *s, const struct held *held,
		   const char *mountpoint);

/* successor_inherit — first thing in main: is this process one? If so, what it
 * has, and of which mount. */
bool successor_inherit(struct held *held, char mountpoint[PATH_MAX]);

#endif
