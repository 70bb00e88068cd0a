/* rx_model — an owner for net/peerio_rx that writes down all he is told, and a
 * reference parser that says what he should have been told: whole messages out
 * of one flat run of bytes, without plans, reads or places.
 *
 * The owner's pieces are separate allocations, and some callbacks free them,
 * as a torrent's do: a write to a place that was forgotten is ASan's to see. */
#ifndef SHOAL_TESTS_LIB_RX_MODEL_H
#define SHOAL_TESTS_LIB_RX_MODEL_H

#include <stdlib.h>
#include <string.h>

#include "core/be.h"
#include "core/core_limits.h"
#include "core/rng.h"
#include "net/peerio_internal.h"

enum {
	MODEL_PIECES = 8,
	MODEL_PIECE_BYTES = 160 << 10,
	MODEL_ASKED_MAX = 128,
};

struct model {
	struct peerio_rx *rx;	       /* NULL: the reference parser runs */
	uint8_t *pieces[MODEL_PIECES]; /* made when first written to */
	bool is_gone[MODEL_PIECES];
	struct wire_block asked[MODEL_ASKED_MAX];
	unsigned n_asked;
	unsigned misorder; /* expect begins that far down the list */
	struct buf log;
	uint64_t payload_bytes;
	uint64_t asked_of_expect;
};

static inline void model_free_piece(struct model *m, uint32_t ix)
{
	if (m->rx && m->pieces[ix])
		peerio_rx_forget(m->rx, m->pieces[ix], MODEL_PIECE_BYTES);
	free(m->pieces[ix]);
	m->pieces[ix] = NULL;
	m->is_gone[ix] = true;
}

static inline void model_fini(struct model *m)
{
	m->rx = NULL;
	for (uint32_t i = 0; i < MODEL_PIECES; i++)
		model_free_piece(m, i);
	buf_fini(&m->log);
}

/* Ask for a block; not when it is outside, or touches another that was ever
 * asked for (the owner of a torrent does not do that either). */
static inline bool model_ask(struct model *m, const struct wire_block *b)
{
	if (b->piece_ix >= MODEL_PIECES || b->len_bytes == 0 ||
	    b->len_bytes > PEERIO_BLOCK_MAX ||
	    b->begin_bytes > MODEL_PIECE_BYTES - b->len_bytes ||
	    m->n_asked == MODEL_ASKED_MAX)
		return false;
	for (unsigned i = 0; i < m->n_asked; i++) {
		const struct wire_block *o = &m->asked[i];

		if (o->piece_ix == b->piece_ix &&
		    o->begin_bytes < b->begin_bytes + b->len_bytes &&
		    b->begin_bytes < o->begin_bytes + o->len_bytes)
			return false;
	}
	m->asked[m->n_asked++] = *b;
	return true;
}

static inline int model_find(const struct model *m, const struct wire_block *b)
{
	for (unsigned i = 0; i < m->n_asked; i++)
		if (wire_block_eq(&m->asked[i], b))
			return (int)i;
	return -1;
}

static inline uint8_t *model_place(void *arg, const struct wire_block *b)
{
	struct model *m = arg;
	uint8_t **piece;

	if (model_find(m, b) < 0 || m->is_gone[b->piece_ix])
		return NULL;
	piece = &m->pieces[b->piece_ix];
	if (!*piece)
		*piece = malloc(MODEL_PIECE_BYTES);
	if (!*piece)
		abort();
	return *piece + b->begin_bytes;
}

static inline unsigned model_expect(void *arg, struct peerio_slot *slots,
				    unsigned max)
{
	struct model *m = arg;
	unsigned n = 0;

	m->asked_of_expect++;
	for (unsigned i = m->misorder; i < m->n_asked && n < max; i++) {
		slots[n].block = m->asked[i];
		slots[n++].dst = model_place(m, &m->asked[i]);
	}
	return n;
}

static inline void model_log_block(struct model *m, char what,
				   const struct wire_block *b)
{
	buf_addf(&m->log, "%c%u.%u.%u;", what, b->piece_ix, b->begin_bytes,
		 b->len_bytes);
}

/* A block is done with. `bytes` NULL: it was dropped. What begins at 0 ends
 * its piece: the owner then frees it, whatever else was to come there. */
static inline void model_end_block(struct model *m, const struct wire_block *b,
				   const uint8_t *bytes)
{
	int i = model_find(m, b);

	model_log_block(m, bytes ? 'B' : 'D', b);
	if (bytes)
		buf_add(&m->log, bytes, b->len_bytes);
	if (i >= 0)
		memmove(&m->asked[i], &m->asked[i + 1],
			(m->n_asked - (unsigned)i - 1) * sizeof(m->asked[0]));
	m->n_asked -= i >= 0;
	if (b->begin_bytes == 0 && b->piece_ix < MODEL_PIECES)
		model_free_piece(m, b->piece_ix);
}

static inline void model_on_block(void *arg, const struct wire_block *b,
				  uint8_t *dst)
{
	struct model *m = arg;

	if (dst && dst != m->pieces[b->piece_ix] + b->begin_bytes)
		abort();
	model_end_block(m, b, dst);
}

static inline void model_on_msg(void *arg, const struct wire_msg *msg)
{
	struct model *m = arg;

	model_log_block(m, 'M', &msg->block);
	buf_addf(&m->log, "%d.%d.%d.%zu;", (int)msg->id, msg->port, msg->ext_id,
		 msg->body.len);
	buf_add(&m->log, msg->body.ptr, msg->body.len);
	if (msg->id == WIRE_CHOKE)
		for (uint32_t i = 0; i < MODEL_PIECES; i++)
			model_free_piece(m, i);
}

static inline enum peer_end model_on_handshake(void *arg, struct peerio *io,
					       const struct handshake *hs)
{
	struct model *m = arg;

	buf_addf(&m->log, "H%d%d%d%d;", hs->has_ext, hs->has_fast, hs->has_dht,
		 hs->has_v2);
	buf_add(&m->log, hs->info_hash, sizeof(hs->info_hash));
	return hs->info_hash[0] == 0xFF ? PEER_END_SELF : PEER_END_NONE;
}

static inline void model_on_payload(void *arg, uint32_t bytes)
{
	struct model *m = arg;

	if (bytes == 0)
		abort();
	m->payload_bytes += bytes;
}

static const struct peerio_ops model_ops = {
	.on_handshake = model_on_handshake,
	.on_msg = model_on_msg,
	.expect = model_expect,
	.place = model_place,
	.on_block = model_on_block,
	.on_payload = model_on_payload,
};

/* One message at p; `*used` its bytes, 0: it is not whole. */
static inline enum peer_end model_message(struct model *m, const uint8_t *p,
					  size_t len, size_t *used)
{
	struct wire_msg msg;
	struct wire_block b;
	enum wire_result form;
	uint32_t size;

	*used = 0;
	if (len < 4)
		return PEER_END_NONE;
	size = be32_get(p);
	if (size > PEERIO_MSG_MAX)
		return PEER_END_TOO_LONG;
	if (size == 0)
		*used = 4;
	if (size == 0 || len < 5)
		return PEER_END_NONE;
	form = wire_check_length(p[4], size);
	if (form == WIRE_BAD)
		return PEER_END_PROTOCOL;
	if ((p[4] == WIRE_BITFIELD && size > METAINFO_MAX_PIECES / 8 + 1) ||
	    (p[4] == WIRE_EXTENDED && size > PEERIO_EXT_MAX) ||
	    (p[4] == WIRE_PIECE && size > PEERIO_BLOCK_MAX + 9))
		return PEER_END_TOO_LONG;
	if (p[4] == WIRE_PIECE && len >= 13) {
		m->payload_bytes += len - 4 < size ? len - 13 : size - 9;
		if (len - 4 < size)
			return PEER_END_NONE;
		(void)wire_decode_piece_header(p, &b);
		model_end_block(m, &b, model_place(m, &b) ? p + 13 : NULL);
	}
	if (len - 4 < size)
		return PEER_END_NONE;
	if (wire_decode(p + 4, size, &msg) == WIRE_OK)
		model_on_msg(m, &msg);
	*used = 4 + size;
	return PEER_END_NONE;
}

static inline enum peer_end model_reference(struct model *m, const uint8_t *p,
					    size_t len)
{
	enum peer_end why = PEER_END_NONE;
	struct handshake hs;
	size_t used = HANDSHAKE_BYTES;

	if (!handshake_check_prefix(p, len < used ? len : used))
		return PEER_END_HANDSHAKE;
	if (len < used)
		return PEER_END_NONE;
	if (handshake_decode(p, &hs) != 0)
		return PEER_END_HANDSHAKE;
	why = model_on_handshake(m, NULL, &hs);
	while (why == PEER_END_NONE && used > 0) {
		p += used;
		len -= used;
		why = model_message(m, p, len, &used);
	}
	return why;
}

/* Put `n` bytes where the plan wants them, as readv does. */
static inline void model_scatter(const struct peerio_plan *plan,
				 const uint8_t *p, size_t n)
{
	for (unsigned i = 0; n > 0; i++) {
		size_t len = plan->iov[i].iov_len;

		len = len < n ? len : n;
		memcpy(plan->iov[i].iov_base, p, len);
		p += len;
		n -= len;
	}
}

/* The stream through the receive path, cut where `rng` says. */
static inline enum peer_end model_run(struct model *m, const uint8_t *p,
				      size_t len, struct rng *rng)
{
	struct peerio_plan plan;
	struct peerio_rx rx;
	enum peer_end why;

	peerio_rx_init(&rx, &model_ops, m, NULL);
	m->rx = &rx;
	while (len > 0 && rx.why == PEER_END_NONE) {
		size_t n = 0;

		m->misorder = (unsigned)rng_below(rng, 8) == 0;
		peerio_rx_plan(&rx, &plan);
		switch (rng_below(rng, 4)) {
		case 0:
			n = 1 + rng_below(rng, 20);
			break;
		case 1:
			n = 1 + rng_below(rng, 40000);
			break;
		default:
			n = plan.total;
			break;
		}
		n = n < plan.total ? n : plan.total;
		n = n < len ? n : len;
		model_scatter(&plan, p, n);
		peerio_rx_took(&rx, &plan, n);
		peerio_rx_check(&rx);
		p += n;
		len -= n;
	}
	why = rx.why;
	peerio_rx_fini(&rx);
	m->rx = NULL;
	return why;
}

#endif
