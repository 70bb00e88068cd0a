/* store_held — what a store has of torrents that nobody has opened. */
#ifndef SHOAL_CACHE_STORE_HELD_H
#define SHOAL_CACHE_STORE_HELD_H

#include <stdint.h>

struct store;
struct torrent_id;

/* store_each_held — of every torrent of which something is held: about how many
 * bytes; `id` is lent. 0; ENOMEM, EIO. Blocks: for the start. Thread: loop. */
typedef void store_held_fn(void *arg, const struct torrent_id *id,
			   uint64_t bytes);
int store_each_held(struct store *s, store_held_fn *fn, void *arg);

#endif
