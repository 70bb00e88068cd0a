/* doubt_job — what the store thread does about blobs that changed: how they are
 * is written down, and what was in those that are gone is dropped.
 *
 * Thread: store; the structs are the loop's before and after. */
#ifndef SHOAL_CACHE_DOUBT_JOB_H
#define SHOAL_CACHE_DOUBT_JOB_H

#include "cache/store_disk_internal.h"

struct doubt_stamps {
	struct job job;
	/* set before hand-over */
	struct index_db *index;
	struct stamp_rows rows;
	int err; /* reply */
};

struct doubt_piece {
	uint32_t ix, bytes;
};

struct doubt_lose {
	struct job job;
	/* set before hand-over */
	struct disk *disk;
	struct disk_torrent *t; /* held; NULL: it is a file's */
	struct index_db *index;
	int64_t row;
	bool is_shared; /* all leaves of the file `row` */
	uint32_t n;	/* else these pieces of the torrent */
	/* reply */
	uint64_t dropped_bytes;
	int err;
	struct doubt_piece pieces[];
};

/* ---- whose blob it is; loop ---- */

static inline struct disk *watched_disk(const struct watched *w)
{
	return CONTAINER_OF(w->set->table, struct disk, blobs);
}

/* Only of one's own. */
static inline struct disk_torrent *watched_torrent(const struct watched *w)
{
	return CONTAINER_OF(w->set, struct disk_torrent, blobs);
}

/* Only of a shared one. */
static inline struct disk_file *watched_file(const struct watched *w)
{
	return CONTAINER_OF(w->shared, struct disk_file, blob);
}

/* doubt_next_put — the put behind `p` (NULL: the first) of the torrent's own
 * that has written, or may be writing, to a piece of [first, last]; NULL. */
struct put *doubt_next_put(const struct disk_torrent *t, struct put *p,
			   uint32_t first, uint32_t last);
void doubt_clear(struct doubt *doubt, uint32_t first, uint32_t n);

/* disk_lost_task — see to the blobs that are gone (store_disk_lost.c). */
void disk_lost_task(void *arg);

/* ---- the jobs ---- */

void doubt_job_stamps(struct job *job, struct worker_env *env);
void doubt_job_lose(struct job *job, struct worker_env *env);

/* A blob that has something, as the job that opened its torrent found it. */
struct opened_blob {
	uint32_t file_ix;
	uint32_t found; /* is_shared: its place in disk_open.files */
	bool is_shared;
	bool is_kept;	  /* the index knows it like that */
	bool is_doubtful; /* it knows it otherwise, or not at all */
	struct stamp stamp;
};

#endif
