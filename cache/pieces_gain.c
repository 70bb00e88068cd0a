/* pieces_gain — pieces that come to be held, or are lost, by no put of theirs.
 *
 * Purpose: torrents with the same v2 file have its bytes in common in the store
 * (store_watch), so a piece may come to be held without a block of it having
 * been asked for here. And who reads block by block has all of a piece in the
 * end, though it never was in memory at once: its kept leaves are the piece,
 * which needs no hash, since each of them leads to the root. ABSENT, or WANTED,
 * it is CLEAN then, and readers and peers hear of it as of any other.
 *
 * One that is under way is given up first (on_brought). One that is being
 * hashed goes on: it is put as if nothing had been, or, should it be wrong,
 * given up then.
 *
 * One that is lost and still lies in memory is there only (unkept). One that is
 * SETTLING hears from its own put. */
#include "cache/pieces_internal.h"

#include "cache/store.h"
#include "cache/store_share.h"
#include "core/log.h"

static bool is_idle(const struct pieces *ps, uint32_t ix)
{
	enum piece_state state = piece_state(ps, ix);

	return state == PIECE_ABSENT || state == PIECE_WANTED;
}

/* The piece lies in the store, verified; the last thing done on its turn. */
static void gain(struct pieces *ps, uint32_t ix)
{
	pieces_move(ps, ix, PIECE_CLEAN);
	ps->marks[ix] &= (uint8_t)~MARK_WAITED;
	bits_set(&ps->have, ix);
	ps->cfg.ops->on_verified(ps->cfg.arg, ix);
	if (!ps->is_closed)
		pieces_call_waiters(ps, ix, 0);
}

/* Now, unless it is being hashed. */
static void take(struct pieces *ps, uint32_t ix)
{
	if (piece_state(ps, ix) == PIECE_FETCHING)
		ps->cfg.ops->on_brought(ps->cfg.arg, ix);
	if (!ps->is_closed && is_idle(ps, ix))
		gain(ps, ix);
}

void pieces_gain(struct pieces *ps, uint32_t ix)
{
	if (bits_has(&ps->have, ix))
		return;
	ps->marks[ix] |= MARK_GAINED;
	take(ps, ix);
}

static void on_gained(void *arg, uint32_t ix)
{
	pieces_gain(arg, ix);
}

static void on_offered(void *arg)
{
	pieces_offer_look(arg);
}

static void on_gained_leaves(void *arg, uint32_t ix, uint32_t at_bytes,
			     uint32_t len_bytes)
{
	struct pieces *ps = arg;

	if (ps->cfg.layers == NULL || bits_has(&ps->have, ix))
		return;
	pieces_kept_gain(ps, ix, at_bytes, len_bytes);
	if (!ps->is_closed && ps->cfg.ops->on_leaves != NULL)
		ps->cfg.ops->on_leaves(ps->cfg.arg, ix);
}

static void on_lost(void *arg, uint32_t ix)
{
	struct pieces *ps = arg;
	struct slot *s = pieces_slot(ps, ix);

	ps->marks[ix] &= (uint8_t)~MARK_GAINED;
	pieces_kept_forget(ps, ix);
	if (piece_state(ps, ix) != PIECE_CLEAN)
		return;
	if (s != NULL)
		s->is_unkept = true; /* its buffer has it */
	else
		pieces_drop_have(ps, ix);
}

static void on_disputed(void *arg, uint32_t ix)
{
	struct pieces *ps = arg;

	ps->cfg.ops->on_disputed(ps->cfg.arg, ix);
}

static uint64_t due_us(void *arg, uint32_t ix)
{
	const struct pieces *ps = arg;

	if (ps->is_closed || ps->cfg.ops->due_us == NULL)
		return UINT64_MAX;
	if (pieces_is_waited(ps, ix))
		return 0;
	return ps->cfg.ops->due_us(ps->cfg.arg, ix);
}

/* All these leaves were given to the store. */
static bool is_being_kept(const struct slot *s, uint32_t at_bytes,
			  uint32_t len_bytes)
{
	uint32_t end = (at_bytes + len_bytes - 1) / VERIFY_BLOCK_BYTES + 1;

	return s != NULL && s->leaves != NULL && end <= s->leaves->put.n &&
	       bits_next_clear(&s->leaves->put,
			       at_bytes / VERIFY_BLOCK_BYTES) >= end;
}

static uint64_t coming_us(void *arg, uint32_t ix, uint32_t at_bytes,
			  uint32_t len_bytes, bool only_asked)
{
	const struct pieces *ps = arg;
	const struct slot *s = pieces_slot(ps, ix);

	if (ps->is_closed)
		return UINT64_MAX;
	switch (piece_state(ps, ix)) {
	case PIECE_FETCHING:
		if (is_being_kept(s, at_bytes, len_bytes))
			return s->whole_us;
		return ps->cfg.ops->coming_us != NULL
			       ? ps->cfg.ops->coming_us(ps->cfg.arg, ix,
							at_bytes, len_bytes,
							only_asked)
			       : UINT64_MAX;
	case PIECE_CHECKING:
	case PIECE_SETTLING:
		return s != NULL ? s->whole_us : UINT64_MAX;
	case PIECE_ABSENT:
	case PIECE_WANTED:
	case PIECE_CLEAN:
		break;
	}
	return UINT64_MAX;
}

uint64_t pieces_coming_us(const struct pieces *ps, uint32_t ix,
			  uint32_t at_bytes, uint32_t len_bytes,
			  bool only_asked)
{
	return ps->st != NULL ? store_coming_us(ps->st, ix, at_bytes, len_bytes,
						only_asked)
			      : UINT64_MAX;
}

static const struct store_share_ops share_ops = {
	.on_gained = on_gained,
	.on_gained_leaves = on_gained_leaves,
	.on_lost = on_lost,
	.on_offered = on_offered,
	.on_disputed = on_disputed,
	.due_us = due_us,
	.coming_us = coming_us,
};

void pieces_gain_watch(struct pieces *ps)
{
	store_watch(ps->st, &share_ops, ps);
	pieces_offer_look(ps);
}

/* Those that were being hashed, and are not any more: few, and seldom. */
static void on_task(void *arg)
{
	struct pieces *ps = arg;

	for (uint32_t ix = 0; ix < ps->have.n && !ps->is_closed; ix++)
		if (ps->marks[ix] & MARK_GAINED)
			take(ps, ix);
}

void pieces_gain_init(struct pieces *ps)
{
	loop_task_init(&ps->gain_task, on_task, ps);
	pieces_offer_init(ps);
}

void pieces_gain_on_move(struct pieces *ps, uint32_t ix)
{
	if (!(ps->marks[ix] & MARK_GAINED))
		return;
	if (piece_state(ps, ix) < PIECE_CHECKING)
		loop_defer(ps->cfg.loop, &ps->gain_task);
	else if (piece_state(ps, ix) >= PIECE_SETTLING)
		ps->marks[ix] &= (uint8_t)~MARK_GAINED;
}
