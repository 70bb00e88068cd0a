/* world — a swarm in one process: peers, their connections, one clock, one
 * seed. See docs/TESTING.md, "The simulator".
 *
 * Real: net/choker, net/picker, net/rate, net/shares, core/bits, fs/ahead.
 * Modelled: links (links.c), what peer_ask.c does (asks.c), the messages and
 * what slots.c, upload.c and intake.c do with them (actors.c), rivals' policies
 * (rivals.c).
 *
 * Everything here aborts without memory. */
#ifndef SHOAL_SIM_WORLD_H
#define SHOAL_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "core/bits.h"
#include "core/rng.h"
#include "net/choker.h"
#include "net/picker.h"
#include "net/rate.h"
#include "net/shares.h"
#include "tests/sim/events.h"

struct sim_peer;
struct sim_viewer;
struct world;

/* How a peer treats those who want of it. */
struct sim_policy {
	const char *name;
	uint64_t period_us;
	void (*round)(struct world *w, struct sim_peer *p);
	void (*fill)(struct world *w, struct sim_peer *p); /* between rounds */
	bool has_weights; /* its upload is shared by weight, else equally */
};

extern const struct sim_policy policy_ours;
extern const struct sim_policy policy_ours_flat; /* without its weights */
extern const struct sim_policy policy_classic;
extern const struct sim_policy policy_libtorrent;
extern const struct sim_policy policy_tyrant;
extern const struct sim_policy policy_freerider;

enum { SIM_REQQ = 500 }; /* requests that a peer takes of one other */

struct sim_ask {
	struct wire_block block;
	uint32_t ahead_bytes;
	uint64_t asked_us;
	bool is_released; /* the picker does not count it any more */
};

/* One end of a connection. */
struct sim_conn {
	uint32_t peer, back; /* the other end: peers[peer].conns[back] */
	bool choked_me, i_choke, i_want, wants_me;
	struct bits have; /* of the other, as far as it has told */
	uint32_t useful;  /* pieces it has and we lack */
	bool is_in_all;	  /* it had all when it came: not counted by piece */

	/* what we ask of it */
	struct sim_ask *asks;
	uint32_t n_asks, asks_room, n_released, out_bytes;
	struct rate_window window;
	uint64_t heard_us, payload_us, owed_us;
	uint64_t asked_us, fruitless_us; /* owes since; did in vain */
	bool is_snubbed, is_proven, has_room, stall_is_set;

	/* what it asks of us, and the flow that carries it */
	struct wire_block *serves;
	uint32_t n_serves, serves_room;
	struct share share;
	uint32_t weight; /* the choker's */
	uint32_t cwnd_bytes, flying_bytes;
	uint64_t sent_us;

	/* accounts */
	struct rate_meter verified, down, up;
	uint64_t down_bytes, up_bytes;
	uint64_t since_us, unchoked_us, turn_bytes, unpaid_us, debt_bytes;
	uint32_t tries, luck;
	bool is_optimistic;
	uint64_t need_Bps, gives_Bps; /* the tyrant's estimates */
	uint32_t kept;
};

/* What a scene makes peers of. */
struct sim_kind {
	const struct sim_policy *policy;
	uint64_t up_Bps, down_Bps;
	uint32_t delay_us; /* of its access; a round trip is 2 × (a + b) */
	uint32_t net;	   /* its network; 0: one of its own */
	uint32_t n_dials;  /* peers it connects to; 0: the world's */
	bool is_seed, views;
	bool knows_limit; /* its upload limit is set: up_Bps */
};

struct sim_peer {
	uint32_t ix;
	struct sim_kind kind;
	bool is_in;
	struct bits have;
	struct picker *picker;
	uint16_t *sender; /* of each block: sim_id; 0: not arrived */
	/* Pieces that some block was asked of, and are not whole; the most
	 * there were; the most there may be. */
	uint32_t n_open, was_open, open_max;
	uint32_t piece_bytes;
	bool is_short; /* of memory, in this pass */
	bool wake_is_set;

	struct sim_conn *conns;
	uint32_t n_conns;

	/* its links */
	bool is_sending;
	struct share upload;   /* of all flows */
	uint64_t down_free_us; /* when all that reached its downlink is in */

	/* its choker */
	struct choker choker;
	uint32_t n_rounds;
	struct rate_meter up; /* over a period */

	/* accounts */
	uint64_t join_us, first_us, done_us, half_us;
	uint64_t down_bytes, up_bytes, waste_bytes, reached_bytes;
	struct rate_meter down;
	uint64_t mark_bytes; /* the scene's: down_bytes at some time */

	struct sim_viewer *viewer;
};

struct world_cfg {
	uint64_t seed;
	uint32_t n_pieces, piece_bytes, peers_max;
	uint32_t conns_max, n_dials;
	uint32_t open_max;    /* pieces that a peer has memory for; 0: all */
	bool has_checks;      /* after each event, what it touched */
	uint64_t bitrate_Bps; /* of viewers */
	uint32_t scatter;     /* of their windows; 0: in order */
	uint32_t places;      /* where they begin; 0: all at the first byte */
};

struct world {
	struct world_cfg cfg;
	struct events q;
	uint64_t now_us, n_events, hash;
	struct rng rng;
	struct sim_peer *peers;
	uint32_t n_peers, n_done, n_leechers;
	uint64_t sent_bytes, flying_bytes, received_bytes;
	/* called at EV_SAMPLE; its next time, or UINT64_MAX */
	uint64_t (*sample)(struct world *w, void *arg);
	void *arg;
};

/* ---- world.c ---- */

struct world *world_new(const struct world_cfg *cfg);
void world_free(struct world *w);

/* world_add — a peer that comes at `join_us`. */
struct sim_peer *world_add(struct world *w, const struct sim_kind *kind,
			   uint64_t join_us);

/* world_run — until `end_us`, or until nobody downloads any more. */
void world_run(struct world *w, uint64_t end_us);

void world_check(const struct world *w);

void *sim_alloc(size_t n, size_t size);
uint32_t sim_rtt_us(const struct world *w, const struct sim_peer *p,
		    const struct sim_conn *c);
/* What happens at the other end of `c`, half a round trip from now. */
void sim_tell(struct world *w, const struct sim_peer *p,
	      const struct sim_conn *c, enum event_kind kind,
	      const struct wire_block *b, uint32_t arg);

/* trace_line — for `sample`: what the swarm is doing, on stdout (trace.c). */
uint64_t trace_line(struct world *w, void *arg);

/* ---- links.c ---- */

/* link_update — what `c` has to send, or may, has changed. link_backlog — and
 * its turn may have come. */
void link_update(struct sim_peer *p, struct sim_conn *c);
void link_backlog(struct world *w, struct sim_peer *p, struct sim_conn *c);
void link_on_depart(struct world *w, struct sim_peer *p, struct event *ev);
void link_on_reach(struct world *w, struct sim_peer *p, struct event *ev);
void link_on_ack(struct world *w, struct sim_peer *p, struct event *ev);

/* ---- asks.c: what is asked of others ---- */

/* sim_id — the picker's name for the other end of `c`. */
static inline uint32_t sim_id(const struct sim_peer *p,
			      const struct sim_conn *c)
{
	return (uint32_t)(c - p->conns) + 1;
}

static inline struct sim_conn *sim_conn_of(const struct sim_peer *p,
					   uint32_t id)
{
	return &p->conns[id - 1];
}

void asks_pass(struct world *w, struct sim_peer *p);
uint32_t asks_room(const struct sim_peer *p, const struct sim_conn *c);
void asks_on_stall(struct world *w, struct sim_peer *p, struct sim_conn *c);

/* asks_find — where in the queue; n_asks: it is not in. */
uint32_t asks_find(const struct sim_conn *c, const struct wire_block *b);
void asks_take(const struct world *w, struct sim_conn *c, uint32_t i);

/* asks_drop — choked: all is gone. */
void asks_drop(const struct world *w, struct sim_peer *p, struct sim_conn *c);

/* ---- actors.c: the protocol's two sides ---- */

void actor_connect(struct world *w, struct sim_peer *a, struct sim_peer *b);
void actor_start(struct world *w, struct sim_peer *p);
void actor_on_event(struct world *w, struct sim_peer *p, struct event *ev);
void actor_check(const struct world *w, const struct sim_peer *p);
void actor_choke(struct world *w, struct sim_peer *p, struct sim_conn *c,
		 bool is_choked);

/* ---- viewers.c: a person who watches ---- */

void viewer_start(struct world *w, struct sim_peer *p);
void viewer_on_piece(struct world *w, struct sim_peer *p, uint32_t ix);
void viewer_on_play(struct world *w, struct sim_peer *p);
void viewer_free(struct sim_viewer *v);
uint64_t viewer_start_us(const struct sim_viewer *v); /* 0: not yet */
uint64_t viewer_stall_us(const struct sim_viewer *v, uint64_t now_us);
uint32_t viewer_stalls(const struct sim_viewer *v);
uint64_t viewer_played_bytes(const struct sim_viewer *v);
uint64_t viewer_read_bytes(const struct sim_viewer *v);

#endif
