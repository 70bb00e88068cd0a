/* wire — the peer protocol's messages as bytes (BEP 3, 6, 10, 52).
 *
 * Purpose: the one place that knows how a message looks on the wire. A message
 * is four bytes of length, one byte of id, and what the id says follows.
 *
 * How: `lengths` holds, for every id, the length it must have (id included,
 * prefix not). Ids that vary have a least length; their greatest is the
 * receiver's business, since it is a question of memory and not of form. An
 * id without a line is unknown, and BEP 3 wants unknown messages skipped.
 *
 * Failure modes: decoding ends in a result, never in an assert: the bytes are
 * a stranger's. Encoders write into a buf, whose error is sticky.
 *
 * Not here: PIECE bodies. They go straight from the socket to their place and
 * are never gathered, so only their header is decoded and encoded. */
#include "net/wire.h"

#include <assert.h>
#include <string.h>

#include "core/addr.h"
#include "core/be.h"
#include "core/buf.h"
#include "core/hash.h"

struct length_rule {
	uint8_t len; /* 0: no such id */
	bool is_at_least;
};

static const struct length_rule lengths[] = {
	[WIRE_CHOKE] = {1, false},
	[WIRE_UNCHOKE] = {1, false},
	[WIRE_INTERESTED] = {1, false},
	[WIRE_NOT_INTERESTED] = {1, false},
	[WIRE_HAVE] = {5, false},
	[WIRE_BITFIELD] = {1, true},
	[WIRE_REQUEST] = {13, false},
	[WIRE_PIECE] = {WIRE_PIECE_HEADER - 4 + 1, true},
	[WIRE_CANCEL] = {13, false},
	[WIRE_PORT] = {3, false},
	[WIRE_SUGGEST] = {5, false},
	[WIRE_HAVE_ALL] = {1, false},
	[WIRE_HAVE_NONE] = {1, false},
	[WIRE_REJECT] = {13, false},
	[WIRE_ALLOWED_FAST] = {5, false},
	[WIRE_EXTENDED] = {2, true},
	[WIRE_HASH_REQUEST] = {WIRE_HASHES_HEADER, false},
	[WIRE_HASHES] = {WIRE_HASHES_HEADER + WIRE_NODE_BYTES, true},
	[WIRE_HASH_REJECT] = {WIRE_HASHES_HEADER, false},
};

enum { N_LENGTHS = sizeof(lengths) / sizeof(lengths[0]) };

enum wire_result wire_check_length(uint8_t id, size_t len)
{
	const struct length_rule *rule;

	if (id >= N_LENGTHS || lengths[id].len == 0)
		return WIRE_UNKNOWN;
	rule = &lengths[id];
	if (len < rule->len || (len > rule->len && !rule->is_at_least))
		return WIRE_BAD;
	return WIRE_OK;
}

static struct wire_block block_get(const uint8_t *p)
{
	return (struct wire_block){
		.piece_ix = be32_get(p),
		.begin_bytes = be32_get(p + 4),
		.len_bytes = be32_get(p + 8),
	};
}

static struct wire_hashes hashes_get(const uint8_t *p)
{
	struct wire_hashes h = {
		.base = be32_get(p + WIRE_NODE_BYTES),
		.index = be32_get(p + WIRE_NODE_BYTES + 4),
		.length = be32_get(p + WIRE_NODE_BYTES + 8),
		.proof_layers = be32_get(p + WIRE_NODE_BYTES + 12),
	};

	memcpy(h.root, p, sizeof(h.root));
	return h;
}

enum wire_result wire_decode(const uint8_t *msg, size_t len,
			     struct wire_msg *out)
{
	enum wire_result result;

	assert(len >= 1);
	result = wire_check_length(msg[0], len);
	if (result != WIRE_OK)
		return result;

	*out = (struct wire_msg){.id = (enum wire_id)msg[0]};
	switch (out->id) {
	case WIRE_CHOKE:
	case WIRE_UNCHOKE:
	case WIRE_INTERESTED:
	case WIRE_NOT_INTERESTED:
	case WIRE_HAVE_ALL:
	case WIRE_HAVE_NONE:
		break;
	case WIRE_HAVE:
	case WIRE_SUGGEST:
	case WIRE_ALLOWED_FAST:
		out->block.piece_ix = be32_get(msg + 1);
		break;
	case WIRE_REQUEST:
	case WIRE_CANCEL:
	case WIRE_REJECT:
		out->block = block_get(msg + 1);
		break;
	case WIRE_BITFIELD:
		out->body = span_of(msg + 1, len - 1);
		break;
	case WIRE_PORT:
		out->port = be16_get(msg + 1);
		break;
	case WIRE_EXTENDED:
		out->ext_id = msg[1];
		out->body = span_of(msg + 2, len - 2);
		break;
	case WIRE_HASHES:
		if ((len - WIRE_HASHES_HEADER) % WIRE_NODE_BYTES != 0)
			return WIRE_BAD;
		out->body = span_of(msg + WIRE_HASHES_HEADER,
				    len - WIRE_HASHES_HEADER);
		out->span = hashes_get(msg + 1);
		break;
	case WIRE_HASH_REQUEST:
	case WIRE_HASH_REJECT:
		out->span = hashes_get(msg + 1);
		break;
	case WIRE_PIECE:
		return WIRE_BAD;
	}
	return WIRE_OK;
}

enum wire_result wire_decode_piece_header(const uint8_t hdr[WIRE_PIECE_HEADER],
					  struct wire_block *out)
{
	uint32_t len = be32_get(hdr);

	if (hdr[4] != WIRE_PIECE)
		return WIRE_BAD;
	if (wire_check_length(WIRE_PIECE, len) != WIRE_OK)
		return WIRE_BAD;
	*out = (struct wire_block){
		.piece_ix = be32_get(hdr + 5),
		.begin_bytes = be32_get(hdr + 9),
		.len_bytes = len - (WIRE_PIECE_HEADER - 4),
	};
	return WIRE_OK;
}

void wire_put_keepalive(struct buf *out)
{
	buf_add_be32(out, 0);
}

void wire_put_plain(struct buf *out, enum wire_id id)
{
	assert(wire_check_length((uint8_t)id, 1) == WIRE_OK);
	buf_add_be32(out, 1);
	buf_add_u8(out, (uint8_t)id);
}

void wire_put_ix(struct buf *out, enum wire_id id, uint32_t piece_ix)
{
	assert(wire_check_length((uint8_t)id, 5) == WIRE_OK);
	buf_add_be32(out, 5);
	buf_add_u8(out, (uint8_t)id);
	buf_add_be32(out, piece_ix);
}

void wire_put_block(struct buf *out, enum wire_id id,
		    const struct wire_block *b)
{
	assert(wire_check_length((uint8_t)id, 13) == WIRE_OK);
	buf_add_be32(out, 13);
	buf_add_u8(out, (uint8_t)id);
	buf_add_be32(out, b->piece_ix);
	buf_add_be32(out, b->begin_bytes);
	buf_add_be32(out, b->len_bytes);
}

void wire_put_bitfield(struct buf *out, struct span bits)
{
	buf_add_be32(out, (uint32_t)(1 + bits.len));
	buf_add_u8(out, WIRE_BITFIELD);
	buf_add(out, bits.ptr, bits.len);
}

void wire_put_port(struct buf *out, uint16_t port)
{
	buf_add_be32(out, 3);
	buf_add_u8(out, WIRE_PORT);
	buf_add_be16(out, port);
}

void wire_put_extended(struct buf *out, uint8_t ext_id, struct span body)
{
	buf_add_be32(out, (uint32_t)(2 + body.len));
	buf_add_u8(out, WIRE_EXTENDED);
	buf_add_u8(out, ext_id);
	buf_add(out, body.ptr, body.len);
}

static void put_span(struct buf *out, enum wire_id id,
		     const struct wire_hashes *span, size_t body_bytes)
{
	buf_add_be32(out, (uint32_t)(WIRE_HASHES_HEADER + body_bytes));
	buf_add_u8(out, (uint8_t)id);
	buf_add(out, span->root, sizeof(span->root));
	buf_add_be32(out, span->base);
	buf_add_be32(out, span->index);
	buf_add_be32(out, span->length);
	buf_add_be32(out, span->proof_layers);
}

void wire_put_hash_span(struct buf *out, enum wire_id id,
			const struct wire_hashes *span)
{
	assert(wire_check_length((uint8_t)id, WIRE_HASHES_HEADER) == WIRE_OK);
	put_span(out, id, span, 0);
}

void wire_put_hashes(struct buf *out, const struct wire_hashes *span,
		     const uint8_t *hashes, size_t n)
{
	put_span(out, WIRE_HASHES, span, n * WIRE_NODE_BYTES);
	buf_add(out, hashes, n * WIRE_NODE_BYTES);
}

void wire_encode_piece_header(uint8_t out[WIRE_PIECE_HEADER],
			      const struct wire_block *b)
{
	be32_put(out, b->len_bytes + (WIRE_PIECE_HEADER - 4));
	out[4] = WIRE_PIECE;
	be32_put(out + 5, b->piece_ix);
	be32_put(out + 9, b->begin_bytes);
}

bool wire_block_eq(const struct wire_block *a, const struct wire_block *b)
{
	return a->piece_ix == b->piece_ix && a->begin_bytes == b->begin_bytes &&
	       a->len_bytes == b->len_bytes;
}

bool wire_hashes_eq(const struct wire_hashes *a, const struct wire_hashes *b)
{
	return a->base == b->base && a->index == b->index &&
	       a->length == b->length && a->proof_layers == b->proof_layers &&
	       memcmp(a->root, b->root, sizeof(a->root)) == 0;
}

static bool is_in(const uint32_t *set, uint32_t n, uint32_t ix)
{
	for (uint32_t i = 0; i < n; i++)
		if (set[i] == ix)
			return true;
	return false;
}

/* BEP 6, "allowed fast set generation": digests of digests, five indices out
 * of each, starting from the peer's /24 and the info-hash. A set as large as
 * the torrent is closed in on slowly, so that is given out without drawing. */
uint32_t wire_allowed_fast(const struct addr *peer, const uint8_t info_hash[20],
			   uint32_t n_pieces, uint32_t k, uint32_t *out)
{
	uint8_t seed[4 + 20];
	uint8_t digest[HASH_SHA1_BYTES];
	struct hasher *h;
	uint32_t n = 0;

	if (peer->sa.sa_family != AF_INET)
		return 0;
	if (k >= n_pieces) {
		for (n = 0; n < n_pieces; n++)
			out[n] = n;
		return n;
	}
	if (hasher_new(&h) != 0)
		return 0;
	memcpy(seed, &peer->in4.sin_addr, 4);
	seed[3] = 0;
	memcpy(seed + 4, info_hash, 20);
	hasher_once(h, HASH_SHA1, seed, sizeof(seed), digest);
	while (n < k) {
		for (size_t i = 0; i < sizeof(digest) && n < k; i += 4) {
			uint32_t ix = be32_get(digest + i) % n_pieces;

			if (!is_in(out, n, ix))
				out[n++] = ix;
		}
		hasher_once(h, HASH_SHA1, digest, sizeof(digest), digest);
	}
	hasher_free(h);
	return n;
}
