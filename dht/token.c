/* token — SipHash of (period, host, target) under the node's secret.
 *
 * The usual way is a random secret that changes every few minutes, and the one
 * before it. Here the period's number is part of what is hashed: under one key
 * that nobody knows, that is a new secret each period, without a timer and
 * without anything to keep. 64 bits: to guess one is to send 2^63 announces.
 *
 * The host is whole: of an IPv6 /64 each address needs its own. */
#include "dht/token.h"

#include <string.h>

#include "core/be.h"

static const uint64_t PERIOD_US = UINT64_C(300000000);

enum { HOST_BYTES = 16, HASHED_BYTES = 8 + HOST_BYTES + DHT_ID_BYTES };

static uint64_t token_of(const struct siphash_key *secret, uint64_t period,
			 const struct addr *a, const struct dht_id *target)
{
	uint8_t hashed[HASHED_BYTES];
	uint8_t key[ADDR_KEY_BYTES];

	addr_key(a, key);
	be64_put(hashed, period);
	memcpy(hashed + 8, key, HOST_BYTES);
	memcpy(hashed + 8 + HOST_BYTES, target->b, DHT_ID_BYTES);
	return siphash(secret, hashed, sizeof(hashed));
}

void token_make(const struct siphash_key *secret, uint64_t now_us,
		const struct addr *a, const struct dht_id *target,
		uint8_t out[TOKEN_BYTES])
{
	be64_put(out, token_of(secret, now_us / PERIOD_US, a, target));
}

bool token_is_good(const struct siphash_key *secret, uint64_t now_us,
		   const struct addr *a, const struct dht_id *target,
		   struct span token)
{
	uint64_t period = now_us / PERIOD_US;
	uint64_t shown;

	if (token.len != TOKEN_BYTES)
		return false;
	/* Compared as numbers: no byte of it can be found by timing. */
	shown = be64_get(token.ptr);
	if (shown == token_of(secret, period, a, target))
		return true;
	return period > 0 && shown == token_of(secret, period - 1, a, target);
}
