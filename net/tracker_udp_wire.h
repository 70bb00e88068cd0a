/* tracker_udp_wire — what is sent to a UDP tracker, encoded (BEP 15, BEP 41).
 * Pure. Its answers are decoded by tracker_reply. */
#ifndef SHOAL_NET_TRACKER_UDP_WIRE_H
#define SHOAL_NET_TRACKER_UDP_WIRE_H

#include <stdint.h>

struct buf;
struct tracker_ask;

/* Both append to `out`, whose buf_err tells of ENOMEM. `path` is the URL's
 * path and query; "": no option. */
void tracker_udp_wire_connect(struct buf *out, uint32_t tid);
void tracker_udp_wire_announce(struct buf *out, uint64_t conn_id, uint32_t tid,
			       const struct tracker_ask *ask, const char *path);

#endif
