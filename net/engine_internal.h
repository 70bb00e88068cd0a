/* engine_internal — struct engine, for engine.c, incoming.c and those below
 * that need the program-wide things it owns. */
#ifndef SHOAL_NET_ENGINE_INTERNAL_H
#define SHOAL_NET_ENGINE_INTERNAL_H

#include "core/loop.h"
#include "core/queue.h"
#include "net/account.h"
#include "net/engine.h"
#include "net/handshake.h"
#include "net/offences.h"

struct bans;
struct dialpace;
struct errand;
struct hmap;
struct http;
struct incoming;
struct intake;
struct listener;
struct mainline;
struct pace;
struct signposts;
struct piece_mem;
struct swarm;
struct throttle;
struct udp_tracker;

TAILQ_HEAD(torrent_list, torrent);
TAILQ_HEAD(errand_list, errand);

/* giveway.c's: the swarms with a background to fetch. */
struct giveway {
	LIST_HEAD(, swarm) backgrounds;
	uint64_t until_us; /* readers have the line for themselves */
};

struct engine {
	struct engine_cfg cfg; /* its peers are our copies */
	char **peers;
	uint8_t peer_id[PEER_ID_BYTES];
	struct piece_mem *mem;
	struct http *http; /* trackers */
	struct http *web;  /* web seeds, which may fill all connections */
	struct udp_tracker *udp;
	struct incoming *incoming;
	struct listener *listener;
	struct mainline *mainline; /* NULL: no DHT */
	struct errand_list errands;
	unsigned n_errands;
	struct signposts *signposts; /* NULL: all is over */
	struct bans *bans;
	struct dialpace *dials;
	struct pace *pace;    /* the limit on what comes in */
	struct throttle *up;  /* on what blocks go out */
	struct hmap *by_hash; /* the 20 bytes of the wire, both kinds */
	struct torrent_list torrents;
	struct torrent_list leaving; /* removed; freed by `reap` */
	struct loop_task reap;
	unsigned n_peers; /* connections of all torrents */
	bool is_crowded;  /* somebody found no room (crowd.c) … */
	struct loop_task room;
	struct giveway giveway;
	LIST_HEAD(, intake) held_back; /* intake_joint.c's */
	struct offences offences;
	struct accounts accounts;
	bool is_moving; /* a connection makes room for another torrent's */

	/* Pieces that were opened and are not gone: while one is left, `mem`
	 * and this struct are needed. */
	unsigned n_open;
	unsigned n_untold; /* torrents whose trackers are being told */
	bool is_stopping, is_freed;
	struct loop_task stopped;
	struct loop_timer *limit;
	void (*on_stopped)(void *arg);
	void *stopped_arg;
};

/* engine_on_gone — the pieces of a torrent are gone. */
void engine_on_gone(struct engine *e);

/* engine_on_closed — the store has let go of a torrent that leaves. */
void engine_on_closed(struct engine_leave *l);

/* engine_on_told — a torrent's trackers have been told: it may be freed. */
void engine_on_told(struct engine *e);

/* engine_by_wire — the torrent of a handshake's hash, or NULL. */
struct torrent *engine_by_wire(const struct engine *e, const uint8_t hash[20]);

/* engine_learn_hash — the metadata told the torrent's other hash.
 * engine_other_of — another torrent that has a hash of this one and has not
 * failed; NULL. engine_leave_hash — `t` is not found by its hashes any more. */
void engine_learn_hash(struct engine *e, struct torrent *t);
struct torrent *engine_other_of(const struct engine *e,
				const struct torrent *t);
void engine_leave_hash(struct engine *e, const struct torrent *t);

#endif
