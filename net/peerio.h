/* peerio — one TCP connection that speaks the peer protocol: connect or adopt,
 * handshake, framing, and blocks received straight into the place where their
 * piece is put together. Knows bytes and messages; what they mean is peer's.
 *
 * Receiving. Blocks arrive in the order they were asked for, so before each
 * readv the owner names the next few blocks it expects and where they go
 * (`expect`); the scatter list is laid out as header slot, block, header slot,
 * block…; headers are checked afterwards, and what was not as predicted is
 * moved to where it belongs. A block nobody wants is read and dropped.
 *
 * Sending. Everything is queued and leaves in one writev at the end of the
 * turn; blocks are references to a blk, never copied.
 *
 * Life: peerio_dial / peerio_adopt → on_handshake → messages → on_end, once.
 * After on_end, or at any time, the owner calls peerio_free; that is legal in
 * every callback (the memory goes when the callback has returned).
 * Thread: loop. Deadlines: connect and handshake together
 * PEERIO_HANDSHAKE_MS; silence PEERIO_SILENCE_MS; a peer that does not take our
 * bytes PEERIO_STUCK_MS. */
#ifndef SHOAL_NET_PEERIO_H
#define SHOAL_NET_PEERIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/own.h"
#include "net/handshake.h"
#include "net/wire.h"

struct blk;
struct loop;
struct peerio;

/* Why a connection ended: logged and counted. */
enum peer_end {
	PEER_END_NONE,
	PEER_END_CLOSED,    /* we closed it, in order */
	PEER_END_CONNECT,   /* never came up */
	PEER_END_EOF,	    /* they closed it */
	PEER_END_IO,	    /* reset and the like */
	PEER_END_HANDSHAKE, /* not BitTorrent, or the wrong torrent */
	PEER_END_TIMEOUT,   /* handshake, silence or stuck */
	PEER_END_SELF,	    /* it was us */
	PEER_END_DUPLICATE, /* the same peer id twice */
	PEER_END_PROTOCOL,  /* broke a rule of the BEPs */
	PEER_END_TOO_LONG,  /* a message past its limit */
	PEER_END_BAD_HASH,  /* sent bytes that did not verify */
	PEER_END_USELESS,   /* both are seeds, or a better one came */
	PEER_END_LIMIT,	    /* too many connections */
	PEER_END_SILENT,    /* it gave nothing, and its place was needed */
	PEER_END_PRIVATE,   /* gossip told of it; the torrent is private */
	PEER_END_UPGRADE,   /* to be dialled again, on v2's side (BEP 52) */
	PEER_END_NOMEM,
	PEER_END_STOPPING, /* torrent or program ends */
	PEER_END_N,
};

const char *peerio_end_text(enum peer_end why);

/* A block that the owner expects next, and where its bytes go. dst NULL: it is
 * no longer wanted there, drop it. */
struct peerio_slot {
	struct wire_block block;
	uint8_t *dst;
};

struct peerio_ops {
	/* A connection that we dialled is there; what is queued, and what the
	 * rest of this turn queues, leaves with our handshake. */
	void (*on_connect)(void *arg);
	/* Their handshake. Outgoing: return 0 to go on, else the reason. For
	 * an incoming connection the owner finds the torrent, may change ops
	 * and arg by peerio_bind, sets ours by peerio_send_handshake, and
	 * returns 0. The owner sends bitfield and so on here or later. */
	enum peer_end (*on_handshake)(void *arg, struct peerio *io,
				      const struct handshake *hs);
	/* Any message but PIECE; `m` is lent. */
	void (*on_msg)(void *arg, const struct wire_msg *m);
	/* Up to `max` blocks in the order in which they were asked for,
	 * beginning with the oldest that is still out (one that is half
	 * received may be among them). Asked before each readv; nothing is
	 * kept past it but the slot of a block that is half received. A block
	 * of theirs that has not come may be overwritten with garbage: a dst
	 * where a block already lies must not be given. */
	unsigned (*expect)(void *arg, struct peerio_slot *slots, unsigned max);
	/* The header of a block that was not predicted was read: where to put
	 * the bytes, or NULL to drop them. */
	uint8_t *(*place)(void *arg, const struct wire_block *b);
	/* A block is whole. `dst` is where it lies, NULL if it was dropped. */
	void (*on_block)(void *arg, const struct wire_block *b, uint8_t *dst);
	/* `bytes` more payload bytes arrived, whole block or not. */
	void (*on_payload)(void *arg, uint32_t bytes);
	/* `bytes` of blocks that we sent have left; room may be free. */
	void (*on_sent)(void *arg, uint32_t bytes);
	/* The connection is dead. No callback follows. */
	void (*on_end)(void *arg, enum peer_end why);
};

/* peerio_dial — connect to `to` and send `ours` at once. 0, ENOMEM or an errno
 * of socket(2); later failures come by on_end, never from inside a call of
 * the owner's. */
int peerio_dial(struct loop *loop, const struct addr *to,
		const struct handshake *ours, const struct peerio_ops *ops,
		void *arg, struct peerio **out);

/* peerio_adopt — take over an accepted socket and wait for a handshake. */
int peerio_adopt(struct loop *loop, int fd TAKES, const struct addr *from,
		 const struct peerio_ops *ops, void *arg, struct peerio **out);

/* peerio_bind — from now on another owner. */
void peerio_bind(struct peerio *io, const struct peerio_ops *ops, void *arg);

void peerio_send_handshake(struct peerio *io, const struct handshake *ours);

/* peerio_out — the queue of control messages: append with wire_put_…; leaves
 * at the end of the turn. Lends until the end of the turn. */
struct buf *peerio_out(struct peerio *io);

/* peerio_send_block — a PIECE message: header, then `b->len_bytes` of `data`
 * from `off`. Holds its own reference. Goes behind what is in peerio_out. */
int peerio_send_block(struct peerio *io, const struct wire_block *b,
		      struct blk *data, size_t off_bytes);

/* peerio_drop_block — forget a block queued by peerio_send_block, if not a
 * byte of it has left. True when it was there (CANCEL). */
bool peerio_drop_block(struct peerio *io, const struct wire_block *b);

/* peerio_queued_bytes — what waits to leave. */
size_t peerio_queued_bytes(const struct peerio *io);

/* peerio_forget_dst — the block that is half received right now, and those of
 * the same readv that were not handed over yet, if they are going to
 * [ptr, ptr+len), are not wanted any more: what still comes is dropped
 * (on_block will say dst NULL). Must be called before those bytes may be read
 * as verified, or freed. */
void peerio_forget_dst(struct peerio *io, const uint8_t *ptr, size_t len);

/* peerio_receiving — the block whose bytes are arriving, if any. */
bool peerio_receiving(const struct peerio *io, struct wire_block *out);

/* peerio_pause — stop and start reading (back-pressure, rate limits). */
void peerio_pause(struct peerio *io, bool paused);

const struct addr *peerio_addr(const struct peerio *io);
bool peerio_is_incoming(const struct peerio *io);

/* peerio_rtt_us — the kernel's smoothed round-trip time (TCP_INFO); 0 when not
 * known. A system call: not for each block. */
uint32_t peerio_rtt_us(const struct peerio *io);

/* peerio_free — close and forget, from anywhere; on_end does not run. */
void peerio_free(struct peerio *io TAKES);

#endif
