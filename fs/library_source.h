/* library_source — what somebody adds. */
#ifndef SHOAL_FS_LIBRARY_SOURCE_H
#define SHOAL_FS_LIBRARY_SOURCE_H

#include <stddef.h>
#include <stdint.h>

struct magnet;
struct metainfo;
struct tree;

/* A magnet and its link, which is remembered; or a metainfo, whose bytes are;
 * or bytes alone: then it is not known yet whether they are a .torrent. */
struct library_source {
	struct metainfo *mi;
	struct tree *tree; /* of `mi`; NULL: not made yet */
	struct magnet *magnet;
	uint8_t *raw;
	size_t raw_len;
};

typedef void library_fn(void *arg, int err, const char *text);

/* library_source_fini — free what it has. */
void library_source_fini(struct library_source *src);

#endif
