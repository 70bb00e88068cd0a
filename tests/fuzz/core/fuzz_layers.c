/* Spans of any numbers, with right hashes, wrong ones and zeros, in any order,
 * into trees of any shape: what is known afterwards is what is so, what is told
 * is what is so, and no number does harm.
 *
 * An input: leaves, log2 of a piece's leaves, and whether the layer came with
 * the metainfo; then operations, of a byte each and their numbers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/core_limits.h"
#include "core/layers.h"
#include "core/mem.h"
#include "core/merkle.h"
#include "core/metainfo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { H = HASH_SHA256_BYTES, LEVELS = 9, LEAF = MERKLE_LEAF_BYTES };

struct play {
	const uint8_t *p;
	size_t len;
	struct hasher *h;
	struct metainfo mi;
	struct mi_file file;
	struct layers *ls;
	uint32_t n_leaves, piece_leaves;
	unsigned height;
	uint8_t *level[LEVELS];
};

static void must(bool is_so)
{
	if (!is_so)
		abort();
}

static uint32_t byte(struct play *play)
{
	if (play->len == 0)
		return 0;
	play->len--;
	return *play->p++;
}

static uint32_t word(struct play *play)
{
	uint32_t v = byte(play) << 24;

	v |= byte(play) << 16;
	v |= byte(play) << 8;
	return v | byte(play);
}

/* ---- the tree, by its definition ---- */

static void grow(struct play *play)
{
	uint32_t n = 1u << play->height;

	play->level[0] = mem_zalloc(n, H);
	for (uint32_t i = 0; i < play->n_leaves; i++)
		hasher_once(play->h, HASH_SHA256, &i, sizeof(i),
			    play->level[0] + (size_t)i * H);
	for (unsigned l = 1; l <= play->height; l++) {
		n /= 2;
		play->level[l] = mem_zalloc(n, H);
		for (uint32_t i = 0; i < n; i++)
			hasher_once(play->h, HASH_SHA256,
				    play->level[l - 1] + (size_t)2 * i * H,
				    2 * H, play->level[l] + (size_t)i * H);
	}
}

static void begin(struct play *play)
{
	unsigned up = byte(play) % 5;
	bool has_layer = byte(play) % 2 == 1;
	struct metainfo *mi = &play->mi;

	must(hasher_new(&play->h) == 0);
	play->n_leaves = byte(play) + 1;
	play->height = merkle_height(play->n_leaves);
	play->piece_leaves = 1u << up;
	grow(play);
	mi->has_v2 = true;
	mi->files = &play->file;
	mi->n_files = 1;
	mi->piece_bytes = play->piece_leaves * LEAF;
	mi->total_bytes = (uint64_t)play->n_leaves * LEAF - 3;
	mi->n_pieces = (uint32_t)((mi->total_bytes - 1) / mi->piece_bytes) + 1;
	play->file.len_bytes = mi->total_bytes;
	play->file.root = play->level[play->height];
	if (has_layer && mi->n_pieces > 1)
		play->file.layer = play->level[up];
	must(layers_new(mi, &play->ls) == 0);
}

/* Their hashes, if there is such a span. */
static bool answer(const struct play *play, const struct hash_span *span,
		   uint8_t *out)
{
	unsigned up = merkle_height(span->length);

	if (layers_check_span(play->ls, span) != 0)
		return false;
	memcpy(out, play->level[span->base] + (size_t)span->index * H,
	       (size_t)span->length * H);
	out += (size_t)span->length * H;
	for (; up <= span->proof_layers; up++, out += H)
		memcpy(out,
		       play->level[span->base + up] +
			       (size_t)((span->index >> up) ^ 1) * H,
		       H);
	return true;
}

static void check_known(const struct play *play)
{
	unsigned up = merkle_height(play->piece_leaves);
	uint8_t hash[H];

	for (uint32_t i = 0; i < play->mi.n_pieces; i++) {
		const uint8_t *want = play->mi.n_pieces == 1
					      ? play->file.root
					      : play->level[up] + (size_t)i * H;

		if (layers_piece(play->ls, i, hash))
			must(memcmp(hash, want, H) == 0);
		for (uint32_t k = 0; k < play->piece_leaves; k++)
			if (layers_leaf(play->ls, i, k, hash))
				must(memcmp(hash,
					    play->level[0] +
						    (size_t)(i * play->piece_leaves +
							     k) *
							    H,
					    H) == 0);
	}
}

/* ---- operations ---- */

static struct hash_span read_span(struct play *play, bool is_wide)
{
	struct hash_span span = {0};

	if (is_wide) {
		span.file_ix = byte(play) % 3 == 2;
		span.base = word(play);
		span.index = word(play);
		span.length = word(play);
		span.proof_layers = word(play);
		return span;
	}
	span.base = byte(play) % LEVELS;
	span.length = 1u << byte(play) % LEVELS;
	span.index = byte(play) * span.length;
	span.proof_layers = byte(play) % LEVELS;
	return span;
}

static struct hash_span asked_span(struct play *play)
{
	struct hash_span span = {0};
	uint32_t ix = byte(play) % play->mi.n_pieces;

	if (byte(play) % 2 == 0)
		(void)layers_ask_piece(play->ls, ix, &span);
	else
		(void)layers_ask_leaves(play->ls, ix, byte(play), byte(play),
					&span);
	return span;
}

static void add(struct play *play, const struct hash_span *span, uint32_t how)
{
	uint32_t n = hash_span_n(span);
	uint8_t *hashes = mem_zalloc(n + 1u, H);
	bool is_there = answer(play, span, hashes), is_changed = false;
	int r;

	if (n > 0 && how % 4 == 1) {
		hashes[word(play) % (n * H)] ^= (uint8_t)(byte(play) | 1);
		is_changed = true;
	}
	if (n > 0 && how % 4 == 2)
		memset(hashes + (size_t)(byte(play) % n) * H, 0, H);
	r = layers_add(play->ls, span, hashes, how % 4 == 3 ? n + 1u : n);
	must(is_there || r == EINVAL || r == ENOENT);
	must(r == 0 || r == EBADMSG || r == EINVAL || r == ENOENT);
	must(!is_changed || r != 0);
	mem_free(hashes);
}

static void get(struct play *play, const struct hash_span *span)
{
	uint32_t n = hash_span_n(span);
	uint8_t *got = mem_zalloc(n + 1u, H), *want = mem_zalloc(n + 1u, H);
	bool is_there = answer(play, span, want);
	int r = layers_get(play->ls, span, got);
	uint32_t ix = layers_lacks_leaves(play->ls, span);

	must(is_there || r == EINVAL || r == ENOENT);
	must(r == 0 || r == EINVAL || r == ENOENT);
	must(r != 0 || memcmp(got, want, (size_t)n * H) == 0);
	must(ix == UINT32_MAX || ix < play->mi.n_pieces);
	mem_free(got);
	mem_free(want);
}

static void add_piece(struct play *play)
{
	uint32_t ix = byte(play) % play->mi.n_pieces;
	uint32_t first = ix * play->piece_leaves;
	uint32_t n = play->n_leaves - first;

	if (n > play->piece_leaves)
		n = play->piece_leaves;
	(void)layers_add_piece(play->ls, ix, play->level[0] + (size_t)first * H,
			       n);
}

static void run(struct play *play)
{
	struct hash_span span;

	while (play->len > 0) {
		uint32_t op = byte(play);

		switch (op % 8) {
		case 0:
		case 1:
			span = asked_span(play);
			add(play, &span, op / 8);
			break;
		case 2:
		case 3:
			span = read_span(play, op % 2 == 1);
			add(play, &span, op / 8);
			break;
		case 4:
		case 5:
			span = read_span(play, op % 2 == 1);
			get(play, &span);
			break;
		case 6:
			add_piece(play);
			break;
		case 7:
			layers_drop_leaves(play->ls, byte(play));
			break;
		}
		check_known(play);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct play play = {.p = data, .len = len < 512 ? len : 512};

	begin(&play);
	run(&play);
	layers_free(play.ls);
	for (unsigned l = 0; l < LEVELS; l++)
		mem_free(play.level[l]);
	hasher_free(play.h);
	return 0;
}
