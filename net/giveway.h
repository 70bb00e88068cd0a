/* giveway — the background of all torrents makes way for who reads. Thread:
 * loop. Owner: the engine has one struct giveway, and each swarm its part. */
#ifndef SHOAL_NET_GIVEWAY_H
#define SHOAL_NET_GIVEWAY_H

#include <stdbool.h>
#include <stdint.h>

struct engine;
struct swarm;

void giveway_init(struct engine *e);

/* giveway_start — the swarm's picker can have a background from now on. 0 or
 * ENOMEM. */
int giveway_start(struct swarm *sw);

/* giveway_on_background — the torrent's first pinned piece is missing, or its
 * last one is not any more. giveway_on_stop — nor will any be. */
void giveway_on_background(struct swarm *sw, bool is_any);
void giveway_on_stop(struct swarm *sw);

/* giveway_on_read — a reader waits for a piece. */
void giveway_on_read(struct swarm *sw);

/* giveway_begin_pass — says the picker what it may ask for, and takes back what
 * is out for the background if somebody has come to read. giveway_wake_us —
 * when to look again; UINT64_MAX. */
void giveway_begin_pass(struct swarm *sw, uint64_t now_us);
uint64_t giveway_wake_us(const struct swarm *sw, uint64_t now_us);

#endif
