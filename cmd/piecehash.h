/* piecehash — the v1 hashes of files on disk, on all workers. */
#ifndef SHOAL_CMD_PIECEHASH_H
#define SHOAL_CMD_PIECEHASH_H

#include <stdint.h>

#include "cmd/exits.h"

struct content;
struct loop;
struct workers;

/* piecehash_all — runs `loop` until every piece is hashed. Gives 20 bytes a
 * piece in `hashes`. 0 or an errno, with one line for a person. */
int piecehash_all(struct loop *loop, struct workers *workers,
		  const struct content *content, uint32_t piece_bytes,
		  uint8_t **hashes, uint32_t *n_pieces, char why[WHY_BYTES]);

#endif
