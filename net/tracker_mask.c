/* tracker_mask — an announce URL without its secret, for logs and status.
 *
 * Private trackers put a passkey into the URL: as a segment of the path
 * (/0123abcd…/announce), as a value of the query (?passkey=…) or as user
 * information (user:secret@). Who has it downloads in its owner's name, and
 * logs get pasted into bug reports.
 *
 * What is replaced by "…": user information; every value of the query; each
 * segment of the path that looks like a key, which is ten characters or more
 * with a digit among them, or twenty of any kind. A mask too many costs a
 * reader nothing, so the rule leans that way. Control bytes become '?'. */
#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "net/tracker.h"

enum { KEY_WITH_DIGIT_BYTES = 10, KEY_BYTES = 20 };

static const char dots[] = "\xe2\x80\xa6"; /* "…" */

struct out {
	char *at;
	size_t left; /* without the NUL */
};

static void put(struct out *o, const char *s, size_t len)
{
	/* Cut at the first thing that does not fit, not in the midst of it. */
	if (len > o->left) {
		o->left = 0;
		return;
	}
	for (size_t i = 0; i < len; i++)
		*o->at++ = iscntrl((unsigned char)s[i]) ? '?' : s[i];
	o->left -= len;
}

static void put_dots(struct out *o)
{
	if (sizeof(dots) - 1 > o->left) {
		o->left = 0;
		return;
	}
	memcpy(o->at, dots, sizeof(dots) - 1);
	o->at += sizeof(dots) - 1;
	o->left -= sizeof(dots) - 1;
}

static bool is_key(const char *s, size_t len)
{
	bool digit = false;

	for (size_t i = 0; i < len; i++)
		digit = digit || isdigit((unsigned char)s[i]);
	return len >= KEY_BYTES || (digit && len >= KEY_WITH_DIGIT_BYTES);
}

/* "a/b/c" with its separators. */
static void put_path(struct out *o, const char *s, size_t len)
{
	while (len > 0) {
		size_t n = 0;

		while (n < len && s[n] != '/')
			n++;
		if (is_key(s, n))
			put_dots(o);
		else
			put(o, s, n);
		if (n < len)
			put(o, s + n++, 1);
		s += n;
		len -= n;
	}
}

/* "?a=b&c=d": the names stay. A parameter without a name is a value. */
static void put_query(struct out *o, const char *s)
{
	while (*s) {
		size_t n;

		put(o, s++, 1);
		n = strcspn(s, "=&;");
		if (s[n] == '=') {
			put(o, s, n + 1);
			put_dots(o);
		} else if (n > 0) {
			put_dots(o);
		}
		s += strcspn(s, "&;");
	}
}

void tracker_mask(const char *url, char *out, size_t cap)
{
	struct out o = {.at = out, .left = cap - 1};
	const char *host = strstr(url, "://");
	const char *user;
	size_t len;

	host = host ? host + 3 : url;
	put(&o, url, (size_t)(host - url));
	len = strcspn(host, "/?#");
	user = memrchr(host, '@', len);
	if (user) {
		put_dots(&o);
		len -= (size_t)(user - host);
		host = user;
	}
	put(&o, host, len);
	host += len;
	len = strcspn(host, "?#");
	put_path(&o, host, len);
	put_query(&o, host + len);
	*o.at = '\0';
}
