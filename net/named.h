/* named — peers given by name (peer=HOST:PORT, a magnet's x.pe): each name is
 * looked up, again when that fails, and its addresses handed over.
 * Thread: loop. */
#ifndef SHOAL_NET_NAMED_H
#define SHOAL_NET_NAMED_H

#include "core/addr.h"

struct loop;
struct named;
struct workers;

/* `addrs` are lent. Not 0: they could not be taken, try again later. */
typedef int named_fn(void *arg, const struct addr *addrs, unsigned n);

int named_new(struct loop *loop, struct workers *names, named_fn *fn, void *arg,
	      struct named **out);
void named_free(struct named *nd);

/* named_add — "host:port". 0; EINVAL; E2BIG; EEXIST; ENOMEM. */
int named_add(struct named *nd, const char *text);

/* named_start — look all up that were not found yet. */
void named_start(struct named *nd);

#endif
