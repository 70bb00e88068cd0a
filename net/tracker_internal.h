/* tracker_internal — what tracker.c shares with its two transports, and the
 * knobs by which tests make it hurry. */
#ifndef SHOAL_NET_TRACKER_INTERNAL_H
#define SHOAL_NET_TRACKER_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include "net/tracker.h"
#include "net/tracker_reply.h"

struct buf;
struct http;
struct tracker_http;
struct udp_tracker;

/* BEP 15's numbers. */
enum tracker_event {
	TRACKER_EVENT_NONE = 0,
	TRACKER_EVENT_COMPLETED = 1,
	TRACKER_EVENT_STARTED = 2,
	TRACKER_EVENT_STOPPED = 3,
};

/* One announce. */
struct tracker_ask {
	struct tracker_facts facts;
	enum tracker_event event;
	uint32_t key;		/* the same for one torrent's life (BEP 15) */
	struct span tracker_id; /* as the tracker gave it; borrowed */
	uint64_t timeout_us;	/* for all of it */
};

/* Where a transport puts what it hears. `reply` runs any number of times
 * before `done`, with err 0 only if it ran. `reply` is lent; so is `why`, for
 * a person, not yet printable. */
struct tracker_sink {
	void (*reply)(void *arg, const struct tracker_reply *reply);
	void (*done)(void *arg, int err, const char *why);
	void *arg;
};

/* BEP 3: `left` when the size is not known yet. Not 0, which says seeder. */
enum { TRACKER_LEFT_UNKNOWN = 16384 };

/* What the path of a tracker on this machine or its network begins with, so
 * that no other service of theirs can be reached by a stranger's URL. */
#define TRACKER_LOCAL_PATH "/announce"

/* ---- tracker_http.c ---- */

/* tracker_http_start — STYLE habit 21. Fails with ENOMEM, or EINVAL as
 * tracker_http_url does. */
int tracker_http_start(struct http *http, const char *url,
		       const struct tracker_ask *ask,
		       const struct tracker_sink *sink,
		       struct tracker_http **out);
void tracker_http_cancel(struct tracker_http *c);

/* tracker_http_url — the address to get. Pure. 0, ENOMEM, or EINVAL when the
 * URL has fields of an announce: it would make us ask a server, in our
 * name, for whatever the torrent's author chose. */
int tracker_http_url(struct buf *out, const char *url,
		     const struct tracker_ask *ask);

/* ---- tests ---- */

struct tracker_times {
	uint64_t second_us;    /* how long a tracker's second lasts */
	uint64_t retry_us;     /* first back-off */
	uint64_t retry_max_us; /* last */
	uint64_t timeout_us;   /* of one announce */
	uint64_t stop_us;
};

void trackers_set_times(struct trackers *t, const struct tracker_times *times);

struct udp_tracker_times {
	uint64_t first_us; /* until the first retransmission */
	uint64_t grace_us; /* for the slower family, after the faster */
};

void udp_tracker_set_times(struct udp_tracker *u,
			   const struct udp_tracker_times *times);

/* udp_tracker_set_hosts — from now on every name has these addresses (kept),
 * whatever the port. */
void udp_tracker_set_hosts(struct udp_tracker *u, const struct addr *addrs,
			   unsigned n);

#endif
