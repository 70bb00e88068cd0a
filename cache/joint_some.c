/* joint_some — leaves of a piece that is not whole, by what pieces are proven,
 * when they are read, and when they come.
 *
 * Threads: loop. */
#include "cache/joint.h"
#include "core/merkle.h"
#include "core/metainfo.h"

int joint_add_some(struct joint_torrent *t, uint32_t piece_ix,
		   const struct joint_piece *p)
{
	struct joint_piece all;
	int err = joint_add(p);

	if (err == 0 && t->mi != NULL && joint_piece(t, piece_ix, &all) &&
	    joint_has_all(&all))
		joint_look(t, piece_ix);
	return err;
}

void joint_drop_some(struct joint_torrent *t, uint32_t piece_ix,
		     const struct joint_piece *p)
{
	joint_drop(p);
	if (!bits_has(&t->told, piece_ix))
		return;
	bits_set(&t->lossy, piece_ix);
	joint_look(t, piece_ix);
}

void joint_vouch(struct joint_torrent *t, uint32_t piece_ix)
{
	if (joint_is_any(t))
		bits_set(&t->vouched, piece_ix);
}

bool joint_is_proven(const struct joint_piece *p, uint32_t piece_ix)
{
	return p->use->is_vouched || bits_has(&p->use->t->vouched, piece_ix);
}

uint64_t joint_due(const struct joint_torrent *t, uint32_t piece_ix)
{
	if (t->mi == NULL || t->ops == NULL || t->ops->due_us == NULL)
		return UINT64_MAX;
	return t->ops->due_us(t->arg, piece_ix);
}

/* The pieces of one use that have some of these leaves. */
static uint64_t use_due(const struct joint_use *use, uint32_t first, uint32_t n)
{
	const struct metainfo *mi = use->t->mi;
	uint64_t off, its, due = UINT64_MAX;
	uint32_t ix, last;

	if (mi == NULL)
		return UINT64_MAX;
	off = mi->files[use->file_ix].off_bytes +
	      (uint64_t)first * MERKLE_LEAF_BYTES;
	ix = (uint32_t)(off / mi->piece_bytes);
	last = (uint32_t)((off + (uint64_t)n * MERKLE_LEAF_BYTES - 1) /
			  mi->piece_bytes);
	for (; ix <= last && ix < mi->n_pieces; ix++) {
		its = joint_due(use->t, ix);
		due = its < due ? its : due;
	}
	return due;
}

uint64_t joint_leaves_due(const struct joint_file *f, uint32_t first,
			  uint32_t n)
{
	const struct joint_use *use;
	uint64_t its, due = UINT64_MAX;

	LIST_FOREACH (use, &f->uses, link) {
		its = use_due(use, first, n);
		due = its < due ? its : due;
	}
	return due;
}

/* The latest of one use; 0: nothing of it comes. */
static uint64_t use_coming(const struct joint_use *use,
			   const struct joint_piece *p, bool only_asked)
{
	const struct joint_torrent *t = use->t;
	uint64_t off, end, next, its, latest = 0;
	uint32_t piece_bytes;

	if (t->mi == NULL || t->ops == NULL || t->ops->coming_us == NULL)
		return 0;
	piece_bytes = t->mi->piece_bytes;
	off = t->mi->files[use->file_ix].off_bytes;
	end = off + (uint64_t)(p->first + p->n) * MERKLE_LEAF_BYTES;
	for (off += (uint64_t)p->first * MERKLE_LEAF_BYTES; off < end;
	     off = next) {
		next = (off / piece_bytes + 1) * piece_bytes;
		its = t->ops->coming_us(
			t->arg, (uint32_t)(off / piece_bytes),
			(uint32_t)(off % piece_bytes),
			(uint32_t)((next < end ? next : end) - off),
			only_asked);
		if (its != UINT64_MAX && its > latest)
			latest = its;
	}
	return latest;
}

uint64_t joint_coming_us(struct joint_torrent *t, uint32_t piece_ix,
			 uint32_t at_bytes, uint32_t len_bytes, bool only_asked)
{
	const struct joint_use *use;
	struct joint_piece p;
	uint64_t its, latest = 0;

	/* Others may be about to put it, and nobody has yet. */
	if (joint_place(t, piece_ix, at_bytes, len_bytes, &p) != 0)
		return UINT64_MAX;
	/* It was put, and is about to be told. */
	if (bits_has(&t->changed, piece_ix) || bits_has(&t->unsure, piece_ix))
		return loop_now_us(t->all->cfg.loop);
	LIST_FOREACH (use, &p.use->file->uses, link) {
		its = use != p.use ? use_coming(use, &p, only_asked) : 0;
		latest = its > latest ? its : latest;
	}
	return latest != 0 ? latest : UINT64_MAX;
}
