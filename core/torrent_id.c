/* torrent_id — info-hashes as values and as text.
 *
 * A hybrid torrent has two names, and which of them a stranger knows differs:
 * two ids are the same torrent when they share a hash, but not when they
 * contradict each other in the other one. */
#include "core/torrent_id.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "core/hex.h"

const uint8_t *torrent_id_side(const struct torrent_id *id,
			       enum torrent_side side)
{
	const struct info_hash *h = side == TORRENT_V1 ? &id->v1 : &id->v2;

	return h->len != 0 ? h->bytes : NULL;
}

bool torrent_id_side_of(const struct torrent_id *id,
			const uint8_t wire[TORRENT_WIRE_BYTES],
			enum torrent_side *out)
{
	for (enum torrent_side i = TORRENT_V1; i < TORRENT_SIDES; i++) {
		const uint8_t *own = torrent_id_side(id, i);

		if (own == NULL || memcmp(own, wire, TORRENT_WIRE_BYTES) != 0)
			continue;
		*out = i;
		return true;
	}
	return false;
}

const uint8_t *torrent_id_wire(const struct torrent_id *id)
{
	assert(id->v1.len != 0 || id->v2.len != 0);
	return id->v1.len != 0 ? id->v1.bytes : id->v2.bytes;
}

const char *torrent_id_hex(const struct torrent_id *id,
			   char out[TORRENT_HEX_BYTES])
{
	return info_hash_hex(id->v1.len != 0 ? &id->v1 : &id->v2, out);
}

const char *info_hash_hex(const struct info_hash *h,
			  char out[TORRENT_HEX_BYTES])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < h->len; i++) {
		out[2 * i] = digits[h->bytes[i] >> 4];
		out[2 * i + 1] = digits[h->bytes[i] & 15];
	}
	out[2 * (size_t)h->len] = '\0';
	return out;
}

static bool is_same(const struct info_hash *a, const struct info_hash *b)
{
	return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

bool torrent_id_matches(const struct torrent_id *a, const struct torrent_id *b)
{
	bool both_v1 = a->v1.len != 0 && b->v1.len != 0;
	bool both_v2 = a->v2.len != 0 && b->v2.len != 0;

	if (both_v1 && !is_same(&a->v1, &b->v1))
		return false;
	if (both_v2 && !is_same(&a->v2, &b->v2))
		return false;
	return both_v1 || both_v2;
}

/* ---- text ---- */

/* RFC 4648 §6, either case. */
static int base32_value(char c)
{
	if (c >= 'a' && c <= 'z')
		return c - 'a';
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= '2' && c <= '7')
		return c - '2' + 26;
	return -1;
}

/* Digits of `width` bits each; the digits make whole bytes. */
static int parse_digits(struct info_hash *h, const char *text, size_t len,
			unsigned width, int (*value)(char))
{
	uint32_t bits = 0;
	unsigned n_bits = 0;
	uint8_t n = 0;

	for (size_t i = 0; i < len; i++) {
		int v = value(text[i]);

		if (v < 0)
			return EINVAL;
		bits = bits << width | (uint32_t)v;
		n_bits += width;
		if (n_bits >= 8) {
			n_bits -= 8;
			h->bytes[n++] = (uint8_t)(bits >> n_bits);
			bits &= (1u << n_bits) - 1;
		}
	}
	h->len = n;
	return 0;
}

int info_hash_parse(struct info_hash *h, const char *text, size_t len)
{
	*h = (struct info_hash){0};
	if (len == 2 * HASH_SHA1_BYTES || len == 2 * HASH_SHA256_BYTES)
		return parse_digits(h, text, len, 4, hex_value);
	if (len == HASH_SHA1_BYTES * 8 / 5)
		return parse_digits(h, text, len, 5, base32_value);
	return EINVAL;
}
