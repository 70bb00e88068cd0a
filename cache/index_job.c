/* index_job — the index's rows; SQLite, kept on a short lead.
 *
 * Purpose: the one file with SQL, run by the one thread with the connection.
 * What the statements for pieces, leaves and files are run for is in
 * index_chunk_job.c and index_file_job.c; how the file is opened, and what is
 * wrong with one that is not, in index_open_job.c.
 *
 * Failure modes: ENOSPC and ENOMEM leave the state as it was before the
 * transaction; anything else is EIO, and the store is FAILED until the disk
 * works. A file that is found to be damaged while it is used is said to be so
 * once, and nothing is written to it any more: the next start makes another.
 *
 * Invariant: a statement is reset before the function that stepped it
 * returns, so nothing keeps a read transaction open. */
#include "cache/index_internal.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "cache/cache_limits.h"
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
	{offsetof(struct index_db, each_held),
	 "SELECT v1, v2, sum(bytes) FROM"
	 " (SELECT torrent AS whose, bytes FROM held UNION ALL"
	 " SELECT member.torrent, leaf.bytes FROM leaf"
	 " JOIN member ON member.file = leaf.file)"
	 " JOIN torrent ON torrent.id = whose GROUP BY whose"},
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
	{offsetof(struct index_db, file_from),
	 "SELECT id, root, bytes FROM file WHERE (root, bytes) >= (?1, ?2)"
	 " ORDER BY root, bytes LIMIT 1"},
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
	{offsetof(struct index_db, next_holder),
	 "SELECT id, v1, v2 FROM torrent WHERE id > ?1"
	 " AND EXISTS (SELECT 1 FROM held WHERE torrent = id)"
	 " AND NOT EXISTS (SELECT 1 FROM pinned WHERE torrent = id)"
	 " ORDER BY id LIMIT 1"},
	{offsetof(struct index_db, del_held),
	 "DELETE FROM held WHERE torrent = ?1"},
	{offsetof(struct index_db, next_kept_file),
	 "SELECT id, root, bytes FROM file WHERE id > ?1"
	 " AND EXISTS (SELECT 1 FROM leaf WHERE file = id)"
	 " AND NOT EXISTS (SELECT 1 FROM member"
	 " JOIN pinned ON pinned.torrent = member.torrent"
	 " WHERE member.file = id) ORDER BY id LIMIT 1"},
	{offsetof(struct index_db, add_leaving),
	 "INSERT OR REPLACE INTO leaving (path, heir) VALUES (?1, ?2)"},
	{offsetof(struct index_db, del_leaving),
	 "DELETE FROM leaving WHERE path = ?1"},
	{offsetof(struct index_db, next_leaving),
	 "SELECT path, heir FROM leaving WHERE path > ?1 ORDER BY path LIMIT "
	 "1"},
	{offsetof(struct index_db, get_own_stamp),
	 "SELECT stamp FROM own_stamp WHERE torrent = ?1 AND n = ?2"},
	{offsetof(struct index_db, get_file_stamp),
	 "SELECT stamp FROM file_stamp WHERE file = ?1"},
	{offsetof(struct index_db, put_own_stamp),
	 "INSERT OR REPLACE INTO own_stamp (torrent, n, stamp)"
	 " SELECT ?1, ?2, ?3 WHERE EXISTS"
	 " (SELECT 1 FROM torrent WHERE id = ?1)"},
	{offsetof(struct index_db, put_file_stamp),
	 "INSERT OR REPLACE INTO file_stamp (file, stamp)"
	 " SELECT ?1, ?3 WHERE EXISTS (SELECT 1 FROM file WHERE id = ?1)"},
	{offsetof(struct index_db, each_tally),
	 "SELECT v1, v2, down, up, waste FROM tally"
	 " JOIN torrent ON torrent.id = tally.torrent"},
	{offsetof(struct index_db, put_tally),
	 "INSERT INTO tally (torrent, down, up, waste)"
	 " SELECT id, ?3, ?4, ?5 FROM torrent WHERE v1 = ?1 OR v2 = ?2"
	 " ON CONFLICT (torrent) DO UPDATE SET"
	 " down = max(down, excluded.down), up = max(up, excluded.up),"
	 " waste = max(waste, excluded.waste)"},
	{offsetof(struct index_db, get_departed),
	 "SELECT down, up, waste FROM departed WHERE id = 0"},
	{offsetof(struct index_db, set_departed),
	 "UPDATE departed SET down = ?1, up = ?2, waste = ?3 WHERE id = 0"},
	{offsetof(struct index_db, depart),
	 "UPDATE departed SET down = departed.down + tally.down,"
	 " up = departed.up + tally.up, waste = departed.waste + tally.waste"
	 " FROM tally WHERE tally.torrent = ?1"},
};

enum { N_STATEMENTS = sizeof(statements) / sizeof(statements[0]) };

static sqlite3_stmt **statement(struct index_db *db, unsigned i)
{
	return (sqlite3_stmt **)(void *)((char *)db + statements[i].member);
}

/* ---- results ---- */

int index_fail(struct index_db *db, int rc, const char *what)
{
	int err = index_err_of(rc);

	if (err == 0 || err == ENOSPC || err == ENOMEM)
		return err;
	if (db->is_damaged)
		return EIO;
	db->is_damaged = err == EBADMSG;
	if (db->is_damaged)
		log_err("index: %s: it is damaged (%s): nothing more is kept; "
			"the next start makes another, from what lies beside "
			"it",
			what, sqlite3_errmsg(db->db));
	else
		log_err("index: %s: %s", what, sqlite3_errmsg(db->db));
	return EIO;
}

/* Run a statement that gives no row. */
int index_run(struct index_db *db, sqlite3_stmt *st, const char *what)
{
	int err = EIO;

	if (!db->is_damaged || st == db->rollback)
		err = index_fail(db, sqlite3_step(st), what);
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

int index_prepare(struct index_db *db)
{
	int rc = SQLITE_OK;

	for (unsigned i = 0; i < N_STATEMENTS && rc == SQLITE_OK; i++)
		rc = sqlite3_prepare_v3(db->db, statements[i].sql, -1,
					SQLITE_PREPARE_PERSISTENT,
					statement(db, i), NULL);
	return rc;
}

void index_job_keep_log(struct index_db *db)
{
	int is_kept = 1;

	ASSERT_WORKER();
	(void)sqlite3_file_control(db->db, "main", SQLITE_FCNTL_PERSIST_WAL,
				   &is_kept);
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

void index_bind_hash(sqlite3_stmt *st, int at, const struct info_hash *h)
{
	if (h->len > 0)
		sqlite3_bind_blob(st, at, h->bytes, h->len, SQLITE_STATIC);
	else
		sqlite3_bind_null(st, at);
}

void index_column_hash(sqlite3_stmt *st, int at, struct info_hash *out)
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
	index_bind_hash(db->find, 1, &id->v1);
	index_bind_hash(db->find, 2, &id->v2);
	err = index_first_row(db, db->find, "find");
	if (err == 0) {
		out->row = sqlite3_column_int64(db->find, COL_ID);
		out->added_s = sqlite3_column_int64(db->find, COL_ADDED);
		index_column_hash(db->find, COL_V1, &out->id.v1);
		index_column_hash(db->find, COL_V2, &out->id.v2);
	}
	index_finish(db->find);
	return err;
}

int index_job_add(struct index_db *db, const struct metainfo *mi,
		  int64_t added_s, int64_t *row)
{
	int err;

	ASSERT_WORKER();
	index_bind_hash(db->add, 1, &mi->id.v1);
	index_bind_hash(db->add, 2, &mi->id.v2);
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

int index_job_settle(struct index_db *db)
{
	int n_log = 0, n_done = 0;
	int rc;

	ASSERT_WORKER();
	index_job_rollback(db);
	if (db->is_damaged)
		return EIO;
	rc = sqlite3_wal_checkpoint_v2(db->db, NULL, SQLITE_CHECKPOINT_TRUNCATE,
				       &n_log, &n_done);
	if (rc == SQLITE_OK)
		return 0;
	log_debug("index: checkpoint: %s", sqlite3_errmsg(db->db));
	return rc == SQLITE_NOMEM ? ENOMEM : EIO;
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

int index_job_each_held(struct index_db *db, index_held_fn *fn, void *arg)
{
	enum { COL_V1, COL_V2, COL_BYTES };
	sqlite3_stmt *st = db->each_held;
	int err = 0, rc = SQLITE_ROW;

	ASSERT_WORKER();
	while (err == 0 && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct torrent_id id = {0};

		index_column_hash(st, COL_V1, &id.v1);
		index_column_hash(st, COL_V2, &id.v2);
		err = fn(arg, &id,
			 (uint64_t)sqlite3_column_int64(st, COL_BYTES));
	}
	if (err == 0)
		err = index_fail(db, rc, "held of torrents");
	index_finish(st);
	return err;
}
