/* slots — who may ask of us: what the choker is told of the peers, and its
 * decisions carried out. Thread: loop. */
#ifndef SHOAL_NET_SLOTS_H
#define SHOAL_NET_SLOTS_H

#include <stdint.h>

struct peer;
struct swarm;

/* slots_init — a new peer. */
void slots_init(struct peer *p);

/* slots_on_interest — the peer became interested, or lost its interest. */
void slots_on_interest(struct peer *p);

/* slots_on_sent — bytes of blocks have left to it. slots_on_gift — bytes of
 * its blocks belong to a piece that verified. slots_on_content — we want
 * nothing of it any more. */
void slots_on_sent(struct peer *p, uint32_t bytes);
void slots_on_gift(struct peer *p, uint32_t bytes);
void slots_on_content(struct peer *p);

/* slots_fill — a slot may be free. slots_round — the choker's round. */
void slots_fill(struct swarm *sw);
void slots_round(struct swarm *sw);

#endif
