/* swarm_know — whom a swarm knows. Candidates (addrbook.c) come from trackers,
 * other peers and people; banned hosts never become one. When they are dialled
 * is dialer.c's. */
#include "core/err.h"
#include "core/metainfo.h"
#include "net/addrbook.h"
#include "net/bans.h"
#include "net/crowd.h"
#include "net/dialer.h"
#include "net/engine_internal.h"
#include "net/named.h"
#include "net/net_limits.h"
#include "net/peer.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"

static int add_from(struct swarm *sw, const struct addr *a,
		    enum addrbook_from from, enum torrent_side side)
{
	struct cand *c;
	int r;

	if (bans_has(sw->e->bans, a))
		return 0;
	r = addrbook_add(sw->book, a, from, loop_now_us(sw->loop), &c);
	if (r == 0 || r == EEXIST)
		addrbook_on_side(c, side, r == 0);
	if (r == 0)
		dialer_run(sw);
	return r == ENOMEM ? ENOMEM : 0;
}

int swarm_add_addr(struct swarm *sw, const struct addr *a)
{
	return add_from(sw, a, ADDRBOOK_NAMED, TORRENT_V1);
}

int swarm_add_told(struct swarm *sw, const struct addr *a,
		   enum torrent_side side)
{
	return add_from(sw, a, ADDRBOOK_TOLD, side);
}

int swarm_add_gossip(struct swarm *sw, const struct addr *a,
		     enum torrent_side side)
{
	if (sw->t->mi != NULL && sw->t->mi->is_private)
		return 0;
	return add_from(sw, a, ADDRBOOK_GOSSIP, side);
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
