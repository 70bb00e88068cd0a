/* batch — the ways of bytes into a disk store: puts (batch.c), and what is
 * staged (staging.c). Thread: loop. */
#ifndef SHOAL_CACHE_BATCH_H
#define SHOAL_CACHE_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/store.h"

struct blk;
struct disk;
struct disk_torrent;
struct job;
struct put;
struct worker_env;

/* ---- staging.c ---- */

int staging_start(struct disk_torrent *t, uint32_t piece_ix, uint32_t at_bytes,
		  struct blk *data, store_done_fn *done, void *arg);

/* staging_on_room — those that wait for room may go on. staging_refuse — those
 * that have waited for so long get ENOSPC. staging_end_parked — of a torrent
 * that is closed, all do. */
void staging_on_room(struct disk *d);
void staging_refuse(struct disk *d, uint64_t for_us);
void staging_end_parked(struct disk_torrent *t);

/* staging_needs — how much room the first of them lacks; 0: none waits. */
uint64_t staging_needs(const struct disk *d);

/* ---- batch.c ---- */

int batch_init(struct disk *d);
void batch_fini(struct disk *d);
int batch_put(struct disk_torrent *t, uint32_t piece_ix, struct blk *data,
	      store_put_fn *done, void *arg);
int batch_put_leaves(struct disk_torrent *t, uint32_t piece_ix,
		     uint32_t at_bytes, struct blk *data, store_put_fn *done,
		     void *arg);

/* batch_forget — what is under way for the piece shall not be committed. */
void batch_forget(struct disk_torrent *t, uint32_t piece_ix);
int batch_flush(struct disk *d, store_done_fn *done, void *arg);

/* batch_needs — does a put wait for room, and how much? `due_us`: when a reader
 * comes to it. batch_on_room — there may be some. batch_refuse_late — whoever
 * has waited for so long gets ENOSPC. */
bool batch_needs(const struct disk *d, uint64_t *bytes, uint64_t *due_us);
void batch_on_room(struct disk *d);
void batch_refuse_late(struct disk *d, uint64_t for_us);

/* batch_drain — commit everything, and let every `done` run; blocks. */
void batch_drain(struct disk *d);

/* ---- batch_way.c ---- */

/* batch_way_choose — where a piece goes, `has_data` or not; batch_way_plan —
 * its blob_io, of bytes from `at` on. Both: 0 or ENOMEM. batch_way_err — it is
 * its turn: 0, or why it cannot go on. */
int batch_way_choose(struct put *p, bool has_data);
int batch_way_plan(struct put *p, uint32_t at_bytes, struct blk *data);
int batch_way_err(const struct put *p);

/* batch_way_stay — there is no room for a copy of what was staged: it is kept
 * where it is. False: it is no copy. batch_way_end_copy — the first one can go,
 * or there will be none; of puts that are copies, once. */
bool batch_way_stay(struct put *p);
void batch_way_end_copy(struct put *p);

/* ---- batch_job.c ---- */

void batch_job_commit(struct job *job, struct worker_env *env);
void batch_job_nothing(struct job *job, struct worker_env *env);

#endif
