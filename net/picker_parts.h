/* picker_parts — what of a piece is wanted, for the picker's other files
 * and for who asks what comes. Pure. */
#ifndef SHOAL_NET_PICKER_PARTS_H
#define SHOAL_NET_PICKER_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "net/picker.h"

struct pick_part;
struct pick_piece;

/* picker_parts_init — of a new piece, or of one whose class changed: all of it
 * is wanted. picker_parts_free — what they have. */
void picker_parts_init(struct pick_piece *pp);
void picker_parts_free(struct pick_piece *pp);

/* picker_parts_on_free — block `i` is free again. */
void picker_parts_on_free(struct pick_piece *pp, uint32_t i);

/* picker_part_free — the first free block of a part; its end: there is none. */
uint32_t picker_part_free(const struct pick_piece *pp, struct pick_part *part);

/* picker_free_as — the first free block that is wanted as `c`; n_blocks. */
uint32_t picker_free_as(const struct pick_piece *pp, enum want_class c);

/* picker_is_as — is block `i` wanted as `c`, or more? */
bool picker_is_as(const struct pick_piece *pp, uint32_t i, enum want_class c);

/* picker_has_urgent — a read waits for a block that nobody was asked for. */
bool picker_has_urgent(const struct picker *p);

/* picker_is_promised — blocks [first, end) of an open piece, which somebody
 * wants, are each here, or wanted, or, of `only_asked`, out. picker_is_asked —
 * of the piece something is out. picker_wanted — what of the piece is wanted
 * lies in [*first, *end). */
bool picker_is_promised(const struct picker *p, uint32_t piece_ix,
			uint32_t first, uint32_t end, bool only_asked);
bool picker_is_asked(const struct picker *p, uint32_t piece_ix);
void picker_wanted(const struct picker *p, uint32_t piece_ix, uint32_t *first,
		   uint32_t *end);

#endif
