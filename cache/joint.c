/* joint — who has which file, and what that makes held.
 *
 * Purpose: torrents of different piece sizes, v2-only and hybrid, have the same
 * file. What is common to them are its leaves. Here is what each makes of them.
 *
 * Words. Use: a file of a torrent that has a root; one torrent may use a file
 * twice. Own: pieces that a store keeps for one torrent alone, because no root
 * proves them. Told: pieces that the torrent's owner has for held. Agreed, of a
 * hybrid: the leaves of the piece match its v1 hash, too. That is a fact about
 * the two hashes; it stays true when the leaves are lost, and come again.
 *
 * Happy path
 *   1. a put of one torrent was written: joint_add. Its leaves are there; for
 *      all other uses of the file, the pieces that have them are `changed`.
 *   2. on a turn of its own each of these torrents looks at its pieces: whole,
 *      it is told so; in part, it is told which leaves.
 *   3. a hybrid's piece that is whole but not agreed is `unsure`: the store is
 *      asked to hash it, some at a time. It matches: as in 2.
 *
 * Leaves that a torrent put one by one, and that are a piece in the end, go the
 * same way: it is told as if another one had brought them.
 *
 * `changed` and `lossy` are bits, so news never need memory; whoever is told
 * is told how it is now, not what happened.
 *
 * Failure modes: a check that cannot be made leaves its piece unheld until its
 * leaves change, or the next start. A piece on which v1 and v2 disagree is
 * never held; that is said once a torrent. */
#include "cache/joint_internal.h"

#include <errno.h>

#include "cache/extent.h"
#include "cache/store_share.h"
#include "core/log.h"
#include "core/merkle.h"
#include "core/metainfo.h"

/* ---- where a piece lies ---- */

static uint64_t count_leaves(uint64_t bytes)
{
	return (bytes + MERKLE_LEAF_BYTES - 1) / MERKLE_LEAF_BYTES;
}

/* All but the use; false: there are no such leaves. */
static bool place(const struct metainfo *mi, uint64_t at, size_t len_bytes,
		  uint32_t *file_ix, struct joint_piece *out)
{
	uint64_t in_file, left;

	*file_ix = metainfo_file_at(mi, at);
	if (*file_ix >= mi->n_files)
		return false;
	in_file = at - mi->files[*file_ix].off_bytes;
	left = mi->files[*file_ix].len_bytes - in_file;
	if (len_bytes > left)
		len_bytes = (size_t)left;
	out->first = (uint32_t)(in_file / MERKLE_LEAF_BYTES);
	out->n = (uint32_t)count_leaves(len_bytes);
	return true;
}

static uint64_t in_space(const struct joint_torrent *t, uint32_t piece_ix,
			 uint32_t at_bytes)
{
	return (uint64_t)piece_ix * t->mi->piece_bytes + at_bytes;
}

bool joint_piece(const struct joint_torrent *t, uint32_t piece_ix,
		 struct joint_piece *out)
{
	return joint_range(t, piece_ix, 0, t->mi->piece_bytes, out);
}

bool joint_range(const struct joint_torrent *t, uint32_t piece_ix,
		 uint32_t at_bytes, size_t len_bytes, struct joint_piece *out)
{
	uint32_t ix;

	if (!joint_is_any(t) ||
	    !place(t->mi, in_space(t, piece_ix, at_bytes), len_bytes, &ix, out))
		return false;
	out->use = t->uses[ix];
	return out->use != NULL;
}

int joint_place(struct joint_torrent *t, uint32_t piece_ix, uint32_t at_bytes,
		size_t len_bytes, struct joint_piece *out)
{
	uint32_t ix;

	if (!joint_is_any(t) ||
	    !place(t->mi, in_space(t, piece_ix, at_bytes), len_bytes, &ix, out))
		return ENOENT;
	return joint_use(t, ix, &out->use);
}

bool joint_has_leaf(const struct joint_file *f, uint32_t leaf)
{
	return f->leaves.data != NULL && bits_has(&f->leaves, leaf);
}

bool joint_has_all(const struct joint_piece *p)
{
	const struct bits *leaves = &p->use->file->leaves;

	return leaves->data != NULL &&
	       bits_next_clear(leaves, p->first) >= p->first + p->n;
}

/* Held, whoever knows it. */
static bool is_held(const struct joint_torrent *t, uint32_t ix)
{
	struct joint_piece p;

	if (bits_has(t->own, ix))
		return true;
	return joint_piece(t, ix, &p) && joint_has_all(&p) &&
	       (!t->mi->has_v1 || bits_has(&t->agreed, ix));
}

/* The next stretch of leaves that are there, from `*at` on. */
static bool next_leaves(const struct joint_piece *p, uint32_t *at, uint32_t *n)
{
	const struct bits *leaves = &p->use->file->leaves;
	uint32_t end = p->first + p->n;
	uint32_t from, to;

	if (leaves->data == NULL)
		return false;
	from = bits_next(leaves, *at);
	if (from >= end)
		return false;
	to = bits_next_clear(leaves, from);
	*at = from;
	*n = (to < end ? to : end) - from;
	return true;
}

/* ---- at the start ---- */

static void ask_later(struct joint_torrent *t, uint32_t ix)
{
	bits_set(&t->unsure, ix);
	loop_defer(t->all->cfg.loop, &t->task);
}

static int list_leaves(const struct joint_torrent *t, uint32_t ix,
		       const struct joint_piece *p, struct bits *leaves)
{
	uint64_t per_piece = t->mi->piece_bytes / MERKLE_LEAF_BYTES;
	uint64_t n_all = t->mi->n_pieces * per_piece;
	uint32_t at = p->first, n;

	if (n_all > UINT32_MAX)
		return 0; /* bits cannot number them; they come again */
	while (next_leaves(p, &at, &n)) {
		if (leaves->data == NULL &&
		    bits_init(leaves, (uint32_t)n_all) != 0)
			return ENOMEM;
		for (uint32_t end = at + n; at < end; at++)
			bits_set(leaves,
				 (uint32_t)(ix * per_piece) + at - p->first);
	}
	return 0;
}

static int begin_file(struct joint_torrent *t, const struct joint_use *use,
		      struct bits *held, struct bits *leaves)
{
	uint32_t last, ix = extent_pieces(t->mi, use->file_ix, &last);
	int err = 0;

	for (; ix <= last && err == 0; ix++) {
		struct joint_piece p;

		if (is_held(t, ix)) {
			bits_set(held, ix);
			continue;
		}
		joint_piece(t, ix, &p);
		err = list_leaves(t, ix, &p, leaves);
		if (joint_has_all(&p))
			ask_later(t, ix);
	}
	return err;
}

int joint_begin(struct joint_torrent *t, struct bits *held, struct bits *leaves)
{
	const struct joint_use *use;
	int err = 0;

	for (uint32_t ix = bits_next(t->own, 0); ix < t->own->n;
	     ix = bits_next(t->own, ix + 1))
		bits_set(held, ix);
	LIST_FOREACH (use, &t->list, of_torrent)
		if (err == 0 && use->file->leaves.n_set > 0)
			err = begin_file(t, use, held, leaves);
	bits_load(&t->told, held->data, bits_bytes(held->n));
	return err;
}

void joint_watch(struct joint_torrent *t, const struct store_share_ops *ops,
		 void *arg)
{
	t->ops = ops;
	t->arg = arg;
}

/* ---- telling ---- */

static void tell_leaves(struct joint_torrent *t, uint32_t ix,
			const struct joint_piece *p)
{
	uint32_t at = p->first, n;

	while (t->ops != NULL && next_leaves(p, &at, &n)) {
		uint64_t off = (uint64_t)at * MERKLE_LEAF_BYTES;
		uint64_t end = off + (uint64_t)n * MERKLE_LEAF_BYTES;

		if (end > p->use->file->bytes)
			end = p->use->file->bytes;
		t->ops->on_gained_leaves(t->arg, ix,
					 (uint32_t)(off % t->mi->piece_bytes),
					 (uint32_t)(end - off));
		at += n;
	}
}

static void tell_lost(struct joint_torrent *t, uint32_t ix)
{
	bits_clear(&t->told, ix);
	if (t->ops != NULL)
		t->ops->on_lost(t->arg, ix);
}

/* How it is now with one piece. */
static void look(struct joint_torrent *t, uint32_t ix)
{
	bool is_lossy = bits_has(&t->lossy, ix);
	struct joint_piece p;

	bits_clear(&t->changed, ix);
	bits_clear(&t->lossy, ix);
	if (is_held(t, ix)) {
		if (bits_has(&t->told, ix))
			return;
		bits_set(&t->told, ix);
		if (t->ops != NULL)
			t->ops->on_gained(t->arg, ix);
		return;
	}
	if (is_lossy)
		tell_lost(t, ix);
	if (t->mi == NULL || !joint_piece(t, ix, &p))
		return;
	if (joint_has_all(&p) && !bits_has(&t->agreed, ix))
		bits_set(&t->unsure, ix);
	tell_leaves(t, ix, &p);
}

/* ---- hybrids ---- */

static void ask_next(struct joint_torrent *t)
{
	struct joint_piece p;
	uint32_t ix;

	while (t->n_checking < t->all->cfg.checks_at_once &&
	       t->unsure.n_set > 0) {
		ix = bits_next(&t->unsure, 0);
		bits_clear(&t->unsure, ix);
		if (bits_has(&t->agreed, ix) || bits_has(t->own, ix) ||
		    !joint_piece(t, ix, &p) || !joint_has_all(&p))
			continue;
		t->n_checking += t->all->cfg.check(t, ix) == 0;
	}
}

void joint_checked(struct joint_torrent *t, uint32_t piece_ix, int err)
{
	t->n_checking--;
	if (err == 0)
		bits_set(&t->agreed, piece_ix);
	if (t->mi == NULL)
		return;
	if (err == 0)
		bits_set(&t->changed, piece_ix);
	loop_defer(t->all->cfg.loop, &t->task);
	if (err != EBADMSG || t->has_refused)
		return;
	t->has_refused = true;
	log_warn("store: %s: piece %u: v1 and v2 disagree; it is not kept for "
		 "this torrent",
		 t->mi->name, piece_ix);
	if (t->ops != NULL)
		t->ops->on_disputed(t->arg, piece_ix);
}

/* A piece at a time: whoever is told may close the torrent. */
void joint_on_turn(void *arg)
{
	struct joint_torrent *t = arg;

	t->all->cfg.hold(t);
	while (t->mi != NULL && t->changed.n_set > 0)
		look(t, bits_next(&t->changed, 0));
	if (t->mi != NULL)
		ask_next(t);
	t->all->cfg.drop(t);
}

/* ---- more, or less ---- */

/* The pieces of one use that have some of these leaves. */
static void mark(struct joint_use *use, const struct joint_piece *p,
		 bool is_loss)
{
	struct joint_torrent *t = use->t;
	uint64_t off, end;

	if (t->mi == NULL || use == p->use)
		return;
	off = t->mi->files[use->file_ix].off_bytes;
	end = off + (uint64_t)(p->first + p->n) * MERKLE_LEAF_BYTES;
	off += (uint64_t)p->first * MERKLE_LEAF_BYTES;
	for (; off < end;
	     off = (off / t->mi->piece_bytes + 1) * t->mi->piece_bytes) {
		uint32_t ix = (uint32_t)(off / t->mi->piece_bytes);

		bits_set(&t->changed, ix);
		if (is_loss)
			bits_set(&t->lossy, ix);
	}
	loop_defer(t->all->cfg.loop, &t->task);
}

static void mark_all(const struct joint_piece *p, bool is_loss)
{
	struct joint_use *use;

	LIST_FOREACH (use, &p->use->file->uses, link)
		mark(use, p, is_loss);
}

int joint_add(const struct joint_piece *p)
{
	struct joint_file *f = p->use->file;

	if (f->leaves.data == NULL && bits_init(&f->leaves, f->n_leaves) != 0)
		return ENOMEM;
	for (uint32_t i = p->first; i < p->first + p->n; i++)
		bits_set(&f->leaves, i);
	mark_all(p, false);
	return 0;
}

void joint_drop(const struct joint_piece *p)
{
	struct joint_file *f = p->use->file;

	if (f->leaves.data == NULL)
		return;
	for (uint32_t i = p->first; i < p->first + p->n; i++)
		bits_clear(&f->leaves, i);
	mark_all(p, true);
}

/* A piece that has changed and lies in this use of a file; false: none. */
static bool next_changed(const struct joint_use *use, uint32_t *ix)
{
	uint32_t last;

	if (use->t->mi == NULL)
		return false;
	*ix = extent_pieces(use->t->mi, use->file_ix, &last);
	*ix = bits_next(&use->t->changed, *ix);
	return *ix <= last && *ix < use->t->changed.n;
}

/* Who is told may close a torrent, and with it a use: so from the front again,
 * until nobody is left. */
static bool tell_next(struct joint_file *f)
{
	struct joint_use *use;
	uint32_t ix;

	LIST_FOREACH (use, &f->uses, link) {
		struct joint_torrent *t = use->t;

		if (!next_changed(use, &ix))
			continue;
		t->all->cfg.hold(t);
		look(t, ix);
		t->all->cfg.drop(t);
		return true;
	}
	return false;
}

void joint_evict(struct joint_file *f, uint32_t first, uint32_t n)
{
	const struct joint_piece p = {.first = first, .n = n};
	struct joint_use *use;

	if (f->leaves.data == NULL)
		return;
	for (uint32_t i = first; i < first + n; i++)
		bits_clear(&f->leaves, i);
	LIST_FOREACH (use, &f->uses, link)
		mark(use, &p, true);
	while (tell_next(f))
		;
}

void joint_kept(struct joint_torrent *t, uint32_t piece_ix)
{
	if (joint_is_any(t))
		bits_set(&t->told, piece_ix);
}

void joint_lost(struct joint_torrent *t, uint32_t piece_ix)
{
	if (joint_is_any(t))
		bits_clear(&t->told, piece_ix);
}

void joint_look(struct joint_torrent *t, uint32_t piece_ix)
{
	if (t->mi == NULL || !joint_is_any(t))
		return;
	bits_set(&t->changed, piece_ix);
	loop_defer(t->all->cfg.loop, &t->task);
}
