/* engine — everything of net/ in one process: the listening port, the clients
 * for trackers, the torrents, limits across them.
 *
 * Thread: loop. Life: engine_new → engine_add … → engine_stop → engine_free. */
#ifndef SHOAL_NET_ENGINE_H
#define SHOAL_NET_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/metainfo.h"
#include "core/own.h"
#include "core/traffic.h"
#include "net/torrent.h"

struct blk_pool;
struct engine;
struct loop;
struct magnet;
struct signpost;
struct store;
struct workers;

struct engine_ops {
	/* The torrent is READY, or FAILED; once for each. */
	void (*on_ready)(void *arg, struct torrent *t);
	void (*on_failed)(void *arg, struct torrent *t);
	/* A peer wants a torrent that the engine does not have, by the 20
	 * bytes of the wire. True: it will be added, and is worth the wait.
	 * May be NULL; may add it. */
	bool (*on_asked)(void *arg, const uint8_t hash[20]);
	/* A key was looked up, or names another torrent (net/signpost.h); may
	 * be NULL. */
	void (*on_signpost)(void *arg, struct signpost *s);
};

struct engine_cfg {
	struct loop *loop;	 /* kept, like all of these */
	struct workers *workers; /* hashing */
	struct workers *names;	 /* name resolution, which may hang: its own */
	struct store *store;
	struct blk_pool *pool;
	const struct engine_ops *ops;
	void *arg;
	const struct addr *bind_to; /* NULL: all; copied */
	uint16_t port;		    /* 0: any free one */
	const char *const *peers;   /* host:port, for every torrent; copied */
	unsigned n_peers;
	bool no_seed; /* never upload */
	bool no_pex;  /* no peer exchange */
	bool has_dht; /* a node of the DHT, on the same port */
	/* host:port of nodes that let us into the DHT, copied; none: the
	 * public ones. */
	const char *const *dht_bootstrap;
	unsigned n_dht_bootstrap;
	uint64_t unverified_bytes;  /* cap on memory of pieces under way */
	uint64_t recent_bytes;	    /* verified pieces kept for readers … */
	uint64_t recent_long_bytes; /* … and of long ones; 0: as many */
	/* Longer pieces are staged, in segments of so many bytes. 0: as
	 * cache_limits.h has it. */
	uint32_t whole_max_bytes, segment_bytes;
};

/* engine_new — 0; EADDRINUSE and the like for the port (then `why` says which
 * line a person reads); ENOMEM. */
int engine_new(const struct engine_cfg *cfg, struct engine **out,
	       char why[160]);
uint16_t engine_port(const struct engine *e);

/* engine_doubts — how much of what the store holds may be wrong after this
 * start: as struct store_stats has it. */
enum engine_doubts { ENGINE_SURE, ENGINE_DOUBTS_SOME, ENGINE_DOUBTS_ALL };
enum engine_doubts engine_doubts(const struct engine *e);

/* engine_is_seeding — peers get what they ask for. */
bool engine_is_seeding(const struct engine *e);

/* What to add: either a metainfo or a magnet. */
struct engine_source {
	struct metainfo *mi;   /* taken */
	struct magnet *magnet; /* taken */
	/* Somebody named it; it FAILs when the DHT knows nobody who has it.
	 * Added once more it is an ordinary one. */
	bool is_guest;
};

/* engine_add — gives nothing: the torrent belongs to the engine. EEXIST: it is
 * there already (`out` is that one, and gets the source's trackers and
 * peers); ENOMEM. The source is taken also on failure. */
int engine_add(struct engine *e, struct engine_source src,
	       struct torrent **out);

/* engine_remove — the torrent leaves: its reads end with ESTALE, its peers go,
 * its trackers are told. It is not found any more, and freed on a later turn.
 * What the store has of it stays. */
void engine_remove(struct engine *e, struct torrent *t TAKES);

/* engine_leave — as engine_remove (`t` may be NULL: it is not in the engine);
 * `done` runs when the store has let go of it, so that it may be added anew,
 * and, if it is to be forgotten, with store_remove's answer: when what it had
 * there is gone. STYLE habit 21; on ENOMEM the torrent stays.
 * engine_leave_forget — it is to be forgotten after all, and that is whom to
 * tell. engine_leave_cancel — nobody is told. */
struct engine_leave;
enum engine_data {
	ENGINE_KEEP_DATA,
	/* … and trackers are not told that we are gone, for we come again when
	 * a peer asks (on_asked). */
	ENGINE_SLEEP_DATA,
	ENGINE_FORGET_DATA,
};
typedef void engine_left_fn(void *arg, int err);
int engine_leave(struct engine *e, struct torrent *t TAKES,
		 const struct torrent_id *id, enum engine_data data,
		 engine_left_fn *done, void *arg, struct engine_leave **out);
void engine_leave_forget(struct engine_leave *l, engine_left_fn *done,
			 void *arg);
void engine_leave_cancel(struct engine_leave *l);

/* engine_find — by either hash, v2's also cut to 20 bytes; NULL. engine_next
 * walks: NULL begins and ends.
 */
struct torrent *engine_find(const struct engine *e, const struct info_hash *h);
struct torrent *engine_next(const struct engine *e, const struct torrent *t);

/* engine_dht — our node of the DHT, for what net/ does not do with it by
 * itself; NULL: there is none. Lends until engine_stop. */
struct mainline;
struct mainline *engine_dht(const struct engine *e);

/* engine_traffic — what was sent and received of a torrent, awake or not, or
 * (NULL) of all that there ever were, over all runs: as far as it is written
 * down, so that it never goes back. */
void engine_traffic(const struct engine *e, const struct torrent_id *id,
		    struct traffic *out);

enum engine_way { ENGINE_DOWN, ENGINE_UP };

/* engine_set_limit — from now on not more than so many bytes of payload a
 * second, of all torrents together, from and to peers and from web seeds; 0:
 * no limit, as at the start. Counted are the bytes of blocks, wanted or not;
 * what the protocol adds, metadata and trackers are not. What holds over which
 * time: net/throttle.h. */
void engine_set_limit(struct engine *e, enum engine_way way, uint64_t Bps);
uint64_t engine_limit(const struct engine *e, enum engine_way way);

/* engine_stop — end every read (ESHUTDOWN), close peers, tell trackers; `done`
 * runs when all is told or `limit_ms` later. Nothing is added after this. */
void engine_stop(struct engine *e, unsigned limit_ms, void (*done)(void *arg),
		 void *arg);

/* engine_free — after `done` of engine_stop. Closes what is left of the
 * torrents' stores; workers must still run. NULL is fine. */
void engine_free(struct engine *e);

#endif
