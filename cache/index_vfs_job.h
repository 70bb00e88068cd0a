/* index_vfs_job — the index's file with a checksum in each page. Thread: store.
 */
#ifndef SHOAL_CACHE_INDEX_VFS_JOB_H
#define SHOAL_CACHE_INDEX_VFS_JOB_H

#include <sqlite3.h>
#include <stdbool.h>

#define INDEX_VFS "shoal-index"

enum {
	INDEX_SUM_BYTES = 8,
	INDEX_VFS_IS_SUMMED = 0x53686f61, /* sqlite3_file_control's */
};

/* index_vfs_init — SQLite knows INDEX_VFS from now on; its result code. */
int index_vfs_init(void);

/* index_vfs_make_room — a database that is made, or packed (VACUUM), from now
 * on has room for the checksums. */
int index_vfs_make_room(sqlite3 *db);

/* index_vfs_is_summed — pages of this database have them. Once it was read. */
bool index_vfs_is_summed(sqlite3 *db);

#endif
