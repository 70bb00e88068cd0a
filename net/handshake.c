/* handshake — the 68 bytes that open a connection (BEP 3).
 *
 *   offset  bytes
 *   0       1      19
 *   1       19     "BitTorrent protocol"
 *   20      8      reserved: bits that say what else is spoken
 *   28      20     info-hash
 *   48      20     peer id
 *
 * Only the first 20 bytes can be wrong in themselves; the rest is for the
 * owner to judge. Reserved bits that we do not know are let pass: BEP 4 lists
 * many, and their meaning is theirs who set them. */
#include "net/handshake.h"

#include <errno.h>
#include <string.h>

enum {
	PREFIX_BYTES = 20,
	AT_RESERVED = 20,
	AT_INFO_HASH = 28,
	AT_PEER_ID = 48,
};

static const uint8_t prefix[PREFIX_BYTES + 1] = "\x13"
						"BitTorrent protocol";

/* A bit of the reserved field: which byte, and its mask. */
enum {
	EXT_BYTE = 5,
	EXT_MASK = 0x10, /* BEP 10 */
	FAST_BYTE = 7,
	FAST_MASK = 0x04, /* BEP 6 */
	DHT_BYTE = 7,
	DHT_MASK = 0x01, /* BEP 5 */
	V2_BYTE = 7,
	V2_MASK = 0x10, /* BEP 52 */
};

void handshake_encode(const struct handshake *hs, uint8_t out[HANDSHAKE_BYTES])
{
	uint8_t *reserved = out + AT_RESERVED;

	memset(out, 0, HANDSHAKE_BYTES);
	memcpy(out, prefix, PREFIX_BYTES);
	reserved[EXT_BYTE] |= hs->has_ext ? EXT_MASK : 0;
	reserved[FAST_BYTE] |= hs->has_fast ? FAST_MASK : 0;
	reserved[DHT_BYTE] |= hs->has_dht ? DHT_MASK : 0;
	reserved[V2_BYTE] |= hs->has_v2 ? V2_MASK : 0;
	memcpy(out + AT_INFO_HASH, hs->info_hash, sizeof(hs->info_hash));
	memcpy(out + AT_PEER_ID, hs->peer_id, sizeof(hs->peer_id));
}

bool handshake_check_prefix(const uint8_t *p, size_t len)
{
	size_t n = len < PREFIX_BYTES ? len : PREFIX_BYTES;

	return n == 0 || memcmp(p, prefix, n) == 0;
}

int handshake_decode(const uint8_t p[HANDSHAKE_BYTES], struct handshake *out)
{
	const uint8_t *reserved = p + AT_RESERVED;

	if (!handshake_check_prefix(p, HANDSHAKE_BYTES))
		return EPROTO;
	out->has_ext = (reserved[EXT_BYTE] & EXT_MASK) != 0;
	out->has_fast = (reserved[FAST_BYTE] & FAST_MASK) != 0;
	out->has_dht = (reserved[DHT_BYTE] & DHT_MASK) != 0;
	out->has_v2 = (reserved[V2_BYTE] & V2_MASK) != 0;
	memcpy(out->info_hash, p + AT_INFO_HASH, sizeof(out->info_hash));
	memcpy(out->peer_id, p + AT_PEER_ID, sizeof(out->peer_id));
	return 0;
}
