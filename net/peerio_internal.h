/* peerio_internal — the parts of peerio: a receive path and a send queue that
 * know no socket, so that tests and fuzzers drive them with bytes. Included
 * by peerio*.c and tests only. */
#ifndef SHOAL_NET_PEERIO_INTERNAL_H
#define SHOAL_NET_PEERIO_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "core/buf.h"
#include "core/queue.h"
#include "net/net_limits.h"
#include "net/peerio.h"

/* ---- receiving (peerio_rx.c) ---- */

enum rx_state {
	RX_HANDSHAKE, /* gathering 68 bytes in hdr */
	RX_HEADER,    /* gathering a length, an id, a PIECE header in hdr */
	RX_BODY,      /* gathering a message in msg */
	RX_SKIP,      /* dropping a message we do not know */
	RX_BLOCK,     /* a block's bytes: to dst, or dropped */
};

/* What one readv is laid out to get. Lives for that one call: on the stack.
 *
 *   iov: [rest of the block that is half received]
 *        [header][block] [header][block] …            as predicted
 *        [tail of stage]                              whatever else comes
 *
 * The areas of blocks that are to be dropped lie in stage. */
struct peerio_plan {
	struct iovec iov[2 * PEERIO_READ_SLOTS + 2];
	unsigned n_iov;
	size_t total; /* bytes in iov */
	size_t rest;  /* of them, for the half-received block */

	struct peerio_slot slots[PEERIO_READ_SLOTS];
	unsigned n_slots;
	unsigned next; /* the first slot not yet handed to the owner */
	size_t got[PEERIO_READ_SLOTS]; /* bytes of each block that came */
	uint8_t hdr[PEERIO_READ_SLOTS][WIRE_PIECE_HEADER];

	uint8_t stage[PEERIO_STAGE_BYTES];
	size_t stage_used;
};

struct peerio_rx {
	const struct peerio_ops *ops; /* kept */
	void *arg;
	struct peerio *io; /* for on_handshake alone */

	enum rx_state state;
	enum peer_end why; /* sticky: parsing is over */
	bool is_stopped;   /* the owner has freed us: no more callbacks */

	uint8_t hdr[HANDSHAKE_BYTES];
	size_t hdr_len;
	struct buf msg;		  /* id and body, as far as they came */
	size_t left;		  /* BODY, SKIP, BLOCK: bytes to come */
	struct wire_block block;  /* BLOCK */
	uint8_t *dst;		  /* BLOCK: NULL: dropped */
	struct peerio_plan *plan; /* while its bytes are handed over */
};

void peerio_rx_init(struct peerio_rx *rx, const struct peerio_ops *ops,
		    void *arg, struct peerio *io);
void peerio_rx_fini(struct peerio_rx *rx);

/* peerio_rx_plan — lay out the next readv. Asks `expect`. */
void peerio_rx_plan(struct peerio_rx *rx, struct peerio_plan *plan);

/* peerio_rx_took — `n` bytes were read as planned, since when nothing else
 * has happened: hand them to the owner. Afterwards rx->why may be set. */
void peerio_rx_took(struct peerio_rx *rx, struct peerio_plan *plan, size_t n);

void peerio_rx_forget(struct peerio_rx *rx, const uint8_t *ptr, size_t len);
void peerio_rx_check(const struct peerio_rx *rx);

/* ---- sending (peerio_tx.c) ---- */

struct tx_block {
	TAILQ_ENTRY(tx_block) link;
	uint64_t behind; /* control bytes, counted from the start of the
			    connection, that leave before it */
	struct wire_block block;
	uint8_t hdr[WIRE_PIECE_HEADER];
	struct blk *data;
	size_t off_bytes;
	size_t sent; /* of header and bytes */
};

struct peerio_tx {
	struct buf out;	   /* control bytes not yet sent */
	uint64_t out_sent; /* control bytes sent: where out.data begins */
	TAILQ_HEAD(, tx_block) blocks;
	size_t blocks_bytes; /* unsent, headers included */
};

void peerio_tx_init(struct peerio_tx *tx);
void peerio_tx_fini(struct peerio_tx *tx);
int peerio_tx_add(struct peerio_tx *tx, const struct wire_block *b,
		  struct blk *data, size_t off_bytes);
bool peerio_tx_drop(struct peerio_tx *tx, const struct wire_block *b);

/* peerio_tx_fill — the next bytes to leave, in order; returns how many of
 * `max` are used. */
unsigned peerio_tx_fill(const struct peerio_tx *tx, struct iovec *iov,
			unsigned max);

/* peerio_tx_sent — `n` bytes have left; returns how many of them were bytes
 * of blocks. */
uint32_t peerio_tx_sent(struct peerio_tx *tx, size_t n);
size_t peerio_tx_bytes(const struct peerio_tx *tx);

/* ---- for tests (peerio.c) ---- */

struct peerio_times {
	uint32_t handshake_ms, silence_ms, keepalive_ms, stuck_ms;
};

/* peerio_set_times — other deadlines, from now on. */
void peerio_set_times(struct peerio *io, const struct peerio_times *times);

#endif
