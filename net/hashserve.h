/* hashserve — hashes that peers ask us for (BEP 52): told from what is known,
 * or computed from a piece that we hold. Thread: loop. Owner: the torrent,
 * while it has v2. */
#ifndef SHOAL_NET_HASHSERVE_H
#define SHOAL_NET_HASHSERVE_H

#include "net/wire.h"

struct hashserve;
struct peer;
struct torrent;

int hashserve_new(struct torrent *t, struct hashserve **out);

/* hashserve_stop — the pieces are about to be closed: answer nothing more.
 * NULL is fine, as to hashserve_free. */
void hashserve_stop(struct hashserve *hs);
void hashserve_free(struct hashserve *hs);

/* hashserve_on_request — HASH_REQUEST: answered now or later, with HASHES or a
 * HASH_REJECT, once. */
void hashserve_on_request(struct peer *p, const struct wire_hashes *asked);

/* hashserve_on_block — the peer asked for a block and is served it: it is owed
 * the leaves of it, should it ask. */
void hashserve_on_block(struct peer *p, const struct wire_block *b);

/* hashserve_forget — the peer has ended. */
void hashserve_forget(struct peer *p);

#endif
