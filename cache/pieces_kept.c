/* pieces_kept — leaves of unfinished pieces that the store has.
 *
 * Purpose: what a reader waited for is right, and is not to be fetched again,
 * though its piece never becomes whole: not when memory is short, and not
 * after a restart. So right leaves go to the store (store_put_leaves) when
 * their piece has nobody who wants more of it, or gives its memory back, or the
 * torrent is closed. What is put is a copy, so that the piece's memory can go
 * at once. Of a staged piece what has no memory any more is read back, and
 * hashed once more, before it is put; not if the torrent is closed.
 *
 * A kept leaf is read from the store. Should its piece be fetched after all,
 * its owner may copy the leaf from there into its place (pieces_is_kept); it is
 * put once more with the piece: the store holds both apart (spot.h).
 *
 * What other open torrents with the same files bring or lose comes here from
 * pieces_gain.c.
 *
 * Failure modes: no memory, or the put fails: the leaf is as good as lost with
 * its memory. A kept leaf cannot be read: all of its piece are forgotten. */
#include "cache/pieces_internal.h"

#include <string.h>

#include "cache/cache_limits.h"
#include "cache/stage.h"
#include "cache/store.h"
#include "core/blk.h"
#include "core/hash.h"
#include "core/layers.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/merkle.h"
#include "core/metainfo.h"

static uint32_t first_leaf(const struct pieces *ps, uint32_t ix)
{
	return (uint32_t)((uint64_t)ix * ps->cfg.mi->piece_bytes /
			  VERIFY_BLOCK_BYTES);
}

bool pieces_kept_has(const struct pieces *ps, uint32_t ix, uint32_t leaf)
{
	return ps->kept.data != NULL &&
	       bits_has(&ps->kept, first_leaf(ps, ix) + leaf);
}

static bool make_bits(struct pieces *ps)
{
	uint64_t n = (uint64_t)ps->cfg.mi->n_pieces *
		     (ps->cfg.mi->piece_bytes / VERIFY_BLOCK_BYTES);

	return ps->kept.data != NULL ||
	       (n < UINT32_MAX && bits_init(&ps->kept, (uint32_t)n) == 0);
}

static uint32_t n_leaves(const struct pieces *ps, uint32_t ix)
{
	return (metainfo_v2_bytes(ps->cfg.mi, ix) + VERIFY_BLOCK_BYTES - 1) /
	       VERIFY_BLOCK_BYTES;
}

static void mark(struct pieces *ps, uint32_t ix, uint32_t at_bytes,
		 uint32_t len_bytes)
{
	uint32_t i = first_leaf(ps, ix) + at_bytes / VERIFY_BLOCK_BYTES;
	uint32_t end =
		i + (len_bytes + VERIFY_BLOCK_BYTES - 1) / VERIFY_BLOCK_BYTES;

	if (!make_bits(ps))
		return;
	for (; i < end && i < ps->kept.n; i++)
		bits_set(&ps->kept, i);
}

bool pieces_is_kept(const struct pieces *ps, uint32_t ix, uint32_t at_bytes)
{
	return ps->cfg.layers != NULL &&
	       at_bytes < metainfo_v2_bytes(ps->cfg.mi, ix) &&
	       pieces_kept_has(ps, ix, at_bytes / VERIFY_BLOCK_BYTES);
}

void pieces_doubt_kept(struct pieces *ps, uint32_t ix)
{
	pieces_kept_forget(ps, ix);
}

void pieces_kept_forget(struct pieces *ps, uint32_t ix)
{
	uint32_t i = first_leaf(ps, ix);

	if (ps->kept.data == NULL)
		return;
	for (uint32_t k = 0; k < n_leaves(ps, ix); k++)
		bits_clear(&ps->kept, i + k);
	ps->n_forgets++;
	ps->n_losses++;
}

/* ---- keeping ---- */

struct keep {
	struct pieces *ps;
	uint32_t at_bytes, len_bytes;
	uint64_t n_forgets;
};

static void on_put(void *arg, uint32_t ix, enum store_phase phase, int err)
{
	struct keep *k = arg;
	struct pieces *ps = k->ps;

	if (err == 0 && phase == STORE_WRITTEN) {
		if (!ps->is_closed && k->n_forgets == ps->n_forgets)
			mark(ps, ix, k->at_bytes, k->len_bytes);
		return;
	}
	mem_free(k);
	pieces_job_end(ps);
}

static void put_copy(struct pieces *ps, uint32_t ix, uint32_t at_bytes,
		     struct blk *copy)
{
	struct keep *k = mem_new(struct keep);

	if (k == NULL)
		return;
	*k = (struct keep){.ps = ps,
			   .at_bytes = at_bytes,
			   .len_bytes = (uint32_t)copy->len,
			   .n_forgets = ps->n_forgets};
	if (store_put_leaves(ps->st, ix, at_bytes, copy, on_put, k) == 0)
		pieces_job_begin(ps);
	else
		mem_free(k);
}

/* Right leaves of which the store has the only copy, staged. */
struct again {
	struct pieces *ps;
	struct blk *blk;
	uint32_t ix, at_bytes;
	uint8_t hashes[KEEP_RUN_LEAVES][HASH_SHA256_BYTES];
};

static bool is_still_right(const struct again *a)
{
	uint8_t is[KEEP_RUN_LEAVES * HASH_SHA256_BYTES];

	merkle_leaves(a->ps->hasher, a->blk->data, a->blk->len, is);
	return memcmp(is, a->hashes,
		      (a->blk->len + VERIFY_BLOCK_BYTES - 1) /
			      VERIFY_BLOCK_BYTES * HASH_SHA256_BYTES) == 0;
}

/* They may have been written over meanwhile. */
static void on_again(void *arg, int err)
{
	struct again *a = arg;
	struct pieces *ps = a->ps;

	if (err == 0 && !ps->is_closed && is_still_right(a))
		put_copy(ps, a->ix, a->at_bytes, a->blk);
	blk_drop(a->blk);
	mem_free(a);
	pieces_job_end(ps);
}

static void put_again(struct slot *s, uint32_t at_bytes, uint32_t len_bytes)
{
	struct pieces *ps = s->ps;
	struct again *a = mem_new(struct again);
	uint32_t first = at_bytes / VERIFY_BLOCK_BYTES;
	bool is_good = a != NULL;

	for (uint32_t i = 0; is_good && i * VERIFY_BLOCK_BYTES < len_bytes; i++)
		is_good = layers_leaf(ps->cfg.layers, s->ix, first + i,
				      a->hashes[i]);
	if (is_good)
		a->blk = blk_new(ps->cfg.mem->pool, len_bytes);
	if (!is_good || a->blk == NULL) {
		mem_free(a);
		return;
	}
	a->ps = ps;
	a->ix = s->ix;
	a->at_bytes = at_bytes;
	if (store_read_staged(ps->st, s->ix, at_bytes, len_bytes, a->blk->data,
			      on_again, a) == 0) {
		pieces_job_begin(ps);
		return;
	}
	blk_drop(a->blk);
	mem_free(a);
}

static void put(struct slot *s, uint32_t at_bytes, uint32_t len_bytes)
{
	struct pieces *ps = s->ps;
	struct blk *copy;
	uint8_t *data;

	if (pieces_leaf_lend(s, at_bytes, len_bytes, &data) == NULL) {
		if (s->stage != NULL && stage_is_staged(s->stage, at_bytes) &&
		    !ps->is_closed)
			put_again(s, at_bytes, len_bytes);
		return;
	}
	copy = blk_new(ps->cfg.mem->pool, len_bytes);
	if (copy == NULL)
		return;
	memcpy(copy->data, data, len_bytes);
	put_copy(ps, s->ix, at_bytes, copy);
	blk_drop(copy);
}

/* From leaf `i` on, those of one segment that are right and not kept. */
static uint32_t run_of(const struct slot *s, uint32_t i, uint32_t end)
{
	uint32_t n = 0;

	while (i + n < end && n < KEEP_RUN_LEAVES &&
	       bits_has(&s->leaves->right, i + n) &&
	       !bits_has(&s->leaves->put, i + n))
		n++;
	return n;
}

void pieces_keep_slot(struct slot *s, uint32_t at_bytes, uint32_t len_bytes)
{
	struct pieces *ps = s->ps;
	uint32_t v2_bytes, i, end, n;

	if (s->leaves == NULL || ps->st == NULL || s->leaves->right.n_set == 0)
		return;
	v2_bytes = metainfo_v2_bytes(ps->cfg.mi, s->ix);
	end = (at_bytes + len_bytes + VERIFY_BLOCK_BYTES - 1) /
	      VERIFY_BLOCK_BYTES;
	if (end > s->leaves->right.n)
		end = s->leaves->right.n;
	for (i = at_bytes / VERIFY_BLOCK_BYTES; i<end; i += n> 0 ? n : 1) {
		uint32_t at = i * VERIFY_BLOCK_BYTES;
		uint32_t len;

		n = run_of(s, i, end);
		if (n == 0)
			continue;
		len = n * VERIFY_BLOCK_BYTES;
		put(s, at, len < v2_bytes - at ? len : v2_bytes - at);
		s->whole_us = loop_now_us(ps->cfg.loop);
		for (uint32_t k = 0; k < n; k++)
			bits_set(&s->leaves->put, i + k);
	}
}

void pieces_keep(struct pieces *ps, uint32_t ix)
{
	struct slot *s = pieces_slot(ps, ix);
	uint32_t segment, len = metainfo_body_bytes(ps->cfg.mi, ix);

	if (s == NULL || s->leaves == NULL || (ps->marks[ix] & MARK_GAINED))
		return;
	segment = pieces_segment_bytes(ps, ix);
	for (uint32_t at = 0; at < len; at += segment)
		pieces_keep_slot(s, at, segment);
}

void pieces_kept_gain(struct pieces *ps, uint32_t ix, uint32_t at_bytes,
		      uint32_t len_bytes)
{
	mark(ps, ix, at_bytes, len_bytes);
	pieces_end_right_waits(ps, ix);
}

void pieces_kept_open(struct pieces *ps)
{
	const struct bits *leaves;

	if (ps->cfg.layers == NULL)
		return;
	leaves = store_leaves(ps->st);
	if (leaves == NULL || !make_bits(ps) || leaves->n != ps->kept.n)
		return;
	bits_load(&ps->kept, leaves->data, bits_bytes(leaves->n));
}

int pieces_keep_err(const struct pieces *ps)
{
	if (ps->put_err != 0)
		return ps->put_err;
	return loop_now_us(ps->cfg.loop) < ps->rest_us ? ps->stage_err : 0;
}
