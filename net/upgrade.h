/* upgrade — a magnet of v1's hash turns out to be of a hybrid: connections that
 * could be v2's are made anew (BEP 52). Thread: loop. Of the swarm. */
#ifndef SHOAL_NET_UPGRADE_H
#define SHOAL_NET_UPGRADE_H

#include <stdbool.h>

struct peer;
struct swarm;

/* upgrade_on_learn — the torrent's other hash is known now. */
void upgrade_on_learn(struct swarm *sw);

/* upgrade_on_up — `p` came up; on v2's side it stands in for those that are to
 * follow it. */
void upgrade_on_up(struct peer *p);

/* upgrade_is_due — we dialled it, it can do v2, and we did not know that we
 * can: dialled again, by the same hash and with the bit, it will be v2's. */
bool upgrade_is_due(const struct peer *p);

#endif
