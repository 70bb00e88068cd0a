/* swarm — the peers of one torrent: whom to dial and when, who may come in,
 * which block is asked of whom, whom we serve. Thread: loop. Owner: the
 * torrent. Life: swarm_new → swarm_start → (swarm_on_ready) → swarm_stop →
 * swarm_free. */
#ifndef SHOAL_NET_SWARM_H
#define SHOAL_NET_SWARM_H

#include <stdbool.h>
#include <stdint.h>

#include "core/torrent_id.h"
#include "net/peerio.h"

struct addr;
struct bits;
struct peer;
struct pick_peer;
struct swarm;
struct torrent;

int swarm_new(struct torrent *t, struct swarm **out);
void swarm_start(struct swarm *sw);

/* swarm_on_ready — the metadata is known and the store is open: from now on
 * there can be demand. 0 or ENOMEM. */
int swarm_on_ready(struct swarm *sw);

/* swarm_stop — end every peer, dial nobody, stop every timer. */
void swarm_stop(struct swarm *sw, enum peer_end why);
void swarm_free(struct swarm *sw);

/* ---- whom to know ---- */

/* swarm_add_addr — a peer may be there, a person said. 0, also when it is known
 * or of no use; ENOMEM. */
int swarm_add_addr(struct swarm *sw, const struct addr *a);

/* swarm_add_told — the same of a tracker's word, given for that side's hash. */
int swarm_add_told(struct swarm *sw, const struct addr *a,
		   enum torrent_side side);

/* swarm_add_gossip — the same of what other peers or the DHT said, who knew it
 * by that side's hash: nobody of a private torrent is found that way (BEP
 * 27). */
int swarm_add_gossip(struct swarm *sw, const struct addr *a,
		     enum torrent_side side);

/* swarm_add_name — "host:port", as named_add. */
int swarm_add_name(struct swarm *sw, const char *text);

/* swarm_ban — end everybody at this address, and never again. */
void swarm_ban(struct swarm *sw, const struct addr *a);

/* swarm_may_accept — is there room for one who comes in from `a`, or somebody
 * who would make way for him (crowd.h)? */
bool swarm_may_accept(const struct swarm *sw, const struct addr *a);

/* ---- scheduling ---- */

/* swarm_kick — something changed: run one pass at the end of the turn. Cheap.
 */
void swarm_kick(struct swarm *sw);

/* swarm_on_verified / swarm_on_lost — what we hold has changed. */
void swarm_on_verified(struct swarm *sw, uint32_t piece_ix);
void swarm_on_lost(struct swarm *sw, uint32_t piece_ix);

/* ---- for the peers ---- */

/* swarm_all — a set of all pieces, lent; NULL without memory. From READY on. */
const struct bits *swarm_all(struct swarm *sw);

/* swarm_peer — the live peer of this id, or NULL. */
struct peer *swarm_peer(const struct swarm *sw, uint32_t id);

void swarm_on_up(struct swarm *sw, struct peer *p);
void swarm_on_peer_end(struct swarm *sw, struct peer *p);

/* swarm_describe — `p` for the picker; false: nothing can be asked of it. */
bool swarm_describe(struct swarm *sw, struct peer *p, uint64_t now_us,
		    struct pick_peer *out);

#endif
