/* tally_job — tallies out of the index at the start, and into it when no commit
 * of pieces took them along; into the log beside it first (traffic_job.c).
 *
 * Threads: store. */
#include "cache/store_disk_tally.h"

#include <errno.h>

#include "cache/index_job.h"
#include "cache/traffic_job.h"
#include "core/mem.h"

static int take(void *arg, const struct tally_row *row)
{
	struct tally_rows *rows = arg;

	if ((rows->n & (rows->n - 1)) == 0) { /* full, at each power of two */
		struct tally_row *grown = mem_grow(
			rows->v, rows->n == 0 ? 1 : 2 * (size_t)rows->n,
			sizeof(*rows->v));

		if (grown == NULL)
			return ENOMEM;
		rows->v = grown;
	}
	rows->v[rows->n++] = *row;
	return 0;
}

int tally_job_load(struct index_db *index, struct tally_rows *rows,
		   struct traffic *departed)
{
	int err = index_job_departed(index, departed);

	*rows = (struct tally_rows){0};
	if (err == 0)
		err = index_job_each_tally(index, take, rows);
	if (err != 0) {
		mem_free(rows->v);
		*rows = (struct tally_rows){0};
	}
	return err;
}

int tally_job_write(struct index_db *index, const struct home *home,
		    const struct tally_rows *rows)
{
	int err;

	ASSERT_WORKER();
	if (rows->n == 0)
		return 0;
	err = traffic_job_append(home, rows);
	if (err == 0)
		err = index_job_begin(index);
	if (err == 0)
		err = index_job_keep_tallies(index, rows);
	if (err == 0)
		err = index_job_commit(index);
	if (err != 0)
		index_job_rollback(index);
	else
		traffic_job_tidy(home, index, rows->n);
	return err;
}

void tally_job(struct job *job, struct worker_env *env)
{
	struct disk_tally *t = CONTAINER_OF(job, struct disk_tally, job);

	t->err = tally_job_write(t->index, t->home, &t->rows);
}
