/* index_stamp_job — how blobs were when we last wrote to them.
 *
 * Failure modes: a row that makes no sense is as good as none: the blob is
 * doubtful.
 *
 * Threads: store. */
#include "cache/index_internal.h"

#include <errno.h>

#include "core/worker.h"

int index_job_load_stamp(struct index_db *db, struct stamp_row *r)
{
	sqlite3_stmt *st =
		r->is_shared ? db->get_file_stamp : db->get_own_stamp;
	int err;

	ASSERT_WORKER();
	sqlite3_bind_int64(st, 1, r->row);
	if (!r->is_shared)
		sqlite3_bind_int64(st, 2, r->file_ix);
	err = index_first_row(db, st, "load a stamp");
	if (err == 0 && sqlite3_column_bytes(st, 0) != STAMP_BYTES)
		err = ENOENT;
	if (err == 0)
		stamp_decode(sqlite3_column_blob(st, 0), &r->stamp);
	index_finish(st);
	return err;
}

static int keep(struct index_db *db, const struct stamp_row *r, int64_t row)
{
	sqlite3_stmt *st =
		r->is_shared ? db->put_file_stamp : db->put_own_stamp;
	uint8_t stamp[STAMP_BYTES];

	stamp_encode(&r->stamp, stamp);
	sqlite3_bind_int64(st, 1, row);
	if (!r->is_shared)
		sqlite3_bind_int64(st, 2, r->file_ix);
	sqlite3_bind_blob(st, 3, stamp, sizeof(stamp), SQLITE_STATIC);
	return index_run(db, st, "keep a stamp");
}

static int find_and_keep(struct index_db *db, const struct stamp_row *r)
{
	int64_t row = r->row;
	bool ignored;
	int err = 0;

	if (row == 0)
		err = index_job_find_file(db, r->root, r->file_bytes, 0, &row,
					  &ignored);
	if (err == ENOENT)
		return 0;
	return err != 0 ? err : keep(db, r, row);
}

int index_job_keep_stamps(struct index_db *db, const struct stamp_rows *rows)
{
	int err = 0;

	ASSERT_WORKER();
	for (uint32_t i = 0; i < rows->n && err == 0; i++)
		err = find_and_keep(db, &rows->v[i]);
	return err;
}
