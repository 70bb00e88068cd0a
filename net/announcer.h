/* announcer — a torrent's trackers, asked for each of its hashes: a hybrid is
 * in two swarms (BEP 52), and trackers know each by its own 20 bytes. The peers
 * of both are the torrent's.
 *
 * Thread: loop. Owner: the torrent. Life: announcer_new → announcer_start → … →
 * announcer_stop → announcer_free. */
#ifndef SHOAL_NET_ANNOUNCER_H
#define SHOAL_NET_ANNOUNCER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/torrent_id.h"
#include "net/tracker.h"

struct announcer;

/* As trackers_ops; the info-hash of the facts is filled in already. */
struct announcer_ops {
	void (*facts)(void *arg, struct tracker_facts *out);
	void (*on_peers)(void *arg, enum torrent_side side,
			 const struct addr *peers, unsigned n);
};

struct announcer_cfg {
	struct trackers_cfg trackers; /* without its ops and arg */
	const struct torrent_id *id;  /* kept; only ever learns */
	const struct announcer_ops *ops;
	void *arg;
};

/* announcer_new — 0 or ENOMEM. */
int announcer_new(const struct announcer_cfg *cfg, struct announcer **out);

/* announcer_learn — the id may have one more hash than before: from now on its
 * swarm is announced to as the other is. 0 or ENOMEM. */
int announcer_learn(struct announcer *a);

/* As trackers_add, for every side. */
int announcer_add(struct announcer *a, const char *url);
void announcer_start(struct announcer *a);
void announcer_want_more(struct announcer *a);
void announcer_completed(struct announcer *a);

/* announcer_stop — as trackers_stop. announcer_free — NULL is fine. */
void announcer_stop(struct announcer *a, void (*done)(void *arg), void *arg);
void announcer_free(struct announcer *a);

/* announcer_view — of v1's trackers, then of v2's: tv->is_v2 says which. */
uint32_t announcer_count(const struct announcer *a);
void announcer_view(const struct announcer *a, uint32_t ix,
		    struct tracker_view *out);

#endif
