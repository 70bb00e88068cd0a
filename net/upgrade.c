/* upgrade — from v1's side of a hybrid to v2's, after the fact.
 *
 * A magnet of v1's hash says nothing of v2, so neither can our handshake, and
 * on v1's side no hash may be asked for. The metadata tells v2's hash, and the
 * peers' handshakes told who knows it. The side of a connection is settled by
 * its handshakes alone, and a second connection of one peer id is one too many
 * for the other end: so it is ended, and dialled again at once.
 *
 * Happy path. The metadata is there, the store is being opened: all but one of
 * those whom it concerns are ended; the one is there for who reads meanwhile.
 * When the first is up on v2's side the one follows. With nobody else there the
 * one goes at once: two round trips, most of them while the store opens.
 *
 * Who has connected to us is left alone: where he listens is hearsay, and he
 * may be behind a gateway. He will come by v2's hash when he knows it.
 *
 * No storm: it is due for a connection that was dialled without the bit, and
 * from now on there are none; so it happens once to an address. */
#include "net/upgrade.h"

#include "net/peer.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"

bool upgrade_is_due(const struct peer *p)
{
	return p->knows_v2 && !p->said_v2 && p->side == TORRENT_V1 &&
	       !p->is_incoming && p->cand != NULL &&
	       torrent_id_side(&p->sw->t->id, TORRENT_V2) != NULL;
}

/* All of them, or all but the first. */
static void end_due(struct swarm *sw, bool is_one_kept)
{
	struct peer *p, *next;

	TAILQ_FOREACH_SAFE (p, &sw->peers, link, next) {
		if (!p->is_up || !upgrade_is_due(p))
			continue;
		if (!is_one_kept)
			peer_end(p, PEER_END_UPGRADE);
		is_one_kept = false;
	}
}

void upgrade_on_learn(struct swarm *sw)
{
	unsigned n_due = 0, n_others = 0;
	struct peer *p;

	TAILQ_FOREACH (p, &sw->peers, link) {
		n_due += p->is_up && upgrade_is_due(p);
		n_others += p->is_up && !upgrade_is_due(p);
	}
	end_due(sw, n_due > 1 && n_others == 0);
}

void upgrade_on_up(struct peer *p)
{
	if (p->side == TORRENT_V2)
		end_due(p->sw, false);
}
