/* spot — the map from piece space to blobs.
 *
 * Purpose: a v2 file's proven leaves lie in one blob for all torrents; what is
 * proven by less than the root, or not yet, lies in a blob of the torrent's
 * own. So nothing that some torrent's peers sent can come over what another
 * relies on, and nobody reads what was not proven for him:
 *
 *   1. a piece that the index has for this torrent alone: its own blob.
 *   2. else a leaf that is in the shared blob: there.
 *   3. else a piece that is being put into its own blob: there.
 *   4. else it is nowhere. */
#include "cache/spot.h"

#include "cache/joint.h"
#include "core/merkle.h"
#include "core/metainfo.h"

void spot_walk_init(struct spot_walk *w, const struct spot_map *map,
		    enum spot_aim aim, uint64_t off_bytes, uint32_t len_bytes)
{
	w->map = map;
	w->aim = aim;
	w->e = (struct extent){0};
	extent_walk_init(&w->extents, map->mi, off_bytes, len_bytes);
}

/* Take `n` bytes from the front of what is left of the extent. */
static void take(struct spot_walk *w, uint32_t n, struct spot *out)
{
	out->file_ix = w->e.file_ix;
	out->len_bytes = n;
	out->off_bytes = w->e.off_bytes;
	out->pos_bytes = w->e.pos_bytes;
	w->e.len_bytes -= n;
	w->e.off_bytes += n;
	w->e.pos_bytes += n;
}

static void take_own(struct spot_walk *w, uint32_t n, struct spot *out)
{
	out->kind = SPOT_BLOB;
	out->set = w->map->own;
	take(w, n, out);
}

static void take_shared(struct spot_walk *w, uint32_t n, struct spot *out)
{
	out->kind = SPOT_BLOB;
	out->set = w->map->shared;
	out->shared = w->map->blob_of(w->map->joint, w->e.file_ix);
	take(w, n, out);
}

/* How far from here to the next multiple of `unit`, within the extent. */
static uint32_t up_to(const struct spot_walk *w, uint64_t unit)
{
	uint64_t left = unit - w->e.off_bytes % unit;

	return left < w->e.len_bytes ? (uint32_t)left : w->e.len_bytes;
}

static bool is_in(const struct spot_walk *w, const struct joint_file *f,
		  uint64_t off_bytes)
{
	return f != NULL &&
	       joint_has_leaf(f, (uint32_t)(off_bytes / MERKLE_LEAF_BYTES));
}

/* The longest stretch from here on, within `max`, that is shared, or is not. */
static uint32_t stretch(const struct spot_walk *w, const struct joint_file *f,
			uint32_t max, bool is_shared)
{
	uint32_t n = up_to(w, MERKLE_LEAF_BYTES);

	while (n < max && is_in(w, f, w->e.off_bytes + n) == is_shared)
		n += MERKLE_LEAF_BYTES;
	return n < max ? n : max;
}

/* Of `f`, NULL, nothing is there that all have.
 *
 * Where a file with a root begins a piece does, too: so pieces are cut as the
 * file's own offsets are. */
static void find(struct spot_walk *w, const struct joint_file *f,
		 struct spot *out)
{
	const struct spot_map *map = w->map;
	const struct mi_file *mf = &map->mi->files[w->e.file_ix];
	uint32_t piece_ix = (uint32_t)((mf->off_bytes + w->e.off_bytes) /
				       map->mi->piece_bytes);
	uint32_t max = up_to(w, map->mi->piece_bytes);
	bool is_shared = is_in(w, f, w->e.off_bytes);

	if (bits_has(map->joint->own, piece_ix)) {
		take_own(w, max, out);
		return;
	}
	max = stretch(w, f, max, is_shared);
	if (is_shared)
		take_shared(w, max, out);
	else
		take_own(w, max, out);
	if (!is_shared && !bits_has(map->staged, piece_ix))
		out->kind = SPOT_LOST;
}

bool spot_next(struct spot_walk *w, struct spot *out)
{
	const struct joint_torrent *joint = w->map->joint;
	const struct joint_use *use;

	if (w->e.len_bytes == 0 && !extent_next(&w->extents, &w->e))
		return false;
	*out = (struct spot){.kind = SPOT_ZEROS};
	if (w->e.file_ix == EXTENT_NO_FILE) {
		take(w, w->e.len_bytes, out);
		return true;
	}
	if (joint == NULL || !joint_is_any(joint) || w->aim == SPOT_OWN ||
	    w->aim == SPOT_STAGED ||
	    !joint_is_rooted(&w->map->mi->files[w->e.file_ix])) {
		take_own(w, w->e.len_bytes, out);
		return true;
	}
	use = joint_use_of(joint, w->e.file_ix);
	if (w->aim == SPOT_SHARED)
		take_shared(w, w->e.len_bytes, out);
	else
		find(w, use != NULL ? use->file : NULL, out);
	return true;
}
