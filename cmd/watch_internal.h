/* watch_internal — a file that a worker reads for watch.c. */
#ifndef SHOAL_CMD_WATCH_INTERNAL_H
#define SHOAL_CMD_WATCH_INTERNAL_H

#include "cmd/exits.h"
#include "core/queue.h"
#include "core/worker.h"
#include "fs/library_source.h"

struct watch;

enum watch_what {
	WATCH_SCAN,    /* the directory itself */
	WATCH_WRITTEN, /* a .torrent that is all there */
	/* A name that is new: a link to one, or a file that somebody begins to
	 * write, which is left to the end of that. */
	WATCH_NAMED,
};

struct watch_file {
	struct job job;
	STAILQ_ENTRY(watch_file) link;
	struct watch *w; /* NULL: nobody wants it any more */
	enum watch_what what;
	/* reply */
	int err;
	struct library_source src;
	char why[WHY_BYTES];
	struct watch_names *names; /* of a scan */
	char path[];
};

/* The paths that a scan found. */
struct watch_names {
	char **path;
	size_t n, room;
};

void watch_job_read(struct job *job, struct worker_env *env);
void watch_names_free(struct watch_names *names);

#endif
