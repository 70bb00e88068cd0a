/* tracker_udp_ids — the connection ids that UDP trackers gave us (BEP 15), each
 * good for UDP_TRACKER_CONN_ID_S. Pure; the time comes in. */
#ifndef SHOAL_NET_TRACKER_UDP_IDS_H
#define SHOAL_NET_TRACKER_UDP_IDS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"
#include "net/net_limits.h"

struct tracker_udp_id {
	struct addr from;
	uint64_t id;
	uint64_t at_us;
	bool used;
};

/* Zeroed: empty. */
struct tracker_udp_ids {
	struct tracker_udp_id v[UDP_TRACKER_CONN_IDS];
};

/* tracker_udp_ids_get — false: none, or too old. */
bool tracker_udp_ids_get(struct tracker_udp_ids *ids, const struct addr *from,
			 uint64_t now_us, uint64_t *id);

/* tracker_udp_ids_put — in the place of the oldest when there is no room. */
void tracker_udp_ids_put(struct tracker_udp_ids *ids, const struct addr *from,
			 uint64_t now_us, uint64_t id);
void tracker_udp_ids_del(struct tracker_udp_ids *ids, const struct addr *from);

#endif
