/* tracker_reply — what trackers answer, decoded (BEP 3, 7, 15, 23, 24).
 * Pure. Whatever the tracker says, the numbers that come out are clamped, the
 * texts printable and the addresses such that they may be dialled. */
#ifndef SHOAL_NET_TRACKER_REPLY_H
#define SHOAL_NET_TRACKER_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/span.h"
#include "net/net_limits.h"

struct tracker_reply {
	bool refused; /* `why` has the tracker's reason; nothing else is set */
	char why[TRACKER_WHY_BYTES]; /* reason or warning, or "" */
	uint32_t interval_s;
	uint32_t min_interval_s; /* 0: none stated */
	char id[TRACKER_ID_BYTES];
	size_t id_len; /* 0: none stated, or too long */
	bool has_external;
	struct addr external; /* our address (BEP 24), port 0 */
	uint32_t n_peers;
	struct addr peers[TRACKER_PEERS_MAX];
};

/* tracker_reply_http — a body. 0, EBADMSG (not an answer at all), EFBIG or
 * ENOMEM. A `peers` of the wrong shape is no peers, and a wild entry among
 * them is left out: trackers are many and sloppy. */
int tracker_reply_http(struct tracker_reply *out, struct span body);

/* ---- BEP 15 ---- */

enum tracker_action {
	TRACKER_ACTION_CONNECT = 0,
	TRACKER_ACTION_ANNOUNCE = 1,
	TRACKER_ACTION_ERROR = 3,
};

struct tracker_udp_head {
	uint32_t action; /* an enum tracker_action, or not */
	uint32_t tid;
};

/* tracker_reply_udp_head — what every datagram begins with. EBADMSG when it
 * is too short. */
int tracker_reply_udp_head(struct tracker_udp_head *out, struct span packet);

/* tracker_reply_udp_connect — the connection id. 0 or EBADMSG. */
int tracker_reply_udp_connect(uint64_t *id, struct span packet);

/* tracker_reply_udp — an ANNOUNCE or ERROR datagram of a tracker asked over
 * `family`, which decides the size of an address. 0 or EBADMSG. */
int tracker_reply_udp(struct tracker_reply *out, struct span packet,
		      int family);

/* tracker_reply_text — `raw` as printable UTF-8, cut to fit `cap`. Control
 * bytes, bad UTF-8 and characters that turn a line around become '?'. */
void tracker_reply_text(char *out, size_t cap, struct span raw);

#endif
