/* content_job — how long the files of a tree are (worker). */
#ifndef SHOAL_CMD_CONTENT_JOB_H
#define SHOAL_CMD_CONTENT_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "core/worker.h"

struct content_file;
struct stat;

enum { CONTENT_JOB_FILES = 512 };

struct content_job {
	struct job job;
	/* set before hand-over, then read only */
	int top_fd;
	bool wants_exec;
	void *owner;
	/* the worker's until the reply */
	struct content_file *files;
	uint32_t n;
	/* loop only, after reply */
	int err;
	const char *err_rel; /* which file `err` is about */
};

/* content_job_run — for job.run: the lengths of `files`, and which may be
 * executed. ENOENT of what is no file any more. */
void content_job_run(struct job *job, struct worker_env *env);

/* content_job_note — the same of one file, which was looked at. */
void content_job_note(struct content_file *f, const struct stat *sb,
		      bool wants_exec);

#endif
