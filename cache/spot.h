/* spot — in which blobs the bytes of a torrent lie: its own, one a file, and
 * those of v2 files, one for all torrents. Pure.
 *
 * Thread: loop. */
#ifndef SHOAL_CACHE_SPOT_H
#define SHOAL_CACHE_SPOT_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/extent.h"

struct bits;
struct blob_set;
struct joint_torrent;
struct shared_blob; /* cache/blobs.h */

struct spot_map {
	const struct metainfo *mi;
	struct blob_set *own;
	/* NULL: all is in `own`. */
	struct blob_set *shared;
	const struct joint_torrent *joint;
	const struct bits *staged; /* pieces that are being put into `own` */
	struct shared_blob *(*blob_of)(const struct joint_torrent *t,
				       uint32_t file_ix);
};

enum spot_kind {
	SPOT_ZEROS, /* no file */
	SPOT_LOST,  /* nothing of the kind is kept */
	SPOT_BLOB,
};

enum spot_aim {
	SPOT_READ,   /* where the bytes are */
	SPOT_STAGED, /* where they were staged */
	SPOT_OWN,    /* where they go, for this torrent alone … */
	SPOT_SHARED, /* … and for all */
};

struct spot {
	enum spot_kind kind;
	struct blob_set *set;
	struct shared_blob *shared; /* NULL: a blob of its own, by file_ix */
	uint32_t file_ix;
	uint32_t len_bytes;
	uint32_t pos_bytes; /* in the run that is walked */
	uint64_t off_bytes; /* in the file */
};

struct spot_walk {
	const struct spot_map *map;
	enum spot_aim aim;
	struct extent_walk extents;
	struct extent e; /* what is left of one */
};

/* spot_walk_init — walk [off, off + len) of piece space; keeps `map`. */
void spot_walk_init(struct spot_walk *w, const struct spot_map *map,
		    enum spot_aim aim, uint64_t off_bytes, uint32_t len_bytes);
bool spot_next(struct spot_walk *w, struct spot *out);

#endif
