/* incoming — strangers who connected and have not said yet which torrent they
 * want. Thread: loop. Owner: the engine. */
#ifndef SHOAL_NET_INCOMING_H
#define SHOAL_NET_INCOMING_H

#include "core/own.h"

struct addr;
struct engine;
struct incoming;
struct torrent;

int incoming_new(struct engine *e, struct incoming **out);

/* incoming_free — all of them are closed. NULL is fine. */
void incoming_free(struct incoming *in);

/* incoming_on_accept — listener_fn's work; takes the descriptor. */
void incoming_on_accept(struct incoming *in, int fd TAKES,
			const struct addr *from);

/* incoming_on_ready — those who wait for this torrent are its peers now. NULL:
 * all is over. */
void incoming_on_ready(struct incoming *in, struct torrent *t);

#endif
