/* batch_way — which way a put goes.
 *
 * A piece whose file has a root is put as leaves of the file, into the blob
 * that all torrents with it have in common; what was written there is proven by
 * the root, so whoever else writes there writes the same. Nothing else ever
 * goes there: what is staged, and a hybrid's piece that only v1 has proven,
 * goes to a blob of the torrent's own, and its row is the torrent's.
 *
 * What was staged and is proven by the root goes from the one to the other by a
 * copy: until then nobody knew what it was. The first copy is given up as soon
 * as the second is written, in most cases before the disk has seen it. Where
 * there is no room for both it stays where it is, the torrent's own, until the
 * torrent is opened anew (adopt_job.c).
 *
 * Of what was put already, as leaves, or came from others, there is nothing to
 * write.
 *
 * Threads: loop. */
#include "cache/store_disk_internal.h"

#include <errno.h>

#include "core/blk.h"
#include "core/metainfo.h"

int batch_way_choose(struct put *p, bool has_data)
{
	struct disk_torrent *t = p->t;
	bool is_there;
	int err;

	p->is_hybrid = t->mi->has_v1;
	p->is_old = !has_data;
	err = joint_place(&t->joint, p->piece_ix, 0, t->mi->piece_bytes,
			  &p->leaves);
	if (err == ENOMEM)
		return err;
	if (err == 0) {
		is_there = !has_data && joint_has_all(&p->leaves);
		p->is_copy = !has_data && !is_there &&
			     joint_is_proven(&p->leaves, p->piece_ix);
		if (is_there || p->is_copy ||
		    (has_data && joint_is_proven(&p->leaves, p->piece_ix)))
			p->kind = PUT_PIECE;
	}
	if (p->is_copy)
		p->is_old = false;
	if (p->kind == PUT_OWN)
		p->cost = room_put_cost(t, p->piece_ix);
	return 0;
}

int batch_way_plan(struct put *p, uint32_t at_bytes, struct blk *data)
{
	struct disk_torrent *t = p->t;
	struct spot_map map = disk_files_map(t);
	uint64_t off = (uint64_t)p->piece_ix * t->mi->piece_bytes + at_bytes;

	if (p->is_copy)
		p->io = blobs_copy_new(&map, off, p->bytes);
	else
		p->io = blobs_io_new(
			&map, p->kind == PUT_OWN ? SPOT_OWN : SPOT_SHARED, off,
			p->bytes);
	if (p->io == NULL)
		return ENOMEM;
	if (data != NULL) {
		p->blk = blk_hold(data);
		p->io->src = data->data;
	}
	return 0;
}

/* What it stands on may have gone while it waited. */
int batch_way_err(const struct put *p)
{
	const struct unit *u = &p->t->units.units[p->piece_ix];

	if (p->is_old && p->kind == PUT_PIECE)
		return joint_has_all(&p->leaves) ? 0 : ENOENT;
	if (!p->is_copy && !(p->is_old && p->kind == PUT_OWN))
		return 0;
	if (u->is_spoilt)
		return EIO;
	return u->is_staged ? 0 : ENOENT;
}

bool batch_way_stay(struct put *p)
{
	if (!p->is_copy)
		return false;
	p->is_copy = false;
	p->is_old = true;
	p->kind = PUT_OWN;
	p->io->n_runs = 0;
	return true;
}

void batch_way_end_copy(struct put *p)
{
	if (!p->is_copy)
		return;
	p->is_copy = false;
	bits_clear(&p->t->staged, p->piece_ix);
	room_unstage(p->t, p->piece_ix);
}
