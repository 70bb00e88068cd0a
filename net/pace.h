/* pace — the limit on what comes in: when a torrent may ask for how much.
 *
 * Bytes are counted when they are asked for, not when they come: what is not
 * asked for is not sent. So under a limit nothing lies in buffers, the most
 * urgent block of the moment is the next that comes, and peers are read from,
 * and measured, as without one. What was asked for and will not come is given
 * back, what comes without having been counted is counted then; should that
 * be much (the limit was lowered, or somebody floods us), nobody is read from
 * for a while.
 *
 * Torrents that want something share evenly; the urgent one goes first, as far
 * as its share allows. Which peer is asked stays the picker's choice.
 * Thread: loop. Owner: the engine. */
#ifndef SHOAL_NET_PACE_H
#define SHOAL_NET_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "net/picker.h"

enum { PACE_SLOTS = 4 }; /* blocks read at once under a limit */

struct engine;
struct pace;
struct peer;
struct swarm;
struct webseed;

int pace_new(struct engine *e, struct pace **out);

/* pace_free — the torrents are gone. NULL is fine. */
void pace_free(struct pace *pc);

/* pace_set — bytes a second; 0: no limit. */
void pace_set(struct pace *pc, uint64_t Bps);
uint64_t pace_Bps(const struct pace *pc);

/* pace_is_on — is there a limit? */
bool pace_is_on(const struct engine *e);

/* ---- a torrent's passes ---- */

void pace_init(struct swarm *sw);
void pace_stop(struct swarm *sw);

/* pace_assign — picker_assign, as far as the limit allows. If it allows no
 * more for now the swarm will be kicked. pace_next_late_us — as
 * picker_next_late_us; UINT64_MAX while it waits for that. */
unsigned pace_assign(struct swarm *sw, struct pick_peer *peers,
		     unsigned n_peers, uint64_t now_us, struct pick *out,
		     unsigned max);
uint64_t pace_next_late_us(const struct swarm *sw);

/* pace_is_waiting — it has something to ask for, and its turn is to come. */
bool pace_is_waiting(const struct swarm *sw);

/* pace_lump_bytes — what a web seed should be asked for at a time. */
uint64_t pace_lump_bytes(const struct engine *e);

/* ---- what became of it ---- */

/* `paid` is what was counted for one source and has not come.
 * pace_on_ask: a pick of pace_assign was given to it. pace_on_payload: bytes
 * of blocks came, any. pace_on_gone: what was asked will not come.
 * pace_on_idle: nothing is asked of it any more. */
void pace_on_ask(struct engine *e, uint64_t *paid, uint32_t bytes);
void pace_on_payload(struct engine *e, uint64_t *paid, uint32_t bytes);
void pace_on_gone(struct engine *e, uint64_t *paid, uint64_t bytes);
void pace_on_idle(struct engine *e, uint64_t *paid);

/* pace_is_deaf — nobody is read from just now. */
bool pace_is_deaf(const struct engine *e);

#endif
