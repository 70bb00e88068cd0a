/* Any message is decoded or refused; what was decoded encodes to the same
 * bytes again. */
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "net/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void encode(struct buf *out, const struct wire_msg *m)
{
	switch (m->id) {
	case WIRE_CHOKE:
	case WIRE_UNCHOKE:
	case WIRE_INTERESTED:
	case WIRE_NOT_INTERESTED:
	case WIRE_HAVE_ALL:
	case WIRE_HAVE_NONE:
		wire_put_plain(out, m->id);
		break;
	case WIRE_HAVE:
	case WIRE_SUGGEST:
	case WIRE_ALLOWED_FAST:
		wire_put_ix(out, m->id, m->block.piece_ix);
		break;
	case WIRE_REQUEST:
	case WIRE_CANCEL:
	case WIRE_REJECT:
		wire_put_block(out, m->id, &m->block);
		break;
	case WIRE_BITFIELD:
		wire_put_bitfield(out, m->body);
		break;
	case WIRE_PORT:
		wire_put_port(out, m->port);
		break;
	case WIRE_EXTENDED:
		wire_put_extended(out, m->ext_id, m->body);
		break;
	case WIRE_HASH_REQUEST:
	case WIRE_HASH_REJECT:
		wire_put_hash_span(out, m->id, &m->span);
		break;
	case WIRE_HASHES:
		wire_put_hashes(out, &m->span, m->body.ptr,
				m->body.len / WIRE_NODE_BYTES);
		break;
	case WIRE_PIECE:
		abort();
	}
}

static void try_piece(const uint8_t *data, size_t len)
{
	uint8_t again[WIRE_PIECE_HEADER];
	struct wire_block b;

	if (len < WIRE_PIECE_HEADER)
		return;
	if (wire_decode_piece_header(data, &b) != WIRE_OK)
		return;
	wire_encode_piece_header(again, &b);
	if (memcmp(again, data, sizeof(again)) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct buf out = {0};
	struct wire_msg m;

	try_piece(data, len);
	if (len < 1 || wire_decode(data, len, &m) != WIRE_OK)
		return 0;
	encode(&out, &m);
	if (out.len != len + 4 || memcmp(out.data + 4, data, len) != 0)
		abort();
	buf_fini(&out);
	return 0;
}
