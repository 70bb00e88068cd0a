/* extent — the map from piece space to files.
 *
 * Purpose: a piece may begin in one file and end forty files later, with pads
 * between them. Everything that touches blobs walks piece space through here
 * and sees plain runs of one file each, in order, without holes: the lengths
 * add up to what was asked for.
 *
 * Words. Gap: in a v2 torrent, what lies between a file's end and the next
 * piece boundary. It is never as long as a piece, so its end is found without
 * looking for the next file. Bytes beyond the last file are a gap, too.
 *
 * Cost: one binary search over the files an extent. */
#include "cache/extent.h"

#include "core/metainfo.h"

void extent_walk_init(struct extent_walk *w, const struct metainfo *mi,
		      uint64_t off_bytes, uint32_t len_bytes)
{
	w->mi = mi;
	w->start_bytes = off_bytes;
	w->at_bytes = off_bytes;
	w->end_bytes = off_bytes + len_bytes;
}

bool extent_next(struct extent_walk *w, struct extent *out)
{
	const struct metainfo *mi = w->mi;
	uint64_t at = w->at_bytes, stop;
	uint32_t ix;

	if (at >= w->end_bytes)
		return false;
	*out = (struct extent){.file_ix = EXTENT_NO_FILE};
	ix = at < mi->total_bytes ? metainfo_file_at(mi, at) : mi->n_files;
	if (ix < mi->n_files) {
		const struct mi_file *f = &mi->files[ix];

		stop = f->off_bytes + f->len_bytes;
		if (!(f->attr & MI_ATTR_PAD)) {
			out->file_ix = ix;
			out->off_bytes = at - f->off_bytes;
		}
	} else {
		stop = (at / mi->piece_bytes + 1) * mi->piece_bytes;
	}
	if (stop > w->end_bytes)
		stop = w->end_bytes;
	out->len_bytes = (uint32_t)(stop - at);
	out->pos_bytes = (uint32_t)(at - w->start_bytes);
	w->at_bytes = stop;
	return true;
}

uint32_t extent_pieces(const struct metainfo *mi, uint32_t file_ix,
		       uint32_t *last)
{
	const struct mi_file *f = &mi->files[file_ix];

	*last = (uint32_t)((f->off_bytes + f->len_bytes - 1) / mi->piece_bytes);
	return (uint32_t)(f->off_bytes / mi->piece_bytes);
}
