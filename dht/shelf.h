/* shelf — contacts of one family, in one array sorted by id. Whatever begins
 * alike is a range of it: buckets, and what is close to a target. Pure but for
 * memory; what it lends is valid until it changes. */
#ifndef SHOAL_DHT_SHELF_H
#define SHOAL_DHT_SHELF_H

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"
#include "dht/nodeid.h"

enum {
	CONTACT_VERIFIED = 1, /* has answered us */
	CONTACT_FITS = 2,     /* BEP 42 allows the id to the address */
	CONTACT_LOCAL = 4,    /* loopback, link-local, private */
	CONTACT_WAITING = 8,  /* a query of upkeep's is in flight */
	CONTACT_TRIED = 16,   /* silent when everybody was: others first */
};

/* Times in ticks of four seconds since the node's birth, which wrap after three
 * days; round trips in units of 128 µs. */
enum { CONTACT_TICK_S = 4, CONTACT_RTT_UNIT_US = 128 };

struct contact {
	struct dht_id id;
	uint16_t port;
	uint16_t srtt, rttvar; /* 0: unknown */
	uint16_t seen;	       /* last heard of itself */
	uint8_t fails;	       /* queries without an answer, in a row */
	uint8_t flags;
	uint8_t ip[]; /* 4 or 16 */
};

struct shelf {
	/* The first 64 bits of each id, side by side: what is looked for is
	 * found in a few cache lines, and contacts are only touched when they
	 * are wanted. */
	uint64_t *heads;
	uint8_t *bytes; /* the contacts */
	uint16_t n, room;
	uint8_t stride;
};

void shelf_init(struct shelf *s, bool is_6);
void shelf_fini(struct shelf *s);

static inline struct contact *shelf_at(const struct shelf *s, uint32_t i)
{
	return (struct contact *)(void *)(s->bytes + i * (size_t)s->stride);
}

/* shelf_find — by id; NULL: not here. */
struct contact *shelf_find(const struct shelf *s, const struct dht_id *id);

/* shelf_find_addr — by address and port; walks them all. */
struct contact *shelf_find_addr(const struct shelf *s, const struct addr *a);

/* shelf_next_beside — the next whose network is that of `a`, from place `*at`
 * on, which is then behind it; NULL: no more. */
struct contact *shelf_next_beside(const struct shelf *s, const struct addr *a,
				  uint32_t *at);

/* shelf_add — a new contact, zeroed but for id, address and the flags that
 * follow from these. NULL: no memory, or it is here already. */
struct contact *shelf_add(struct shelf *s, const struct dht_id *id,
			  const struct addr *a);
void shelf_del(struct shelf *s, struct contact *c);

/* shelf_range — of those that share the first `bits` bits with `id`. */
struct shelf_range {
	uint16_t from, to; /* `to` is not in it */
};
struct shelf_range shelf_range(const struct shelf *s, const struct dht_id *id,
			       int bits);

/* shelf_closest — up to `most` of those that `is_wanted` likes (NULL: all), the
 * closest to `target` first. Returns how many. */
uint32_t shelf_closest(const struct shelf *s, const struct dht_id *target,
		       bool (*is_wanted)(const struct contact *c,
					 uint16_t tick),
		       uint16_t tick, struct contact **out, uint32_t most);

/* contact_addr — as a struct addr. contact_has_addr — the same one.
 * contact_same_host, contact_same_net — same address; same /24 or /64. */
struct addr contact_addr(const struct shelf *s, const struct contact *c);
bool contact_has_addr(const struct shelf *s, const struct contact *c,
		      const struct addr *a);
bool contact_same_host(const struct shelf *s, const struct contact *c,
		       const struct addr *a);
bool contact_same_net(const struct shelf *s, const struct contact *c,
		      const struct addr *a);

#endif
