/* engine — what all torrents of the process share, and the torrents.
 *
 * Ownership:
 *
 *   engine ─┬─ http, udp tracker, listener, incoming ── strangers
 *           ├─ mainline ── dht node, datagrams
 *           ├─ signposts, errands
 *           ├─ piece_mem, bans, dialpace, pace, throttle
 *           └─ torrents ─┬─ pieces (by the husk), fetch, reads, metafetch
 *                        ├─ trackers
 *                        └─ swarm ─┬─ addrbook, named, picker, intake
 *                                  └─ peers ── peerio
 *
 * The end: engine_stop closes every torrent; what then still runs is the
 * store's and the hashers' jobs (n_open) and announces of `stopped`
 * (n_untold). `done` runs when both are nought, or at the limit. engine_free
 * gives hashers a moment more; a store that hangs keeps only piece_mem and
 * this struct, which the last job to end frees.
 *
 * Peer ids are in Azureus style, new for each run, the same for all torrents:
 * a connection to ourselves is known by it. */
#include "net/engine.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "cache/pieces.h"
#include "cache/store.h"
#include "cache/store_tally.h"
#include "core/err.h"
#include "core/hmap.h"
#include "core/magnet.h"
#include "core/mem.h"
#include "core/rng.h"
#include "core/worker.h"
#include "net/bans.h"
#include "net/dialpace.h"
#include "net/crowd.h"
#include "net/engine_internal.h"
#include "net/errand_internal.h"
#include "net/giveway.h"
#include "net/http.h"
#include "net/incoming.h"
#include "net/listener.h"
#include "net/mainline.h"
#include "net/net_limits.h"
#include "net/pace.h"
#include "net/signpost.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"
#include "net/throttle.h"
#include "net/torrent_internal.h"
#include "net/tracker_udp.h"

static const char ID_PREFIX[] = "-SL0100-";
enum { WIRE_HASH_BYTES = 20 };

/* ---- birth ---- */

static void on_accept(void *arg, int fd, const struct addr *from)
{
	struct engine *e = arg;

	incoming_on_accept(e->incoming, fd, from);
}

static void make_peer_id(uint8_t id[PEER_ID_BYTES])
{
	size_t n = sizeof(ID_PREFIX) - 1;

	memcpy(id, ID_PREFIX, n);
	rng_bytes(id + n, PEER_ID_BYTES - n);
}

static int copy_peers(struct engine *e, const struct engine_cfg *cfg)
{
	unsigned i;

	e->peers = mem_zalloc(cfg->n_peers + 1, sizeof(*e->peers));
	if (e->peers == NULL)
		return ENOMEM;
	for (i = 0; i < cfg->n_peers; i++) {
		e->peers[i] = mem_strdup(cfg->peers[i]);
		if (e->peers[i] == NULL)
			return ENOMEM;
	}
	return 0;
}

static void announce_stopped(void *arg)
{
	struct engine *e = arg;
	void (*done)(void *) = e->on_stopped;

	e->on_stopped = NULL;
	loop_timer_stop(e->limit);
	loop_task_cancel(e->cfg.loop, &e->stopped);
	if (done != NULL)
		done(e->stopped_arg);
}

static int join_dht(struct engine *e)
{
	const struct mainline_cfg cfg = {
		.loop = e->cfg.loop,
		.names = e->cfg.names,
		.store = e->cfg.store,
		.bind_to = e->cfg.bind_to,
		.port = listener_port(e->listener),
		.bootstrap = e->cfg.dht_bootstrap,
		.n_bootstrap = e->cfg.n_dht_bootstrap,
	};

	return e->cfg.has_dht ? mainline_new(&cfg, &e->mainline) : 0;
}

/* One number for TCP and UDP: if any will do, one that is free for both. */
static int take_port(struct engine *e)
{
	unsigned tries = e->cfg.port == 0 ? ENGINE_PORT_DRAWS : 1;
	int r = 0;

	for (unsigned i = 0; i < tries; i++) {
		r = listener_new(e->cfg.loop, e->cfg.bind_to, e->cfg.port,
				 on_accept, e, &e->listener);
		if (r != 0)
			return r;
		r = join_dht(e);
		if (r != EADDRINUSE)
			return r;
		listener_free(e->listener);
		e->listener = NULL;
	}
	return r;
}

static void on_reap(void *arg)
{
	struct engine *e = arg;
	struct torrent *t, *next;

	TAILQ_FOREACH_SAFE (t, &e->leaving, link, next) {
		if (!t->is_told_done)
			continue;
		TAILQ_REMOVE(&e->leaving, t, link);
		torrent_free(t);
	}
}

/* Of what was asked for, so that it can be put right: an address, a port. */
static void say_where(const struct engine *e, int err, char why[160])
{
	char at[ADDR_TEXT_BYTES] = "any port", *colon;

	if (e->cfg.bind_to != NULL) {
		colon = strrchr(addr_format(e->cfg.bind_to, at), ':');
		if (colon != NULL)
			*colon = '\0';
	}
	if (e->cfg.port == 0)
		(void)snprintf(why, 160, "cannot listen on %s: %s", at,
			       err_text(err));
	else if (e->cfg.bind_to == NULL)
		(void)snprintf(why, 160, "cannot listen on port %u: %s",
			       e->cfg.port, err_text(err));
	else
		(void)snprintf(why, 160, "cannot listen on %s, port %u: %s", at,
			       e->cfg.port, err_text(err));
}

static int listen_for_peers(struct engine *e, char why[160])
{
	int r = take_port(e);

	if (r != 0)
		say_where(e, r, why);
	e->cfg.bind_to = NULL; /* borrowed, and not needed any more */
	e->cfg.dht_bootstrap = NULL;
	return r;
}

static int make_parts(struct engine *e)
{
	const struct piece_mem_cfg mem = {
		.pool = e->cfg.pool,
		.unverified_bytes = e->cfg.unverified_bytes,
		.recent_bytes = e->cfg.recent_bytes,
		.recent_long_bytes = e->cfg.recent_long_bytes,
		.whole_max_bytes = e->cfg.whole_max_bytes,
		.segment_bytes = e->cfg.segment_bytes,
	};
	int r = piece_mem_new(&mem, &e->mem);

	if (r == 0)
		r = http_new(e->cfg.loop, &e->http);
	if (r == 0)
		r = http_new(e->cfg.loop, &e->web);
	if (r == 0)
		http_keep(e->web, HTTP_KEPT_MAX);
	if (r == 0)
		r = udp_tracker_new(e->cfg.loop, e->cfg.names, &e->udp);
	if (r == 0)
		r = account_init(e);
	if (r == 0)
		r = bans_new(&e->bans);
	if (r == 0)
		r = dialpace_new(&e->dials);
	if (r == 0)
		r = pace_new(e, &e->pace);
	if (r == 0)
		r = throttle_new(e->cfg.loop, &e->up);
	if (r == 0)
		r = hmap_new(WIRE_HASH_BYTES, &e->by_hash);
	if (r == 0)
		r = incoming_new(e, &e->incoming);
	if (r == 0)
		r = loop_timer_new(e->cfg.loop, announce_stopped, e, &e->limit);
	if (r == 0)
		r = signposts_new(e, &e->signposts);
	return r;
}

int engine_new(const struct engine_cfg *cfg, struct engine **out, char why[160])
{
	struct engine *e = mem_new(struct engine);
	int r;

	if (e == NULL) {
		(void)snprintf(why, 160, "%s", err_text(ENOMEM));
		return ENOMEM;
	}
	e->cfg = *cfg;
	e->cfg.peers = NULL; /* ours are in e->peers */
	TAILQ_INIT(&e->torrents);
	TAILQ_INIT(&e->leaving);
	TAILQ_INIT(&e->errands);
	giveway_init(e);
	loop_task_init(&e->stopped, announce_stopped, e);
	loop_task_init(&e->room, crowd_on_room, e);
	loop_task_init(&e->reap, on_reap, e);
	make_peer_id(e->peer_id);
	r = copy_peers(e, cfg);
	if (r == 0)
		r = make_parts(e);
	if (r != 0)
		(void)snprintf(why, 160, "%s", err_text(r));
	else
		r = listen_for_peers(e, why);
	if (r != 0) {
		engine_free(e);
		return r;
	}
	*out = e;
	return 0;
}

struct mainline *engine_dht(const struct engine *e)
{
	return e->mainline;
}

enum engine_doubts engine_doubts(const struct engine *e)
{
	struct store_stats stats;

	store_stats(e->cfg.store, &stats);
	if (stats.is_made_anew)
		return ENGINE_DOUBTS_ALL;
	return stats.was_open ? ENGINE_DOUBTS_SOME : ENGINE_SURE;
}

bool engine_is_seeding(const struct engine *e)
{
	return !e->cfg.no_seed;
}

uint16_t engine_port(const struct engine *e)
{
	return e->listener != NULL ? listener_port(e->listener) : 0;
}

void engine_set_limit(struct engine *e, enum engine_way way, uint64_t Bps)
{
	if (way == ENGINE_DOWN)
		pace_set(e->pace, Bps);
	else
		throttle_set(e->up, Bps);
}

uint64_t engine_limit(const struct engine *e, enum engine_way way)
{
	return way == ENGINE_DOWN ? pace_Bps(e->pace) : throttle_Bps(e->up);
}

/* ---- torrents ---- */

/* A v2 hash that was cut to 20 bytes names its torrent as well: much of the
 * world knows no other name of it. */
static bool owns_hash(const struct torrent *t, const struct info_hash *h)
{
	enum torrent_side side;

	if (h->len == HASH_SHA256_BYTES)
		return t->id.v2.len == h->len &&
		       memcmp(t->id.v2.bytes, h->bytes, h->len) == 0;
	return torrent_id_side_of(&t->id, h->bytes, &side);
}

struct torrent *engine_find(const struct engine *e, const struct info_hash *h)
{
	struct torrent *t;

	if (h->len == 0 || e->by_hash == NULL)
		return NULL;
	t = hmap_get(e->by_hash, h->bytes);
	return t != NULL && owns_hash(t, h) ? t : NULL;
}

struct torrent *engine_by_wire(const struct engine *e, const uint8_t hash[20])
{
	struct torrent *t = hmap_get(e->by_hash, hash);

	enum torrent_side side;

	return t != NULL && torrent_id_side_of(&t->id, hash, &side) ? t : NULL;
}

struct torrent *engine_next(const struct engine *e, const struct torrent *t)
{
	return t == NULL ? TAILQ_FIRST(&e->torrents) : TAILQ_NEXT(t, link);
}

static int enter_hash(struct engine *e, struct torrent *t,
		      const struct info_hash *h)
{
	int r;

	if (h->len == 0 || hmap_get(e->by_hash, h->bytes) == t)
		return 0;
	r = hmap_put(e->by_hash, h->bytes, t);
	return r == EEXIST ? 0 : r; /* the older torrent keeps the name */
}

static void leave_hash(struct engine *e, const struct torrent *t,
		       const struct info_hash *h)
{
	if (h->len != 0 && hmap_get(e->by_hash, h->bytes) == t)
		(void)hmap_del(e->by_hash, h->bytes);
}

/* Whose hash it is, if that is somebody else's who lives. */
static struct torrent *find_other(const struct engine *e,
				  const struct torrent *t,
				  const struct info_hash *h)
{
	struct torrent *other = engine_find(e, h);

	if (other == NULL || other == t || other->state == TORRENT_FAILED)
		return NULL;
	return other;
}

struct torrent *engine_other_of(const struct engine *e, const struct torrent *t)
{
	struct torrent *other = find_other(e, t, &t->id.v1);

	return other != NULL ? other : find_other(e, t, &t->id.v2);
}

void engine_leave_hash(struct engine *e, const struct torrent *t)
{
	leave_hash(e, t, &t->id.v1);
	leave_hash(e, t, &t->id.v2);
}

void engine_learn_hash(struct engine *e, struct torrent *t)
{
	/* Without memory it is found by the hash it was added by. */
	(void)enter_hash(e, t, &t->id.v1);
	(void)enter_hash(e, t, &t->id.v2);
}

static struct torrent *find_same(const struct engine *e,
				 const struct torrent_id *id)
{
	struct torrent *t = engine_find(e, &id->v1);

	return t != NULL ? t : engine_find(e, &id->v2);
}

static int add_new(struct engine *e, struct engine_source *src,
		   struct torrent **out)
{
	struct torrent *t;
	int r = torrent_new(e, src, &t);

	src->mi = NULL;
	if (r != 0)
		return r;
	r = enter_hash(e, t, &t->id.v1);
	if (r == 0)
		r = enter_hash(e, t, &t->id.v2);
	if (r != 0) {
		leave_hash(e, t, &t->id.v1);
		torrent_free(t);
		return r;
	}
	TAILQ_INSERT_TAIL(&e->torrents, t, link);
	*out = t;
	torrent_begin(t);
	return 0;
}

int engine_add(struct engine *e, struct engine_source src, struct torrent **out)
{
	struct torrent *t;
	int r;

	assert((src.mi != NULL) != (src.magnet != NULL));
	t = find_same(e, src.mi != NULL ? &src.mi->id : &src.magnet->id);
	if (e->is_stopping) {
		r = ESHUTDOWN;
	} else if (t != NULL) {
		torrent_add_hints(t, &src);
		*out = t;
		r = EEXIST;
	} else {
		r = add_new(e, &src, out);
	}
	metainfo_free(src.mi);
	magnet_free(src.magnet);
	return r;
}

void engine_remove(struct engine *e, struct torrent *t TAKES)
{
	leave_hash(e, t, &t->id.v1);
	leave_hash(e, t, &t->id.v2);
	TAILQ_REMOVE(&e->torrents, t, link);
	TAILQ_INSERT_TAIL(&e->leaving, t, link);
	torrent_stop(t, ESTALE);
	loop_defer(e->cfg.loop, &e->reap);
}

void engine_traffic(const struct engine *e, const struct torrent_id *id,
		    struct traffic *out)
{
	(void)store_traffic(e->cfg.store, id, out);
}

/* ---- the end ---- */

static void release(struct engine *e)
{
	unsigned i;

	for (i = 0; e->peers != NULL && i < e->cfg.n_peers; i++)
		mem_free(e->peers[i]);
	mem_free(e->peers);
	piece_mem_free(e->mem);
	mem_free(e);
}

/* Told by a task: whoever lets the last one go may be up the stack. */
static void look_if_stopped(struct engine *e)
{
	if (e->is_stopping && !e->is_freed && e->on_stopped != NULL &&
	    e->n_open == 0 && e->n_untold == 0)
		loop_defer(e->cfg.loop, &e->stopped);
}

void engine_on_gone(struct engine *e)
{
	e->n_open--;
	if (e->is_freed && e->n_open == 0)
		release(e);
	else
		look_if_stopped(e);
}

void engine_on_told(struct engine *e)
{
	e->n_untold--;
	if (!TAILQ_EMPTY(&e->leaving))
		loop_defer(e->cfg.loop, &e->reap);
	look_if_stopped(e);
}

static void stop_all(struct engine *e)
{
	struct torrent *t;

	e->is_stopping = true;
	listener_free(e->listener);
	e->listener = NULL;
	incoming_free(e->incoming);
	e->incoming = NULL;
	TAILQ_FOREACH (t, &e->torrents, link)
		torrent_stop(t, ESHUTDOWN);
	signposts_free(e->signposts);
	e->signposts = NULL;
	errand_end_all(e);
	if (e->mainline != NULL)
		mainline_save(e->mainline);
	mainline_free(e->mainline);
	e->mainline = NULL;
}

/* May come when the engine is gone. */
static void on_flushed(void *arg, int err)
{
}

void engine_stop(struct engine *e, unsigned limit_ms, void (*done)(void *arg),
		 void *arg)
{
	e->on_stopped = done;
	e->stopped_arg = arg;
	loop_timer_start(e->limit, (uint64_t)limit_ms * 1000);
	stop_all(e);
	/* The pieces' handles go with their puts, and those would wait for the
	 * store's next batch. Without memory they do. */
	(void)store_flush(e->cfg.store, on_flushed, NULL);
	look_if_stopped(e);
}

static void free_all(struct torrent_list *list)
{
	struct torrent *t;

	while ((t = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, t, link);
		torrent_free(t);
	}
}

void engine_free(struct engine *e)
{
	if (e == NULL)
		return;
	e->on_stopped = NULL;
	stop_all(e);
	free_all(&e->torrents);
	free_all(&e->leaving);
	udp_tracker_free(e->udp);
	http_free(e->web);
	http_free(e->http);
	account_fini(e);
	bans_free(e->bans);
	dialpace_free(e->dials);
	pace_free(e->pace);
	throttle_free(e->up);
	hmap_free(e->by_hash);
	loop_task_cancel(e->cfg.loop, &e->stopped);
	loop_task_cancel(e->cfg.loop, &e->room);
	loop_task_cancel(e->cfg.loop, &e->reap);
	loop_timer_free(e->limit);
	if (e->n_open > 0)
		(void)workers_drain(e->cfg.workers, ENGINE_DRAIN_MS);
	e->is_freed = true;
	if (e->n_open == 0)
		release(e);
}
