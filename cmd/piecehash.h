/* piecehash — the hashes of files on disk, on all cores: v1's of each piece,
 * v2's of each piece and the root of each file. */
#ifndef SHOAL_CMD_PIECEHASH_H
#define SHOAL_CMD_PIECEHASH_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/content.h"
#include "cmd/exits.h"

struct loop;

struct piecehash_cfg {
	struct loop *loop;
	const struct content *content; /* laid out for piece_bytes and kind */
	uint32_t piece_bytes;
	struct content_kind kind;
	unsigned n_threads; /* 0: as many as there are cores for us */
};

struct piecehash_result {
	uint8_t *v1;	/* 20 bytes a piece; NULL without v1 */
	uint8_t *v2;	/* 32 bytes a piece; NULL without v2 */
	uint8_t *roots; /* 32 bytes a file; zeros where it has none */
	uint32_t n_pieces;
};

/* piecehash_all — runs `loop` until every piece is hashed, by threads of its
 * own. Gives `out`. 0 or an errno, with one line for a person. */
int piecehash_all(const struct piecehash_cfg *cfg, struct piecehash_result *out,
		  char why[WHY_BYTES]);
void piecehash_fini(struct piecehash_result *out);

#endif
