/* rebuild_job — an index from what lies beside the blobs. Thread: store. */
#ifndef SHOAL_CACHE_REBUILD_JOB_H
#define SHOAL_CACHE_REBUILD_JOB_H

#include <stdint.h>

struct hasher;
struct home;
struct index_db;

/* What there was. */
struct rebuilt {
	uint64_t torrents, held_bytes;
};

/* rebuild_job — fill `db`, which is new, with all torrents that have an info
 * dictionary, and with what may be held of them; nothing of it is proven, so
 * there are no stamps. 0, or an error of the index or of the disk, and then it
 * is to be thrown away. */
int rebuild_job(struct index_db *db, const struct home *h,
		struct hasher *hasher, struct rebuilt *out);

#endif
