/* intake_piece — the record of a piece under way. For intake.c. Thread: loop.
 */
#ifndef SHOAL_NET_INTAKE_PIECE_H
#define SHOAL_NET_INTAKE_PIECE_H

#include <stdint.h>

struct intake;
struct intake_piece;

/* intake_piece_new — of piece `ix`, which is about to begin; in the intake's
 * list. NULL: no memory. */
struct intake_piece *intake_piece_new(struct intake *in, uint32_t ix);

/* intake_piece_drop — out of the list, and freed. */
void intake_piece_drop(struct intake *in, struct intake_piece *ip);
void intake_piece_free(struct intake_piece *ip);

uint32_t intake_segments(const struct intake_piece *ip);

/* intake_empty_segment — nothing of segment `i` has arrived. */
void intake_empty_segment(struct intake_piece *ip, uint32_t i);

#endif
