/* metainfo_roots — a torrent's v2 files by what they are: root and length.
 *
 * Purpose: whoever keeps files by their roots (cache/) has a few, and wants to
 * know which of them a torrent has, be it of a million files. So there is one
 * sorted list of numbers, 4 bytes a file, made once, where the torrent is
 * parsed, which for a long one is off the loop.
 *
 * How: counted into buckets by the first bits of the root, a few files in each,
 * and these are sorted. Roots are hashes; whoever makes up some that begin
 * alike gets the time of an ordinary sort. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/be.h"
#include "core/mem.h"
#include "core/metainfo_internal.h"

enum { BUCKET_FILES = 8, BUCKET_BITS_MAX = 20, PREFIX_BITS = 32 };

static bool is_rooted(const struct mi_file *f)
{
	return f->root != NULL && f->len_bytes > 0;
}

static int compare(const struct mi_file *f, const uint8_t *root,
		   uint64_t len_bytes)
{
	int c = memcmp(f->root, root, HASH_SHA256_BYTES);

	if (c == 0 && f->len_bytes != len_bytes)
		c = f->len_bytes < len_bytes ? -1 : 1;
	return c;
}

/* The same file twice: in the order of the torrent. */
static int compare_files(const void *a, const void *b, void *arg)
{
	const struct mi_file *files = arg;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	int c = compare(&files[x], files[y].root, files[y].len_bytes);

	return c != 0 ? c : x < y ? -1 : x > y;
}

static uint32_t bucket_of(const struct mi_file *f, unsigned bits)
{
	return bits > 0 ? be32_get(f->root) >> (PREFIX_BITS - bits) : 0;
}

/* `at` has one place more than there are buckets. */
static void fill(const struct metainfo *mi, unsigned bits, uint32_t *at,
		 uint32_t *out)
{
	uint32_t n_buckets = UINT32_C(1) << bits, from = 0;

	for (uint32_t i = 0; i < mi->n_files; i++)
		if (is_rooted(&mi->files[i]))
			at[bucket_of(&mi->files[i], bits) + 1]++;
	for (uint32_t b = 0; b < n_buckets; b++)
		at[b + 1] += at[b];
	for (uint32_t i = 0; i < mi->n_files; i++)
		if (is_rooted(&mi->files[i]))
			out[at[bucket_of(&mi->files[i], bits)]++] = i;
	for (uint32_t b = 0; b < n_buckets; b++) { /* at[b] is its end now */
		if (at[b] - from > 1)
			qsort_r(out + from, at[b] - from, sizeof(*out),
				compare_files, mi->files);
		from = at[b];
	}
}

int mi_roots(struct mi_parse *p)
{
	struct metainfo *mi = &p->mi;
	uint32_t n = 0, *at, *out;
	unsigned bits = 0;

	for (uint32_t i = 0; i < mi->n_files; i++)
		n += is_rooted(&mi->files[i]);
	if (n == 0)
		return 0;
	while (bits < BUCKET_BITS_MAX && n >> bits > BUCKET_FILES)
		bits++;
	at = mem_zalloc((UINT32_C(1) << bits) + 1, sizeof(*at));
	out = mi_arena_alloc(&p->arena, n, sizeof(*out));
	if (at != NULL && out != NULL)
		fill(mi, bits, at, out);
	mem_free(at);
	if (at == NULL || out == NULL)
		return ENOMEM;
	mi->by_root = out;
	mi->n_by_root = n;
	return 0;
}

uint32_t metainfo_root_from(const struct metainfo *mi, const uint8_t *root,
			    uint64_t len_bytes)
{
	uint32_t lo = 0, hi = mi->n_by_root;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (compare(&mi->files[mi->by_root[mid]], root, len_bytes) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool metainfo_root_is(const struct metainfo *mi, uint32_t place,
		      const uint8_t *root, uint64_t len_bytes)
{
	return place < mi->n_by_root &&
	       compare(&mi->files[mi->by_root[place]], root, len_bytes) == 0;
}
