/* http — libcurl's multi interface, driven by the loop.
 *
 * Words: the *multi* is libcurl's set of transfers, an *easy* one of them; a
 * *get* is ours around an easy.
 *
 * Happy path: http_get_start makes an easy and adds it to the multi, which
 * asks for a timer (TIMERFUNCTION) and for sockets to be watched
 * (SOCKETFUNCTION). The loop's callbacks feed curl_multi_socket_action. What
 * has ended is read from the multi's queue after each such call, outside
 * libcurl's own stack, so that a `done` may start and cancel gets.
 *
 * A range is not collected but handed on from libcurl's write callback. With
 * its first byte the answer's status and Content-Range are looked at; at the
 * end the bytes are counted.
 *
 * Names are resolved by libcurl's threads. QUICK_EXIT lets a get end while its
 * look-up hangs; without it libcurl would join that thread, on our loop.
 *
 * Where a request may go is decided twice: by address before a socket is
 * opened (on_open), and before each request of a chain of redirects is sent
 * (on_request), which also sees connections that are reused. A proxy on a
 * local address makes every hop local, and the second rule void: then it is
 * the proxy that decides. The rule about paths on loopback asks for the URL's
 * own port, which a proxy has only by accident.
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
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "core/addr.h"
#include "core/buf.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/queue.h"
#include "net/net_limits.h"

struct http_sock {
	struct loop_io *io;
	LIST_ENTRY(http_sock) link;
};

struct http {
	struct loop *loop;
	CURLM *multi;
	struct loop_timer *timer;
	LIST_HEAD(, http_get) gets;
	LIST_HEAD(, http_sock) socks;
};

struct http_get {
	struct http *h; /* Owner: h->gets */
	CURL *easy;
	http_fn *done;
	void *arg;
	struct buf body;
	size_t max_bytes;
	struct http_range range; /* len 0: all, into body */
	uint64_t got_bytes;	 /* of the range */
	size_t header_bytes;
	const char *loopback_path;
	const char *refused; /* why we ended it ourselves, or NULL */
	bool too_long;
	bool was_https;	 /* some request of it was */
	bool was_global; /* some request of it went to a global address */
	char text[CURL_ERROR_SIZE];
	LIST_ENTRY(http_get) link;
};

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

/* Is what begins now what was asked for? */
static bool is_answer(const struct http_get *g)
{
	const struct http_range *r = &g->range;
	struct curl_header *h;
	long status = 0;

	(void)curl_easy_getinfo(g->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status == 206 &&
	    curl_easy_header(g->easy, "Content-Range", 0, CURLH_HEADER, -1,
			     &h) == CURLHE_OK)
		return is_range(h->value, r);
	return status == 200 && r->len_bytes == r->file_bytes;
}

static size_t on_range(char *data, size_t size, size_t n, void *arg)
{
	struct http_get *g = arg;
	size_t len = size * n;

	if (g->got_bytes == 0 && !is_answer(g)) {
		g->refused = "the answer is not the range asked for";
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

/* ---- where a request may go ---- */

/* One part of a URL, decoded; the caller's, to be freed by curl_free. */
static char *url_part(CURLU *u, CURLUPart part, unsigned flags)
{
	char *text = NULL;

	if (curl_url_get(u, part, &text, flags) != CURLUE_OK)
		return NULL;
	return text;
}

/* A stranger's URL may not make us talk to any service of this machine. The
 * path is taken as a server may read it: dots are no way out of it. */
static bool is_fit_for_loopback(const struct http_get *g, const char *url,
				unsigned port)
{
	CURLU *u = curl_url();
	char *path = NULL, *own_port = NULL;
	bool is_fit = false; /* what cannot be read is not asked */

	if (u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK) {
		own_port = url_part(u, CURLUPART_PORT, CURLU_DEFAULT_PORT);
		path = url_part(u, CURLUPART_PATH, CURLU_URLDECODE);
	}
	if (own_port && strtoul(own_port, NULL, 10) != port)
		is_fit = true; /* a proxy's */
	else if (own_port && path)
		is_fit = strncmp(path, g->loopback_path,
				 strlen(g->loopback_path)) == 0 &&
			 !strstr(path, "/..");
	curl_free(path);
	curl_free(own_port);
	curl_url_cleanup(u);
	return is_fit;
}

/* Says so in `refused` if it may not. */
static bool may_ask(struct http_get *g, const struct addr *a)
{
	const char *url = "";

	if (!g->loopback_path || !addr_is_loopback(a))
		return true;
	(void)curl_easy_getinfo(g->easy, CURLINFO_EFFECTIVE_URL, &url);
	if (is_fit_for_loopback(g, url, addr_port(a)))
		return true;
	g->refused = "this machine is asked for another path";
	return false;
}

static curl_socket_t on_open(void *arg, curlsocktype purpose,
			     struct curl_sockaddr *to)
{
	struct http_get *g = arg;
	struct addr a;

	if (purpose != CURLSOCKTYPE_IPCXN ||
	    addr_from_sa(&a, &to->addr, (socklen_t)to->addrlen) != 0 ||
	    addr_is_link_local(&a) || !addr_can_dial(&a)) {
		g->refused = "the host's address is not one to ask";
		return CURL_SOCKET_BAD;
	}
	if (!may_ask(g, &a))
		return CURL_SOCKET_BAD;
	return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

static bool is_local(const struct addr *a)
{
	return addr_is_loopback(a) || addr_is_private(a) ||
	       addr_is_link_local(a);
}

static int parse_hop(struct addr *a, const char *ip, int port)
{
	struct buf text = {0};
	const char *s;
	bool v6 = strchr(ip, ':') != NULL;
	int err;

	buf_addf(&text, "%s%s%s:%d", v6 ? "[" : "", ip, v6 ? "]" : "", port);
	s = buf_cstr(&text);
	err = s ? addr_parse(a, s) : ENOMEM;
	buf_fini(&text);
	return err;
}

/* The connection stands; the request is not sent yet. */
static int on_request(void *arg, char *ip, char *own_ip, int port, int own_port)
{
	struct http_get *g = arg;
	const char *url = "";
	struct addr hop;
	/* What cannot be read is not trusted. */
	bool is_known = parse_hop(&hop, ip, port) == 0;
	bool https, local = !is_known || is_local(&hop);

	/* What on_open said was of an address that was not taken after all. */
	g->refused = NULL;
	if (is_known && !may_ask(g, &hop))
		return CURL_PREREQFUNC_ABORT;
	(void)curl_easy_getinfo(g->easy, CURLINFO_EFFECTIVE_URL, &url);
	https = strncasecmp(url, "https:", 6) == 0;
	if (g->was_https && !https)
		g->refused = "redirected from https to http";
	else if (g->was_global && local)
		g->refused = "redirected into a local network";
	g->was_https = g->was_https || https;
	g->was_global = g->was_global || !local;
	return g->refused ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
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

static const char *why_of(const struct http_get *g, CURLcode code)
{
	if (g->too_long)
		return "the answer is too long";
	if (g->refused)
		return g->refused;
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

static void get_end(struct http_get *g, CURLcode code)
{
	long status = 0;
	int err;

	if (code == CURLE_OK && g->got_bytes < g->range.len_bytes)
		g->refused = "the answer is not the range asked for";
	err = errno_of(g, code);
	(void)curl_easy_getinfo(g->easy, CURLINFO_RESPONSE_CODE, &status);
	/* Off the multi and the list before `done`, which may do anything but
	 * free `h`. The body lives until it returns. */
	(void)curl_multi_remove_handle(g->h->multi, g->easy);
	LIST_REMOVE(g, link);
	g->done(g->arg, err, (int)status, buf_span(&g->body), why_of(g, code));
	curl_easy_cleanup(g->easy);
	buf_fini(&g->body);
	mem_free(g);
}

static void reap(struct http *h)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(h->multi, &left)) != NULL) {
		struct http_get *g = NULL;

		assert(msg->msg == CURLMSG_DONE);
		(void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE,
					(char **)&g);
		get_end(g, msg->data.result);
	}
}

/* ---- the loop ---- */

static void feed(struct http *h, curl_socket_t fd, int bits)
{
	int running;

	(void)curl_multi_socket_action(h->multi, fd, bits, &running);
	reap(h);
}

static void on_io(void *arg, int fd, unsigned events)
{
	int bits = 0;

	if (events & LOOP_READ)
		bits |= CURL_CSELECT_IN;
	if (events & LOOP_WRITE)
		bits |= CURL_CSELECT_OUT;
	feed(arg, fd, bits);
}

static void on_timer(void *arg)
{
	feed(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int want_timer(CURLM *multi, long ms, void *arg)
{
	struct http *h = arg;

	if (ms < 0)
		loop_timer_stop(h->timer);
	else
		loop_timer_start(h->timer, (uint64_t)ms * 1000);
	return 0;
}

static void sock_free(struct http_sock *s)
{
	LIST_REMOVE(s, link);
	loop_io_free(s->io);
	mem_free(s);
}

static struct http_sock *sock_new(struct http *h, curl_socket_t fd)
{
	struct http_sock *s = mem_new(struct http_sock);

	if (!s)
		return NULL;
	if (loop_io_new(h->loop, fd, on_io, h, &s->io) != 0) {
		mem_free(s);
		return NULL;
	}
	LIST_INSERT_HEAD(&h->socks, s, link);
	(void)curl_multi_assign(h->multi, fd, s);
	return s;
}

static int want_io(CURL *easy, curl_socket_t fd, int what, void *arg,
		   void *sock)
{
	struct http *h = arg;
	struct http_sock *s = sock;
	unsigned events = 0;

	if (what == CURL_POLL_REMOVE) {
		if (s)
			sock_free(s);
		return 0;
	}
	if (!s)
		s = sock_new(h, fd);
	if (!s)
		return -1; /* libcurl ends its transfers */
	if (what & CURL_POLL_IN)
		events |= LOOP_READ;
	if (what & CURL_POLL_OUT)
		events |= LOOP_WRITE;
	return loop_io_want(s->io, events) == 0 ? 0 : -1;
}

/* ---- life ---- */

static void set_multi(struct http *h)
{
	CURLM *m = h->multi;

	(void)curl_multi_setopt(m, CURLMOPT_SOCKETFUNCTION, want_io);
	(void)curl_multi_setopt(m, CURLMOPT_SOCKETDATA, h);
	(void)curl_multi_setopt(m, CURLMOPT_TIMERFUNCTION, want_timer);
	(void)curl_multi_setopt(m, CURLMOPT_TIMERDATA, h);
	(void)curl_multi_setopt(m, CURLMOPT_MAX_TOTAL_CONNECTIONS,
				(long)HTTP_CONNECTIONS_MAX);
}

int http_new(struct loop *loop, struct http **out)
{
	struct http *h;
	int err = ENOMEM;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return EIO;
	h = mem_new(struct http);
	if (!h)
		goto end_curl;
	h->loop = loop;
	err = loop_timer_new(loop, on_timer, h, &h->timer);
	if (err)
		goto free_http;
	h->multi = curl_multi_init();
	if (!h->multi) {
		err = ENOMEM;
		goto free_timer;
	}
	set_multi(h);
	*out = h;
	return 0;

free_timer:
	loop_timer_free(h->timer);
free_http:
	mem_free(h);
end_curl:
	curl_global_cleanup();
	return err;
}

void http_free(struct http *h)
{
	struct http_get *g, *g2;
	struct http_sock *s, *s2;

	if (!h)
		return;
	ASSERT_LOOP(h->loop);
	LIST_FOREACH_SAFE (g, &h->gets, link, g2)
		get_free(g);
	(void)curl_multi_cleanup(h->multi);
	LIST_FOREACH_SAFE (s, &h->socks, link, s2)
		sock_free(s);
	loop_timer_free(h->timer);
	mem_free(h);
	curl_global_cleanup();
}

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
	g->range = *r;
	(void)snprintf(text, sizeof(text), "%" PRIu64 "-%" PRIu64, r->off_bytes,
		       r->off_bytes + r->len_bytes - 1);
	(void)curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_range);
	(void)curl_easy_setopt(e, CURLOPT_BUFFERSIZE, (long)HTTP_RANGE_READ);
	(void)curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS,
			       (long)req->timeout_ms);
	(void)curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, (long)r->min_Bps);
	(void)curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, (long)r->silence_s);
	(void)curl_easy_setopt(e, CURLOPT_FAILONERROR, 1L);
	return curl_easy_setopt(e, CURLOPT_RANGE, text);
}

static void set_callbacks(struct http_get *g)
{
	CURL *e = g->easy;

	(void)curl_easy_setopt(e, CURLOPT_PRIVATE, g);
	(void)curl_easy_setopt(e, CURLOPT_ERRORBUFFER, g->text);
	(void)curl_easy_setopt(e, CURLOPT_WRITEDATA, g);
	(void)curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	(void)curl_easy_setopt(e, CURLOPT_HEADERDATA, g);
	(void)curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_open);
	(void)curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, g);
	(void)curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_request);
	(void)curl_easy_setopt(e, CURLOPT_PREREQDATA, g);
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
	g->loopback_path = req->loopback_path;
	g->easy = curl_easy_init();
	if (!g->easy || set_limits(g->easy, req) != CURLE_OK ||
	    (req->range ? set_range(g, req) : set_whole(g, req)) != CURLE_OK)
		goto free_get;
	set_callbacks(g);
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
