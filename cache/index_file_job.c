/* index_file_job — files by their v2 root, the torrents that have them, and
 * what is on its way out.
 *
 * Purpose: a file is a row of its own; `member` says which torrents have it,
 * and is the count of references: a file without a member goes with the last
 * torrent that had it. What has to be unlinked then is written down in the same
 * transaction (`leaving`), so that it happens, whatever happens between.
 *
 * Threads: store. */
#include "cache/index_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/hash.h"
#include "core/merkle.h"
#include "core/worker.h"

uint32_t index_file_leaves(uint64_t bytes)
{
	uint64_t n = (bytes + MERKLE_LEAF_BYTES - 1) / MERKLE_LEAF_BYTES;

	return n < UINT32_MAX ? (uint32_t)n : 0;
}

const char *index_file_path(const uint8_t *root, uint64_t bytes,
			    char out[INDEX_PATH_BYTES])
{
	char hex[2 * HASH_SHA256_BYTES + 1];

	for (unsigned i = 0; i < HASH_SHA256_BYTES; i++)
		snprintf(hex + 2 * i, 3, "%02x", root[i]);
	snprintf(out, INDEX_PATH_BYTES, "files/%s.%llu", hex,
		 (unsigned long long)bytes);
	return out;
}

/* ---- members ---- */

static void bind_file(sqlite3_stmt *st, const uint8_t *root, uint64_t bytes)
{
	sqlite3_bind_blob(st, 1, root, HASH_SHA256_BYTES, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, (sqlite3_int64)bytes);
}

int index_job_find_file(struct index_db *db, const uint8_t *root,
			uint64_t bytes, int64_t torrent, int64_t *row,
			bool *is_member)
{
	enum { COL_ID, COL_TORRENT };
	sqlite3_stmt *st = db->find_file;
	int err;

	ASSERT_WORKER();
	bind_file(st, root, bytes);
	sqlite3_bind_int64(st, 3, torrent);
	err = index_first_row(db, st, "find a file");
	if (err == 0) {
		*row = sqlite3_column_int64(st, COL_ID);
		*is_member =
			sqlite3_column_type(st, COL_TORRENT) != SQLITE_NULL;
	}
	index_finish(st);
	return err;
}

int index_job_file_from(struct index_db *db, uint8_t root[HASH_SHA256_BYTES],
			uint64_t *bytes, int64_t *row)
{
	enum { COL_ID, COL_ROOT, COL_BYTES };
	sqlite3_stmt *st = db->file_from;
	int err;

	ASSERT_WORKER();
	bind_file(st, root, *bytes);
	err = index_first_row(db, st, "look for files");
	if (err == 0 && sqlite3_column_bytes(st, COL_ROOT) != HASH_SHA256_BYTES)
		err = EIO;
	if (err == 0) {
		memcpy(root, sqlite3_column_blob(st, COL_ROOT),
		       HASH_SHA256_BYTES);
		*bytes = (uint64_t)sqlite3_column_int64(st, COL_BYTES);
		*row = sqlite3_column_int64(st, COL_ID);
	}
	index_finish(st);
	return err;
}

/* Whatever was on its way out by this name is not any more. */
static int stay(struct index_db *db, const char *path)
{
	sqlite3_bind_text(db->del_leaving, 1, path, -1, SQLITE_STATIC);
	return index_run(db, db->del_leaving, "keep a path");
}

int index_job_add_member(struct index_db *db, const uint8_t *root,
			 uint64_t bytes, int64_t torrent, int64_t *row)
{
	char path[INDEX_PATH_BYTES];
	bool is_member = false;
	int err =
		index_job_find_file(db, root, bytes, torrent, row, &is_member);

	if (err == ENOENT) {
		err = stay(db, index_file_path(root, bytes, path));
		bind_file(db->add_file, root, bytes);
		if (err == 0)
			err = index_run(db, db->add_file, "add a file");
		*row = sqlite3_last_insert_rowid(db->db);
	}
	if (err != 0 || is_member)
		return err;
	sqlite3_bind_int64(db->add_member, 1, torrent);
	sqlite3_bind_int64(db->add_member, 2, *row);
	return index_run(db, db->add_member, "add a member");
}

static int get_sum(struct index_db *db, sqlite3_stmt *st, int64_t row,
		   uint64_t *sum)
{
	int err;

	sqlite3_bind_int64(st, 1, row);
	err = index_first_row(db, st, "sum");
	if (err == 0)
		*sum += (uint64_t)sqlite3_column_int64(st, 0);
	index_finish(st);
	return err;
}

int index_job_drop_file(struct index_db *db, int64_t row, uint64_t *change)
{
	int err;

	ASSERT_WORKER();
	err = get_sum(db, db->file_bytes, row, change);
	sqlite3_bind_int64(db->del_leaves, 1, row);
	return err != 0 ? err : index_run(db, db->del_leaves, "drop a file");
}

/* ---- of torrents that nobody opened ---- */

static int next_row(struct index_db *db, sqlite3_stmt *st, int64_t *row)
{
	int err;

	sqlite3_bind_int64(st, 1, *row);
	err = index_first_row(db, st, "what is kept");
	if (err == 0)
		*row = sqlite3_column_int64(st, 0);
	return err;
}

int index_job_next_holder(struct index_db *db, int64_t *row,
			  char path[INDEX_PATH_BYTES])
{
	enum { COL_ID, COL_V1, COL_V2 };
	char hex[TORRENT_HEX_BYTES];
	struct torrent_id id = {0};
	int err;

	ASSERT_WORKER();
	err = next_row(db, db->next_holder, row);
	if (err == 0) {
		index_column_hash(db->next_holder, COL_V1, &id.v1);
		index_column_hash(db->next_holder, COL_V2, &id.v2);
		snprintf(path, INDEX_PATH_BYTES, "torrents/%s",
			 torrent_id_hex(&id, hex));
	}
	index_finish(db->next_holder);
	return err;
}

int index_job_next_kept_file(struct index_db *db, int64_t *row,
			     char path[INDEX_PATH_BYTES])
{
	enum { COL_ID, COL_ROOT, COL_BYTES };
	sqlite3_stmt *st = db->next_kept_file;
	int err;

	ASSERT_WORKER();
	err = next_row(db, st, row);
	if (err == 0 && sqlite3_column_bytes(st, COL_ROOT) == HASH_SHA256_BYTES)
		index_file_path(sqlite3_column_blob(st, COL_ROOT),
				(uint64_t)sqlite3_column_int64(st, COL_BYTES),
				path);
	else if (err == 0)
		err = EIO;
	index_finish(st);
	return err;
}

int index_job_drop_held(struct index_db *db, int64_t torrent, uint64_t *change)
{
	int err = get_sum(db, db->torrent_bytes, torrent, change);

	sqlite3_bind_int64(db->del_held, 1, torrent);
	return err != 0 ? err : index_run(db, db->del_held, "drop pieces");
}

/* ---- removing ---- */

int index_job_leave(struct index_db *db, const char *path, const char *heir)
{
	ASSERT_WORKER();
	sqlite3_bind_text(db->add_leaving, 1, path, -1, SQLITE_STATIC);
	if (heir != NULL)
		sqlite3_bind_text(db->add_leaving, 2, heir, -1, SQLITE_STATIC);
	return index_run(db, db->add_leaving, "leave a path");
}

/* The file's rows and its membership; its path is written down. */
static int del_file(struct index_db *db, int64_t torrent, int64_t row,
		    const char *path, uint64_t *change)
{
	int err = index_job_drop_file(db, row, change);

	if (err == 0)
		err = index_job_leave(db, path, NULL);
	sqlite3_bind_int64(db->del_member, 1, torrent);
	sqlite3_bind_int64(db->del_member, 2, row);
	if (err == 0)
		err = index_run(db, db->del_member, "remove a member");
	sqlite3_bind_int64(db->del_file, 1, row);
	return err != 0 ? err : index_run(db, db->del_file, "remove a file");
}

/* The first file behind `*row` that nobody else has; ENOENT: there is none. */
static int next_only_here(struct index_db *db, int64_t torrent, int64_t *row,
			  char path[INDEX_PATH_BYTES])
{
	enum { COL_ID, COL_ROOT, COL_BYTES };
	sqlite3_stmt *st = db->only_here;
	int err;

	sqlite3_bind_int64(st, 1, torrent);
	sqlite3_bind_int64(st, 2, *row);
	err = index_first_row(db, st, "find a last member");
	if (err == 0) {
		*row = sqlite3_column_int64(st, COL_ID);
		index_file_path(sqlite3_column_blob(st, COL_ROOT),
				(uint64_t)sqlite3_column_int64(st, COL_BYTES),
				path);
	}
	index_finish(st);
	return err;
}

int index_job_remove(struct index_db *db, int64_t torrent, const char *dir,
		     uint64_t *change)
{
	char path[INDEX_PATH_BYTES];
	int64_t row = 0;
	int err;

	ASSERT_WORKER();
	while ((err = next_only_here(db, torrent, &row, path)) == 0) {
		err = del_file(db, torrent, row, path, change);
		if (err != 0)
			return err;
	}
	if (err != ENOENT)
		return err;
	err = get_sum(db, db->torrent_bytes, torrent, change);
	if (err == 0)
		err = index_job_leave(db, dir, NULL);
	sqlite3_bind_int64(db->del_torrent, 1, torrent);
	return err != 0 ? err
			: index_run(db, db->del_torrent, "remove a torrent");
}

static void column_path(sqlite3_stmt *st, int at, char path[INDEX_PATH_BYTES])
{
	const char *text = (const char *)sqlite3_column_text(st, at);

	snprintf(path, INDEX_PATH_BYTES, "%s", text != NULL ? text : "");
}

int index_job_next_leaving(struct index_db *db, char path[INDEX_PATH_BYTES],
			   char heir[INDEX_PATH_BYTES])
{
	enum { COL_PATH, COL_HEIR };
	sqlite3_stmt *st = db->next_leaving;
	int err;

	ASSERT_WORKER();
	sqlite3_bind_text(st, 1, path, -1, SQLITE_TRANSIENT);
	err = index_first_row(db, st, "what leaves");
	if (err == 0) {
		column_path(st, COL_PATH, path);
		column_path(st, COL_HEIR, heir);
	}
	index_finish(st);
	return err;
}

int index_job_stay(struct index_db *db, const char *path)
{
	ASSERT_WORKER();
	return stay(db, path);
}
