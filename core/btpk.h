/* btpk — a key that names a torrent (BEP 46): the ed25519 public key of whoever
 * publishes, and a salt, for one key may name several. How it is written, and
 * what the item of the DHT that it signs says. Pure. Thread: any. */
#ifndef SHOAL_CORE_BTPK_H
#define SHOAL_CORE_BTPK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/core_limits.h"
#include "core/span.h"
#include "core/torrent_id.h"

enum {
	BTPK_KEY_BYTES = 32,
	BTPK_NAME_BYTES = 5 + 64 + 1 + 2 * BTPK_SALT_MAX + 1,
	BTPK_MAGNET_BYTES = 20 + 64 + 3 + 2 * BTPK_SALT_MAX + 1,
	BTPK_VALUE_BYTES = 8 + HASH_SHA256_BYTES + 1,
};

struct btpk {
	uint8_t key[BTPK_KEY_BYTES];
	uint8_t salt[BTPK_SALT_MAX]; /* zeros behind its end */
	uint8_t salt_len;	     /* 0: none */
};

bool btpk_eq(const struct btpk *a, const struct btpk *b);

/* btpk_set_key, btpk_set_salt — from exactly 64 hex digits; from an even number
 * of them, two for each byte, none being no salt. EINVAL. */
int btpk_set_key(struct btpk *b, struct span hex);
int btpk_set_salt(struct btpk *b, struct span hex);

/* btpk_parse — "btpk-", the key, and perhaps "-" and a salt, in hex, and
 * nothing else; EINVAL. btpk_name — the same back, in lower case. */
int btpk_parse(struct btpk *out, const char *name);
const char *btpk_name(const struct btpk *b, char out[BTPK_NAME_BYTES]);
const char *btpk_magnet(const struct btpk *b, char out[BTPK_MAGNET_BYTES]);

/* btpk_value_read — which torrent an item's value names: a dictionary whose
 * "ih" has 20 bytes, or 32, which BEP 46 does not know, of a torrent that has
 * v2's hash alone. EBADMSG: none; ENOMEM. btpk_value_write — such a value;
 * returns its length. */
int btpk_value_read(struct info_hash *out, struct span value);
size_t btpk_value_write(const struct info_hash *h,
			uint8_t out[BTPK_VALUE_BYTES]);

#endif
