/* fetch — which pieces are wanted, what of them, and how badly: the reads and
 * windows on each piece, and which are pinned, turned into the picker's demand.
 * Thread: loop. Owner: the torrent, from READY on. */
#ifndef SHOAL_NET_FETCH_H
#define SHOAL_NET_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "core/queue.h"

struct fetch;
struct torrent;

int fetch_new(struct torrent *t, struct fetch **out);
void fetch_free(struct fetch *f);

/* What of a piece a read or a window's edge needs: [at, at + len), bytes of the
 * piece. Embedded in its owner, who sets these; the rest is fetch.c's. */
struct fetch_part {
	uint32_t at_bytes, len_bytes;
	TAILQ_ENTRY(fetch_part) link;
	bool is_read;
};

/* A read waits for this part of the piece, which is not right. 0 or ENOMEM. */
int fetch_add_read(struct fetch *f, uint32_t piece_ix, struct fetch_part *part);
void fetch_del_read(struct fetch *f, uint32_t piece_ix,
		    struct fetch_part *part);

/* The piece is in one more window; a reader is expected there at `due_us`. 0 or
 * ENOMEM. */
int fetch_add_window(struct fetch *f, uint32_t piece_ix, uint64_t due_us);
void fetch_del_window(struct fetch *f, uint32_t piece_ix);

/* The same of a window that covers this part alone. fetch_move_edge: another
 * part of the same piece. Where nobody can say whether a part is right
 * (fetch_takes_parts) windows cover whole pieces. */
int fetch_add_edge(struct fetch *f, uint32_t piece_ix, struct fetch_part *part,
		   uint64_t due_us);
void fetch_move_edge(struct fetch *f, uint32_t piece_ix,
		     struct fetch_part *part, uint32_t at_bytes,
		     uint32_t len_bytes);
void fetch_del_edge(struct fetch *f, uint32_t piece_ix,
		    struct fetch_part *part);
bool fetch_takes_parts(const struct fetch *f);

/* fetch_on_no_leaves — nobody tells the hashes of the piece's leaves: who waits
 * for some of it waits for all of it. */
void fetch_on_no_leaves(struct fetch *f, uint32_t piece_ix);

/* fetch_ask_again — in each pass: of those for whom nobody was there to be
 * asked, is somebody now? */
void fetch_ask_again(struct fetch *f);

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

/* fetch_on_hung — nothing came of it for long, and some of the `n_arrived`
 * blocks that were there are given up: to bring them once more is no progress.
 */
void fetch_on_hung(struct fetch *f, uint32_t piece_ix, uint32_t n_arrived);

/* fetch_on_block — a block of it arrived, the `n_arrived`th. fetch_progress_us
 * — when the last one did; 0: none since it is wanted. */
void fetch_on_block(struct fetch *f, uint32_t piece_ix, uint32_t n_arrived,
		    uint64_t now_us);
uint64_t fetch_progress_us(const struct fetch *f, uint32_t piece_ix);

/* fetch_due_us — when a reader will want the piece: 0: one waits for it;
 * UINT64_MAX: none is known. */
uint64_t fetch_due_us(const struct fetch *f, uint32_t piece_ix);

/* fetch_is_hungry — some wanted piece is not held. */
bool fetch_is_hungry(const struct fetch *f);

#endif
