/* btpk — keys that name torrents, as text, and what they sign.
 *
 * A salt is bytes. In a name it is written as magnet links write it (BEP 46,
 * "s="), in hex: so every salt has exactly one name, which no file system and
 * no shell stumbles over, and the longest, 64 bytes, fits into 255. */
#include "core/btpk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/bencode.h"
#include "core/hex.h"

static const char prefix[] = "btpk-";

bool btpk_eq(const struct btpk *a, const struct btpk *b)
{
	return a->salt_len == b->salt_len &&
	       memcmp(a->key, b->key, sizeof(a->key)) == 0 &&
	       memcmp(a->salt, b->salt, a->salt_len) == 0;
}

/* ---- text ---- */

static bool read_hex(uint8_t *out, struct span hex)
{
	for (size_t i = 0; i + 1 < hex.len; i += 2) {
		int high = hex_value((char)hex.ptr[i]);
		int low = hex_value((char)hex.ptr[i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i / 2] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static size_t write_hex(char *out, const uint8_t *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	out[2 * n] = '\0';
	return 2 * n;
}

int btpk_set_key(struct btpk *b, struct span hex)
{
	if (hex.len != 2 * sizeof(b->key) || !read_hex(b->key, hex))
		return EINVAL;
	return 0;
}

int btpk_set_salt(struct btpk *b, struct span hex)
{
	uint8_t salt[BTPK_SALT_MAX] = {0};

	if (hex.len % 2 != 0 || hex.len > 2 * sizeof(salt) ||
	    !read_hex(salt, hex))
		return EINVAL;
	memcpy(b->salt, salt, sizeof(salt));
	b->salt_len = (uint8_t)(hex.len / 2);
	return 0;
}

int btpk_parse(struct btpk *out, const char *name)
{
	enum { KEY_AT = sizeof(prefix) - 1, KEY_END = KEY_AT + 64 };
	struct btpk b = {.salt_len = 0};
	size_t len = strlen(name);

	if (strncmp(name, prefix, KEY_AT) != 0 || len < KEY_END ||
	    btpk_set_key(&b, span_of(name + KEY_AT, 64)) != 0)
		return EINVAL;
	if (len > KEY_END &&
	    (name[KEY_END] != '-' || len == KEY_END + 1 ||
	     btpk_set_salt(&b, span_str(name + KEY_END + 1)) != 0))
		return EINVAL;
	*out = b;
	return 0;
}

static const char *write_text(char *out, const char *before,
			      const struct btpk *b, const char *between)
{
	size_t n = strlen(before);

	memcpy(out, before, n);
	n += write_hex(out + n, b->key, sizeof(b->key));
	if (b->salt_len == 0)
		return out;
	memcpy(out + n, between, strlen(between));
	n += strlen(between);
	(void)write_hex(out + n, b->salt, b->salt_len);
	return out;
}

const char *btpk_name(const struct btpk *b, char out[BTPK_NAME_BYTES])
{
	return write_text(out, prefix, b, "-");
}

const char *btpk_magnet(const struct btpk *b, char out[BTPK_MAGNET_BYTES])
{
	return write_text(out, "magnet:?xs=urn:btpk:", b, "&s=");
}

/* ---- the value ---- */

int btpk_value_read(struct info_hash *out, struct span value)
{
	const struct benc_limits limits = {.depth = BENCODE_DEPTH_WIRE,
					   .tokens = BTPK_VALUE_TOKENS};
	struct span ih = {0};
	struct benc doc;
	int r = benc_decode(&doc, value.ptr, value.len, &limits, NULL);

	*out = (struct info_hash){0};
	if (r != 0)
		return r == ENOMEM ? ENOMEM : EBADMSG;
	if (benc_get_str(&doc, BENC_ROOT, "ih", &ih) &&
	    (ih.len == HASH_SHA1_BYTES || ih.len == HASH_SHA256_BYTES)) {
		memcpy(out->bytes, ih.ptr, ih.len);
		out->len = (uint8_t)ih.len;
	}
	benc_fini(&doc);
	return out->len != 0 ? 0 : EBADMSG;
}

size_t btpk_value_write(const struct info_hash *h,
			uint8_t out[BTPK_VALUE_BYTES])
{
	int n = snprintf((char *)out, BTPK_VALUE_BYTES, "d2:ih%u:", h->len);
	size_t at = (size_t)n;

	memcpy(out + at, h->bytes, h->len);
	at += h->len;
	out[at++] = 'e';
	return at;
}
