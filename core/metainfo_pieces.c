/* metainfo_pieces — where pieces and files lie, and whether a piece is right.
 *
 * A v1 piece is hashed as it is sent. A v2 piece belongs to one file and ends
 * with it; its hash is the root of a small tree over its 16 KiB leaves, filled
 * up with zero hashes: to a whole piece when the file has more than one, and
 * only to the next power of two when the file is smaller than a piece, where
 * that root is the file's own.
 *
 * A hybrid's piece must satisfy both: two torrents whose lists agree and
 * whose data does not are an attack on whoever believes only one of them. */
#include "core/metainfo_internal.h"

#include <assert.h>

#include "core/merkle.h"

uint32_t metainfo_file_at(const struct metainfo *mi, uint64_t off_bytes)
{
	uint32_t low = 0;
	uint32_t high = mi->n_files;

	/* The last file that begins at or before off_bytes. Of several that
	 * begin there only the last can be longer than nothing; and if that
	 * one is empty, all before it have ended. */
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (mi->files[mid].off_bytes <= off_bytes)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == 0)
		return mi->n_files;
	low--;
	if (off_bytes - mi->files[low].off_bytes >= mi->files[low].len_bytes)
		return mi->n_files;
	return low;
}

static uint64_t piece_off(const struct metainfo *mi, uint32_t ix)
{
	return (uint64_t)ix * mi->piece_bytes;
}

/* How much of the piece at `off` belongs to the file that begins or goes on
 * there. */
static uint32_t file_part(const struct metainfo *mi, const struct mi_file *f,
			  uint64_t off_bytes)
{
	uint64_t left = f->off_bytes + f->len_bytes - off_bytes;

	return left < mi->piece_bytes ? (uint32_t)left : mi->piece_bytes;
}

uint32_t metainfo_piece_bytes(const struct metainfo *mi, uint32_t ix)
{
	uint64_t off = piece_off(mi, ix);
	uint64_t left = mi->total_bytes - off;
	uint32_t file;

	assert(ix < mi->n_pieces);
	if (mi->has_v1)
		return left < mi->piece_bytes ? (uint32_t)left
					      : mi->piece_bytes;
	file = metainfo_file_at(mi, off);
	assert(file < mi->n_files);
	return file_part(mi, &mi->files[file], off);
}

static bool check_v1(const struct metainfo *mi, struct hasher *h, uint32_t ix,
		     const uint8_t *data)
{
	uint8_t hash[HASH_SHA1_BYTES];

	hasher_once(h, HASH_SHA1, data, metainfo_piece_bytes(mi, ix), hash);
	return memcmp(hash, mi->v1_hashes + (size_t)ix * HASH_SHA1_BYTES,
		      sizeof(hash)) == 0;
}

void mi_v2_piece(const struct metainfo *mi, uint32_t ix,
		 struct mi_v2_piece *out)
{
	uint64_t off = piece_off(mi, ix);
	/* A v2 file begins at a piece, so a piece begins in a file. */
	const struct mi_file *f = &mi->files[metainfo_file_at(mi, off)];
	uint64_t n_leaves =
		(f->len_bytes + MERKLE_LEAF_BYTES - 1) / MERKLE_LEAF_BYTES;
	uint64_t ix_in_file = (off - f->off_bytes) / mi->piece_bytes;

	out->len_bytes = file_part(mi, f, off);
	out->height = merkle_height(mi->piece_bytes / MERKLE_LEAF_BYTES);
	out->want = NULL;
	if (f->len_bytes <= mi->piece_bytes) {
		out->height = merkle_height(n_leaves);
		out->want = f->root;
	} else if (f->layer != NULL) {
		out->want = f->layer + ix_in_file * HASH_SHA256_BYTES;
	}
}

static bool check_v2(struct hasher *h, const uint8_t *data,
		     const struct mi_v2_piece *v2)
{
	uint8_t root[HASH_SHA256_BYTES];
	struct merkle m;

	merkle_begin(&m, h, 0);
	merkle_add_data(&m, data, v2->len_bytes);
	merkle_root(&m, v2->height, root);
	return memcmp(root, v2->want, sizeof(root)) == 0;
}

bool metainfo_check_piece(const struct metainfo *mi, struct hasher *h,
			  uint32_t ix, const uint8_t *data)
{
	struct mi_v2_piece v2;

	assert(ix < mi->n_pieces);
	if (mi->has_v1 && !check_v1(mi, h, ix, data))
		return false;
	if (!mi->has_v2)
		return true;
	mi_v2_piece(mi, ix, &v2);
	if (v2.want == NULL)
		return mi->has_v1;
	return check_v2(h, data, &v2);
}
