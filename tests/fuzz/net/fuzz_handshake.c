/* Any 68 bytes are a handshake or not, and a prefix of one is never refused;
 * what was decoded survives encoding. */
#include <stdlib.h>
#include <string.h>

#include "net/handshake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct handshake hs, again;
	uint8_t raw[HANDSHAKE_BYTES];
	size_t n = len < HANDSHAKE_BYTES ? len : HANDSHAKE_BYTES;
	bool can_be = handshake_check_prefix(data, n);

	for (size_t i = 0; i < n; i++)
		if (can_be && !handshake_check_prefix(data, i))
			abort();
	if (len < HANDSHAKE_BYTES)
		return 0;
	if ((handshake_decode(data, &hs) == 0) != can_be)
		abort();
	if (!can_be)
		return 0;
	handshake_encode(&hs, raw);
	if (handshake_decode(raw, &again) != 0 ||
	    memcmp(hs.info_hash, again.info_hash, 20) != 0 ||
	    memcmp(hs.peer_id, again.peer_id, 20) != 0 ||
	    hs.has_ext != again.has_ext || hs.has_fast != again.has_fast ||
	    hs.has_dht != again.has_dht || hs.has_v2 != again.has_v2)
		abort();
	return 0;
}
