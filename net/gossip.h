/* gossip — peer exchange for one swarm: whom we tell of whom and when, and
 * what we do with what we hear. Thread: loop. Owner: the swarm. The messages
 * and their rules are in net/pex.h. */
#ifndef SHOAL_NET_GOSSIP_H
#define SHOAL_NET_GOSSIP_H

#include <stdbool.h>

#include "core/span.h"

struct peer;
struct swarm;

/* gossip_is_wanted — do we take part? Not with `nopex`, and not in a torrent
 * that is known to be private (BEP 27). */
bool gossip_is_wanted(const struct swarm *sw);

/* gossip_on_handshake — the peer has said whether it speaks ut_pex
 * (p->ut_pex). Without memory it is not told anything. */
void gossip_on_handshake(struct peer *p);

/* gossip_on_msg — it sent an ut_pex message. May end it. */
void gossip_on_msg(struct peer *p, struct span body);

/* gossip_on_change — who is here, or where, has changed. Cheap. */
void gossip_on_change(struct swarm *sw);

/* gossip_on_metadata — now it is known whether the torrent is private: if so,
 * everybody whom only gossip named is let go; if not, telling begins. */
void gossip_on_metadata(struct swarm *sw);

/* gossip_on_timer — the swarm's timer. gossip_forget — the peer goes. */
void gossip_on_timer(void *swarm);
void gossip_forget(struct peer *p);

#endif
