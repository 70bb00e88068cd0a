/* pieces_leaf — blocks that are right before their piece is.
 *
 * Purpose: a reader of a few KiB does not wait for 16 MiB. Where the hash of a
 * leaf is known (core/layers.h) a block can be judged alone, and whoever waits
 * for nothing more is answered. The table of leaves is in pieces.h.
 *
 * Happy path
 *   1. pieces_took: the bytes are in place. Somebody waits for them.
 *   2. At the end of the turn they are hashed, here on the loop: 9 us a leaf,
 *      where handing it to a worker and back takes as long.
 *   3. All leaves of a wait are right: it is over. Its owner has the bytes from
 *      where they lie (pieces_lend), or out of the store, where staged ones
 * are. What comes first, the bytes or the hashes, makes no difference
 * (pieces_on_hashes).
 *
 * Leaves that were staged, and whose memory is gone, are read back to be
 * judged: LEAVES_AGAIN_BYTES at a time.
 *
 * What was right stays so: net/ asks before it lets go of a block
 * (pieces_is_right). Where right leaves are lost all the same, a read of them
 * out of the store may be under way while other bytes are written there:
 * n_losses tells it.
 *
 * Failure modes. No memory for the bits: the piece has no leaves, and is judged
 * whole. The read-back fails: so are they. A wrong leaf of a piece that is
 * being hashed already: its hash will say so, and pieces_leaf_blame which it
 * was. */
#include "cache/pieces_internal.h"

#include <assert.h>
#include <string.h>

#include "cache/stage.h"
#include "cache/store.h"
#include "core/blk.h"
#include "core/err.h"
#include "core/hash.h"
#include "core/layers.h"
#include "core/mem.h"
#include "core/metainfo.h"

enum leaf_is { LEAF_UNKNOWN, LEAF_RIGHT, LEAF_WRONG };

/* ---- life ---- */

static void on_due(void *arg);

int pieces_leaf_open(struct pieces *ps)
{
	loop_task_init(&ps->due_task, on_due, ps);
	return ps->cfg.layers == NULL ? 0 : hasher_new(&ps->hasher);
}

void pieces_leaf_close(struct pieces *ps)
{
	loop_task_cancel(ps->cfg.loop, &ps->due_task);
}

void pieces_leaf_new(struct slot *s)
{
	const struct metainfo *mi = s->ps->cfg.mi;
	uint32_t n;

	if (s->ps->cfg.layers == NULL)
		return;
	n = (metainfo_v2_bytes(mi, s->ix) + VERIFY_BLOCK_BYTES - 1) /
	    VERIFY_BLOCK_BYTES;
	if (n == 0)
		return;
	s->leaves = mem_new(struct leaves);
	if (s->leaves == NULL)
		return;
	if (bits_init(&s->leaves->here, n) != 0 ||
	    bits_init(&s->leaves->right, n) != 0 ||
	    bits_init(&s->leaves->put, n) != 0)
		pieces_leaf_free(s);
}

void pieces_leaf_free(struct slot *s)
{
	struct leaves *l = s->leaves;

	if (s->is_due)
		TAILQ_REMOVE(&s->ps->due, s, due);
	s->is_due = false;
	if (l == NULL)
		return;
	if (l->right.n_set > 0 && !bits_has(&s->ps->have, s->ix))
		s->ps->n_losses++;
	s->leaves = NULL;
	blk_drop(l->again);
	bits_fini(&l->here);
	bits_fini(&l->right);
	bits_fini(&l->put);
	mem_free(l);
}

static uint32_t leaf_of(uint32_t at_bytes)
{
	return at_bytes / VERIFY_BLOCK_BYTES;
}

/* The first leaf behind a stretch; those of padding are none. */
static uint32_t leaf_end(const struct leaves *l, uint32_t at_bytes,
			 uint32_t len_bytes)
{
	uint32_t end = leaf_of(at_bytes + len_bytes + VERIFY_BLOCK_BYTES - 1);

	return end < l->here.n ? end : l->here.n;
}

void pieces_leaf_lose(struct slot *s, uint32_t at_bytes, uint32_t len_bytes)
{
	struct leaves *l = s->leaves;
	uint32_t n_right;

	if (l == NULL)
		return;
	n_right = l->right.n_set;
	for (uint32_t i = leaf_of(at_bytes);
	     i < leaf_end(l, at_bytes, len_bytes); i++) {
		bits_clear(&l->here, i);
		bits_clear(&l->right, i);
		bits_clear(&l->put, i);
	}
	if (l->right.n_set < n_right)
		s->ps->n_losses++;
	blk_drop(l->again); /* of bytes that may be others soon */
	l->again = NULL;
	l->is_reading = false;
}

/* ---- what is there ---- */

void pieces_took(struct pieces *ps, uint32_t ix, uint32_t at_bytes)
{
	struct slot *s = pieces_slot(ps, ix);

	ASSERT_LOOP(ps->cfg.loop);
	if (s == NULL || s->leaves == NULL ||
	    leaf_of(at_bytes) >= s->leaves->here.n)
		return;
	bits_set(&s->leaves->here, leaf_of(at_bytes));
	pieces_leaf_look(s);
}

void pieces_took_back(struct pieces *ps, uint32_t ix, uint32_t at_bytes)
{
	struct slot *s = pieces_slot(ps, ix);

	if (s == NULL || s->leaves == NULL)
		return;
	assert(!bits_has(&s->leaves->right, leaf_of(at_bytes)));
	bits_clear(&s->leaves->here, leaf_of(at_bytes));
}

bool pieces_leaf_is_right(const struct slot *s, uint32_t i)
{
	return s != NULL && s->leaves != NULL && bits_has(&s->leaves->right, i);
}

bool pieces_is_right(const struct pieces *ps, uint32_t ix, uint32_t at_bytes,
		     uint32_t len_bytes)
{
	const struct slot *s;

	if (bits_has(&ps->have, ix))
		return true;
	if (ps->cfg.layers == NULL)
		return false;
	s = pieces_slot(ps, ix);
	if (s == NULL && ps->kept.n_set == 0)
		return false;
	for (uint32_t i = leaf_of(at_bytes);
	     i <= leaf_of(at_bytes + len_bytes - 1); i++)
		if (!pieces_leaf_is_right(s, i) && !pieces_kept_has(ps, ix, i))
			return false;
	return true;
}

struct blk *pieces_leaf_lend(const struct slot *s, uint32_t at_bytes,
			     uint32_t len_bytes, uint8_t **data)
{
	if (s->stage != NULL)
		return stage_lend(s->stage, at_bytes, len_bytes, data);
	if (s->blk == NULL || at_bytes + len_bytes > s->blk->len)
		return NULL;
	*data = s->blk->data + at_bytes;
	return s->blk;
}

/* ---- judging ---- */

static uint32_t leaf_len(const struct slot *s, uint32_t i)
{
	uint32_t left = metainfo_v2_bytes(s->ps->cfg.mi, s->ix) -
			i * VERIFY_BLOCK_BYTES;

	return left < VERIFY_BLOCK_BYTES ? left : VERIFY_BLOCK_BYTES;
}

static enum leaf_is judge(struct slot *s, uint32_t i, const uint8_t *data)
{
	struct pieces *ps = s->ps;
	uint8_t want[HASH_SHA256_BYTES], is[HASH_SHA256_BYTES];

	if (!layers_leaf(ps->cfg.layers, s->ix, i, want))
		return LEAF_UNKNOWN;
	hasher_once(ps->hasher, HASH_SHA256, data, leaf_len(s, i), is);
	return memcmp(want, is, sizeof(is)) == 0 ? LEAF_RIGHT : LEAF_WRONG;
}

/* Its bytes, as far as they are at hand. */
static const uint8_t *bytes_of(const struct slot *s, uint32_t i)
{
	const struct leaves *l = s->leaves;
	uint32_t at = i * VERIFY_BLOCK_BYTES, len = leaf_len(s, i);
	uint8_t *data;

	if (pieces_leaf_lend(s, at, len, &data) != NULL)
		return data;
	if (l->again != NULL && !l->is_reading && at >= l->again_at &&
	    at - l->again_at + len <= l->again->len)
		return l->again->data + (at - l->again_at);
	return NULL;
}

/* ---- reading back ---- */

struct again {
	struct pieces *ps;
	struct blk *blk;
	uint32_t ix;
	uint64_t n_losses;
};

static void on_again(void *arg, int err)
{
	struct again *a = arg;
	struct pieces *ps = a->ps;
	struct slot *s = ps->is_closed ? NULL : pieces_slot(ps, a->ix);

	if (s != NULL && s->leaves != NULL && s->leaves->again == a->blk) {
		s->leaves->is_reading = false;
		if (err != 0 || a->n_losses != ps->n_losses) {
			blk_drop(s->leaves->again);
			s->leaves->again = NULL;
		}
		if (err != 0)
			pieces_leaf_free(s); /* it is judged whole */
		else
			pieces_leaf_look(s);
	}
	blk_drop(a->blk);
	mem_free(a);
	pieces_job_end(ps);
}

static void read_again(struct slot *s, uint32_t i)
{
	struct pieces *ps = s->ps;
	struct leaves *l = s->leaves;
	uint32_t at = i * VERIFY_BLOCK_BYTES;
	uint32_t room = stage_segment_bytes(s->stage);
	uint32_t left = metainfo_v2_bytes(ps->cfg.mi, s->ix) - at;
	struct again *a;

	room -= at % room; /* to the segment's end */
	left = left < room ? left : room;
	if (left > LEAVES_AGAIN_BYTES)
		left = LEAVES_AGAIN_BYTES;
	a = mem_new(struct again);
	if (a == NULL)
		return;
	*a = (struct again){.ps = ps, .ix = s->ix, .n_losses = ps->n_losses};
	a->blk = blk_new(ps->cfg.mem->pool, left);
	if (a->blk == NULL ||
	    store_read_staged(ps->st, s->ix, at, left, a->blk->data, on_again,
			      a) != 0) {
		blk_drop(a->blk);
		mem_free(a);
		return;
	}
	pieces_job_begin(ps);
	blk_drop(l->again);
	l->again = blk_hold(a->blk);
	l->again_at = at;
	l->is_reading = true;
}

/* ---- who waits ---- */

void pieces_leaf_look(struct slot *s)
{
	struct pieces *ps = s->ps;

	if (s->leaves == NULL || s->is_due || s->is_adrift ||
	    !pieces_is_waited(ps, s->ix))
		return;
	s->is_due = true;
	TAILQ_INSERT_TAIL(&ps->due, s, due);
	loop_defer(ps->cfg.loop, &ps->due_task);
}

/* A leaf that somebody waits for and that can be judged now; false: none. What
 * lies in the store alone is fetched from there. */
static bool find_leaf(struct slot *s, const struct piece_wait *w, uint32_t *at,
		      const uint8_t **data)
{
	const struct leaves *l = s->leaves;
	uint32_t end = leaf_end(l, w->at_bytes, w->len_bytes);

	for (uint32_t i = bits_next_clear(&l->right, *at); i < end;
	     i = bits_next_clear(&l->right, i + 1)) {
		if (!bits_has(&l->here, i))
			continue;
		*at = i;
		*data = bytes_of(s, i);
		if (*data != NULL)
			return true;
		if (s->stage != NULL && !l->is_reading &&
		    stage_is_staged(s->stage, i * VERIFY_BLOCK_BYTES))
			read_again(s, i);
	}
	return false;
}

/* Not looked at again, even if it cannot be taken back. False: somebody was
 * told. */
static bool on_wrong_leaf(struct slot *s, uint32_t i)
{
	struct pieces *ps = s->ps;

	bits_clear(&s->leaves->here, i);
	if (piece_state(ps, s->ix) != PIECE_FETCHING)
		return true; /* it is being hashed */
	ps->cfg.ops->on_bad_leaf(ps->cfg.arg, s->ix, i * VERIFY_BLOCK_BYTES);
	return false;
}

/* What of a wait can be judged is judged. False: something was said upward, and
 * nothing here may be relied on. */
static bool judge_wait(struct slot *s, const struct piece_wait *w,
		       unsigned *left)
{
	struct leaves *l = s->leaves;
	uint32_t i = leaf_of(w->at_bytes);
	const uint8_t *data;

	for (; *left > 0 && find_leaf(s, w, &i, &data); i++) {
		enum leaf_is is = judge(s, i, data);

		if (is == LEAF_UNKNOWN)
			continue;
		--*left;
		if (is == LEAF_RIGHT)
			bits_set(&l->right, i);
		else if (!on_wrong_leaf(s, i))
			return false;
	}
	return true;
}

/* True: it is done with; false: something was said upward: look afresh. */
static bool look_at(struct pieces *ps, struct slot *s, unsigned *left)
{
	struct piece_wait *w = NULL;

	while ((w = pieces_wait_of(ps, s->ix, w)) != NULL) {
		if (w->len_bytes == 0)
			continue;
		if (!judge_wait(s, w, left))
			return false;
		if (pieces_is_right(ps, s->ix, w->at_bytes, w->len_bytes)) {
			pieces_wait_end(ps, w, 0);
			return false;
		}
	}
	return true;
}

void pieces_end_right_waits(struct pieces *ps, uint32_t ix)
{
	struct piece_wait *w = NULL;

	while (!ps->is_closed && (w = pieces_wait_of(ps, ix, w)) != NULL) {
		if (w->len_bytes == 0 ||
		    !pieces_is_right(ps, ix, w->at_bytes, w->len_bytes))
			continue;
		pieces_wait_end(ps, w, 0);
		w = NULL; /* look afresh */
	}
}

static void on_due(void *arg)
{
	struct pieces *ps = arg;
	unsigned left = LEAVES_A_TURN;
	struct slot *s;

	while (!ps->is_closed && (s = TAILQ_FIRST(&ps->due)) != NULL) {
		if (left == 0) {
			loop_defer(ps->cfg.loop, &ps->due_task);
			return;
		}
		if (!look_at(ps, s, &left) || left == 0)
			continue;
		s->is_due = false;
		TAILQ_REMOVE(&ps->due, s, due);
	}
}

/* ---- blame ---- */

bool pieces_leaf_blame(struct slot *s)
{
	struct pieces *ps = s->ps;
	uint32_t ix = s->ix, n = s->leaves != NULL ? s->leaves->here.n : 0;
	uint8_t *is = s->leaf_hashes;
	uint8_t want[HASH_SHA256_BYTES];
	bool found = false;

	if (is == NULL || s->stage != NULL)
		return false;
	s->leaf_hashes = NULL;
	for (uint32_t i = 0; i < n; i++) {
		if (!layers_leaf(ps->cfg.layers, ix, i, want) ||
		    memcmp(want, is + (size_t)i * sizeof(want), sizeof(want)) ==
			    0)
			continue;
		found = true;
		ps->cfg.ops->on_bad_leaf(ps->cfg.arg, ix,
					 i * VERIFY_BLOCK_BYTES);
		if (ps->is_closed || pieces_slot(ps, ix) != s)
			break;
	}
	mem_free(is);
	return found;
}
