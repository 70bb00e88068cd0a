/* daemon — go to the background, and tell the shell how it went.
 *
 * The parent stays until the child reports, so that `shoalfs … && ls` works
 * and a failure is seen where the command was typed. */
#ifndef SHOAL_CMD_DAEMON_H
#define SHOAL_CMD_DAEMON_H

#include <stdbool.h>

#include "cmd/exits.h"

struct daemon {
	int report_fd; /* -1: in front, reports go to stderr */
	bool has_reported;
};

/* daemon_in_front — no fork; daemon_report writes to stderr. */
void daemon_in_front(struct daemon *d);

/* daemon_fork — returns in the child, which has a session of its own, "/" as
 * its directory and /dev/null as its standard streams; the parent prints what
 * the child reports and exits with its code, also when the child dies. An
 * errno (in the parent) if there can be no child. */
int daemon_fork(struct daemon *d, const char *program);

/* daemon_report — once: the code the command ends with, and for a failure (or
 * a remark) one line. Later calls do nothing. */
void daemon_report(struct daemon *d, const char *program, enum exits code,
		   const char *text);

#endif
