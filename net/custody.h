/* custody — when a whole piece is handed over to be hashed. For intake.c and
 * the swarm's pass. Thread: loop. */
#ifndef SHOAL_NET_CUSTODY_H
#define SHOAL_NET_CUSTODY_H

#include <stdbool.h>
#include <stdint.h>

struct intake;
struct intake_piece;

/* custody_on_whole — the last block came of a piece, at `at_bytes`: its segment
 * is handed over, or waits. */
void custody_on_whole(struct intake *in, struct intake_piece *ip,
		      uint32_t at_bytes);

/* custody_is_alone — the whole piece, but for what of it is right, has one
 * sender: should it be wrong, that says who. custody_first — a block of his. */
bool custody_is_alone(const struct intake *in, const struct intake_piece *ip);
uint32_t custody_first(const struct intake *in, const struct intake_piece *ip);

/* custody_is_likely — right: all who sent the piece sent right ones before. */
bool custody_is_likely(struct intake *in, const struct intake_piece *ip);

/* custody_let_go — a piece that waits need not do so any longer. */
void custody_let_go(struct intake *in, struct intake_piece *ip);

/* custody_leave — a piece is given up, or a block of it is not believed any
 * more: it does not wait, nor is it being hashed. */
void custody_leave(struct intake *in, struct intake_piece *ip);

/* custody_on_hashed — a piece, whoever handed it over, is known to be right or
 * wrong. */
void custody_on_hashed(struct intake *in, struct intake_piece *ip,
		       bool is_right);

/* custody_run — hand over what need not wait any more; when to look again
 * though nothing happened, or UINT64_MAX. With each pass, after blame said who
 * is suspect. */
uint64_t custody_run(struct intake *in, uint64_t now_us);

#endif
