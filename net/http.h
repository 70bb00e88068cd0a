/* http — GET over HTTP and HTTPS: libcurl's multi interface on our loop. The
 * only home of <curl/curl.h>.
 *
 * What is asked may come from a stranger's torrent, so: http and https only;
 * certificates are verified; at most HTTP_REDIRECTS_MAX redirects, never from
 * https back to http and never from the world into a local network; nothing is
 * sent to link-local, multicast or unspecified addresses; no cookies, no
 * netrc. Proxies are taken from the environment, as curl has it.
 *
 * Thread: loop. */
#ifndef SHOAL_NET_HTTP_H
#define SHOAL_NET_HTTP_H

#include <stddef.h>
#include <stdint.h>

#include "core/span.h"

struct http;
struct http_get;
struct loop;

/* http_new — one for the program: connections and TLS sessions are reused.
 * 0, ENOMEM, or EIO when libcurl would not start. */
int http_new(struct loop *loop, struct http **out);

/* http_free — gets under way are cancelled. Not from inside a `done`. NULL is
 * fine. */
void http_free(struct http *h);

struct http_req {
	const char *url;     /* borrowed */
	size_t max_bytes;    /* a longer body, inflated, is EFBIG */
	unsigned timeout_ms; /* for all of it, names included */
	/* What a path must begin with to be asked of a loopback address,
	 * whatever name, spelling or redirect led there; kept for the get's
	 * life. NULL: any path. */
	const char *loopback_path;
};

/* err: 0 (then `status` is the HTTP status), ETIMEDOUT, EFBIG, ECONNREFUSED,
 * ENOENT (no such host), EPROTO (TLS, not HTTP, bad URL or scheme, a redirect
 * that is not followed), ENOMEM, EIO. `why` is a text for a person, lent like
 * `body`. */
typedef void http_fn(void *arg, int err, int status, struct span body,
		     const char *why);

/* http_get_start — STYLE habit 21; fails with ENOMEM only. */
int http_get_start(struct http *h, const struct http_req *req, http_fn *done,
		   void *arg, struct http_get **out);

/* http_get_cancel — NULL is fine. */
void http_get_cancel(struct http_get *g);

#endif
