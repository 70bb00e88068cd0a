/* store_disk_internal — what the files of the disk store share: store_disk.c
 * (its life), store_disk_open.c (its torrents), store_disk_files.c (files by
 * their v2 root), batch.c (puts until they are durable), staging.c (bytes that
 * are not verified) and their jobs. */
#ifndef SHOAL_CACHE_STORE_DISK_INTERNAL_H
#define SHOAL_CACHE_STORE_DISK_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/batch.h"
#include "cache/blobs.h"
#include "cache/doubt.h"
#include "cache/home_job.h"
#include "cache/joint.h"
#include "cache/room.h"
#include "cache/store_disk.h"
#include "cache/store_disk_files.h"
#include "cache/store_disk_heal.h"
#include "cache/store_disk_tally.h"
#include "cache/store_disk_member.h"
#include "cache/store_ops.h"
#include "cache/store_share.h"
#include "core/queue.h"
#include "core/worker.h"

struct blk;
struct disk;
struct index_db;
struct loop_timer;

/* Where a put is, and which list it is in beside disk->puts:
 *
 *   WAITING  -> WRITING   there is room for more unsynced bytes
 *   WRITING  -> READY     the blob is written (WRITTEN was said), or it ends
 *   READY    -> COMMITTING   a commit begins
 *   COMMITTING -> (end)   DURABLE, or an error */
enum put_stage {
	PUT_WAITING,	/* disk->waiting */
	PUT_WRITING,	/* none: its blob_io has it */
	PUT_READY,	/* disk->ready */
	PUT_COMMITTING, /* disk->commit.puts */
};

enum put_kind {
	PUT_OWN,    /* a piece, for this torrent alone */
	PUT_PIECE,  /* a piece whose file has a root: its leaves */
	PUT_LEAVES, /* leaves, and no piece */
};

struct put {
	/* set at birth */
	struct disk_torrent *t;
	struct blk *blk; /* until it is written */
	struct blob_io *io;
	store_put_fn *done;
	void *arg;
	uint64_t seq;
	int64_t row;	  /* of the torrent */
	int64_t file_row; /* of its file; 0: the commit finds it */
	bool is_hybrid;
	uint32_t piece_ix;
	uint32_t bytes;
	uint32_t cost; /* of a PUT_OWN, on the disk */
	enum put_kind kind;
	struct joint_piece leaves; /* unless it is PUT_OWN */
	bool is_old;		   /* what it stands on was written before */
	bool is_copy;		   /* of what was staged; until it is written */
	/* loop */
	bool is_added;	   /* others know of its leaves */
	bool is_busy;	   /* its units are */
	uint32_t reserved; /* of the room */
	uint64_t since_us; /* it waits */
	bool is_forgotten; /* meanwhile */
	bool was_claimed;  /* when it went into the commit */
	enum put_stage stage;
	TAILQ_ENTRY(put) link;	 /* disk->puts, by seq */
	STAILQ_ENTRY(put) queue; /* by stage */
	/* the commit's while COMMITTING; before that, why not to commit it */
	int err;
};

TAILQ_HEAD(put_list, put);
STAILQ_HEAD(put_queue, put);

/* One batch on its way: sync, then rows. There is never more than one. */
struct commit {
	struct job job;
	/* set before hand-over */
	struct index_db *index;
	const struct home *home;
	struct put_queue puts;
	struct blob_list blobs;
	struct blob_sets dirs;
	struct stamp_rows stamps;
	struct tally_rows tallies;
	struct member_rows members;
	bool is_running;
	/* reply */
	unsigned n_syncs;
	uint64_t added_bytes;
	uint64_t free_bytes, index_bytes;
	int sync_err;	 /* the first sync that failed */
	int tally_err;	 /* no sums went along */
	int index_err;	 /* the transaction's */
	bool is_written; /* there was one, and it was committed */
};

/* Somebody waits until everything put before `seq` has ended. */
struct flush {
	struct job job;
	struct disk *disk;
	uint64_t seq;
	store_done_fn *done;
	void *arg;
	STAILQ_ENTRY(flush) link;
};

STAILQ_HEAD(flush_list, flush);

struct disk_torrent {
	struct store_torrent base;
	struct disk *disk;	   /* Owner */
	const struct metainfo *mi; /* NULL once closed */
	struct torrent_id id;
	char hex[TORRENT_HEX_BYTES];
	int64_t row;
	struct blob_set blobs;
	struct spot_map map;
	struct joint_torrent joint;
	/* Pieces of which the index may have a row for this torrent alone:
	 * nothing that is not verified is ever written where one of them lies.
	 */
	struct bits claimed;
	struct bits staged; /* with v2: see spot.h */
	unsigned n_staging; /* store_stage under way */
	struct unit_set units;
	struct bits pins; /* files; no data: none ever was */
	/* Files that the kernel reads by itself, or may have; since the last
	 * look at them (room_whole.c). */
	struct bits wholes, new_wholes;
	struct doubt doubt;
	bool is_closed;
	LIST_ENTRY(disk_torrent) link;
};

LIST_HEAD(disk_torrents, disk_torrent);
STAILQ_HEAD(staging_list, staging);

STAILQ_HEAD(disk_opens, disk_open);
STAILQ_HEAD(disk_removes, disk_remove);

struct disk {
	struct store base;
	struct loop *loop;
	struct workers *workers;
	struct workers *thread;
	/* the store thread's, once open */
	struct index_db *index;
	struct home home;
	/* loop */
	int err; /* the disk failed; until it is healed */
	struct disk_heal heal;
	struct blobs blobs;
	struct disk_torrents torrents;
	struct disk_opens parked; /* until a closed handle stages no more */
	struct disk_removes waiting_removes; /* until it is gone */
	struct joints joints;
	struct blob_set files; /* the blobs of disk_files */
	uint32_t next_key;
	unsigned n_opening; /* on their way to the store thread, or there */
	struct store_stats stats;
	struct room room;
	struct staging_list parked_stagings; /* until there is room */
	/* batch.c's */
	struct put_list puts; /* all, by seq */
	struct put_queue waiting;
	struct put_queue ready;
	uint64_t next_seq;
	uint64_t ready_bytes;	/* written, in no commit yet */
	uint64_t writing_bytes; /* handed to workers */
	struct commit commit;
	struct flush_list flushes; /* by seq */
	struct loop_timer *timer;
	struct doubts doubts;
	struct disk_members members;
	struct disk_tally tally;
};

/* ---- store_disk.c ---- */

static inline struct disk *disk_of(struct store *s)
{
	return CONTAINER_OF(s, struct disk, base);
}

static inline struct disk_torrent *disk_torrent_of(struct store_torrent *st)
{
	return CONTAINER_OF(st, struct disk_torrent, base);
}

/* ---- store_disk_open.c ---- */

int disk_open(struct store *s, const struct metainfo *mi, store_open_fn *done,
	      void *arg);
void disk_close(struct store_torrent *st);
int disk_remove(struct store *s, const struct torrent_id *id,
		store_done_fn *done, void *arg);

/* disk_unpark — a closed torrent's last store_stage has ended. */
void disk_unpark(struct disk *d);

/* ---- store_disk_whole.c ---- */

int disk_blob(struct store_torrent *st, uint32_t file_ix, store_blob_fn *done,
	      void *arg);

#endif
