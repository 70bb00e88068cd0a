/* swarm_internal — struct swarm, peer and webseed, for the files that are the
 * swarm: swarm.c, peer*.c, webseed.c, intake.c, blame.c, upload.c, metafetch.c
 * and the torrent's views. */
#ifndef SHOAL_NET_SWARM_INTERNAL_H
#define SHOAL_NET_SWARM_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/bits.h"
#include "core/buf.h"
#include "core/loop.h"
#include "core/queue.h"
#include "core/rng.h"
#include "core/torrent_id.h"
#include "net/account.h"
#include "net/choker.h"
#include "net/ext.h"
#include "net/handshake.h"
#include "net/net_limits.h"
#include "net/peerio.h"
#include "net/rate.h"
#include "net/webseed_url.h"
#include "net/throttle.h"
#include "net/wire.h"

struct addrbook;
struct cand;
struct engine;
struct gossip;
struct intake;
struct named;
struct picker;
struct torrent;

/* One request of ours that is out. */
struct peer_ask {
	struct wire_block block;
	uint32_t ahead_bytes; /* out to the same peer before it */
	uint64_t asked_us;
	/* The peer stalled and the block was given free for others: the
	 * picker does not count it, but should it come it is welcome. */
	bool is_released;
	/* What was asked after it came before it: always the queue's first. */
	bool is_passed, is_nudge; /* a nudge is released, too */
};

/* Queues in the order of asking, v[head] … v[head + n - 1]. */
struct peer_asks {
	struct peer_ask *v;
	uint32_t head, n, room;
};
struct peer_serves {
	struct wire_block *v;
	uint32_t head, n, room;
};

/* One peer.
 *
 *   1 live (end == NONE)   io is there, in sw->peers
 *   2 ended                io is NULL, in sw->ended, freed by the reap task
 *   3 have.data            there iff the metadata is known and the peer is up
 *   4 out_bytes            sum over asks; n_released counts is_released
 *   5 useful               pieces it has and we lack; interest follows it
 *   6 is_in_all            else, the picker's rarity (if there is one) counts
 *                          `have`, iff have.data and the peer is live */
struct peer {
	struct swarm *sw; /* Owner: the swarm */
	TAILQ_ENTRY(peer) link;
	struct peerio *io;
	enum peer_end end;
	uint32_t id; /* never used twice in a swarm; never 0 */
	struct addr addr;
	struct cand *cand; /* the address it was dialled by, or listens on */
	uint8_t peer_id[PEER_ID_BYTES];
	char client[EXT_CLIENT_BYTES];
	uint64_t since_us;
	bool is_incoming;
	enum torrent_side side; /* whose hash was said, then agreed on */
	bool said_v2, knows_v2; /* BEP 52's bit: ours, and theirs */
	bool is_connected;	/* we dialled it, and the connection is there */
	bool is_up;		/* both handshakes are through */
	bool has_fast, has_ext, has_dht;
	/* Their ids of extension messages; 0: not spoken. */
	uint8_t ut_metadata, ut_pex, lt_donthave;
	bool is_upload_only;   /* it wants nothing of anybody (BEP 21) */
	bool said_upload_only; /* we told it that we do not */
	struct gossip *gossip; /* gossip.c's; NULL: no peer exchange */
	uint32_t reqq;

	/* what it has */
	struct bits have;
	struct bits allowed; /* allowed-fast pieces it granted; may be unset */
	struct bits masked;  /* blame.c's: have without suspect pieces */
	struct buf early;    /* bits said before the metadata was known */
	bool early_is_whole, early_all;
	bool said_have;	    /* BITFIELD, HAVE_ALL or HAVE_NONE came */
	bool has_spoken;    /* any message came */
	uint32_t n_accused; /* blame.c's: suspect pieces it had a part in */
	/* custody.c's: of the pieces that it had a part in, how many are being
	 * hashed, and were right. */
	uint32_t n_handed, n_right;
	uint64_t mark; /* blame.c's and custody.c's: it was seen */
	uint32_t useful;
	bool is_in_all; /* it had everything when it was counted (rarity.h) */

	bool said_ours; /* what we have was said with our handshake */

	/* the four flags of BEP 3 */
	bool choked_us, interested_us; /* they choke us; we want of them */
	bool choked_them, interested_them;

	/* what we ask of it */
	struct peer_asks asks;
	uint32_t out_bytes, n_released;
	uint64_t paid_bytes; /* pace.c's */
	uint64_t nudge_us;   /* when to nudge it; 0: no need */
	bool has_room;	     /* the last pass could have asked for more */
	uint32_t credit;     /* blocks that may come though not in asks */
	uint32_t unasked;    /* blocks that came without any reason */
	struct rate_window window;
	uint64_t probe_us;     /* asked at, when nothing was out; 0: none */
	uint64_t cancel_us;    /* when we last cancelled a block */
	uint64_t rtt_asked_us; /* when the kernel was asked for its rtt */
	uint64_t heard_us;     /* bytes of a block came; 0: never */
	uint64_t payload_us;   /* last sign of life while blocks are owed */
	uint64_t asked_us;     /* since when it owes something; 0: nothing */
	uint64_t fruitless_us; /* so long it owed, and no block came of it */
	uint64_t owed_us;      /* since when blocks are owed and no byte came */
	uint64_t passed_us;    /* since when the head is passed; 0: it is not */
	uint64_t blind_until_us; /* asked before it was up: to be unchoked by */
	uint64_t hold_until_us;
	uint32_t hold_ms; /* it rejects: ask nothing for so long */
	bool is_proven; /* a block that it was asked for came, no stall since */
	bool is_doubted; /* its silence was cancelled, nothing came since */
	bool is_snubbed;
	uint8_t *scratch; /* one block, for a copy that may not go in place */
	struct wire_block scratch_for;
	bool scratch_taken;

	/* what it asks of us */
	struct peer_serves serves;
	struct hash_queue *hashes; /* hashserve.c's, or NULL */
	LIST_HEAD(, upload_read) reads;
	uint32_t reading_bytes;
	struct throttle_user up_turn;
	/* Its part of what a limit leaves, beside the torrent's other peers:
	 * 1 … SHARES_WEIGHT_MAX. */
	uint32_t up_weight;
	uint32_t senseless;
	uint32_t fast[10];	 /* the allowed-fast pieces we granted it */
	uint32_t fast_bytes[10]; /* what it got of each while choked */
	uint32_t n_fast;

	/* what the choker is told of it (slots.c) */
	bool is_optimistic;
	uint32_t tries, luck;
	uint64_t unchoked_us, turn_bytes;
	uint64_t debt_bytes; /* it took while we wanted of it, and did not give
			      */
	uint64_t unpaid_us;  /* since when it takes and gives nothing; 0: not */
	struct rate_meter given; /* bytes of pieces that verified */

	uint64_t down_bytes, up_bytes;
	struct rate_meter down, up;
};

TAILQ_HEAD(peer_list, peer);

/* What one connection to a web seed brings: [at, end) of piece space, `at` the
 * first byte of a block that is not whole yet. Nothing when at == end. */
struct webseed_run {
	struct webseed *ws; /* Owner: */
	struct http_get *get;
	uint64_t at_bytes, end_bytes;
	uint8_t *stage; /* the first n_staged bytes of that block */
	uint32_t n_staged;
	uint64_t asked_us;	/* the get; 0: it answers */
	uint32_t ahead_bytes;	/* owed by others then */
	uint64_t tail_until_us; /* nobody wants it; 0: somebody does */
};

struct webseed {
	struct swarm *sw; /* Owner: the swarm */
	TAILQ_ENTRY(webseed) link;
	uint32_t id; /* of the peers' ids */
	enum webseed_kind kind;
	char *url;
	struct bits masked;	  /* blame.c's: all without suspect pieces */
	struct wire_block *queue; /* asked, in no run yet */
	uint32_t n_queue, queue_room;
	uint64_t queue_bytes, cut_bytes; /* … into runs of so much; 0: empty */
	uint64_t asked_to_bytes; /* of piece space: where the last pick ends */
	uint64_t paid_bytes;	 /* pace.c's */
	struct webseed_run runs[WEBSEED_REQUESTS_MAX];
	struct rate_window window;
	struct rate_meter down;
	uint64_t down_bytes;
	uint64_t heard_us; /* last byte; 0: none yet */
	uint64_t since_us; /* blocks are owed without a break */
	uint64_t hold_until_us;
	unsigned n_fails;	     /* since the last block */
	char why[WEBSEED_WHY_BYTES]; /* what went wrong last, or empty */
	bool is_banned;
	unsigned n_lines; /* connections it should have, busy or not */
};

TAILQ_HEAD(webseed_list, webseed);

struct swarm {
	struct torrent *t; /* Owner: the torrent */
	struct engine *e;
	struct loop *loop;
	struct peer_list peers; /* live */
	struct peer_list ended; /* freed by `reap` */
	unsigned n_peers, n_incoming, n_dialing;
	struct webseed_list webs;
	unsigned n_webs;
	struct bits all; /* swarm_all; made when asked for */
	uint32_t last_peer_id;
	struct addrbook *book;
	struct named *named;
	struct picker *picker; /* NULL before READY */
	struct intake *intake; /* NULL before READY */
	struct loop_task pass, reap;
	struct loop_timer *wake;   /* late blocks, stalls, holds */
	struct loop_timer *dial;   /* the next candidate falls due */
	struct loop_timer *round;  /* the choker's */
	struct loop_timer *gossip; /* somebody may be told of others */
	struct throttle_user down_turn;
	uint32_t down_given;   /* by its turn, for the pass that follows */
	struct share up_group; /* of all its peers */
	struct choker choker;
	struct rng rng;
	uint64_t round_us, round_up_bytes; /* the choker's last */
	struct rate_meter down, up;
	struct rate_line line;
	uint64_t down_bytes, up_bytes, waste_bytes; /* account_note */
	struct account account;
	bool is_running;
	/* giveway.c's */
	LIST_ENTRY(swarm) background;
	bool has_background; /* in the engine's list */
	bool must_give_way;  /* with the next pass */
	bool is_calm;	     /* nobody reads: windows are just large enough */
};

#endif
