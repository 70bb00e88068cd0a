/* fetch — a .torrent from an http(s) address: a loop of its own for as long as
 * that takes. Redirects, certificates and addresses are net/http.h's matter;
 * what a person names himself may be on his own machine. */
#include "cmd/fetch.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/core_limits.h"
#include "core/err.h"
#include "core/loop.h"
#include "core/mem.h"
#include "net/http.h"

enum { FETCH_MS = 30000, HTTP_OK = 200 };

struct fetch {
	struct loop *loop;
	const char *url;
	uint8_t *bytes;
	size_t len;
	int err;
	char *why;
};

bool fetch_is(const char *text)
{
	return strncasecmp(text, "http://", 7) == 0 ||
	       strncasecmp(text, "https://", 8) == 0;
}

static void on_got(void *arg, int err, int status, struct span body,
		   const char *why)
{
	struct fetch *f = arg;

	loop_stop(f->loop);
	if (!err && status != HTTP_OK)
		err = ENOENT;
	if (!err) {
		f->bytes = mem_dup(body.ptr, body.len);
		f->len = body.len;
		err = f->bytes ? 0 : ENOMEM;
	}
	f->err = err;
	if (!err)
		return;
	if (status != 0 && status != HTTP_OK)
		(void)snprintf(f->why, WHY_BYTES, "%.200s: the server says %d",
			       f->url, status);
	else
		(void)snprintf(f->why, WHY_BYTES, "%.200s: %.150s", f->url,
			       why && why[0] ? why : err_text(err));
}

int fetch_bytes(const char *url, uint8_t **out, size_t *len,
		char why[WHY_BYTES])
{
	struct fetch f = {.url = url, .why = why};
	const struct http_req req = {
		.url = url,
		.max_bytes = METAINFO_WIRE_BYTES,
		.timeout_ms = FETCH_MS,
	};
	struct http_get *get;
	struct http *http = NULL;
	int r = loop_new(&f.loop);

	if (r)
		return r;
	r = http_new(f.loop, &http);
	if (!r)
		r = http_get_start(http, &req, on_got, &f, &get);
	if (!r)
		r = loop_run(f.loop);
	http_free(http);
	loop_free(f.loop);
	if (!r)
		r = f.err;
	if (r) {
		mem_free(f.bytes);
		return r;
	}
	*out = f.bytes;
	*len = f.len;
	return 0;
}
