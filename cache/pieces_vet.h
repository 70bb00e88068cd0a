/* pieces_vet — held pieces that are hashed again; what pieces.c and
 * pieces_fill.c need of pieces_vet.c. The rest is in pieces_read.h. */
#ifndef SHOAL_CACHE_PIECES_VET_H
#define SHOAL_CACHE_PIECES_VET_H

#include <stdbool.h>
#include <stdint.h>

#include "core/loop.h"
#include "core/queue.h"

struct loop_timer;
struct pieces;

TAILQ_HEAD(vet_list, vet);

struct vets {
	struct vet_list list;
	struct loop_timer *timer; /* NULL: none has waited for a hash yet */
	uint64_t n_bad;		  /* found wrong, or gone, in the store */
};

/* Pieces that the store offers (pieces_offer.c). */
struct offers {
	uint32_t next; /* the first that was not looked at yet */
	unsigned n_running;
	bool is_waiting; /* in piece_mem's list */
	TAILQ_ENTRY(offers) waiting;
	struct loop_task task;
};

void pieces_offer_init(struct pieces *ps);
/* pieces_offer_look — some may be new. _close: no more. _on_hashes: more is
 * known of the piece's hashes. */
void pieces_offer_look(struct pieces *ps);
void pieces_offer_close(struct pieces *ps);
void pieces_offer_on_hashes(struct pieces *ps, uint32_t ix);

/* pieces_offer_bars — the piece is offered, and is being hashed now that
 * somebody wants it: it is not fetched before that has ended (on_room). */
bool pieces_offer_bars(struct pieces *ps, uint32_t ix);

/* pieces_gain — the store has the piece, verified. */
void pieces_gain(struct pieces *ps, uint32_t ix);

/* pieces_vet_is_on — it is being hashed. */
bool pieces_vet_is_on(const struct pieces *ps, uint32_t ix);

/* pieces_vet_can — its hashes are known as far as they must be. */
bool pieces_vet_can(const struct pieces *ps, uint32_t ix);

/* pieces_vet_on_hashes — more is known of the piece's hashes. _close: end them
 * all. _fini: no vet is under way. */
void pieces_vet_on_hashes(struct pieces *ps, uint32_t ix);
void pieces_vet_close(struct pieces *ps);
void pieces_vet_fini(struct pieces *ps);

#endif
