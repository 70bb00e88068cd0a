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
#include "cache/sight.h"
#include "core/bits.h"
#include "core/own.h"
#include "core/queue.h"

struct hmap;
struct vet_ask;
struct workers;

/* One open blob; the table in blobs.c says which fields go together. */
struct blob {
	struct blob_set *set; /* Owner */
	uint32_t key;	      /* file index, or a shared_blob's */
	int fd;		      /* -1: a job is opening it */
	enum { BLOB_NOT_KNOWN, BLOB_IN_MEMORY, BLOB_ELSEWHERE } place;
	unsigned n_users; /* jobs that use fd */
	bool is_dirty;	  /* written to since the last sync began */
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

/* What was last seen of one blob, and of which. */
struct watched {
	struct sight seen;
	struct blob_set *set; /* Owner */
	struct shared_blob *shared;
	uint32_t file_ix; /* of one's own */
	bool is_doubtful; /* something in it may not be what we wrote */
	bool is_losing;	  /* its rows are on their way out */
	bool is_stuck;	  /* they cannot be */
	bool is_listed;	  /* in blobs->unkept */
	TAILQ_ENTRY(watched) link;
};

TAILQ_HEAD(watched_list, watched);

/* All open blobs of one store. */
struct blobs {
	struct workers *workers; /* kept */
	unsigned n;		 /* open, or being opened */
	unsigned n_dirty;
	unsigned max;
	struct blob_idle idle; /* least recently used first */
	struct blob_list dirty;
	struct blob_sets dirty_sets;
	/* Blobs of which the index does not know how they are now. */
	struct watched_list unkept;
	struct vet_queue vets; /* that wait for a worker (blobs_vet.c) */
	unsigned n_vets, n_vet_jobs;
	/* Somebody else has changed this blob, or taken bytes of it away. May
	 * be NULL. */
	void (*on_changed)(struct watched *w, bool is_lost);
	void (*on_unkept)(struct blobs *t); /* the list is not empty; or NULL */
};

/* A blob that torrents have in common. Embedded in its owner, which lives while
 * jobs use it. */
struct shared_blob {
	uint32_t key;	  /* no other one's, ever */
	bool is_made;	  /* its blob must be there */
	const char *name; /* kept */
	struct watched watched;
};

/* The blobs of one torrent, or those that all have in common. Embedded in its
 * owner, which lives until on_idle was called. */
struct blob_set {
	struct blobs *table; /* Owner */
	struct blob_home home;
	struct hmap *open; /* key -> struct blob */
	struct bits made;  /* files whose blob must be there */
	struct hmap *seen; /* file index -> struct watched */
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

/* blobs_set_admit — the set has this shared blob, too; its other fields are
 * set. blobs_set_evict — nobody wants it any more. */
void blobs_set_admit(struct blob_set *set, struct shared_blob *shared);
void blobs_set_evict(struct blob_set *set, struct shared_blob *shared);

/* ---- who else changed it ---- */

/* blobs_watch — what is known of the torrent's own blob of a file; made if
 * there is nothing yet. NULL: no memory. blobs_find_watched — not made: NULL;
 * `shared`, or NULL, is one that torrents have in common. */
struct watched *blobs_watch(struct blob_set *set, uint32_t file_ix);
struct watched *blobs_find_watched(struct blob_set *set,
				   struct shared_blob *shared,
				   uint32_t file_ix);

/* blobs_look_begin, blobs_look_end — around a job of somebody else's that looks
 * at a blob or changes it. The latter says what was found, and has told
 * on_changed. `w` may be NULL. */
void blobs_look_begin(struct glance *l, struct watched *w, bool is_write);
enum look_end blobs_look_end(struct glance *l);

/* blobs_unkept — the index should know how it is now, as soon as nothing of it
 * is in doubt. blobs_kept — it does, or it need not any more. */
void blobs_unkept(struct watched *w);
void blobs_kept(struct watched *w);

/* blobs_close_lost — nothing is held of this blob any more: it may be made
 * anew, and its descriptor goes. */
void blobs_close_lost(struct watched *w);

/* blobs_close_key — nobody wants this descriptor any more. */
void blobs_close_key(struct blob_set *set, uint32_t key);

/* ---- reads and writes ---- */

/* blobs_let_go — its descriptor is closed, unless it is in use. */
void blobs_let_go(struct blob_set *set, uint32_t key);

/* blobs_read_now — see store_read_now. */
int blobs_read_now(const struct spot_map *map, uint64_t off_bytes,
		   uint32_t len_bytes, uint8_t *dst);

/* blobs_io_new — plan a read or a write of [off, off + len) of piece space;
 * `map` is not needed after this, its sets are. Gives; NULL for ENOMEM. The
 * caller fills dst or src, done and arg. */
struct blob_io *blobs_io_new(const struct spot_map *map, enum spot_aim aim,
			     uint64_t off_bytes, uint32_t len_bytes);

/* blobs_copy_new — plan a copy of a piece's [off, off + len), all of it in one
 * file with a root but for padding, from the torrent's own blob into the one
 * for all. As blobs_io_new. */
struct blob_io *blobs_copy_new(const struct spot_map *map, uint64_t off_bytes,
			       uint32_t len_bytes);

/* blobs_io_start — do it; `done` gets it back with its err, on a later turn,
 * and frees it. A write's blobs are dirty then. Holds the torrent's own set
 * until after `done`. */
void blobs_io_start(struct blob_io *io TAKES);

/* blobs_io_begin … blobs_io_end — for who has a job of his own: its blobs are
 * looked at and in use; its replies are there, and `done` is called. */
void blobs_io_begin(struct blob_io *io);
void blobs_io_end(struct blob_io *io TAKES);

/* blobs_read — see store_read, store_read_staged. */
int blobs_read(const struct spot_map *map, enum spot_aim aim,
	       uint64_t off_bytes, uint32_t len_bytes, uint8_t *dst,
	       void (*done)(void *arg, int err), void *arg);

/* blobs_vet — see store_vet. `done`: 0, and what it is; EAGAIN: it was changed
 * meanwhile, and what it was. Who is in no hurry waits until as many go side by
 * side as there are (blobs_vet.c). */
typedef void blobs_vet_fn(void *arg, int err, enum piece_verdict verdict);

int blobs_vet(const struct spot_map *map, uint32_t piece_ix,
	      const struct vet_ask *ask, blobs_vet_fn *done, void *arg);

/* blobs_take_dirty — hand everything dirty to a commit; blobs_synced takes it
 * back. */
void blobs_take_dirty(struct blobs *t, struct blob_list *blobs,
		      struct blob_sets *sets);
void blobs_synced(struct blobs *t, struct blob_list *blobs,
		  struct blob_sets *sets);

#endif
