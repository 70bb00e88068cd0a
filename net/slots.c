/* slots — the choker's thin edge.
 *
 * A round each CHOKER_PERIOD_US while anybody is interested, and a free slot is
 * given away at once. With no_seed nobody is ever unchoked.
 *
 * What counts as given: bytes of pieces that verified, by who sent them
 * (intake.c), in the last CHOKER_WINDOW_US. What was merely received counts
 * for nothing, so garbage buys no slot.
 *
 * What counts as owed: bytes sent while we wanted of the peer. We want of it
 * when it has pieces that we lack and some reader waits, now: who is idle
 * cannot be snubbed. So a mount that nobody reads serves like a seed, in turn.
 *
 * Being choked takes effect behind the blocks that are in the socket queue
 * already: nobody is cut off in the middle of a block. */
#include "net/slots.h"

#include <string.h>

#include "cache/pieces.h"
#include "core/addr.h"
#include "core/bits.h"
#include "core/rng.h"
#include "net/engine.h"
#include "net/engine_internal.h"
#include "net/fetch.h"
#include "net/net_limits.h"
#include "net/peerio.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"
#include "net/upload.h"
#include "net/wire.h"

void slots_init(struct peer *p)
{
	p->choked_them = true;
	p->up_weight = 1;
	p->luck = rng_u32();
	rate_meter_init(&p->given, CHOKER_WINDOW_US, p->since_us);
}

/* ---- accounts ---- */

/* Does it have what some reader of ours waits for? As near as is known without
 * a look at each piece. */
static bool is_wanted(const struct peer *p)
{
	return p->useful > 0 && fetch_is_hungry(p->sw->t->fetch);
}

void slots_on_sent(struct peer *p, uint32_t bytes)
{
	p->turn_bytes += bytes;
	if (p->sw->t->fetch == NULL || !is_wanted(p))
		return;
	p->debt_bytes += bytes;
	if (p->unpaid_us == 0)
		p->unpaid_us = loop_now_us(p->sw->loop);
}

void slots_on_gift(struct peer *p, uint32_t bytes)
{
	rate_meter_add(&p->given, bytes, loop_now_us(p->sw->loop));
	p->debt_bytes -= bytes < p->debt_bytes ? bytes : p->debt_bytes;
	p->unpaid_us = 0;
}

void slots_on_content(struct peer *p)
{
	p->unpaid_us = 0;
}

/* ---- deciding ---- */

/* What one owner easily has many addresses of: a /24, a /64. */
static uint64_t net_of(const struct addr *a)
{
	uint64_t net = 0;

	if (a->sa.sa_family == AF_INET)
		memcpy(&net, &a->in4.sin_addr, 3);
	else
		memcpy(&net, &a->in6.sin6_addr, sizeof(net));
	return net;
}

static uint32_t permille(const struct bits *have)
{
	return have->n > 0 ? (uint32_t)((uint64_t)have->n_set * 1000 / have->n)
			   : 0;
}

static struct choke_peer describe_one(struct peer *p, uint64_t now_us)
{
	bool wants = is_wanted(p);
	bool is_unpaid = wants && p->unpaid_us != 0;

	return (struct choke_peer){
		.id = p->id,
		.net = net_of(&p->addr),
		.is_interested = p->interested_them,
		.is_unchoked = !p->choked_them,
		.given_Bps = rate_meter_Bps(&p->given, now_us),
		.unpaid_us = is_unpaid ? now_us - p->unpaid_us : 0,
		.debt_bytes = wants ? p->debt_bytes : 0,
		.turn_bytes = p->turn_bytes,
		.unchoked_us = p->unchoked_us,
		.turn_us = now_us - p->unchoked_us,
		.age_us = now_us - p->since_us,
		.have_permille = permille(&p->have),
		.is_optimistic = p->is_optimistic,
		.luck = p->luck,
		.tries = p->tries,
	};
}

static unsigned describe(struct swarm *sw, struct choke_peer *out)
{
	uint64_t now_us = loop_now_us(sw->loop);
	struct peer *p;
	unsigned n = 0;

	TAILQ_FOREACH (p, &sw->peers, link)
		if (p->is_up && n < SWARM_PEERS_MAX)
			out[n++] = describe_one(p, now_us);
	return n;
}

static void choke(struct peer *p)
{
	p->choked_them = true;
	wire_put_plain(peerio_out(p->io), WIRE_CHOKE);
	upload_refuse_choked(p);
}

static void unchoke(struct peer *p)
{
	p->choked_them = false;
	p->turn_bytes = 0;
	p->unchoked_us = loop_now_us(p->sw->loop);
	wire_put_plain(peerio_out(p->io), WIRE_UNCHOKE);
}

/* The choker may have sorted them. */
static void carry_out(struct swarm *sw, const struct choke_peer *decided,
		      unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		struct peer *p = swarm_peer(sw, decided[i].id);

		p->is_optimistic = decided[i].is_optimistic;
		p->tries = decided[i].tries;
		p->up_weight = decided[i].weight;
		if (decided[i].unchoke && p->choked_them)
			unchoke(p);
		else if (!decided[i].unchoke && !p->choked_them)
			choke(p);
	}
}

/* ---- when ---- */

static bool may_upload(const struct swarm *sw)
{
	return sw->is_running && sw->t->state == TORRENT_READY &&
	       !sw->e->cfg.no_seed;
}

static bool is_seed(const struct swarm *sw)
{
	return bits_is_full(pieces_have(sw->t->ps));
}

void slots_fill(struct swarm *sw)
{
	struct choke_peer decided[SWARM_PEERS_MAX];
	unsigned n;

	if (!may_upload(sw))
		return;
	n = describe(sw, decided);
	choker_fill(&sw->choker, decided, n, is_seed(sw));
	carry_out(sw, decided, n);
}

/* How many slots the last period's upload and those who wait are worth. */
static void resize(struct swarm *sw, bool is_short)
{
	uint64_t now_us = loop_now_us(sw->loop);
	uint64_t us = now_us - sw->round_us;
	uint64_t bytes = sw->up_bytes - sw->round_up_bytes;

	sw->round_us = now_us;
	sw->round_up_bytes = sw->up_bytes;
	/* After a pause nothing is known of a period. */
	if (us == 0 || us > 2 * (uint64_t)CHOKER_PERIOD_US)
		return;
	choker_size(&sw->choker, bytes * 1000000 / us,
		    engine_limit(sw->e, ENGINE_UP), is_short);
}

void slots_round(struct swarm *sw)
{
	struct choke_peer decided[SWARM_PEERS_MAX];
	bool is_wanted_by = false, is_short = false;
	unsigned n, i;

	if (!may_upload(sw))
		return;
	n = describe(sw, decided);
	for (i = 0; i < n; i++) {
		const struct choke_peer *d = &decided[i];

		is_wanted_by |= d->is_interested || d->is_unchoked;
		is_short |= d->is_interested && !d->is_unchoked;
	}
	if (!is_wanted_by)
		return; /* the next who is interested starts it again */
	resize(sw, is_short);
	choker_round(&sw->choker, decided, n, is_seed(sw));
	carry_out(sw, decided, n);
	loop_timer_start(sw->round, CHOKER_PERIOD_US);
}

void slots_on_interest(struct peer *p)
{
	struct swarm *sw = p->sw;

	if (!may_upload(sw))
		return;
	if (!p->interested_them && !p->choked_them)
		choke(p);
	slots_fill(sw);
	if (!loop_timer_is_armed(sw->round))
		loop_timer_start(sw->round, CHOKER_PERIOD_US);
}
