/* store_disk_files — files that the disk store keeps by their v2 root.
 *
 * Thread: loop. */
#ifndef SHOAL_CACHE_STORE_DISK_FILES_H
#define SHOAL_CACHE_STORE_DISK_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/blobs.h"
#include "cache/doubt.h"
#include "cache/joint.h"
#include "cache/room.h"
#include "cache/spot.h"
#include "cache/store_ops.h"
#include "core/queue.h"

struct disk;
struct disk_torrent;

enum { DISK_NAME_BYTES = 2 * HASH_SHA256_BYTES + 24 };

/* A v2 file, with what the disk store has of it. */
struct disk_file {
	struct joint_file base;
	int64_t row;  /* 0: not known */
	bool is_kept; /* the index has it, or is to have it */
	bool is_listed;
	TAILQ_ENTRY(disk_file) unknown; /* in disk->members */
	struct blob_set *files; /* blob's set; NULL: it has no name yet */
	struct shared_blob blob;
	struct disk *disk; /* once it has units */
	struct unit_set units;
	struct doubt doubt;
	char name[DISK_NAME_BYTES];
};

static inline struct disk_file *disk_file_of(const struct joint_use *use)
{
	return CONTAINER_OF(use->file, struct disk_file, base);
}

int disk_files_init(struct disk *d);
void disk_files_fini(struct disk *d);

/* disk_files_map — where the torrent's bytes lie. */
struct spot_map disk_files_map(struct disk_torrent *t);
uint64_t disk_coming_us(struct store_torrent *st, uint32_t piece_ix,
			uint32_t at_bytes, uint32_t len_bytes, bool only_asked);
void disk_vouch(struct store_torrent *st, uint32_t piece_ix);
void disk_watch(struct store_torrent *st, const struct store_share_ops *ops,
		void *arg);
void disk_put_nodes(struct store_torrent *st, uint32_t file_ix, unsigned level,
		    uint64_t index, uint32_t n, const uint8_t *hashes);
int disk_read_nodes(struct store_torrent *st, uint32_t file_ix, unsigned level,
		    uint64_t index, uint32_t n, uint8_t *dst,
		    store_read_fn *done, void *arg);

#endif
