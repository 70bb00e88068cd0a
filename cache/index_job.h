/* index_job — the index: which torrents are known, and which of their pieces
 * are on disk. All SQL of the program.
 *
 * Thread: store. Errors: ENOENT no such row; ENOSPC and ENOMEM, after which
 * nothing has changed; EIO all else, logged here. */
#ifndef SHOAL_CACHE_INDEX_JOB_H
#define SHOAL_CACHE_INDEX_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/stamp.h"
#include "core/hash.h"
#include "core/own.h"
#include "core/torrent_id.h"

struct bits;
struct index_db;
struct metainfo;
struct tally_row;
struct tally_rows;
struct traffic;

/* index_job_open — open the index at `path` (of an empty file, if `is_new`,
 * make one), check it, and bring it to today's schema. EBADMSG: it is damaged;
 * EPROTO: a newer version wrote it; EBUSY: another program has it; EROFS,
 * EACCES: it cannot be written; else EIO, ENOSPC, ENOMEM. `why` gets a line for
 * a person. */
int index_job_open(const char *path, bool is_new, struct index_db **out,
		   char why[160]);

/* index_job_close — checkpoint and close. NULL is fine. The log goes then,
 * unless index_job_keep_log was called: an empty one stays. */
void index_job_keep_log(struct index_db *db);
void index_job_close(struct index_db *db TAKES);

/* What the index knows of a torrent. */
struct index_torrent {
	int64_t row;
	int64_t added_s;      /* wall time */
	struct torrent_id id; /* both hashes, if it has both */
};

/* index_job_find — a torrent, by either of its hashes. ENOENT. */
int index_job_find(struct index_db *db, const struct torrent_id *id,
		   struct index_torrent *out);

/* index_job_add — a new torrent; durable when this returns 0. */
int index_job_add(struct index_db *db, const struct metainfo *mi,
		  int64_t added_s, int64_t *row);

/* index_job_load — the bits of all held pieces, in wire order, into `bits` of
 * (n_pieces + 7) / 8 bytes. Rows that make no sense are logged and skipped. */
int index_job_load(struct index_db *db, int64_t row, uint32_t n_pieces,
		   uint8_t *bits);

/* index_job_load_pins — the set of pinned files, in wire order, into `bits` of
 * (n_files + 7) / 8 bytes. ENOENT: none, or a row that makes no sense.
 * index_job_keep_pins — that set; `bits` NULL: none. Durable when this returns
 * 0. */
int index_job_load_pins(struct index_db *db, int64_t row, uint32_t n_files,
			uint8_t *bits);
int index_job_keep_pins(struct index_db *db, int64_t row, uint32_t n_files,
			const uint8_t *bits);

/* ---- how blobs were when we last wrote to them ---- */

struct stamp_row {
	/* Of the torrent, or of the file with a root; 0: of that file, by: */
	int64_t row;
	uint8_t root[HASH_SHA256_BYTES];
	uint64_t file_bytes;
	bool is_shared; /* it is a file's */
	uint32_t file_ix;
	struct stamp stamp;
};

struct stamp_rows {
	struct stamp_row *v;
	uint32_t n;
};

/* index_job_load_stamp — `r->stamp` of the others. ENOENT: none is known.
 * index_job_keep_stamps — within a transaction; those whose owner is gone are
 * skipped. */
int index_job_load_stamp(struct index_db *db, struct stamp_row *r);
int index_job_keep_stamps(struct index_db *db, const struct stamp_rows *rows);

/* ---- how much was sent and received ---- */

/* index_job_each_tally — of each torrent with any. index_job_departed — of all
 * that were removed. index_job_keep_tallies — within a transaction; those whose
 * torrent is gone are skipped, and no figure gets less. index_job_depart — what
 * the torrent had is added to what was removed, within its removal. */
typedef int index_tally_fn(void *arg, const struct tally_row *row);
int index_job_each_tally(struct index_db *db, index_tally_fn *fn, void *arg);
int index_job_departed(struct index_db *db, struct traffic *out);
int index_job_set_departed(struct index_db *db, const struct traffic *sums);
int index_job_keep_tallies(struct index_db *db, const struct tally_rows *rows);
int index_job_depart(struct index_db *db, int64_t torrent);

/* index_job_held_bytes — of all torrents. */
int index_job_held_bytes(struct index_db *db, uint64_t *out);

/* index_job_each_held — of each torrent with any: about how many bytes of it
 * are held, for a hybrid's piece may be there in both ways. */
typedef int index_held_fn(void *arg, const struct torrent_id *id,
			  uint64_t bytes);
int index_job_each_held(struct index_db *db, index_held_fn *fn, void *arg);

/* index_job_begin … index_job_commit — one transaction, durable when commit
 * returns 0. After an error, index_job_rollback. */
int index_job_begin(struct index_db *db);
int index_job_commit(struct index_db *db);
void index_job_rollback(struct index_db *db);

/* index_job_settle — what is committed is in the index's file, synced, and its
 * log empty. */
int index_job_settle(struct index_db *db);

/* index_job_hold / index_job_drop — piece `ix`, `bytes` long, is held from now
 * on, or not any more. `*change` is raised by what that adds to (takes from)
 * the held bytes: 0 when nothing changed. */
int index_job_hold(struct index_db *db, int64_t row, uint32_t ix,
		   uint32_t bytes, uint64_t *change);
int index_job_drop(struct index_db *db, int64_t row, uint32_t ix,
		   uint32_t bytes, uint64_t *change);

/* index_job_hold_all — all of `held`, of a torrent of which nothing is held;
 * within a transaction. */
int index_job_hold_all(struct index_db *db, int64_t row,
		       const struct bits *held,
		       uint32_t (*bytes_of)(const void *arg, uint32_t piece_ix),
		       const void *arg, uint64_t *change);

/* ---- files with a v2 root ---- */

enum { INDEX_PATH_BYTES = 120 };

struct index_file {
	int64_t row;
	uint64_t bytes;
};

/* index_file_path — "files/<root>.<length>", where such a file lies in the
 * store. Gives `out` back. */
const char *index_file_path(const uint8_t *root, uint64_t bytes,
			    char out[INDEX_PATH_BYTES]);

/* index_file_leaves — how many leaves so long a file has; 0: too many. */
uint32_t index_file_leaves(uint64_t bytes);

/* index_job_file_from — the first file with this root and length, or more, in
 * the order of metainfo's by_root: into all three. ENOENT: there is none. */
int index_job_file_from(struct index_db *db, uint8_t root[HASH_SHA256_BYTES],
			uint64_t *bytes, int64_t *row);

/* index_job_find_file — the row of a file, and whether the torrent has it. */
int index_job_find_file(struct index_db *db, const uint8_t *root,
			uint64_t bytes, int64_t torrent, int64_t *row,
			bool *is_member);

/* index_job_add_member — that torrent has that file; within a transaction. */
int index_job_add_member(struct index_db *db, const uint8_t *root,
			 uint64_t bytes, int64_t torrent, int64_t *row);

/* index_job_load_leaves — as index_job_load, of a file. index_job_load_agreed —
 * pieces of a hybrid whose v1 hash matched what the root's leaves are. */
int index_job_load_leaves(struct index_db *db, int64_t row, uint32_t n_leaves,
			  uint8_t *bits);
int index_job_load_agreed(struct index_db *db, int64_t row, uint32_t n_pieces,
			  uint8_t *bits);

/* index_job_hold_leaves / _drop_leaves / _drop_file — `n` leaves from `first`
 * on (all of them) are held from now on, or not any more; `*change` as above.
 */
int index_job_hold_leaves(struct index_db *db, const struct index_file *f,
			  uint32_t first, uint32_t n, uint64_t *change);
int index_job_drop_leaves(struct index_db *db, const struct index_file *f,
			  uint32_t first, uint32_t n, uint64_t *change);
int index_job_drop_file(struct index_db *db, int64_t row, uint64_t *change);

/* index_job_agree — the v1 hash of piece `ix` matched. */
int index_job_agree(struct index_db *db, int64_t row, uint32_t ix,
		    uint32_t bytes);

/* ---- what is kept of torrents that nobody opened ---- */

/* index_job_next_holder — the first torrent behind row `*row` that has pieces
 * of its own and no pins: its row, and the name of its directory,
 * "torrents/<id>". index_job_next_kept_file — the same of files with a root:
 * "files/<name>". ENOENT at the end. */
int index_job_next_holder(struct index_db *db, int64_t *row,
			  char path[INDEX_PATH_BYTES]);
int index_job_next_kept_file(struct index_db *db, int64_t *row,
			     char path[INDEX_PATH_BYTES]);

/* index_job_drop_held — a torrent has no pieces of its own any more. */
int index_job_drop_held(struct index_db *db, int64_t torrent, uint64_t *change);

/* ---- removing ---- */

/* index_job_remove — all rows of a torrent, and of the files that it alone has;
 * `dir` (its directory) and theirs are written down as leaving. Within a
 * transaction. */
int index_job_remove(struct index_db *db, int64_t torrent, const char *dir,
		     uint64_t *change);

/* index_job_leave — `path`, in the store's directory, is to be removed, or
 * (heir not NULL) to be called so instead. index_job_stay — it is done, or not
 * wanted any more. */
int index_job_leave(struct index_db *db, const char *path, const char *heir);
int index_job_stay(struct index_db *db, const char *path);

/* index_job_next_leaving — the first such path behind `path` ("" for the
 * first), into it, and its heir or ""; ENOENT at the end. */
int index_job_next_leaving(struct index_db *db, char path[INDEX_PATH_BYTES],
			   char heir[INDEX_PATH_BYTES]);

#endif
