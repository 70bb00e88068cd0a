/* handshake — the first 68 bytes each way (BEP 3) and the bits in their
 * reserved field (BEP 5, 6, 10, 52). Pure. */
#ifndef SHOAL_NET_HANDSHAKE_H
#define SHOAL_NET_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HANDSHAKE_BYTES = 68, PEER_ID_BYTES = 20 };

struct handshake {
	uint8_t info_hash[20];
	uint8_t peer_id[PEER_ID_BYTES];
	bool has_ext;  /* BEP 10 */
	bool has_fast; /* BEP 6 */
	bool has_dht;  /* BEP 5 */
	bool has_v2;   /* BEP 52: knows hybrid torrents' v2 side */
};

void handshake_encode(const struct handshake *hs, uint8_t out[HANDSHAKE_BYTES]);

/* handshake_check_prefix — may the first `len` (<= 68) bytes begin a
 * handshake? Lets a stranger be dropped at his first wrong byte. */
bool handshake_check_prefix(const uint8_t *p, size_t len);

/* handshake_decode — all 68 bytes. 0 or EPROTO. */
int handshake_decode(const uint8_t p[HANDSHAKE_BYTES], struct handshake *out);

#endif
