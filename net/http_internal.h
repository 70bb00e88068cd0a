/* http_internal — struct http and http_get, for the files that are the HTTP
 * client: http.c has the set of transfers, http_get.c one of them, http_vet.c
 * where it may go. */
#ifndef SHOAL_NET_HTTP_INTERNAL_H
#define SHOAL_NET_HTTP_INTERNAL_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/loop.h"
#include "core/queue.h"
#include "net/http.h"

struct http_sock {
	struct loop_io *io;
	LIST_ENTRY(http_sock) link;
};

struct http {
	struct loop *loop;
	CURLM *multi;
	struct loop_timer *timer;
	struct loop_task blind; /* ends the gets that are */
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
	const char *local_path;
	enum http_query local_query;
	const char *refused; /* why we ended it ourselves, or NULL */
	bool too_long;
	bool is_blind;	 /* its socket cannot be watched */
	bool was_https;	 /* some request of it was */
	bool was_global; /* some request of it went to a global address */
	char said[32];	 /* for `refused` */
	char text[CURL_ERROR_SIZE];
	LIST_ENTRY(http_get) link;
};

/* http_get_end — libcurl is through with it: tells the owner, frees it. Not
 * from libcurl's stack. */
void http_get_end(struct http_get *g, CURLcode code);

/* http_vet_set — have each connection and each request of `g` looked at. */
void http_vet_set(struct http_get *g);

#endif
