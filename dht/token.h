/* token — what shows that an announce comes from where an answer of ours went
 * (BEP 5). A token is a keyed hash of the host, the target and a period of
 * time: nothing is remembered, and nobody else can make one. Pure.
 *
 * Good for five to ten minutes after it was made. The
 * port is not part of it: some NATs change it from one datagram to the next. */
#ifndef SHOAL_DHT_TOKEN_H
#define SHOAL_DHT_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/siphash.h"
#include "core/span.h"
#include "dht/nodeid.h"

enum { TOKEN_BYTES = 8 };

/* token_make — for the host of `a` to use with `target`. `secret`: random,
 * known to nobody, the same for the node's life. */
void token_make(const struct siphash_key *secret, uint64_t now_us,
		const struct addr *a, const struct dht_id *target,
		uint8_t out[TOKEN_BYTES]);

/* token_is_good — one of ours, for this host and target, not too old. */
bool token_is_good(const struct siphash_key *secret, uint64_t now_us,
		   const struct addr *a, const struct dht_id *target,
		   struct span token);

#endif
