/* datagrams — the UDP port of the engine: one socket a family, on the number
 * of the listening port, for everything that is spoken in datagrams.
 *
 * What comes in is read many at a time and handed on one by one; what goes out
 * is gathered and leaves when the turn ends, or many are there: a system call
 * for each datagram would cost more than what is done about it.
 *
 * Sending never waits and never fails: a datagram that the kernel does not take
 * is lost, as any may be.
 *
 * Thread: loop. */
#ifndef SHOAL_NET_DATAGRAMS_H
#define SHOAL_NET_DATAGRAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"

struct datagrams;
struct loop;

/* The bytes are lent. It may send, and must not free the datagrams. */
typedef void datagrams_fn(void *arg, const struct addr *from,
			  const uint8_t *bytes, size_t len);

/* `after`: everything that was there has been handed on. */
struct datagrams_cfg {
	struct loop *loop;	    /* kept */
	const struct addr *bind_to; /* NULL: every address; not kept */
	uint16_t port;
	datagrams_fn *on_datagram;
	void (*after)(void *arg);
	void *arg;
};

/* datagrams_new — 0; EADDRINUSE, EADDRNOTAVAIL, … : a family that the host
 * lacks is left out, both missing is an error; ENOMEM. */
int datagrams_new(const struct datagrams_cfg *cfg, struct datagrams **out);
void datagrams_free(struct datagrams *d);

/* datagrams_has — there is a socket for this family (AF_INET, AF_INET6). */
bool datagrams_has(const struct datagrams *d, int family);

/* datagrams_send — at most DATAGRAM_MAX bytes, copied. */
void datagrams_send(struct datagrams *d, const struct addr *to,
		    const void *bytes, size_t len);

#endif
