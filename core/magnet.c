/* magnet — magnet links, read and written.
 *
 * Happy path: the text after "magnet:?" is cut at '&' into "key=value"
 * fields; each value is percent-decoded into a buffer of the link's own
 * length, judged by its key, and kept or left out. A key may carry a number
 * ("tr.1"), which means nothing.
 *
 * What is wrong in an xt, an xs or its s refuses the link, since they say which
 * torrent is meant; anything else that is wrong is left out.
 *
 * A shell that sees an unquoted '&' hands over only what is before it. What
 * is left is often a valid link, and nothing can be done then; where the xt
 * was behind it, the text of the error says so. */
#include "core/magnet.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/buf.h"
#include "core/core_limits.h"
#include "core/hex.h"
#include "core/mem.h"
#include "core/name.h"
#include "core/urlcheck.h"

static const char scheme[] = "magnet:?";

enum { PEER_TEXT_MAX_BYTES = 253 + 6 }; /* a DNS name and ":65535" */

static int refuse(struct mi_error *err, int code, const char *why)
{
	(void)snprintf(err->text, sizeof(err->text), "%s", why);
	return code;
}

bool magnet_is(const char *text)
{
	return strncasecmp(text, "magnet:", strlen("magnet:")) == 0;
}

/* ---- fields ---- */

/* Percent-decoding; a '%' that begins nothing stays. An unescaped '+' becomes
 * `plus`: a space in names, itself elsewhere. */
static struct span unescape(struct span in, uint8_t plus, uint8_t *out)
{
	size_t n = 0;

	for (size_t i = 0; i < in.len; i++) {
		int high = -1;
		int low = -1;

		if (in.ptr[i] == '%' && i + 2 < in.len) {
			high = hex_value((char)in.ptr[i + 1]);
			low = hex_value((char)in.ptr[i + 2]);
		}
		if (high >= 0 && low >= 0) {
			out[n++] = (uint8_t)(high << 4 | low);
			i += 2;
		} else {
			out[n++] = in.ptr[i] == '+' ? plus : in.ptr[i];
		}
	}
	return span_of(out, n);
}

/* "tr" and "tr.7" are both the key "tr". */
static bool is_key(struct span key, const char *name)
{
	size_t len = strlen(name);

	if (key.len < len || strncasecmp((const char *)key.ptr, name, len) != 0)
		return false;
	if (key.len > len && key.ptr[len++] != '.')
		return false;
	for (; len < key.len; len++)
		if (key.ptr[len] < '0' || key.ptr[len] > '9')
			return false;
	return true;
}

static bool skip_prefix(struct span *s, const char *prefix)
{
	size_t len = strlen(prefix);

	if (s->len < len || strncasecmp((const char *)s->ptr, prefix, len) != 0)
		return false;
	s->ptr += len;
	s->len -= len;
	return true;
}

/* The first of several hashes of one kind counts. */
static int take_xt(struct magnet *m, struct span value, struct mi_error *err)
{
	struct info_hash h;

	if (skip_prefix(&value, "urn:btih:")) {
		if (info_hash_parse(&h, (const char *)value.ptr, value.len) !=
			    0 ||
		    h.len != HASH_SHA1_BYTES)
			return refuse(err, EINVAL,
				      "the btih hash is not 40 hex or 32 "
				      "base32 digits");
		if (m->id.v1.len == 0)
			m->id.v1 = h;
	} else if (skip_prefix(&value, "urn:btmh:")) {
		/* A multihash: 0x12 is SHA-256, 0x20 its length. */
		if (!skip_prefix(&value, "1220") ||
		    info_hash_parse(&h, (const char *)value.ptr, value.len) !=
			    0 ||
		    h.len != HASH_SHA256_BYTES)
			return refuse(err, EINVAL,
				      "the btmh hash is not 1220 and 64 hex "
				      "digits");
		if (m->id.v2.len == 0)
			m->id.v2 = h;
	}
	return 0;
}

/* Of what is no key of BEP 46 (a URL, as a rule) we know nothing. */
static int take_xs(struct magnet *m, struct span value, struct mi_error *err)
{
	if (!skip_prefix(&value, "urn:btpk:"))
		return 0;
	if (btpk_set_key(&m->btpk, value) != 0)
		return refuse(err, EINVAL, "the btpk key is not 64 hex digits");
	m->has_key = true;
	return 0;
}

static int take_salt(struct magnet *m, struct span value, struct mi_error *err)
{
	if (btpk_set_salt(&m->btpk, value) != 0)
		return refuse(err, EINVAL,
			      "the salt (s=) is not at most 64 bytes in hex");
	return 0;
}

static int take_name(struct magnet *m, struct span value)
{
	char name[NAME_BUF_BYTES];

	if (value.len == 0 || m->name)
		return 0;
	name_clean(value.ptr, value.len, name);
	m->name = mem_strdup(name);
	return m->name ? 0 : ENOMEM;
}

static int add_text(char ***list, uint32_t *n, uint32_t max, struct span text)
{
	char **grown;

	for (uint32_t i = 0; i < *n; i++)
		if (span_is(text, (*list)[i]))
			return 0;
	if (*n == max)
		return 0;
	grown = mem_grow(*list, *n + 1, sizeof(**list));
	if (!grown)
		return ENOMEM;
	*list = grown;
	grown[*n] = mem_dup(text.ptr, text.len);
	if (!grown[*n])
		return ENOMEM;
	(*n)++;
	return 0;
}

/* "host:port", the host a name or an address, printable. */
static bool is_peer(struct span text)
{
	size_t digits = 0;
	uint32_t port = 0;

	if (text.len > PEER_TEXT_MAX_BYTES)
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f ||
		    text.ptr[i] == '/' || text.ptr[i] == '@')
			return false;
	while (digits < text.len) {
		uint8_t c = text.ptr[text.len - 1 - digits];

		if (c < '0' || c > '9')
			break;
		digits++;
	}
	if (digits == 0 || digits > 5 || text.len < digits + 2 ||
	    text.ptr[text.len - digits - 1] != ':')
		return false;
	for (size_t i = text.len - digits; i < text.len; i++)
		port = port * 10 + (uint32_t)(text.ptr[i] - '0');
	return port > 0 && port <= UINT16_MAX;
}

/* ---- so: "0,2,4-7" (BEP 53) ---- */

static bool read_index(struct span *s, uint32_t *out)
{
	uint64_t v = 0;
	size_t n = 0;

	while (n < s->len && s->ptr[n] >= '0' && s->ptr[n] <= '9' && n < 10)
		v = v * 10 + (uint64_t)(s->ptr[n++] - '0');
	if (n == 0 || v >= METAINFO_MAX_FILES)
		return false;
	s->ptr += n;
	s->len -= n;
	*out = (uint32_t)v;
	return true;
}

static bool read_range(struct span s, struct magnet_range *r)
{
	if (!read_index(&s, &r->first))
		return false;
	r->last = r->first;
	if (skip_prefix(&s, "-") && !read_index(&s, &r->last))
		return false;
	return s.len == 0 && r->first <= r->last;
}

static int take_select(struct magnet *m, struct span value)
{
	while (value.len > 0 && m->n_select < MAGNET_MAX_SELECT) {
		const uint8_t *comma = memchr(value.ptr, ',', value.len);
		size_t len = comma ? (size_t)(comma - value.ptr) : value.len;
		struct magnet_range range;
		struct magnet_range *grown;

		if (read_range(span_of(value.ptr, len), &range)) {
			grown = mem_grow(m->select, m->n_select + 1,
					 sizeof(*grown));
			if (!grown)
				return ENOMEM;
			m->select = grown;
			grown[m->n_select++] = range;
		}
		len += comma ? 1 : 0;
		value.ptr += len;
		value.len -= len;
	}
	return 0;
}

/* ---- the link ---- */

/* `raw` is still escaped; `room` has as many bytes. */
static int take_field(struct magnet *m, struct span key, struct span raw,
		      uint8_t *room, struct mi_error *err)
{
	bool is_name = is_key(key, "dn");
	struct span value = unescape(raw, is_name ? ' ' : '+', room);

	if (is_name)
		return take_name(m, value);
	if (is_key(key, "xt"))
		return take_xt(m, value, err);
	if (is_key(key, "xs"))
		return take_xs(m, value, err);
	if (is_key(key, "s"))
		return take_salt(m, value, err);
	if (is_key(key, "x.pe"))
		return is_peer(value) ? add_text(&m->peers, &m->n_peers,
						 MAGNET_MAX_PEERS, value)
				      : 0;
	if (is_key(key, "so"))
		return take_select(m, value);
	value = urlcheck_trim(value);
	if (is_key(key, "tr") && urlcheck_is_tracker(value))
		return add_text(&m->trackers, &m->n_trackers,
				METAINFO_MAX_TRACKERS, value);
	if (is_key(key, "ws") && urlcheck_is_web_seed(value))
		return add_text(&m->web_seeds, &m->n_web_seeds,
				METAINFO_MAX_WEB_SEEDS, value);
	return 0;
}

static int take_fields(struct magnet *m, const char *text, uint8_t *room,
		       struct mi_error *err)
{
	while (*text != '\0') {
		size_t len = strcspn(text, "&");
		struct span field = span_of(text, len);
		const uint8_t *eq;
		size_t n_key;
		int r;

		/* A link copied out of a page's source has "&amp;". */
		(void)skip_prefix(&field, "amp;");
		eq = memchr(field.ptr, '=', field.len);
		if (eq) {
			n_key = (size_t)(eq - field.ptr);
			r = take_field(m, span_of(field.ptr, n_key),
				       span_of(eq + 1, field.len - n_key - 1),
				       room, err);
			if (r != 0)
				return r;
		}
		text += len;
		text += *text == '&' ? 1 : 0;
	}
	if (m->id.v1.len == 0 && m->id.v2.len == 0 && !m->has_key)
		return refuse(err, EINVAL,
			      "the link names no torrent (no xt=urn:btih or "
			      "btmh); if it is longer than this, quote it: the "
			      "shell cuts it at '&'");
	return 0;
}

int magnet_parse(const char *text, struct magnet **out, struct mi_error *err)
{
	size_t len = strlen(text);
	struct magnet *m;
	uint8_t *room;
	int r = ENOMEM;

	*out = NULL;
	*err = (struct mi_error){0};
	if (len > MAGNET_MAX_BYTES)
		return refuse(err, EFBIG, "the link is longer than 64 KiB");
	if (strncasecmp(text, scheme, strlen(scheme)) != 0)
		return refuse(err, EINVAL, "this is no magnet link");

	m = mem_new(struct magnet);
	room = mem_alloc(len);
	if (m && room)
		r = take_fields(m, text + strlen(scheme), room, err);
	mem_free(room);
	if (r != 0) {
		magnet_free(m);
		return r;
	}
	*out = m;
	return 0;
}

static void free_texts(char **list, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		mem_free(list[i]);
	mem_free(list);
}

void magnet_free(struct magnet *m)
{
	if (!m)
		return;
	mem_free(m->name);
	free_texts(m->trackers, m->n_trackers);
	free_texts(m->peers, m->n_peers);
	free_texts(m->web_seeds, m->n_web_seeds);
	mem_free(m->select);
	mem_free(m);
}

/* ---- writing ---- */

/* RFC 3986's unreserved characters, and ':' '[' ']' of an address. */
static bool is_plain(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z') || (c != 0 && strchr("-._~:[]", c));
}

static void put_field(struct buf *out, const char *key, const char *value)
{
	buf_addf(out, "&%s=", key);
	for (; *value != '\0'; value++) {
		uint8_t c = (uint8_t)*value;

		if (is_plain(c))
			buf_add_u8(out, c);
		else
			buf_addf(out, "%%%02X", (unsigned)c);
	}
}

static void put_hash(struct buf *out, const char *prefix,
		     const struct info_hash *h)
{
	if (h->len == 0)
		return;
	/* The first field follows the '?', the others an '&'. */
	if (out->data[out->len - 1] != '?')
		buf_add_u8(out, '&');
	buf_add_str(out, prefix);
	for (size_t i = 0; i < h->len; i++)
		buf_addf(out, "%02x", (unsigned)h->bytes[i]);
}

char *magnet_format(const struct torrent_id *id, const char *name,
		    const char *const *trackers, uint32_t n_trackers,
		    const char *const *peers, uint32_t n_peers)
{
	struct buf out = {0};
	char *text = NULL;

	buf_add_str(&out, scheme);
	if (buf_err(&out) == 0) {
		put_hash(&out, "xt=urn:btih:", &id->v1);
		put_hash(&out, "xt=urn:btmh:1220", &id->v2);
	}
	if (name)
		put_field(&out, "dn", name);
	for (uint32_t i = 0; i < n_trackers; i++)
		put_field(&out, "tr", trackers[i]);
	for (uint32_t i = 0; i < n_peers; i++)
		put_field(&out, "x.pe", peers[i]);
	if (buf_err(&out) == 0)
		text = mem_dup(out.data, out.len);
	buf_fini(&out);
	return text;
}
