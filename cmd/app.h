/* app — shoalfs while it runs: sources, mount, signals, and the end.
 *
 *   STARTING   sources are being added, the kernel has not answered yet
 *   RUNNING    the command has returned to the shell
 *   STOPPING   readers are ended, trackers told, the mount taken down
 *
 * Thread: loop. */
#ifndef SHOAL_CMD_APP_H
#define SHOAL_CMD_APP_H

#include "cmd/daemon.h"
#include "cmd/holder.h"
#include "cmd/options.h"
#include "fs/library_source.h"

struct app_cfg {
	const struct options *options;	/* kept */
	struct daemon *daemon;		/* kept */
	const char *program;		/* kept */
	const char *mountpoint;		/* absolute; kept */
	struct library_source *sources; /* kept; each is taken */
	unsigned n_sources;
	char *const *folders; /* absolute, watched; kept */
	unsigned n_folders;
	const struct held *held; /* kept */
};

/* app_run — from after the fork to the end. Reports to `daemon` once the mount
 * answers and the metadata is there or `wait` is over, or what went wrong. */
enum exits app_run(const struct app_cfg *cfg);

#endif
