/* picker_background — which pieces of the background are asked for: what room
 * readers leave goes to the rarest that somebody with room has, and of equally
 * rare ones to those that are open.
 *
 * Rare before begun. Who finishes first what was begun asks whoever unchokes
 * him, a seed too, for what many have already: in a swarm where all do so the
 * seed sends each piece many times, and nobody has what another lacks. But what
 * is half there is memory, and nothing that can be given to others: while more
 * than HALF_MIN pieces, and one a peer, have blocks to ask for, no other is
 * begun. Those do not count that for LEFT_US nobody could be asked for: one who
 * choked us in the middle of many must not keep us from everybody else. They
 * are the first that memory is taken from (picker_left_background).
 *
 * Pure. */
#include <string.h>

#include "net/picker_internal.h"
#include "net/rarity.h"

enum {
	RARE_SCAN = 256, /* pieces looked at in their order, a pass */
	HALF_MIN = 16,	 /* begun ones with blocks to ask for, and one a peer */
	LEFT_US = 20000000,
};

/* Room alone is not enough: a new peer may have all that it is trusted with. */
static bool somebody_takes_it(const struct pick_pass *ps)
{
	uint64_t us;

	return picker_choose_any(ps, WIRE_BLOCK_BYTES, &us) != ps->n_peers;
}

/* Out of the order: some piece of a peer with room, or UINT32_MAX. */
static uint32_t any_new(struct pick_pass *ps)
{
	for (unsigned i = 0; i < ps->n_peers; i++) {
		const struct pick_peer *pr = &ps->peers[i];
		uint32_t ix = UINT32_MAX;

		if (pr->room > 0 && !pr->is_guess)
			ix = rarity_any(ps->p->rarity, pr->have, pr->only);
		if (ix == UINT32_MAX)
			continue;
		picker_find_candidates(ps, ix);
		if (somebody_takes_it(ps) &&
		    picker_may_begin(ps, ix, WANT_BACKGROUND))
			return ix;
	}
	return UINT32_MAX;
}

/* The next piece to begin that is rarer than `level`; `at` is where the search
 * of this pass stands. The rare pieces at the head may be those of peers that
 * are busy or choke us: they are not passed over and over for each new piece.
 */
static uint32_t next_new(struct pick_pass *ps, uint32_t *at, uint32_t level)
{
	const struct rarity *rare = ps->p->rarity;

	for (; *at < rarity_count(rare) && *at < RARE_SCAN; ++*at) {
		uint32_t ix = rarity_at(rare, *at);

		if (rarity_level(rare, ix) >= level)
			return UINT32_MAX;
		picker_find_candidates(ps, ix);
		if (somebody_takes_it(ps) &&
		    picker_may_begin(ps, ix, WANT_BACKGROUND))
			return ix;
		if (ps->begins_none)
			return UINT32_MAX;
	}
	return level == UINT32_MAX && *at < rarity_count(rare) ? any_new(ps)
							       : UINT32_MAX;
}

/* For long nobody could be asked for more of it: who has it chokes us, or is
 * gone. */
static bool is_left(const struct picker *p, const struct pick_piece *pp)
{
	return pp->n_asked == 0 && p->pass_us >= pp->hope_us + LEFT_US;
}

/* It was not asked for, but was that for want of peers? */
static void look_for_hope(struct pick_pass *ps, struct pick_piece *pp)
{
	picker_find_candidates(ps, pp->ix);
	for (unsigned k = 0; k < ps->n_cand; k++) {
		if (ps->tier[k] != TIER_GUESS)
			pp->hope_us = ps->now_us;
	}
}

static void sink(struct pick_list *list, struct pick_piece *pp)
{
	struct pick_piece *at = TAILQ_PREV(pp, pick_list, link);

	if (at == NULL || at->level <= pp->level)
		return;
	TAILQ_REMOVE(list, pp, link);
	while (at != NULL && at->level > pp->level)
		at = TAILQ_PREV(at, pick_list, link);
	if (at != NULL)
		TAILQ_INSERT_AFTER(list, at, pp, link);
	else
		TAILQ_INSERT_HEAD(list, pp, link);
}

/* The open pieces by level, and among equals as they were begun. They were in
 * order at the last pass and little has changed, so this is cheap. Returns how
 * many have blocks to ask for and are not left. */
static unsigned sort_open(struct pick_pass *ps)
{
	struct picker *p = ps->p;
	struct pick_piece *pp, *next;
	unsigned n_half = 0;

	TAILQ_FOREACH_SAFE (pp, &p->background, link, next) {
		pp->level = rarity_level(p->rarity, pp->ix);
		if (is_left(p, pp))
			look_for_hope(ps, pp);
		n_half += picker_free_blocks(pp) > 0 && !is_left(p, pp);
		sink(&p->background, pp);
	}
	return n_half;
}

/* Something could be begun and may not be: that changes when a piece has been
 * left for long enough. */
static void look_for_left(struct pick_pass *ps)
{
	const struct pick_piece *pp;

	TAILQ_FOREACH (pp, &ps->p->background, link) {
		if (pp->n_asked == 0 && !is_left(ps->p, pp))
			picker_look_at(ps, pp->hope_us + LEFT_US);
	}
}

/* False: the owner has no memory for another piece. */
static bool begin_piece(struct pick_pass *ps, uint32_t ix)
{
	struct pick_piece *pp = picker_open_background(ps->p, ix);

	if (pp == NULL)
		return false;
	pp->level = rarity_level(ps->p->rarity, ix);
	picker_ask_free(ps, pp, WANT_BACKGROUND);
	return true;
}

static struct pick_piece *next_half(struct pick_piece *pp)
{
	while (pp != NULL && picker_free_blocks(pp) == 0)
		pp = TAILQ_NEXT(pp, link);
	return pp;
}

static void ask_rarest(struct pick_pass *ps)
{
	unsigned n_half = sort_open(ps);
	unsigned half_max = HALF_MIN + ps->n_peers;
	struct pick_piece *pp = next_half(TAILQ_FIRST(&ps->p->background));
	bool may_begin = true;
	uint32_t at = 0, ix;

	while (ps->n < ps->max && ps->room > 0) {
		may_begin = may_begin && n_half < half_max && !ps->begins_none;
		ix = may_begin ? next_new(ps, &at, pp ? pp->level : UINT32_MAX)
			       : UINT32_MAX;
		if (ix != UINT32_MAX) {
			may_begin = begin_piece(ps, ix);
			n_half++;
		} else if (pp != NULL) {
			picker_find_candidates(ps, pp->ix);
			picker_ask_free(ps, pp, WANT_BACKGROUND);
			pp = next_half(TAILQ_NEXT(pp, link));
		} else {
			break;
		}
	}
	if (!may_begin && ps->room > 0)
		look_for_left(ps);
}

void picker_assign_background(struct pick_pass *ps)
{
	struct pick_piece *pp;

	if (ps->p->rarity == NULL || ps->n == ps->max || ps->room == 0)
		return;
	ask_rarest(ps);
	TAILQ_FOREACH (pp, &ps->p->background, link) {
		if (ps->n == ps->max || ps->room == 0)
			return;
		if (pp->n_asked == 0)
			continue;
		picker_find_candidates(ps, pp->ix);
		if (ps->n_doubtful > 0)
			picker_ask_instead(ps, pp, WANT_BACKGROUND);
		picker_ask_late(ps, pp, WANT_BACKGROUND);
	}
}

uint32_t picker_left_background(const struct picker *p)
{
	const struct pick_piece *pp;

	TAILQ_FOREACH (pp, &p->background, link) {
		if (pp->n_hot > 0 && is_left(p, pp))
			return pp->ix;
	}
	return UINT32_MAX;
}
