/* choker — proportional tit-for-tat, with a fifth of the upload kept for those
 * who had no chance yet.
 *
 * Words. Earned: a slot held for what a peer gave us. Discovery: a slot lent
 * to find out what a peer gives (BEP 3's optimistic unchoke). In turn: a slot
 * that goes round, whoever takes it.
 *
 * A round:
 *   1. Slots of discovery: a fifth, and at least one.
 *   2. Earned: of the interested, who gave verified bytes within the window,
 *      best first. A peer that takes and gives nothing for CHOKER_SNUB_US,
 *      though we want of it, snubs us and gets discovery only.
 *   3. In turn: what is left of the regular slots. As a seed all slots are;
 *      three in ten of them go to the peers at the edges, who just began or
 *      have almost all (Chow et al.), the others round.
 *   4. Discovery: never tried before tried, the newest first (to the minute,
 *      then by luck: all who know a newcomer must not choose the same one),
 *      then who owes least, then who was unchoked longest ago. A second of one
 *      network only while nobody else waits.
 *   5. Weights: four fifths of CHOKER_WEIGHT_SUM over the earned, in proportion
 *      to what they gave; the rest in equal parts, smaller with each
 *      DEBT_BYTES owed. The upload's scheduler shares what somebody does not
 *      take among the others, so that a fifth that nobody takes is not lost.
 *
 * Debts. What a peer took while we wanted of it, and did not give back, it
 * owes. A trial costs the same whoever it is; without a memory of it those who
 * give nothing are tried again and again, and live by that. So while others
 * take the bytes a debtor waits until his credit of CREDIT_BPS since his last
 * turn covers what he owes. That holds without a limit too, where TCP shares
 * the line and weights say nothing.
 *
 * Why a chance is one round long: what a newcomer needs is a first piece, and
 * many who each lend a little bring it sooner than few who lend for long.
 *
 * Why proportional: with equal shares whoever just makes it into the slots
 * gets as much as the best, and a strategist lives by that; in proportion a
 * byte given brings the same wherever it is given.
 *
 * How many slots: sqrt(upload / CHOKER_SLOT_BPS), so that many slots are
 * fast ones too. That is enough where the upload is what limits; where the
 * takers do, more are tried while each brings at least half of what the others
 * do.
 *
 * Pure. Ties go to who is unchoked already, then to the lower id: nobody
 * flaps. */
#include <stdlib.h>

#include "net/choker.h"

enum {
	DISCOVERY_SHARE = 5, /* one in so many slots and bytes */
	EDGE_TENTHS = 3,
	EDGE_LOW = 10,
	EDGE_HIGH = 800,
	CREDIT_BPS = 800, /* who gives nothing is lent no more */
	DEBT_BYTES = 64 << 10,
	PEAK_DECAY = 64,       /* a round's loss of what the capacity was */
	PROBE_SHARE = 8,       /* slots tried at once: one in so many */
	PROBE_REST_ROUNDS = 6, /* after a trial that brought nothing */
	SATURATED_PERCENT = 90,
};

/* ---- how many ---- */

void choker_init(struct choker *c)
{
	*c = (struct choker){.slots = CHOKER_SLOTS_FIRST};
}

static uint32_t root(uint64_t v)
{
	uint32_t r = 0;

	while ((uint64_t)(r + 1) * (r + 1) <= v && r < CHOKER_SLOTS_MAX)
		r++;
	return r;
}

static uint32_t base_slots(uint64_t capacity_Bps)
{
	uint32_t n = root(capacity_Bps / CHOKER_SLOT_BPS);

	return n < CHOKER_SLOTS_MIN ? CHOKER_SLOTS_MIN : n;
}

/* Did the slots on trial bring at least half of what the others do? */
static bool was_worth_it(const struct choker *c, uint64_t up_Bps)
{
	uint64_t others = c->slots - c->probing;

	return up_Bps >=
	       c->before_Bps + c->before_Bps * c->probing / others / 2;
}

static void end_trial(struct choker *c, uint64_t up_Bps)
{
	if (c->probing > 0 && !was_worth_it(c, up_Bps)) {
		c->extra -= c->probing < c->extra ? c->probing : c->extra;
		c->rest = PROBE_REST_ROUNDS;
	}
	c->probing = 0;
}

static void begin_trial(struct choker *c, uint64_t up_Bps)
{
	uint32_t more = c->slots / PROBE_SHARE + 1;

	if (c->rest > 0) {
		c->rest--;
		return;
	}
	if (more > CHOKER_SLOTS_MAX - c->slots)
		more = CHOKER_SLOTS_MAX - c->slots;
	c->before_Bps = up_Bps;
	c->probing = more;
	c->extra += more;
	c->slots += more;
}

void choker_size(struct choker *c, uint64_t up_Bps, uint64_t limit_Bps,
		 bool is_short)
{
	uint32_t base;

	c->peak_Bps -= c->peak_Bps / PEAK_DECAY;
	if (up_Bps > c->peak_Bps)
		c->peak_Bps = up_Bps;
	end_trial(c, up_Bps);
	if (limit_Bps > 0)
		base = base_slots(limit_Bps);
	else
		base = c->peak_Bps > 0 ? base_slots(c->peak_Bps)
				       : CHOKER_SLOTS_FIRST;
	if (c->extra > CHOKER_SLOTS_MAX - base)
		c->extra = CHOKER_SLOTS_MAX - base;
	c->slots = base + c->extra;
	if (limit_Bps > 0 && up_Bps >= limit_Bps / 100 * SATURATED_PERCENT)
		return;
	if (is_short && up_Bps > 0)
		begin_trial(c, up_Bps);
}

/* ---- who ---- */

static int by_id(const struct choke_peer *a, const struct choke_peer *b)
{
	if (a->is_unchoked != b->is_unchoked)
		return a->is_unchoked ? -1 : 1;
	return a->id < b->id ? -1 : a->id > b->id;
}

static bool snubs(const struct choke_peer *p)
{
	return p->unpaid_us >= CHOKER_SNUB_US;
}

static int by_gift(const void *va, const void *vb)
{
	const struct choke_peer *a = va, *b = vb;

	if (a->given_Bps != b->given_Bps)
		return a->given_Bps > b->given_Bps ? -1 : 1;
	return by_id(a, b);
}

/* In whole quanta: within one it is nobody's fault. */
static uint64_t debt(const struct choke_peer *p)
{
	return p->debt_bytes / DEBT_BYTES;
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

	if (has_turn(a) != has_turn(b))
		return has_turn(a) ? -1 : 1;
	if (debt(a) != debt(b))
		return debt(a) < debt(b) ? -1 : 1;
	if (a->unchoked_us != b->unchoked_us)
		return a->unchoked_us < b->unchoked_us ? -1 : 1;
	return by_id(a, b);
}

static uint32_t edge(const struct choke_peer *p)
{
	return p->have_permille > 500 ? p->have_permille - 500
				      : 500 - p->have_permille;
}

static int by_edge(const void *va, const void *vb)
{
	const struct choke_peer *a = va, *b = vb;

	if (edge(a) != edge(b))
		return edge(a) > edge(b) ? -1 : 1;
	return by_turn(va, vb);
}

/* Not to the second: all who know them would choose the same one. */
static uint64_t minutes(const struct choke_peer *p)
{
	return p->age_us / 60000000;
}

static int by_chance(const void *va, const void *vb)
{
	const struct choke_peer *a = va, *b = vb;

	if ((a->tries == 0) != (b->tries == 0))
		return a->tries == 0 ? -1 : 1;
	if (a->tries == 0 && minutes(a) != minutes(b))
		return minutes(a) < minutes(b) ? -1 : 1;
	if (debt(a) != debt(b))
		return debt(a) < debt(b) ? -1 : 1;
	if (a->tries > 0 && a->unchoked_us != b->unchoked_us)
		return a->unchoked_us < b->unchoked_us ? -1 : 1;
	if (a->luck != b->luck)
		return a->luck > b->luck ? -1 : 1;
	return by_id(a, b);
}

typedef int order_fn(const void *, const void *);
typedef bool may_fn(const struct choke_peer *p);

static bool has_earned(const struct choke_peer *p)
{
	return p->given_Bps > 0 && !snubs(p);
}

static bool is_at_edge(const struct choke_peer *p)
{
	return p->have_permille <= EDGE_LOW || p->have_permille >= EDGE_HIGH;
}

static bool may_have_turn(const struct choke_peer *p)
{
	return !snubs(p);
}

/* Who owes waits until his credit covers it, and the slot stays empty, if there
 * are others who take the bytes. */
static bool must_wait(const struct choke_peer *p, bool takers)
{
	return takers && !has_earned(p) && p->tries > 0 &&
	       p->debt_bytes > p->turn_us / 1000 * CREDIT_BPS / 1000;
}

static bool has_takers(const struct choke_peer *peers, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (peers[i].unchoke && has_earned(&peers[i]))
			return true;
	return false;
}

/* Up to `slots` of the waiting, best first; how many slots are left. */
static uint32_t give(struct choke_peer *peers, unsigned n, uint32_t slots,
		     order_fn *order, may_fn *may)
{
	bool takers = has_takers(peers, n);

	qsort(peers, n, sizeof(*peers), order);
	for (unsigned i = 0; i < n && slots > 0; i++) {
		struct choke_peer *p = &peers[i];

		if (!p->is_interested || p->unchoke || !may(p) ||
		    must_wait(p, takers))
			continue;
		p->unchoke = true;
		slots--;
	}
	return slots;
}

/* ---- discovery ---- */

static uint32_t discovery_slots(uint32_t slots)
{
	uint32_t n = slots / DISCOVERY_SHARE;

	return n > 0 ? n : 1;
}

static bool is_net_served(const struct choke_peer *peers, unsigned n,
			  uint64_t net)
{
	for (unsigned i = 0; i < n; i++)
		if (peers[i].unchoke && peers[i].is_optimistic &&
		    peers[i].net == net)
			return true;
	return false;
}

static uint32_t lend(struct choke_peer *peers, unsigned n, uint32_t slots,
		     bool any_net)
{
	bool takers = has_takers(peers, n);

	for (unsigned i = 0; i < n && slots > 0; i++) {
		struct choke_peer *p = &peers[i];

		if (!p->is_interested || p->unchoke || must_wait(p, takers) ||
		    (!any_net && is_net_served(peers, n, p->net)))
			continue;
		p->unchoke = true;
		p->is_optimistic = true;
		slots--;
	}
	return slots;
}

static uint32_t keep_new(struct choke_peer *peers, unsigned n, uint32_t slots)
{
	for (unsigned i = 0; i < n; i++) {
		struct choke_peer *p = &peers[i];

		p->is_optimistic = p->is_optimistic && p->is_interested &&
				   !p->unchoke && slots > 0 &&
				   p->tries < CHOKER_NEW_ROUNDS;
		if (!p->is_optimistic)
			continue;
		p->unchoke = true;
		slots--;
	}
	return slots;
}

static void discover(struct choke_peer *peers, unsigned n, uint32_t slots)
{
	slots = keep_new(peers, n, slots);
	qsort(peers, n, sizeof(*peers), by_chance);
	slots = lend(peers, n, slots, false);
	(void)lend(peers, n, slots, true);
	for (unsigned i = 0; i < n; i++) {
		struct choke_peer *p = &peers[i];

		if (p->is_optimistic)
			p->tries++;
		else if (p->unchoke && p->tries < CHOKER_NEW_ROUNDS)
			p->tries =
				CHOKER_NEW_ROUNDS; /* it has had its chance */
	}
}

/* ---- how much ---- */

static bool is_paid(const struct choke_peer *p, bool is_seed)
{
	return !is_seed && !p->is_optimistic && has_earned(p);
}

/* What is not earned is shared equally, but who owes gets the less the more he
 * owes: his second chance is half of the first, the third a third. */
static uint64_t chance(const struct choke_peer *p, unsigned others)
{
	return CHOKER_WEIGHT_SUM / DISCOVERY_SHARE / others / (1 + debt(p));
}

static void weigh(struct choke_peer *peers, unsigned n, bool is_seed)
{
	uint64_t earned =
		CHOKER_WEIGHT_SUM - CHOKER_WEIGHT_SUM / DISCOVERY_SHARE;
	uint64_t sum = 0, w;
	unsigned others = 0;

	for (unsigned i = 0; i < n; i++) {
		if (!peers[i].unchoke)
			continue;
		if (is_paid(&peers[i], is_seed))
			sum += peers[i].given_Bps;
		else
			others++;
	}
	for (unsigned i = 0; i < n; i++) {
		struct choke_peer *p = &peers[i];

		if (!p->unchoke)
			w = 0;
		else if (is_paid(p, is_seed))
			w = earned * p->given_Bps / sum;
		else
			w = chance(p, others);
		p->weight = w > 0 ? (uint32_t)w : 1;
	}
}

void choker_round(struct choker *c, struct choke_peer *peers, unsigned n,
		  bool is_seed)
{
	uint32_t discovery = is_seed ? 0 : discovery_slots(c->slots);
	uint32_t regular = c->slots - discovery;
	uint32_t edges = is_seed ? regular * EDGE_TENTHS / 10 : 0;

	for (unsigned i = 0; i < n; i++)
		peers[i].unchoke = false;
	if (!is_seed)
		regular = give(peers, n, regular, by_gift, has_earned);
	regular -= edges - give(peers, n, edges, by_edge, is_at_edge);
	regular = give(peers, n, regular, by_turn, may_have_turn);
	discover(peers, n, is_seed ? 0 : discovery + regular);
	weigh(peers, n, is_seed);
}

void choker_fill(struct choker *c, struct choke_peer *peers, unsigned n,
		 bool is_seed)
{
	uint32_t used = 0;

	for (unsigned i = 0; i < n; i++) {
		peers[i].unchoke = peers[i].is_unchoked;
		used += peers[i].is_unchoked && peers[i].is_interested;
	}
	qsort(peers, n, sizeof(*peers), by_chance);
	if (used < c->slots)
		(void)lend(peers, n, c->slots - used, true);
	weigh(peers, n, is_seed);
}
