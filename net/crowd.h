/* crowd — the connections of the whole engine are limited: which torrent may
 * open one when there are as many as may be. Thread: loop. */
#ifndef SHOAL_NET_CROWD_H
#define SHOAL_NET_CROWD_H

#include <stdbool.h>

struct addr;
struct engine;
struct peer;
struct swarm;

/* crowd_has_room — may `sw` open a connection? Ends an idle one of another
 * torrent if `sw` has too few in comparison. If false, dialer_run is called
 * when there is room again. */
bool crowd_has_room(struct swarm *sw);

/* crowd_may_enter — `sw` has all the peers it may have, or all that may come
 * in, and one more knocks from `a`: is there an idle one that is worth less?
 * crowd_make_way — he is in, as `p`; that one is ended, unless there is room
 * meanwhile. */
bool crowd_may_enter(const struct swarm *sw, const struct addr *a);
void crowd_make_way(const struct peer *p);

/* crowd_on_end — a connection of some torrent has ended. */
void crowd_on_end(struct engine *e);

/* crowd_on_room — the engine's task that crowd_on_end defers. */
void crowd_on_room(void *engine);

#endif
