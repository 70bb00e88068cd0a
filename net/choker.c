/* choker — tit-for-tat, with a slot in five for those who had no chance yet.
 *
 * A round:
 *   1. Of the slots, one in five and at least one is optimistic (if there is
 *      more than one slot).
 *   2. The interested peers are ranked. While we fetch: by what they gave us.
 *      As a seed: a peer whose turn is not over yet (by bytes, by time, or
 *      because it took none in a whole period) keeps its slot, then those
 *      served longest ago, so that the upload goes round. Ties go to
 *      who is unchoked already, then to the lower id: nobody flaps.
 *   3. The best fill the regular slots.
 *   4. Every third round the optimistic slots are drawn anew among the rest,
 *      newcomers with three tickets each; between, they stay.
 *
 * What it does not do: reckon with upload capacity; slots are a constant of
 * the caller. Pure, and the same for the same random stream. */
#include <stdlib.h>

#include "core/rng.h"
#include "net/choker.h"

enum { OPTIMISTIC_ROUNDS = 3, OPTIMISTIC_SHARE = 5, NEW_TICKETS = 3 };

void choker_init(struct choker *c, uint32_t slots)
{
	c->slots = slots;
	c->round = 0;
}

static int by_id(const struct choke_peer *a, const struct choke_peer *b)
{
	if (a->is_unchoked != b->is_unchoked)
		return a->is_unchoked ? -1 : 1;
	return a->id < b->id ? -1 : a->id > b->id;
}

static int by_gift(const void *va, const void *vb)
{
	const struct choke_peer *a = va, *b = vb;

	if (a->is_interested != b->is_interested)
		return a->is_interested ? -1 : 1;
	if (a->given_Bps != b->given_Bps)
		return a->given_Bps > b->given_Bps ? -1 : 1;
	return by_id(a, b);
}

/* Who asks for nothing, or next to nothing, must not keep the slot from those
 * who would. */
static bool has_turn(const struct choke_peer *p)
{
	if (p->turn_bytes == 0 && p->turn_us >= CHOKER_PERIOD_US)
		return false;
	return p->is_unchoked && p->turn_bytes < CHOKER_QUANTUM_BYTES &&
	       p->turn_us < CHOKER_TURN_US;
}

static int by_turn(const void *va, const void *vb)
{
	const struct choke_peer *a = va, *b = vb;

	if (a->is_interested != b->is_interested)
		return a->is_interested ? -1 : 1;
	if (has_turn(a) != has_turn(b))
		return has_turn(a) ? -1 : 1;
	if (a->unchoked_us != b->unchoked_us)
		return a->unchoked_us < b->unchoked_us ? -1 : 1;
	return by_id(a, b);
}

static uint32_t optimistic_slots(const struct choker *c)
{
	uint32_t n = c->slots / OPTIMISTIC_SHARE;

	if (c->slots < 2)
		return 0;
	return n ? n : 1;
}

static bool may_draw(const struct choke_peer *p)
{
	return p->is_interested && !p->unchoke;
}

static uint64_t tickets(const struct choke_peer *p)
{
	return p->age_us < CHOKER_NEW_US ? NEW_TICKETS : 1;
}

static struct choke_peer *draw(struct choke_peer *peers, unsigned n,
			       struct rng *rng)
{
	uint64_t sum = 0, ticket;

	for (unsigned i = 0; i < n; i++)
		sum += may_draw(&peers[i]) ? tickets(&peers[i]) : 0;
	if (sum == 0)
		return NULL;
	ticket = rng_below(rng, sum);
	for (unsigned i = 0; i < n; i++) {
		uint64_t has = may_draw(&peers[i]) ? tickets(&peers[i]) : 0;

		if (ticket < has)
			return &peers[i];
		ticket -= has;
	}
	return NULL;
}

/* Optimistic peers of earlier rounds stay until the draw, unless they have
 * earned a regular slot or lost interest. */
static uint32_t keep_optimistic(struct choke_peer *peers, unsigned n,
				uint32_t slots)
{
	uint32_t kept = 0;

	for (unsigned i = 0; i < n; i++) {
		struct choke_peer *p = &peers[i];

		if (!p->is_optimistic)
			continue;
		p->is_optimistic = may_draw(p) && kept < slots;
		if (!p->is_optimistic)
			continue;
		p->unchoke = true;
		kept++;
	}
	return kept;
}

void choker_round(struct choker *c, struct choke_peer *peers, unsigned n,
		  bool is_seed, struct rng *rng)
{
	uint32_t optimistic = optimistic_slots(c);
	uint32_t regular = c->slots - optimistic;
	struct choke_peer *p;

	qsort(peers, n, sizeof(*peers), is_seed ? by_turn : by_gift);
	for (unsigned i = 0; i < n; i++)
		peers[i].unchoke = i < regular && peers[i].is_interested;
	if (c->round++ % OPTIMISTIC_ROUNDS == 0) {
		for (unsigned i = 0; i < n; i++)
			peers[i].is_optimistic = false;
	}
	optimistic -= keep_optimistic(peers, n, optimistic);
	while (optimistic-- > 0 && (p = draw(peers, n, rng)) != NULL) {
		p->unchoke = true;
		p->is_optimistic = true;
	}
}

void choker_fill(struct choker *c, struct choke_peer *peers, unsigned n)
{
	uint32_t used = 0;

	for (unsigned i = 0; i < n; i++) {
		peers[i].unchoke = peers[i].is_unchoked;
		used += peers[i].is_unchoked && peers[i].is_interested;
	}
	for (unsigned i = 0; i < n && used < c->slots; i++) {
		if (!peers[i].is_interested || peers[i].unchoke)
			continue;
		peers[i].unchoke = true;
		used++;
	}
}
