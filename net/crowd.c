/* crowd — connections shared out between torrents.
 *
 * Torrents connect to as many peers as they may, wanted or not, so that a first
 * read finds them. A few such torrents fill the engine; without more, the next
 * one would have no peer until somebody of the others happens to leave.
 *
 * Weight: how many connections a torrent has; of one that is hungry (a read or
 * a window waits for pieces, or the metadata is missing) only an eighth of
 * them counts. When the engine is full, a torrent takes a connection from the
 * heaviest one that has an idle peer, until they are even. For torrents at rest
 * even means a difference of one: else two of them would take the same
 * connection from each other for ever.
 *
 * Within one torrent, when it is full, who comes in may take the place of an
 * idle peer with a lesser priority (BEP 40): both sides of any connection see
 * the same number, so full swarms settle instead of turning each other away,
 * and since it must be greater each time this comes to an end.
 *
 * Who finds no room is not forgotten: `is_crowded` is noted, and the next end
 * of any connection lets all dial again, the hungry first: by a task, for a
 * dial may end peers of any torrent but the one that dials, and whoever ends a
 * connection may be walking his own. */
#include "net/crowd.h"

#include <limits.h>
#include <stddef.h>

#include "net/addrbook.h"
#include "net/dialer.h"
#include "net/engine_internal.h"
#include "net/fetch.h"
#include "net/net_limits.h"
#include "net/peer.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"

enum {
	HUNGRY_SHARE = 8,
	/* Nothing of use on at most one side: its place may be a better one's.
	 */
	IDLE_WORTH = 2,
};

static bool is_hungry(const struct swarm *sw)
{
	return sw->t->fetch == NULL || fetch_is_hungry(sw->t->fetch);
}

static unsigned weight(const struct swarm *sw)
{
	return is_hungry(sw) ? sw->n_peers / HUNGRY_SHARE : sw->n_peers;
}

/* The less, the less is lost with it; UINT_MAX: it is at work. */
static unsigned worth(const struct peer *p)
{
	if (p->asks.n > 0 || p->serves.n > 0)
		return UINT_MAX;
	if (!p->is_up)
		return 0;
	return 1u + (p->useful > 0) + !p->choked_them + !p->choked_us;
}

static struct peer *least_peer(const struct swarm *sw)
{
	struct peer *p, *least = NULL;

	TAILQ_FOREACH (p, &sw->peers, link)
		if (worth(p) != UINT_MAX &&
		    (least == NULL || worth(p) < worth(least)))
			least = p;
	return least;
}

/* A peer of the heaviest torrent that is heavier than `sw` and has one to
 * give. */
static struct peer *find_victim(const struct swarm *sw)
{
	unsigned most = weight(sw) + (is_hungry(sw) ? 0 : 1);
	struct peer *victim = NULL, *p;
	const struct torrent *t;

	TAILQ_FOREACH (t, &sw->e->torrents, link) {
		if (t->swarm == sw || weight(t->swarm) <= most)
			continue;
		p = least_peer(t->swarm);
		if (p == NULL)
			continue;
		most = weight(t->swarm);
		victim = p;
	}
	return victim;
}

bool crowd_has_room(struct swarm *sw)
{
	struct engine *e = sw->e;
	struct peer *victim;

	if (e->n_peers < ENGINE_PEERS_MAX)
		return true;
	e->is_crowded = true;
	victim = find_victim(sw);
	if (victim == NULL)
		return false;
	e->is_moving = true; /* its place is taken */
	peer_end(victim, PEER_END_LIMIT);
	e->is_moving = false;
	return true;
}

/* ---- within one torrent ---- */

static uint32_t priority(const struct peer *p)
{
	return addrbook_priority(p->sw->book, &p->addr);
}

/* The idle peer whose place one at `a` may have. */
static struct peer *who_yields(const struct swarm *sw, const struct addr *a,
			       bool only_incoming)
{
	struct peer *p, *least = NULL;

	TAILQ_FOREACH (p, &sw->peers, link)
		if (worth(p) <= IDLE_WORTH &&
		    (p->is_incoming || !only_incoming) &&
		    (least == NULL || priority(p) < priority(least)))
			least = p;
	if (least == NULL || priority(least) >= addrbook_priority(sw->book, a))
		return NULL;
	return least;
}

bool crowd_may_enter(const struct swarm *sw, const struct addr *a)
{
	return who_yields(sw, a, sw->n_incoming >= SWARM_INCOMING_MAX) != NULL;
}

void crowd_make_way(const struct peer *p)
{
	struct swarm *sw = p->sw;
	bool many_incoming = sw->n_incoming > SWARM_INCOMING_MAX;
	struct peer *least;

	if (sw->n_peers <= SWARM_PEERS_MAX && !many_incoming)
		return;
	least = who_yields(sw, &p->addr, many_incoming);
	if (least == NULL)
		return;
	sw->e->is_moving = true; /* its place is taken */
	peer_end(least, PEER_END_LIMIT);
	sw->e->is_moving = false;
}

static void dial_all(struct engine *e, bool hungry)
{
	struct torrent *t;

	TAILQ_FOREACH (t, &e->torrents, link)
		if (is_hungry(t->swarm) == hungry)
			dialer_run(t->swarm);
}

void crowd_on_end(struct engine *e)
{
	if (e->is_crowded && !e->is_stopping)
		loop_defer(e->cfg.loop, &e->room);
}

void crowd_on_room(void *engine)
{
	struct engine *e = engine;

	if (!e->is_crowded || e->is_stopping || e->n_peers >= ENGINE_PEERS_MAX)
		return;
	e->is_crowded = false;
	dial_all(e, true);
	dial_all(e, false);
}
