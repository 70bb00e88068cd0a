/* webseed — servers that have all of a torrent and hand out ranges of its files
 * (BEP 19) or its pieces (BEP 17): asked by the same picker as peers, their
 * bytes checked and blamed like theirs. Thread: loop. Owner: the swarm. */
#ifndef SHOAL_NET_WEBSEED_H
#define SHOAL_NET_WEBSEED_H

#include <stdbool.h>
#include <stdint.h>

#include "net/webseed_url.h"

struct pick_peer;
struct swarm;
struct torrent_peer_view;
struct webseed;
struct webseed_run;
struct wire_block;

/* webseed_add — 0, also when it is known, of no use, or one too many; ENOMEM.
 */
int webseed_add(struct swarm *sw, enum webseed_kind kind, const char *url);

/* webseed_on_ready — the metadata is known: those it makes useless go. */
void webseed_on_ready(struct swarm *sw);

/* webseed_stop — end every request of all of the swarm's. */
void webseed_stop(struct swarm *sw);
void webseed_free(struct webseed *ws);

/* webseed_find — by its id, which is one of the peers'; NULL. */
struct webseed *webseed_find(const struct swarm *sw, uint32_t id);

/* ---- asking ---- */

/* webseed_is_usable — not banned, and not left alone after a failure. */
bool webseed_is_usable(const struct webseed *ws);

/* webseed_is_late — nothing came for so long that what is urgent should go to
 * others. */
bool webseed_is_late(const struct webseed *ws);

/* webseed_describe — for the picker; false: not to be asked now. */
bool webseed_describe(struct webseed *ws, struct pick_peer *out);

/* webseed_ask — one pick. webseed_flush — a pass has picked all it would:
 * what nobody wants any more ends, what was picked becomes requests. */
void webseed_ask(struct webseed *ws, const struct wire_block *b);
void webseed_flush(struct swarm *sw);

/* webseed_is_any_usable — could any of the swarm's be asked now? */
bool webseed_is_any_usable(const struct swarm *sw);

/* webseed_trim — runs that will bring more than so much are ended: what they
 * owe is asked for anew, as a limit allows. Not from libcurl's stack. */
void webseed_trim(struct swarm *sw, uint64_t most_bytes);

/* webseed_wake_us — when one that was left alone may be asked again. */
uint64_t webseed_wake_us(const struct swarm *sw, uint64_t now_us);

/* webseed_cancel — the block came from elsewhere; the picker is not told.
 * webseed_cancel_piece — nobody wants the piece; it is told. */
void webseed_cancel(struct webseed *ws, const struct wire_block *b);
void webseed_cancel_piece(struct swarm *sw, uint32_t piece_ix);

/* webseed_ban — it sent wrong bytes: never again. */
void webseed_ban(struct webseed *ws);

/* ---- for webseed_run.c ---- */

/* webseed_ahead_bytes — what it owes by other requests than this run's. */
uint32_t webseed_ahead_bytes(const struct webseed *ws,
			     const struct webseed_run *run);

/* webseed_on_answer — so long after it was asked the first byte came; then,
 * `ahead_bytes` were owed besides. */
void webseed_on_answer(struct webseed *ws, uint64_t us, uint32_t ahead_bytes);
void webseed_on_bytes(struct webseed *ws, uint32_t bytes);

/* webseed_on_busy — it asks to be left alone for so long. */
void webseed_on_busy(struct webseed *ws, unsigned wait_s);

/* webseed_fail — an answer was none: leave it alone for a while. */
void webseed_fail(struct webseed *ws, const char *why);

/* ---- status ---- */

void webseed_view(struct webseed *ws, struct torrent_peer_view *out);

/* webseed_blocks — blocks of the piece that it owes. */
uint32_t webseed_blocks(const struct webseed *ws, uint32_t piece_ix);

#endif
