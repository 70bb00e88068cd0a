/* index_job — SQLite, kept on a short lead.
 *
 * Purpose: the one file with SQL, run by the one thread with the connection.
 * What the statements for pieces, leaves and files are run for is in
 * index_chunk_job.c and index_file_job.c.
 *
 * Settings: the lock is exclusive and kept, so there is no shared memory file
 * and no second connection; WAL; every commit is synced (synchronous=FULL),
 * since batches make commits rare and DURABLE means what it says; no mmap
 * (an I/O error is then a result and not a signal); the file is not trusted
 * (trusted_schema, DEFENSIVE, cell_size_check, quick_check at start).
 *
 * Failure modes: ENOSPC and ENOMEM leave the state as it was before the
 * transaction; anything else is EIO, and the store stops believing itself.
 *
 * Invariant: a statement is reset before the function that stepped it
 * returns, so nothing keeps a read transaction open. */
#include "cache/index_internal.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cache/cache_limits.h"
#include "cache/schema_job.h"
#include "core/bits.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "core/worker.h"

static const struct {
	size_t member;
	const char *sql;
} statements[] = {
	{offsetof(struct index_db, begin), "BEGIN IMMEDIATE"},
	{offsetof(struct index_db, commit), "COMMIT"},
	{offsetof(struct index_db, rollback), "ROLLBACK"},
	{offsetof(struct index_db, find),
	 "SELECT id, v1, v2, added_s FROM torrent"
	 " WHERE v1 = ?1 OR v2 = ?2"},
	{offsetof(struct index_db, add),
	 "INSERT INTO torrent"
	 " (v1, v2, piece_bytes, n_pieces, total_bytes, added_s)"
	 " VALUES (?1, ?2, ?3, ?4, ?5, ?6)"},
	{offsetof(struct index_db, held_bytes),
	 "SELECT (SELECT coalesce(sum(bytes), 0) FROM held)"
	 " + (SELECT coalesce(sum(bytes), 0) FROM leaf)"},
	{offsetof(struct index_db, held.load),
	 "SELECT chunk, bits FROM held WHERE torrent = ?1"},
	{offsetof(struct index_db, held.get),
	 "SELECT bytes, bits FROM held WHERE torrent = ?1 AND chunk = ?2"},
	{offsetof(struct index_db, held.put),
	 "INSERT OR REPLACE INTO held (torrent, chunk, bytes, bits)"
	 " VALUES (?1, ?2, ?3, ?4)"},
	{offsetof(struct index_db, held.del),
	 "DELETE FROM held WHERE torrent = ?1 AND chunk = ?2"},
	{offsetof(struct index_db, agreed.load),
	 "SELECT chunk, bits FROM agreed WHERE torrent = ?1"},
	{offsetof(struct index_db, agreed.get),
	 "SELECT bytes, bits FROM agreed WHERE torrent = ?1 AND chunk = ?2"},
	{offsetof(struct index_db, agreed.put),
	 "INSERT OR REPLACE INTO agreed (torrent, chunk, bytes, bits)"
	 " VALUES (?1, ?2, ?3, ?4)"},
	{offsetof(struct index_db, agreed.del),
	 "DELETE FROM agreed WHERE torrent = ?1 AND chunk = ?2"},
	{offsetof(struct index_db, leaf.load),
	 "SELECT chunk, bits FROM leaf WHERE file = ?1"},
	{offsetof(struct index_db, leaf.get),
	 "SELECT bytes, bits FROM leaf WHERE file = ?1 AND chunk = ?2"},
	{offsetof(struct index_db, leaf.put),
	 "INSERT OR REPLACE INTO leaf (file, chunk, bytes, bits)"
	 " VALUES (?1, ?2, ?3, ?4)"},
	{offsetof(struct index_db, leaf.del),
	 "DELETE FROM leaf WHERE file = ?1 AND chunk = ?2"},
	{offsetof(struct index_db, get_pins),
	 "SELECT files FROM pinned WHERE torrent = ?1"},
	{offsetof(struct index_db, put_pins),
	 "INSERT OR REPLACE INTO pinned (torrent, files) VALUES (?1, ?2)"},
	{offsetof(struct index_db, del_pins),
	 "DELETE FROM pinned WHERE torrent = ?1"},
	{offsetof(struct index_db, find_file),
	 "SELECT id, member.torrent FROM file LEFT JOIN member"
	 " ON member.file = file.id AND member.torrent = ?3"
	 " WHERE root = ?1 AND bytes = ?2"},
	{offsetof(struct index_db, add_file),
	 "INSERT INTO file (root, bytes) VALUES (?1, ?2)"},
	{offsetof(struct index_db, add_member),
	 "INSERT OR IGNORE INTO member (torrent, file) VALUES (?1, ?2)"},
	{offsetof(struct index_db, del_leaves),
	 "DELETE FROM leaf WHERE file = ?1"},
	{offsetof(struct index_db, file_bytes),
	 "SELECT coalesce(sum(bytes), 0) FROM leaf WHERE file = ?1"},
	{offsetof(struct index_db, only_here),
	 "SELECT id, root, bytes FROM file"
	 " JOIN member ON member.file = file.id WHERE torrent = ?1"
	 " AND NOT EXISTS (SELECT 1 FROM member AS other"
	 " WHERE other.file = file.id AND other.torrent <> ?1)"
	 " AND file.id > ?2 ORDER BY file.id LIMIT 1"},
	{offsetof(struct index_db, del_member),
	 "DELETE FROM member WHERE torrent = ?1 AND file = ?2"},
	{offsetof(struct index_db, del_file), "DELETE FROM file WHERE id = ?1"},
	{offsetof(struct index_db, torrent_bytes),
	 "SELECT coalesce(sum(bytes), 0) FROM held WHERE torrent = ?1"},
	{offsetof(struct index_db, del_torrent),
	 "DELETE FROM torrent WHERE id = ?1"},
	{offsetof(struct index_db, add_leaving),
	 "INSERT OR REPLACE INTO leaving (path, heir) VALUES (?1, ?2)"},
	{offsetof(struct index_db, del_leaving),
	 "DELETE FROM leaving WHERE path = ?1"},
	{offsetof(struct index_db, next_leaving),
	 "SELECT path, heir FROM leaving WHERE path > ?1 ORDER BY path LIMIT "
	 "1"},
};

enum { N_STATEMENTS = sizeof(statements) / sizeof(statements[0]) };

static sqlite3_stmt **statement(struct index_db *db, unsigned i)
{
	return (sqlite3_stmt **)(void *)((char *)db + statements[i].member);
}

/* ---- results ---- */

int index_fail(struct index_db *db, int rc, const char *what)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_FULL:
		return ENOSPC;
	case SQLITE_NOMEM:
		return ENOMEM;
	}
	log_err("index: %s: %s", what, sqlite3_errmsg(db->db));
	return EIO;
}

/* Run a statement that gives no row. */
int index_run(struct index_db *db, sqlite3_stmt *st, const char *what)
{
	int err = index_fail(db, sqlite3_step(st), what);

	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return err;
}

/* Step to the first row: 0, ENOENT, or an error. The caller resets. */
int index_first_row(struct index_db *db, sqlite3_stmt *st, const char *what)
{
	int rc = sqlite3_step(st);

	return rc == SQLITE_DONE ? ENOENT : index_fail(db, rc, what);
}

void index_finish(sqlite3_stmt *st)
{
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
}

/* ---- opening ---- */

static int get_int(sqlite3 *db, const char *sql, int *out)
{
	sqlite3_stmt *st;
	int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);

	if (rc != SQLITE_OK)
		return rc;
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		*out = sqlite3_column_int(st, 0);
		rc = SQLITE_OK;
	}
	sqlite3_finalize(st);
	return rc;
}

/* Does `sql`, a pragma, answer with `text`? */
static int expect_text(sqlite3 *db, const char *sql, const char *text)
{
	sqlite3_stmt *st;
	int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);

	if (rc != SQLITE_OK)
		return rc;
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		const unsigned char *got = sqlite3_column_text(st, 0);

		rc = got != NULL && strcmp((const char *)got, text) == 0
			     ? SQLITE_OK
			     : SQLITE_CORRUPT;
	}
	sqlite3_finalize(st);
	return rc;
}

static int configure(sqlite3 *db)
{
	int rc = sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db,
				  "PRAGMA trusted_schema = OFF;"
				  "PRAGMA cell_size_check = ON;"
				  "PRAGMA mmap_size = 0;"
				  "PRAGMA temp_store = MEMORY;"
				  "PRAGMA foreign_keys = ON;"
				  "PRAGMA locking_mode = EXCLUSIVE;",
				  NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = expect_text(db, "PRAGMA journal_mode = WAL", "wal");
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, "PRAGMA synchronous = FULL", NULL, NULL,
				  NULL);
	return rc;
}

/* Is the file ours, whole, and not newer than we are? */
static int admit(sqlite3 *db, char why[160])
{
	int id = 0, version = 0;
	int rc = get_int(db, "PRAGMA application_id", &id);

	if (rc == SQLITE_OK)
		rc = get_int(db, "PRAGMA user_version", &version);
	if (rc == SQLITE_OK)
		rc = expect_text(db, "PRAGMA quick_check(1)", "ok");
	if (rc != SQLITE_OK || version < 0 ||
	    (version > 0 && id != SCHEMA_APPLICATION_ID)) {
		snprintf(why, 160,
			 "the index is damaged: move index.db* away to start "
			 "a new one (%s)",
			 rc != SQLITE_OK ? sqlite3_errstr(rc) : "not ours");
		return rc == SQLITE_NOMEM ? ENOMEM : EIO;
	}
	if (version > schema_job_version()) {
		snprintf(why, 160,
			 "the store has format %d, this program knows %d: it "
			 "was made by a newer version",
			 version, schema_job_version());
		return EPROTO;
	}
	rc = schema_job_upgrade(db, version);
	if (rc != SQLITE_OK)
		snprintf(why, 160, "cannot make the index: %s",
			 sqlite3_errmsg(db));
	return (rc & 0xff) == SQLITE_FULL ? ENOSPC : rc != SQLITE_OK ? EIO : 0;
}

static int prepare_all(struct index_db *db)
{
	int rc = SQLITE_OK;

	for (unsigned i = 0; i < N_STATEMENTS && rc == SQLITE_OK; i++)
		rc = sqlite3_prepare_v3(db->db, statements[i].sql, -1,
					SQLITE_PREPARE_PERSISTENT,
					statement(db, i), NULL);
	return index_fail(db, rc, "prepare");
}

int index_job_open(const char *path, struct index_db **out, char why[160])
{
	struct index_db *db;
	int rc, err;

	ASSERT_WORKER();
	db = mem_new(struct index_db);
	if (db == NULL)
		return ENOMEM;
	rc = sqlite3_open_v2(path, &db->db,
			     SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
				     SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW,
			     NULL);
	if (rc == SQLITE_OK)
		rc = configure(db->db);
	if (rc != SQLITE_OK) {
		snprintf(why, 160, "the index cannot be opened: %s",
			 sqlite3_errstr(rc));
		err = rc == SQLITE_NOMEM ? ENOMEM : EIO;
		goto close_db;
	}
	err = admit(db->db, why);
	if (err == 0)
		err = prepare_all(db);
	if (err != 0)
		goto close_db;
	*out = db;
	return 0;
close_db:
	index_job_close(db);
	return err;
}

void index_job_close(struct index_db *db TAKES)
{
	if (db == NULL)
		return;
	ASSERT_WORKER();
	for (unsigned i = 0; i < N_STATEMENTS; i++)
		sqlite3_finalize(*statement(db, i));
	/* The last connection checkpoints and removes the WAL. */
	sqlite3_close(db->db);
	mem_free(db);
}

/* ---- torrents ---- */

static void bind_hash(sqlite3_stmt *st, int at, const struct info_hash *h)
{
	if (h->len > 0)
		sqlite3_bind_blob(st, at, h->bytes, h->len, SQLITE_STATIC);
	else
		sqlite3_bind_null(st, at);
}

static void column_hash(sqlite3_stmt *st, int at, struct info_hash *out)
{
	const void *bytes = sqlite3_column_blob(st, at);
	int len = sqlite3_column_bytes(st, at);

	*out = (struct info_hash){0};
	if (bytes == NULL || len > (int)sizeof(out->bytes))
		return;
	memcpy(out->bytes, bytes, (size_t)len);
	out->len = (uint8_t)len;
}

int index_job_find(struct index_db *db, const struct torrent_id *id,
		   struct index_torrent *out)
{
	enum { COL_ID, COL_V1, COL_V2, COL_ADDED };
	int err;

	ASSERT_WORKER();
	bind_hash(db->find, 1, &id->v1);
	bind_hash(db->find, 2, &id->v2);
	err = index_first_row(db, db->find, "find");
	if (err == 0) {
		out->row = sqlite3_column_int64(db->find, COL_ID);
		out->added_s = sqlite3_column_int64(db->find, COL_ADDED);
		column_hash(db->find, COL_V1, &out->id.v1);
		column_hash(db->find, COL_V2, &out->id.v2);
	}
	index_finish(db->find);
	return err;
}

int index_job_add(struct index_db *db, const struct metainfo *mi,
		  int64_t added_s, int64_t *row)
{
	int err;

	ASSERT_WORKER();
	bind_hash(db->add, 1, &mi->id.v1);
	bind_hash(db->add, 2, &mi->id.v2);
	sqlite3_bind_int64(db->add, 3, mi->piece_bytes);
	sqlite3_bind_int64(db->add, 4, mi->n_pieces);
	sqlite3_bind_int64(db->add, 5, (sqlite3_int64)mi->total_bytes);
	sqlite3_bind_int64(db->add, 6, added_s);
	err = index_run(db, db->add, "add");
	if (err == 0)
		*row = sqlite3_last_insert_rowid(db->db);
	return err;
}

/* ---- transactions ---- */

int index_job_begin(struct index_db *db)
{
	ASSERT_WORKER();
	return index_run(db, db->begin, "begin");
}

int index_job_commit(struct index_db *db)
{
	ASSERT_WORKER();
	return index_run(db, db->commit, "commit");
}

void index_job_rollback(struct index_db *db)
{
	ASSERT_WORKER();
	/* Some errors have rolled back already. */
	if (!sqlite3_get_autocommit(db->db))
		index_run(db, db->rollback, "rollback");
}

/* ---- pins ---- */

int index_job_load_pins(struct index_db *db, int64_t row, uint32_t n_files,
			uint8_t *bits)
{
	sqlite3_stmt *st = db->get_pins;
	size_t len = bits_bytes(n_files);
	int err;

	ASSERT_WORKER();
	sqlite3_bind_int64(st, 1, row);
	err = index_first_row(db, st, "load pins");
	if (err == 0 && (size_t)sqlite3_column_bytes(st, 0) != len) {
		log_warn("index: torrent %lld: its pins make no sense, skipped",
			 (long long)row);
		err = ENOENT;
	}
	if (err == 0 && len > 0)
		memcpy(bits, sqlite3_column_blob(st, 0), len);
	index_finish(st);
	return err;
}

int index_job_keep_pins(struct index_db *db, int64_t row, uint32_t n_files,
			const uint8_t *bits)
{
	sqlite3_stmt *st = bits != NULL ? db->put_pins : db->del_pins;

	ASSERT_WORKER();
	sqlite3_bind_int64(st, 1, row);
	if (bits != NULL)
		sqlite3_bind_blob(st, 2, bits, (int)bits_bytes(n_files),
				  SQLITE_STATIC);
	return index_run(db, st, "write pins");
}

int index_job_held_bytes(struct index_db *db, uint64_t *out)
{
	int err;

	ASSERT_WORKER();
	err = index_first_row(db, db->held_bytes, "held bytes");
	if (err == 0)
		*out = (uint64_t)sqlite3_column_int64(db->held_bytes, 0);
	index_finish(db->held_bytes);
	return err;
}
