/* schema_job — the tables of the index, and how older ones become today's.
 *
 * Thread: store. */
#ifndef SHOAL_CACHE_SCHEMA_JOB_H
#define SHOAL_CACHE_SCHEMA_JOB_H

struct sqlite3;

/* "Shoa": whose file this is (PRAGMA application_id). */
enum { SCHEMA_APPLICATION_ID = 0x53686f61 };

/* From this version on each page has a checksum (index_vfs_job.h). */
enum { SCHEMA_SUMMED = 6 };

/* schema_job_version — what this program writes. */
int schema_job_version(void);

/* schema_job_upgrade — from version `from` (0: an empty file) to today's, each
 * step a transaction. Gives an SQLite result code. */
int schema_job_upgrade(struct sqlite3 *db, int from);

#endif
