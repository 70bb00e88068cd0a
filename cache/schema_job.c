/* schema_job — append-only migrations.
 *
 * Purpose: `steps[v]` leads from version v to v + 1. A step that was ever
 * released is not changed: a new one is put behind it. Version 0 is an empty
 * file. What the tables mean is said in FORMAT.md.
 *
 * Failure modes: each step and its new version number are one transaction, so
 * an upgrade that is interrupted goes on where it was. */
#include "cache/schema_job.h"

#include <sqlite3.h>
#include <stdio.h>

#include "core/worker.h"

static const char *const steps[] = {
	/* 0 -> 1 */
	"PRAGMA application_id = 0x53686f61;"
	"CREATE TABLE torrent ("
	"	id INTEGER PRIMARY KEY,"
	"	v1 BLOB UNIQUE CHECK (length(v1) = 20),"
	"	v2 BLOB UNIQUE CHECK (length(v2) = 32),"
	"	piece_bytes INTEGER NOT NULL,"
	"	n_pieces INTEGER NOT NULL,"
	"	total_bytes INTEGER NOT NULL,"
	"	added_s INTEGER NOT NULL,"
	"	CHECK (v1 IS NOT NULL OR v2 IS NOT NULL)"
	") STRICT;"
	"CREATE TABLE held ("
	"	torrent INTEGER NOT NULL"
	"		REFERENCES torrent (id) ON DELETE CASCADE,"
	"	chunk INTEGER NOT NULL,"
	"	bytes INTEGER NOT NULL,"
	"	bits BLOB NOT NULL CHECK (length(bits) = 512),"
	"	PRIMARY KEY (torrent, chunk)"
	") STRICT, WITHOUT ROWID;",
	/* 1 -> 2 */
	"CREATE TABLE pinned ("
	"	torrent INTEGER PRIMARY KEY"
	"		REFERENCES torrent (id) ON DELETE CASCADE,"
	"	files BLOB NOT NULL"
	") STRICT;",
	/* 2 -> 3 */
	"CREATE TABLE file ("
	"	id INTEGER PRIMARY KEY,"
	"	root BLOB NOT NULL CHECK (length(root) = 32),"
	"	bytes INTEGER NOT NULL,"
	"	UNIQUE (root, bytes)"
	") STRICT;"
	"CREATE TABLE member ("
	"	torrent INTEGER NOT NULL"
	"		REFERENCES torrent (id) ON DELETE CASCADE,"
	"	file INTEGER NOT NULL REFERENCES file (id),"
	"	PRIMARY KEY (torrent, file)"
	") STRICT, WITHOUT ROWID;"
	"CREATE INDEX member_file ON member (file);"
	"CREATE TABLE leaf ("
	"	file INTEGER NOT NULL"
	"		REFERENCES file (id) ON DELETE CASCADE,"
	"	chunk INTEGER NOT NULL,"
	"	bytes INTEGER NOT NULL,"
	"	bits BLOB NOT NULL CHECK (length(bits) BETWEEN 1 AND 512),"
	"	PRIMARY KEY (file, chunk)"
	") STRICT, WITHOUT ROWID;"
	"CREATE TABLE agreed ("
	"	torrent INTEGER NOT NULL"
	"		REFERENCES torrent (id) ON DELETE CASCADE,"
	"	chunk INTEGER NOT NULL,"
	"	bytes INTEGER NOT NULL,"
	"	bits BLOB NOT NULL CHECK (length(bits) = 512),"
	"	PRIMARY KEY (torrent, chunk)"
	") STRICT, WITHOUT ROWID;"
	"CREATE TABLE leaving ("
	"	path TEXT PRIMARY KEY,"
	"	heir TEXT"
	") STRICT, WITHOUT ROWID;",
	/* 3 -> 4 */
	"CREATE TABLE own_stamp ("
	"	torrent INTEGER NOT NULL"
	"		REFERENCES torrent (id) ON DELETE CASCADE,"
	"	n INTEGER NOT NULL,"
	"	stamp BLOB NOT NULL CHECK (length(stamp) = 32),"
	"	PRIMARY KEY (torrent, n)"
	") STRICT, WITHOUT ROWID;"
	"CREATE TABLE file_stamp ("
	"	file INTEGER PRIMARY KEY"
	"		REFERENCES file (id) ON DELETE CASCADE,"
	"	stamp BLOB NOT NULL CHECK (length(stamp) = 32)"
	") STRICT;",
	/* 4 -> 5 */
	"CREATE TABLE tally ("
	"	torrent INTEGER PRIMARY KEY"
	"		REFERENCES torrent (id) ON DELETE CASCADE,"
	"	down INTEGER NOT NULL,"
	"	up INTEGER NOT NULL,"
	"	waste INTEGER NOT NULL"
	") STRICT;"
	"CREATE TABLE departed ("
	"	id INTEGER PRIMARY KEY CHECK (id = 0),"
	"	down INTEGER NOT NULL,"
	"	up INTEGER NOT NULL,"
	"	waste INTEGER NOT NULL"
	") STRICT;"
	"INSERT INTO departed (id, down, up, waste) VALUES (0, 0, 0, 0);",
	/* 5 -> 6: SCHEMA_SUMMED */
	"",
};

int schema_job_version(void)
{
	return (int)(sizeof(steps) / sizeof(steps[0]));
}

static int upgrade_step(struct sqlite3 *db, int v)
{
	char set_version[48];
	int rc;

	snprintf(set_version, sizeof(set_version),
		 "PRAGMA user_version = %d; COMMIT;", v + 1);
	rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return rc;
	rc = sqlite3_exec(db, steps[v], NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, set_version, NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

int schema_job_upgrade(struct sqlite3 *db, int from)
{
	int rc = SQLITE_OK;

	ASSERT_WORKER();
	for (int v = from; rc == SQLITE_OK && v < schema_job_version(); v++)
		rc = upgrade_step(db, v);
	return rc;
}
