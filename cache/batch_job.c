/* batch_job — one commit: sync the blobs, sync the names, write the rows.
 *
 * Purpose: the order that the store promises, in one function. A row is
 * written only when every byte and every name it stands on has been synced
 * without an error in this same batch.
 *
 * Failure modes
 *   a sync fails    the kernel may have dropped the pages and will say so only
 *                   once: every put that touched the blob has lost, and the
 *                   loop turns the store FAILED. The others are committed.
 *   the rows fail   the transaction is rolled back; all puts get its error.
 *
 * Threads: store. Nobody else touches a blob's sync fields, nor a put, while
 * the job runs. */
#include "cache/store_disk_internal.h"

#include <errno.h>
#include <unistd.h>

#include "cache/index_job.h"
#include "cache/traffic_job.h"
#include "core/err.h"
#include "core/log.h"

static void note_sync(struct commit *c, int err)
{
	c->n_syncs++;
	if (err != 0 && c->sync_err == 0)
		c->sync_err = err;
}

static void sync_all(struct commit *c)
{
	struct blob *b;
	struct blob_set *set;

	STAILQ_FOREACH (b, &c->blobs, sync) {
		if (fdatasync(b->sync_fd) != 0)
			b->sync_err = errno;
		note_sync(c, b->sync_err);
	}
	STAILQ_FOREACH (set, &c->dirs, sync) {
		set->sync_err = blob_job_sync_dir(&set->home);
		note_sync(c, set->sync_err);
	}
}

/* Did everything the put stands on reach the disk? */
static int put_sync_err(const struct commit *c, const struct put *p)
{
	if (p->is_old && c->sync_err != 0)
		return EIO;
	for (uint32_t i = 0; i < p->io->n_runs; i++) {
		const struct blob_set *set = p->io->runs[i].set;
		const struct blob *b = p->io->runs[i].blob;

		if (!p->io->runs[i].is_write)
			continue; /* it is nobody's any more */
		if (set->is_dir_syncing && set->sync_err != 0)
			return EIO;
		if (b != NULL && b->sync_err != 0)
			return EIO;
	}
	return 0;
}

/* Where the row is not known it is looked for, and made: a commit on its way
 * may have done so. */
static int write_leaves(struct commit *c, struct put *p)
{
	const struct joint_file *file = p->leaves.use->file;
	struct index_file f = {.bytes = file->bytes};
	int err = 0;

	if (p->file_row == 0)
		err = index_job_add_member(c->index, file->id, file->bytes,
					   p->row, &p->file_row);
	f.row = p->file_row;
	return err != 0 ? err
			: index_job_hold_leaves(c->index, &f, p->leaves.first,
						p->leaves.n, &c->added_bytes);
}

static int write_row(struct commit *c, struct put *p)
{
	int err;

	if (p->kind == PUT_OWN)
		return index_job_hold(c->index, p->row, p->piece_ix, p->bytes,
				      &c->added_bytes);
	err = write_leaves(c, p);
	if (err == 0 && p->kind == PUT_PIECE && p->is_hybrid)
		err = index_job_agree(c->index, p->row, p->piece_ix, p->bytes);
	return err;
}

static int write_rows(struct commit *c)
{
	struct put *p;
	int err = index_job_begin(c->index);

	if (err == 0)
		err = disk_member_job(c->index, &c->members);
	STAILQ_FOREACH (p, &c->puts, queue)
		if (err == 0 && p->err == 0)
			err = write_row(c, p);
	if (err == 0 && c->sync_err == 0)
		err = index_job_keep_stamps(c->index, &c->stamps);
	if (err == 0 && c->tally_err == 0)
		err = index_job_keep_tallies(c->index, &c->tallies);
	if (err == 0)
		err = index_job_commit(c->index);
	if (err != 0) {
		index_job_rollback(c->index);
		c->added_bytes = 0;
	} else {
		traffic_job_tidy(c->home, c->index, c->tallies.n);
	}
	return err;
}

void batch_job_commit(struct job *job, struct worker_env *env)
{
	struct commit *c = CONTAINER_OF(job, struct commit, job);
	struct put *p;
	bool any = c->members.n > 0;

	ASSERT_WORKER();
	sync_all(c);
	STAILQ_FOREACH (p, &c->puts, queue) {
		if (p->err == 0)
			p->err = put_sync_err(c, p);
		any |= p->err == 0;
	}
	if (any) {
		c->tally_err = traffic_job_append(c->home, &c->tallies);
		c->index_err = write_rows(c);
	}
	c->is_written = any && c->index_err == 0;
	STAILQ_FOREACH (p, &c->puts, queue)
		if (p->err == 0)
			p->err = c->index_err;
	room_job_measure(c->home, &c->free_bytes, &c->index_bytes);
}

/* A flush only needs its turn on the store thread. */
void batch_job_nothing(struct job *job, struct worker_env *env)
{
	ASSERT_WORKER();
}
