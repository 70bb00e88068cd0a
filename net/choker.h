/* choker — whom to upload to. Pure: a list of peers in, who is unchoked out.
 *
 * Every CHOKER_PERIOD_US: interested peers are ranked by verified bytes they
 * gave us in the last window (as a seed: by who was served least recently, a
 * round-robin over quanta), the best fill the regular slots; one slot in five,
 * at least one, is optimistic and moves on every third round, newcomers three
 * times as likely. A free slot is given away at once, between rounds too. */
#ifndef SHOAL_NET_CHOKER_H
#define SHOAL_NET_CHOKER_H

#include <stdbool.h>
#include <stdint.h>

struct rng;

enum {
	CHOKER_PERIOD_US = 10000000,
	CHOKER_SLOTS = 8,
	CHOKER_QUANTUM_BYTES = 4 << 20, /* a seed's turn */
	CHOKER_TURN_US = 60000000,	/* at the longest */
	CHOKER_NEW_US = 60000000,	/* a newcomer until this age */
};

struct choke_peer {
	/* in */
	uint32_t id;
	bool is_interested;
	bool is_unchoked;     /* by us, now */
	uint64_t given_Bps;   /* verified bytes it gave us, a second */
	uint64_t turn_bytes;  /* sent to it since it was unchoked */
	uint64_t unchoked_us; /* when; 0: never */
	uint64_t turn_us;     /* since then */
	uint64_t age_us;
	bool is_optimistic; /* in and out */
	/* out */
	bool unchoke;
};

struct choker {
	uint32_t slots;
	uint32_t round;
};

void choker_init(struct choker *c, uint32_t slots);

/* choker_round — a full re-ranking. */
void choker_round(struct choker *c, struct choke_peer *peers, unsigned n,
		  bool is_seed, struct rng *rng);

/* choker_fill — only give free slots to those that wait; nobody is choked. */
void choker_fill(struct choker *c, struct choke_peer *peers, unsigned n);

#endif
