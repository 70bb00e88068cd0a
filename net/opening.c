/* opening — a round trip saved, and another.
 *
 * A connection that we dial costs a round trip; then the peer's handshake, set
 * and UNCHOKE are one more away, and the first block a third. But what we have
 * and want can be said blindly, with our handshake: so a peer with a free slot
 * unchokes us with its first answer. And if a read waits at that moment, the
 * first requests can go along too: a peer that unchokes at once reads them
 * after INTERESTED, and its first answer brings data.
 *
 * Happy path
 *   1. Dialled: BITFIELD and INTERESTED are queued behind the handshake. A
 *      bitfield is right as the first message whether BEP 6 is spoken or not;
 *      INTERESTED is taken back when they turn out to have nothing for us.
 *   2. Connected: the round trip is known, and the peer is described to the
 *      picker as a guess: as if it had everything, with room for
 *      PEER_OPENING_REQUESTS. It gets urgent blocks that nobody who is known
 *      to have them could be asked for.
 *   3. Their handshake comes; from then on it is a peer like others.
 *
 * Failure modes
 *   it chokes us, or lacks the piece    with BEP 6 each request is rejected, as
 *                                       soon as it could have been made else
 *   it does not speak BEP 6             what came before its UNCHOKE was
 *                                       dropped without a word: the requests
 *                                       are forgotten, should the blocks come
 *                                       they are welcome
 *   it hangs up after its handshake     some clients (aria2) take a handshake
 *                                       only if nothing is behind it: dialled
 *                                       again at once, with nothing
 *   it does not answer, or chokes       after PEER_OPENING_MS and two round
 *   and does not reject                 trips the blocks are free for others
 */
#include "net/opening.h"

#include "cache/pieces.h"
#include "core/bits.h"
#include "core/buf.h"
#include "core/loop.h"
#include "net/addrbook.h"
#include "net/blame.h"
#include "net/net_limits.h"
#include "net/peer.h"
#include "net/picker.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"
#include "net/wire.h"

void opening_say(struct peer *p)
{
	const struct swarm *sw = p->sw;
	const struct bits *ours;

	if (sw->picker == NULL || addrbook_is_plain(p->cand))
		return;
	ours = pieces_have(sw->t->ps);
	if (bits_is_full(ours) || bits_bytes(ours->n) > PEER_OPENING_MAX)
		return;
	wire_put_bitfield(peerio_out(p->io),
			  span_of(ours->data, bits_bytes(ours->n)));
	wire_put_plain(peerio_out(p->io), WIRE_INTERESTED);
	p->interested_us = true;
	p->said_ours = true;
}

void opening_on_connect(struct peer *p)
{
	p->is_connected = true;
	peer_ask_on_connect(p, loop_now_us(p->sw->loop));
	if (p->said_ours)
		swarm_kick(p->sw);
}

/* It was given its time. */
static bool has_failed(const struct peer *p)
{
	return p->blind_until_us != 0 &&
	       p->blind_until_us <= loop_now_us(p->sw->loop);
}

bool opening_describe(struct peer *p, struct pick_peer *out)
{
	const struct bits *all;

	if (!p->is_connected || !p->said_ours || has_failed(p) ||
	    p->asks.n >= PEER_OPENING_REQUESTS)
		return false;
	all = swarm_all(p->sw);
	if (all != NULL)
		all = blame_have(p->sw->intake, p->id, all, &p->masked);
	if (all == NULL)
		return false;
	*out = (struct pick_peer){
		.id = p->id,
		.have = all,
		.rtt_us = p->window.delay_us,
		.out_bytes = p->out_bytes,
		.room = PEER_OPENING_REQUESTS - p->asks.n,
		.doubt_us = UINT64_MAX, /* it has its time: blind_until_us */
		.is_snubbed = p->is_snubbed,
		.is_guess = true,
	};
	return true;
}

void opening_on_handshake(struct peer *p)
{
	if (!p->has_fast)
		peer_ask_drop_all(p);
}

/* Its handshake came, and nothing more. */
bool opening_was_refused(const struct peer *p)
{
	return p->said_ours && p->is_up && !p->has_spoken &&
	       (p->end == PEER_END_EOF || p->end == PEER_END_IO);
}
