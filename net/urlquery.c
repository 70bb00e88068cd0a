/* urlquery — queries, read and written.
 *
 * A server reads the first or the last of two equal fields, as it likes. So a
 * URL that brings a field which we add would speak in our name of something
 * else; those who build queries ask urlquery_has first. */
#include "net/urlquery.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "core/buf.h"
#include "core/hex.h"

void urlquery_escape(struct buf *out, const void *ptr, size_t len)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz"
				    "0123456789-._~";
	const uint8_t *p = ptr;

	for (size_t i = 0; i < len; i++) {
		if (memchr(plain, p[i], sizeof(plain) - 1))
			buf_add_u8(out, p[i]);
		else
			buf_addf(out, "%%%02X", p[i]);
	}
}

static const char *query_of(const char *url)
{
	return memchr(url, '?', strcspn(url, "#"));
}

bool urlquery_is_there(const char *url)
{
	return query_of(url) != NULL;
}

/* Is the name of a field, up to `len` bytes at `p`, percent-encoded or not, the
 * word? */
static bool is_name(const char *p, size_t len, const char *word)
{
	while (len > 0 && *word != '\0') {
		int high = len >= 3 && *p == '%' ? hex_value(p[1]) : -1;
		int low = high >= 0 ? hex_value(p[2]) : -1;
		int c = low >= 0 ? high * 16 + low : (unsigned char)*p;

		if (tolower(c) != *word)
			return false;
		p += low >= 0 ? 3 : 1;
		len -= low >= 0 ? 3 : 1;
		word++;
	}
	return len == 0 && *word == '\0';
}

bool urlquery_has(const char *url, const char *const *words, size_t n_words)
{
	const char *end = url + strcspn(url, "#");
	const char *at = query_of(url);

	while (at != NULL && at < end) {
		size_t name = strcspn(++at, "=&;#");

		for (size_t i = 0; i < n_words; i++)
			if (is_name(at, name, words[i]))
				return true;
		at += strcspn(at, "&;#");
	}
	return false;
}

void urlquery_begin(struct buf *out, const char *url)
{
	size_t len = strcspn(url, "#");

	buf_add(out, url, len);
	if (!urlquery_is_there(url))
		buf_add_u8(out, '?');
	else if (url[len - 1] != '?' && url[len - 1] != '&')
		buf_add_u8(out, '&');
}
