/* steer_job — a long line of the control socket, decoded off the loop: one with
 * the .torrent of a million files has 60 MB. Thread: worker, between hand-over
 * and `done`. */
#ifndef SHOAL_FS_STEER_JOB_H
#define SHOAL_FS_STEER_JOB_H

#include "core/buf.h"
#include "core/worker.h"
#include "fs/steer_request.h"

struct steer_conn;

struct steer_decode {
	struct job job;
	/* set before hand-over */
	struct steer_conn *conn; /* the loop's; NULL: it is gone */
	struct buf line;
	size_t len; /* without its end */
	/* what came of it: as steer_request_decode has it */
	int err;
	char why[STEER_WHY_BYTES];
	struct steer_request r;
};

void steer_job_decode(struct job *job, struct worker_env *env);

/* steer_decode_free — with what nobody took. NULL is fine. */
void steer_decode_free(struct steer_decode *d);

#endif
