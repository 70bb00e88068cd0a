/* piececheck — is a piece right, asked while its bytes come by: what
 * metainfo_judge_piece says of a whole one, in steps, for pieces that are never
 * whole in memory.
 *
 * Thread: any, one at a time. */
#ifndef SHOAL_CORE_PIECECHECK_H
#define SHOAL_CORE_PIECECHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/metainfo.h"

struct hasher;
struct piececheck;

/* piececheck_new — for piece `ix`; keeps `mi`. 0 or ENOMEM. */
int piececheck_new(const struct metainfo *mi, uint32_t ix,
		   struct piececheck **out);
void piececheck_free(struct piececheck *c);

/* piececheck_begin — from the first byte on; piececheck_new has done it. */
void piececheck_begin(struct piececheck *c);

/* piececheck_add — the next bytes of its body (core/metainfo.h) in order; only
 * the last of them may have a length that is no multiple of 16 KiB. `h` is the
 * calling thread's, and used during the call only. */
void piececheck_add(struct piececheck *c, struct hasher *h, const uint8_t *data,
		    size_t len);

/* piececheck_end — all bytes were added: do they match? `root`: as
 * metainfo_judge_piece has it. Once. */
enum piece_verdict piececheck_end(struct piececheck *c, struct hasher *h,
				  const uint8_t *root);

#endif
