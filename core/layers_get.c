/* layers_get — what is known, told to others: the nodes of a span, and its
 * uncles.
 *
 * A node at or above the piece level is computed from piece hashes, one below
 * it from the piece's leaves. Twelve levels over a file of a million pieces
 * would be as many hashes for each request; so the nodes LAYERS_TOP_UP levels
 * above the pieces are kept once they were needed, and are computed at most
 * LAYERS_TURN_NODES hashes' worth at a time. What a request costs after that
 * is bounded by 512 hashes a level and the number of kept nodes (4096). */
#include "core/layers_internal.h"

#include <errno.h>
#include <string.h>

#include "core/core_limits.h"
#include "core/mem.h"
#include "core/merkle.h"

enum { H = HASH_SHA256_BYTES, TOP_PIECES = 1 << LAYERS_TOP_UP };

static uint32_t n_tops(const struct layers_tree *tree)
{
	return (tree->n_pieces - 1) / TOP_PIECES + 1;
}

/* 0: all there; EAGAIN: not yet; ENOENT: cannot be. */
static int make_tops(struct layers *ls, const struct layers_shape *s)
{
	struct layers_tree *tree = s->tree;
	uint32_t budget = LAYERS_TURN_NODES / TOP_PIECES;

	if (tree == NULL || tree->layer == NULL)
		return ENOENT;
	if (tree->tops == NULL)
		tree->tops = mem_zalloc(n_tops(tree), H);
	if (tree->tops == NULL)
		return ENOMEM;
	while (tree->n_tops < n_tops(tree) && budget-- > 0) {
		merkle_node(ls->hasher, tree->layer, tree->n_pieces,
			    s->piece_level, tree->n_tops, LAYERS_TOP_UP,
			    tree->tops + (size_t)tree->n_tops * H);
		tree->n_tops++;
	}
	return tree->n_tops < n_tops(tree) ? EAGAIN : 0;
}

/* The nodes of a level up to LAYERS_TOP_UP above the pieces. */
static int low_node(struct layers *ls, const struct layers_shape *s,
		    uint64_t index, unsigned up, uint8_t out[H])
{
	uint64_t first = index << up, end = (index + 1) << up;

	if (end > s->n_pieces)
		end = s->n_pieces;
	for (uint64_t i = first; i < end; i++)
		if (layers_hash(s, (uint32_t)i) == NULL)
			return ENOENT;
	if (up == 0)
		memcpy(out, layers_hash(s, (uint32_t)index), H);
	else
		merkle_node(ls->hasher,
			    s->tree->layer != NULL ? s->tree->layer
						   : s->tree->own,
			    s->n_pieces, s->piece_level, index, up, out);
	return 0;
}

static int leaf_node(struct layers *ls, const struct layers_shape *s,
		     unsigned level, uint64_t index, uint8_t out[H])
{
	unsigned down = s->piece_level - level;
	uint32_t nth = (uint32_t)(index >> down);
	uint32_t local = (uint32_t)(index - ((uint64_t)nth << down));
	const struct layers_leaves *l = layers_leaves_get(ls, s, nth);
	uint32_t end = (local + 1) << level;

	if (l == NULL)
		return ENOENT;
	if (end > l->n)
		end = l->n;
	if (bits_next_clear(&l->known, local << level) < end)
		return ENOENT;
	if (level == 0)
		memcpy(out, l->hash + (size_t)local * H, H);
	else
		merkle_node(ls->hasher, l->hash, l->n, 0, local, level, out);
	return 0;
}

/* One node of the tree. */
static int node(struct layers *ls, const struct layers_shape *s, unsigned level,
		uint64_t index, uint8_t out[H])
{
	unsigned up;
	int r;

	if (index << level >= s->n_leaves) {
		merkle_pad(ls->hasher, level, out);
		return 0;
	}
	if (level < s->piece_level)
		return leaf_node(ls, s, level, index, out);
	up = level - s->piece_level;
	if (up <= LAYERS_TOP_UP)
		return low_node(ls, s, index, up, out);
	r = make_tops(ls, s);
	if (r == 0)
		merkle_node(ls->hasher, s->tree->tops, s->tree->n_tops,
			    s->piece_level + LAYERS_TOP_UP, index,
			    up - LAYERS_TOP_UP, out);
	return r;
}

int layers_get(struct layers *ls, const struct hash_span *span, uint8_t *out)
{
	unsigned up = hash_span_up(span), n;
	struct layers_shape s;
	int r = layers_check_span(ls, span);

	if (r != 0)
		return r;
	n = hash_span_uncles(span);
	(void)layers_shape_of(ls, span->file_ix, &s);
	/* The uncles first: they may have to wait. */
	for (unsigned i = 0; r == 0 && i < n; i++)
		r = node(ls, &s, span->base + up + i,
			 ((uint64_t)span->index >> (up + i)) ^ 1,
			 out + ((size_t)span->length + i) * H);
	for (uint32_t i = 0; r == 0 && i < span->length; i++)
		r = node(ls, &s, span->base, (uint64_t)span->index + i,
			 out + (size_t)i * H);
	return r;
}

/* ---- what is missing ---- */

static bool has_pieces(const struct layers_shape *s, uint64_t first,
		       uint64_t end)
{
	for (; first < end && first < s->n_pieces; first++)
		if (layers_hash(s, (uint32_t)first) == NULL)
			return false;
	return true;
}

/* Are the uncles at and above the piece level to be had? */
static bool has_uncles(const struct layers_shape *s,
		       const struct hash_span *span)
{
	unsigned up = hash_span_up(span), n = hash_span_uncles(span);

	for (unsigned i = 0; i < n; i++) {
		unsigned level = span->base + up + i;
		uint64_t index = ((uint64_t)span->index >> (up + i)) ^ 1;
		unsigned down;

		if (level < s->piece_level)
			continue;
		down = level - s->piece_level;
		if (!has_pieces(s, index << down, (index + 1) << down))
			return false;
	}
	return true;
}

uint32_t layers_lacks_leaves(const struct layers *ls,
			     const struct hash_span *span)
{
	struct layers_shape s;
	uint64_t first, end;

	if (layers_check_span(ls, span) != 0)
		return UINT32_MAX;
	(void)layers_shape_of(ls, span->file_ix, &s);
	if (span->base >= s.piece_level || !has_uncles(&s, span))
		return UINT32_MAX;
	first = ((uint64_t)span->index << span->base) >> s.piece_level;
	end = ((((uint64_t)span->index + span->length) << span->base) - 1) >>
	      s.piece_level;
	if (!has_pieces(&s, first, end + 1))
		return UINT32_MAX;
	for (; first <= end && first < s.n_pieces; first++) {
		const struct layers_leaves *l =
			layers_leaves_look(ls, &s, (uint32_t)first);

		if (l == NULL || !bits_is_full(&l->known))
			return s.first_piece + (uint32_t)first;
	}
	return UINT32_MAX;
}
