/* parole — work for those who are suspect.
 *
 * A peer that had a part in a wrong piece works alone until that piece is right
 * (blame.c): whole pieces, its own. So it is not in the pass of the others, who
 * come first; then each suspect has one to itself, sees only pieces that nobody
 * has begun or that are its own already, and what it is asked for is its own
 * from then on.
 *
 * When everybody is suspect everybody goes on, each with other pieces; the next
 * that is wrong has one sender. */
#include "net/parole.h"

#include "net/blame.h"
#include "net/pace.h"
#include "net/peer.h"
#include "net/picker.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"

enum { PICKS = 64 };

static void assign(struct swarm *sw, struct peer *p, struct pick_peer *desc,
		   uint64_t now_us)
{
	struct pick picks[PICKS];
	unsigned n, i;

	do {
		n = pace_assign(sw, desc, 1, now_us, picks, PICKS);
		for (i = 0; i < n; i++) {
			peer_ask_block(p, &picks[i].block, now_us);
			blame_on_ask(sw->intake, p, picks[i].block.piece_ix);
		}
	} while (n == PICKS);
}

unsigned parole_assign(struct swarm *sw, uint64_t now_us, uint64_t *late_us)
{
	struct pick_peer desc;
	unsigned n_peers = 0;
	struct peer *p;

	TAILQ_FOREACH (p, &sw->peers, link) {
		if (p->n_accused == 0 || !swarm_describe(sw, p, now_us, &desc))
			continue;
		assign(sw, p, &desc, now_us);
		p->has_room = desc.room > 0;
		if (pace_next_late_us(sw) < *late_us)
			*late_us = pace_next_late_us(sw);
		n_peers++;
	}
	return n_peers;
}
