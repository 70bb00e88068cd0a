/* ext — the payloads of the extension protocol (BEP 10), of ut_metadata (BEP
 * 9) and of lt_donthave (BEP 54).
 *
 * Purpose: bencoded dictionaries from peers become plain structs with every
 * number inside its range, and ours become bytes.
 *
 * Failure modes: a payload that is no dictionary is EBADMSG. A known key whose
 * value has the wrong type or is out of range counts as not said, since
 * clients in the field are careless with keys that we can live without. Only
 * `msg_type` and `piece` of ut_metadata must be right: without them
 * the message means nothing. Keys out of order are let pass for the same
 * reason; nesting and size are held to the limits for the wire.
 *
 * Invariant: text from a peer (`v`) is ASCII and Latin letters only, so it can
 * be shown as it is; whatever else it held became '?'.
 *
 * Not here: framing (wire) and which block to ask of whom (metaget). */
#include "net/ext.h"

#include <errno.h>
#include <string.h>

#include "core/be.h"
#include "core/bencode.h"
#include "core/buf.h"
#include "core/core_limits.h"
#include "net/net_limits.h"

enum { METADATA_BLOCKS_MAX = METAINFO_WIRE_BYTES / EXT_METADATA_BLOCK };

static int decode(struct benc *doc, struct span body, unsigned flags)
{
	const struct benc_limits limits = {
		.depth = BENCODE_DEPTH_WIRE,
		.tokens = BENCODE_TOKENS_WIRE,
		.flags = BENCODE_LAX_KEYS | flags,
	};
	int err = benc_decode(doc, body.ptr, body.len, &limits, NULL);

	if (err != 0)
		return err == ENOMEM ? ENOMEM : EBADMSG;
	if (!benc_is(doc, BENC_ROOT, BENC_DICT)) {
		benc_fini(doc);
		return EBADMSG;
	}
	return 0;
}

/* The value of `key` if it is a number in 1 … max, else 0. */
static uint32_t get_number(const struct benc *doc, benc_ref dict,
			   const char *key, uint32_t max)
{
	int64_t v;

	if (!benc_get_int(doc, dict, key, &v) || v < 1 || v > max)
		return 0;
	return (uint32_t)v;
}

/* A two-byte UTF-8 sequence for U+00A1 … U+024F but the soft hyphen: Latin
 * letters and signs, as in "µTorrent", and nothing that a terminal obeys. */
static bool is_latin(const uint8_t *p, size_t len)
{
	uint32_t c;

	if (len < 2 || (p[0] & 0xE0) != 0xC0 || (p[1] & 0xC0) != 0x80)
		return false;
	c = ((uint32_t)(p[0] & 0x1F) << 6) | (p[1] & 0x3F);
	return c >= 0xA1 && c <= 0x24F && c != 0xAD;
}

static void copy_printable(char out[EXT_CLIENT_BYTES], struct span raw)
{
	size_t n = 0;

	for (size_t i = 0; i < raw.len && n + 2 < EXT_CLIENT_BYTES; i++) {
		if (is_latin(raw.ptr + i, raw.len - i)) {
			memcpy(out + n, raw.ptr + i++, 2);
			n += 2;
		} else if (raw.ptr[i] >= 0x20 && raw.ptr[i] < 0x7F) {
			out[n++] = (char)raw.ptr[i];
		} else {
			out[n++] = '?';
		}
	}
	out[n] = '\0';
}

/* yourip: 4 or 16 bytes, a compact address without its port. */
static bool get_yourip(struct span raw, struct addr *out)
{
	uint8_t compact[ADDR_COMPACT6] = {0};

	if (raw.len != ADDR_COMPACT4 - 2 && raw.len != ADDR_COMPACT6 - 2)
		return false;
	memcpy(compact, raw.ptr, raw.len);
	return addr_from_compact(out, compact, raw.len + 2) == 0;
}

/* The id that `name` gets in `m`: 0 also when it is switched off again. */
static uint8_t get_id(const struct benc *doc, benc_ref m, const char *name,
		      unsigned bit, unsigned *says)
{
	if (benc_get(doc, m, name) != BENC_NONE)
		*says |= bit;
	return (uint8_t)get_number(doc, m, name, UINT8_MAX);
}

static void read_ids(const struct benc *doc, struct ext_handshake *out)
{
	benc_ref m = benc_get_type(doc, BENC_ROOT, "m", BENC_DICT);

	out->ut_metadata =
		get_id(doc, m, "ut_metadata", EXT_SAYS_UT_METADATA, &out->says);
	out->ut_pex = get_id(doc, m, "ut_pex", EXT_SAYS_UT_PEX, &out->says);
	out->lt_donthave =
		get_id(doc, m, "lt_donthave", EXT_SAYS_LT_DONTHAVE, &out->says);
}

int ext_decode_handshake(struct span body, struct ext_handshake *out)
{
	struct benc doc;
	struct span text;
	int err;

	err = decode(&doc, body, 0);
	if (err != 0)
		return err;

	*out = (struct ext_handshake){0};
	read_ids(&doc, out);
	out->metadata_bytes = get_number(&doc, BENC_ROOT, "metadata_size",
					 METAINFO_WIRE_BYTES);
	out->reqq = get_number(&doc, BENC_ROOT, "reqq", EXT_REQQ_MAX);
	out->listen_port =
		(uint16_t)get_number(&doc, BENC_ROOT, "p", UINT16_MAX);
	out->upload_only = get_number(&doc, BENC_ROOT, "upload_only", 1) != 0;
	if (benc_get(&doc, BENC_ROOT, "upload_only") != BENC_NONE)
		out->says |= EXT_SAYS_UPLOAD_ONLY;
	if (benc_get_str(&doc, BENC_ROOT, "v", &text))
		copy_printable(out->client, text);
	if (benc_get_str(&doc, BENC_ROOT, "yourip", &text))
		out->has_yourip = get_yourip(text, &out->yourip);
	benc_fini(&doc);
	return 0;
}

static void put_int(struct buf *out, const char *key, uint32_t v)
{
	benc_put_cstr(out, key);
	benc_put_int(out, v);
}

/* Keys in ascending order, as BEP 3 wants them. */
void ext_put_handshake(struct buf *out, const struct ext_ours *ours)
{
	uint8_t compact[ADDR_COMPACT6];
	size_t compact_len = addr_to_compact(ours->to, compact);

	benc_put_dict(out);
	benc_put_cstr(out, "m");
	benc_put_dict(out);
	put_int(out, "lt_donthave", EXT_ID_LT_DONTHAVE);
	put_int(out, "ut_metadata", EXT_ID_UT_METADATA);
	put_int(out, "ut_pex", ours->takes_pex ? EXT_ID_UT_PEX : 0);
	benc_put_end(out);
	if (ours->metadata_bytes != 0)
		put_int(out, "metadata_size", ours->metadata_bytes);
	if (ours->listen_port != 0)
		put_int(out, "p", ours->listen_port);
	put_int(out, "reqq", ours->reqq);
	put_int(out, "upload_only", ours->is_upload_only);
	benc_put_cstr(out, "v");
	benc_put_cstr(out, "shoalfs " SHOAL_VERSION);
	benc_put_cstr(out, "yourip");
	benc_put_str(out, compact, compact_len - 2);
	benc_put_end(out);
}

static int read_metadata(const struct benc *doc, struct span body,
			 struct ext_metadata *out)
{
	int64_t type, piece;

	if (!benc_get_int(doc, BENC_ROOT, "msg_type", &type))
		return EBADMSG;
	if (type < EXT_METADATA_REQUEST || type > EXT_METADATA_REJECT)
		return EAGAIN;
	if (!benc_get_int(doc, BENC_ROOT, "piece", &piece) || piece < 0 ||
	    piece >= METADATA_BLOCKS_MAX)
		return EBADMSG;

	*out = (struct ext_metadata){
		.type = (enum ext_metadata_type)type,
		.piece_ix = (uint32_t)piece,
	};
	if (out->type != EXT_METADATA_DATA)
		return 0;
	out->total_bytes =
		get_number(doc, BENC_ROOT, "total_size", METAINFO_WIRE_BYTES);
	out->data = span_of(body.ptr + doc->len, body.len - doc->len);
	if (out->data.len == 0 || out->data.len > EXT_METADATA_BLOCK)
		return EBADMSG;
	return 0;
}

int ext_decode_metadata(struct span body, struct ext_metadata *out)
{
	struct benc doc;
	int err;

	/* BEP 9: the block follows the dictionary, outside of bencoding. */
	err = decode(&doc, body, BENCODE_TRAILING_OK);
	if (err != 0)
		return err;
	err = read_metadata(&doc, body, out);
	benc_fini(&doc);
	return err;
}

void ext_put_metadata(struct buf *out, const struct ext_metadata *m)
{
	benc_put_dict(out);
	put_int(out, "msg_type", m->type);
	put_int(out, "piece", m->piece_ix);
	if (m->type == EXT_METADATA_DATA)
		put_int(out, "total_size", m->total_bytes);
	benc_put_end(out);
	if (m->type == EXT_METADATA_DATA)
		buf_add(out, m->data.ptr, m->data.len);
}

int ext_decode_donthave(struct span body, uint32_t *piece_ix)
{
	if (body.len != 4)
		return EBADMSG;
	*piece_ix = be32_get(body.ptr);
	return 0;
}

void ext_put_donthave(struct buf *out, uint32_t piece_ix)
{
	buf_add_be32(out, piece_ix);
}
