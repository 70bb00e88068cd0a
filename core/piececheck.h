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

#include "core/hash_row.h"
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

/* ---- several at a time ---- */

/* Checks whose pieces go by side by side, which is faster where hash_row is. */
struct piececheck_row {
	unsigned n;
	struct piececheck *checks[HASH_ROW_MAX]; /* kept */
	bool is_side_by_side;			 /* as to v1's hashes */
	struct hash_row v1;
};

/* piececheck_fits — may the two, of which nothing was added yet, be in one row?
 * Their torrents need not be the same. */
bool piececheck_fits(const struct piececheck *a, const struct piececheck *b);

/* piececheck_row_pays — do `n` pieces like this one want to be read side by
 * side? Else it is all the same to them. */
bool piececheck_row_pays(const struct piececheck *c, unsigned n);

/* piececheck_row_begin — `n` checks (1 to HASH_ROW_MAX) that fit, each just
 * begun. _add: the next `len` bytes of each; as piececheck_add has it. _end:
 * all were added; piececheck_end of each comes next. */
void piececheck_row_begin(struct piececheck_row *row,
			  struct piececheck *const *checks, unsigned n);
void piececheck_row_add(struct piececheck_row *row, struct hasher *h,
			const uint8_t *const *data, size_t len);
void piececheck_row_end(struct piececheck_row *row);

#endif
