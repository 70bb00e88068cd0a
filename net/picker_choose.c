/* picker_choose — of the peers that have a piece, who is asked for a block.
 *
 * Words. New: no block of it has come yet, and nothing is held against it.
 * Proven: what it was asked for came, and it did not stall since. Doubtful: it
 * owes blocks, and nothing came for longer than its delay explains. Snubbed:
 * so long that what it owed was given free.
 *
 * A free urgent block goes to the proven peer that is predicted to bring it
 * first, counting what its window keeps waiting: each block to whom it would
 * be done soonest is how the last block of a piece comes as early as it can,
 * whatever the peers' rates. When that peer's window is full, the next best
 * may have the block if it is as soon (SLOW_SLACK_US: near peers differ by
 * microseconds); else it waits.
 *
 * New peers. Their rate is taken for the mean of the known ones. Where nobody
 * is proven, at the start, blocks are spread over all of them. Beside proven
 * peers one is asked for PROBE_BLOCKS at most, and only what the proven would
 * bring PROBE_PRICE_US later: so much is lost if it turns out to be silent. One
 * silent peer can so delay each of a few blocks once, and a hundred of them
 * together no more than that, for all are probed side by side.
 *
 * The doubtful and the snubbed are asked where nobody else can help. */
#include "core/bits.h"
#include "net/picker_internal.h"

enum {
	SLOW_SLACK_US = 10000,
	PROBE_BLOCKS = 2,
	PROBE_PRICE_US = 100000,
	DEFAULT_RATE_BPS = 1000000,
};

void picker_count_peers(struct pick_pass *ps)
{
	uint64_t sum = 0, known = 0;

	ps->room = 0;
	ps->n_doubtful = 0;
	for (unsigned i = 0; i < ps->n_peers; i++) {
		const struct pick_peer *pr = &ps->peers[i];

		ps->room += pr->room;
		ps->n_doubtful += picker_is_doubtful(ps, pr);
		if (pr->rate_Bps > 0) {
			sum += pr->rate_Bps;
			known++;
		}
	}
	ps->mean_Bps = known ? sum / known : DEFAULT_RATE_BPS;
	if (ps->mean_Bps == 0)
		ps->mean_Bps = 1;
}

bool picker_is_doubtful(const struct pick_pass *ps, const struct pick_peer *pr)
{
	return pr->is_snubbed || ps->now_us >= pr->doubt_us;
}

const struct pick_peer *picker_peer_of(const struct pick_pass *ps, uint32_t id)
{
	for (unsigned i = 0; i < ps->n_peers; i++) {
		if (ps->peers[i].id == id)
			return &ps->peers[i];
	}
	return NULL;
}

static uint64_t predict_behind(const struct pick_pass *ps, unsigned peer_ix,
			       uint64_t bytes)
{
	const struct pick_peer *pr = &ps->peers[peer_ix];
	uint64_t rate = pr->rate_Bps ? pr->rate_Bps : ps->mean_Bps;

	return (pr->out_bytes + bytes) * 1000000 / rate + pr->rtt_us;
}

uint64_t picker_predict_us(const struct pick_pass *ps, unsigned peer_ix,
			   uint32_t len)
{
	return predict_behind(ps, peer_ix, len);
}

static bool may_serve(const struct pick_peer *pr, uint32_t ix)
{
	return bits_has(pr->have, ix) && (!pr->only || bits_has(pr->only, ix));
}

static enum pick_tier tier_of(const struct pick_pass *ps,
			      const struct pick_peer *pr)
{
	if (pr->is_snubbed)
		return TIER_SNUBBED;
	if (pr->is_guess)
		return TIER_GUESS;
	if (picker_is_doubtful(ps, pr))
		return TIER_DOUBTFUL;
	return pr->is_proven ? TIER_PROVEN : TIER_NEW;
}

void picker_find_candidates(struct pick_pass *ps, uint32_t ix)
{
	ps->n_cand = ps->n_at_hand = 0;
	ps->is_anyone_proven = false;
	for (unsigned i = 0; i < ps->n_peers && i < PICKER_CANDIDATES_MAX;
	     i++) {
		if (!may_serve(&ps->peers[i], ix))
			continue;
		ps->tier[ps->n_cand] = tier_of(ps, &ps->peers[i]);
		ps->n_at_hand += ps->tier[ps->n_cand] == TIER_PROVEN;
		ps->is_anyone_proven |= ps->peers[i].is_proven;
		ps->cand[ps->n_cand++] = i;
	}
}

static bool owes(const struct pick_peer *pr, const struct pick_block *b)
{
	for (unsigned i = 0; b && i < b->n_out; i++) {
		if (b->peer[i] == pr->id)
			return true;
	}
	return false;
}

/* The soonest of one tier who has room and does not owe the block. */
static unsigned soonest(const struct pick_pass *ps, enum pick_tier tier,
			const struct pick_block *b, uint32_t len, uint64_t *us)
{
	unsigned found = ps->n_peers;

	*us = UINT64_MAX;
	for (unsigned k = 0; k < ps->n_cand; k++) {
		const struct pick_peer *pr = &ps->peers[ps->cand[k]];
		uint64_t c;

		if (ps->tier[k] != tier || pr->room == 0 || owes(pr, b))
			continue;
		if (tier == TIER_NEW && ps->is_anyone_proven &&
		    pr->out_bytes >= PROBE_BLOCKS * WIRE_BLOCK_BYTES)
			continue;
		c = predict_behind(ps, ps->cand[k], len);
		if (c < *us) {
			*us = c;
			found = ps->cand[k];
		}
	}
	return found;
}

/* The tiers differ in what they may be asked for, not in how soon: what nobody
 * waits for need not be there first. The snubbed only where there is no other.
 */
unsigned picker_choose_any(const struct pick_pass *ps, uint32_t len,
			   uint64_t *us)
{
	unsigned found = ps->n_peers;
	bool has_other = false;

	*us = UINT64_MAX;
	for (unsigned k = 0; k < ps->n_cand; k++)
		has_other |= ps->tier[k] < TIER_GUESS;
	for (int t = TIER_PROVEN; t <= TIER_DOUBTFUL; t++) {
		uint64_t c;
		unsigned ix = soonest(ps, (enum pick_tier)t, NULL, len, &c);

		if (c < *us) {
			*us = c;
			found = ix;
		}
	}
	return has_other ? found : soonest(ps, TIER_SNUBBED, NULL, len, us);
}

/* The proven peer that would bring it first, its window full or not. */
static unsigned first_proven(const struct pick_pass *ps, uint32_t len,
			     uint64_t *us)
{
	unsigned found = ps->n_peers;

	*us = UINT64_MAX;
	for (unsigned k = 0; k < ps->n_cand; k++) {
		unsigned ix = ps->cand[k];
		uint64_t c;

		if (ps->tier[k] != TIER_PROVEN)
			continue;
		c = predict_behind(ps, ix, ps->waiting_bytes[ix] + len);
		if (c < *us) {
			*us = c;
			found = ix;
		}
	}
	return found;
}

/* Nobody at hand is proven: the best that is. */
static unsigned first_of_others(const struct pick_pass *ps, uint32_t len,
				uint64_t *us)
{
	unsigned ix = ps->n_peers;
	bool is_anyone_known = false;

	for (unsigned k = 0; k < ps->n_cand; k++)
		is_anyone_known |= ps->tier[k] < TIER_GUESS;
	for (int t = TIER_NEW; t <= TIER_SNUBBED && ix == ps->n_peers; t++)
		if (t != TIER_GUESS || !is_anyone_known)
			ix = soonest(ps, (enum pick_tier)t, NULL, len, us);
	return ix;
}

unsigned picker_choose_urgent(struct pick_pass *ps, uint32_t len, uint64_t *us,
			      bool *waits)
{
	unsigned best, fresh, ix;
	uint64_t best_us;

	*waits = false;
	if (ps->n_at_hand == 0)
		return first_of_others(ps, len, us);
	best = first_proven(ps, len, &best_us);
	fresh = soonest(ps, TIER_NEW, NULL, len, us);
	if (fresh != ps->n_peers && *us + PROBE_PRICE_US < best_us)
		return fresh;
	ix = soonest(ps, TIER_PROVEN, NULL, len, us);
	if (ix != ps->n_peers && *us <= best_us + SLOW_SLACK_US)
		return ix;
	ps->waiting_bytes[best] += len;
	*waits = true;
	return ps->n_peers;
}

unsigned picker_choose_instead(const struct pick_pass *ps,
			       const struct pick_block *b, uint32_t len,
			       uint64_t *us)
{
	unsigned ix = soonest(ps, TIER_PROVEN, b, len, us);

	return ix != ps->n_peers ? ix : soonest(ps, TIER_NEW, b, len, us);
}

unsigned picker_choose_copy(const struct pick_pass *ps,
			    const struct pick_block *b, uint32_t len,
			    uint64_t *us)
{
	return soonest(ps, TIER_PROVEN, b, len, us);
}
