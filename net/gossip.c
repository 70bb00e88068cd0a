/* gossip — who is in the swarm, passed on (BEP 11).
 *
 * Words. Settled: told all there is to tell; nothing to do until something
 * changes. Due: when a peer may be told again, PEX_SAY_MS after the last time.
 *
 * Happy path: a peer says that it speaks ut_pex; PEX_SETTLE_MS later, so that
 * several that come at once make one message, it is told whom we are connected
 * to. Whenever that changes (gossip_on_change) nobody is settled any more, and
 * each hears of it as soon as it is due. One timer for the swarm, set to the
 * earliest; while all are settled it rests.
 *
 * We tell of peers whom we reached at their address, and of those who came to
 * us and said where they listen. We tell nothing before we have the metadata:
 * until then nobody knows whether the torrent is private.
 *
 * What we hear goes into the address book as gossip, the least trusted source:
 * first to make room for others, and forgotten when the metadata of a magnet
 * turns out to be private. A seed needs no other seeds, so it does not even
 * note them. */
#include "net/gossip.h"

#include <errno.h>

#include "cache/pieces.h"
#include "core/bits.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "net/addrbook.h"
#include "net/engine_internal.h"
#include "net/net_limits.h"
#include "net/peer.h"
#include "net/pex.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"

struct gossip {
	struct pex_pace pace; /* what it sends */
	struct pex_told told; /* what we sent */
	uint64_t due_us;
	bool is_settled;
};

static bool is_private(const struct swarm *sw)
{
	return sw->t->mi != NULL && sw->t->mi->is_private;
}

bool gossip_is_wanted(const struct swarm *sw)
{
	return !sw->e->cfg.no_pex && !is_private(sw);
}

void gossip_forget(struct peer *p)
{
	mem_free(p->gossip);
	p->gossip = NULL;
}

/* ---- telling ---- */

static bool may_be_told(const struct peer *p)
{
	return p->is_up && p->ut_pex != 0 && p->gossip != NULL;
}

/* Where others would find `p`; NULL: nobody knows. */
static const struct addr *address_of(const struct peer *p)
{
	if (!p->is_incoming)
		return &p->addr;
	return p->cand != NULL ? addrbook_addr(p->cand) : NULL;
}

static uint8_t flags_of(const struct peer *p)
{
	bool is_seed = p->is_upload_only ||
		       (p->have.data != NULL && bits_is_full(&p->have));

	return (uint8_t)((is_seed ? PEX_UPLOAD_ONLY : 0) |
			 (p->is_incoming ? 0 : PEX_REACHABLE));
}

static unsigned who_is_here(const struct peer *to,
			    struct pex_peer out[SWARM_PEERS_MAX])
{
	const struct addr *between = address_of(to);
	const struct peer *p;
	unsigned n = 0;

	if (between == NULL)
		between = &to->addr;
	TAILQ_FOREACH (p, &to->sw->peers, link) {
		const struct addr *a = address_of(p);

		if (p == to || !p->is_up || a == NULL || n == SWARM_PEERS_MAX ||
		    !pex_may_tell(a, between))
			continue;
		out[n++] = (struct pex_peer){.addr = *a, .flags = flags_of(p)};
	}
	return n;
}

static void tell(struct peer *p, uint64_t now_us)
{
	struct pex_peer here[SWARM_PEERS_MAX];
	struct pex_diff diff;
	struct buf body = {0};
	unsigned n = who_is_here(p, here);

	if (!pex_diff_to(&p->gossip->told, here, n, &diff)) {
		p->gossip->is_settled = true;
		return;
	}
	pex_put(&body, &diff);
	if (buf_err(&body) == 0)
		wire_put_extended(peerio_out(p->io), p->ut_pex,
				  buf_span(&body));
	buf_fini(&body);
	p->gossip->due_us = now_us + (uint64_t)PEX_SAY_MS * 1000;
}

static void set_timer(struct swarm *sw, uint64_t earliest_us)
{
	uint64_t now_us = loop_now_us(sw->loop), next_us = UINT64_MAX;
	const struct peer *p;

	TAILQ_FOREACH (p, &sw->peers, link)
		if (may_be_told(p) && !p->gossip->is_settled &&
		    p->gossip->due_us < next_us)
			next_us = p->gossip->due_us;
	if (next_us == UINT64_MAX) {
		loop_timer_stop(sw->gossip);
		return;
	}
	if (next_us < earliest_us)
		next_us = earliest_us;
	loop_timer_start(sw->gossip, next_us > now_us ? next_us - now_us : 0);
}

void gossip_on_timer(void *swarm)
{
	struct swarm *sw = swarm;
	uint64_t now_us = loop_now_us(sw->loop);
	struct peer *p;

	if (sw->t->mi == NULL || !gossip_is_wanted(sw))
		return;
	TAILQ_FOREACH (p, &sw->peers, link)
		if (may_be_told(p) && !p->gossip->is_settled &&
		    p->gossip->due_us <= now_us)
			tell(p, now_us);
	set_timer(sw, now_us);
}

void gossip_on_change(struct swarm *sw)
{
	uint64_t now_us = loop_now_us(sw->loop);
	struct peer *p;

	if (!sw->is_running || sw->t->mi == NULL || !gossip_is_wanted(sw))
		return;
	TAILQ_FOREACH (p, &sw->peers, link)
		if (may_be_told(p))
			p->gossip->is_settled = false;
	if (!loop_timer_is_armed(sw->gossip))
		set_timer(sw, now_us + (uint64_t)PEX_SETTLE_MS * 1000);
}

/* ---- hearing ---- */

void gossip_on_handshake(struct peer *p)
{
	uint64_t now_us = loop_now_us(p->sw->loop);

	if (p->gossip == NULL && p->ut_pex != 0 && gossip_is_wanted(p->sw))
		p->gossip = mem_new(struct gossip);
	if (p->gossip != NULL && p->gossip->due_us == 0)
		p->gossip->due_us = now_us + (uint64_t)PEX_SETTLE_MS * 1000;
	gossip_on_change(p->sw);
}

static bool is_seed(const struct swarm *sw)
{
	return sw->t->ps != NULL && bits_is_full(pieces_have(sw->t->ps));
}

static void take(struct peer *p, struct span body)
{
	struct pex_heard heard;
	int r = pex_decode(body, &p->addr, &heard);
	unsigned i;

	if (r == EBADMSG)
		peer_end(p, PEER_END_PROTOCOL);
	for (i = 0; r == 0 && i < heard.n; i++)
		if (!is_seed(p->sw) || !(heard.v[i].flags & PEX_UPLOAD_ONLY))
			(void)swarm_add_gossip(p->sw, &heard.v[i].addr,
					       TORRENT_V1);
}

void gossip_on_msg(struct peer *p, struct span body)
{
	/* We gave it no id, or took it back; what crossed that is let pass. */
	if (p->gossip == NULL || !gossip_is_wanted(p->sw))
		return;
	switch (pex_pace_on_msg(&p->gossip->pace, loop_now_us(p->sw->loop))) {
	case PEX_TIMELY:
		take(p, body);
		break;
	case PEX_EARLY:
		break;
	case PEX_TOO_OFTEN:
		peer_end(p, PEER_END_PROTOCOL);
		break;
	}
}

/* ---- private torrents ---- */

void gossip_on_metadata(struct swarm *sw)
{
	struct peer *p, *next;

	if (!is_private(sw)) {
		gossip_on_change(sw);
		return;
	}
	loop_timer_stop(sw->gossip);
	addrbook_forget_gossip(sw->book);
	TAILQ_FOREACH_SAFE (p, &sw->peers, link, next)
		if (p->cand != NULL && addrbook_is_gossip(p->cand))
			peer_end(p, PEER_END_PRIVATE);
}
