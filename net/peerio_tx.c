/* peerio_tx — what waits to leave: control messages and blocks, in order.
 *
 * Purpose: control messages are small and many, and are copied together into
 * one buf; blocks are large and are sent from where they lie. Both leave in
 * the order in which they were queued.
 *
 * How: control bytes are counted from the start of the connection. A block
 * remembers how many of them leave before it (`behind`), so the order needs no
 * list of its own, and a block can be taken out without touching anything
 * else.
 *
 *   out:     [ have ][ have ][ choke ][ request ]
 *   blocks:                 ^ A        ^ B           (`behind`)
 *   leaves:  have have A choke B request
 *
 * Failure modes: a block that finds no memory is refused; a control message
 * that finds none makes `out` sticky, which the caller looks at before each
 * send.
 *
 * Invariants:
 *   1. out_sent <= behind of every block, and behind never falls along the list
 *   2. only the first block can be partly sent
 *   3. blocks_bytes is the sum of what the blocks have not sent
 *
 * Not here: writev, and when. */
#include "net/peerio_internal.h"

#include <assert.h>
#include <errno.h>

#include "core/blk.h"
#include "core/mem.h"

enum { OUT_KEEP_BYTES = 64 << 10 }; /* a larger out is given back when empty */

void peerio_tx_init(struct peerio_tx *tx)
{
	*tx = (struct peerio_tx){0};
	TAILQ_INIT(&tx->blocks);
}

static void remove_block(struct peerio_tx *tx, struct tx_block *b)
{
	TAILQ_REMOVE(&tx->blocks, b, link);
	blk_drop(b->data);
	mem_free(b);
}

void peerio_tx_fini(struct peerio_tx *tx)
{
	struct tx_block *b;

	while ((b = TAILQ_FIRST(&tx->blocks)) != NULL)
		remove_block(tx, b);
	buf_fini(&tx->out);
}

static size_t block_bytes(const struct tx_block *b)
{
	return WIRE_PIECE_HEADER + (size_t)b->block.len_bytes;
}

int peerio_tx_add(struct peerio_tx *tx, const struct wire_block *b,
		  struct blk *data, size_t off_bytes)
{
	struct tx_block *tb;

	assert(b->len_bytes > 0 && off_bytes <= data->len);
	assert(b->len_bytes <= data->len - off_bytes);
	tb = mem_new(struct tx_block);
	if (!tb)
		return ENOMEM;
	tb->behind = tx->out_sent + tx->out.len;
	tb->block = *b;
	wire_encode_piece_header(tb->hdr, b);
	tb->data = blk_hold(data);
	tb->off_bytes = off_bytes;
	TAILQ_INSERT_TAIL(&tx->blocks, tb, link);
	tx->blocks_bytes += block_bytes(tb);
	return 0;
}

bool peerio_tx_drop(struct peerio_tx *tx, const struct wire_block *b)
{
	struct tx_block *tb;

	TAILQ_FOREACH (tb, &tx->blocks, link) {
		if (tb->sent > 0 || !wire_block_eq(&tb->block, b))
			continue;
		tx->blocks_bytes -= block_bytes(tb);
		remove_block(tx, tb);
		return true;
	}
	return false;
}

static unsigned add(struct iovec *iov, unsigned n, uint8_t *ptr, size_t len)
{
	if (len == 0)
		return n;
	iov[n] = (struct iovec){.iov_base = ptr, .iov_len = len};
	return n + 1;
}

unsigned peerio_tx_fill(const struct peerio_tx *tx, struct iovec *iov,
			unsigned max)
{
	const struct tx_block *b;
	size_t at = 0; /* in out */
	unsigned n = 0;

	TAILQ_FOREACH (b, &tx->blocks, link) {
		size_t until = (size_t)(b->behind - tx->out_sent);
		size_t hdr = b->sent < WIRE_PIECE_HEADER
				     ? WIRE_PIECE_HEADER - b->sent
				     : 0;
		size_t body = block_bytes(b) - b->sent - hdr;
		size_t off = b->off_bytes + b->block.len_bytes - body;

		if (n + 3 > max)
			return n;
		n = add(iov, n, tx->out.data + at, until - at);
		n = add(iov, n, (uint8_t *)b->hdr + WIRE_PIECE_HEADER - hdr,
			hdr);
		n = add(iov, n, b->data->data + off, body);
		at = until;
	}
	if (n < max && at < tx->out.len)
		n = add(iov, n, tx->out.data + at, tx->out.len - at);
	return n;
}

/* Control bytes that leave before block `b` (NULL: all there are). */
static size_t sent_control(struct peerio_tx *tx, const struct tx_block *b,
			   size_t n)
{
	size_t can = b ? (size_t)(b->behind - tx->out_sent) : tx->out.len;

	if (n > can)
		n = can;
	tx->out_sent += n;
	buf_cut(&tx->out, n);
	return n;
}

uint32_t peerio_tx_sent(struct peerio_tx *tx, size_t n)
{
	uint32_t payload = 0;

	while (n > 0) {
		struct tx_block *b = TAILQ_FIRST(&tx->blocks);
		size_t before, len;

		n -= sent_control(tx, b, n);
		assert(b || n == 0);
		if (n == 0)
			break;
		before = b->sent;
		len = block_bytes(b) - b->sent;
		len = n < len ? n : len;
		b->sent += len;
		n -= len;
		tx->blocks_bytes -= len;
		if (b->sent > WIRE_PIECE_HEADER)
			payload += (uint32_t)(b->sent -
					      (before > WIRE_PIECE_HEADER
						       ? before
						       : WIRE_PIECE_HEADER));
		if (b->sent == block_bytes(b))
			remove_block(tx, b);
	}
	if (tx->out.len == 0 && tx->out.cap > OUT_KEEP_BYTES)
		buf_fini(&tx->out);
	return payload;
}

size_t peerio_tx_bytes(const struct peerio_tx *tx)
{
	return tx->out.len + tx->blocks_bytes;
}
