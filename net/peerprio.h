/* peerprio — canonical peer priority (BEP 40): both ends of a connection come
 * to the same number for it, so that full swarms agree on which connections to
 * make and which to give up, and nobody can choose his place. Pure. */
#ifndef SHOAL_NET_PEERPRIO_H
#define SHOAL_NET_PEERPRIO_H

#include <stdint.h>

#include "core/addr.h"

/* peerprio_of — the greater, the rather. Symmetric. 0 when the two are of
 * different families. */
uint32_t peerprio_of(const struct addr *a, const struct addr *b);

#endif
