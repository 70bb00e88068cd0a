/* record — see record.h for the format.
 *
 * The file is ours and in a directory that is nobody else's; what is defended
 * against is a disk that lies and a crash in the middle. The checksum is keyed
 * with a constant: it finds damage and keeps no secret. A length is believed
 * only as far as it leads to the next entry: if that one's checksum is right,
 * the damage was in between. */
#include "core/record.h"

#include <string.h>

#include "core/be.h"
#include "core/buf.h"
#include "core/err.h"
#include "core/siphash.h"

enum {
	AT_CHECK = 4,
	AT_KIND = 12,
	AT_BY = 13,
	AT_FLAGS = 14,
	AT_NAME_LEN = 15,
	AT_V1 = 16,
	AT_V2 = 36,
	AT_ADDED = 68,
	AT_TIME = 76,
	AT_SIZE = 84,
	AT_SOURCE = 92,
	AT_SOURCE_LEN = 100,
	AT_NODES = 104,
	AT_SUBDIRS = 108,
	AT_NAME = 112,
	FORGET_BYTES = AT_ADDED,
	ENTRY_MAX = AT_NAME + NAME_BUF_BYTES - 1,
	HAS_V1 = 1,
	HAS_V2 = 2,
	IS_MAGNET = 4,
	FLAGS = HAS_V1 | HAS_V2 | IS_MAGNET,
};

static uint64_t check_of(const uint8_t *entry, size_t len)
{
	static const struct siphash_key key = {UINT64_C(0x73686f616c666967),
					       UINT64_C(0x6c69627261727921)};

	return siphash(&key, entry + AT_KIND, len - AT_KIND);
}

/* ---- writing ---- */

static void put_id(uint8_t *e, const struct torrent_id *id)
{
	if (id->v1.len != 0) {
		e[AT_FLAGS] |= HAS_V1;
		memcpy(e + AT_V1, id->v1.bytes, HASH_SHA1_BYTES);
	}
	if (id->v2.len != 0) {
		e[AT_FLAGS] |= HAS_V2;
		memcpy(e + AT_V2, id->v2.bytes, HASH_SHA256_BYTES);
	}
}

static void add(struct buf *out, uint8_t *e, size_t len)
{
	be32_put(e, (uint32_t)len);
	be64_put(e + AT_CHECK, check_of(e, len));
	buf_add(out, e, len);
}

void record_put(struct buf *out, const struct record *r)
{
	uint8_t e[ENTRY_MAX] = {0};
	size_t n = strlen(r->name);

	e[AT_KIND] = RECORD_KEEP;
	e[AT_BY] = (uint8_t)r->by;
	if (r->is_magnet)
		e[AT_FLAGS] |= IS_MAGNET;
	put_id(e, &r->id);
	e[AT_NAME_LEN] = (uint8_t)n;
	be64_put(e + AT_ADDED, (uint64_t)r->added_s);
	be64_put(e + AT_TIME, (uint64_t)r->time_s);
	be64_put(e + AT_SIZE, r->size_bytes);
	be64_put(e + AT_SOURCE, r->source_at);
	be32_put(e + AT_SOURCE_LEN, r->source_len);
	be32_put(e + AT_NODES, r->n_nodes);
	be32_put(e + AT_SUBDIRS, r->n_subdirs);
	memcpy(e + AT_NAME, r->name, n);
	add(out, e, AT_NAME + n);
}

void record_put_forget(struct buf *out, const struct torrent_id *id)
{
	uint8_t e[FORGET_BYTES] = {0};

	e[AT_KIND] = RECORD_FORGET;
	put_id(e, id);
	add(out, e, sizeof(e));
}

/* ---- reading ---- */

static bool is_known(const uint8_t *e, size_t len)
{
	unsigned flags = e[AT_FLAGS];

	if ((flags & (HAS_V1 | HAS_V2)) == 0 || (flags & ~(unsigned)FLAGS) != 0)
		return false;
	if (e[AT_KIND] == RECORD_FORGET)
		return len == FORGET_BYTES;
	return e[AT_KIND] == RECORD_KEEP && e[AT_BY] < RECORD_BYS &&
	       len >= AT_NAME && len == AT_NAME + (size_t)e[AT_NAME_LEN];
}

static void take_id(const uint8_t *e, struct torrent_id *id)
{
	if (e[AT_FLAGS] & HAS_V1) {
		id->v1.len = HASH_SHA1_BYTES;
		memcpy(id->v1.bytes, e + AT_V1, HASH_SHA1_BYTES);
	}
	if (e[AT_FLAGS] & HAS_V2) {
		id->v2.len = HASH_SHA256_BYTES;
		memcpy(id->v2.bytes, e + AT_V2, HASH_SHA256_BYTES);
	}
}

static void take_rest(const uint8_t *e, struct record *r)
{
	r->by = (enum record_by)e[AT_BY];
	r->is_magnet = (e[AT_FLAGS] & IS_MAGNET) != 0;
	r->added_s = (int64_t)be64_get(e + AT_ADDED);
	r->time_s = (int64_t)be64_get(e + AT_TIME);
	r->size_bytes = be64_get(e + AT_SIZE);
	r->source_at = be64_get(e + AT_SOURCE);
	r->source_len = be32_get(e + AT_SOURCE_LEN);
	r->n_nodes = be32_get(e + AT_NODES);
	r->n_subdirs = be32_get(e + AT_SUBDIRS);
	memcpy(r->name, e + AT_NAME, e[AT_NAME_LEN]);
}

void record_again(const uint8_t *entry, struct record *out)
{
	memset(out, 0, sizeof(*out));
	take_id(entry, &out->id);
	if (entry[AT_KIND] == RECORD_KEEP)
		take_rest(entry, out);
}

int record_take(struct span *in, enum record_kind *kind, struct record *out)
{
	const uint8_t *e = in->ptr;
	size_t len;

	memset(out, 0, sizeof(*out));
	if (in->len == 0)
		return ENODATA;
	len = in->len < FORGET_BYTES ? 0 : be32_get(e);
	if (len < FORGET_BYTES || len > ENTRY_MAX || len > in->len) {
		*in = span_of(NULL, 0);
		return EPROTO;
	}
	*in = span_of(e + len, in->len - len);
	if (be64_get(e + AT_CHECK) != check_of(e, len) || !is_known(e, len))
		return EBADMSG;
	*kind = (enum record_kind)e[AT_KIND];
	take_id(e, &out->id);
	if (*kind == RECORD_KEEP)
		take_rest(e, out);
	return 0;
}
