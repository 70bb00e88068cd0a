/* pieces_vet — held pieces that are hashed again; what pieces.c and
 * pieces_fill.c need of pieces_vet.c. The rest is in pieces_read.h. */
#ifndef SHOAL_CACHE_PIECES_VET_H
#define SHOAL_CACHE_PIECES_VET_H

#include <stdint.h>

#include "core/queue.h"

struct loop_timer;
struct pieces;

TAILQ_HEAD(vet_list, vet);

struct vets {
	struct vet_list list;
	struct loop_timer *timer; /* NULL: none has waited for a hash yet */
	uint64_t n_bad;		  /* found wrong, or gone, in the store */
};

/* pieces_vet_on_hashes — more is known of the piece's hashes. _close: end them
 * all. _fini: no vet is under way. */
void pieces_vet_on_hashes(struct pieces *ps, uint32_t ix);
void pieces_vet_close(struct pieces *ps);
void pieces_vet_fini(struct pieces *ps);

#endif
