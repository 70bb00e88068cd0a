/* votes — what others say our address is, one voice a network. A value. */
#ifndef SHOAL_DHT_VOTES_H
#define SHOAL_DHT_VOTES_H

#include <stdbool.h>
#include <stdint.h>

#include "dht/dht_limits.h"

struct addr;

struct votes {
	struct {
		uint32_t voter, says;
	} vote[DHT_VOTES];
	uint8_t n, next;
};

/* votes_add — `from` says that we are `says`. True: DHT_VOTES_NEEDED networks
 * say the same, and more than half of all that spoke last. The port does not
 * count. */
bool votes_add(struct votes *v, const struct addr *from,
	       const struct addr *says);
void votes_clear(struct votes *v);

#endif
