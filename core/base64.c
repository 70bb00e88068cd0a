/* base64 — three bytes are four digits of six bits; what the last group lacks
 * is "=". The decoder takes what the encoder gives and nothing else: no white
 * space, no missing padding, no stray bits. */
#include "core/base64.h"

#include <string.h>

#include "core/err.h"
#include "core/mem.h"

static const char digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	char *out, *at;

	if (len > SIZE_MAX / 4)
		return NULL;
	out = at = mem_alloc((len + 2) / 3 * 4 + 1);
	if (out == NULL)
		return NULL;
	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		uint32_t v = (uint32_t)p[i] << 16;

		if (n > 1)
			v |= (uint32_t)p[i + 1] << 8;
		if (n > 2)
			v |= p[i + 2];
		*at++ = digits[v >> 18];
		*at++ = digits[v >> 12 & 63];
		*at++ = n > 1 ? digits[v >> 6 & 63] : '=';
		*at++ = n > 2 ? digits[v & 63] : '=';
	}
	*at = '\0';
	return out;
}

static int digit(char c)
{
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

/* `n` bytes of a group; false: it is none. */
static int group(const char *text, size_t n, uint8_t *out)
{
	uint32_t v = 0;

	for (size_t i = 0; i < 4; i++) {
		int d = i <= n ? digit(text[i]) : 0;

		if (d < 0)
			return EBADMSG;
		v = v << 6 | (uint32_t)d;
	}
	if ((v & ((UINT32_C(1) << (24 - 8 * n)) - 1)) != 0)
		return EBADMSG;
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)(v >> (16 - 8 * i));
	return 0;
}

int base64_decode(const char *text, size_t len, uint8_t **out, size_t *out_len)
{
	size_t pad = 0, n;
	uint8_t *bytes;
	int err = 0;

	if (len % 4 != 0)
		return EBADMSG;
	if (len > 0 && text[len - 1] == '=')
		pad = text[len - 2] == '=' ? 2 : 1;
	n = len / 4 * 3 - pad;
	bytes = mem_alloc(n);
	if (bytes == NULL)
		return ENOMEM;
	for (size_t i = 0, at = 0; err == 0 && i < len; i += 4, at += 3)
		err = group(text + i, n - at < 3 ? n - at : 3, bytes + at);
	if (err != 0) {
		mem_free(bytes);
		return err;
	}
	*out = bytes;
	*out_len = n;
	return 0;
}
