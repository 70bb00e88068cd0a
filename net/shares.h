/* shares — who is served next when there is not enough for all. Pure.
 *
 * A tree: shares hang below shares, and those without any below them are who
 * wants something (the peers below their torrent, the torrents below the
 * root). Whoever wants waits; shares_next says whose turn it is; what he took
 * is charged to him and to all above him. Among those that wait below the same
 * node, what each gets is proportional to its weight, whatever others below
 * another node get; who does not want all of his leaves it to the rest.
 *
 * This is start-time fair queueing: each share has a clock, which runs by the
 * bytes it took over its weight, and the one that is furthest behind is next.
 * Who comes back after a pause begins where the others are: pauses are not
 * saved up. A turn may be of any size, weights of any proportion; two that
 * wait all the time are never further apart than one turn of each. (Deficit
 * round-robin gives the same only if its round is as long as the greatest
 * weight, in quanta, over the least.)
 *
 * Thread: the owner's. Nodes are embedded in their owners, who take them out
 * (shares_leave) before they die. */
#ifndef SHOAL_NET_SHARES_H
#define SHOAL_NET_SHARES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/queue.h"

enum { SHARES_WEIGHT_MAX = 1 << 16 };

/* Who is LAST gets what those that are FIRST leave. Each rank has clocks of its
 * own: what was taken in one does not count in the other. */
enum shares_rank { SHARES_FIRST, SHARES_LAST, SHARES_RANKS };

struct share;
TAILQ_HEAD(share_list, share);

struct share {
	struct share *above;	      /* NULL: a root */
	struct share_list below;      /* those that wait */
	TAILQ_ENTRY(share) link;      /* while it waits */
	bool is_waiting;	      /* some of those below does, or itself */
	uint32_t weight;	      /* 1 … SHARES_WEIGHT_MAX; may change */
	enum shares_rank rank;	      /* FIRST of all that have others below */
	uint64_t lead;		      /* how far it may run ahead of others */
	uint64_t clock[SHARES_RANKS]; /* bytes taken over weight */
	/* The clock of whoever below was last next. */
	uint64_t now[SHARES_RANKS];
};

/* shares_init — a new node below `above`, which outlives it; weight 1. */
void shares_init(struct share *s, struct share *above);

/* shares_wait — it wants something, and may run ahead of others of its rank for
 * so many bytes: who is in a hurry is next before those who are not, and still
 * gets no more than his share in the end. Waiting already: its rank and lead
 * are these from now on. */
void shares_wait(struct share *s, enum shares_rank rank, uint64_t lead_bytes);
void shares_leave(struct share *s);

/* shares_next — whose turn it is; NULL: nobody waits. He waits until he is
 * told to leave. */
struct share *shares_next(const struct share *root);

/* shares_charge — it took so many bytes; negative: it did not after all. */
void shares_charge(struct share *s, int64_t bytes);

void shares_check(const struct share *root);

#endif
