/* fake_dht — a node of the DHT behind net/mainline.h and dht/search.h that does
 * nothing: a test says what its one search finds. Link it instead of shoal_dht.
 */
#ifndef SHOAL_TESTS_FAKE_DHT_H
#define SHOAL_TESTS_FAKE_DHT_H

#include "dht/search.h"

/* fake_dht_search — what was asked for by the search under way; NULL: none is.
 * fake_dht_end — it ends. fake_dht_forget — as at the start. */
const struct dht_search_cfg *fake_dht_search(void);
void fake_dht_end(void);
void fake_dht_forget(void);

#endif
