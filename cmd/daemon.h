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

/* daemon_open_streams — first thing in main: descriptors 0 to 2 are open, so
 * that no file of ours gets their numbers and is written to by whoever prints.
 * One that was closed fails whoever uses it, as before. */
void daemon_open_streams(void);

/* daemon_is_ignored — whoever started us wants `signo` ignored (nohup). */
bool daemon_is_ignored(int signo);

/* daemon_fork — returns in the child, which has a session of its own, "/" as
 * its directory and /dev/null as its standard streams; the parent prints what
 * the child reports and exits with its code, also when the child dies. SIGINT,
 * SIGTERM and SIGHUP that come to the parent meanwhile go to the child. An
 * errno (in the parent) if there can be no child. */
int daemon_fork(struct daemon *d, const char *program);

/* daemon_hand_over — a child of ours reports, not we. */
void daemon_hand_over(struct daemon *d);

/* daemon_report — once: the code the command ends with, and for a failure (or
 * a remark) one line. Later calls do nothing. */
void daemon_report(struct daemon *d, const char *program, enum exits code,
		   const char *text);

#endif
