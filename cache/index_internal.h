/* index_internal — what index_job.c, index_chunk_job.c and index_file_job.c
 * share: the connection, its statements, and how one is run. Thread: store. */
#ifndef SHOAL_CACHE_INDEX_INTERNAL_H
#define SHOAL_CACHE_INDEX_INTERNAL_H

#include <sqlite3.h>

#include "cache/index_job.h"

/* A table of bitmaps, a chunk a row: (owner, chunk, bytes, bits). */
struct index_table {
	sqlite3_stmt *load;
	sqlite3_stmt *get;
	sqlite3_stmt *put;
	sqlite3_stmt *del;
};

struct index_db {
	sqlite3 *db;
	sqlite3_stmt *begin;
	sqlite3_stmt *commit;
	sqlite3_stmt *rollback;
	sqlite3_stmt *find;
	sqlite3_stmt *add;
	sqlite3_stmt *held_bytes;
	struct index_table held;
	struct index_table agreed;
	struct index_table leaf;
	sqlite3_stmt *get_pins;
	sqlite3_stmt *put_pins;
	sqlite3_stmt *del_pins;
	sqlite3_stmt *find_file;
	sqlite3_stmt *add_file;
	sqlite3_stmt *add_member;
	sqlite3_stmt *del_leaves;
	sqlite3_stmt *file_bytes;
	sqlite3_stmt *only_here;
	sqlite3_stmt *del_member;
	sqlite3_stmt *del_file;
	sqlite3_stmt *torrent_bytes;
	sqlite3_stmt *del_torrent;
	sqlite3_stmt *add_leaving;
	sqlite3_stmt *del_leaving;
	sqlite3_stmt *next_leaving;
};

/* index_fail — an errno for a result code; EIO is logged. */
int index_fail(struct index_db *db, int rc, const char *what);

/* index_run — run a statement that gives no row. */
int index_run(struct index_db *db, sqlite3_stmt *st, const char *what);

/* index_first_row — step to the first row: 0, ENOENT, or an error. The caller
 * ends it with index_finish. */
int index_first_row(struct index_db *db, sqlite3_stmt *st, const char *what);
void index_finish(sqlite3_stmt *st);

#endif
