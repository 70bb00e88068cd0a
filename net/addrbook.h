/* addrbook — the addresses at which peers of one torrent may be found, and
 * when each may be dialled again. Pure but for memory: the time comes in.
 *
 * An address is free (due at some time) or in use (dialled or connected). It
 * comes back into the queue by addrbook_on_end: soon after a good connection,
 * later and later after failures. Addresses that a person named are never
 * given up and wait seconds at most. */
#ifndef SHOAL_NET_ADDRBOOK_H
#define SHOAL_NET_ADDRBOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"

struct addrbook;
struct cand;

int addrbook_new(struct addrbook **out);
void addrbook_free(struct addrbook *b);

/* addrbook_add — due at once when new. 0; EEXIST; EINVAL (cannot be dialled);
 * E2BIG; ENOMEM. `out` (may be NULL) gets the entry, lent until it is
 * forgotten: an entry in use is not. */
int addrbook_add(struct addrbook *b, const struct addr *a, bool is_named,
		 uint64_t now_us, struct cand **out);

/* addrbook_take — the entry that is due first, if it is due by now; in use
 * from then on. addrbook_use — take this one, if it is free. */
struct cand *addrbook_take(struct addrbook *b, uint64_t now_us);
bool addrbook_use(struct addrbook *b, struct cand *c);

/* addrbook_next_us — when addrbook_take will have one; UINT64_MAX: never. */
uint64_t addrbook_next_us(const struct addrbook *b);

enum addrbook_end {
	ADDRBOOK_WORKED, /* it was a peer of this torrent; the line broke */
	ADDRBOOK_FAILED, /* nobody there, or nobody useful */
	ADDRBOOK_IDLE,	 /* fine, but neither side needs the other now */
	ADDRBOOK_NEVER,	 /* banned, or ourselves */
};

/* addrbook_on_end — the entry is not in use any more. */
void addrbook_on_end(struct addrbook *b, struct cand *c, enum addrbook_end why,
		     uint64_t now_us);

/* addrbook_hurry — what waits for nothing but a need is due at once. */
void addrbook_hurry(struct addrbook *b, uint64_t now_us);

const struct addr *addrbook_addr(const struct cand *c);
uint32_t addrbook_count(const struct addrbook *b);

#endif
