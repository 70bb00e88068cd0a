/* routing_internal — what routing.c (who stays) and routing_look.c (who is
 * told, who is asked) share. */
#ifndef SHOAL_DHT_ROUTING_INTERNAL_H
#define SHOAL_DHT_ROUTING_INTERNAL_H

#include "dht/routing.h"

/* routing_room — contacts that a bucket holds. routing_spare_room — and how
 * many spares. */
uint32_t routing_room(const struct routing *r, int bucket);
uint32_t routing_spare_room(const struct routing *r);

#endif
