/* lookup — one way to a target through one family: who may be asked, who is
 * next, whether it is done. Pure but for memory; sends nothing, keeps no time.
 *
 *   state      means                                   goes to
 *   FRESH      not asked yet                           ASKED
 *   ASKED      in flight                               STALLED ANSWERED FAILED
 *   STALLED    in flight longer than most; another     LATE ANSWERED FAILED
 *              may be asked in its place
 *   LATE       in flight, but not waited for           ANSWERED FAILED
 *   ANSWERED                                           FAILED (a lie)
 *   FAILED     no answer, an error, another id
 *
 * Of candidates that are not local there is one of each network (/24, /64). */
#ifndef SHOAL_DHT_LOOKUP_H
#define SHOAL_DHT_LOOKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/span.h"
#include "dht/dht_limits.h"
#include "dht/nodeid.h"

enum candidate_state {
	CANDIDATE_FRESH,
	CANDIDATE_ASKED,
	CANDIDATE_STALLED,
	CANDIDATE_LATE,
	CANDIDATE_ANSWERED,
	CANDIDATE_FAILED,
};

/* Of what a search stores in the end (storing.c). */
enum candidate_store {
	STORE_NONE, /* not given */
	STORE_GIVEN,
	STORE_TAKEN,
	STORE_REFUSED, /* or never a word */
};

struct candidate {
	struct dht_id id;
	struct addr a;
	uint64_t net;
	uint64_t told_by; /* the network of the first who told of it */
	uint8_t *token;	  /* owned; NULL: none */
	uint8_t token_len;
	uint8_t state;
	uint8_t store;	    /* enum candidate_store */
	uint8_t n_given;    /* times, … */
	uint8_t n_waiting;  /* … of which so many may still be answered */
	bool has_id;	    /* an endpoint's is not known before it answers */
	bool fits;	    /* BEP 42 */
	bool is_told_twice; /* by two networks */
	bool is_outdone;    /* BEP 44: it has something newer than our put */
	bool has_item;	    /* BEP 44: it said what it has, … */
	int64_t seq;	    /* … and how new */
	uint16_t srtt, rttvar; /* as in shelf.h; 0: unknown */
};

struct lookup {
	struct dht_id target;
	struct candidate *cands;
	uint8_t order[DHT_CANDIDATES_MAX]; /* places, the closest first */
	uint8_t n, room;
	uint8_t n_out; /* ASKED */
	uint16_t n_asked, n_answered;
};

void lookup_init(struct lookup *l, const struct dht_id *target);
void lookup_fini(struct lookup *l);

/* lookup_add — somebody may be asked; `id` NULL: an endpoint. `told_by` NULL:
 * we know it ourselves. NULL when it is known, when its network is here, when
 * it is too far away, or without memory. */
struct candidate *lookup_add(struct lookup *l, const struct dht_id *id,
			     const struct addr *a, const struct addr *told_by);

/* lookup_wave — whom to ask first: up to `most` places in `out`, those that
 * answer soonest of the DHT_WAVE_OF closest. `unknown` stands for a round trip
 * that is not known. */
uint32_t lookup_wave(const struct lookup *l, uint8_t *out, uint32_t most,
		     uint16_t unknown);

/* lookup_next — the place of who is to be asked now, or -1: nobody who would
 * not be among the closest DHT_NODES_TOLD if all that are in flight answered,
 * and nobody farther than DHT_OUT_NEAR of those. */
int lookup_next(const struct lookup *l);

/* What happened to a place. */
void lookup_on_asked(struct lookup *l, int place);
void lookup_on_stall(struct lookup *l, int place);
void lookup_on_late(struct lookup *l, int place);
void lookup_on_failed(struct lookup *l, int place);
void lookup_on_answer(struct lookup *l, int place, const struct dht_id *id);

/* lookup_set_token — copied. */
void lookup_set_token(struct lookup *l, int place, struct span token);

/* lookup_is_complete — the closest have answered, nobody closer is waited for,
 * or nobody is left. lookup_is_starved — nobody is left and nobody answered. */
bool lookup_is_complete(const struct lookup *l);
bool lookup_is_starved(const struct lookup *l);

/* lookup_storers — places of those to give something to, the closest first:
 * with a token, and no refusal; the closest DHT_NODES_TOLD of any kind, where
 * everybody looks, and as many that BEP 42 allows, whom nobody can have put
 * there. */
uint32_t lookup_storers(const struct lookup *l, uint8_t out[DHT_STORERS_MAX]);

void lookup_check(const struct lookup *l);

#endif
