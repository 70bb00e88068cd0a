/* http — GET over HTTP and HTTPS, of a whole body or of a range that is handed
 * on as it comes: libcurl's multi interface on our loop. The only home of
 * <curl/curl.h>.
 *
 * What is asked may come from a stranger's torrent, so: http and https only;
 * certificates are verified; at most HTTP_REDIRECTS_MAX redirects, never from
 * https back to http and never from the world into a local network; nothing is
 * sent to link-local, multicast or unspecified addresses, and to other local
 * ones only what a request says may be; no cookies, no netrc. Proxies are taken
 * from the environment, as curl has it.
 *
 * Thread: loop. */
#ifndef SHOAL_NET_HTTP_H
#define SHOAL_NET_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/span.h"

struct http;
struct http_get;
struct loop;

/* http_new — one for the program: connections and TLS sessions are reused.
 * 0, ENOMEM, or EIO when libcurl would not start. */
int http_new(struct loop *loop, struct http **out);

/* http_keep — keep so many connections open that nobody uses now. Without it
 * libcurl keeps four times as many as are used, and so closes those of a burst
 * that ends. */
void http_keep(struct http *h, unsigned n);

/* http_free — gets under way are cancelled. Not from inside a `done`. NULL is
 * fine. */
void http_free(struct http *h);

/* http_data_fn — the next bytes of a range, lent. It runs on libcurl's stack:
 * no get may be started or cancelled from it. */
typedef void http_data_fn(void *arg, const uint8_t *data, size_t len);

/* A part of a resource whose length is known. Taken is a 206 that says exactly
 * this range, and a 200 where the range is all of it; of anything else not a
 * byte is handed on, and the connection is closed. */
struct http_range {
	uint64_t off_bytes, len_bytes; /* len > 0 */
	uint64_t file_bytes;
	bool is_in_url; /* no Range is sent: the URL says it all, and the range
			   is all of what it names */
	unsigned min_Bps;   /* slower than this, in the mean of seconds, … */
	unsigned silence_s; /* for so long is ETIMEDOUT */
	http_data_fn *data;
};

/* A query may make a service do something, where a path only names it. */
enum http_query {
	HTTP_QUERY_ANY,
	HTTP_QUERY_FIRST, /* that of `url`, but of no redirect */
	HTTP_QUERY_NONE,
};

struct http_req {
	const char *url;     /* borrowed */
	size_t max_bytes;    /* a longer body, inflated, is EFBIG */
	unsigned timeout_ms; /* for all of it, names included; with a range
				only until the connection stands */
	const struct http_range *range; /* copied; NULL: all, into `body`, to
					   which max_bytes applies */
	/* What may be asked of a local address, whatever name, spelling or
	 * redirect led there. A path that begins with this; kept for the get's
	 * life; NULL: any. */
	const char *local_path;
	enum http_query local_query;
};

/* err: 0 (then `status` is the HTTP status), ETIMEDOUT, EFBIG, ECONNREFUSED,
 * ENOENT (no such host), EPROTO (TLS, not HTTP, bad URL or scheme, a redirect
 * that is not followed, an answer that is not the range; then `status` may
 * tell more), ENOMEM, EIO. `why` is a text for a person, lent like `body`,
 * which for a range has the first HTTP_REFUSAL_MAX bytes of what came with a
 * status of 400 and more. */
typedef void http_fn(void *arg, int err, int status, struct span body,
		     const char *why);

/* http_get_start — STYLE habit 21; fails with ENOMEM only. */
int http_get_start(struct http *h, const struct http_req *req, http_fn *done,
		   void *arg, struct http_get **out);

/* http_get_wait_s — for how long the server says it should be left alone
 * (Retry-After); 0: it did not say. From inside `done` only. */
unsigned http_get_wait_s(const struct http_get *g);

/* http_get_cancel — NULL is fine. */
void http_get_cancel(struct http_get *g);

#endif
