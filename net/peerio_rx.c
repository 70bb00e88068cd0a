/* peerio_rx — the receive path: bytes to messages, blocks to their place.
 *
 * Purpose: a block is copied once, by the kernel, from the socket to where its
 * piece is put together. Blocks arrive in the order they were asked for, so
 * the place of each byte can be guessed before it is read.
 *
 * Happy path:
 *   1. peerio_rx_plan asks the owner what he expects and lays out a scatter
 *      list: rest of the current block, header, block, header, block, …, tail.
 *   2. The caller reads into it.
 *   3. peerio_rx_took compares the headers with the predicted ones, and hands
 *      over the blocks that are where they belong.
 *   4. What is left (a message among the blocks, half a header) goes through
 *      `feed`, a plain parser that takes bytes from anywhere and copies.
 *
 * A wrong guess: from the first header that differs, everything behind lies in
 * the wrong place, some of it in the owner's memory. It is moved out, to one
 * run of bytes of ours, and fed. `feed` ends in the middle of some block or
 * header, and the next plan starts from there, so that one wrong guess costs
 * one copy of at most one readv and nothing after it.
 *
 * Invariants:
 *   1. Bytes are written to the owner's memory only inside the block that is
 *      half received, and inside blocks that `expect` or `place` returned.
 *      Inside a block that `expect` returned for this very readv, which has by
 *      contract not arrived, a wrong guess may leave garbage.
 *   2. When the first callback of a turn runs, no byte that is still to be
 *      parsed lies in the owner's memory: his callbacks may free it.
 *   3. A place that the owner forgets (peerio_rx_forget) is not touched again,
 *      be it that of the current block or of one further down the plan.
 *   4. RX_BLOCK: 0 < left <= block.len_bytes. RX_BODY: msg.len + left is the
 *      message's length. RX_HEADER: hdr_len < WIRE_PIECE_HEADER.
 *   5. Memory of ours between turns: half a message, grown as it comes.
 *
 * Failure modes: `why` says what rule was broken; nothing is parsed after
 * that. The two callbacks that may end the connection do it by `why` (the
 * handshake) or by `is_stopped` (the owner freed us); both are looked at
 * after every callback.
 *
 * Not here: the socket, deadlines, what messages mean. */
#include "net/peerio_internal.h"

#include <assert.h>
#include <string.h>

#include "core/be.h"
#include "core/core_limits.h"
#include "core/mem.h"
#include "core/merkle.h"

enum {
	LENGTH_BYTES = 4,
	ID_BYTES = 5, /* length and id */
	BITFIELD_MAX = 1 + METAINFO_MAX_PIECES / 8,
	/* What we ask for at most, and an uncle a level. */
	HASHES_MAX = WIRE_HASHES_HEADER +
		     (HASH_SPAN_ASK + MERKLE_MAX_HEIGHT) * WIRE_NODE_BYTES,
	MSG_KEEP_BYTES = 1024, /* a larger msg is given back when done */
};

void peerio_rx_init(struct peerio_rx *rx, const struct peerio_ops *ops,
		    void *arg, struct peerio *io)
{
	*rx = (struct peerio_rx){.ops = ops, .arg = arg, .io = io};
	buf_init(&rx->msg);
}

void peerio_rx_fini(struct peerio_rx *rx)
{
	buf_fini(&rx->msg);
}

void peerio_rx_check(const struct peerio_rx *rx)
{
	if (rx->why != PEER_END_NONE)
		return; /* stopped wherever it was */
	switch (rx->state) {
	case RX_HANDSHAKE:
		assert(rx->hdr_len < HANDSHAKE_BYTES);
		break;
	case RX_HEADER:
		assert(rx->hdr_len < WIRE_PIECE_HEADER);
		break;
	case RX_BODY:
		assert(rx->msg.len >= 1 && rx->left > 0);
		break;
	case RX_SKIP:
		assert(rx->left > 0);
		break;
	case RX_BLOCK:
		assert(rx->left > 0 && rx->left <= rx->block.len_bytes);
		break;
	}
}

static bool is_over(const struct peerio_rx *rx)
{
	return rx->why != PEER_END_NONE || rx->is_stopped;
}

static void next_message(struct peerio_rx *rx)
{
	rx->state = RX_HEADER;
	rx->hdr_len = 0;
	rx->left = 0;
}

/* ---- blocks ---- */

static void begin_block(struct peerio_rx *rx, const struct wire_block *b,
			uint8_t *dst)
{
	rx->state = RX_BLOCK;
	rx->hdr_len = 0;
	rx->block = *b;
	rx->left = b->len_bytes;
	rx->dst = dst;
}

/* `n` more bytes of the current block are where they belong, or dropped. */
static void advance_block(struct peerio_rx *rx, size_t n)
{
	struct wire_block block = rx->block;
	uint8_t *dst;

	assert(rx->state == RX_BLOCK && n <= rx->left);
	rx->left -= n;
	if (rx->left > 0) {
		rx->ops->on_payload(rx->arg, (uint32_t)n);
		return;
	}
	/* It must still be the current one for forget in on_payload. */
	rx->left = 0;
	rx->ops->on_payload(rx->arg, (uint32_t)n);
	dst = rx->dst;
	rx->dst = NULL;
	next_message(rx);
	if (!is_over(rx))
		rx->ops->on_block(rx->arg, &block, dst);
}

static size_t feed_block(struct peerio_rx *rx, const uint8_t *p, size_t n)
{
	size_t done = rx->block.len_bytes - rx->left;

	if (n > rx->left)
		n = rx->left;
	if (rx->dst)
		memcpy(rx->dst + done, p, n);
	advance_block(rx, n);
	return n;
}

/* ---- messages ---- */

static void end_message(struct peerio_rx *rx)
{
	struct wire_msg m;

	if (wire_decode(rx->msg.data, rx->msg.len, &m) != WIRE_OK) {
		rx->why = PEER_END_PROTOCOL;
		return;
	}
	next_message(rx);
	rx->ops->on_msg(rx->arg, &m);
	if (rx->msg.cap > MSG_KEEP_BYTES)
		buf_fini(&rx->msg);
	else
		buf_reset(&rx->msg);
}

static size_t feed_body(struct peerio_rx *rx, const uint8_t *p, size_t n)
{
	if (n > rx->left)
		n = rx->left;
	buf_add(&rx->msg, p, n);
	if (buf_err(&rx->msg) != 0) {
		rx->why = PEER_END_NOMEM;
		return n;
	}
	rx->left -= n;
	if (rx->left == 0)
		end_message(rx);
	return n;
}

static void begin_message(struct peerio_rx *rx, uint8_t id, size_t len)
{
	enum wire_result result = wire_check_length(id, len);

	if (result == WIRE_BAD) {
		rx->why = PEER_END_PROTOCOL;
		return;
	}
	if ((id == WIRE_BITFIELD && len > BITFIELD_MAX) ||
	    (id == WIRE_EXTENDED && len > PEERIO_EXT_MAX) ||
	    (id == WIRE_HASHES && len > HASHES_MAX)) {
		rx->why = PEER_END_TOO_LONG;
		return;
	}
	rx->left = len - 1;
	if (result == WIRE_UNKNOWN) {
		rx->state = RX_SKIP;
		if (rx->left == 0)
			next_message(rx);
		return;
	}
	rx->state = RX_BODY;
	buf_add_u8(&rx->msg, id);
	if (buf_err(&rx->msg) != 0)
		rx->why = PEER_END_NOMEM;
	else if (rx->left == 0)
		end_message(rx);
}

/* ---- headers ---- */

static void on_length(struct peerio_rx *rx)
{
	uint32_t len = be32_get(rx->hdr);

	if (len == 0) /* BEP 3: keep-alive */
		next_message(rx);
	else if (len > PEERIO_MSG_MAX)
		rx->why = PEER_END_TOO_LONG;
}

static void on_id(struct peerio_rx *rx)
{
	uint32_t len = be32_get(rx->hdr);

	if (rx->hdr[LENGTH_BYTES] != WIRE_PIECE)
		begin_message(rx, rx->hdr[LENGTH_BYTES], len);
	else if (wire_check_length(WIRE_PIECE, len) != WIRE_OK)
		rx->why = PEER_END_PROTOCOL;
	else if (len > PEERIO_BLOCK_MAX + WIRE_PIECE_HEADER - LENGTH_BYTES)
		rx->why = PEER_END_TOO_LONG;
}

static void on_piece_header(struct peerio_rx *rx)
{
	struct wire_block b;
	uint8_t *dst;

	if (wire_decode_piece_header(rx->hdr, &b) != WIRE_OK) {
		rx->why = PEER_END_PROTOCOL;
		return;
	}
	dst = rx->ops->place(rx->arg, &b);
	if (!is_over(rx))
		begin_block(rx, &b, dst);
}

static size_t gather(struct peerio_rx *rx, size_t want, const uint8_t *p,
		     size_t n)
{
	if (n > want - rx->hdr_len)
		n = want - rx->hdr_len;
	memcpy(rx->hdr + rx->hdr_len, p, n);
	rx->hdr_len += n;
	return n;
}

static size_t feed_header(struct peerio_rx *rx, const uint8_t *p, size_t n)
{
	size_t want = rx->hdr_len < LENGTH_BYTES ? LENGTH_BYTES
		      : rx->hdr_len < ID_BYTES	 ? ID_BYTES
						 : WIRE_PIECE_HEADER;

	n = gather(rx, want, p, n);
	if (rx->hdr_len < want)
		return n;
	if (want == LENGTH_BYTES)
		on_length(rx);
	else if (want == ID_BYTES)
		on_id(rx);
	else
		on_piece_header(rx);
	return n;
}

static size_t feed_handshake(struct peerio_rx *rx, const uint8_t *p, size_t n)
{
	struct handshake hs;

	n = gather(rx, HANDSHAKE_BYTES, p, n);
	if (!handshake_check_prefix(rx->hdr, rx->hdr_len)) {
		rx->why = PEER_END_HANDSHAKE;
		return n;
	}
	if (rx->hdr_len < HANDSHAKE_BYTES)
		return n;
	if (handshake_decode(rx->hdr, &hs) != 0) {
		rx->why = PEER_END_HANDSHAKE;
		return n;
	}
	next_message(rx);
	rx->why = rx->ops->on_handshake(rx->arg, rx->io, &hs);
	return n;
}

/* feed — the plain parser: any bytes, from anywhere but the owner's memory. */
static void feed(struct peerio_rx *rx, const uint8_t *p, size_t n)
{
	while (n > 0 && !is_over(rx)) {
		size_t used = 0;

		switch (rx->state) {
		case RX_HANDSHAKE:
			used = feed_handshake(rx, p, n);
			break;
		case RX_HEADER:
			used = feed_header(rx, p, n);
			break;
		case RX_BODY:
			used = feed_body(rx, p, n);
			break;
		case RX_SKIP:
			used = n < rx->left ? n : rx->left;
			rx->left -= used;
			if (rx->left == 0)
				next_message(rx);
			break;
		case RX_BLOCK:
			used = feed_block(rx, p, n);
			break;
		}
		p += used;
		n -= used;
	}
}

/* ---- the plan ---- */

static void add_area(struct peerio_plan *plan, void *ptr, size_t len)
{
	plan->iov[plan->n_iov++] =
		(struct iovec){.iov_base = ptr, .iov_len = len};
	plan->total += len;
}

/* Room in stage for a block that will be dropped, NULL when it is full. */
static uint8_t *carve(struct peerio_plan *plan, size_t len)
{
	uint8_t *area = plan->stage + plan->stage_used;

	if (len > sizeof(plan->stage) - plan->stage_used)
		return NULL;
	plan->stage_used += len;
	return area;
}

/* The first `have` bytes of the first header are here already: a prediction
 * that they contradict is worth nothing. */
static bool add_slot(struct peerio_plan *plan, const struct peerio_rx *rx,
		     const struct peerio_slot *slot, size_t have)
{
	uint32_t len = slot->block.len_bytes;
	uint8_t *hdr = plan->hdr[plan->n_slots];
	uint8_t predicted[WIRE_PIECE_HEADER];
	uint8_t *area = slot->dst;

	assert(len > 0 && len <= PEERIO_BLOCK_MAX);
	wire_encode_piece_header(predicted, &slot->block);
	if (memcmp(predicted, rx->hdr, have) != 0)
		return false;
	if (plan->total + WIRE_PIECE_HEADER + len > PEERIO_READ_BYTES)
		return false;
	if (!area)
		area = carve(plan, len);
	if (!area)
		return false;
	memcpy(hdr, rx->hdr, have);
	add_area(plan, hdr + have, WIRE_PIECE_HEADER - have);
	add_area(plan, area, len);
	plan->slots[plan->n_slots++] = *slot;
	return true;
}

static void add_predictions(struct peerio_rx *rx, struct peerio_plan *plan)
{
	struct peerio_slot slots[PEERIO_READ_SLOTS];
	size_t have = rx->state == RX_HEADER ? rx->hdr_len : 0;
	unsigned n;

	n = rx->ops->expect(rx->arg, slots, PEERIO_READ_SLOTS);
	assert(n <= PEERIO_READ_SLOTS);
	for (unsigned i = 0; i < n; i++) {
		/* The owner counts the half-received block as out, too. */
		if (rx->state == RX_BLOCK &&
		    wire_block_eq(&slots[i].block, &rx->block))
			continue;
		if (!add_slot(plan, rx, &slots[i], have))
			break;
		have = 0;
	}
}

static bool add_current(struct peerio_rx *rx, struct peerio_plan *plan)
{
	uint8_t *area;

	if (rx->state == RX_HEADER)
		return true;
	if (rx->state != RX_BLOCK)
		return false;
	area = rx->dst ? rx->dst + (rx->block.len_bytes - rx->left)
		       : carve(plan, rx->left);
	if (!area)
		return false;
	add_area(plan, area, rx->left);
	plan->rest = rx->left;
	return true;
}

void peerio_rx_plan(struct peerio_rx *rx, struct peerio_plan *plan)
{
	peerio_rx_check(rx);
	assert(!is_over(rx));
	plan->n_iov = plan->n_slots = plan->next = 0;
	plan->total = plan->rest = plan->stage_used = 0;
	if (rx->state == RX_HANDSHAKE) {
		/* No more: who it is meant for may have to be woken first. */
		add_area(plan, plan->stage, HANDSHAKE_BYTES - rx->hdr_len);
		return;
	}
	if (add_current(rx, plan))
		add_predictions(rx, plan);
	if (plan->stage_used < sizeof(plan->stage))
		add_area(plan, plan->stage + plan->stage_used,
			 sizeof(plan->stage) - plan->stage_used);
}

/* How many of the slots came as predicted, and `*n`, the bytes read behind
 * the current block, less theirs. */
static unsigned match_slots(struct peerio_plan *plan, size_t have, size_t *n)
{
	uint8_t predicted[WIRE_PIECE_HEADER];
	unsigned i;

	for (i = 0; i < plan->n_slots; i++) {
		size_t hdr_len = WIRE_PIECE_HEADER - have;
		size_t len = plan->slots[i].block.len_bytes;

		if (*n < hdr_len)
			break;
		wire_encode_piece_header(predicted, &plan->slots[i].block);
		if (memcmp(predicted, plan->hdr[i], WIRE_PIECE_HEADER) != 0)
			break;
		*n -= hdr_len;
		plan->got[i] = *n < len ? *n : len;
		*n -= plan->got[i];
		have = 0;
	}
	return i;
}

/* The last `n` bytes read, which begin with iov[first], in one run of memory
 * that is ours: as they lie when they can stay, else copied to `*copy`. NULL
 * on ENOMEM. */
static const uint8_t *gather_rest(const struct peerio_plan *plan,
				  unsigned first, size_t n, uint8_t **copy)
{
	size_t done = 0;

	/* A header slot or the tail: ours already. */
	if (n <= plan->iov[first].iov_len)
		return plan->iov[first].iov_base;
	*copy = mem_alloc(n);
	for (unsigned i = first; *copy && done < n; i++) {
		size_t len = plan->iov[i].iov_len;

		if (len > n - done)
			len = n - done;
		memcpy(*copy + done, plan->iov[i].iov_base, len);
		done += len;
	}
	return *copy;
}

static void deliver(struct peerio_rx *rx, struct peerio_plan *plan,
		    size_t current, unsigned matched)
{
	rx->plan = plan;
	plan->n_slots = matched;
	if (current > 0)
		advance_block(rx, current);
	while (plan->next < matched && !is_over(rx)) {
		unsigned i = plan->next++;

		begin_block(rx, &plan->slots[i].block, plan->slots[i].dst);
		if (plan->got[i] > 0)
			advance_block(rx, plan->got[i]);
	}
	rx->plan = NULL;
}

void peerio_rx_took(struct peerio_rx *rx, struct peerio_plan *plan, size_t n)
{
	size_t current = n < plan->rest ? n : plan->rest;
	const uint8_t *rest = NULL;
	uint8_t *copy = NULL;
	unsigned matched;

	assert(n <= plan->total);
	n -= current;
	matched =
		match_slots(plan, rx->state == RX_HEADER ? rx->hdr_len : 0, &n);
	if (n > 0) {
		unsigned first = (plan->rest > 0) + 2 * matched;

		rest = gather_rest(plan, first, n, &copy);
		if (!rest) {
			rx->why = PEER_END_NOMEM;
			return;
		}
	}
	deliver(rx, plan, current, matched);
	feed(rx, rest, n);
	mem_free(copy);
}

static void forget_if(uint8_t **dst, uint32_t dst_len, const uint8_t *ptr,
		      size_t len)
{
	uintptr_t a = (uintptr_t)*dst, b = (uintptr_t)ptr;

	if (*dst && a < b + len && b < a + dst_len)
		*dst = NULL;
}

void peerio_rx_forget(struct peerio_rx *rx, const uint8_t *ptr, size_t len)
{
	struct peerio_plan *plan = rx->plan;

	forget_if(&rx->dst, rx->block.len_bytes, ptr, len);
	for (unsigned i = plan ? plan->next : 0; plan && i < plan->n_slots; i++)
		forget_if(&plan->slots[i].dst, plan->slots[i].block.len_bytes,
			  ptr, len);
}
