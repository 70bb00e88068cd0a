/* index_job — the index: which torrents are known, and which of their pieces
 * are on disk. All SQL of the program.
 *
 * Thread: store. Errors: ENOENT no such row; ENOSPC and ENOMEM, after which
 * nothing has changed; EPROTO a newer version wrote the file; EIO all else,
 * logged here. */
#ifndef SHOAL_CACHE_INDEX_JOB_H
#define SHOAL_CACHE_INDEX_JOB_H

#include <stdint.h>

#include "core/own.h"
#include "core/torrent_id.h"

struct index_db;
struct metainfo;

/* index_job_open — open or make the index at `path`, check it, and bring it to
 * today's schema. `why` gets a line for a person. */
int index_job_open(const char *path, struct index_db **out, char why[160]);

/* index_job_close — checkpoint and close. NULL is fine. */
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

/* index_job_held_bytes — of all torrents. */
int index_job_held_bytes(struct index_db *db, uint64_t *out);

/* index_job_begin … index_job_commit — one transaction, durable when commit
 * returns 0. After an error, index_job_rollback. */
int index_job_begin(struct index_db *db);
int index_job_commit(struct index_db *db);
void index_job_rollback(struct index_db *db);

/* index_job_hold / index_job_drop — piece `ix`, `bytes` long, is held from now
 * on, or not any more. `*change` is raised by what that adds to (takes from)
 * the held bytes: 0 when nothing changed. */
int index_job_hold(struct index_db *db, int64_t row, uint32_t ix,
		   uint32_t bytes, uint64_t *change);
int index_job_drop(struct index_db *db, int64_t row, uint32_t ix,
		   uint32_t bytes, uint64_t *change);

#endif
