/* tracker_http — one announce over HTTP (BEP 3, 7, 23, 24).
 *
 * Happy path: the announce becomes the query of a GET; the body of a 200 is
 * decoded and given to the sink, then the sink is told that this was all.
 *
 * Which address family is used is libcurl's choice (the faster connection);
 * our address of the other is told by `ipv6` (BEP 7), and trackers put both
 * kinds of peers into one answer.
 *
 * Where it may go: the URL is a stranger's. On this machine and its network
 * only what looks like a tracker is asked (TRACKER_LOCAL_PATH), and a URL that
 * has an announce's fields of its own is not asked at all.
 *
 * Failure modes: no answer, another status than 200, a body that is none. A
 * tracker that refuses with a status of 4xx and a `failure reason` is heard:
 * its reason is better than the number. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/buf.h"
#include "core/mem.h"
#include "net/http.h"
#include "net/tracker_internal.h"
#include "net/urlquery.h"

struct tracker_http {
	struct http_get *get;
	struct tracker_sink sink;
};

/* ---- the URL ---- */

static const char *event_text(enum tracker_event event)
{
	switch (event) {
	case TRACKER_EVENT_NONE:
		return NULL;
	case TRACKER_EVENT_COMPLETED:
		return "completed";
	case TRACKER_EVENT_STARTED:
		return "started";
	case TRACKER_EVENT_STOPPED:
		return "stopped";
	}
	return NULL;
}

static void add_query(struct buf *out, const struct tracker_ask *ask)
{
	const struct tracker_facts *f = &ask->facts;
	uint64_t left = f->left_bytes == UINT64_MAX ? TRACKER_LEFT_UNKNOWN
						    : f->left_bytes;
	const char *event = event_text(ask->event);

	buf_add_str(out, "info_hash=");
	urlquery_escape(out, f->info_hash, sizeof(f->info_hash));
	buf_add_str(out, "&peer_id=");
	urlquery_escape(out, f->peer_id, sizeof(f->peer_id));
	buf_addf(out, "&port=%u&uploaded=%" PRIu64 "&downloaded=%" PRIu64,
		 f->port, f->uploaded_bytes, f->downloaded_bytes);
	buf_addf(out, "&left=%" PRIu64 "&numwant=%" PRIu32, left,
		 f->want_peers);
	buf_addf(out, "&key=%08" PRIX32 "&compact=1&no_peer_id=1", ask->key);
	if (event)
		buf_addf(out, "&event=%s", event);
	if (f->ipv6.sa.sa_family == AF_INET6) {
		char text[INET6_ADDRSTRLEN];

		if (inet_ntop(AF_INET6, &f->ipv6.in6.sin6_addr, text,
			      sizeof(text))) {
			buf_add_str(out, "&ipv6=");
			urlquery_escape(out, text, strlen(text));
		}
	}
	if (ask->tracker_id.len > 0) {
		buf_add_str(out, "&trackerid=");
		urlquery_escape(out, ask->tracker_id.ptr, ask->tracker_id.len);
	}
}

int tracker_http_url(struct buf *out, const char *url,
		     const struct tracker_ask *ask)
{
	static const char *const own[] = {
		"info_hash",  "peer_id", "port",  "uploaded",
		"downloaded", "left",	 "event", "corrupt",
	};

	if (urlquery_has(url, own, sizeof(own) / sizeof(own[0])))
		return EINVAL;
	urlquery_begin(out, url);
	add_query(out, ask);
	return buf_err(out);
}

/* ---- the answer ---- */

static void end(struct tracker_http *c, int err, const char *why)
{
	struct tracker_sink sink = c->sink;

	mem_free(c);
	sink.done(sink.arg, err, why);
}

static void on_got(void *arg, int err, int status, struct span body,
		   const char *why)
{
	struct tracker_http *c = arg;
	struct tracker_reply reply;
	char text[32];

	c->get = NULL;
	if (err) {
		end(c, err, why);
		return;
	}
	err = tracker_reply_http(&reply, body);
	if (!err && (status == 200 || reply.refused)) {
		c->sink.reply(c->sink.arg, &reply);
		end(c, 0, NULL);
	} else if (status != 200) {
		(void)snprintf(text, sizeof(text), "HTTP status %d", status);
		end(c, EPROTO, text);
	} else {
		end(c, err, "not a tracker's answer");
	}
}

int tracker_http_start(struct http *http, const char *url,
		       const struct tracker_ask *ask,
		       const struct tracker_sink *sink,
		       struct tracker_http **out)
{
	struct tracker_http *c = mem_new(struct tracker_http);
	struct http_req req = {
		.max_bytes = TRACKER_BODY_MAX,
		.timeout_ms = (unsigned)(ask->timeout_us / 1000),
		.local_path = TRACKER_LOCAL_PATH,
	};
	struct buf full = {0};
	int err = ENOMEM;

	if (!c)
		return ENOMEM;
	c->sink = *sink;
	err = tracker_http_url(&full, url, ask);
	if (err)
		goto free_call;
	req.url = buf_cstr(&full);
	err = req.url ? http_get_start(http, &req, on_got, c, &c->get) : ENOMEM;
	if (err)
		goto free_call;
	buf_fini(&full);
	*out = c;
	return 0;

free_call:
	buf_fini(&full);
	mem_free(c);
	return err;
}

void tracker_http_cancel(struct tracker_http *c)
{
	if (!c)
		return;
	http_get_cancel(c->get);
	mem_free(c);
}
