/* intake_joint — what other torrents with the same file bring, and have
 * brought. For swarm.c, intake*.c and the torrent. Thread: loop. */
#ifndef SHOAL_NET_INTAKE_JOINT_H
#define SHOAL_NET_INTAKE_JOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "net/picker.h"

struct intake;
struct intake_piece;
struct wire_block;

/* intake_may_begin — picker_begin_fn's work. */
enum picker_begin intake_may_begin(struct intake *in, uint32_t piece_ix);

/* intake_look_us — when to look again at what was held back in this pass;
 * UINT64_MAX: nothing was. */
uint64_t intake_look_us(const struct intake *in, uint64_t now_us);

/* intake_hold_none — a pass begins: nothing is held back. intake_note_progress
 * — it ends: who waits for what is fetched here hears if nobody is at work any
 * more. */
void intake_hold_none(struct intake *in);
void intake_note_progress(struct intake *in, uint64_t now_us);

/* intake_coming_us — pieces_ops has it. */
uint64_t intake_coming_us(const struct intake *in, uint32_t piece_ix,
			  uint32_t at_bytes, uint32_t len_bytes,
			  bool only_asked);

/* intake_fill — picker_fill_fn's work. intake_on_filled — in the same pass,
 * once the picker is done: the segments that are full by that. */
enum picker_fill intake_fill(struct intake *in, const struct wire_block *b);
void intake_on_filled(struct intake *in);

/* intake_is_filled — block `i` came from the store. */
bool intake_is_filled(const struct intake_piece *ip, uint32_t i);

#endif
