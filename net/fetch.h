/* fetch — which pieces are wanted, and how badly: the counts of reads and
 * windows on each piece, and which are pinned, turned into the picker's demand.
 * Thread: loop. Owner: the torrent, from READY on. */
#ifndef SHOAL_NET_FETCH_H
#define SHOAL_NET_FETCH_H

#include <stdbool.h>
#include <stdint.h>

struct fetch;
struct torrent;

int fetch_new(struct torrent *t, struct fetch **out);
void fetch_free(struct fetch *f);

/* A read waits for the piece, which is not held. 0 or ENOMEM. */
int fetch_add_read(struct fetch *f, uint32_t piece_ix);
void fetch_del_read(struct fetch *f, uint32_t piece_ix);

/* The piece is in one more window; a reader is expected there at `due_us`. 0 or
 * ENOMEM. */
int fetch_add_window(struct fetch *f, uint32_t piece_ix, uint64_t due_us);
void fetch_del_window(struct fetch *f, uint32_t piece_ix);

/* fetch_pin — pieces [first, end) are wanted even if nobody reads them, and
 * again when they get lost. 0 or ENOMEM, after which nothing has changed.
 * fetch_unpin — once for each time they were pinned. */
int fetch_pin(struct fetch *f, uint32_t first, uint32_t end);
void fetch_unpin(struct fetch *f, uint32_t first, uint32_t end);
bool fetch_is_pinned(const struct fetch *f, uint32_t piece_ix);

/* fetch_is_calm — nobody reads: no piece is wanted but pinned ones.
 * fetch_has_background — a pinned piece is not held. */
bool fetch_is_calm(const struct fetch *f);
bool fetch_has_background(const struct fetch *f);

/* fetch_rests_until_us — pinned pieces got lost, and are not asked for again
 * before that time; 0: they do not rest. */
uint64_t fetch_rests_until_us(const struct fetch *f, uint64_t now_us);

/* The piece is held from now on, or no longer. */
void fetch_on_verified(struct fetch *f, uint32_t piece_ix);
void fetch_on_lost(struct fetch *f, uint32_t piece_ix);

/* fetch_on_block — a block of it arrived. fetch_progress_us — when the last
 * one did; 0: none since it is wanted. */
void fetch_on_block(struct fetch *f, uint32_t piece_ix, uint64_t now_us);
uint64_t fetch_progress_us(const struct fetch *f, uint32_t piece_ix);

/* fetch_is_hungry — some wanted piece is not held. */
bool fetch_is_hungry(const struct fetch *f);

#endif
