/* hostset — hosts about whom one thing is remembered for a while: that they
 * did not answer, that they did. A cache: whoever comes may push another out.
 * Ticks as in shelf.h. Keyed, since strangers choose the addresses. */
#ifndef SHOAL_DHT_HOSTSET_H
#define SHOAL_DHT_HOSTSET_H

#include <stdbool.h>
#include <stdint.h>

struct addr;
struct hostset_entry;

struct hostset {
	struct hostset_entry *entries;
	uint32_t n, slots, max; /* powers of two */
};

/* hostset_init — needs no memory. `max`: a power of two. */
void hostset_init(struct hostset *s, uint32_t max);
void hostset_fini(struct hostset *s);

/* hostset_add — `hash` is of the host, under the node's key. Without memory
 * it is not remembered. hostset_del — forget it. hostset_clear — all. */
void hostset_add(struct hostset *s, uint64_t hash, uint16_t tick);
void hostset_del(struct hostset *s, uint64_t hash);
void hostset_clear(struct hostset *s);

/* hostset_has — remembered, and not longer ago than that. */
bool hostset_has(const struct hostset *s, uint64_t hash, uint16_t tick,
		 uint32_t most_s);

#endif
