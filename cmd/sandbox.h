/* sandbox — what the daemon gives up once it serves.
 *
 * It talks to strangers, and needs little from its machine by then: files of
 * the store, the directories that it watches, names and certificates of
 * servers. So it takes care to be able to do no more than that: no new
 * privileges, Landlock as far as the kernel has it (Linux 5.19 and later), and
 * if asked to a list of system calls that it never makes. It can then start no
 * program and detach no mount; the holder does that (cmd/holder.h).
 *
 * Thread: loop. */
#ifndef SHOAL_CMD_SANDBOX_H
#define SHOAL_CMD_SANDBOX_H

#include <stdbool.h>

struct workers;

enum { SANDBOX_TEXT_BYTES = 96, SANDBOX_POOLS_MAX = 4 };

struct sandbox_cfg {
	/* Directories that exist; NULL and "" are passed over. */
	const char *const *written; /* all in them may be changed */
	unsigned n_written;
	const char *const *read;
	unsigned n_read;
	bool seccomp;
	/* Their threads come along; NULL is passed over. */
	struct workers *pools[SANDBOX_POOLS_MAX];
};

/* sandbox_raise_limits — as many descriptors as the system lets us have. */
void sandbox_raise_limits(void);

/* sandbox_enter — the calling thread at once, each thread of the pools before
 * its next job. `text` says for a person what is on. What this kernel has not
 * is done without; ENOMEM and the like only when it has it and refuses. Cannot
 * be undone; once in a process's life. */
int sandbox_enter(const struct sandbox_cfg *cfg, char text[SANDBOX_TEXT_BYTES]);

#endif
