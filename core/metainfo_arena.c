/* metainfo_arena — memory for things that die together.
 *
 * A torrent of a hundred thousand files has half a million small strings and
 * arrays. They are cut from chunks, so that there is no header and no free for
 * each; a request too large for a chunk gets one of its own. The first chunk is
 * small and each is twice the one before: most torrents have a few files, and a
 * mount that lists a library makes and drops thousands of them a second.
 * Failure modes: NULL; what was given stays valid until mi_arena_fini. */
#include "core/metainfo_internal.h"

#include <stdalign.h>

#include "core/mem.h"

enum { FIRST_BYTES = 4 << 10, CHUNK_BYTES = 64 << 10 };

struct mi_chunk {
	struct mi_chunk *older;
	size_t used, size;
	alignas(max_align_t) uint8_t data[];
};

static struct mi_chunk *add_chunk(struct mi_arena *a, size_t size)
{
	struct mi_chunk *c = mem_zalloc(1, sizeof(*c) + size);

	if (!c)
		return NULL;
	c->size = size;
	c->older = a->chunks;
	a->chunks = c;
	a->left = size;
	return c;
}

static size_t next_size(const struct mi_arena *a)
{
	size_t last = a->chunks ? a->chunks->size : FIRST_BYTES / 2;

	return last >= CHUNK_BYTES / 2 ? CHUNK_BYTES : 2 * last;
}

void *mi_arena_alloc(struct mi_arena *a, size_t n, size_t size)
{
	size_t bytes;
	struct mi_chunk *c = a->chunks;
	void *out;

	if (__builtin_mul_overflow(n, size, &bytes) ||
	    bytes > SIZE_MAX / 2 - CHUNK_BYTES)
		return NULL;
	bytes = (bytes + alignof(max_align_t) - 1) &
		~(alignof(max_align_t) - 1);
	if (!c || a->left < bytes) {
		size_t room = next_size(a);

		c = add_chunk(a, bytes > room ? bytes : room);
		if (!c)
			return NULL;
	}
	out = c->data + c->used;
	c->used += bytes;
	a->left -= bytes;
	return out;
}

char *mi_arena_strdup(struct mi_arena *a, const void *ptr, size_t len)
{
	char *s = mi_arena_alloc(a, len + 1, 1);

	if (s && len > 0)
		memcpy(s, ptr, len);
	return s;
}

void mi_arena_fini(struct mi_arena *a)
{
	while (a->chunks) {
		struct mi_chunk *c = a->chunks;

		a->chunks = c->older;
		mem_free(c);
	}
	a->left = 0;
}
