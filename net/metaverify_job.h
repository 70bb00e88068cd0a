/* metaverify_job — hash and parse an info dictionary off the loop. The job is
 * filled by metafetch.c and handed over as core/worker.h has it. */
#ifndef SHOAL_NET_METAVERIFY_JOB_H
#define SHOAL_NET_METAVERIFY_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/metainfo.h"
#include "core/worker.h"

struct metafetch;

enum metaverify_result {
	METAVERIFY_OK,
	METAVERIFY_OTHER, /* not the dictionary that was asked for */
	METAVERIFY_BAD,	  /* it is, and it is malformed */
	METAVERIFY_NOMEM,
};

struct metaverify {
	struct job job;
	/* set before hand-over, then read only */
	struct torrent_id want;
	uint8_t *bytes; /* ours */
	size_t len;
	/* worker only, then loop only */
	enum metaverify_result result;
	struct metainfo *mi;   /* OK */
	struct mi_error error; /* BAD */
	/* loop only */
	struct metafetch *mf; /* NULL: nobody waits any more */
	bool is_stored;	      /* the bytes came from the store */
};

/* metaverify_job_run — the job's `run`. Thread: worker. */
void metaverify_job_run(struct job *job, struct worker_env *env);

#endif
