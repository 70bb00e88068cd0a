/* resolve — host names to addresses, by a worker (getaddrinfo blocks).
 *
 * The pool has to be one of its own, for names alone: a dead name server holds
 * its workers for tens of seconds, and what else were queued there would wait
 * as long. At the end of the program such a pool is drained for a moment and,
 * when that was not enough, left to the exit: workers_free would wait.
 *
 * Thread: loop. */
#ifndef SHOAL_NET_RESOLVE_H
#define SHOAL_NET_RESOLVE_H

#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"

struct resolve;
struct workers;

enum { RESOLVE_MAX = 8 };

/* `addrs` are lent. err: ENOENT (no such host), EAGAIN (try later), ENOMEM,
 * EIO. */
typedef void resolve_fn(void *arg, int err, const struct addr *addrs,
			unsigned n);

/* resolve_start — numeric hosts too, without asking anybody. STYLE habit 21.
 * Fails with ENOMEM only. */
int resolve_start(struct workers *workers, const char *host, uint16_t port,
		  resolve_fn *done, void *arg, struct resolve **out);

/* resolve_cancel — `done` will not run; the worker's part ends by itself.
 * NULL is fine. */
void resolve_cancel(struct resolve *r);

/* resolve_split — "host:port" and "[v6]:port" into its parts; `host` gets at
 * most `cap` bytes with the NUL. 0 or EINVAL. Pure. */
int resolve_split(const char *text, char *host, size_t cap, uint16_t *port);

#endif
