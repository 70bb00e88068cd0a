/* listener — accept peers on one TCP port, IPv4 and IPv6.
 * Thread: loop. When descriptors run out accepting rests, and is tried again;
 * it never spins. */
#ifndef SHOAL_NET_LISTENER_H
#define SHOAL_NET_LISTENER_H

#include <stdint.h>

#include "core/addr.h"
#include "core/own.h"

struct listener;
struct loop;

/* `fd` is given: non-blocking, close-on-exec. */
typedef void listener_fn(void *arg, int fd, const struct addr *from);

/* listener_new — `bind_to` (may be NULL: every address of both families) and
 * `port` (0: any free one). 0, EADDRINUSE, EADDRNOTAVAIL, EACCES…. A family
 * that the host lacks is left out; both missing is an error. */
int listener_new(struct loop *loop, const struct addr *bind_to, uint16_t port,
		 listener_fn *fn, void *arg, struct listener **out);
uint16_t listener_port(const struct listener *l);
void listener_free(struct listener *l);

#endif
