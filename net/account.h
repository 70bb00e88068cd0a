/* account — what is counted of each torrent goes to the store. Thread: loop.
 * Owner: the engine. */
#ifndef SHOAL_NET_ACCOUNT_H
#define SHOAL_NET_ACCOUNT_H

#include <stdbool.h>

#include "core/queue.h"
#include "core/traffic.h"

struct engine;
struct loop_timer;
struct swarm;

/* The engine's. */
struct accounts {
	LIST_HEAD(, swarm) open; /* something was counted since the last time */
	struct loop_timer *timer;
};

/* A swarm's. */
struct account {
	LIST_ENTRY(swarm) link;
	bool is_open;
	struct traffic told; /* the store knows of so much of its figures */
};

int account_init(struct engine *e);
void account_fini(struct engine *e);

/* account_note — the swarm's figures have changed. Cheap. account_settle — the
 * store is told now; it is the last time, or soon will be. */
void account_note(struct swarm *sw);
void account_settle(struct swarm *sw);

#endif
