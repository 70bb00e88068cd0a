/* opening — what we say to a peer, and ask of it, before its handshake came.
 * Thread: loop. Of the peer's life in peer.h: from dialled to up. */
#ifndef SHOAL_NET_OPENING_H
#define SHOAL_NET_OPENING_H

#include <stdbool.h>

struct peer;
struct pick_peer;

/* opening_say — queue what goes with our handshake; the peer was dialled. */
void opening_say(struct peer *p);

/* opening_on_connect — the connection is there. */
void opening_on_connect(struct peer *p);

/* opening_describe — a peer that is not up yet, for the picker; false: it is
 * not to be asked. */
bool opening_describe(struct peer *p, struct pick_peer *out);

/* opening_on_handshake — its handshake is right; has_fast is known. */
void opening_on_handshake(struct peer *p);

/* opening_was_refused — the peer has ended as one does who cannot bear what
 * goes with our handshake. */
bool opening_was_refused(const struct peer *p);

#endif
