/* extent — which bytes of which files a run of piece space is. Pure.
 *
 * Thread: any. */
#ifndef SHOAL_CACHE_EXTENT_H
#define SHOAL_CACHE_EXTENT_H

#include <stdbool.h>
#include <stdint.h>

struct metainfo;

/* No file: a pad file, or the gap behind a file of a v2 torrent. Its bytes are
 * zeros, and nobody stores them. */
#define EXTENT_NO_FILE UINT32_MAX

struct extent {
	uint32_t file_ix;   /* or EXTENT_NO_FILE */
	uint32_t len_bytes; /* never 0 */
	uint64_t off_bytes; /* in the file */
	uint32_t pos_bytes; /* in the run that is walked */
};

struct extent_walk {
	const struct metainfo *mi;
	uint64_t start_bytes;
	uint64_t at_bytes;
	uint64_t end_bytes;
};

/* extent_walk_init — walk [off, off + len); keeps `mi` while it is walked. */
void extent_walk_init(struct extent_walk *w, const struct metainfo *mi,
		      uint64_t off_bytes, uint32_t len_bytes);

/* extent_next — the next extent; false at the end. */
bool extent_next(struct extent_walk *w, struct extent *out);

/* extent_pieces — the first piece that file `file_ix` (not an empty one)
 * touches; `last` gets the last one. */
uint32_t extent_pieces(const struct metainfo *mi, uint32_t file_ix,
		       uint32_t *last);

#endif
