/* wire — the messages between peers, encoded and decoded (BEP 3, 6, 10, 52).
 * Pure: bytes in, a struct out; no I/O, no allocation. */
#ifndef SHOAL_NET_WIRE_H
#define SHOAL_NET_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/span.h"

struct addr;
struct buf;

enum wire_id {
	WIRE_CHOKE = 0,
	WIRE_UNCHOKE = 1,
	WIRE_INTERESTED = 2,
	WIRE_NOT_INTERESTED = 3,
	WIRE_HAVE = 4,
	WIRE_BITFIELD = 5,
	WIRE_REQUEST = 6,
	WIRE_PIECE = 7,
	WIRE_CANCEL = 8,
	WIRE_PORT = 9,	   /* BEP 5 */
	WIRE_SUGGEST = 13, /* BEP 6 … */
	WIRE_HAVE_ALL = 14,
	WIRE_HAVE_NONE = 15,
	WIRE_REJECT = 16,
	WIRE_ALLOWED_FAST = 17,
	WIRE_EXTENDED = 20,	/* BEP 10 */
	WIRE_HASH_REQUEST = 21, /* BEP 52 … */
	WIRE_HASHES = 22,
	WIRE_HASH_REJECT = 23,
};

enum {
	WIRE_BLOCK_BYTES = 16 << 10,
	WIRE_PIECE_HEADER = 13, /* length, id, index, begin */
	WIRE_NODE_BYTES = 32,
	WIRE_HASHES_HEADER = 49, /* id, root, four numbers */
};

/* A block of a piece: what REQUEST, CANCEL, REJECT and PIECE speak of. */
struct wire_block {
	uint32_t piece_ix;
	uint32_t begin_bytes;
	uint32_t len_bytes;
};

/* What HASH_REQUEST, HASHES and HASH_REJECT speak of: numbers of a stranger's,
 * whatever they are (core/layers.h says what they mean). */
struct wire_hashes {
	uint8_t root[WIRE_NODE_BYTES];
	uint32_t base, index, length, proof_layers;
};

struct wire_msg {
	enum wire_id id;
	struct wire_block block; /* piece_ix alone for HAVE, SUGGEST,
				    ALLOWED_FAST */
	uint16_t port;		 /* PORT */
	uint8_t ext_id;		 /* EXTENDED */
	struct wire_hashes span; /* HASH_REQUEST, HASHES, HASH_REJECT */
	struct span body;	 /* BITFIELD, EXTENDED (behind ext_id), HASHES:
				    a multiple of WIRE_NODE_BYTES */
};

enum wire_result {
	WIRE_OK,
	WIRE_UNKNOWN, /* an id we do not know: skip it (BEP 3) */
	WIRE_BAD,     /* the length does not fit the id */
};

/* wire_decode — one message without its length prefix (len >= 1; PIECE is not
 * decoded here but in peerio, which does not gather its body). */
enum wire_result wire_decode(const uint8_t *msg, size_t len,
			     struct wire_msg *out);

/* wire_check_length — may a message of this id be `len` bytes long (its id
 * included)? Asked before its body is gathered; no upper bound for BITFIELD,
 * EXTENDED, HASHES and PIECE, which is the caller's to set. */
enum wire_result wire_check_length(uint8_t id, size_t len);

/* wire_decode_piece_header — the first 13 bytes of a PIECE message, length
 * prefix included. WIRE_BAD when it is none, or has no bytes behind it. */
enum wire_result wire_decode_piece_header(const uint8_t hdr[WIRE_PIECE_HEADER],
					  struct wire_block *out);

/* Encoders append to `out`. */
void wire_put_keepalive(struct buf *out);
void wire_put_plain(struct buf *out, enum wire_id id); /* CHOKE … HAVE_NONE */
void wire_put_ix(struct buf *out, enum wire_id id, uint32_t piece_ix);
void wire_put_block(struct buf *out, enum wire_id id,
		    const struct wire_block *b); /* REQUEST, CANCEL, REJECT */
void wire_put_bitfield(struct buf *out, struct span bits);
void wire_put_port(struct buf *out, uint16_t port);
void wire_put_extended(struct buf *out, uint8_t ext_id, struct span body);
void wire_put_hash_span(struct buf *out, enum wire_id id,
			const struct wire_hashes *span); /* HASH_REQUEST,
							    HASH_REJECT */
void wire_put_hashes(struct buf *out, const struct wire_hashes *span,
		     const uint8_t *hashes, size_t n);
void wire_encode_piece_header(uint8_t out[WIRE_PIECE_HEADER],
			      const struct wire_block *b);

bool wire_block_eq(const struct wire_block *a, const struct wire_block *b);
bool wire_hashes_eq(const struct wire_hashes *a, const struct wire_hashes *b);

/* wire_allowed_fast — BEP 6's canonical set for a peer's IPv4 address: up to
 * `k` piece indices into `out`, how many is returned. 0 for IPv6, and when
 * there is no memory for a digest. */
uint32_t wire_allowed_fast(const struct addr *peer, const uint8_t info_hash[20],
			   uint32_t n_pieces, uint32_t k, uint32_t *out);

#endif
