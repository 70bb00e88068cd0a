/* library_source — what somebody adds. */
#ifndef SHOAL_FS_LIBRARY_SOURCE_H
#define SHOAL_FS_LIBRARY_SOURCE_H

#include <stddef.h>
#include <stdint.h>

struct magnet;
struct metainfo;

/* A magnet or a metainfo, and the bytes that it was made of, which are
 * remembered: the link, or a .torrent file. The file alone will do: then it is
 * not known yet whether it is one. */
struct library_source {
	struct metainfo *mi;
	struct magnet *magnet;
	uint8_t *raw;
	size_t raw_len;
};

typedef void library_fn(void *arg, int err, const char *text);

/* library_source_fini — free what it has. */
void library_source_fini(struct library_source *src);

#endif
