/* swarm_dial — whom a swarm knows, and who is dialled when.
 *
 * Candidates (addrbook.c) come from trackers, other peers and people; banned
 * hosts never become one. Those that are due are dialled at once, up to the
 * limits; the `dial` timer is set to the next that falls due. At a limit the
 * next peer that ends comes back here. */
#include "core/err.h"
#include "core/metainfo.h"
#include "net/addrbook.h"
#include "net/bans.h"
#include "net/crowd.h"
#include "net/engine_internal.h"
#include "net/named.h"
#include "net/net_limits.h"
#include "net/peer.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"

static int add_from(struct swarm *sw, const struct addr *a,
		    enum addrbook_from from)
{
	int r;

	if (bans_has(sw->e->bans, a))
		return 0;
	r = addrbook_add(sw->book, a, from, loop_now_us(sw->loop), NULL);
	if (r == 0)
		swarm_dial(sw);
	return r == ENOMEM ? ENOMEM : 0;
}

int swarm_add_addr(struct swarm *sw, const struct addr *a, bool is_named)
{
	return add_from(sw, a, is_named ? ADDRBOOK_NAMED : ADDRBOOK_TOLD);
}

int swarm_add_gossip(struct swarm *sw, const struct addr *a)
{
	if (sw->t->mi != NULL && sw->t->mi->is_private)
		return 0;
	return add_from(sw, a, ADDRBOOK_GOSSIP);
}

int swarm_add_name(struct swarm *sw, const char *text)
{
	int r = named_add(sw->named, text);

	if (r == 0 && sw->is_running)
		named_start(sw->named);
	return r;
}

void swarm_ban(struct swarm *sw, const struct addr *a)
{
	struct peer *p, *next;

	bans_add_host(sw->e->bans, a);
	TAILQ_FOREACH_SAFE (p, &sw->peers, link, next)
		if (bans_has(sw->e->bans, &p->addr))
			peer_end(p, PEER_END_BAD_HASH);
}

bool swarm_may_accept(const struct swarm *sw, const struct addr *a)
{
	if (!sw->is_running || sw->e->n_peers >= ENGINE_PEERS_MAX)
		return false;
	if (sw->n_peers < SWARM_PEERS_MAX &&
	    sw->n_incoming < SWARM_INCOMING_MAX)
		return true;
	return crowd_may_enter(sw, a);
}

static bool may_dial(const struct swarm *sw)
{
	return sw->is_running && sw->n_dialing < SWARM_DIALS_MAX &&
	       sw->n_peers < SWARM_PEERS_MAX;
}

void swarm_dial(struct swarm *sw)
{
	uint64_t now_us = loop_now_us(sw->loop), next_us;
	struct cand *c;

	while (may_dial(sw) && addrbook_next_us(sw->book) <= now_us &&
	       crowd_has_room(sw)) {
		c = addrbook_take(sw->book, now_us);
		if (bans_has(sw->e->bans, addrbook_addr(c)))
			addrbook_on_end(sw->book, c, ADDRBOOK_NEVER, now_us);
		else if (peer_dial(sw, c) != 0)
			addrbook_on_end(sw->book, c, ADDRBOOK_FAILED, now_us);
	}
	next_us = addrbook_next_us(sw->book);
	/* At a limit the next peer that ends comes back here. */
	if (!may_dial(sw) || next_us == UINT64_MAX || next_us <= now_us)
		loop_timer_stop(sw->dial);
	else
		loop_timer_start(sw->dial, next_us - now_us);
}
