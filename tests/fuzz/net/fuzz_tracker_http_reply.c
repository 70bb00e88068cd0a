/* Any body: what comes out is within the limits that the header promises. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/tracker_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct tracker_reply r;

	if (tracker_reply_http(&r, span_of(data, len)) != 0)
		return 0;
	if (r.interval_s < TRACKER_INTERVAL_MIN_S ||
	    r.interval_s > TRACKER_INTERVAL_MAX_S ||
	    r.min_interval_s > TRACKER_INTERVAL_MAX_S ||
	    r.n_peers > TRACKER_PEERS_MAX || r.id_len > TRACKER_ID_BYTES ||
	    !memchr(r.why, '\0', sizeof(r.why)))
		abort();
	for (uint32_t i = 0; i < r.n_peers; i++)
		if (!addr_can_dial(&r.peers[i]))
			abort();
	for (const char *p = r.why; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			abort();
	return 0;
}
