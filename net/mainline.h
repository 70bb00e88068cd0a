/* mainline — the life of our node of the Mainline DHT in the program: its
 * datagrams and its clock, where it begins, what it remembers, and whose turn
 * it is to be looked for.
 *
 * The node itself (dht/node.h) has no I/O and no opinion of when to search.
 *
 * Thread: loop. Life: mainline_new → mainline_add … → mainline_free, when every
 * seek was removed. */
#ifndef SHOAL_NET_MAINLINE_H
#define SHOAL_NET_MAINLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/queue.h"
#include "dht/node.h"

struct loop;
struct mainline;
struct store;
struct workers;

struct mainline_cfg {
	struct loop *loop;     /* kept, like the next two */
	struct workers *names; /* name resolution */
	struct store *store;   /* the table between runs */
	const struct addr *bind_to;
	uint16_t port;
	/* host:port, borrowed; none: the public ones. */
	const char *const *bootstrap;
	unsigned n_bootstrap;
};

/* mainline_new — 0; EADDRINUSE and the like; ENOMEM. */
int mainline_new(const struct mainline_cfg *cfg, struct mainline **out);
void mainline_free(struct mainline *m);

/* mainline_save — give the store what the next run should know. */
void mainline_save(struct mainline *m);

/* mainline_endpoint — a peer's PORT message: a node may be there. */
void mainline_endpoint(struct mainline *m, const struct addr *a);

/* mainline_node — for searches of another kind, and for its stats. Lends. */
struct dht_node *mainline_node(struct mainline *m);

/* mainline_now_us — the clock the node is given. */
uint64_t mainline_now_us(const struct mainline *m);

/* mainline_settle — the node was told something from outside mainline's own
 * calls: look when it wants to be woken. */
void mainline_settle(struct mainline *m);

/* ---- one info-hash: looked for and announced again and again ---- */

enum seek_state {
	SEEK_NONE,    /* in no list */
	SEEK_CALM,    /* its turn comes at due_us, if the budget lets it */
	SEEK_HURRIED, /* somebody waits: its turn comes at due_us */
	SEEK_RUNNING,
};

/* Embedded in its owner, who fills in the first part before mainline_add. */
struct seek {
	uint8_t hash[20]; /* of the wire */
	bool is_seed;	  /* BEP 33; may change at any time */
	bool is_hidden;	  /* looked for, and not announced */
	void (*on_peers)(void *arg, const struct addr *peers, size_t n);
	/* A search is over; the next comes by itself. `is_sure`: the network
	 * was asked to the end, and answered. */
	void (*on_end)(void *arg, unsigned n_peers, bool is_sure);
	void *arg;

	/* mainline's own */
	TAILQ_ENTRY(seek) link;
	enum seek_state state;
	struct mainline *m;
	struct dht_search *search;
	uint64_t due_us;
	uint64_t begun_us; /* the last search; 0: none yet */
	unsigned hurries;  /* in a row */
	unsigned thins;	   /* announces in a row that too few nodes took */
	bool is_wanted;	   /* hurried while it ran … */
	bool is_news;	   /* … or shown: then without a pause */
	bool was_hurried;  /* the search that runs */
};

/* mainline_add — from now on, at once if the budget lets it. */
void mainline_add(struct mainline *m, struct seek *s);

/* mainline_hurry — somebody waits for peers: now, or as soon after the last
 * search as is decent (SEEK_HURRY_MS, doubling). */
void mainline_hurry(struct seek *s);

/* mainline_show — it is hidden no more: announced at once, whenever it was
 * looked for last. */
void mainline_show(struct seek *s);

/* mainline_remove — its callbacks do not run any more. Also of one that was
 * never added. */
void mainline_remove(struct seek *s);

/* ---- for people ---- */

struct mainline_view {
	uint16_t port;
	unsigned seeks, running;  /* info-hashes; searches under way */
	uint64_t in_Bps, out_Bps; /* of the last ten to twenty seconds */
	struct dht_stats node;
};

void mainline_view(const struct mainline *m, struct mainline_view *out);

#endif
