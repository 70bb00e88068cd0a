/* dialpace — how often strangers may make us dial. Pure but for memory: the
 * time comes in.
 *
 * Whoever may name addresses can name a victim's: gossip, and trackers. So each
 * host has a pace, whatever its ports and the torrent it is said to be in, and
 * each source one for all hosts. What a person named, and loopback, have none.
 * A dial that found a peer costs its host nothing. */
#ifndef SHOAL_NET_DIALPACE_H
#define SHOAL_NET_DIALPACE_H

#include <stdint.h>

#include "core/addr.h"
#include "net/addrbook.h"

struct dialpace;

int dialpace_new(struct dialpace **out);
void dialpace_free(struct dialpace *d);

/* dialpace_when_us — when `a`, heard of from there, may be dialled; `now_us` or
 * less: now. */
uint64_t dialpace_when_us(const struct dialpace *d, const struct addr *a,
			  enum addrbook_from from, uint64_t now_us);

/* dialpace_on_dial — it is dialled. ENOMEM or E2BIG: it must not be, for that
 * could not be noted. dialpace_on_up — a peer of the torrent answered there. */
int dialpace_on_dial(struct dialpace *d, const struct addr *a,
		     enum addrbook_from from, uint64_t now_us);
void dialpace_on_up(struct dialpace *d, const struct addr *a);

#endif
