/* Any datagram, over either family (the first byte says which): what comes out
 * is within the limits that the header promises. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/tracker_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct tracker_reply r;
	struct tracker_udp_head head;
	struct span packet;
	uint64_t id;
	int family;

	if (len == 0)
		return 0;
	family = data[0] & 1 ? AF_INET6 : AF_INET;
	packet = span_of(data + 1, len - 1);
	if (tracker_reply_udp_head(&head, packet) != 0 && packet.len >= 8)
		abort();
	(void)tracker_reply_udp_connect(&id, packet);
	if (tracker_reply_udp(&r, packet, family) != 0)
		return 0;
	if (r.interval_s < TRACKER_INTERVAL_MIN_S ||
	    r.interval_s > TRACKER_INTERVAL_MAX_S ||
	    r.n_peers > TRACKER_PEERS_MAX ||
	    !memchr(r.why, '\0', sizeof(r.why)))
		abort();
	for (uint32_t i = 0; i < r.n_peers; i++)
		if (!addr_can_dial(&r.peers[i]))
			abort();
	return 0;
}
