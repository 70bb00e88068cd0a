/* events — what is going to happen, and when: a heap by (time, order of
 * adding), so that equal times have a written tie-break. */
#ifndef SHOAL_SIM_EVENTS_H
#define SHOAL_SIM_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/wire.h"

enum event_kind {
	EV_JOIN,    /* the peer comes */
	EV_DIAL,    /* and hears of others */
	EV_ROUND,   /* its choker's round */
	EV_STALL,   /* look whether the conn stalls */
	EV_WAKE,    /* look for late blocks */
	EV_DEPART,  /* the block has left its uplink */
	EV_REACH,   /* … and is at the receiver's downlink */
	EV_ARRIVE,  /* … and through it */
	EV_ACK,	    /* the sender knows */
	EV_REQUEST, /* messages, at who receives them */
	EV_CANCEL,
	EV_CHOKE,
	EV_UNCHOKE,
	EV_INTEREST, /* arg: 1 interested, 0 not any more */
	EV_HAVE,     /* of the peer, at all its neighbours; arg: piece */
	EV_PLAY,     /* a viewer's next bytes are due */
	EV_SAMPLE,   /* the scene's own clock */
	EV_KINDS,
};

/* `peer` is where it happens, `conn` which of its connections. */
struct event {
	uint64_t at_us, seq;
	struct wire_block block;
	uint32_t peer, conn, arg;
	enum event_kind kind;
};

struct events {
	struct event *v;
	size_t n, room;
	uint64_t next_seq;
};

void events_fini(struct events *q);

/* events_add — sets seq. Aborts without memory: this is a test. */
void events_add(struct events *q, struct event ev);

/* events_take — the next one; false: none. */
bool events_take(struct events *q, struct event *out);

#endif
