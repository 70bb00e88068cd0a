/* store_disk_tally — what was sent and received, into the index. Thread: loop.
 */
#ifndef SHOAL_CACHE_STORE_DISK_TALLY_H
#define SHOAL_CACHE_STORE_DISK_TALLY_H

#include <stdbool.h>

#include "cache/tally.h"
#include "core/worker.h"

struct disk;
struct home;
struct index_db;
struct loop_timer;
struct store;

struct disk_tally {
	struct tally tally;
	struct loop_timer *timer; /* something is to be written */
	/* its own transaction, when no commit came by; set before hand-over */
	struct job job;
	bool is_writing;
	struct index_db *index;
	const struct home *home;
	struct tally_rows rows;
	/* reply */
	int err;
};

int disk_tally_init(struct disk *d);
void disk_tally_fini(struct disk *d);

void disk_count(struct store *s, const struct torrent_id *id,
		const struct traffic *more);
void disk_traffic(const struct store *s, const struct torrent_id *id,
		  struct traffic *out);

/* disk_tally_flush — what is not written down is handed to the store thread. */
void disk_tally_flush(struct disk *d);

/* disk_tally_written — of rows that tally_take gave: they are in the index, or
 * (an error) perhaps not, and come again. */
void disk_tally_written(struct disk *d, struct tally_rows *rows, int err);

/* ---- tally_job.c, on the store thread ---- */

/* tally_job_load — what earlier runs wrote; the caller frees rows->v.
 * tally_job_write — a transaction of its own. tally_job — the same as a job. */
int tally_job_load(struct index_db *index, struct tally_rows *rows,
		   struct traffic *departed);
int tally_job_write(struct index_db *index, const struct home *home,
		    const struct tally_rows *rows);
void tally_job(struct job *job, struct worker_env *env);

#endif
