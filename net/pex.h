/* pex — peer exchange (BEP 11): its messages, what of them is believed, and
 * how often one may come. Pure: the time comes in.
 *
 * Not here: which peers we tell of and when (net/gossip.h). */
#ifndef SHOAL_NET_PEX_H
#define SHOAL_NET_PEX_H

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/span.h"
#include "net/net_limits.h"

struct buf;

/* BEP 11's flags of an added peer. The others are not of use to us. */
enum { PEX_UPLOAD_ONLY = 0x02, PEX_REACHABLE = 0x10 };

struct pex_peer {
	struct addr addr;
	uint8_t flags; /* as sent; unknown bits are kept */
};

/* ---- what we hear ---- */

struct pex_heard {
	struct pex_peer v[PEX_ADDED_MAX];
	unsigned n;
};

/* pex_decode — what a peer at `from` says it has met, as far as it may be
 * believed: the first PEX_ADDED_MAX that pex_may_tell, and of one host
 * PEX_HOST_MAX. What it has lost is not read: that somebody else parted from a
 * peer says nothing to us. 0; EBADMSG; ENOMEM. */
int pex_decode(struct span body, const struct addr *from,
	       struct pex_heard *out);

/* pex_may_tell — may one at `between` tell us, or be told, of `a`? It can be
 * dialled, and is not of a network that the other one is not in. */
bool pex_may_tell(const struct addr *a, const struct addr *between);

/* When messages of one peer came. {0} at first. */
struct pex_pace {
	uint64_t last_us; /* one that was taken; 0: none */
	unsigned n_early; /* since then */
};

enum pex_pace_is { PEX_TIMELY, PEX_EARLY, PEX_TOO_OFTEN };

/* pex_pace_on_msg — a message came: take it, pass it over, or end the peer. */
enum pex_pace_is pex_pace_on_msg(struct pex_pace *pace, uint64_t now_us);

/* ---- what we say ---- */

/* What a peer has been told and not been told off. {0} at first. */
struct pex_told {
	struct addr v[PEX_TOLD_MAX];
	unsigned n;
};

struct pex_diff {
	struct pex_peer added[PEX_ADDED_MAX];
	struct addr dropped[PEX_DROPPED_MAX];
	unsigned n_added, n_dropped;
};

/* pex_diff_to — from what was told to `now`, as far as one message goes; told
 * is then what the message makes of it. False: there is nothing to say. */
bool pex_diff_to(struct pex_told *told, const struct pex_peer *now, unsigned n,
		 struct pex_diff *out);

void pex_put(struct buf *out, const struct pex_diff *diff);

#endif
