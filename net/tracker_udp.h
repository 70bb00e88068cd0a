/* tracker_udp — announces over UDP (BEP 15, with the URL options of BEP 41).
 *
 * One for the program: a non-blocking socket for each address family, shared
 * by every torrent, and the connection ids that trackers gave us, good for a
 * minute. A host with both an A and an AAAA record is announced to over both
 * families, for each tracker answers with peers of the family it was asked
 * over.
 *
 * Thread: loop. */
#ifndef SHOAL_NET_TRACKER_UDP_H
#define SHOAL_NET_TRACKER_UDP_H

#include <stdint.h>

struct loop;
struct tracker_ask;  /* net/tracker_internal.h */
struct tracker_sink; /* net/tracker_internal.h */
struct udp_announce;
struct udp_tracker;
struct workers;

/* udp_tracker_new — keeps `loop` and `workers`, which look up host names: a
 * pool for names alone, since a look-up may hang (net/resolve.h). 0, ENOMEM,
 * or an errno of socket(2) when there is no family at all. */
int udp_tracker_new(struct loop *loop, struct workers *workers,
		    struct udp_tracker **out);

/* udp_tracker_free — announces under way are cancelled. NULL is fine. */
void udp_tracker_free(struct udp_tracker *u);

/* udp_tracker_announce — STYLE habit 21. `url`, `ask` and `sink` are copied or
 * used at once. sink->reply runs for each family that answers, as it comes;
 * sink->done once, when both families are settled. */
int udp_tracker_announce(struct udp_tracker *u, const char *url,
			 const struct tracker_ask *ask,
			 const struct tracker_sink *sink,
			 struct udp_announce **out);
void udp_tracker_cancel(struct udp_announce *a);

#endif
