/* doubt — held bytes that may not be what was written, and how blobs were when
 * they were: the disk store's side of store_vet.h (store_disk_doubt.c).
 * Thread: loop. */
#ifndef SHOAL_CACHE_DOUBT_H
#define SHOAL_CACHE_DOUBT_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/index_job.h"
#include "cache/store.h"
#include "core/bits.h"
#include "core/loop.h"

struct disk;
struct disk_file;
struct disk_torrent;
struct put;
struct vet_ask;
struct opened_blob; /* doubt_job.h */

/* What may not be what was written: pieces of a torrent's own, or leaves. */
struct doubt {
	struct bits bits; /* no data: none */
	bool is_all;	  /* there was no memory to say which */
};

/* A store's. */
struct doubts {
	struct loop_timer *stamp_timer;
	struct loop_task lost_task;
	bool has_lost;	 /* blobs that are gone, and are to be made anew */
	bool has_failed; /* rows of such a one could not be dropped */
};

int disk_doubt_init(struct disk *d);
void disk_doubt_fini(struct disk *d);
void doubt_fini(struct doubt *doubt);

/* disk_doubt_opened — what the job that opened the torrent saw of its blobs.
 * 0 or ENOMEM. */
int disk_doubt_opened(struct disk_torrent *t, const struct opened_blob *b);

bool disk_is_doubtful(const struct store_torrent *st, uint32_t piece_ix);
int disk_vet(struct store_torrent *st, uint32_t piece_ix,
	     const struct vet_ask *ask, store_read_fn *done, void *arg);

/* disk_doubt_clear — the piece is what it must be, or not held any more.
 * disk_doubt_clear_own — of what is kept for it alone; _clear_leaves: of
 * leaves. disk_doubt_look — a job has ended that a blob that is gone may wait
 * for. */
void disk_doubt_clear(struct disk_torrent *t, uint32_t piece_ix);
void disk_doubt_clear_own(struct disk_torrent *t, uint32_t piece_ix);
void disk_doubt_clear_leaves(struct disk_file *f, uint32_t first, uint32_t n);
void disk_doubt_look(struct disk *d);

/* disk_doubt_bars — the put has to wait: a blob that it goes to is gone, and
 * what was in it is just being forgotten. batch_on_room comes behind that. */
bool disk_doubt_bars(const struct put *p);

/* disk_doubt_take_stamps — rows for the index; the caller frees rows.v.
 * disk_doubt_flush — write them by a job, now. */
void disk_doubt_take_stamps(struct disk *d, struct stamp_rows *rows);
void disk_doubt_flush(struct disk *d);

#endif
