/* store_tally — how much was sent and received of each torrent, ever: the part
 * of store.h that counts. Thread: loop. */
#ifndef SHOAL_CACHE_STORE_TALLY_H
#define SHOAL_CACHE_STORE_TALLY_H

#include <stdbool.h>

#include "core/traffic.h"

struct store;
struct torrent_id;

/* store_count — so much more, of a torrent that was opened once. Written down
 * with the next commit, by store_flush, within TALLY_WRITE_MS, or when the
 * store is freed.
 * Without memory it is not counted. */
void store_count(struct store *s, const struct torrent_id *id,
		 const struct traffic *more);

/* store_traffic — of one torrent, or (NULL) of all that there ever were, those
 * too that were removed: what was written down, durably, and so never less than
 * what was told before, whatever happened in between. Zeros: nothing. False:
 * this store does not count. */
bool store_traffic(const struct store *s, const struct torrent_id *id,
		   struct traffic *out);

#endif
