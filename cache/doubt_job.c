/* doubt_job — stamps into the index; rows of what is gone out of it.
 *
 * Failure modes: the transaction is rolled back. A stamp that is not written
 * makes its blob doubtful at the next start; a row that stays speaks of a blob
 * that is missing, which the next opening finds.
 *
 * Threads: store. */
#include "cache/doubt_job.h"

#include "cache/index_job.h"

static int end(struct index_db *db, int err)
{
	if (err == 0)
		err = index_job_commit(db);
	if (err != 0)
		index_job_rollback(db);
	return err;
}

void doubt_job_stamps(struct job *job, struct worker_env *env)
{
	struct doubt_stamps *s = CONTAINER_OF(job, struct doubt_stamps, job);
	int err;

	ASSERT_WORKER();
	err = index_job_begin(s->index);
	if (err == 0)
		err = index_job_keep_stamps(s->index, &s->rows);
	s->err = end(s->index, err);
}

void doubt_job_lose(struct job *job, struct worker_env *env)
{
	struct doubt_lose *l = CONTAINER_OF(job, struct doubt_lose, job);
	int err;

	ASSERT_WORKER();
	err = index_job_begin(l->index);
	if (err == 0 && l->is_shared)
		err = index_job_drop_file(l->index, l->row, &l->dropped_bytes);
	for (uint32_t i = 0; i < l->n && err == 0; i++)
		err = index_job_drop(l->index, l->row, l->pieces[i].ix,
				     l->pieces[i].bytes, &l->dropped_bytes);
	l->err = end(l->index, err);
	if (l->err != 0)
		l->dropped_bytes = 0;
}
