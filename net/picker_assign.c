/* picker_assign — one pass: which free blocks, and which late ones once more,
 * are asked of whom.
 *
 * Happy path, for each wanted piece in order of demand:
 *   1. Gather the peers that have it (and, while they choke us, allow it).
 *   2. Each free block goes to the one with room that is predicted to deliver
 *      it first. An urgent block waits rather than go to a peer that would
 *      take PICKER_SLOW_FACTOR times as long as the best (and SLOW_SLACK_US
 *      more), whose window merely happens to be full: it will be open again
 *      in a fraction of that.
 *   3. In an urgent piece, a block that is out gets a copy when somebody else
 *      would deliver it in half the time that the first one still needs.
 *      What it still needs is its prediction; once that has passed, as long
 *      again as it has taken already. But blocks come in the order of asking:
 *      while a peer delivers, each is merely behind what is out before it.
 *   4. What room is left goes to the background: to its open pieces first, so
 *      that few are half there, then to new ones, the rarest that somebody
 *      with room has. Room left even so: there is nothing that those peers
 *      could be asked for, and its late blocks are copied as in 3.
 * The pass ends when no peer has room.
 *
 * Copies cost bandwidth, so at most one in COPY_SHARE requests is one, a wait
 * below COPY_FLOOR_US is not worth one, and a snubbed peer gets none.
 *
 * A peer of unknown rate is taken for as fast as the mean of the known ones:
 * its window is the smallest, so being wrong costs a few blocks. */
#include "core/bits.h"
#include "net/picker_internal.h"
#include "net/rarity.h"

enum {
	COPY_FLOOR_US = 20000,
	COPY_SHARE = 4,
	COPY_MIN = 4,
	SLOW_SLACK_US = 10000,
	DEFAULT_RATE_BPS = 1000000,
	CANDIDATES_MAX = 256,
	RARE_SCAN = 256, /* pieces looked at in their order, a pass */
};

struct pass {
	struct picker *p;
	struct pick_peer *peers;
	unsigned n_peers;
	uint64_t now_us;
	uint64_t mean_Bps;
	uint64_t room; /* of all peers */
	struct pick *out;
	unsigned n, max;
	/* peers that may deliver the piece at hand */
	unsigned cand[CANDIDATES_MAX];
	unsigned n_cand;
};

static void count_peers(struct pass *ps)
{
	uint64_t sum = 0, known = 0;

	ps->room = 0;
	for (unsigned i = 0; i < ps->n_peers; i++) {
		ps->room += ps->peers[i].room;
		if (ps->peers[i].rate_Bps > 0) {
			sum += ps->peers[i].rate_Bps;
			known++;
		}
	}
	ps->mean_Bps = known ? sum / known : DEFAULT_RATE_BPS;
	if (ps->mean_Bps == 0)
		ps->mean_Bps = 1;
}

/* Microseconds until `len` more bytes asked now would be here. */
static uint64_t predict_us(const struct pass *ps, const struct pick_peer *pr,
			   uint32_t len)
{
	uint64_t rate = pr->rate_Bps ? pr->rate_Bps : ps->mean_Bps;
	uint64_t bytes = (uint64_t)pr->out_bytes + len;

	return bytes * 1000000 / rate + pr->rtt_us;
}

static bool may_serve(const struct pick_peer *pr, uint32_t ix)
{
	return bits_has(pr->have, ix) && (!pr->only || bits_has(pr->only, ix));
}

/* Who is asked first: a snubbed peer, or one of whom nobody knows what it has,
 * is a candidate only where there is no better. */
enum trust { TRUST_FULL, TRUST_GUESS, TRUST_SNUBBED, TRUST_N };

static enum trust trust_in(const struct pick_peer *pr)
{
	if (pr->is_snubbed)
		return TRUST_SNUBBED;
	return pr->is_guess ? TRUST_GUESS : TRUST_FULL;
}

static void find_candidates(struct pass *ps, uint32_t ix, enum want_class c)
{
	for (enum trust t = TRUST_FULL; t < TRUST_N; t++) {
		ps->n_cand = 0;
		if (t == TRUST_GUESS && c != WANT_URGENT)
			continue;
		for (unsigned i = 0;
		     i < ps->n_peers && ps->n_cand < CANDIDATES_MAX; i++) {
			if (trust_in(&ps->peers[i]) == t &&
			    may_serve(&ps->peers[i], ix))
				ps->cand[ps->n_cand++] = i;
		}
		if (ps->n_cand > 0)
			return;
	}
}

static bool owes(const struct pick_peer *pr, const struct pick_block *b)
{
	for (unsigned i = 0; i < b->n_out; i++) {
		if (b->peer[i] == pr->id)
			return true;
	}
	return false;
}

/* The soonest candidate with room that does not owe the block already; n_peers
 * when there is none. `best_us` is the soonest of all, room or not. */
static unsigned soonest(const struct pass *ps, const struct pick_block *b,
			uint32_t len, uint64_t *us, uint64_t *best_us)
{
	unsigned found = ps->n_peers;

	*us = *best_us = UINT64_MAX;
	for (unsigned k = 0; k < ps->n_cand; k++) {
		const struct pick_peer *pr = &ps->peers[ps->cand[k]];
		uint64_t c = predict_us(ps, pr, len);

		if (c < *best_us)
			*best_us = c;
		if (pr->room == 0 || c >= *us || owes(pr, b) ||
		    (pr->is_snubbed && b->n_out > 0))
			continue;
		*us = c;
		found = ps->cand[k];
	}
	return found;
}

static void ask(struct pass *ps, struct pick_piece *pp, uint32_t i,
		unsigned peer_ix, uint64_t us)
{
	struct pick_peer *pr = &ps->peers[peer_ix];
	struct pick_block *b = &pp->blocks[i];
	struct pick *out = &ps->out[ps->n++];

	out->peer_ix = peer_ix;
	out->block = picker_block(pp, i);
	out->is_copy = b->n_out > 0;
	if (out->is_copy)
		ps->p->n_copies++;
	else
		pp->n_asked++;
	if (!out->is_copy || ps->now_us + us < b->due_us)
		b->due_us = ps->now_us + us;
	b->asked_us = ps->now_us;
	b->peer[b->n_out++] = pr->id;
	ps->p->n_out++;
	pr->out_bytes += out->block.len_bytes;
	pr->room--;
	ps->room--;
}

/* Between near peers the factor alone would be a matter of microseconds. */
static bool is_too_slow(uint64_t us, uint64_t best_us)
{
	return us > best_us * PICKER_SLOW_FACTOR + SLOW_SLACK_US;
}

static void ask_free_blocks(struct pass *ps, struct pick_piece *pp)
{
	uint32_t i = pp->first_free;
	uint64_t us, best_us;
	unsigned peer_ix;

	for (; i < pp->n_blocks && ps->n < ps->max && ps->room > 0; i++) {
		struct pick_block *b = &pp->blocks[i];

		if (b->has_arrived || b->n_out > 0)
			continue;
		peer_ix = soonest(ps, b, picker_block(pp, i).len_bytes, &us,
				  &best_us);
		if (peer_ix == ps->n_peers)
			break;
		if (pp->class == WANT_URGENT && is_too_slow(us, best_us))
			break;
		ask(ps, pp, i, peer_ix, us);
	}
	pp->first_free = i;
}

static const struct pick_peer *peer_of(const struct pass *ps, uint32_t id)
{
	for (unsigned i = 0; i < ps->n_peers; i++) {
		if (ps->peers[i].id == id)
			return &ps->peers[i];
	}
	return NULL;
}

static void look_at(struct pass *ps, uint64_t us)
{
	if (us < ps->p->next_late_us)
		ps->p->next_late_us = us;
}

/* The peer has sent something since it was asked: is it still at it? */
static bool is_delivering(struct pass *ps, const struct pick_peer *pr)
{
	uint64_t quiet_us =
		pr->heard_us + pr->rtt_us + pr->rtt_us / 2 + COPY_FLOOR_US;

	if (ps->now_us >= quiet_us)
		return false;
	look_at(ps, quiet_us);
	return true;
}

/* How long the block will still take, as far as anyone can tell; and when to
 * look again. */
static uint64_t still_us(struct pass *ps, const struct pick_block *b)
{
	const struct pick_peer *pr = peer_of(ps, b->peer[b->n_out - 1]);
	uint64_t whole = b->due_us - b->asked_us;
	uint64_t look =
		b->due_us + (whole < COPY_FLOOR_US ? COPY_FLOOR_US : whole / 2);

	if (ps->now_us < look) {
		look_at(ps, look);
		return ps->now_us < b->due_us ? b->due_us - ps->now_us : 0;
	}
	if (pr != NULL && pr->rate_Bps > 0 && pr->heard_us > b->asked_us &&
	    is_delivering(ps, pr))
		return (uint64_t)pr->out_bytes * 1000000 / pr->rate_Bps;
	look_at(ps, ps->now_us + (ps->now_us - b->asked_us));
	return ps->now_us - b->asked_us;
}

static bool copies_are_left(const struct picker *p)
{
	return p->n_copies < COPY_MIN + p->n_out / COPY_SHARE;
}

static void ask_late_blocks(struct pass *ps, struct pick_piece *pp)
{
	uint64_t us, best_us, still;
	unsigned peer_ix;

	for (uint32_t i = 0; i < pp->n_blocks && ps->n < ps->max; i++) {
		struct pick_block *b = &pp->blocks[i];

		if (b->n_out == 0)
			continue;
		still = still_us(ps, b);
		if (still < COPY_FLOOR_US || b->n_out == PICKER_COPIES_MAX ||
		    ps->room == 0 || !copies_are_left(ps->p))
			continue;
		peer_ix = soonest(ps, b, picker_block(pp, i).len_bytes, &us,
				  &best_us);
		if (peer_ix != ps->n_peers && us < still / 2)
			ask(ps, pp, i, peer_ix, us);
	}
}

/* ---- the background ---- */

static bool somebody_has_room(const struct pass *ps)
{
	for (unsigned k = 0; k < ps->n_cand; k++) {
		if (ps->peers[ps->cand[k]].room > 0)
			return true;
	}
	return false;
}

/* Out of the order: some piece of a peer with room, or UINT32_MAX. */
static uint32_t any_new(struct pass *ps)
{
	for (unsigned i = 0; i < ps->n_peers; i++) {
		const struct pick_peer *pr = &ps->peers[i];
		uint32_t ix = UINT32_MAX;

		if (pr->room > 0 && !pr->is_guess)
			ix = rarity_any(ps->p->rarity, pr->have, pr->only);
		if (ix == UINT32_MAX)
			continue;
		find_candidates(ps, ix, WANT_BACKGROUND);
		if (somebody_has_room(ps))
			return ix;
	}
	return UINT32_MAX;
}

/* The next piece to begin, with its candidates; `at` is where the search of
 * this pass stands. The rare pieces at the head may be those of peers that are
 * busy or choke us: they are not passed over and over for each new piece. */
static uint32_t next_new(struct pass *ps, uint32_t *at)
{
	const struct rarity *rare = ps->p->rarity;

	for (; *at < rarity_count(rare) && *at < RARE_SCAN; ++*at) {
		uint32_t ix = rarity_at(rare, *at);

		find_candidates(ps, ix, WANT_BACKGROUND);
		if (somebody_has_room(ps))
			return ix;
	}
	return *at < rarity_count(rare) ? any_new(ps) : UINT32_MAX;
}

/* False: the owner has no memory for another piece. */
static bool begin_pieces(struct pass *ps)
{
	uint32_t at = 0, ix;

	while (ps->n < ps->max && ps->room > 0) {
		struct pick_piece *pp;

		ix = next_new(ps, &at);
		if (ix == UINT32_MAX)
			return true;
		pp = picker_open_background(ps->p, ix);
		if (!pp)
			return false;
		ask_free_blocks(ps, pp);
	}
	return true;
}

static void assign_background(struct pass *ps)
{
	struct pick_piece *pp;

	TAILQ_FOREACH (pp, &ps->p->background, link) {
		if (ps->n == ps->max || ps->room == 0)
			return;
		if (picker_free_blocks(pp) == 0)
			continue;
		find_candidates(ps, pp->ix, WANT_BACKGROUND);
		ask_free_blocks(ps, pp);
	}
	if (ps->p->rarity && !begin_pieces(ps))
		return;
	TAILQ_FOREACH (pp, &ps->p->background, link) {
		if (ps->n == ps->max || ps->room == 0)
			return;
		if (pp->n_asked == 0)
			continue;
		find_candidates(ps, pp->ix, WANT_BACKGROUND);
		ask_late_blocks(ps, pp);
	}
}

unsigned picker_assign(struct picker *p, struct pick_peer *peers,
		       unsigned n_peers, uint64_t now_us, struct pick *out,
		       unsigned max)
{
	struct pass ps = {.p = p,
			  .peers = peers,
			  .n_peers = n_peers,
			  .now_us = now_us,
			  .out = out,
			  .max = max};
	struct pick_piece *pp;

	count_peers(&ps);
	p->next_late_us = UINT64_MAX;
	TAILQ_FOREACH (pp, &p->wanted, link) {
		bool is_urgent = pp->class == WANT_URGENT;

		if (ps.n == max || (!is_urgent && ps.room == 0))
			break;
		if (picker_free_blocks(pp) == 0 &&
		    (!is_urgent || pp->n_asked == 0))
			continue;
		find_candidates(&ps, pp->ix, pp->class);
		if (ps.n_cand == 0)
			continue;
		if (ps.room > 0 && picker_free_blocks(pp) > 0 &&
		    picker_open(p, pp))
			ask_free_blocks(&ps, pp);
		if (is_urgent && pp->n_asked > 0)
			ask_late_blocks(&ps, pp);
	}
	if (!p->is_resting)
		assign_background(&ps);
	return ps.n;
}

uint64_t picker_next_late_us(const struct picker *p)
{
	return p->next_late_us;
}
