/* blame — whose bytes were wrong. For intake.c. Thread: loop. */
#ifndef SHOAL_NET_BLAME_H
#define SHOAL_NET_BLAME_H

#include <stdbool.h>
#include <stdint.h>

struct bits;
struct intake;
struct intake_piece;
struct intake_sender;
struct peer;

/* blame_on_bad — the piece's bytes do not match. */
void blame_on_bad(struct intake *in, struct intake_piece *ip);

/* blame_on_bad_leaf — this sender's block does not match its own hash. */
void blame_on_bad_leaf(struct intake *in, const struct intake_sender *liar,
		       uint32_t piece_ix);

/* blame_on_good — they do now: compare them with what was wrong before. */
void blame_on_good(struct intake *in, struct intake_piece *ip);

/* blame_is_convict — found guilty. */
bool blame_is_convict(const struct intake *in,
		      const struct intake_sender *from);

/* blame_choose — for each suspect piece the one peer that is asked for it; who
 * is suspect (p->n_accused). Before each pass. */
void blame_choose(struct intake *in);

/* blame_on_ask — a suspect peer was asked for a block: the piece is his alone.
 */
void blame_on_ask(struct intake *in, const struct peer *p, uint32_t piece_ix);

/* blame_have — what `id`, a peer or a web seed, may be asked for: what it has,
 * less the pieces that only another one is asked for, in `masked` if there
 * are any. NULL without memory: nothing now. Lends until the next call with
 * this `masked`. */
const struct bits *blame_have(struct intake *in, uint32_t id,
			      const struct bits *have, struct bits *masked);

#endif
