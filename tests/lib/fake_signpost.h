/* fake_signpost — keys without a DHT, behind net/signpost.h's contract. */
#ifndef SHOAL_TESTS_FAKE_SIGNPOST_H
#define SHOAL_TESTS_FAKE_SIGNPOST_H

#include <stdint.h>

#include "net/signpost.h"

/* fake_signpost_tell — the look at a key that was used ends: it names the
 * torrent of which each byte is `fill`, or 0: `err`. */
struct signpost *fake_signpost_tell(const struct btpk *b, uint8_t fill,
				    int64_t seq, int err);

/* fake_signpost_looks — how often somebody used a key. */
unsigned fake_signpost_looks(void);

/* fake_signpost_offer — what signpost_put got last, or NULL; from now on it
 * says `err`. */
const struct signpost_offer *fake_signpost_offer(int err);
void fake_signpost_forget(void);

/* fake_signpost_hurries — how often what is known was to be written down. */
unsigned fake_signpost_hurries(void);

#endif
