/* index_open_job — the index's file: is it ours, whole, of a format we know?
 *
 * Settings: the lock is exclusive and kept, so there is no shared memory file
 * and no second connection; WAL; every commit is synced (synchronous=FULL),
 * since batches make commits rare and DURABLE means what it says; a log of a
 * mebibyte, for it counts in the quota; no mmap (an I/O error is then a result
 * and not a signal); the file is not trusted (trusted_schema, DEFENSIVE,
 * cell_size_check, a checksum in each page, quick_check at start).
 *
 * What may be wrong, and what is said
 *   damaged   EBADMSG: SQLite finds its structure broken, a page has another
 *             checksum, or the tables are not ours. Whoever asked puts it aside
 *             and makes another (rebuild_job.h)
 *   newer     EPROTO, before anything else of it is looked at
 *   taken     EBUSY: another program has its lock
 *   cannot be written  EROFS, EACCES
 *   cannot be read     EIO: the disk said so. That is no damage that another
 *             index would mend, nor is a lack of memory
 *
 * Threads: store. */
#include "cache/index_internal.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/index_vfs_job.h"
#include "cache/schema_job.h"
#include "core/mem.h"
#include "core/worker.h"

enum { WHY_BYTES = 160 };

/* ---- what a result code means here ---- */

int index_err_of(int rc)
{
	if (rc == SQLITE_IOERR_NOMEM)
		return ENOMEM;
	if (rc == SQLITE_IOERR_DATA || rc == SQLITE_IOERR_SHORT_READ)
		return EBADMSG;
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_FULL:
		return ENOSPC;
	case SQLITE_NOMEM:
		return ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return EBUSY;
	case SQLITE_READONLY:
		return EROFS;
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return EACCES;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return EBADMSG;
	}
	return EIO;
}

static const char *words_of(int rc)
{
	return rc == SQLITE_IOERR_DATA ? "the checksum of a page is wrong"
				       : sqlite3_errstr(rc);
}

/* `what` was being done. */
static int say(char why[WHY_BYTES], int rc, const char *what)
{
	int err = index_err_of(rc);

	switch (err) {
	case 0:
		break;
	case EBUSY:
		snprintf(why, WHY_BYTES,
			 "the index is locked by another program: index.db is "
			 "nobody's to open while the store is used");
		break;
	case EROFS:
	case EACCES:
		snprintf(why, WHY_BYTES, "the index cannot be written: %s",
			 sqlite3_errstr(rc));
		break;
	case EBADMSG:
		snprintf(why, WHY_BYTES, "the index is damaged: %s",
			 words_of(rc));
		break;
	default:
		snprintf(why, WHY_BYTES, "cannot %s the index: %s", what,
			 sqlite3_errstr(rc));
	}
	return err;
}

/* ---- small queries ---- */

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

/* A page that could not be read at all is told as text, too. */
static int rc_in(const char *text)
{
	static const char code[] = "error code=";
	const char *at = strstr(text, code);
	int rc = at != NULL ? (int)strtol(at + sizeof(code) - 1, NULL, 10)
			    : SQLITE_CORRUPT;

	return (rc & 0xff) == SQLITE_IOERR ? rc : SQLITE_CORRUPT;
}

/* Does `sql`, a pragma, answer with `text` alone? */
static int expect_text(sqlite3 *db, const char *sql, const char *text)
{
	sqlite3_stmt *st;
	int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
	int other = SQLITE_CORRUPT;

	if (rc != SQLITE_OK)
		return rc;
	if (sqlite3_step(st) == SQLITE_ROW) {
		const char *got = (const char *)sqlite3_column_text(st, 0);

		if (got == NULL)
			other = SQLITE_NOMEM;
		else
			other = strcmp(got, text) == 0 ? SQLITE_OK : rc_in(got);
		(void)sqlite3_step(st);
	}
	/* What a pragma changes is committed at its end. */
	rc = sqlite3_finalize(st);
	return rc == SQLITE_OK ? other : rc;
}

/* ---- opening ---- */

static int configure(sqlite3 *db)
{
	int rc = sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);

	if (rc == SQLITE_OK)
		rc = index_vfs_make_room(db);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db,
				  "PRAGMA locking_mode = EXCLUSIVE;"
				  "PRAGMA trusted_schema = OFF;"
				  "PRAGMA cell_size_check = ON;"
				  "PRAGMA mmap_size = 0;"
				  "PRAGMA temp_store = MEMORY;"
				  "PRAGMA foreign_keys = ON;"
				  "PRAGMA wal_autocheckpoint = 256;"
				  "PRAGMA journal_size_limit = 1048576;",
				  NULL, NULL, NULL);
	return rc;
}

static int begin_log(sqlite3 *db)
{
	int rc = expect_text(db, "PRAGMA journal_mode = WAL", "wal");

	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, "PRAGMA synchronous = FULL", NULL, NULL,
				  NULL);
	return rc;
}

/* A newer program's is not ours to judge, let alone to change. */
static int look_at_version(sqlite3 *db, int *version, char why[WHY_BYTES])
{
	int id = 0;
	int rc = get_int(db, "PRAGMA application_id", &id);

	if (rc == SQLITE_OK)
		rc = get_int(db, "PRAGMA user_version", version);
	if (rc != SQLITE_OK)
		return say(why, rc, "read");
	if (*version < 0 || (*version > 0 && id != SCHEMA_APPLICATION_ID)) {
		snprintf(why, WHY_BYTES,
			 "the index is damaged: it is another program's");
		return EBADMSG;
	}
	if (*version <= schema_job_version())
		return 0;
	snprintf(why, WHY_BYTES,
		 "the store has format %d, this program knows %d: it was made "
		 "by a newer version",
		 *version, schema_job_version());
	return EPROTO;
}

/* Older formats had no checksums. */
static int add_sums(sqlite3 *db, int version)
{
	if (version == 0 || index_vfs_is_summed(db))
		return SQLITE_OK;
	if (version >= SCHEMA_SUMMED)
		return SQLITE_CORRUPT;
	return sqlite3_exec(db, "VACUUM", NULL, NULL, NULL);
}

static int admit(struct index_db *db, bool is_new, char why[WHY_BYTES])
{
	int version = 0;
	int err = look_at_version(db->db, &version, why);
	int rc;

	if (err != 0)
		return err;
	if (version == 0 && !is_new) {
		snprintf(why, WHY_BYTES, "the index is damaged: it is empty");
		return EBADMSG;
	}
	rc = begin_log(db->db);
	if (rc == SQLITE_OK)
		rc = expect_text(db->db, "PRAGMA quick_check(1)", "ok");
	if (rc == SQLITE_OK)
		rc = add_sums(db->db, version);
	if (rc == SQLITE_OK)
		rc = schema_job_upgrade(db->db, version);
	if (rc == SQLITE_OK)
		rc = index_prepare(db);
	if ((rc & 0xff) == SQLITE_ERROR)
		rc = SQLITE_CORRUPT; /* a table is missing, or too many */
	return say(why, rc, "open");
}

int index_job_open(const char *path, bool is_new, struct index_db **out,
		   char why[160])
{
	struct index_db *db;
	int rc, err;

	ASSERT_WORKER();
	db = mem_new(struct index_db);
	if (db == NULL)
		return ENOMEM;
	rc = index_vfs_init();
	if (rc == SQLITE_OK)
		rc = sqlite3_open_v2(
			path, &db->db,
			SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
				SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE,
			INDEX_VFS);
	if (rc == SQLITE_OK)
		rc = configure(db->db);
	err = rc != SQLITE_OK ? say(why, rc, "open") : admit(db, is_new, why);
	if (err == 0) {
		*out = db;
		return 0;
	}
	/* Whoever had it last may have been killed (aside_job.c). */
	if (db->db != NULL)
		index_job_keep_log(db);
	index_job_close(db);
	return err;
}
