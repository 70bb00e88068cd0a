/* stamp — size, times and number of a file, compared and written down.
 *
 * Purpose: a blob may be changed behind our back at any time, and reading it
 * does not tell. What tells are these four. Times are compared for being the
 * same, never for being newer: the wall clock may jump.
 *
 * Failure modes: none. */
#include "cache/stamp.h"

#include <sys/stat.h>

#include "core/be.h"

static int64_t ns_of(const struct timespec *ts)
{
	return (int64_t)ts->tv_sec * 1000000000 + ts->tv_nsec;
}

void stamp_of(const struct stat *sb, struct stamp *out)
{
	*out = (struct stamp){
		.size_bytes = (uint64_t)sb->st_size,
		.inode = (uint64_t)sb->st_ino,
		.mtime_ns = ns_of(&sb->st_mtim),
		.ctime_ns = ns_of(&sb->st_ctim),
	};
}

bool stamp_is_equal(const struct stamp *a, const struct stamp *b)
{
	return a->size_bytes == b->size_bytes && a->inode == b->inode &&
	       a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

void stamp_encode(const struct stamp *s, uint8_t out[STAMP_BYTES])
{
	be64_put(out, s->size_bytes);
	be64_put(out + 8, s->inode);
	be64_put(out + 16, (uint64_t)s->mtime_ns);
	be64_put(out + 24, (uint64_t)s->ctime_ns);
}

void stamp_decode(const uint8_t in[STAMP_BYTES], struct stamp *out)
{
	out->size_bytes = be64_get(in);
	out->inode = be64_get(in + 8);
	out->mtime_ns = (int64_t)be64_get(in + 16);
	out->ctime_ns = (int64_t)be64_get(in + 24);
}
