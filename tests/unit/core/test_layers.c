/* test_layers — what is believed of v2 hash trees, against trees computed level
 * by level from made-up leaves. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/core_limits.h"
#include "core/layers.h"
#include "core/mem.h"
#include "core/merkle.h"
#include "core/metainfo.h"

enum { H = HASH_SHA256_BYTES, LEVELS = 20, LEAF = MERKLE_LEAF_BYTES };

/* ---- fixture ---- */

/* A file's tree, whole: level[0] are its leaves, filled up. */
struct tree {
	unsigned height;
	uint32_t n_leaves;
	uint8_t *level[LEVELS];
};

struct world {
	struct hasher *h;
	struct metainfo mi;
	struct mi_file files[4];
	struct tree trees[4];
	uint8_t *layer[4];
	struct layers *ls;
	uint32_t piece_leaves;
};

static void tree_make(struct tree *t, struct hasher *h, uint32_t n_leaves,
		      uint32_t seed)
{
	uint32_t n;

	t->height = merkle_height(n_leaves);
	t->n_leaves = n_leaves;
	n = 1u << t->height;
	t->level[0] = mem_zalloc(n, H);
	for (uint32_t i = 0; i < n_leaves; i++) {
		uint32_t what[2] = {seed, i};

		hasher_once(h, HASH_SHA256, what, sizeof(what),
			    t->level[0] + (size_t)i * H);
	}
	for (unsigned l = 1; l <= t->height; l++) {
		n /= 2;
		t->level[l] = mem_zalloc(n, H);
		for (uint32_t i = 0; i < n; i++)
			hasher_once(h, HASH_SHA256,
				    t->level[l - 1] + (size_t)2 * i * H, 2 * H,
				    t->level[l] + (size_t)i * H);
	}
}

static void add_file(struct world *w, uint64_t len, uint32_t seed,
		     bool has_layer)
{
	struct metainfo *mi = &w->mi;
	uint32_t i = mi->n_files++;
	struct mi_file *f = &w->files[i];
	struct tree *t = &w->trees[i];
	uint32_t n_pieces = (uint32_t)((len - 1) / mi->piece_bytes) + 1;

	f->off_bytes = (uint64_t)mi->n_pieces * mi->piece_bytes;
	f->len_bytes = len;
	tree_make(t, w->h, (uint32_t)((len - 1) / LEAF) + 1, seed);
	f->root = t->level[t->height];
	if (has_layer && n_pieces > 1)
		f->layer = t->level[merkle_height(w->piece_leaves)];
	mi->n_pieces += n_pieces;
	mi->total_bytes = f->off_bytes + len;
}

static struct world *begin(uint32_t piece_leaves)
{
	struct world *w = mem_new(struct world);

	assert_int_equal(hasher_new(&w->h), 0);
	w->mi.has_v2 = true;
	w->mi.piece_bytes = piece_leaves * LEAF;
	w->piece_leaves = piece_leaves;
	w->mi.files = w->files;
	return w;
}

static void go(struct world *w)
{
	assert_int_equal(layers_new(&w->mi, &w->ls), 0);
}

static void end(struct world *w)
{
	layers_free(w->ls);
	for (uint32_t i = 0; i < w->mi.n_files; i++)
		for (unsigned l = 0; l < LEVELS; l++)
			mem_free(w->trees[i].level[l]);
	hasher_free(w->h);
	mem_free(w);
}

/* ---- helpers ---- */

/* The answer to a span, by the definition. Gives. */
static uint8_t *answer(const struct world *w, const struct hash_span *span,
		       uint32_t *n)
{
	const struct tree *t = &w->trees[span->file_ix];
	unsigned up = merkle_height(span->length);
	uint32_t at = span->length;
	uint8_t *out;

	*n = hash_span_n(span);
	out = mem_zalloc(*n, H);
	memcpy(out, t->level[span->base] + (size_t)span->index * H,
	       (size_t)span->length * H);
	for (unsigned l = up; l <= span->proof_layers; l++)
		memcpy(out + (size_t)at++ * H,
		       t->level[span->base + l] +
			       (size_t)((span->index >> l) ^ 1) * H,
		       H);
	assert_int_equal(at, *n);
	return out;
}

static int add(struct world *w, const struct hash_span *span)
{
	uint32_t n;
	uint8_t *hashes = answer(w, span, &n);
	int r = layers_add(w->ls, span, hashes, n);

	mem_free(hashes);
	return r;
}

/* Each hash of the answer, changed in one bit, or zero: refused. */
static void refuses_any_change(struct world *w, const struct hash_span *span)
{
	uint32_t n;
	uint8_t *hashes = answer(w, span, &n);

	for (uint32_t i = 0; i < n; i++) {
		uint8_t keep[H], *one = hashes + (size_t)i * H;

		memcpy(keep, one, H);
		one[i % H] ^= (uint8_t)(1u << i % 8);
		assert_int_equal(layers_add(w->ls, span, hashes, n), EBADMSG);
		memset(one, 0, H);
		if (memcmp(keep, one, H) != 0)
			assert_int_equal(layers_add(w->ls, span, hashes, n),
					 EBADMSG);
		memcpy(one, keep, H);
	}
	mem_free(hashes);
}

static const uint8_t *node_of(const struct world *w, uint32_t file_ix,
			      unsigned level, uint32_t ix)
{
	return w->trees[file_ix].level[level] + (size_t)ix * H;
}

static void same_answer(struct world *w, const struct hash_span *span)
{
	uint32_t n;
	uint8_t *want = answer(w, span, &n);
	uint8_t *got = mem_zalloc(n, H);
	int r;

	do {
		r = layers_get(w->ls, span, got);
	} while (r == EAGAIN);
	assert_int_equal(r, 0);
	assert_memory_equal(got, want, (size_t)n * H);
	mem_free(got);
	mem_free(want);
}

/* ---- tests ---- */

/* Of a magnet only roots are known: files of one piece have their hash, others
 * learn theirs span by span, whatever the number of pieces is. */
static void piece_hashes_are_learnt(void **state)
{
	static const uint32_t counts[] = {2, 3, 4, 5, 511, 512, 513, 514, 1025};

	(void)state;
	for (size_t k = 0; k < sizeof(counts) / sizeof(counts[0]); k++) {
		struct world *w = begin(2);
		uint32_t n = counts[k];
		struct hash_span span;
		uint8_t hash[H];

		add_file(w, 5, 1, false);
		add_file(w, (uint64_t)n * 2 * LEAF - LEAF - 7, 2, false);
		go(w);
		assert_true(layers_piece(w->ls, 0, hash));
		assert_memory_equal(hash, w->files[0].root, H);
		assert_false(layers_ask_piece(w->ls, 0, &span));
		assert_false(layers_is_whole(w->ls, 1));
		for (uint32_t i = 0; i < n; i++) {
			if (!layers_ask_piece(w->ls, 1 + i, &span))
				continue;
			assert_int_equal(i % HASH_SPAN_ASK, 0);
			assert_false(layers_piece(w->ls, 1 + i, hash));
			assert_int_equal(layers_check_span(w->ls, &span), 0);
			refuses_any_change(w, &span);
			assert_false(layers_piece(w->ls, 1 + i, hash));
			assert_int_equal(add(w, &span), 0);
			assert_int_equal(add(w, &span), 0);
		}
		for (uint32_t i = 0; i < n; i++) {
			assert_true(layers_piece(w->ls, 1 + i, hash));
			assert_memory_equal(hash, node_of(w, 1, 1, i), H);
		}
		assert_true(layers_is_whole(w->ls, 1));
		assert_false(layers_piece(w->ls, 1 + n, hash));
		end(w);
	}
}

/* Leaves are proven by their piece's hash where it is known, and else by the
 * root, which tells two piece hashes besides. */
static void leaves_are_learnt(void **state)
{
	(void)state;
	for (unsigned has_layer = 0; has_layer < 2; has_layer++) {
		struct world *w = begin(128);
		struct hash_span span;
		uint8_t hash[H];

		add_file(w, UINT64_C(5) * 128 * LEAF + 20 * LEAF + 1, 3,
			 has_layer != 0);
		go(w);
		assert_false(layers_leaf(w->ls, 2, 70, hash));
		assert_true(layers_ask_leaves(w->ls, 2, 70, 3, &span));
		assert_int_equal(span.length, LAYERS_ASK_LEAST);
		assert_int_equal(span.index, 2 * 128 + 64);
		assert_int_equal(span.proof_layers, has_layer ? 6 : 9);
		refuses_any_change(w, &span);
		assert_int_equal(add(w, &span), 0);
		for (uint32_t i = 0; i < 128; i++)
			assert_int_equal(layers_leaf(w->ls, 2, i, hash),
					 i >= 64);
		assert_memory_equal(hash, node_of(w, 0, 0, 2 * 128 + 127), H);
		assert_true(layers_piece(w->ls, 2, hash));
		assert_memory_equal(hash, node_of(w, 0, 7, 2), H);
		assert_true(layers_piece(w->ls, 3, hash));
		assert_memory_equal(hash, node_of(w, 0, 7, 3), H);
		assert_int_equal(layers_piece(w->ls, 4, hash), has_layer);
		assert_false(layers_ask_leaves(w->ls, 2, 100, 1, &span));

		/* Over the middle: all of the piece. */
		assert_true(layers_ask_leaves(w->ls, 2, 63, 2, &span));
		assert_int_equal(span.length, 128);
		assert_int_equal(span.proof_layers, 6);
		assert_int_equal(add(w, &span), 0);

		/* The last piece has 21 leaves, and 11 places for nobody. */
		assert_true(layers_ask_leaves(w->ls, 5, 20, 9, &span));
		assert_int_equal(span.length, 32);
		refuses_any_change(w, &span);
		assert_int_equal(add(w, &span), 0);
		assert_true(layers_leaf(w->ls, 5, 20, hash));
		assert_false(layers_leaf(w->ls, 5, 21, hash));
		assert_false(layers_ask_leaves(w->ls, 5, 21, 1, &span));
		layers_drop_leaves(w->ls, 5);
		assert_false(layers_leaf(w->ls, 5, 20, hash));
		end(w);
	}
}

/* Files smaller than a leaf have no tree; those of one piece have one over
 * the next power of two of their leaves. */
static void small_files(void **state)
{
	struct world *w = begin(64);
	struct hash_span span;
	uint8_t hash[H];

	(void)state;
	add_file(w, 1, 1, false);
	add_file(w, LEAF + 1, 2, false);
	add_file(w, 5 * LEAF, 3, false);
	go(w);
	assert_true(layers_leaf(w->ls, 0, 0, hash));
	assert_memory_equal(hash, w->files[0].root, H);
	assert_false(layers_ask_leaves(w->ls, 0, 0, 1, &span));
	span = (struct hash_span){.length = 2};
	assert_int_equal(layers_check_span(w->ls, &span), EINVAL);
	span.length = 1;
	assert_int_equal(layers_check_span(w->ls, &span), EINVAL);

	for (uint32_t i = 1; i < 3; i++) {
		assert_false(layers_leaf(w->ls, i, 0, hash));
		assert_true(layers_ask_leaves(w->ls, i, 0, 1, &span));
		assert_int_equal(span.length, i == 1 ? 2 : 8);
		assert_int_equal(hash_span_n(&span), span.length);
		refuses_any_change(w, &span);
		assert_int_equal(add(w, &span), 0);
		assert_true(layers_leaf(w->ls, i, 1, hash));
		assert_memory_equal(hash, node_of(w, i, 0, 1), H);
	}
	end(w);
}

/* Where a piece is a leaf its layer is all there is. */
static void pieces_of_one_leaf(void **state)
{
	struct world *w = begin(1);
	struct hash_span span;
	uint8_t hash[H];

	(void)state;
	add_file(w, 9 * LEAF, 1, false);
	go(w);
	assert_false(layers_leaf(w->ls, 8, 0, hash));
	assert_false(layers_ask_leaves(w->ls, 8, 0, 1, &span));
	assert_true(layers_ask_piece(w->ls, 8, &span));
	assert_int_equal(span.length, 16);
	refuses_any_change(w, &span);
	assert_int_equal(add(w, &span), 0);
	assert_true(layers_leaf(w->ls, 8, 0, hash));
	assert_memory_equal(hash, node_of(w, 0, 0, 8), H);
	assert_int_equal(layers_add_piece(w->ls, 8, hash, 1), 0);
	end(w);
}

/* No number of a stranger's makes anything but a refusal. */
static void wild_numbers(void **state)
{
	static const uint32_t wild[] = {
		0,    1,	  2,	      3,	  7,	     8,
		9,    16,	  511,	      512,	  513,	     8192,
		8193, 0x7fffffff, 0x80000000, 0xfffffffe, UINT32_MAX};
	enum { N = sizeof(wild) / sizeof(wild[0]) };
	struct world *w = begin(4);
	uint8_t *out = mem_zalloc(HASH_SPAN_MAX + 64, H);

	(void)state;
	add_file(w, 100 * LEAF, 1, true);
	go(w);
	for (uint32_t i = 0; i < N * N * N * N; i++) {
		struct hash_span span = {
			.base = wild[i % N],
			.index = wild[i / N % N],
			.length = wild[i / N / N % N],
			.proof_layers = wild[i / N / N / N],
		};
		int r = layers_check_span(w->ls, &span);
		uint64_t last = (uint64_t)span.index + span.length;

		if (r == 0) {
			assert_true(span.base < 7);
			assert_true(last << span.base <= 128);
			assert_true(span.proof_layers + span.base < 7);
			assert_true(layers_get(w->ls, &span, out) != EINVAL);
		} else {
			assert_int_equal(r, EINVAL);
			assert_int_equal(layers_get(w->ls, &span, out), EINVAL);
			assert_int_equal(layers_add(w->ls, &span, out,
						    hash_span_n(&span)),
					 EINVAL);
			assert_int_equal(layers_lacks_leaves(w->ls, &span),
					 UINT32_MAX);
		}
	}
	mem_free(out);
	end(w);
}

/* What leads nowhere known, or to a level that nobody needs, is no proof. */
static void ends_that_prove_nothing(void **state)
{
	struct world *w = begin(8);
	struct hash_span span = {.base = 3, .length = 2, .proof_layers = 0};
	uint8_t hash[H];

	(void)state;
	add_file(w, 100 * LEAF, 1, false);
	go(w);
	assert_int_equal(add(w, &span), EINVAL); /* not to the root */
	span.proof_layers = 3;
	assert_int_equal(add(w, &span), 0);
	span = (struct hash_span){.base = 2, .length = 2, .proof_layers = 4};
	assert_int_equal(add(w, &span), EINVAL); /* of no use */
	span = (struct hash_span){.length = 2, .proof_layers = 1};
	assert_int_equal(add(w, &span), EINVAL); /* below the pieces */
	span.proof_layers = 2;
	assert_int_equal(add(w, &span), 0); /* to piece 0, which is known */
	span.index = 8 * 5;
	assert_int_equal(add(w, &span), EINVAL); /* piece 5 is not */
	span.index = 8 * 13;
	assert_int_equal(add(w, &span), EINVAL); /* piece 13 is behind the end
						  */
	span = (struct hash_span){
		.index = 8 * 5, .length = 1, .proof_layers = 6};
	assert_int_equal(add(w, &span), 0); /* one leaf, to the root */
	assert_true(layers_leaf(w->ls, 5, 0, hash));
	assert_true(layers_piece(w->ls, 5, hash));
	span = (struct hash_span){.length = 32, .proof_layers = 6};
	assert_int_equal(add(w, &span), 0); /* four pieces at once */
	for (uint32_t i = 0; i < 4; i++) {
		assert_true(layers_leaf(w->ls, i, 7, hash));
		assert_memory_equal(hash, node_of(w, 0, 0, i * 8 + 7), H);
		assert_true(layers_piece(w->ls, i, hash));
		assert_memory_equal(hash, node_of(w, 0, 3, i), H);
	}
	span = (struct hash_span){
		.index = 8 * 15, .length = 8, .proof_layers = 6};
	assert_int_equal(add(w, &span), 0); /* true, and of nobody's piece */
	assert_false(layers_leaf(w->ls, 15, 0, hash));
	span.file_ix = 1;
	assert_int_equal(layers_check_span(w->ls, &span), ENOENT);
	end(w);
}

/* Whoever knows all can answer every span of every tree as the definition has
 * it; leaves once they are computed. */
static void all_spans_are_told(void **state)
{
	static const uint32_t leaves[] = {2, 5, 33, 64, 65, 100};

	(void)state;
	for (size_t k = 0; k < sizeof(leaves) / sizeof(leaves[0]); k++) {
		struct world *w = begin(8);
		const struct tree *t = &w->trees[0];
		uint32_t piece_ix;

		add_file(w, (uint64_t)leaves[k] * LEAF, 1, true);
		go(w);
		for (unsigned base = 0; base < t->height; base++)
			for (unsigned up = 0; up <= t->height - base; up++)
				for (unsigned p = 0; p < t->height - base; p++)
					for (uint32_t i = 0;
					     i < 1u << (t->height - base - up);
					     i++) {
						struct hash_span s = {
							.base = base,
							.index = i << up,
							.length = 1u << up,
							.proof_layers = p,
						};

						piece_ix = layers_lacks_leaves(
							w->ls, &s);
						if (piece_ix != UINT32_MAX) {
							uint32_t at =
								piece_ix * 8;
							uint32_t n =
								leaves[k] - at;

							assert_int_equal(
								layers_add_piece(
									w->ls,
									piece_ix,
									node_of(w,
										0,
										0,
										at),
									n < 8 ? n
									      : 8),
								0);
							i--;
							continue;
						}
						same_answer(w, &s);
					}
		end(w);
	}
}

/* Far above the pieces, nodes are kept: of 1025 and of more. */
static void high_trees_are_told(void **state)
{
	struct world *w = begin(1);
	struct hash_span span = {.length = 512, .proof_layers = 14};

	(void)state;
	add_file(w, UINT64_C(20000) * LEAF, 1, true);
	go(w);
	for (uint32_t i = 0; i < 64; i++) {
		span.index = i * 512;
		same_answer(w, &span);
	}
	span = (struct hash_span){.index = 512, .length = 1, .proof_layers = 9};
	same_answer(w, &span); /* as libtorrent asks for the last of 513 */
	end(w);
}

/* Not told: what is not known, and what leaves would not help with. */
static void nothing_unknown_is_told(void **state)
{
	struct world *w = begin(4);
	struct hash_span pieces = {.base = 2, .length = 8, .proof_layers = 3};
	struct hash_span leaves = {.length = 4, .proof_layers = 1};
	uint8_t out[64 * H];

	(void)state;
	add_file(w, 64 * LEAF, 1, false);
	go(w);
	assert_int_equal(layers_get(w->ls, &pieces, out), ENOENT);
	assert_int_equal(layers_get(w->ls, &leaves, out), ENOENT);
	assert_int_equal(layers_lacks_leaves(w->ls, &pieces), UINT32_MAX);
	assert_int_equal(layers_lacks_leaves(w->ls, &leaves), UINT32_MAX);
	assert_int_equal(add(w, &pieces), 0);
	assert_int_equal(layers_get(w->ls, &pieces, out),
			 ENOENT); /* an uncle */
	pieces.proof_layers = 2;
	same_answer(w, &pieces);
	assert_int_equal(layers_lacks_leaves(w->ls, &leaves), 0);
	assert_int_equal(layers_add_piece(w->ls, 0, node_of(w, 0, 0, 4), 4),
			 EBADMSG);
	assert_int_equal(layers_add_piece(w->ls, 0, node_of(w, 0, 0, 0), 3),
			 EINVAL);
	assert_int_equal(layers_add_piece(w->ls, 9, node_of(w, 0, 0, 36), 4),
			 ENOENT);
	assert_int_equal(layers_add_piece(w->ls, 0, node_of(w, 0, 0, 0), 4), 0);
	assert_int_equal(layers_lacks_leaves(w->ls, &leaves), UINT32_MAX);
	same_answer(w, &leaves);
	end(w);
}

/* Equal files are one tree; a root that two lengths share is two. */
static void equal_files_know_the_same(void **state)
{
	struct world *w = begin(2);
	struct hash_span span;
	uint8_t hash[H];

	(void)state;
	add_file(w, 7 * 2 * LEAF, 1, false);
	add_file(w, 7 * 2 * LEAF, 1, false);
	add_file(w, 9 * 2 * LEAF, 2, false);
	w->files[2].root = w->files[0].root;
	go(w);
	assert_true(layers_ask_piece(w->ls, 7, &span));
	assert_int_equal(span.file_ix, 1);
	assert_int_equal(add(w, &span), 0);
	assert_true(layers_piece(w->ls, 0, hash));
	assert_true(layers_is_whole(w->ls, 0));
	assert_false(layers_is_whole(w->ls, 2));
	assert_true(layers_ask_leaves(w->ls, 0, 0, 1, &span));
	assert_int_equal(add(w, &span), 0);
	assert_true(layers_leaf(w->ls, 7, 1, hash));
	assert_int_equal(layers_find(w->ls, w->files[0].root, 0), 0);
	assert_int_equal(layers_find(w->ls, w->files[0].root, 1), 1);
	assert_int_equal(layers_find(w->ls, w->files[0].root, 2), 2);
	assert_int_equal(layers_find(w->ls, w->files[0].root, 3), 3);
	assert_int_equal(layers_find(w->ls, hash, 0), 3);
	end(w);
}

/* Leaves are kept up to a limit, and what is used stays longest. */
static void leaves_make_room(void **state)
{
	struct world *w = begin(64);
	uint8_t hash[H];

	(void)state;
	add_file(w, UINT64_C(64) * LEAF * 16, 1, true);
	go(w);
	/* Sixteen pieces fit; their cache is full of others otherwise. */
	for (uint32_t i = 0; i < 16; i++)
		assert_int_equal(layers_add_piece(w->ls, i,
						  node_of(w, 0, 0, i * 64), 64),
				 0);
	for (uint32_t i = 0; i < 16; i++)
		assert_true(layers_leaf(w->ls, i, 63, hash));
	end(w);

	w = begin(1024);
	add_file(w, UINT64_C(1024) * LEAF * 16 * 9, 1, true);
	go(w);
	for (uint32_t i = 0; i < 129; i++) {
		assert_int_equal(layers_add_piece(w->ls, i,
						  node_of(w, 0, 0, i * 1024),
						  1024),
				 0);
		assert_true(layers_leaf(w->ls, 0, 5, hash));
	}
	assert_false(layers_leaf(w->ls, 1, 5, hash));
	assert_true(layers_leaf(w->ls, 2, 5, hash));
	end(w);
}

/* Each allocation fails once: what was known stays known, and no more is. */
static void survives_no_memory(void **state)
{
	struct hash_span span;
	struct world *w;
	uint8_t hash[H];
	int r = ENOMEM;

	(void)state;
	for (uint64_t n = 0; r != 0; n++) {
		w = begin(4);
		add_file(w, 64 * LEAF, 1, false);
		mem_fail_after(n, 0);
		r = layers_new(&w->mi, &w->ls);
		mem_fail_after(UINT64_MAX, 0);
		assert_true(r == 0 || r == ENOMEM);
		end(w);
	}
	r = ENOMEM;
	for (uint64_t n = 0; r != 0; n++) {
		uint32_t count;
		uint8_t *hashes;

		w = begin(4);
		add_file(w, 64 * LEAF, 1, false);
		go(w);
		assert_true(layers_ask_leaves(w->ls, 1, 0, 4, &span));
		hashes = answer(w, &span, &count);
		mem_fail_after(n, 0);
		r = layers_add(w->ls, &span, hashes, count);
		mem_fail_after(UINT64_MAX, 0);
		assert_true(r == 0 || r == ENOMEM);
		assert_int_equal(layers_leaf(w->ls, 1, 0, hash), r == 0);
		assert_int_equal(layers_piece(w->ls, 1, hash), r == 0);
		mem_free(hashes);
		end(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(piece_hashes_are_learnt),
		cmocka_unit_test(leaves_are_learnt),
		cmocka_unit_test(small_files),
		cmocka_unit_test(pieces_of_one_leaf),
		cmocka_unit_test(wild_numbers),
		cmocka_unit_test(ends_that_prove_nothing),
		cmocka_unit_test(all_spans_are_told),
		cmocka_unit_test(high_trees_are_told),
		cmocka_unit_test(nothing_unknown_is_told),
		cmocka_unit_test(equal_files_know_the_same),
		cmocka_unit_test(leaves_make_room),
		cmocka_unit_test(survives_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
