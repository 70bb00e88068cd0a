/* tracker — the trackers of one torrent: tiers, back-off, announce and
 * `stopped` (BEP 3, 7, 12, 15, 23, 24, 41).
 *
 * Each tier is shuffled once; within a tier trackers are tried in order until
 * one answers, which then moves to the front (BEP 12). Every tier that never
 * answered is tried at the same time, so that a dead first tracker costs
 * nobody seconds; after that the first tier that works is announced to, and
 * the ones behind it only when peers are short, when the torrent completes and
 * when it stops. A failing tracker backs off exponentially with jitter.
 * Intervals from outside are clamped.
 *
 * Thread: loop. Life: trackers_new → trackers_start → … → trackers_stop (which
 * sends `stopped` where we were announced) → trackers_free. After `done` of
 * trackers_stop it may be started again. */
#ifndef SHOAL_NET_TRACKER_H
#define SHOAL_NET_TRACKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/metainfo.h"

struct http;
struct loop;
struct trackers;
struct udp_tracker;

/* What an announce says of us, asked for when it leaves. */
struct tracker_facts {
	uint8_t info_hash[20];
	uint8_t peer_id[20];
	uint16_t port;
	uint64_t uploaded_bytes, downloaded_bytes;
	uint64_t left_bytes; /* UINT64_MAX: not known (a magnet) */
	uint32_t want_peers;
	/* Our global IPv6 address for trackers asked over IPv4 (BEP 7); as
	 * zeroed for us, of no family: none to tell. */
	struct addr ipv6;
};

/* From inside these trackers_stop and trackers_free must not be called. */
struct trackers_ops {
	void (*facts)(void *arg, struct tracker_facts *out);
	/* Addresses that may be dialled; lent. */
	void (*on_peers)(void *arg, const struct addr *peers, unsigned n);
	/* Our address as a tracker sees it (BEP 24). May be NULL. */
	void (*on_external)(void *arg, const struct addr *a);
};

struct trackers_cfg {
	struct loop *loop;	     /* kept */
	struct http *http;	     /* kept */
	struct udp_tracker *udp;     /* kept: the shared socket */
	const struct mi_tier *tiers; /* copied */
	uint32_t n_tiers;
	const struct trackers_ops *ops; /* kept */
	void *arg;
};

/* trackers_new — 0 or ENOMEM. URLs that trackers_add would refuse are left
 * out. */
int trackers_new(const struct trackers_cfg *cfg, struct trackers **out);

/* trackers_add — one more tracker in a tier of its own. 0, EEXIST, EINVAL (the
 * scheme is none of http, https, udp), E2BIG (the URL, or one tracker too
 * many), ENOMEM. A started torrent asks it at once. */
int trackers_add(struct trackers *t, const char *url);

void trackers_start(struct trackers *t);

/* trackers_want_more — peers are short: announce to every tier as soon as the
 * trackers' `min interval` allows; called again and again, at ever longer
 * intervals. Cheap to call often. */
void trackers_want_more(struct trackers *t);

/* trackers_completed — send `completed` with the next announce, now. */
void trackers_completed(struct trackers *t);

/* trackers_stop — no more announces but `stopped`; `done` runs once, later,
 * when they are answered or TRACKER_STOP_MS have passed, whatever hangs. Not
 * again before `done` ran. `done` may free `t`. */
void trackers_stop(struct trackers *t, void (*done)(void *arg), void *arg);

/* trackers_free — cancels all, `done` of trackers_stop too. NULL is fine. */
void trackers_free(struct trackers *t);

/* For status. */
enum tracker_state {
	TRACKER_IDLE, /* not asked yet */
	TRACKER_ASKING,
	TRACKER_OK,
	TRACKER_FAILED,
};

struct tracker_view {
	const char *url; /* lent; passkeys are masked by tracker_mask */
	uint32_t tier;
	enum tracker_state state;
	uint64_t next_us; /* loop time of the next announce; 0: none */
	uint32_t peers;	  /* of the last answer */
	const char *why;  /* failure or warning text, printable; lent */
	bool is_v2;	  /* asked for the v2 hash (announcer.h) */
};

uint32_t trackers_count(const struct trackers *t);
void trackers_view(const struct trackers *t, uint32_t ix,
		   struct tracker_view *out);

/* tracker_mask — the URL with what looks like a secret replaced by "…", for
 * logs and status. */
void tracker_mask(const char *url, char *out, size_t cap);

#endif
