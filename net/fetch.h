/* fetch — which pieces are wanted, and how badly: the counts of reads and
 * windows on each piece, turned into the picker's demand. Thread: loop.
 * Owner: the torrent, from READY on. */
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

/* The piece is in one more window; a reader is expected there in
 * `ahead_bytes`. 0 or ENOMEM. */
int fetch_add_window(struct fetch *f, uint32_t piece_ix, uint64_t ahead_bytes);
void fetch_del_window(struct fetch *f, uint32_t piece_ix);

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
