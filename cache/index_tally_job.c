/* index_tally_job — how much was sent and received of each torrent.
 *
 * Purpose: rows of sums that only grow. What torrents had that were removed is
 * in `departed`, one row for all of them.
 *
 * Threads: store. */
#include "cache/index_internal.h"

#include <errno.h>

#include "cache/tally.h"
#include "core/worker.h"

enum { COL_V1, COL_V2, COL_DOWN, COL_UP, COL_WASTE };

static void column_traffic(sqlite3_stmt *st, int at, struct traffic *out)
{
	out->down_bytes = (uint64_t)sqlite3_column_int64(st, at);
	out->up_bytes = (uint64_t)sqlite3_column_int64(st, at + 1);
	out->waste_bytes = (uint64_t)sqlite3_column_int64(st, at + 2);
}

int index_job_each_tally(struct index_db *db, index_tally_fn *fn, void *arg)
{
	sqlite3_stmt *st = db->each_tally;
	int err = 0, rc = SQLITE_ROW;

	ASSERT_WORKER();
	while (err == 0 && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct tally_row row = {0};

		index_column_hash(st, COL_V1, &row.id.v1);
		index_column_hash(st, COL_V2, &row.id.v2);
		column_traffic(st, COL_DOWN, &row.counted);
		err = fn(arg, &row);
	}
	if (err == 0)
		err = index_fail(db, rc, "tallies");
	index_finish(st);
	return err;
}

int index_job_departed(struct index_db *db, struct traffic *out)
{
	int err = index_first_row(db, db->get_departed, "traffic");

	if (err == 0)
		column_traffic(db->get_departed, 0, out);
	index_finish(db->get_departed);
	return err == ENOENT ? 0 : err;
}

static void bind_traffic(sqlite3_stmt *st, int at, const struct traffic *t)
{
	sqlite3_bind_int64(st, at, (sqlite3_int64)t->down_bytes);
	sqlite3_bind_int64(st, at + 1, (sqlite3_int64)t->up_bytes);
	sqlite3_bind_int64(st, at + 2, (sqlite3_int64)t->waste_bytes);
}

int index_job_set_departed(struct index_db *db, const struct traffic *sums)
{
	ASSERT_WORKER();
	bind_traffic(db->set_departed, 1, sums);
	return index_run(db, db->set_departed, "keep a tally");
}

static int keep(struct index_db *db, const struct tally_row *row)
{
	sqlite3_stmt *st = db->put_tally;

	index_bind_hash(st, 1, &row->id.v1);
	index_bind_hash(st, 2, &row->id.v2);
	bind_traffic(st, 3, &row->counted);
	return index_run(db, st, "keep a tally");
}

int index_job_keep_tallies(struct index_db *db, const struct tally_rows *rows)
{
	int err = 0;

	ASSERT_WORKER();
	for (uint32_t i = 0; i < rows->n && err == 0; i++)
		err = keep(db, &rows->v[i]);
	return err;
}

int index_job_depart(struct index_db *db, int64_t torrent)
{
	ASSERT_WORKER();
	sqlite3_bind_int64(db->depart, 1, torrent);
	return index_run(db, db->depart, "keep a tally");
}
