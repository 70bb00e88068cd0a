/* parole — work for those who are suspect. Thread: loop. Of the swarm's pass.
 */
#ifndef SHOAL_NET_PAROLE_H
#define SHOAL_NET_PAROLE_H

#include <stdint.h>

struct swarm;

/* parole_assign — ask every suspect peer for what it may be asked for; how many
 * they are. *late_us sinks to when the picker wants to look again. */
unsigned parole_assign(struct swarm *sw, uint64_t now_us, uint64_t *late_us);

#endif
