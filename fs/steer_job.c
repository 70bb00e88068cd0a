/* steer_job — a long line of the control socket, decoded by a worker. */
#include "fs/steer_job.h"

#include "core/mem.h"

void steer_job_decode(struct job *job, struct worker_env *env)
{
	struct steer_decode *d = CONTAINER_OF(job, struct steer_decode, job);

	ASSERT_WORKER();
	d->err = steer_request_decode((const char *)d->line.data, d->len, &d->r,
				      d->why);
	buf_fini(&d->line);
}

void steer_decode_free(struct steer_decode *d)
{
	if (d == NULL)
		return;
	buf_fini(&d->line);
	steer_request_fini(&d->r);
	mem_free(d);
}
