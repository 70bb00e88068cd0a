/* hashkeep — the store's memory of hash trees.
 *
 * What. Piece hashes, in spans of HASH_SPAN_ASK with the uncles that prove them
 * by the root, whoever they came from: a store that remembers a torrent
 * remembers its info dictionary, and the layers are not in it. Leaves that were
 * asked of peers or computed for them.
 *
 * Happy path of a start: file by file, the last span first. Known, and the
 * store has the same: the file is done. Known, and it has not: put. Not known,
 * but there: its uncles are read, one after the other, and it is proven anew
 * like a stranger's. One read is under way at a time, of a few KiB.
 *
 * Failure modes. Zeros, or what proves nothing (an old crash, a disk that
 * lies): as if nothing were there; peers are asked. A store that keeps no
 * nodes: nothing is tried again.
 *
 * A read cannot be taken back: it carries a struct whose way back to us is cut
 * when we stop (`hk` NULL). */
#include "net/hashkeep.h"

#include <string.h>

#include "cache/pieces.h"
#include "cache/store.h"
#include "core/core_limits.h"
#include "core/err.h"
#include "core/hash.h"
#include "core/layers.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/merkle.h"
#include "core/metainfo.h"
#include "net/engine_internal.h"
#include "net/torrent_internal.h"

enum { H = HASH_SHA256_BYTES };

/* A span on its way from the store. */
struct span_load {
	struct hashkeep *hk; /* Owner: NULL once it stopped */
	struct hash_span span;
	uint32_t at, n;	  /* hashes that are there, of all */
	uint8_t hashes[]; /* n of them */
};

/* All leaves of a piece. */
struct leaves_load {
	struct hashkeep *hk; /* Owner: NULL once it stopped */
	uint32_t piece_ix, n;
	hashkeep_leaves_fn *done;
	void *arg;
	uint8_t hashes[];
};

struct hashkeep {
	struct torrent *t; /* Owner: */
	hashkeep_fn *on_known;
	void *arg;
	struct hasher *hasher;
	struct loop_task step;
	uint32_t file_ix;
	uint32_t n_left; /* spans of the file that were not looked at */
	struct span_load *load;
	struct leaves_load *leaves;
};

/* ---- a file's tree ---- */

struct shape {
	const struct mi_file *file;
	uint32_t n_pieces, first_piece;
	uint64_t n_leaves;
	unsigned piece_level, height;
};

static struct shape shape_of(const struct metainfo *mi, uint32_t file_ix)
{
	const struct mi_file *f = &mi->files[file_ix];
	struct shape s = {.file = f};

	if (f->root == NULL || f->len_bytes == 0)
		return s;
	s.n_pieces = (uint32_t)((f->len_bytes - 1) / mi->piece_bytes) + 1;
	s.first_piece = (uint32_t)(f->off_bytes / mi->piece_bytes);
	s.n_leaves = (f->len_bytes - 1) / MERKLE_LEAF_BYTES + 1;
	s.height = merkle_height(s.n_leaves);
	s.piece_level =
		s.n_pieces == 1
			? s.height
			: merkle_height(mi->piece_bytes / MERKLE_LEAF_BYTES);
	return s;
}

/* Span `ix` of the file's piece hashes, as layers_ask_piece has it. */
static struct hash_span nth_span(const struct shape *s, uint32_t file_ix,
				 uint32_t ix)
{
	uint32_t left = s->n_pieces - ix * HASH_SPAN_ASK;
	struct hash_span span = {
		.file_ix = file_ix,
		.base = s->piece_level,
		.index = ix * HASH_SPAN_ASK,
		.length = HASH_SPAN_ASK,
		.proof_layers = s->height - s->piece_level - 1,
	};

	if (left < HASH_SPAN_ASK)
		span.length = left < 2 ? 2 : 1u << merkle_height(left);
	return span;
}

/* How many nodes a level has within the file. */
static uint64_t n_nodes(const struct shape *s, unsigned level)
{
	return ((s->n_leaves - 1) >> level) + 1;
}

/* ---- into the store ---- */

static struct store_torrent *store_of(const struct hashkeep *hk)
{
	return hk->t->ps == NULL ? NULL : pieces_store(hk->t->ps);
}

static void put(struct hashkeep *hk, const struct shape *s, uint32_t file_ix,
		unsigned level, uint64_t index, uint32_t n,
		const uint8_t *hashes)
{
	uint64_t most = n_nodes(s, level);
	struct store_torrent *st = store_of(hk);

	if (st == NULL || index >= most)
		return;
	if (n > most - index)
		n = (uint32_t)(most - index);
	store_put_nodes(st, file_ix, level, index, n, hashes);
}

void hashkeep_put(struct hashkeep *hk, const struct hash_span *span,
		  const uint8_t *hashes)
{
	struct shape s = shape_of(hk->t->mi, span->file_ix);
	unsigned up = merkle_height(span->length);

	put(hk, &s, span->file_ix, span->base, span->index, span->length,
	    hashes);
	hashes += (size_t)span->length * H;
	for (; up <= span->proof_layers; up++, hashes += H)
		put(hk, &s, span->file_ix, span->base + up,
		    ((uint64_t)span->index >> up) ^ 1, 1, hashes);
}

/* The file of a piece, and its first leaf there. */
static struct shape file_of(const struct hashkeep *hk, uint32_t piece_ix,
			    uint32_t *file_ix, uint64_t *leaf)
{
	const struct metainfo *mi = hk->t->mi;
	uint64_t off = (uint64_t)piece_ix * mi->piece_bytes;
	struct shape s = {0};

	*file_ix = metainfo_file_at(mi, off);
	if (*file_ix == mi->n_files)
		return s;
	s = shape_of(mi, *file_ix);
	if (s.n_pieces > 0)
		*leaf = (uint64_t)(piece_ix - s.first_piece) << s.piece_level;
	return s;
}

void hashkeep_put_leaves(struct hashkeep *hk, uint32_t piece_ix,
			 const uint8_t *leaves, uint32_t n)
{
	uint64_t leaf = 0;
	uint32_t file_ix;
	struct shape s = file_of(hk, piece_ix, &file_ix, &leaf);

	if (s.n_pieces > 0)
		put(hk, &s, file_ix, 0, leaf, n, leaves);
}

/* ---- leaves, back ---- */

static bool has_zero(const uint8_t *hashes, uint32_t n)
{
	static const uint8_t zero[H];

	for (uint32_t i = 0; i < n; i++)
		if (memcmp(hashes + (size_t)i * H, zero, H) == 0)
			return true;
	return false;
}

static void on_leaves(void *arg, int err)
{
	struct leaves_load *load = arg;
	struct hashkeep *hk = load->hk;

	if (hk != NULL) {
		hk->leaves = NULL;
		if (err != 0 || has_zero(load->hashes, load->n) ||
		    layers_add_piece(hk->t->layers, load->piece_ix,
				     load->hashes, load->n) != 0)
			err = ENOENT;
		load->done(load->arg, err);
	}
	mem_free(load);
}

int hashkeep_get_leaves(struct hashkeep *hk, uint32_t piece_ix,
			hashkeep_leaves_fn *done, void *arg)
{
	struct store_torrent *st = store_of(hk);
	struct leaves_load *load;
	uint64_t leaf = 0, n;
	uint32_t file_ix;
	struct shape s = file_of(hk, piece_ix, &file_ix, &leaf);
	int r;

	if (st == NULL || s.n_pieces == 0)
		return EINVAL;
	if (hk->leaves != NULL)
		return EBUSY;
	n = s.n_leaves - leaf;
	if (n > UINT64_C(1) << s.piece_level)
		n = UINT64_C(1) << s.piece_level;
	load = mem_alloc(sizeof(*load) + (size_t)n * H);
	if (load == NULL)
		return ENOMEM;
	load->hk = hk;
	load->piece_ix = piece_ix;
	load->n = (uint32_t)n;
	load->done = done;
	load->arg = arg;
	r = store_read_nodes(st, file_ix, 0, leaf, load->n, load->hashes,
			     on_leaves, load);
	if (r != 0) {
		mem_free(load);
		return r;
	}
	hk->leaves = load;
	return 0;
}

/* ---- piece hashes, back ---- */

static void next_span(struct hashkeep *hk)
{
	loop_defer(hk->t->e->cfg.loop, &hk->step);
}

static void next_file(struct hashkeep *hk)
{
	hk->n_left = 0;
	hk->file_ix++;
	next_span(hk);
}

static void on_read(void *arg, int err);

/* The next uncle that is not padding, or none is missing. 0, also then. */
static int read_uncles(struct span_load *load)
{
	struct hashkeep *hk = load->hk;
	const struct hash_span *span = &load->span;
	struct shape s = shape_of(hk->t->mi, span->file_ix);
	unsigned up = merkle_height(span->length);

	if (store_of(hk) == NULL)
		return EIO;
	for (; load->at < load->n; load->at++) {
		unsigned k = up + (load->at - span->length);
		unsigned level = span->base + k;
		uint64_t index = ((uint64_t)span->index >> k) ^ 1;
		uint8_t *dst = load->hashes + (size_t)load->at * H;

		if (index < n_nodes(&s, level))
			return store_read_nodes(store_of(hk), span->file_ix,
						level, index, 1, dst, on_read,
						load);
		merkle_pad(hk->hasher, level, dst);
	}
	return 0;
}

/* Whatever was read: is it right? */
static void believe(struct span_load *load)
{
	struct hashkeep *hk = load->hk;
	struct shape s = shape_of(hk->t->mi, load->span.file_ix);
	uint32_t n = s.n_pieces - load->span.index;

	if (layers_add(hk->t->layers, &load->span, load->hashes, load->n) == 0)
		hk->on_known(hk->arg, s.first_piece + load->span.index,
			     n < load->span.length ? n : load->span.length);
}

static void end_load(struct span_load *load)
{
	struct hashkeep *hk = load->hk;

	if (hk != NULL) {
		hk->load = NULL;
		next_span(hk);
	}
	mem_free(load);
}

/* It is known: does the store have the same? */
static bool is_kept(struct span_load *load, uint32_t n)
{
	struct hashkeep *hk = load->hk;
	uint8_t *ours = mem_alloc((size_t)load->n * H);
	bool is_same = true;

	if (ours == NULL)
		return true; /* it is no loss to leave it as it is */
	if (layers_get(hk->t->layers, &load->span, ours) == 0) {
		is_same = memcmp(ours, load->hashes, (size_t)n * H) == 0;
		if (!is_same)
			hashkeep_put(hk, &load->span, ours);
	}
	mem_free(ours);
	return is_same;
}

/* The span's own hashes came. True: its uncles are to be read. */
static bool take_base(struct span_load *load)
{
	struct hashkeep *hk = load->hk;
	const struct hash_span *span = &load->span;
	struct shape s = shape_of(hk->t->mi, span->file_ix);
	uint32_t n = s.n_pieces - span->index;
	uint8_t hash[H];

	if (n > span->length)
		n = span->length;
	if (layers_piece(hk->t->layers, s.first_piece + span->index, hash)) {
		if (is_kept(load, n))
			next_file(hk);
		return false;
	}
	if (has_zero(load->hashes, n))
		return false;
	for (; n < span->length; n++)
		merkle_pad(hk->hasher, span->base,
			   load->hashes + (size_t)n * H);
	load->at = span->length;
	return true;
}

static void on_read(void *arg, int err)
{
	struct span_load *load = arg;

	if (load->hk == NULL || err != 0) {
		end_load(load);
		return;
	}
	if (load->at > 0)
		load->at++; /* an uncle */
	else if (!take_base(load)) {
		end_load(load);
		return;
	}
	err = read_uncles(load);
	if (err == 0 && load->at < load->n)
		return;
	if (err == 0)
		believe(load);
	end_load(load);
}

static int read_span(struct hashkeep *hk, const struct shape *s, uint32_t ix)
{
	struct hash_span span = nth_span(s, hk->file_ix, ix);
	uint32_t n = hash_span_n(&span), own = s->n_pieces - span.index;
	struct span_load *load;
	int r;

	load = mem_zalloc(1, sizeof(*load) + (size_t)n * H);
	if (load == NULL)
		return ENOMEM;
	load->hk = hk;
	load->span = span;
	load->n = n;
	r = store_read_nodes(store_of(hk), hk->file_ix, span.base, span.index,
			     own < span.length ? own : span.length,
			     load->hashes, on_read, load);
	if (r != 0) {
		mem_free(load);
		return r;
	}
	hk->load = load;
	return 0;
}

/* The next span of the file, or the next file of more than one piece. */
static void on_step(void *arg)
{
	struct hashkeep *hk = arg;
	const struct metainfo *mi = hk->t->mi;

	if (hk->load != NULL || store_of(hk) == NULL)
		return;
	while (hk->file_ix < mi->n_files) {
		struct shape s = shape_of(mi, hk->file_ix);

		if (s.n_pieces > 1 && hk->n_left == 0)
			hk->n_left = (s.n_pieces - 1) / HASH_SPAN_ASK + 2;
		if (hk->n_left > 1) {
			hk->n_left--;
			if (read_span(hk, &s, hk->n_left - 1) == 0)
				return;
			hk->file_ix = mi->n_files; /* it keeps none */
			return;
		}
		hk->n_left = 0;
		hk->file_ix++;
	}
}

/* ---- life ---- */

int hashkeep_new(struct torrent *t, hashkeep_fn *on_known, void *arg,
		 struct hashkeep **out)
{
	struct hashkeep *hk = mem_new(struct hashkeep);
	int r;

	if (hk == NULL)
		return ENOMEM;
	hk->t = t;
	hk->on_known = on_known;
	hk->arg = arg;
	loop_task_init(&hk->step, on_step, hk);
	r = hasher_new(&hk->hasher);
	if (r != 0) {
		mem_free(hk);
		return r;
	}
	*out = hk;
	return 0;
}

void hashkeep_start(struct hashkeep *hk)
{
	if (hk != NULL)
		next_span(hk);
}

void hashkeep_stop(struct hashkeep *hk)
{
	if (hk == NULL)
		return;
	loop_task_cancel(hk->t->e->cfg.loop, &hk->step);
	if (hk->load != NULL)
		hk->load->hk = NULL;
	if (hk->leaves != NULL)
		hk->leaves->hk = NULL;
	hk->load = NULL;
	hk->leaves = NULL;
}

void hashkeep_free(struct hashkeep *hk)
{
	if (hk == NULL)
		return;
	hashkeep_stop(hk);
	hasher_free(hk->hasher);
	mem_free(hk);
}
