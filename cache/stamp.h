/* stamp — what the system says of a file without reading it. Two that are
 * equal: nobody has changed the file in between, as far as its file system
 * tells (sight.h makes it tell).
 *
 * Thread: any. Pure. */
#ifndef SHOAL_CACHE_STAMP_H
#define SHOAL_CACHE_STAMP_H

#include <stdbool.h>
#include <stdint.h>

struct stat;

enum { STAMP_BYTES = 32 };

struct stamp {
	uint64_t size_bytes;
	uint64_t inode;
	int64_t mtime_ns;
	int64_t ctime_ns;
};

void stamp_of(const struct stat *sb, struct stamp *out);
bool stamp_is_equal(const struct stamp *a, const struct stamp *b);
void stamp_encode(const struct stamp *s, uint8_t out[STAMP_BYTES]);
void stamp_decode(const uint8_t in[STAMP_BYTES], struct stamp *out);

#endif
