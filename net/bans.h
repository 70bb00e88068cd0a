/* bans — addresses nobody wants to hear from again this session: liars, and
 * ourselves. Pure but for memory. */
#ifndef SHOAL_NET_BANS_H
#define SHOAL_NET_BANS_H

#include <stdbool.h>

#include "core/addr.h"

struct bans;

int bans_new(struct bans **out);
void bans_free(struct bans *b);

/* bans_add_host — every port of the address, and of all addresses of its /64
 * if it is IPv6. On loopback, where many peers share one address, only the port
 * at hand; of a link-local address, whose /64 is the whole line, only that. */
void bans_add_host(struct bans *b, const struct addr *a);

/* bans_add_port — this very address and port (ourselves). */
void bans_add_port(struct bans *b, const struct addr *a);
bool bans_has(const struct bans *b, const struct addr *a);

#endif
