/* metafetch — a magnet's metadata: remembered by the store, or asked of peers
 * (BEP 9); and giving it to others. Thread: loop. Owner: the torrent. */
#ifndef SHOAL_NET_METAFETCH_H
#define SHOAL_NET_METAFETCH_H

#include <stdint.h>

#include "core/span.h"

struct metafetch;
struct peer;
struct torrent;

int metafetch_new(struct torrent *t, struct metafetch **out);
void metafetch_free(struct metafetch *mf);

/* metafetch_load — ask the store. Ends in torrent_on_info, torrent_on_no_info
 * or torrent_fail, later. 0 or ENOMEM. */
int metafetch_load(struct metafetch *mf);

/* metafetch_start — ask peers from now on. Ends in torrent_on_info or
 * torrent_fail. 0 or ENOMEM. metafetch_stop — no more. */
int metafetch_start(struct metafetch *mf);
void metafetch_stop(struct metafetch *mf);

/* A peer says how long the metadata is. */
void metafetch_on_claim(struct metafetch *mf, struct peer *p,
			uint32_t size_bytes);

/* A ut_metadata message. */
void metafetch_on_msg(struct metafetch *mf, struct peer *p, struct span body);
void metafetch_on_peer_gone(struct metafetch *mf, const struct peer *p);

#endif
