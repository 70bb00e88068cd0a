/* watch — a directory of .torrent files: what lies in it, and what comes into
 * it later, is added to the mount.
 *
 * A file counts when it is whole: closed by who wrote it, or moved there. One
 * that goes takes nothing with it: the torrent stays until it is removed. As
 * long as a removed one's file lies there it comes again at the next start.
 *
 * Thread: loop; files are read by workers. */
#ifndef SHOAL_CMD_WATCH_H
#define SHOAL_CMD_WATCH_H

#include "cmd/exits.h"

struct loop;
struct mount;
struct watch;
struct workers;

struct watch_cfg {
	struct loop *loop;	 /* kept */
	struct workers *workers; /* kept */
	struct mount *mount;	 /* kept */
	const char *dir;	 /* absolute; copied */
	/* What lay there at the start has been added; once. */
	void (*on_settled)(void *arg);
	void *arg;
};

/* watch_new — 0, or an errno with one line in `why`. */
int watch_new(const struct watch_cfg *cfg, struct watch **out,
	      char why[WHY_BYTES]);

/* watch_free — before the mount; what workers still read they read for nobody.
 * NULL is fine. */
void watch_free(struct watch *w);

#endif
