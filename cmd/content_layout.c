/* content_layout — where files lie in piece space.
 *
 * Piece sizes are libtorrent's, so that equal files make equal torrents when
 * nobody says a size: the list of hashes, 20 bytes a piece, grows with twice
 * the square root of the content. */
#include <stdio.h>

#include "cmd/content.h"
#include "cmd/content_internal.h"
#include "core/core_limits.h"
#include "core/err.h"
#include "core/hash.h"
#include "core/mem.h"
#include "core/metainfo.h"

uint32_t content_piece_bytes(const struct content *c)
{
	uint64_t size = 16 << 10;

	while (size < 16 << 20 && c->total_bytes > (size * size + 50) / 100)
		size *= 2;
	return (uint32_t)size;
}

uint32_t content_n_pieces(const struct content *c, uint32_t piece_bytes)
{
	return (uint32_t)((c->total_bytes + piece_bytes - 1) / piece_bytes);
}

static uint64_t to_boundary(uint64_t off, uint32_t piece_bytes)
{
	return (piece_bytes - off % piece_bytes) % piece_bytes;
}

/* v2 alone: each file with content begins at a piece. */
static void align(struct content *c, uint32_t piece_bytes)
{
	uint64_t at = 0;

	for (uint32_t i = 0; i < c->n_files; i++) {
		struct content_file *f = &c->files[i];

		if (f->len_bytes > 0)
			at += to_boundary(at, piece_bytes);
		f->off_bytes = at;
		at += f->len_bytes;
	}
	c->total_bytes = at;
}

static int add_pad(struct content *c, uint32_t *cap, uint64_t len)
{
	struct content_file *pad;
	char path[32];
	int r = content_add_entry(&c->files, &c->n_files, cap, &pad);

	if (r != 0)
		return r;
	pad->attr = MI_ATTR_PAD;
	pad->len_bytes = len;
	pad->off_bytes = c->total_bytes;
	c->total_bytes += len;
	(void)snprintf(path, sizeof(path), ".pad/%llu",
		       (unsigned long long)len);
	r = content_set_path(pad, path);
	pad->rel = NULL;
	return r;
}

/* A hybrid: what v2 leaves empty is a file of v1, behind the last file too. */
static int pad(struct content *c, uint32_t piece_bytes)
{
	struct content_file *old = c->files, *f;
	uint32_t n = c->n_files, cap = 0, i;
	int r = 0;

	c->files = NULL;
	c->n_files = 0;
	c->total_bytes = 0;
	for (i = 0; i < n && r == 0; i++) {
		r = content_add_entry(&c->files, &c->n_files, &cap, &f);
		if (r != 0)
			break;
		*f = old[i];
		f->off_bytes = c->total_bytes;
		c->total_bytes += f->len_bytes;
		if (n > 1 && c->total_bytes % piece_bytes != 0 &&
		    f->len_bytes > 0)
			r = add_pad(c, &cap,
				    to_boundary(c->total_bytes, piece_bytes));
	}
	for (; i < n; i++)
		content_drop_entry(&old[i]);
	mem_free(old);
	return r;
}

int content_layout(struct content *c, uint32_t piece_bytes,
		   struct content_kind kind, char why[WHY_BYTES])
{
	const size_t hash_bytes = (kind.has_v1 ? (size_t)HASH_SHA1_BYTES : 0) +
				  (kind.has_v2 ? (size_t)HASH_SHA256_BYTES : 0);
	uint64_t n_pieces;
	int r = 0;

	if (kind.has_v1 && kind.has_v2)
		r = pad(c, piece_bytes);
	else if (kind.has_v2)
		align(c, piece_bytes);
	if (r != 0)
		return r;
	n_pieces = (c->total_bytes + piece_bytes - 1) / piece_bytes;
	if (n_pieces <= METAINFO_MAX_PIECES &&
	    n_pieces * hash_bytes <= METAINFO_MAX_BYTES)
		return 0;
	(void)snprintf(why, WHY_BYTES,
		       "%.200s: %llu pieces are too many: take larger ones",
		       c->root, (unsigned long long)n_pieces);
	return EFBIG;
}
