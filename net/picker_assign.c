/* picker_assign — one pass: which free blocks, and which late ones once more,
 * are asked for now. Of whom, picker_choose.c says.
 *
 * Happy path, for each wanted piece in order of demand:
 *   1. Gather the peers that have it (and, while they choke us, allow it).
 *   2. Each free block is asked of the one chosen, or waits for his window. At
 *      most WAITING_MAX blocks of a piece wait in one pass: beyond that nobody
 *      who has room is of use.
 *      One that is at hand already, or that others bring (picker_fill_fn), is
 *      asked of nobody.
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

enum {
	COPY_FLOOR_US = 20000,
	COPY_SHARE = 4,
	COPY_MIN = 4,
	WAITING_MAX = 32,
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
			     .is_urgent = picker_is_as(pp, i, WANT_URGENT),
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
static unsigned choose(struct pick_pass *ps, uint32_t len, enum want_class c,
		       uint64_t *us, bool *waits)
{
	*waits = false;
	if (c == WANT_URGENT)
		return picker_choose_urgent(ps, len, us, waits);
	return picker_choose_any(ps, len, us);
}

bool picker_may_begin(struct pick_pass *ps, uint32_t ix, enum want_class c)
{
	const struct picker_cfg *cfg = &ps->p->cfg;
	enum picker_begin may;

	if (cfg->begin == NULL)
		return true;
	if (ps->begins_none && c != WANT_URGENT)
		return false;
	may = cfg->begin(cfg->arg, ix);
	if (may == PICKER_BEGIN_NONE)
		ps->begins_none = true;
	return may == PICKER_BEGIN;
}

static void ask_free_part(struct pick_pass *ps, struct pick_piece *pp,
			  struct pick_part *part, unsigned *n_waiting,
			  bool *is_full)
{
	uint32_t i = picker_part_free(pp, part);
	bool waits;
	unsigned peer_ix;
	uint64_t us;

	while (i < part->end && ps->n < ps->max && ps->room > 0) {
		struct pick_block *b = &pp->blocks[i];

		if (!is_askable(ps, pp, i, is_full)) {
			i = picker_segment_end(pp, i);
			continue;
		}
		if (b->has_arrived || b->n_out > 0 ||
		    picker_fill(ps->p, pp, i)) {
			i++;
			continue;
		}
		peer_ix = choose(ps, picker_block(pp, i).len_bytes, part->class,
				 &us, &waits);
		if (peer_ix != ps->n_peers) {
			ask(ps, pp, i++, peer_ix, us);
			continue;
		}
		if (!waits)
			*n_waiting = WAITING_MAX;
		else
			++*n_waiting;
		if (*n_waiting == WAITING_MAX)
			break;
		i++;
	}
}

void picker_ask_free(struct pick_pass *ps, struct pick_piece *pp,
		     enum want_class c)
{
	unsigned n_waiting = 0;
	bool is_full = false;

	for (unsigned k = 0; k < pp->n_parts && n_waiting < WAITING_MAX; k++)
		if (pp->parts[k].class == c)
			ask_free_part(ps, pp, &pp->parts[k], &n_waiting,
				      &is_full);
}

/* ---- blocks that are out ---- */

void picker_look_at(struct pick_pass *ps, uint64_t us)
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

void picker_ask_instead(struct pick_pass *ps, struct pick_piece *pp,
			enum want_class c)
{
	bool is_urgent = c == WANT_URGENT;

	for (uint32_t i = picker_next_out(pp, 0);
	     i < pp->n_blocks && ps->n < ps->max;
	     i = picker_next_out(pp, i + 1)) {
		struct pick_block *b = &pp->blocks[i];
		unsigned peer_ix;
		uint64_t us;
		bool costs;

		if (ps->room == 0)
			break;
		if (b->n_out == 0 || !picker_is_as(pp, i, c) ||
		    !is_as_good_as_free(ps, b, &costs) ||
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
		picker_look_at(ps, look);
		if (ps->now_us >= b->due_us)
			return 0;
		return us < b->due_us - ps->now_us ? us
						   : b->due_us - ps->now_us;
	}
	if (is_at_work) {
		picker_look_at(ps, pr->doubt_us);
		return us;
	}
	picker_look_at(ps, ps->now_us + (ps->now_us - b->asked_us));
	return ps->now_us - b->asked_us;
}

static bool copies_are_left(const struct picker *p)
{
	return p->waste_left > WASTE_KEPT &&
	       p->n_copies < COPY_MIN + p->n_out / COPY_SHARE;
}

void picker_ask_late(struct pick_pass *ps, struct pick_piece *pp,
		     enum want_class c)
{
	uint64_t us, still;
	unsigned peer_ix;

	for (uint32_t i = picker_next_out(pp, 0);
	     i < pp->n_blocks && ps->n < ps->max;
	     i = picker_next_out(pp, i + 1)) {
		struct pick_block *b = &pp->blocks[i];

		if (b->n_out == 0 || !picker_is_as(pp, i, c))
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
		while (i > 0 && (pp->blocks[i - 1].n_out != 1 ||
				 !picker_is_as(pp, i - 1, WANT_URGENT)))
			i--;
		if (i == 0)
			break;
		i--;
		ask(ps, pp, i, ps->cand[k],
		    picker_predict_us(ps, ps->cand[k],
				      picker_block(pp, i).len_bytes));
	}
}

/* ---- the pass ---- */

static void ask_of_piece(struct pick_pass *ps, struct pick_piece *pp,
			 enum want_class c)
{
	uint32_t first = picker_free_as(pp, c);

	picker_find_candidates(ps, pp->ix);
	if (ps->n_cand == 0)
		return;
	if (ps->room > 0 && first < pp->n_blocks &&
	    picker_open(ps->p, pp, first))
		picker_ask_free(ps, pp, c);
	if (pp->n_asked == 0)
		return;
	if (ps->n_doubtful > 0)
		picker_ask_instead(ps, pp, c);
	if (c != WANT_URGENT)
		return;
	picker_ask_late(ps, pp, c);
	if (ps->n_at_hand > 0 && ps->n_at_hand < ps->n_cand)
		probe(ps, pp);
}

/* Once for what is urgent, and once for what readers will get to, of pieces
 * with urgent parts too: he who waits there is the nearest. */
static void assign_class(struct pick_pass *ps, enum want_class c)
{
	struct pick_piece *pp;

	TAILQ_FOREACH (pp, &ps->p->wanted, link) {
		if (ps->n == ps->max || pp->class < c ||
		    (c == WANT_WINDOW && ps->room == 0))
			break;
		if ((c < pp->class && pp->parts == &pp->whole) ||
		    (!pp->blocks && !picker_may_begin(ps, pp->ix, pp->class)))
			continue;
		if (picker_free_as(pp, c) < pp->n_blocks ||
		    (pp->n_asked > 0 &&
		     (c == WANT_URGENT || ps->n_doubtful > 0)))
			ask_of_piece(ps, pp, c);
	}
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

	picker_count_peers(&ps);
	note_stream(p, now_us);
	p->pass_us = now_us;
	p->next_late_us = UINT64_MAX;
	assign_class(&ps, WANT_URGENT);
	assign_class(&ps, WANT_WINDOW);
	if (!p->is_resting)
		picker_assign_background(&ps);
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
