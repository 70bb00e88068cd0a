/* pieces_fill — from the first block of a piece to the verdict.
 *
 * Purpose: memory to whoever fills pieces (net/), and the hash of what came.
 * A piece that is not too long has one blk and one job for its hash; a long
 * one has a stage (stage.c), of which this is the owner.
 *
 * Which of the two is decided by pieces_begin and stays so. A store that would
 * not take a staged piece (a full disk, a failed sync) is not asked again for
 * STAGE_REST_MS: pieces that the cap has room for are whole in memory
 * meanwhile, like any whose put fails; who waits for longer ones gets the
 * error. Without that rest the same bytes would be fetched again and again.
 *
 * Failure modes: as the contracts have them. on_failed comes for a stage that
 * is stuck; whoever hears of it abandons the piece, whose slot is adrift until
 * the writes under way have ended. */
#include "cache/pieces_internal.h"

#include <assert.h>
#include <errno.h>

#include "cache/stage.h"
#include "cache/store.h"
#include "core/blk.h"
#include "core/err.h"
#include "core/hash.h"
#include "core/layers.h"
#include "core/hmap.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/metainfo.h"

/* ---- beginning ---- */

static bool is_resting(const struct pieces *ps)
{
	return ps->stage_err != 0 && loop_now_us(ps->cfg.loop) < ps->rest_us;
}

/* Does it fit into memory, if it must? */
static bool fits(const struct pieces *ps, uint32_t ix)
{
	return metainfo_body_bytes(ps->cfg.mi, ix) <=
	       ps->cfg.mem->max_unverified_bytes;
}

static bool is_for_stage(const struct pieces *ps, uint32_t ix)
{
	if (metainfo_body_bytes(ps->cfg.mi, ix) <= ps->cfg.mem->whole_max_bytes)
		return false;
	return !is_resting(ps) || !fits(ps, ix);
}

/* The piece was given up, and is still being written to. */
static bool is_drifting(const struct pieces *ps, uint32_t ix)
{
	const struct slot *s;

	LIST_FOREACH (s, &ps->drift, drift)
		if (s->ix == ix)
			return true;
	return false;
}

static int make_whole(struct slot *s)
{
	struct piece_mem *pm = s->ps->cfg.mem;
	uint32_t len = metainfo_body_bytes(s->ps->cfg.mi, s->ix);
	int err = piece_mem_count(pm, s->ps, len);

	if (err != 0)
		return err;
	s->blk = blk_new(pm->pool, len);
	if (s->blk == NULL) {
		piece_mem_uncount(pm, s->ps, len);
		return ENOMEM;
	}
	s->is_counted = true;
	return 0;
}

static const struct stage_ops stage_ops;
static void judge(struct slot *s);

bool pieces_may_begin(struct pieces *ps, uint32_t ix)
{
	ASSERT_LOOP(ps->cfg.loop);
	pieces_check_piece(ps, ix);
	return pieces_is_waited(ps, ix) || is_for_stage(ps, ix) ||
	       piece_mem_may_begin(ps->cfg.mem, ps,
				   metainfo_body_bytes(ps->cfg.mi, ix));
}

int pieces_begin(struct pieces *ps, uint32_t ix)
{
	bool is_staged = is_for_stage(ps, ix);
	struct slot *s;
	int err;

	ASSERT_LOOP(ps->cfg.loop);
	pieces_check_piece(ps, ix);
	if (is_staged && is_resting(ps))
		return ps->stage_err;
	if (is_drifting(ps, ix) || pieces_offer_bars(ps, ix)) {
		ps->is_barred = true;
		return EBUSY;
	}
	s = pieces_slot_new(ps, ix);
	if (s == NULL)
		return ENOMEM;
	err = is_staged ? stage_new(s, &stage_ops, &s->stage) : make_whole(s);
	if (err != 0) {
		pieces_slot_release(s);
		return err;
	}
	pieces_leaf_new(s);
	pieces_move(ps, ix, PIECE_FETCHING);
	return 0;
}

/* ---- its memory ---- */

static struct slot *fetching(const struct pieces *ps, uint32_t ix)
{
	pieces_check_piece(ps, ix);
	if (piece_state(ps, ix) != PIECE_FETCHING)
		return NULL;
	return pieces_slot(ps, ix);
}

uint32_t pieces_segment_bytes(const struct pieces *ps, uint32_t ix)
{
	const struct slot *s = fetching(ps, ix);

	if (s != NULL && s->stage != NULL)
		return stage_segment_bytes(s->stage);
	if (s == NULL && is_for_stage(ps, ix))
		return ps->cfg.mem->segment_bytes;
	return metainfo_body_bytes(ps->cfg.mi, ix);
}

int pieces_open(struct pieces *ps, uint32_t ix, uint32_t at_bytes)
{
	struct slot *s = fetching(ps, ix);

	ASSERT_LOOP(ps->cfg.loop);
	assert(s != NULL);
	return s->stage != NULL ? stage_open(s->stage, at_bytes) : 0;
}

uint8_t *pieces_place(const struct pieces *ps, uint32_t ix, uint32_t at_bytes)
{
	const struct slot *s = fetching(ps, ix);

	if (s == NULL)
		return NULL;
	return s->stage != NULL ? stage_place(s->stage, at_bytes)
				: s->blk->data + at_bytes;
}

void pieces_shut(struct pieces *ps, uint32_t ix)
{
	struct slot *s = fetching(ps, ix);

	ASSERT_LOOP(ps->cfg.loop);
	if (s != NULL && s->stage != NULL)
		stage_shut(s->stage);
}

void pieces_shut_segment(struct pieces *ps, uint32_t ix, uint32_t at_bytes)
{
	struct slot *s = fetching(ps, ix);

	ASSERT_LOOP(ps->cfg.loop);
	if (s != NULL && s->stage != NULL)
		stage_shut_segment(s->stage, at_bytes);
}

void pieces_empty(struct pieces *ps, uint32_t ix, uint32_t at_bytes)
{
	struct slot *s = fetching(ps, ix);
	uint32_t len;

	ASSERT_LOOP(ps->cfg.loop);
	assert(s != NULL && s->stage != NULL);
	len = stage_segment_bytes(s->stage);
	pieces_leaf_lose(s, at_bytes - at_bytes % len, len);
	stage_empty(s->stage, at_bytes);
}

void pieces_abandon(struct pieces *ps, uint32_t ix)
{
	ASSERT_LOOP(ps->cfg.loop);
	pieces_check_piece(ps, ix);
	pieces_keep(ps, ix);
	pieces_move(ps, ix,
		    pieces_is_waited(ps, ix) ? PIECE_WANTED : PIECE_ABSENT);
	pieces_slot_release(pieces_slot(ps, ix));
}

/* ---- the hash ---- */

const uint64_t *pieces_digests(const struct pieces *ps, uint32_t ix)
{
	const struct slot *s = pieces_slot(ps, ix);

	return s != NULL && s->was_wrong ? s->digests : NULL;
}

static void on_wrong(struct slot *s, bool is_disputed)
{
	struct pieces *ps = s->ps;

	s->was_wrong = true;
	pieces_move(ps, s->ix, PIECE_FETCHING);
	if (is_disputed)
		ps->cfg.ops->on_disputed(ps->cfg.arg, s->ix);
	else if (!pieces_leaf_blame(s))
		ps->cfg.ops->on_bad(ps->cfg.arg, s->ix);
}

static void on_right(struct slot *s)
{
	struct pieces *ps = s->ps;
	uint32_t ix = s->ix;

	ps->cfg.ops->on_verified(ps->cfg.arg, ix);
	s = ps->is_closed ? NULL : pieces_slot(ps, ix);
	if (s != NULL) {
		pieces_drop_digests(s);
		mem_free(s->leaf_hashes);
		s->leaf_hashes = NULL;
	}
	if (!ps->is_closed)
		pieces_call_waiters(ps, ix, 0);
}

static void on_hashed(struct job *job)
{
	struct slot *s = CONTAINER_OF(job, struct slot, verify.job);
	struct pieces *ps = s->ps;

	pieces_check_piece(ps, s->ix);
	pieces_slot_job_end(s);
	ps->n_hashed++;
	if (s->is_adrift) {
		pieces_slot_release(s);
		return;
	}
	if (s->verify.verdict != PIECE_RIGHT) {
		piece_mem_unqueue(s);
		on_wrong(s, s->verify.verdict == PIECE_DISPUTED);
		return;
	}
	pieces_settle(s);
	on_right(s);
}

static void hash(struct slot *s)
{
	struct pieces *ps = s->ps;

	if (s->leaves != NULL && s->leaf_hashes == NULL)
		s->leaf_hashes = mem_alloc((size_t)s->leaves->here.n *
					   HASH_SHA256_BYTES);
	s->verify.leaves = s->leaf_hashes;
	piece_mem_queue(s);
	pieces_slot_job_begin(s);
	s->verify.mi = ps->cfg.mi;
	s->verify.data = s->blk->data;
	s->verify.piece_ix = s->ix;
	s->verify.digests = (struct verify_digests){
		.out = s->digests,
		.key = ps->cfg.mem->key,
		.also_if_right = s->was_wrong,
	};
	verify_queue_add(&ps->cfg.mem->to_verify, &s->verify, ps->cfg.loop,
			 ps->cfg.workers, on_hashed);
	if (pieces_is_waited(ps, s->ix) || ps->is_closed)
		verify_queue_hurry(&ps->cfg.mem->to_verify);
}

void pieces_filled(struct pieces *ps, uint32_t ix, uint32_t at_bytes)
{
	struct slot *s = fetching(ps, ix);

	ASSERT_LOOP(ps->cfg.loop);
	assert(s != NULL);
	if (s->stage != NULL && !stage_filled(s->stage, at_bytes))
		return;
	pieces_move(ps, ix, PIECE_CHECKING);
	s->whole_us = loop_now_us(ps->cfg.loop);
	if (s->stage == NULL)
		judge(s);
}

/* ---- the v2 hash that it must have ---- */

bool pieces_knows_root(struct slot *s, struct verify_root *root)
{
	struct pieces *ps = s->ps;

	root->is_known = false;
	if (ps->cfg.layers == NULL || metainfo_v2_bytes(ps->cfg.mi, s->ix) == 0)
		return true;
	root->is_known = !ps->is_closed &&
			 layers_piece(ps->cfg.layers, s->ix, root->hash);
	if (root->is_known || (s->is_hopeless && ps->cfg.mi->has_v1))
		return true;
	if (!ps->is_closed)
		ps->cfg.ops->on_lacking(ps->cfg.arg, s->ix);
	return false;
}

static void judge(struct slot *s)
{
	s->is_lacking = !pieces_knows_root(s, &s->verify.root);
	if (!s->is_lacking)
		hash(s);
}

bool pieces_lacks_hash(const struct pieces *ps, uint32_t ix)
{
	const struct slot *s = pieces_slot(ps, ix);

	return s != NULL &&
	       (s->stage != NULL ? stage_lacks_root(s->stage) : s->is_lacking);
}

void pieces_on_hashes(struct pieces *ps, uint32_t ix)
{
	struct slot *s;

	ASSERT_LOOP(ps->cfg.loop);
	pieces_vet_on_hashes(ps, ix);
	s = ps->is_closed ? NULL : pieces_slot(ps, ix);
	if (s == NULL)
		return;
	if (s->is_lacking)
		judge(s);
	if (s->stage != NULL)
		stage_on_root(s->stage);
	pieces_leaf_look(s);
}

void pieces_on_no_hash(struct pieces *ps, uint32_t ix)
{
	struct slot *s = pieces_slot(ps, ix);

	if (s == NULL)
		return;
	if (ps->cfg.mi->has_v1) {
		s->is_hopeless = true;
		pieces_on_hashes(ps, ix);
	} else if (pieces_lacks_hash(ps, ix)) {
		s->is_lacking = false;
		pieces_move(ps, ix, PIECE_FETCHING);
		ps->cfg.ops->on_failed(ps->cfg.arg, ix, ENODATA);
	}
}

/* ---- what the stage says ---- */

static void on_stage_failed(struct slot *s, int err)
{
	struct pieces *ps = s->ps;
	uint32_t ix = s->ix;
	bool is_hopeless = !fits(ps, ix);

	log_debug("piece %u is not staged: %s", ix, err_text(err));
	ps->stage_err = err;
	ps->rest_us =
		loop_now_us(ps->cfg.loop) + STAGE_REST_MS * UINT64_C(1000);
	if (piece_state(ps, ix) == PIECE_CHECKING)
		pieces_move(ps, ix, PIECE_FETCHING);
	ps->cfg.ops->on_failed(ps->cfg.arg, ix, err);
	if (is_hopeless && !ps->is_closed)
		pieces_call_waiters(ps, ix, err);
}

static void on_stage_right(struct slot *s)
{
	int err;

	s->ps->n_hashed++;
	if (stage_knows_root(s->stage))
		store_vouch(s->ps->st, s->ix);
	err = pieces_settle_staged(s);
	if (err != 0)
		on_stage_failed(s, err);
	else
		on_right(s);
}

static void on_stage_wrong(struct slot *s, bool is_disputed)
{
	s->ps->n_hashed++;
	on_wrong(s, is_disputed);
}

static const struct stage_ops stage_ops = {
	.on_right = on_stage_right,
	.on_wrong = on_stage_wrong,
	.on_failed = on_stage_failed,
	.on_gone = pieces_on_stage_gone,
};
