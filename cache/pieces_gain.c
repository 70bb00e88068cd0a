/* pieces_gain — pieces that other torrents bring, or lose.
 *
 * Purpose: torrents with the same v2 file have its bytes in common in the store
 * (store_watch), so a piece may come to be held without a block of it having
 * been asked for here: ABSENT, or WANTED, it is CLEAN then, and readers and
 * peers hear of it as of any other.
 *
 * One that is under way when it is gained goes on: what is asked for comes, and
 * is put as if nothing had been; that costs its bytes once more, and spares the
 * picker a piece that ends in the middle. If it is given up, it is CLEAN at
 * once.
 *
 * One that is lost and still lies in memory is there only (unkept). One that is
 * SETTLING hears from its own put. */
#include "cache/pieces_internal.h"

#include "cache/store.h"
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

static void on_gained(void *arg, uint32_t ix)
{
	struct pieces *ps = arg;

	if (bits_has(&ps->have, ix))
		return;
	if (is_idle(ps, ix))
		gain(ps, ix);
	else
		ps->marks[ix] |= MARK_GAINED;
}

static void on_gained_leaves(void *arg, uint32_t ix, uint32_t at_bytes,
			     uint32_t len_bytes)
{
	struct pieces *ps = arg;

	if (ps->cfg.layers != NULL && !bits_has(&ps->have, ix))
		pieces_kept_gain(ps, ix, at_bytes, len_bytes);
}

static void on_lost(void *arg, uint32_t ix)
{
	struct pieces *ps = arg;
	struct slot *s = pieces_slot(ps, ix);

	ps->marks[ix] &= (uint8_t)~MARK_GAINED;
	pieces_kept_forget(ps, ix);
	if (piece_state(ps, ix) != PIECE_CLEAN)
		return;
	log_debug("piece %u was lost by another torrent", ix);
	if (s != NULL)
		s->is_unkept = true; /* its buffer has it */
	else
		pieces_drop_have(ps, ix);
}

static const struct store_share_ops share_ops = {
	.on_gained = on_gained,
	.on_gained_leaves = on_gained_leaves,
	.on_lost = on_lost,
};

void pieces_gain_watch(struct pieces *ps)
{
	store_watch(ps->st, &share_ops, ps);
}

/* Those that were given up: few, and seldom. */
static void on_task(void *arg)
{
	struct pieces *ps = arg;

	for (uint32_t ix = 0; ix < ps->have.n && !ps->is_closed; ix++) {
		if (!(ps->marks[ix] & MARK_GAINED) || !is_idle(ps, ix))
			continue;
		gain(ps, ix);
	}
}

void pieces_gain_init(struct pieces *ps)
{
	loop_task_init(&ps->gain_task, on_task, ps);
}

void pieces_gain_on_move(struct pieces *ps, uint32_t ix)
{
	if (!(ps->marks[ix] & MARK_GAINED))
		return;
	if (is_idle(ps, ix))
		loop_defer(ps->cfg.loop, &ps->gain_task);
	else if (piece_state(ps, ix) >= PIECE_SETTLING)
		ps->marks[ix] &= (uint8_t)~MARK_GAINED;
}
