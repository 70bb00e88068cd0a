/* member_job — rows of files that something is kept of, and of the torrents
 * that have them.
 *
 * Threads: store. */
#include "cache/store_disk_member.h"

#include "cache/index_job.h"
#include "core/be.h"
#include "core/hash.h"
#include "core/worker.h"

int disk_member_job(struct index_db *db, struct member_rows *rows)
{
	int err = 0;

	ASSERT_WORKER();
	for (uint32_t i = 0; i < rows->n && err == 0; i++) {
		struct member_row *r = &rows->v[i];

		err = index_job_add_member(db, r->id,
					   be64_get(r->id + HASH_SHA256_BYTES),
					   r->torrent, &r->file);
	}
	return err;
}
