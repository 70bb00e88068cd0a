/* warmth_job — metadata becomes a tree, off the loop: that of a million files
 * takes seconds. Thread: worker, between hand-over and `done`. */
#ifndef SHOAL_FS_WARMTH_JOB_H
#define SHOAL_FS_WARMTH_JOB_H

#include "core/metainfo.h"
#include "core/worker.h"

struct tree;

struct warmth_parse {
	struct job job;
	/* set before hand-over */
	uint8_t *bytes; /* of the metainfo's, if it is a torrent's */
	size_t len;
	uint64_t base; /* whose they must be (inode.h); 0: anybody's */
	/* what came of it: 0, EBADMSG, EFBIG, E2BIG or ENOMEM */
	int err;
	struct mi_error why;
	struct metainfo *mi; /* may be set before; freed upon an error */
	struct tree *tree;
};

/* warmth_parse — the work itself, by any hasher. Thread: any. */
void warmth_parse(struct warmth_parse *p, struct hasher *hasher);

void warmth_job_parse(struct job *job, struct worker_env *env);

/* warmth_parse_fini — what came of it, or is left of it, and nobody took. */
void warmth_parse_fini(struct warmth_parse *p);

#endif
