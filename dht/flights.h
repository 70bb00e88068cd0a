/* flights — our queries that wait for an answer. Pure but for memory.
 *
 * A transaction id is 32 random bits, of which the low ones are the place in
 * the table; nothing is looked for, and nothing can be guessed. */
#ifndef SHOAL_DHT_FLIGHTS_H
#define SHOAL_DHT_FLIGHTS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"
#include "dht/nodeid.h"

struct dht_search;

enum flight_for {
	FLIGHT_FREE, /* nothing: the place is empty */
	FLIGHT_SEARCH,
	FLIGHT_STORE, /* announce_peer, put */
	FLIGHT_TABLE, /* upkeep and endpoints */
};

struct flight {
	uint64_t sent_us;
	uint64_t due_us;	   /* stalls, or expires */
	struct dht_search *search; /* NULL: nobody waits any more */
	uint32_t tid;
	uint8_t what;	   /* enum flight_for */
	uint8_t candidate; /* of the search */
	bool is_stalled;
	bool has_id;
	struct dht_id id; /* who was asked */
	struct addr to;
};

struct flights {
	struct flight *slots;
	uint32_t room; /* a power of two, or 0 */
	uint32_t n;
	uint64_t next_us; /* nothing is due before */
};

void flights_init(struct flights *f);
void flights_fini(struct flights *f);

/* flights_add — a free place for a query; the low bits of `random` are changed
 * until it has one. It keeps a copy of `*like`, tid set. NULL: no memory, or
 * DHT_WAITING_MAX are out. Lends until the next add or del. */
struct flight *flights_add(struct flights *f, const struct flight *like,
			   uint32_t random);

/* flights_match — the query that this answers: transaction and address are the
 * same. NULL: none. */
struct flight *flights_match(const struct flights *f, uint32_t tid,
			     const struct addr *from);

/* flights_has — somebody at this address was asked and has not answered. */
bool flights_has(const struct flights *f, const struct addr *to);
void flights_del(struct flights *f, struct flight *fl);

/* flights_due — one that is due by now; NULL: none, and next_us is exact. */
struct flight *flights_due(struct flights *f, uint64_t now_us);

/* flights_set_due — it has another time. */
void flights_set_due(struct flights *f, struct flight *fl, uint64_t due_us);

/* flights_forget — what was asked for `s` only teaches us now. */
void flights_forget(struct flights *f, const struct dht_search *s);

void flights_check(const struct flights *f);

#endif
