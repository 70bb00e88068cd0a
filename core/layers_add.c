/* layers_add — hashes of strangers, proven, and kept.
 *
 * A span is proven by where it leads to: its nodes make one node, and that one
 * and its uncles make another, further up, which must be known: the piece's
 * hash, or the root. On the way to the root a span of leaves passes the piece
 * level; so the piece's hash is proven with it, and that of the neighbour.
 *
 * Everything is checked, and memory is taken, before anything is kept. */
#include "core/layers_internal.h"

#include <errno.h>
#include <string.h>

#include "core/core_limits.h"
#include "core/mem.h"
#include "core/merkle.h"

enum { H = HASH_SHA256_BYTES };

/* ---- zeros ---- */

/* Is node `index` of `level` what can be there at all? `pad` is that level's.
 */
static bool is_plausible(const struct layers *ls, const struct layers_shape *s,
			 unsigned level, uint64_t index, const uint8_t *hash,
			 const uint8_t *pad)
{
	if (index << level >= s->n_leaves)
		return memcmp(hash, pad, H) == 0;
	return memcmp(hash, ls->zeros, H) != 0;
}

static bool are_plausible(const struct layers *ls, const struct layers_shape *s,
			  const struct hash_span *span, const uint8_t *hashes)
{
	unsigned up = hash_span_up(span), n = hash_span_uncles(span);
	uint8_t pad[H];

	merkle_pad(ls->hasher, span->base, pad);
	for (uint32_t i = 0; i < span->length; i++)
		if (!is_plausible(ls, s, span->base, (uint64_t)span->index + i,
				  hashes + (size_t)i * H, pad))
			return false;
	hashes += (size_t)span->length * H;
	for (unsigned i = 0; i < n; i++) {
		unsigned level = span->base + up + i;
		uint64_t index = (uint64_t)span->index >> (up + i);

		merkle_pad(ls->hasher, level, pad);
		if (!is_plausible(ls, s, level, index ^ 1,
				  hashes + (size_t)i * H, pad))
			return false;
	}
	return true;
}

/* ---- proof ---- */

/* The node of level base + `up` that the span and its uncles lead to; not below
 * the span's own. */
static void lead(const struct layers *ls, const struct hash_span *span,
		 const uint8_t *hashes, unsigned up, uint8_t out[H])
{
	unsigned own = hash_span_up(span);

	merkle_node(ls->hasher, hashes, span->length, 0, 0, own, out);
	merkle_climb(ls->hasher, out, (uint64_t)span->index >> own,
		     hashes + (size_t)span->length * H, up - own);
}

static int prove(const struct layers *ls, const struct layers_shape *s,
		 const struct hash_span *span, const uint8_t *hashes)
{
	unsigned own = hash_span_up(span);
	unsigned top = span->base + own + hash_span_uncles(span);
	const uint8_t *want = s->root;
	uint8_t got[H];

	if (top != s->height) {
		uint64_t nth = (uint64_t)span->index >> s->piece_level;

		if (span->base != 0 || top != s->piece_level)
			return EINVAL;
		if (nth >= s->n_pieces)
			return EINVAL;
		want = layers_hash(s, (uint32_t)nth);
		if (want == NULL)
			return EINVAL;
	}
	if (!are_plausible(ls, s, span, hashes))
		return EBADMSG;
	lead(ls, span, hashes, top - span->base, got);
	return memcmp(got, want, H) == 0 ? 0 : EBADMSG;
}

/* ---- keeping it ---- */

static void keep_pieces(const struct layers_shape *s,
			const struct hash_span *span, const uint8_t *hashes)
{
	for (uint32_t i = 0; i < span->length; i++) {
		uint64_t nth = (uint64_t)span->index + i;

		if (nth < s->n_pieces)
			layers_keep(s, (uint32_t)nth, hashes + (size_t)i * H);
	}
}

/* Of a span of leaves that leads to the root: its pieces' hashes, and, when it
 * lies within one, that of the piece beside it. */
static void keep_passed(const struct layers *ls, const struct layers_shape *s,
			const struct hash_span *span, const uint8_t *hashes)
{
	unsigned own = hash_span_up(span);
	uint64_t nth = (uint64_t)span->index >> s->piece_level;
	uint8_t hash[H];

	if (s->tree == NULL)
		return;
	if (own <= s->piece_level) {
		const uint8_t *uncle = hashes + (size_t)span->length * H +
				       (size_t)(s->piece_level - own) * H;

		lead(ls, span, hashes, s->piece_level, hash);
		if (nth < s->n_pieces)
			layers_keep(s, (uint32_t)nth, hash);
		if ((nth ^ 1) < s->n_pieces)
			layers_keep(s, (uint32_t)(nth ^ 1), uncle);
		return;
	}
	for (uint32_t i = 0; i < span->length >> s->piece_level; i++) {
		if (nth + i >= s->n_pieces)
			return;
		merkle_node(ls->hasher, hashes, span->length, 0, i,
			    s->piece_level, hash);
		layers_keep(s, (uint32_t)(nth + i), hash);
	}
}

static void keep_leaves(struct layers_leaves *l, uint32_t first, uint32_t n,
			const uint8_t *hashes)
{
	for (uint32_t i = 0; i < n && first + i < l->n; i++) {
		memcpy(l->hash + (size_t)(first + i) * H,
		       hashes + (size_t)i * H, H);
		if (!bits_has(&l->known, first + i))
			bits_set(&l->known, first + i);
	}
}

/* A span over several pieces may be longer than the cache; what does not fit
 * goes again, and costs nobody anything but asking anew. */
static int add_leaves(struct layers *ls, const struct layers_shape *s,
		      const struct hash_span *span, const uint8_t *hashes)
{
	uint32_t in_piece = UINT32_C(1) << s->piece_level;
	uint32_t step = span->length < in_piece ? span->length : in_piece;

	for (uint32_t i = 0; i < span->length; i += step) {
		uint64_t at = (uint64_t)span->index + i;
		uint64_t nth = at >> s->piece_level;
		struct layers_leaves *l;

		if (nth >= s->n_pieces || at >= s->n_leaves)
			break;
		l = layers_leaves_make(ls, s, (uint32_t)nth);
		if (l == NULL)
			return ENOMEM;
		keep_leaves(l, (uint32_t)(at % in_piece), step,
			    hashes + (size_t)i * H);
	}
	return 0;
}

int layers_add(struct layers *ls, const struct hash_span *span,
	       const uint8_t *hashes, size_t n)
{
	struct layers_shape s;
	bool is_leaves, is_to_root;
	int r = layers_check_span(ls, span);

	if (r != 0)
		return r;
	(void)layers_shape_of(ls, span->file_ix, &s);
	is_leaves = span->base == 0 && s.piece_level != 0;
	if (n != hash_span_n(span) ||
	    (!is_leaves && span->base != s.piece_level))
		return EINVAL;
	r = prove(ls, &s, span, hashes);
	if (r != 0)
		return r;
	is_to_root = span->base + hash_span_up(span) + hash_span_uncles(span) ==
		     s.height;
	if (is_to_root && layers_keep_room(&s) != 0)
		return ENOMEM;
	if (!is_leaves) {
		keep_pieces(&s, span, hashes);
		return 0;
	}
	r = add_leaves(ls, &s, span, hashes);
	if (r == 0 && is_to_root)
		keep_passed(ls, &s, span, hashes);
	return r;
}

int layers_add_piece(struct layers *ls, uint32_t piece_ix,
		     const uint8_t *leaves, uint32_t n)
{
	struct layers_leaves *l;
	struct layers_shape s;
	const uint8_t *want;
	uint8_t got[H];
	uint32_t nth;

	if (!layers_at(ls, piece_ix, &s, &nth))
		return ENOENT;
	if (n != layers_n_leaves(&s, nth))
		return EINVAL;
	want = layers_hash(&s, nth);
	if (want == NULL)
		return ENOENT;
	merkle_node(ls->hasher, leaves, n, 0, 0, s.piece_level, got);
	if (memcmp(got, want, H) != 0)
		return EBADMSG;
	if (s.piece_level == 0)
		return 0; /* known, then */
	l = layers_leaves_make(ls, &s, nth);
	if (l == NULL)
		return ENOMEM;
	keep_leaves(l, 0, n, leaves);
	return 0;
}
