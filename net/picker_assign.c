/* picker_assign — one pass: which free blocks, and which late ones once more,
 * are asked for now. Of whom, picker_choose.c says.
 *
 * Happy path, for each wanted piece in order of demand:
 *   1. Gather the peers that have it (and, while they choke us, allow it).
 *   2. Each free block is asked of the one chosen, or waits for his window. At
 *      most WAITING_MAX blocks of a piece wait in one pass: beyond that nobody
 *      who has room is of use.
 *   3. A block that only doubtful peers owe is asked of a proven one as if it
 *      were free, or of a new one; when it is out PICKER_COPIES_MAX times
 *      already, instead of the one asked first. Where one of them was proven
 *      and may send it yet, in an urgent piece only.
 *   4. In an urgent piece, a block that is out gets a copy when somebody else
 *      would deliver it in half the time that the first one still needs.
 *      What it still needs is its prediction; once that has passed, as long
 *      again as it has taken already. But blocks come in the order of asking:
 *      while a peer delivers, each is merely behind what is out before it.
 *   5. New peers that nothing is asked of, beside proven ones, are asked for a
 *      copy of the piece's last blocks: else, where the proven have room for
 *      all that is urgent, nobody would come to know what they can do. So are
 *      the doubtful once what they owed was cancelled: how else would they
 *      be believed again.
 *   6. What room is left goes to the background, the rarest pieces first that
 *      somebody with room has, and of equally rare ones those that are open.
 *      Room left even so: there is nothing that those peers could be asked
 *      for, and its blocks are copied as in 3 and 4.
 * The pass ends when no peer has room.
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
 * What copies may cost. Bytes that come twice are paid from what arrives, one
 * in WASTE_SHARE, in the first STREAM_US of a stream one in STREAM_SHARE; up to
 * WASTE_SAVED are saved up. Who is in debt makes no copies of what a proven
 * peer owes. What a peer owes that never proved itself costs nothing of that:
 * strangers cannot use up the copies. A copy of what somebody is at work on is
 * more of a bet: at most one in COPY_SHARE requests is one, it leaves
 * WASTE_KEPT for surer cases, and a wait below COPY_FLOOR_US is not worth one.
 */
#include <string.h>

#include "net/picker_internal.h"
#include "net/rarity.h"

enum {
	COPY_FLOOR_US = 20000,
	COPY_SHARE = 4,
	COPY_MIN = 4,
	WAITING_MAX = 32,
	RARE_SCAN = 256, /* pieces looked at in their order, a pass */
	HALF_MIN = 16,	 /* begun ones with blocks to ask for, and one a peer */
	LEFT_US = 20000000,
	WASTE_SHARE = 20,
	STREAM_SHARE = 7,
	STREAM_US = 3000000,
	STREAM_PAUSE_US = 1000000, /* without urgent demand: another stream */
	WASTE_SAVED = 512 << 10,
	WASTE_KEPT = 128 << 10, /* of that, for what the doubtful owe */
};

static void ask(struct pick_pass *ps, struct pick_piece *pp, uint32_t i,
		unsigned peer_ix, uint64_t us)
{
	struct pick_peer *pr = &ps->peers[peer_ix];
	struct pick_block *b = &pp->blocks[i];
	struct pick *out = &ps->out[ps->n++];

	*out = (struct pick){.peer_ix = peer_ix,
			     .block = picker_block(pp, i),
			     .is_copy = b->n_out > 0};
	if (b->n_out == PICKER_COPIES_MAX) {
		out->instead_of = b->peer[0];
		memmove(b->peer, b->peer + 1,
			(PICKER_COPIES_MAX - 1) * sizeof(b->peer[0]));
		b->n_out--;
		ps->p->n_out--;
		ps->p->n_copies--;
	}
	if (out->is_copy) {
		ps->p->n_copies++;
	} else {
		pp->n_asked++;
		picker_segment(pp, i)->n_asked++;
		picker_segment(pp, i)->n_free--;
	}
	if (!out->is_copy || ps->now_us + us < b->due_us ||
	    ps->now_us > b->due_us)
		b->due_us = ps->now_us + us;
	b->asked_us = pp->hope_us = ps->now_us;
	b->peer[b->n_out++] = pr->id;
	ps->p->n_out++;
	pr->out_bytes += out->block.len_bytes;
	b->last_byte = pr->down_bytes + pr->out_bytes;
	pr->room--;
	ps->room--;
}

/* ---- free blocks ---- */

/* Is there a block to ask for in the segment of block `i`? Where one could not
 * be opened no other is tried: they are opened in order. */
static bool is_askable(struct pick_pass *ps, struct pick_piece *pp, uint32_t i,
		       bool *is_full)
{
	struct pick_segment *seg = picker_segment(pp, i);

	if (seg->n_free == 0)
		return false;
	if (!seg->is_open && !*is_full)
		*is_full = !picker_open_segment(ps->p, pp, i);
	return seg->is_open;
}

/* Of whom the free block is asked; n_peers: of nobody, and then `*waits`. */
static unsigned choose(struct pick_pass *ps, const struct pick_piece *pp,
		       uint32_t i, uint64_t *us, bool *waits)
{
	uint32_t len = picker_block(pp, i).len_bytes;

	*waits = false;
	if (pp->class == WANT_URGENT)
		return picker_choose_urgent(ps, len, us, waits);
	return picker_choose_any(ps, len, us);
}

static void ask_free_blocks(struct pick_pass *ps, struct pick_piece *pp)
{
	uint32_t i = pp->first_free, first_free = UINT32_MAX;
	unsigned n_waiting = 0, peer_ix;
	bool is_full = false, waits;
	uint64_t us;

	while (i < pp->n_blocks && ps->n < ps->max && ps->room > 0) {
		struct pick_block *b = &pp->blocks[i];

		if (!is_askable(ps, pp, i, &is_full)) {
			if (first_free > i && picker_segment(pp, i)->n_free > 0)
				first_free = i;
			i = picker_segment_end(pp, i);
			continue;
		}
		if (b->has_arrived || b->n_out > 0) {
			i++;
			continue;
		}
		peer_ix = choose(ps, pp, i, &us, &waits);
		if (peer_ix != ps->n_peers) {
			ask(ps, pp, i++, peer_ix, us);
			continue;
		}
		if (first_free > i)
			first_free = i;
		if (!waits || ++n_waiting == WAITING_MAX)
			break;
		i++;
	}
	pp->first_free = i < first_free ? i : first_free;
}

/* ---- blocks that are out ---- */

static void look_at(struct pick_pass *ps, uint64_t us)
{
	if (us < ps->p->next_late_us)
		ps->p->next_late_us = us;
}

/* Only doubtful peers owe it. `*costs`: one of them was proven, and may well
 * send it yet. */
static bool is_as_good_as_free(const struct pick_pass *ps,
			       const struct pick_block *b, bool *costs)
{
	*costs = false;
	for (unsigned i = 0; i < b->n_out; i++) {
		const struct pick_peer *pr = picker_peer_of(ps, b->peer[i]);

		if (pr == NULL)
			continue; /* it cannot be asked now: it chokes us */
		if (!picker_is_doubtful(ps, pr))
			return false;
		*costs |= pr->is_proven;
	}
	return true;
}

static void ask_instead(struct pick_pass *ps, struct pick_piece *pp)
{
	bool is_urgent = pp->class == WANT_URGENT;

	for (uint32_t i = picker_next_out(pp, 0);
	     i < pp->n_blocks && ps->n < ps->max;
	     i = picker_next_out(pp, i + 1)) {
		struct pick_block *b = &pp->blocks[i];
		unsigned peer_ix;
		uint64_t us;
		bool costs;

		if (ps->room == 0)
			break;
		if (b->n_out == 0 || !is_as_good_as_free(ps, b, &costs) ||
		    (costs && (!is_urgent || ps->p->waste_left <= 0)))
			continue;
		peer_ix = picker_choose_instead(
			ps, b, picker_block(pp, i).len_bytes, &us);
		if (peer_ix == ps->n_peers)
			break;
		ask(ps, pp, i, peer_ix, us);
	}
}

/* What its peer will have to send until the block is whole. One that was
 * overtaken by what was asked later: everything. */
static uint64_t bytes_before(const struct pick_peer *pr,
			     const struct pick_block *b)
{
	uint64_t bytes = b->last_byte - pr->down_bytes;

	return b->last_byte <= pr->down_bytes || bytes > pr->out_bytes
		       ? pr->out_bytes
		       : bytes;
}

/* How long the block will still take, as far as anyone can tell; and when to
 * look again. */
static uint64_t still_us(struct pick_pass *ps, const struct pick_block *b)
{
	uint64_t whole = b->due_us - b->asked_us, us = UINT64_MAX;
	uint64_t look =
		b->due_us + (whole < COPY_FLOOR_US ? COPY_FLOOR_US : whole / 2);
	const struct pick_peer *pr = picker_peer_of(ps, b->peer[b->n_out - 1]);
	bool is_at_work = pr != NULL && pr->rate_Bps > 0 &&
			  pr->heard_us > b->asked_us &&
			  !picker_is_doubtful(ps, pr);

	if (is_at_work)
		us = bytes_before(pr, b) * 1000000 / pr->rate_Bps;
	if (ps->now_us < look) {
		look_at(ps, look);
		if (ps->now_us >= b->due_us)
			return 0;
		return us < b->due_us - ps->now_us ? us
						   : b->due_us - ps->now_us;
	}
	if (is_at_work) {
		look_at(ps, pr->doubt_us);
		return us;
	}
	look_at(ps, ps->now_us + (ps->now_us - b->asked_us));
	return ps->now_us - b->asked_us;
}

static bool copies_are_left(const struct picker *p)
{
	return p->waste_left > WASTE_KEPT &&
	       p->n_copies < COPY_MIN + p->n_out / COPY_SHARE;
}

static void ask_late_blocks(struct pick_pass *ps, struct pick_piece *pp)
{
	uint64_t us, still;
	unsigned peer_ix;

	for (uint32_t i = picker_next_out(pp, 0);
	     i < pp->n_blocks && ps->n < ps->max;
	     i = picker_next_out(pp, i + 1)) {
		struct pick_block *b = &pp->blocks[i];

		if (b->n_out == 0)
			continue;
		still = still_us(ps, b);
		if (still < COPY_FLOOR_US || b->n_out == PICKER_COPIES_MAX ||
		    ps->room == 0 || !copies_are_left(ps->p))
			continue;
		peer_ix = picker_choose_copy(
			ps, b, picker_block(pp, i).len_bytes, &us);
		if (peer_ix != ps->n_peers && us < still / 2)
			ask(ps, pp, i, peer_ix, us);
	}
}

/* A copy is how it comes to be known, or to be trusted again. */
static bool is_probed(const struct pick_peer *pr, enum pick_tier tier)
{
	return tier == TIER_NEW || (tier == TIER_DOUBTFUL && pr->is_proven);
}

/* Each of those who is idle, one of the last blocks. */
static void probe(struct pick_pass *ps, struct pick_piece *pp)
{
	uint32_t i = pp->n_blocks;

	for (unsigned k = 0; k < ps->n_cand && i > 0 && ps->n < ps->max; k++) {
		const struct pick_peer *pr = &ps->peers[ps->cand[k]];

		if (!is_probed(pr, ps->tier[k]) || pr->room == 0 ||
		    pr->out_bytes > 0 || ps->p->waste_left <= 0)
			continue;
		while (i > 0 && pp->blocks[i - 1].n_out != 1)
			i--;
		if (i == 0)
			break;
		i--;
		ask(ps, pp, i, ps->cand[k],
		    picker_predict_us(ps, ps->cand[k],
				      picker_block(pp, i).len_bytes));
	}
}

/* ---- the background ---- */

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
		if (somebody_takes_it(ps))
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
		if (somebody_takes_it(ps))
			return ix;
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
			look_at(ps, pp->hope_us + LEFT_US);
	}
}

/* False: the owner has no memory for another piece. */
static bool begin_piece(struct pick_pass *ps, uint32_t ix)
{
	struct pick_piece *pp = picker_open_background(ps->p, ix);

	if (pp == NULL)
		return false;
	pp->level = rarity_level(ps->p->rarity, ix);
	ask_free_blocks(ps, pp);
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
		may_begin = may_begin && n_half < half_max;
		ix = may_begin ? next_new(ps, &at, pp ? pp->level : UINT32_MAX)
			       : UINT32_MAX;
		if (ix != UINT32_MAX) {
			may_begin = begin_piece(ps, ix);
			n_half++;
		} else if (pp != NULL) {
			picker_find_candidates(ps, pp->ix);
			ask_free_blocks(ps, pp);
			pp = next_half(TAILQ_NEXT(pp, link));
		} else {
			break;
		}
	}
	if (!may_begin && ps->room > 0)
		look_for_left(ps);
}

static void assign_background(struct pick_pass *ps)
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
			ask_instead(ps, pp);
		ask_late_blocks(ps, pp);
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

/* ---- the pass ---- */

static void ask_of_piece(struct pick_pass *ps, struct pick_piece *pp)
{
	bool is_urgent = pp->class == WANT_URGENT;

	picker_find_candidates(ps, pp->ix);
	if (ps->n_cand == 0)
		return;
	if (ps->room > 0 && picker_free_blocks(pp) > 0 &&
	    picker_open(ps->p, pp))
		ask_free_blocks(ps, pp);
	if (pp->n_asked == 0)
		return;
	if (ps->n_doubtful > 0)
		ask_instead(ps, pp);
	if (!is_urgent)
		return;
	ask_late_blocks(ps, pp);
	if (ps->n_at_hand > 0 && ps->n_at_hand < ps->n_cand)
		probe(ps, pp);
}

static void note_stream(struct picker *p, uint64_t now_us)
{
	const struct pick_piece *pp = TAILQ_FIRST(&p->wanted);

	if (pp == NULL || pp->class != WANT_URGENT)
		return;
	if (p->urgent_us == 0 || now_us > p->urgent_us + STREAM_PAUSE_US)
		p->stream_us = now_us;
	p->urgent_us = now_us;
}

unsigned picker_assign(struct picker *p, struct pick_peer *peers,
		       unsigned n_peers, uint64_t now_us, struct pick *out,
		       unsigned max)
{
	struct pick_pass ps = {.p = p,
			       .peers = peers,
			       .n_peers = n_peers,
			       .now_us = now_us,
			       .out = out,
			       .max = max};
	struct pick_piece *pp;

	picker_count_peers(&ps);
	note_stream(p, now_us);
	p->pass_us = now_us;
	p->next_late_us = UINT64_MAX;
	TAILQ_FOREACH (pp, &p->wanted, link) {
		bool is_urgent = pp->class == WANT_URGENT;

		if (ps.n == max || (!is_urgent && ps.room == 0))
			break;
		if (picker_free_blocks(pp) > 0 ||
		    (pp->n_asked > 0 && (is_urgent || ps.n_doubtful > 0)))
			ask_of_piece(&ps, pp);
	}
	if (!p->is_resting)
		assign_background(&ps);
	return ps.n;
}

uint64_t picker_next_late_us(const struct picker *p)
{
	return p->next_late_us;
}

/* ---- what copies may cost ---- */

void picker_earn(struct picker *p, uint32_t bytes)
{
	bool is_early = p->urgent_us < p->stream_us + STREAM_US;

	p->waste_left += bytes / (is_early ? STREAM_SHARE : WASTE_SHARE);
	if (p->waste_left > WASTE_SAVED)
		p->waste_left = WASTE_SAVED;
}

void picker_on_waste(struct picker *p, uint32_t bytes)
{
	p->waste_left -= bytes;
}
