/* pieces_check — the table of pieces.h and pieces_internal.h, asserted.
 *
 * Purpose: documentation that fails when it is false. Each public function of
 * pieces checks the piece it touches (SHOAL_CHECKS); tests check them all.
 *
 * A closed struct is not checked: its slots are on their way out. */
#include "cache/pieces_internal.h"

#include <assert.h>

#include "cache/stage.h"
#include "core/hmap.h"
#include "core/metainfo.h"

/* "right" is "here", and more. */
static void check_leaves(const struct slot *s)
{
	const struct leaves *l = s->leaves;

	for (uint32_t i = 0; l != NULL && i < l->here.n; i++)
		assert(!bits_has(&l->right, i) || bits_has(&l->here, i));
	assert(!s->is_due || l != NULL);
}

static void check_slot(const struct slot *s, enum piece_state state)
{
	bool is_written = !s->is_counted;

	assert(!(s->is_recent && s->is_counted) && !s->is_adrift);
	assert(s->is_counted || !s->is_queued);
	assert(s->blk == NULL || s->stage == NULL);
	assert(s->is_recent == (s->blk != NULL && is_written));
	assert(!s->is_unkept || state == PIECE_CLEAN);
	switch (state) {
	case PIECE_ABSENT:
	case PIECE_WANTED:
		assert(false); /* a slot without a reason */
		break;
	case PIECE_FETCHING:
	case PIECE_CHECKING:
		assert(s->is_counted == (s->blk != NULL));
		assert(s->is_counted == (s->stage == NULL));
		assert(s->has_job == (state == PIECE_CHECKING &&
				      s->stage == NULL && !s->is_lacking));
		assert(!s->is_lacking || state == PIECE_CHECKING);
		check_leaves(s);
		if (s->stage != NULL)
			stage_check(s->stage, state == PIECE_CHECKING);
		break;
	case PIECE_SETTLING:
		assert(s->leaves == NULL);
		assert(s->stage == NULL && s->has_job);
		assert(s->blk != NULL || is_written);
		break;
	case PIECE_CLEAN:
		assert(s->leaves == NULL);
		assert(s->blk != NULL && is_written && !s->has_job);
		break;
	}
}

static void check_piece(const struct pieces *ps, uint32_t ix)
{
	enum piece_state state = piece_state(ps, ix);
	const struct slot *s = pieces_slot(ps, ix);
	bool has = state == PIECE_SETTLING || state == PIECE_CLEAN;

	assert(ix < ps->cfg.mi->n_pieces && state <= PIECE_CLEAN);
	assert(bits_has(&ps->have, ix) == has);
	assert(!has || !pieces_is_waited(ps, ix));
	assert(state != PIECE_ABSENT || !pieces_is_waited(ps, ix));
	assert(state != PIECE_WANTED || pieces_is_waited(ps, ix));
	if (s != NULL)
		check_slot(s, state);
	else
		assert(state == PIECE_ABSENT || state == PIECE_WANTED ||
		       state == PIECE_CLEAN);
}

#ifdef SHOAL_CHECKS
void pieces_check_piece(const struct pieces *ps, uint32_t ix)
{
	if (!ps->is_closed)
		check_piece(ps, ix);
}
#endif

void pieces_check(const struct pieces *ps)
{
	if (ps->is_closed)
		return;
	bits_check(&ps->have);
	for (uint32_t ix = 0; ix < ps->cfg.mi->n_pieces; ix++) {
		bool has_wait = false;
		const struct piece_wait *w;

		check_piece(ps, ix);
		LIST_FOREACH (w, &ps->waits[ix % PIECES_WAIT_LISTS], link)
			has_wait |= w->piece_ix == ix;
		assert(has_wait == pieces_is_waited(ps, ix));
	}
}
