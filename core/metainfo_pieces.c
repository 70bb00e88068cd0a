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
#include <string.h>

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

/* ---- padding ---- */

/* So many pad files at a piece's end are looked through; more would be
 * somebody's joke, and come over the wire. */
enum { PADS_LOOKED_THROUGH = 16 };

/* Where the padding at the end of [off, end) begins. */
static uint64_t padding_from(const struct metainfo *mi, uint64_t off,
			     uint64_t end)
{
	for (int i = 0; i < PADS_LOOKED_THROUGH && end > off; i++) {
		uint32_t file = metainfo_file_at(mi, end - 1);

		if (!(mi->files[file].attr & MI_ATTR_PAD))
			break;
		end = mi->files[file].off_bytes;
	}
	return end < off ? off : end;
}

uint32_t metainfo_body_bytes(const struct metainfo *mi, uint32_t ix)
{
	uint32_t len = metainfo_piece_bytes(mi, ix), body;
	uint64_t off = piece_off(mi, ix);

	if (!mi->has_v1)
		return len;
	body = (uint32_t)(padding_from(mi, off, off + len) - off);
	body = (body + MERKLE_LEAF_BYTES - 1) / MERKLE_LEAF_BYTES *
	       MERKLE_LEAF_BYTES;
	return body < len ? body : len;
}

uint32_t metainfo_piece_content(const struct metainfo *mi, uint32_t ix)
{
	uint64_t at = piece_off(mi, ix),
		 end = at + metainfo_piece_bytes(mi, ix);
	uint32_t file = metainfo_file_at(mi, at), content = 0;

	for (; at < end; file++) {
		const struct mi_file *f = &mi->files[file];
		uint64_t stop = f->off_bytes + f->len_bytes;

		if (stop > end)
			stop = end;
		if (!(f->attr & MI_ATTR_PAD) && stop > at)
			content += (uint32_t)(stop - at);
		at = stop > at ? stop : at;
	}
	return content;
}

/* ---- is it right? ---- */

static bool check_v1(const struct metainfo *mi, struct hasher *h, uint32_t ix,
		     const uint8_t *data, const uint8_t *known)
{
	uint32_t body = metainfo_body_bytes(mi, ix);
	uint8_t hash[HASH_SHA1_BYTES];

	if (known == NULL) {
		hasher_begin(h, HASH_SHA1);
		hasher_add(h, data, body);
		hasher_add_zeros(h, metainfo_piece_bytes(mi, ix) - body);
		hasher_end(h, hash);
		known = hash;
	}
	return memcmp(known, mi->v1_hashes + (size_t)ix * HASH_SHA1_BYTES,
		      sizeof(hash)) == 0;
}

uint32_t metainfo_v1_bytes(const struct metainfo *mi, uint32_t ix)
{
	uint32_t len = metainfo_piece_bytes(mi, ix);

	return mi->has_v1 && metainfo_body_bytes(mi, ix) == len ? len : 0;
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

uint32_t metainfo_v2_bytes(const struct metainfo *mi, uint32_t ix)
{
	struct mi_v2_piece v2;

	if (!mi->has_v2)
		return 0;
	mi_v2_piece(mi, ix, &v2);
	return v2.len_bytes;
}

/* The root of what the file has there; its leaves to `leaves` if that is set.
 */
static void v2_root(struct hasher *h, const uint8_t *data,
		    const struct mi_v2_piece *v2, uint8_t *leaves,
		    uint8_t root[HASH_SHA256_BYTES])
{
	struct merkle m;

	merkle_begin(&m, h, 0);
	if (leaves == NULL) {
		merkle_add_data(&m, data, v2->len_bytes);
	} else {
		merkle_leaves(h, data, v2->len_bytes, leaves);
		for (uint32_t at = 0; at < v2->len_bytes;
		     at += MERKLE_LEAF_BYTES) {
			merkle_add(&m, leaves);
			leaves += HASH_SHA256_BYTES;
		}
	}
	merkle_root(&m, v2->height, root);
}

static bool is_zero(const uint8_t *data, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		if (data[i] != 0)
			return false;
	return true;
}

enum piece_verdict mi_verdict(bool is_v1_right, bool is_v2_right,
			      bool is_padding_zero)
{
	if (is_v1_right && is_v2_right)
		return PIECE_RIGHT;
	/* Padding is zeros (BEP 47): who sends other bytes there spoils the v1
	 * hash, and says nothing of the torrent. */
	if (is_v1_right || (is_v2_right && is_padding_zero))
		return PIECE_DISPUTED;
	return PIECE_WRONG;
}

enum piece_verdict metainfo_judge_piece(const struct metainfo *mi,
					struct hasher *h, uint32_t ix,
					const uint8_t *data, const uint8_t *v1,
					const uint8_t *root, uint8_t *leaves)
{
	struct mi_v2_piece v2 = {.want = NULL};
	uint8_t have[HASH_SHA256_BYTES];
	bool is_v1_right, is_v2_right;

	assert(ix < mi->n_pieces);
	if (mi->has_v2)
		mi_v2_piece(mi, ix, &v2);
	if (root != NULL)
		v2.want = root;
	if (v2.len_bytes > 0 && (v2.want != NULL || leaves != NULL))
		v2_root(h, data, &v2, leaves, have);
	is_v1_right = mi->has_v1 && check_v1(mi, h, ix, data, v1);
	if (v2.want == NULL || v2.len_bytes == 0)
		return is_v1_right ? PIECE_RIGHT : PIECE_WRONG;
	is_v2_right = memcmp(have, v2.want, sizeof(have)) == 0;
	if (!mi->has_v1)
		return is_v2_right ? PIECE_RIGHT : PIECE_WRONG;
	return mi_verdict(is_v1_right, is_v2_right,
			  is_zero(data + v2.len_bytes,
				  metainfo_body_bytes(mi, ix) - v2.len_bytes));
}

bool metainfo_check_piece(const struct metainfo *mi, struct hasher *h,
			  uint32_t ix, const uint8_t *data)
{
	return metainfo_judge_piece(mi, h, ix, data, NULL, NULL, NULL) ==
	       PIECE_RIGHT;
}
