/* http — libcurl's multi interface, driven by the loop.
 *
 * Words: the *multi* is libcurl's set of transfers, an *easy* one of them; a
 * *get* is ours around an easy (http_get.c).
 *
 * Happy path: a get that starts is added to the multi, which asks for a timer
 * (TIMERFUNCTION) and for sockets to be watched (SOCKETFUNCTION). The loop's
 * callbacks feed curl_multi_socket_action. What has ended is read from the
 * multi's queue after each such call, outside libcurl's own stack, so that a
 * `done` may start and cancel gets.
 *
 * Failure modes: a socket cannot be watched for want of memory. libcurl's own
 * answer to that is to declare all its transfers dead, and to leave those
 * without a timer as they are. So it is not told: the gets of that socket are
 * marked blind and end with ENOMEM in a task, off libcurl's stack. */
#include "net/http.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>

#include "core/loop.h"
#include "core/mem.h"
#include "core/queue.h"
#include "net/http_internal.h"
#include "net/net_limits.h"

static void reap(struct http *h)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(h->multi, &left)) != NULL) {
		struct http_get *g = NULL;

		assert(msg->msg == CURLMSG_DONE);
		(void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE,
					(char **)&g);
		http_get_end(g, msg->data.result);
	}
}

static struct http_get *find_blind(const struct http *h)
{
	struct http_get *g;

	LIST_FOREACH (g, &h->gets, link)
		if (g->is_blind)
			return g;
	return NULL;
}

/* A `done` may end any other get: the list is looked through afresh. */
static void on_blind(void *arg)
{
	struct http *h = arg;
	struct http_get *g;

	while ((g = find_blind(h)) != NULL)
		http_get_end(g, CURLE_OUT_OF_MEMORY);
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

/* HTTP/2 has several gets on one connection; `easy` is one of them. */
static void go_blind(struct http *h, const CURL *easy, curl_socket_t fd)
{
	struct http_get *g;

	LIST_FOREACH (g, &h->gets, link) {
		curl_socket_t own = CURL_SOCKET_BAD;

		(void)curl_easy_getinfo(g->easy, CURLINFO_ACTIVESOCKET, &own);
		if (g->easy == easy || own == fd)
			g->is_blind = true;
	}
	loop_defer(h->loop, &h->blind);
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
	if (what & CURL_POLL_IN)
		events |= LOOP_READ;
	if (what & CURL_POLL_OUT)
		events |= LOOP_WRITE;
	if (!s || loop_io_want(s->io, events) != 0)
		go_blind(h, easy, fd);
	return 0;
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

void http_keep(struct http *h, unsigned n)
{
	(void)curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)n);
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
	loop_task_init(&h->blind, on_blind, h);
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
		http_get_cancel(g);
	loop_task_cancel(h->loop, &h->blind);
	(void)curl_multi_cleanup(h->multi);
	LIST_FOREACH_SAFE (s, &h->socks, link, s2)
		sock_free(s);
	loop_timer_free(h->timer);
	mem_free(h);
	curl_global_cleanup();
}
