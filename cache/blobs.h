/* blobs — the blobs of a store that are open, and reads and writes of them.
 *
 * At most STORE_OPEN_BLOBS descriptors are kept. A blob that was written to
 * stays open until it was synced, because only then is its error known.
 *
 * Thread: loop. Errors: as blob_job.h. */
#ifndef SHOAL_CACHE_BLOBS_H
#define SHOAL_CACHE_BLOBS_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/blob_job.h"
#include "cache/spot.h"
#include "core/bits.h"
#include "core/own.h"
#include "core/queue.h"

struct hmap;
struct workers;

/* One open blob; the table in blobs.c says which fields go together. */
struct blob {
	struct blob_set *set; /* Owner */
	uint32_t key;	      /* file index, or a shared_blob's */
	int fd;		      /* -1: a job is opening it */
	unsigned n_users;     /* jobs that use fd */
	bool is_dirty;	      /* written to since the last sync began */
	bool is_syncing;
	bool is_doomed; /* nobody wants it: to be closed when it could be idle
			 */
	TAILQ_ENTRY(blob) idle;
	STAILQ_ENTRY(blob) dirty;
	/* the commit's, while is_syncing */
	STAILQ_ENTRY(blob) sync;
	int sync_fd;
	int sync_err;
};

TAILQ_HEAD(blob_idle, blob);
STAILQ_HEAD(blob_list, blob);
STAILQ_HEAD(blob_sets, blob_set);

/* All open blobs of one store. */
struct blobs {
	struct workers *workers; /* kept */
	unsigned n;		 /* open, or being opened */
	unsigned n_dirty;
	unsigned max;
	struct blob_idle idle; /* least recently used first */
	struct blob_list dirty;
	struct blob_sets dirty_sets;
};

/* A blob that torrents have in common. Embedded in its owner, which lives while
 * jobs use it. */
struct shared_blob {
	uint32_t key;	  /* no other one's, ever */
	bool is_made;	  /* its blob must be there */
	const char *name; /* kept */
};

/* The blobs of one torrent, or those that all have in common. Embedded in its
 * owner, which lives until on_idle was called. */
struct blob_set {
	struct blobs *table; /* Owner */
	struct blob_home home;
	struct hmap *open; /* key -> struct blob */
	struct bits made;  /* files whose blob must be there */
	unsigned n_jobs;   /* jobs, and whatever else needs the set */
	bool is_closed;
	void (*on_idle)(struct blob_set *set); /* closed, and n_jobs is 0 */
	bool is_dir_dirty; /* a blob was made since the last sync began */
	bool is_dir_syncing;
	STAILQ_ENTRY(blob_set) dirty;
	/* the commit's, while is_dir_syncing */
	STAILQ_ENTRY(blob_set) sync;
	int sync_err;
};

void blobs_init(struct blobs *t, struct workers *workers);

/* blobs_fini — every set was freed. */
void blobs_fini(struct blobs *t);

/* blobs_set_init — `home` is copied, what it points at kept. 0 or ENOMEM. */
int blobs_set_init(struct blob_set *set, struct blobs *t,
		   const struct blob_home *home, uint32_t n_files);

/* blobs_set_close — no more calls; on_idle follows, perhaps at once. */
void blobs_set_close(struct blob_set *set);

/* blobs_set_fini — closes the descriptors. No job uses the set. */
void blobs_set_fini(struct blob_set *set);

void blobs_set_hold(struct blob_set *set);
void blobs_set_drop(struct blob_set *set);

/* blobs_set_evict — nobody wants this shared blob any more. */
void blobs_set_evict(struct blob_set *set, const struct shared_blob *shared);

/* blobs_read_now — see store_read_now. */
int blobs_read_now(const struct spot_map *map, uint64_t off_bytes,
		   uint32_t len_bytes, uint8_t *dst);

/* blobs_io_new — plan a read or a write of [off, off + len) of piece space;
 * `map` is not needed after this, its sets are. Gives; NULL for ENOMEM. The
 * caller fills dst or src, done and arg. */
struct blob_io *blobs_io_new(const struct spot_map *map, enum spot_aim aim,
			     uint64_t off_bytes, uint32_t len_bytes);

/* blobs_io_start — do it; `done` gets it back with its err, on a later turn,
 * and frees it. A write's blobs are dirty then. Holds the torrent's own set
 * until after `done`. */
void blobs_io_start(struct blob_io *io TAKES);

/* blobs_read — see store_read. */
int blobs_read(const struct spot_map *map, uint64_t off_bytes,
	       uint32_t len_bytes, uint8_t *dst,
	       void (*done)(void *arg, int err), void *arg);

/* blobs_take_dirty — hand everything dirty to a commit; blobs_synced takes it
 * back. */
void blobs_take_dirty(struct blobs *t, struct blob_list *blobs,
		      struct blob_sets *sets);
void blobs_synced(struct blobs *t, struct blob_list *blobs,
		  struct blob_sets *sets);

#endif
