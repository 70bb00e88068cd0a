/* peer — one peer of a torrent: its life, what it has, what it was told.
 * Thread: loop. Owner: the swarm. A peer is ended from anywhere; its memory
 * goes at the end of the turn (STYLE habit 22).
 *
 * In peer.c: life and connection; peer_msg.c: what it says; peer_ask.c: what
 * we ask of it; upload.c: what it asks of us. */
#ifndef SHOAL_NET_PEER_H
#define SHOAL_NET_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "net/peerio.h"

struct cand;
struct handshake;
struct peer;
struct swarm;

/* ---- life (peer.c) ---- */

/* peer_dial — connect to a candidate, which is in use by the peer when 0 is
 * returned. 0, ENOMEM, or an errno of socket(2). */
int peer_dial(struct swarm *sw, struct cand *c);

/* peer_adopt — an incoming connection that shook hands for this torrent: bind
 * it to a new peer and answer. PEER_END_NONE, or why not. */
enum peer_end peer_adopt(struct swarm *sw, struct peerio *io,
			 const struct handshake *hs);

/* peer_end — close it and let go of all it owes and is owed. Safe from every
 * callback; a second call does nothing. */
void peer_end(struct peer *p, enum peer_end why);

/* peer_was_unknown — we dialled it, it heard one of our two hashes, and hung up
 * without a word: it may know the other. */
bool peer_was_unknown(const struct peer *p);

/* peer_free — the swarm's reap, of an ended peer. */
void peer_free(struct peer *p);

/* ---- what it has and what it hears of us (peer.c) ---- */

/* peer_learn — the metadata is known from now on. */
void peer_learn(struct peer *p);

/* peer_on_verified / peer_on_lost — we have the piece now, or no longer. */
void peer_on_verified(struct peer *p, uint32_t piece_ix);
void peer_on_lost(struct peer *p, uint32_t piece_ix);

/* peer_count / peer_uncount — in the picker's rarity, around each change of its
 * bit set as a whole. */
void peer_count(struct peer *p);
void peer_uncount(struct peer *p);

/* peer_take / peer_untake — it has one more piece, or one less. */
void peer_take(struct peer *p, uint32_t piece_ix);
void peer_untake(struct peer *p, uint32_t piece_ix);

/* peer_count_useful — after its bit set was replaced. */
void peer_count_useful(struct peer *p);

/* peer_tell_interest — say INTERESTED or not, as `useful` has it; end the
 * connection when nobody can ever want anything of the other. */
void peer_tell_interest(struct peer *p);

/* ---- messages (peer_msg.c) ---- */

void peer_msg_on(struct peer *p, const struct wire_msg *m);

/* peer_msg_speaks_dht — we have a node of the DHT, and the torrent may use it.
 */
bool peer_msg_speaks_dht(const struct swarm *sw);

/* peer_msg_greet — what is said right after the handshakes. */
void peer_msg_greet(struct peer *p);

/* peer_msg_say_ext — BEP 10's handshake; again when the metadata is known, so
 * that the peer may ask us for it, and when we begin or cease to want
 * nothing (BEP 21). */
void peer_msg_say_ext(struct peer *p);

/* peer_msg_say_lost — BEP 54: we have the piece no more; to one who speaks it.
 */
void peer_msg_say_lost(struct peer *p, uint32_t piece_ix);

/* ---- our requests (peer_ask.c) ---- */

/* peer_ask_on_connect — the connection is there: its round trip is known. */
void peer_ask_on_connect(struct peer *p, uint64_t now_us);

/* peer_ask_room — blocks that may be asked of it now. */
uint32_t peer_ask_room(const struct peer *p, uint64_t now_us);
void peer_ask_block(struct peer *p, const struct wire_block *b,
		    uint64_t now_us);

/* peer_ask_nudge — behind the last block that a read waits for: a few bytes
 * that nobody needs, so that a sender who waits for our ACK before it sends the
 * rest of a segment (Nagle) has something to fill it with. It leaves a little
 * later than what it is to push, for some senders read with many threads, and
 * what is short is there first: peer_ask_plan_nudge, of each block that is
 * asked for, sets nudge_us, or clears it, for what is behind a block that
 * nobody waits for needs none. */
void peer_ask_plan_nudge(struct peer *p, bool is_urgent, uint64_t now_us);
void peer_ask_nudge(struct peer *p, uint64_t now_us);

enum peer_ask_was {
	PEER_ASK_NOT,
	PEER_ASK_NUDGE,
	PEER_ASK_RELEASED,
	PEER_ASK_OUT,
};

/* peer_ask_on_arrival — the block is whole: out of the queue with it. Says
 * what it was; the picker is not told. */
enum peer_ask_was peer_ask_on_arrival(struct peer *p,
				      const struct wire_block *b);

/* peer_ask_on_promise — a block that it was asked for came: it is proven. */
void peer_ask_on_promise(struct peer *p);

/* peer_ask_cancel — the block came from elsewhere: CANCEL. The picker is not
 * told. */
void peer_ask_cancel(struct peer *p, const struct wire_block *b);

/* peer_ask_cancel_piece — the piece is not wanted any more: CANCEL all of it
 * and tell the picker. A block that is arriving is released. */
void peer_ask_cancel_piece(struct peer *p, uint32_t piece_ix);

/* peer_ask_cancel_background — the same of all that is out for pinned pieces.
 */
void peer_ask_cancel_background(struct peer *p);

/* peer_ask_drop_all — the peer has forgotten our requests (choke, end). */
void peer_ask_drop_all(struct peer *p);

/* peer_ask_release — the picker waits for it no more; should it come all the
 * same it is used. */
void peer_ask_release(struct peer *p, const struct wire_block *b);

/* peer_ask_doubt_us — if nothing has come by then of what is out, others may
 * be asked for it; 0: it is doubtful until something comes; UINT64_MAX: nothing
 * is out. */
uint64_t peer_ask_doubt_us(const struct peer *p);
bool peer_ask_is_doubtful(const struct peer *p, uint64_t now_us);

/* peer_ask_late_us — when something of what is out will count as late;
 * UINT64_MAX: nothing. peer_ask_on_late — that time has come. */
uint64_t peer_ask_late_us(const struct peer *p);
void peer_ask_on_late(struct peer *p, uint64_t now_us);

/* peer_ask_on_payload — bytes came; peer_ask_on_block — a block is whole and
 * was not thrown away. */
void peer_ask_on_payload(struct peer *p, uint32_t bytes, uint64_t now_us);

/* peer_ask_on_deaf — for a while it was not read from: what it owes is no later
 * than it was, and what comes now says nothing of its rate or delay. */
void peer_ask_on_deaf(struct peer *p, uint64_t now_us);
void peer_ask_on_reject(struct peer *p, const struct wire_block *b);

unsigned peer_ask_expect(struct peer *p, struct peerio_slot *slots,
			 unsigned max);

#endif
