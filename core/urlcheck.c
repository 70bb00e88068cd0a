/* urlcheck — the form of addresses that strangers give us.
 *
 * What is not kept here is never handed to the HTTP library: file:, ftp:,
 * gopher: and the like are what turns a torrent into a tool against its
 * reader. Control bytes would end up in request lines and in logs. */
#include "core/urlcheck.h"

#include <strings.h>

#include "core/core_limits.h"

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct span urlcheck_trim(struct span url)
{
	while (url.len > 0 && is_blank(url.ptr[0])) {
		url.ptr++;
		url.len--;
	}
	while (url.len > 0 && is_blank(url.ptr[url.len - 1]))
		url.len--;
	return url;
}

/* `prefix` is a scheme with "://"; something of a host must follow. */
static bool has_scheme(struct span url, const char *prefix)
{
	size_t n = strlen(prefix);

	return url.len > n &&
	       strncasecmp((const char *)url.ptr, prefix, n) == 0 &&
	       url.ptr[n] != '/' && url.ptr[n] != ':';
}

static bool is_clean(struct span url)
{
	if (url.len > METAINFO_MAX_URL_BYTES)
		return false;
	for (size_t i = 0; i < url.len; i++)
		if (url.ptr[i] < 0x20 || url.ptr[i] == 0x7f)
			return false;
	return true;
}

bool urlcheck_is_tracker(struct span url)
{
	return urlcheck_is_web_seed(url) ||
	       (is_clean(url) && has_scheme(url, "udp://"));
}

bool urlcheck_is_web_seed(struct span url)
{
	return is_clean(url) &&
	       (has_scheme(url, "http://") || has_scheme(url, "https://"));
}
