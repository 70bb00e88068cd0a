/* routing — the routing table of one family: who is kept, who goes, who waits
 * for a place. Pure but for memory: the time comes in as a tick (shelf.h), and
 * what it decides is told by what it returns.
 *
 * A contact of the table has answered us. Its bucket is the number of bits it
 * shares with our id. The spares are those for which there was no room, and
 * those we only heard of.
 *
 * Invariants (routing_check):
 *  1. every contact of the table is VERIFIED, or was loaded and has not been
 *     asked yet: such are not told to others, and make room for any other;
 *  2. no bucket holds more than its room, nor the spares of one more than
 *     theirs;
 *  3. of hosts that are not local, the table has one contact each, and of one
 *     network at most DHT_NET_CONTACTS in a bucket;
 *  4. no id is in both shelves;
 *  5. neither has our own id;
 *  6. n_in counts the table. */
#ifndef SHOAL_DHT_ROUTING_H
#define SHOAL_DHT_ROUTING_H

#include "dht/shelf.h"

enum { ROUTING_COUNTED = 32 };

struct routing {
	struct dht_id self;
	struct shelf table;
	struct shelf spare;
	uint16_t widest; /* contacts in bucket 0 */

	/* Contacts of the table in each of the first buckets: most of what is
	 * heard has no room, and is to cost nothing. */
	uint16_t n_in[ROUTING_COUNTED];

	/* Nobody was to be asked when last looked at, but for the one who was,
	 * and nobody is before that tick, since nothing has failed, come as a
	 * spare or gone since. */
	bool is_quiet;
	uint16_t quiet_tick;
};

void routing_init(struct routing *r, bool is_6, const struct dht_id *self,
		  uint16_t widest);
void routing_fini(struct routing *r);

/* routing_set_self — another id of ours: what has no room any more goes. */
void routing_set_self(struct routing *r, const struct dht_id *self);

/* routing_on_answer — a query of ours was answered by `id` at `a`, after
 * `rtt_us`. Returns true when it is in the table now and was not before. */
bool routing_on_answer(struct routing *r, const struct dht_id *id,
		       const struct addr *a, uint64_t rtt_us, uint16_t tick);

/* routing_on_query — somebody asks us; false: he is not in the table.
 * routing_wants — it would have room for him, and he is not known. */
bool routing_on_query(struct routing *r, const struct dht_id *id,
		      const struct addr *a, uint16_t tick);
bool routing_wants(const struct routing *r, const struct dht_id *id,
		   const struct addr *a);

/* routing_on_silence — `id` did not answer. When it has failed too often, or a
 * verified spare waits, it is gone and the spare has its place. */
void routing_on_silence(struct routing *r, const struct dht_id *id,
			const struct addr *a, uint16_t tick);

/* routing_hear — somebody told us of this one: kept as a spare where the table
 * has room for more, unless it is known. */
void routing_hear(struct routing *r, const struct dht_id *id,
		  const struct addr *a, uint16_t tick);

/* routing_good — up to `most` contacts that may be told to others, the closest
 * first: heard within DHT_GOOD_S, and no query unanswered. routing_any — up to
 * `most` that a search may begin with, spares too. */
uint32_t routing_good(const struct routing *r, const struct dht_id *target,
		      uint16_t tick, struct contact **out, uint32_t most);
uint32_t routing_any(const struct routing *r, const struct dht_id *target,
		     uint16_t tick, struct contact **out, uint32_t most);

/* routing_stalest — who is to be asked now: who failed; who has been silent for
 * DHT_GOOD_S, or DHT_REFRESH_NEAR_S if near; a spare whose bucket has room. It
 * is WAITING from then on. NULL: nobody, before *wait_s (which is only made
 * less). */
struct contact *routing_stalest(struct routing *r, uint16_t tick,
				uint32_t *wait_s);

/* routing_forgo — it was marked as WAITING, but was not asked; or answered in a
 * way that says nothing. */
void routing_forgo(struct routing *r, struct contact *c);

/* routing_on_outage — no answer, but nobody at all answers: it says nothing of
 * him, but others are to be tried before him. */
void routing_on_outage(struct routing *r, const struct dht_id *id,
		       const struct addr *a);

/* routing_near — contacts that share so many bits with us are among the
 * closest. */
int routing_near(const struct routing *r);

/* routing_load — of a saved table: to be asked before it counts. */
void routing_load(struct routing *r, const struct dht_id *id,
		  const struct addr *a, uint16_t tick);

/* routing_doubt — nobody counts any more before he has answered again. */
void routing_doubt(struct routing *r, uint16_t tick);

/* routing_find — in the table or among the spares, with this address. */
struct contact *routing_find(const struct routing *r, const struct dht_id *id,
			     const struct addr *a);

/* routing_has_room — the bucket of `id` would take another contact. */
bool routing_has_room(const struct routing *r, const struct dht_id *id);

/* routing_count_good — contacts that may be told. routing_has_good — there are
 * so many at least: without a walk of them all. */
uint32_t routing_count_good(const struct routing *r, uint16_t tick);
bool routing_has_good(const struct routing *r, uint16_t tick, uint32_t least);
int routing_deepest(const struct routing *r);

/* contact_age_s — since it was heard. contact_is_good — may be told. */
uint32_t contact_age_s(const struct contact *c, uint16_t tick);
bool contact_is_good(const struct contact *c, uint16_t tick);

void routing_check(const struct routing *r);

#endif
