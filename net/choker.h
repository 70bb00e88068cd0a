/* choker — whom to upload to, and how much of the upload each gets. Pure: a
 * list of peers in, who is unchoked and with what weight out.
 *
 * Every CHOKER_PERIOD_US a round:
 *   earned      four fifths of the slots, and of the bytes, are for peers that
 *               give: ranked by the verified bytes of the last
 *               CHOKER_WINDOW_US, and each gets its share in proportion to
 *               them.
 *   discovery   the others are lent for CHOKER_NEW_ROUNDS to peers that were
 *               never tried, the newest first, then to who owes least and
 *               waited longest; of one network (`net`) one at a time. Who
 *               answers is ranked, and so promoted.
 *   in turn     what nobody has earned, and all of it as a seed, goes round:
 *               CHOKER_QUANTUM_BYTES or CHOKER_TURN_US each, least recently
 *               served first. A seed keeps three slots in ten for the peers
 *               that just began or have almost all.
 * Between rounds free slots are given away at once. */
#ifndef SHOAL_NET_CHOKER_H
#define SHOAL_NET_CHOKER_H

#include <stdbool.h>
#include <stdint.h>

enum {
	CHOKER_PERIOD_US = 10000000,
	CHOKER_WINDOW_US = 20000000, /* of `given_Bps` */
	CHOKER_SLOTS_FIRST = 8,	     /* before anything is known */
	CHOKER_SLOTS_MIN = 4,
	CHOKER_SLOTS_MAX = 64,
	CHOKER_SLOT_BPS = 8000, /* slots = sqrt(upload / this) */
	CHOKER_NEW_ROUNDS = 1,
	CHOKER_SNUB_US = 60000000,
	CHOKER_QUANTUM_BYTES = 4 << 20, /* a turn, */
	CHOKER_TURN_US = 60000000,	/* and the longest */
	CHOKER_WEIGHT_SUM = 10000,	/* about: what all weights come to */
};

struct choke_peer {
	/* in */
	uint32_t id;
	uint64_t net; /* equal for addresses that one owner may have many of */
	bool is_interested;
	bool is_unchoked;     /* by us, now */
	uint64_t given_Bps;   /* verified bytes it gave us, a second */
	uint64_t unpaid_us;   /* since when it takes and, though we want of it,
				 gives nothing: for how long; 0: it gives */
	uint64_t debt_bytes;  /* taken while we wanted of it, less what it gave
				 then; not below 0 */
	uint64_t turn_bytes;  /* sent to it since it was unchoked */
	uint64_t unchoked_us; /* when; 0: never */
	uint64_t turn_us;     /* since then */
	uint64_t age_us;      /* since it came */
	uint32_t have_permille;
	uint32_t luck; /* random, its own for good: of equals the greatest */
	/* in and out */
	bool is_optimistic;
	uint32_t tries; /* rounds it had a slot of discovery */
	/* out */
	bool unchoke;
	uint32_t weight; /* of those that are unchoked; at least 1 */
};

struct choker {
	uint32_t slots;
	/* choker.c's own */
	uint32_t extra;	     /* slots beyond the square root's */
	uint32_t probing;    /* of them on trial in this period */
	uint32_t rest;	     /* rounds until the next trial */
	uint64_t peak_Bps;   /* the upload's capacity, as far as seen */
	uint64_t before_Bps; /* the upload before the trial */
};

void choker_init(struct choker *c);

/* choker_size — how many slots there are from now on. Before each round:
 * `up_Bps` was uploaded since the last, `limit_Bps` is the limit (0: none),
 * `is_short`: an interested peer is choked. */
void choker_size(struct choker *c, uint64_t up_Bps, uint64_t limit_Bps,
		 bool is_short);

/* choker_round — a full re-ranking. May sort the peers. */
void choker_round(struct choker *c, struct choke_peer *peers, unsigned n,
		  bool is_seed);

/* choker_fill — only give free slots to those that wait; nobody is choked.
 * May sort the peers. */
void choker_fill(struct choker *c, struct choke_peer *peers, unsigned n,
		 bool is_seed);

#endif
