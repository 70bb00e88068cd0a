/* http_get — one transfer: what is asked, what of the answer is taken, how it
 * ends.
 *
 * A range is not collected but handed on from libcurl's write callback. With
 * its first byte the answer's status, its encoding, its length and its
 * Content-Range are looked at; at the end the bytes are counted.
 *
 * Names are resolved by libcurl's threads. QUICK_EXIT lets a get end while its
 * look-up hangs; without it libcurl would join that thread, on our loop.
 *
 * Failure modes: whatever libcurl says becomes an errno and its own text.
 * Invariant: a get is on h->gets from start to its `done` or its cancel. */
#include "net/http.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/buf.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/queue.h"
#include "net/http_internal.h"
#include "net/net_limits.h"

static const char not_the_range[] = "the answer is not the range asked for";

/* ---- what an answer may be ---- */

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct http_get *g = arg;
	size_t len = size * n; /* size is 1, says libcurl */

	if (len > g->max_bytes - g->body.len) {
		g->too_long = true;
		return 0;
	}
	buf_add(&g->body, data, len);
	return buf_err(&g->body) ? 0 : len;
}

/* "bytes 5-9/20"; '*' when the server does not know the length. */
static bool is_range(const char *said, const struct http_range *r)
{
	uint64_t last = r->off_bytes + r->len_bytes - 1;
	char known[96], open[96];

	(void)snprintf(known, sizeof(known),
		       "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, r->off_bytes,
		       last, r->file_bytes);
	(void)snprintf(open, sizeof(open), "bytes %" PRIu64 "-%" PRIu64 "/*",
		       r->off_bytes, last);
	return strcasecmp(said, known) == 0 || strcasecmp(said, open) == 0;
}

static const char *header(const struct http_get *g, const char *name)
{
	struct curl_header *h;

	if (curl_easy_header(g->easy, name, 0, CURLH_HEADER, -1, &h) !=
	    CURLHE_OK)
		return NULL;
	return h->value;
}

static long status_of(const struct http_get *g)
{
	long status = 0;

	(void)curl_easy_getinfo(g->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

/* What is sent as it is: no encoding was asked for, and bytes of one would
 * pass for the content until they are hashed. */
static bool is_plain(const struct http_get *g)
{
	const char *said = header(g, "Content-Encoding");

	return !said || strcasecmp(said, "identity") == 0;
}

/* The length that the answer states, if it states one, is what is wanted. */
static bool is_as_long(const struct http_get *g)
{
	curl_off_t len = -1;

	(void)curl_easy_getinfo(g->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T,
				&len);
	return len < 0 || (uint64_t)len == g->range.len_bytes;
}

/* Is what begins now what was asked for? */
static bool is_answer(const struct http_get *g, long status)
{
	const struct http_range *r = &g->range;
	const char *said;

	if (!is_plain(g) || !is_as_long(g))
		return false;
	if (status == 200)
		return r->len_bytes == r->file_bytes;
	said = header(g, "Content-Range");
	return status == 206 && !r->is_in_url && said && is_range(said, r);
}

/* A status of an error, and the first bytes of its explanation. A long one is
 * not read to its end. */
static size_t on_refusal(struct http_get *g, long status, const char *data,
			 size_t len)
{
	size_t room = HTTP_REFUSAL_MAX - g->body.len;

	(void)snprintf(g->said, sizeof(g->said), "HTTP status %ld", status);
	g->refused = g->said;
	buf_add(&g->body, data, len < room ? len : room);
	return len > room || buf_err(&g->body) ? 0 : len;
}

static size_t on_range(char *data, size_t size, size_t n, void *arg)
{
	struct http_get *g = arg;
	long status = status_of(g);
	size_t len = size * n;

	if (status >= 400)
		return on_refusal(g, status, data, len);
	if (g->got_bytes == 0 && !is_answer(g, status)) {
		g->refused = not_the_range;
		return 0;
	}
	if (len > g->range.len_bytes - g->got_bytes) {
		g->too_long = true;
		return 0;
	}
	g->got_bytes += len;
	g->range.data(g->arg, (const uint8_t *)data, len);
	return len;
}

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
	struct http_get *g = arg;

	g->header_bytes += size * n;
	if (g->header_bytes > HTTP_HEADERS_MAX) {
		g->refused = "the headers are too long";
		return 0;
	}
	return size * n;
}

/* ---- ends ---- */

static int errno_of(const struct http_get *g, CURLcode code)
{
	static const struct {
		CURLcode code;
		int err;
	} table[] = {
		{CURLE_OK, 0},
		{CURLE_OPERATION_TIMEDOUT, ETIMEDOUT},
		{CURLE_FILESIZE_EXCEEDED, EFBIG},
		{CURLE_COULDNT_CONNECT, ECONNREFUSED},
		{CURLE_COULDNT_RESOLVE_HOST, ENOENT},
		{CURLE_COULDNT_RESOLVE_PROXY, ENOENT},
		{CURLE_OUT_OF_MEMORY, ENOMEM},
		{CURLE_SEND_ERROR, EIO},
		{CURLE_RECV_ERROR, EIO},
	};

	if (g->too_long)
		return EFBIG;
	if (g->refused)
		return EPROTO;
	if (buf_err(&g->body))
		return ENOMEM;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].code == code)
			return table[i].err;
	return EPROTO;
}

/* What was wrong with a certificate, short enough for a line of a table. */
static const char *why_no_trust(const struct http_get *g)
{
	static const char prefix[] = "SSL certificate problem: ";

	if (strncmp(g->text, prefix, sizeof(prefix) - 1) == 0)
		return g->text + sizeof(prefix) - 1;
	if (strstr(g->text, "subject name"))
		return "the certificate is for another name";
	return g->text;
}

static const char *why_of(const struct http_get *g, CURLcode code)
{
	if (g->too_long)
		return "the answer is too long";
	if (g->refused)
		return g->refused;
	if (code == CURLE_PEER_FAILED_VERIFICATION && g->text[0])
		return why_no_trust(g);
	if (g->text[0])
		return g->text;
	return curl_easy_strerror(code);
}

static void get_free(struct http_get *g)
{
	LIST_REMOVE(g, link);
	(void)curl_multi_remove_handle(g->h->multi, g->easy);
	curl_easy_cleanup(g->easy);
	buf_fini(&g->body);
	mem_free(g);
}

/* All went well for libcurl; did it for us? */
static void look_at_end(struct http_get *g)
{
	if (g->got_bytes == g->range.len_bytes || g->refused)
		return;
	if (status_of(g) >= 400) /* and it had no body */
		(void)on_refusal(g, status_of(g), "", 0);
	else
		g->refused = not_the_range;
}

void http_get_end(struct http_get *g, CURLcode code)
{
	int err;

	if (code == CURLE_OK)
		look_at_end(g);
	err = errno_of(g, code);
	/* Off the multi and the list before `done`, which may do anything but
	 * free `h`. The body lives until it returns. */
	(void)curl_multi_remove_handle(g->h->multi, g->easy);
	LIST_REMOVE(g, link);
	g->done(g->arg, err, (int)status_of(g), buf_span(&g->body),
		why_of(g, code));
	curl_easy_cleanup(g->easy);
	buf_fini(&g->body);
	mem_free(g);
}

unsigned http_get_wait_s(const struct http_get *g)
{
	curl_off_t s = 0;

	(void)curl_easy_getinfo(g->easy, CURLINFO_RETRY_AFTER, &s);
	if (s <= 0)
		return 0;
	return s < HTTP_WAIT_MAX_S ? (unsigned)s : HTTP_WAIT_MAX_S;
}

/* ---- life ---- */

static CURLcode set_limits(CURL *e, const struct http_req *req)
{
	CURLcode code = curl_easy_setopt(e, CURLOPT_URL, req->url);

	if (code != CURLE_OK)
		return code;
	code = curl_easy_setopt(e, CURLOPT_USERAGENT, "shoalfs/" SHOAL_VERSION);
	if (code != CURLE_OK)
		return code;
	code = curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	if (code != CURLE_OK)
		return code;
	(void)curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 1L);
	(void)curl_easy_setopt(e, CURLOPT_MAXREDIRS, (long)HTTP_REDIRECTS_MAX);
	(void)curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
	(void)curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	return curl_easy_setopt(e, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
}

static CURLcode set_whole(struct http_get *g, const struct http_req *req)
{
	CURL *e = g->easy;

	g->max_bytes = req->max_bytes;
	(void)curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	(void)curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)req->timeout_ms);
	(void)curl_easy_setopt(e, CURLOPT_MAXFILESIZE_LARGE,
			       (curl_off_t)req->max_bytes);
	return curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "gzip");
}

static CURLcode set_range(struct http_get *g, const struct http_req *req)
{
	const struct http_range *r = req->range;
	CURL *e = g->easy;
	char text[64];

	assert(r->len_bytes > 0);
	assert(!r->is_in_url || r->len_bytes == r->file_bytes);
	g->range = *r;
	(void)snprintf(text, sizeof(text), "%" PRIu64 "-%" PRIu64, r->off_bytes,
		       r->off_bytes + r->len_bytes - 1);
	(void)curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_range);
	(void)curl_easy_setopt(e, CURLOPT_BUFFERSIZE, (long)HTTP_RANGE_READ);
	(void)curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS,
			       (long)req->timeout_ms);
	(void)curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, (long)r->min_Bps);
	(void)curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, (long)r->silence_s);
	return r->is_in_url ? CURLE_OK
			    : curl_easy_setopt(e, CURLOPT_RANGE, text);
}

static void set_callbacks(struct http_get *g)
{
	CURL *e = g->easy;

	(void)curl_easy_setopt(e, CURLOPT_PRIVATE, g);
	(void)curl_easy_setopt(e, CURLOPT_ERRORBUFFER, g->text);
	(void)curl_easy_setopt(e, CURLOPT_WRITEDATA, g);
	(void)curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	(void)curl_easy_setopt(e, CURLOPT_HEADERDATA, g);
}

int http_get_start(struct http *h, const struct http_req *req, http_fn *done,
		   void *arg, struct http_get **out)
{
	struct http_get *g;

	ASSERT_LOOP(h->loop);
	g = mem_new(struct http_get);
	if (!g)
		return ENOMEM;
	g->h = h;
	g->done = done;
	g->arg = arg;
	g->local_path = req->local_path;
	g->local_query = req->local_query;
	g->easy = curl_easy_init();
	if (!g->easy || set_limits(g->easy, req) != CURLE_OK ||
	    (req->range ? set_range(g, req) : set_whole(g, req)) != CURLE_OK)
		goto free_get;
	set_callbacks(g);
	http_vet_set(g);
	/* Asks for a timer of 0 ms: nothing runs before the next turn. */
	if (curl_multi_add_handle(h->multi, g->easy) != CURLM_OK)
		goto free_get;
	LIST_INSERT_HEAD(&h->gets, g, link);
	*out = g;
	return 0;

free_get:
	curl_easy_cleanup(g->easy);
	mem_free(g);
	return ENOMEM;
}

void http_get_cancel(struct http_get *g)
{
	if (g)
		get_free(g);
}
