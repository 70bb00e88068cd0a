/* index_internal — what the files of the index (index_….c) share: the
 * connection, its statements, and how one is run. Thread: store. */
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
	bool is_damaged; /* it was said; nothing more is written */
	sqlite3_stmt *begin;
	sqlite3_stmt *commit;
	sqlite3_stmt *rollback;
	sqlite3_stmt *find;
	sqlite3_stmt *add;
	sqlite3_stmt *held_bytes;
	sqlite3_stmt *each_held;
	struct index_table held;
	struct index_table agreed;
	struct index_table leaf;
	sqlite3_stmt *get_pins;
	sqlite3_stmt *put_pins;
	sqlite3_stmt *del_pins;
	sqlite3_stmt *find_file;
	sqlite3_stmt *file_from;
	sqlite3_stmt *add_file;
	sqlite3_stmt *add_member;
	sqlite3_stmt *del_leaves;
	sqlite3_stmt *file_bytes;
	sqlite3_stmt *only_here;
	sqlite3_stmt *del_member;
	sqlite3_stmt *del_file;
	sqlite3_stmt *torrent_bytes;
	sqlite3_stmt *del_torrent;
	sqlite3_stmt *next_holder;
	sqlite3_stmt *del_held;
	sqlite3_stmt *next_kept_file;
	sqlite3_stmt *add_leaving;
	sqlite3_stmt *del_leaving;
	sqlite3_stmt *next_leaving;
	sqlite3_stmt *get_own_stamp;
	sqlite3_stmt *get_file_stamp;
	sqlite3_stmt *put_own_stamp;
	sqlite3_stmt *put_file_stamp;
	sqlite3_stmt *each_tally;
	sqlite3_stmt *put_tally;
	sqlite3_stmt *get_departed;
	sqlite3_stmt *set_departed;
	sqlite3_stmt *depart;
};

/* index_fail — an errno for a result code; EIO is logged. */
int index_fail(struct index_db *db, int rc, const char *what);

/* index_err_of — the same of a code that nobody says anything about; EBADMSG:
 * what is in the file is damaged. */
int index_err_of(int rc);

/* index_prepare — all statements; SQLite's code. */
int index_prepare(struct index_db *db);

/* index_run — run a statement that gives no row. */
int index_run(struct index_db *db, sqlite3_stmt *st, const char *what);

/* index_bind_hash, index_column_hash — a hash, or (NULL) none. */
void index_bind_hash(sqlite3_stmt *st, int at, const struct info_hash *h);
void index_column_hash(sqlite3_stmt *st, int at, struct info_hash *out);

/* index_first_row — step to the first row: 0, ENOENT, or an error. The caller
 * ends it with index_finish. */
int index_first_row(struct index_db *db, sqlite3_stmt *st, const char *what);
void index_finish(sqlite3_stmt *st);

#endif
