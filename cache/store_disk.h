/* store_disk — the store people use: a directory with one sparse blob per
 * file of a torrent, the info dictionary beside the blobs, and an SQLite index
 * of what is verified. The format and what each crash can leave behind is in
 * FORMAT.md.
 *
 * Puts are batched: a worker writes the blob in slices; at most
 * STORE_BATCH_MS or STORE_BATCH_BYTES later the store thread syncs every
 * dirty blob and commits all rows in one transaction. */
#ifndef SHOAL_CACHE_STORE_DISK_H
#define SHOAL_CACHE_STORE_DISK_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct store;
struct workers;

struct store_disk_cfg {
	struct loop *loop;	 /* kept */
	struct workers *workers; /* kept: blob reads and writes */
	struct workers *thread;	 /* kept: the store thread, one worker */
	const char *dir;	 /* made 0700 when missing; copied */
	/* What everything in `dir` may take together, and what is to be left
	 * free on its disk. 0: no limit. */
	uint64_t quota_bytes;
	uint64_t min_free_bytes;
	bool is_quota_soft; /* nor more than half of what could be free */
};

/* store_disk_new — open or make the store; blocks, so before the mount
 * answers. 0; EBUSY (another process holds its lock); EPERM (the directory is
 * not ours, or others may write to it); EPROTO (made by a newer version); EIO
 * (the index is damaged); ENOMEM or an errno of the file system. `why` (may
 * be NULL) gets the reason for a person, without the directory. */
int store_disk_new(const struct store_disk_cfg *cfg, struct store **out,
		   char why[160]);

#endif
