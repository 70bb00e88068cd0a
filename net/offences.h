/* offences — hosts that break the protocol again and again: for how long nobody
 * talks to them. Pure: the time comes in.
 *
 * One broken message ends a connection; it may have been an accident, a bug of
 * a client that is else of use, or one of many behind the same address. Who has
 * OFFENCE_BURST of them is banned for OFFENCE_BAN_MS: his connections are
 * closed unheard, and he is not dialled. Then he is on probation: the next
 * offence bans him at once, for twice as long, up to OFFENCE_BAN_MAX_MS. Who
 * offended nobody for OFFENCE_FORGET_MS is as good as new. */
#ifndef SHOAL_NET_OFFENCES_H
#define SHOAL_NET_OFFENCES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"
#include "net/net_limits.h"

struct offender {
	uint8_t key[ADDR_KEY_BYTES];
	unsigned n;	   /* offences that count; 0: nobody's */
	uint64_t last_us;  /* the last one, or the end of his ban */
	uint64_t until_us; /* banned until then */
	uint64_t ban_us;   /* how long that was; 0: never */
};

/* All zeros: nobody has offended yet. */
struct offences {
	struct offender hosts[OFFENCE_HOSTS_MAX];
};

/* offences_on — `a` broke the protocol. True: that bans him. */
bool offences_on(struct offences *o, const struct addr *a, uint64_t now_us);

/* offences_until_us — he is banned until then; 0: he is not. */
uint64_t offences_until_us(const struct offences *o, const struct addr *a,
			   uint64_t now_us);

#endif
