/* addrbook — the addresses at which peers of one torrent may be found, and
 * when each may be dialled again. Pure but for memory: the time comes in.
 *
 * An address is free (due at some time) or in use (dialled or connected). It
 * comes back into the queue by addrbook_on_end: soon after a good connection,
 * later and later after failures. Addresses that a person named are never
 * given up and wait seconds at most. Of those that are due the named go first,
 * then those that worked before, then new ones, then those that failed; among
 * equals BEP 40's priority decides. */
#ifndef SHOAL_NET_ADDRBOOK_H
#define SHOAL_NET_ADDRBOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/torrent_id.h"

struct addrbook;
struct cand;

int addrbook_new(struct addrbook **out);
void addrbook_free(struct addrbook *b);

/* Who told of an address; the most trustworthy counts. */
enum addrbook_from {
	ADDRBOOK_GOSSIP, /* other peers, the DHT: not for private torrents */
	ADDRBOOK_TOLD,	 /* a tracker, or the peer itself */
	ADDRBOOK_NAMED,	 /* a person */
};

/* addrbook_add — due at once when new. 0; EEXIST; EINVAL (cannot be dialled);
 * E2BIG; ENOMEM. `out` (may be NULL) gets the entry, lent until it is
 * forgotten: an entry in use is not. */
int addrbook_add(struct addrbook *b, const struct addr *a,
		 enum addrbook_from from, uint64_t now_us, struct cand **out);

/* addrbook_source — who told of it; the most trustworthy. */
enum addrbook_from addrbook_source(const struct cand *c);

/* addrbook_is_gossip — nobody but gossip told of it. addrbook_forget_gossip —
 * forget those that are not in use. */
bool addrbook_is_gossip(const struct cand *c);
void addrbook_forget_gossip(struct addrbook *b);

/* addrbook_on_self — `from` says that this is our address, as he sees it; with
 * our port. Believed when SELF_VOTES_NEEDED of different networks (IPv4: /16,
 * IPv6: /32) say the same: who chose it for us could choose whose connections
 * we prefer. addrbook_priority — BEP 40's of a connection between
 * us and `a`; 0 while we do not know who we are. */
void addrbook_on_self(struct addrbook *b, const struct addr *self,
		      const struct addr *from);
uint32_t addrbook_priority(const struct addrbook *b, const struct addr *a);

/* addrbook_take — the best entry that is due by now; in use from then on.
 * addrbook_use — take this one, if it is free. */
struct cand *addrbook_take(struct addrbook *b, uint64_t now_us);
bool addrbook_use(struct addrbook *b, struct cand *c);

/* addrbook_postpone — an entry that was taken is not to be dialled before
 * then. It is not in use any more; nothing is held against it. */
void addrbook_postpone(struct addrbook *b, struct cand *c, uint64_t until_us);

/* addrbook_has_untried — the best entry that is due by now has not failed. */
bool addrbook_has_untried(struct addrbook *b, uint64_t now_us);

/* addrbook_next_us — when addrbook_take will have one; 0: it has; UINT64_MAX:
 * never. */
uint64_t addrbook_next_us(const struct addrbook *b);

enum addrbook_end {
	ADDRBOOK_WORKED, /* it was a peer of this torrent; the line broke */
	ADDRBOOK_FAILED, /* nobody there, or nobody useful */
	ADDRBOOK_IDLE,	 /* fine, but neither side needs the other now */
	ADDRBOOK_NEVER,	 /* banned, or ourselves */
	ADDRBOOK_FORGET, /* it must not be known */
	ADDRBOOK_PLAIN,	 /* it hung up on what went with our handshake */
	ADDRBOOK_AGAIN,	 /* to be met anew, in another way: due at once */
	ADDRBOOK_OTHER,	 /* it hung up on our hash: due at once, by the other */
};

/* addrbook_on_end — the entry is not in use any more. */
void addrbook_on_end(struct addrbook *b, struct cand *c, enum addrbook_end why,
		     uint64_t now_us);

/* addrbook_hurry — what waits for nothing but a need is due at once. */
void addrbook_hurry(struct addrbook *b, uint64_t now_us);

/* addrbook_is_plain — it wants our handshake alone: it ended as PLAIN before.
 */
bool addrbook_is_plain(const struct cand *c);

/* addrbook_side — by which of a hybrid's hashes it is to be dialled: v1's if
 * nobody said otherwise. addrbook_on_side — it was heard of in the swarm of
 * this side: of both, v1's is the one that more understand.
 * addrbook_can_turn — it may end as OTHER: it did not since it last worked or
 * failed. */
enum torrent_side addrbook_side(const struct cand *c);
void addrbook_on_side(struct cand *c, enum torrent_side side, bool is_new);
bool addrbook_can_turn(const struct cand *c);

const struct addr *addrbook_addr(const struct cand *c);
uint32_t addrbook_count(const struct addrbook *b);

#endif
