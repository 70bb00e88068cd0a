/* torrent_id — which torrent: its info-hashes. Values, compared with
 * torrent_id_matches. Pure. */
#ifndef SHOAL_CORE_TORRENT_ID_H
#define SHOAL_CORE_TORRENT_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/hash.h"

/* An info-hash of either kind; `len` is 20 (v1, SHA-1) or 32 (v2, SHA-256). */
struct info_hash {
	uint8_t bytes[HASH_SHA256_BYTES];
	uint8_t len;
};

/* Which torrent: at least one of the two is there. */
struct torrent_id {
	struct info_hash v1; /* len 0: none */
	struct info_hash v2; /* len 0: none */
};

/* A hybrid torrent has two swarms (BEP 52, "Upgrade Path"), each known by 20
 * bytes: v1's hash, or v2's cut to 20. Trackers, handshakes and the DHT know
 * nothing else. */
enum torrent_side { TORRENT_V1, TORRENT_V2, TORRENT_SIDES };
enum { TORRENT_WIRE_BYTES = 20 };

/* torrent_id_side — the 20 bytes of that side, lent by `id`; NULL: it has none
 * or it is not known. torrent_id_side_of — whose 20 bytes these are; false:
 * neither's. */
const uint8_t *torrent_id_side(const struct torrent_id *id,
			       enum torrent_side side);
bool torrent_id_side_of(const struct torrent_id *id,
			const uint8_t wire[TORRENT_WIRE_BYTES],
			enum torrent_side *out);

/* torrent_id_wire — v1's 20 bytes if there are any, else v2's. */
const uint8_t *torrent_id_wire(const struct torrent_id *id);

/* torrent_id_hex — 40 or 64 digits and a NUL: v1's if there is one. */
enum { TORRENT_HEX_BYTES = 65 };
const char *torrent_id_hex(const struct torrent_id *id,
			   char out[TORRENT_HEX_BYTES]);
const char *info_hash_hex(const struct info_hash *h,
			  char out[TORRENT_HEX_BYTES]);

/* torrent_id_matches — some hash of both is the same, none differs. */
bool torrent_id_matches(const struct torrent_id *a, const struct torrent_id *b);

/* info_hash_parse — 40 or 64 hex digits, or 32 of base32 (BEP 9). EINVAL. */
int info_hash_parse(struct info_hash *h, const char *text, size_t len);

#endif
