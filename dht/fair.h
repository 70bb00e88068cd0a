/* fair — who stored how much with us, so that what has to go is taken from who
 * has most. Embedded in the stores; needs no memory until something is stored.
 *
 * A *source* is a network: a /24 of IPv4, a /48 of IPv6, since an attacker has
 * all addresses of one as easily as one. Each has its entries in the order of
 * their last touch.
 *
 * Invariants (fair_check):
 *  1. a source is there while it has entries, and is in the heap by their
 *     number;
 *  2. n is the sum of all. */
#ifndef SHOAL_DHT_FAIR_H
#define SHOAL_DHT_FAIR_H

#include <stdint.h>

#include "core/addr.h"
#include "core/heap.h"
#include "core/queue.h"

struct hmap;
struct fair_source;

/* Embedded in what is stored. */
struct fair_entry {
	struct fair_source *source;
	TAILQ_ENTRY(fair_entry) link;
};

struct fair {
	struct hmap *sources; /* NULL while there was never an entry */
	struct heap heaviest;
	uint32_t n;
};

void fair_init(struct fair *f);

/* fair_fini — of one whose entries are all gone. */
void fair_fini(struct fair *f);

/* fair_add — `e` is the newest entry of the network of `a`. 0 or ENOMEM. */
int fair_add(struct fair *f, const struct addr *a, struct fair_entry *e);
void fair_del(struct fair *f, struct fair_entry *e);

/* fair_touch — `e` is the newest of its source again. */
void fair_touch(struct fair_entry *e);

/* fair_oldest — the oldest of the network of `a`, if it has `least` or more.
 * fair_victim — the oldest entry of the source that has most, if it has
 * `least` or more. Lent; NULL: there is none. */
struct fair_entry *fair_oldest(const struct fair *f, const struct addr *a,
			       uint32_t least);
struct fair_entry *fair_victim(const struct fair *f, uint32_t least);

/* fair_move — `e` is the newest of the network of `a` instead. 0; ENOMEM:
 * nothing changed. */
int fair_move(struct fair *f, const struct addr *a, struct fair_entry *e);

/* fair_weight — how many entries it has. */
uint32_t fair_weight(const struct fair_source *s);

/* fair_source_of — the network of `a`, lent; NULL: it has no entries.
 * fair_scratch — a number in a source for whoever counts by source: it begins
 * with what the last one left there. */
struct fair_source *fair_source_of(const struct fair *f, const struct addr *a);
uint32_t *fair_scratch(struct fair_source *s);

void fair_check(const struct fair *f);

#endif
