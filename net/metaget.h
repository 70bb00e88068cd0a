/* metaget — gather an info dictionary from many peers that may lie about its
 * size and content (BEP 9). Pure but for memory: it says what to ask of whom,
 * takes what came, and hands the whole over to be hashed by the caller.
 *
 * Peers are known by the caller's number. One size is tried at a time; the
 * sizes that peers claim are candidates, the one with most claims first. A
 * whole that does not hash right condemns that assembly: its size goes to the
 * end, and the next try takes all blocks from one peer at a time. Memory
 * grows as blocks arrive, never by a claim. */
#ifndef SHOAL_NET_METAGET_H
#define SHOAL_NET_METAGET_H

#include <stdbool.h>
#include <stdint.h>

#include "core/span.h"

struct metaget;

int metaget_new(struct metaget **out);
void metaget_free(struct metaget *mg);

/* metaget_on_peer — a peer that speaks ut_metadata claims a size; a second
 * claim replaces his first. 0, EPROTO (the size is 0 or past
 * METAINFO_WIRE_BYTES), or ENOMEM, past METAGET_PEERS_MAX too. */
int metaget_on_peer(struct metaget *mg, uint32_t peer, uint32_t size_bytes);
void metaget_on_peer_gone(struct metaget *mg, uint32_t peer);

/* metaget_next — a block to ask `peer` for now; false when there is none. At
 * most METAGET_PEER_REQUESTS are out to a peer, and an old request of
 * another peer is doubled after METAGET_STALE_US. */
bool metaget_next(struct metaget *mg, uint32_t peer, uint64_t now_us,
		  uint32_t *block_ix);

/* metaget_on_data — 0; EPROTO when it was not asked for or has a wrong length;
 * ENOMEM, then the block will be asked for again. */
int metaget_on_data(struct metaget *mg, uint32_t peer, uint32_t block_ix,
		    struct span data);
void metaget_on_reject(struct metaget *mg, uint32_t peer, uint32_t block_ix);

/* metaget_whole — every block is there: the bytes, lent until the next call;
 * else an empty span. */
struct span metaget_whole(const struct metaget *mg);

/* metaget_on_bad — metaget_whole did not hash right: everything
 * is forgotten but who took part. */
void metaget_on_bad(struct metaget *mg);

/* metaget_is_liar — every block of a whole that did not hash right came from
 * this peer alone. He is asked for nothing any more. */
bool metaget_is_liar(const struct metaget *mg, uint32_t peer);

#endif
