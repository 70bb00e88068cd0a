/* webseed: where a server has which byte, what of its answers is taken, and
 * whole engines that read from one. */
#include "tests/lib/tiny_http.h"
#include "tests/unit/net/net_world.h"

#include "net/http.h"
#include "net/swarm_internal.h"
#include "net/urlquery.h"
#include "net/webseed.h"
#include "net/webseed_url.h"

enum { PIECE = 256 << 10, PIECES = 8, TOTAL = PIECES * PIECE - 1000 };

enum manner {
	RIGHT,
	LIES,	   /* a byte of each block is another one */
	ELSEWHERE, /* the range begins one byte later, it says */
	WHOLE,	   /* 200, and all of the file */
	SHORT,	   /* half, and says so */
	CUT,	   /* half, and does not */
	LONG,	   /* one byte more */
	SILENT,	   /* half, then nothing */
	MISSING,   /* 404, with a body */
	MOVED,	   /* 302 to where it is right */
	PACKED,	   /* says that it is gzip */
	ENDLESS,   /* no length, and one byte more */
	BUSY,	   /* 503, and for how long: as BEP 17 has it */
	AFTER,	   /* 503, and for how long: as HTTP has it */
};

struct site {
	struct world *w;
	struct tiny_http srv;
	enum manner manner;
	char last[256]; /* the first line asked */
};

static void head(struct buf *out, const char *status, uint64_t len)
{
	buf_addf(out, "HTTP/1.1 %s\r\nContent-Length: %llu\r\n", status,
		 (unsigned long long)len);
}

static void part(struct site *s, struct buf *out, uint64_t first, uint64_t last)
{
	uint64_t len = last - first + 1, says = first, sent = len, i;
	size_t at;

	if (s->manner == ELSEWHERE)
		says++;
	if (s->manner == SHORT || s->manner == CUT || s->manner == SILENT)
		sent = len / 2;
	if (s->manner == LONG || s->manner == ENDLESS)
		sent++;
	if (s->manner == ENDLESS)
		buf_add_str(out, "HTTP/1.1 206 Partial Content\r\n");
	else
		head(out, "206 Partial Content",
		     s->manner == SHORT || s->manner == LONG ? sent : len);
	if (s->manner == PACKED)
		buf_add_str(out, "Content-Encoding: gzip\r\n");
	if (!s->srv.keeps)
		buf_add_str(out, "Connection: close\r\n");
	buf_addf(out, "Content-Range: bytes %llu-%llu/%llu\r\n\r\n",
		 (unsigned long long)says, (unsigned long long)last,
		 (unsigned long long)s->w->total);
	at = out->len;
	buf_add(out, s->w->content + first, sent);
	for (i = 0; s->manner == LIES && i < sent; i += WIRE_BLOCK_BYTES)
		out->data[at + i] ^= 0xff;
}

static bool is_busy(struct site *s, struct buf *out)
{
	if (s->manner == BUSY) {
		head(out, "503 Busy", 2);
		buf_add_str(out, "\r\n60");
	} else if (s->manner == AFTER) {
		head(out, "503 Busy", 0);
		buf_add_str(out, "Retry-After: 60\r\n\r\n");
	}
	return s->manner == BUSY || s->manner == AFTER;
}

/* BEP 17; false: the request is not of that kind. */
static bool piece(struct site *s, const char *request, struct buf *out)
{
	const char *at = strstr(request, "&piece=");
	unsigned long long ix, first = 0, last = PIECE - 1;

	if (at == NULL)
		return false;
	assert_null(strstr(request, "\nRange:"));
	assert_int_equal(
		sscanf(at, "&piece=%llu&ranges=%llu-%llu", &ix, &first, &last) %
			2,
		1);
	if (ix * PIECE + last >= s->w->total)
		last = s->w->total - 1 - ix * PIECE;
	assert_true(ix < PIECES && first <= last);
	head(out, "200 OK", last - first + 1);
	buf_add_str(out, "\r\n");
	buf_add(out, s->w->content + ix * PIECE + first, last - first + 1);
	if (s->manner == LIES)
		out->data[out->len - 1] ^= 0xff;
	return true;
}

static bool answer(void *arg, const char *request, struct buf *out)
{
	struct site *s = arg;
	const char *range = strstr(request, "Range: bytes=");
	unsigned long long first, last;

	(void)snprintf(s->last, sizeof(s->last), "%.*s",
		       (int)strcspn(request, "\r"), request);
	s->srv.keeps = s->manner != CUT && s->manner != ENDLESS;
	if (is_busy(s, out) || piece(s, request, out))
		return true;
	assert_non_null(range);
	assert_int_equal(sscanf(range, "Range: bytes=%llu-%llu", &first, &last),
			 2);
	assert_true(first <= last && last < s->w->total);
	if (s->manner == MISSING) {
		head(out, "404 Not Found", 4);
		buf_add_str(out, "\r\ngone");
	} else if (s->manner == WHOLE) {
		head(out, "200 OK", s->w->total);
		buf_add_str(out, "\r\n");
		buf_add(out, s->w->content, s->w->total);
	} else if (s->manner == MOVED && !strstr(request, "/moved")) {
		head(out, "302 Found", 0);
		buf_addf(out, "Location: /moved\r\n\r\n");
	} else {
		part(s, out, first, last);
	}
	return true;
}

static void site_open(struct site *s, struct world *w, enum manner manner)
{
	*s = (struct site){.w = w, .manner = manner};
	(void)setenv("no_proxy", "*", 1);
	world_torrent(w, PIECES, PIECE, TOTAL);
	tiny_http_open(&s->srv, w->loop, answer, s);
}

/* ---- one range ---- */

struct got {
	struct buf bytes;
	bool is_done;
	int err, status;
};

static void got_data(void *arg, const uint8_t *data, size_t len)
{
	buf_add(&((struct got *)arg)->bytes, data, len);
}

static void got_done(void *arg, int err, int status, struct span body,
		     const char *why)
{
	struct got *g = arg;

	assert_true(body.len == 0 || status >= 400);
	assert_true(err == 0 || why[0] != '\0');
	g->is_done = true;
	g->err = err;
	g->status = status;
}

static bool got_is_done(void *arg)
{
	return ((struct got *)arg)->is_done;
}

static struct got get(struct site *s, struct http *h, uint64_t off,
		      uint64_t len)
{
	struct http_range range = {.off_bytes = off,
				   .len_bytes = len,
				   .file_bytes = s->w->total,
				   /* libcurl takes the mean of seconds */
				   .min_Bps = s->manner == SILENT ? 1 << 30 : 1,
				   .silence_s = 1,
				   .data = got_data};
	struct http_req req = {.timeout_ms = 5000, .range = &range};
	struct got g = {0};
	struct http_get *handle;
	char url[64];

	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/f", s->srv.port);
	req.url = url;
	assert_int_equal(http_get_start(h, &req, got_done, &g, &handle), 0);
	world_run(s->w, got_is_done, &g);
	return g;
}

/* Only exactly what was asked for is taken; of all else not a byte, unless it
 * was right as far as it came. */
static void takes_only_the_range(void **state)
{
	static const struct {
		enum manner manner;
		int err, status;
		uint64_t bytes;
	} rows[] = {
		{RIGHT, 0, 206, 60000},		 {ELSEWHERE, EPROTO, 206, 0},
		{WHOLE, EPROTO, 200, 0},	 {SHORT, EPROTO, 206, 0},
		{CUT, EPROTO, 206, 30000},	 {MISSING, EPROTO, 404, 0},
		{MOVED, 0, 206, 60000},		 {LONG, EPROTO, 206, 0},
		{SILENT, ETIMEDOUT, 206, 30000}, {ENDLESS, EFBIG, 206, 0},
		{PACKED, EPROTO, 206, 0},	 {BUSY, EPROTO, 503, 0},
		{AFTER, EPROTO, 503, 0},
	};
	struct world *w = *state;
	struct http *h;
	struct site s;
	struct got g;

	site_open(&s, w, RIGHT);
	assert_int_equal(http_new(w->loop, &h), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		s.manner = rows[i].manner;
		g = get(&s, h, 1234, 60000);
		assert_int_equal(g.err, rows[i].err);
		assert_int_equal(g.status, rows[i].status);
		if (rows[i].manner != ENDLESS)
			assert_int_equal(g.bytes.len, rows[i].bytes);
		assert_true(g.bytes.len <= 60000);
		if (g.bytes.len > 0)
			assert_memory_equal(g.bytes.data, w->content + 1234,
					    g.bytes.len);
		buf_fini(&g.bytes);
	}
	http_free(h);
	tiny_http_close(&s.srv);
}

/* A server that knows no ranges will do where the range is the whole file. */
static void takes_a_whole_file(void **state)
{
	struct world *w = *state;
	struct http *h;
	struct site s;
	struct got g;

	site_open(&s, w, WHOLE);
	assert_int_equal(http_new(w->loop, &h), 0);
	g = get(&s, h, 0, TOTAL);
	assert_int_equal(g.err, 0);
	assert_int_equal(g.bytes.len, TOTAL);
	assert_memory_equal(g.bytes.data, w->content, TOTAL);
	buf_fini(&g.bytes);
	http_free(h);
	tiny_http_close(&s.srv);
}

/* Ranges go over one connection while they are right; a wrong one closes it. */
static void keeps_the_connection(void **state)
{
	struct world *w = *state;
	struct http *h;
	struct site s;
	struct got g;

	site_open(&s, w, RIGHT);
	assert_int_equal(http_new(w->loop, &h), 0);
	for (unsigned i = 0; i < 5; i++) {
		s.manner = i == 3 ? ELSEWHERE : RIGHT;
		g = get(&s, h, i, 60000);
		assert_int_equal(g.err, i == 3 ? EPROTO : 0);
		assert_int_equal(s.srv.accepted, i == 4 ? 2 : 1);
		buf_fini(&g.bytes);
	}
	http_free(h);
	tiny_http_close(&s.srv);
}

/* ---- URLs ---- */

#define P20 "20:aaaaaaaaaaaaaaaaaaaa"

static struct metainfo *parsed(struct world *w, const char *text)
{
	struct metainfo *mi;
	struct mi_error err;

	assert_int_equal(
		metainfo_parse_file(text, strlen(text), w->hasher, &mi, &err),
		0);
	return mi;
}

static void assert_url(const struct metainfo *mi, const char *base, uint32_t ix,
		       const char *want)
{
	struct buf url = {0};

	webseed_url_file(&url, base, mi, ix);
	assert_string_equal(buf_cstr(&url), want);
	buf_fini(&url);
}

#define ONE_FILE                                                     \
	"d4:infod6:lengthi1e4:name7:a b#?/c12:piece lengthi16384e6:" \
	"pieces" P20 "ee"
#define MANY_FILES                        \
	"d4:infod5:filesl"                \
	"d6:lengthi1e4:pathl1:d5:x.txtee" \
	"d6:lengthi1e4:pathl1:d5:x.txtee" \
	"d6:lengthi1e4:pathl2:\xc3\xa9"   \
	"3:%2fee"                         \
	"e4:name3:n:m12:piece lengthi16384e6:pieces" P20 "ee"

/* Of a part of the first piece; the info-hash in it reads HASH. */
static void assert_piece(const struct metainfo *mi, const char *base,
			 uint64_t off, uint64_t len, const char *want)
{
	struct webseed_span span = {.off_bytes = off, .len_bytes = len};
	struct buf url = {0}, hash = {0};
	char got[256], *at;

	webseed_url_piece(&url, base, mi, &span);
	urlquery_escape(&hash, torrent_id_wire(&mi->id), HASH_SHA1_BYTES);
	at = strstr(buf_cstr(&url), buf_cstr(&hash));
	assert_non_null(at);
	(void)snprintf(got, sizeof(got), "%.*sHASH%s",
		       (int)(at - buf_cstr(&url)), buf_cstr(&url),
		       at + hash.len);
	assert_string_equal(got, want);
	buf_fini(&url);
	buf_fini(&hash);
}

/* BEP 19's rules, and names as the torrent has them, percent-encoded; and
 * BEP 17's. */
static void builds_urls(void **state)
{
	struct metainfo *one = parsed(*state, ONE_FILE);
	struct metainfo *many = parsed(*state, MANY_FILES);

	assert_url(one, "http://h/f.bin", 0, "http://h/f.bin");
	assert_url(one, "http://h/d/", 0, "http://h/d/a%20b%23%3F%2Fc");
	assert_url(many, "http://h/d/", 0, "http://h/d/n%3Am/d/x.txt");
	assert_url(many, "http://h/d", 1, "http://h/d/n%3Am/d/x.txt");
	assert_url(many, "http://h", 2, "http://h/n%3Am/%C3%A9/%252f");
	assert_url(one, "http://h/get?f=d/", 0, "http://h/get?f=d/");
	assert_piece(one, "http://h/s#x", 0, 1,
		     "http://h/s?info_hash=HASH&piece=0");
	assert_piece(many, "http://h/s?a=b", 1, 2,
		     "http://h/s?a=b&info_hash=HASH&piece=0&ranges=1-2");
	metainfo_free(one);
	metainfo_free(many);
}

/* A stretch ends where its file does; pads are known, empty files skipped. */
static void cuts_spans(void **state)
{
	static const struct {
		uint64_t at, end;
		struct webseed_span want;
	} rows[] = {
		{0, 16384, {0, 0, 100, false}}, /* ix, off, len, pad */
		{10, 50, {0, 10, 40, false}},
		{100, 16384, {2, 0, 50, true}},
		{150, 16384, {3, 0, 6000, false}},
		{160, 200, {3, 10, 40, false}},
	};
	struct metainfo *mi = parsed(
		*state, "d4:infod5:filesl"
			"d6:lengthi100e4:pathl1:aee"
			"d6:lengthi0e4:pathl1:bee"
			"d4:attr1:p6:lengthi50e4:pathl4:.pad2:50ee"
			"d6:lengthi6000e4:pathl1:cee"
			"e4:name1:n12:piece lengthi16384e6:pieces" P20 "ee");

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct webseed_span got = webseed_url_span(
			WEBSEED_FILES, mi, rows[i].at, rows[i].end);

		assert_int_equal(got.ix, rows[i].want.ix);
		assert_int_equal(got.off_bytes, rows[i].want.off_bytes);
		assert_int_equal(got.len_bytes, rows[i].want.len_bytes);
		assert_int_equal(got.is_pad, rows[i].want.is_pad);
	}
	metainfo_free(mi);
}

/* ---- engines ---- */

static void with_site_of(struct site *s, struct world *w,
			 enum webseed_kind kind, enum manner manner)
{
	char url[64];

	site_open(s, w, manner);
	node_start(w, 0, HOLDS_NONE, NULL, 0, false);
	node_add(&w->nodes[0]);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/f.bin",
		       s->srv.port);
	assert_int_equal(webseed_add(w->nodes[0].t->swarm, kind, url), 0);
	assert_int_equal(webseed_add(w->nodes[0].t->swarm, kind, url), 0);
	assert_int_equal(w->nodes[0].t->swarm->n_webs, 1);
}

static void with_site(struct site *s, struct world *w, enum manner manner)
{
	with_site_of(s, w, WEBSEED_FILES, manner);
}

static void site_close(struct site *s)
{
	node_stop(&s->w->nodes[0]);
	tiny_http_close(&s->srv);
}

static struct webseed *web_of(struct world *w)
{
	return TAILQ_FIRST(&w->nodes[0].t->swarm->webs);
}

/* Without a reader nothing is asked; a read gets its piece and no other one;
 * all of it comes in far fewer requests than blocks. */
static void a_site_alone_will_do(void **state)
{
	struct world *w = *state;
	struct torrent_peer_view view;
	struct site s;

	with_site(&s, w, RIGHT);
	spin_ms(w->loop, 20);
	assert_int_equal(s.srv.requests, 0);
	node_read(&w->nodes[0], PIECE + 5, 100);
	assert_int_equal(s.srv.requests, 1);
	assert_int_equal(node_view(&w->nodes[0]).down_bytes, PIECE);
	assert_string_equal(s.last, "GET /f.bin HTTP/1.1");
	node_read(&w->nodes[0], 0, TOTAL);
	assert_true(s.srv.requests <= 12);
	assert_true(s.srv.accepted <= 3);
	assert_int_equal(node_view(&w->nodes[0]).down_bytes, TOTAL);
	assert_int_equal(node_view(&w->nodes[0]).waste_bytes, 0);
	assert_int_equal(node_view(&w->nodes[0]).peers, 0);
	assert_int_equal(torrent_peers(w->nodes[0].t, &view, 1), 1);
	assert_true(view.is_web_seed);
	assert_int_equal(view.down_bytes, TOTAL);
	site_close(&s);
}

static bool has_unchoked(void *arg)
{
	return node_view(arg).unchoked_us > 0;
}

/* Where a peer is about as fast, the site gives the lesser part. */
static void a_peer_goes_first(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[0];
	struct site s;
	uint64_t before;
	unsigned i;

	with_site(&s, w, RIGHT);
	node_seed(w, 1, HOLDS_ALL);
	node_meet(n, &w->nodes[1]);
	world_run(w, has_unchoked, n);
	node_read(n, 0, 2 * PIECE); /* and now it is known how fast it is */
	before = web_of(w)->down_bytes;
	for (i = 2; i < PIECES; i++)
		node_read(n, (uint64_t)i * PIECE, 100);
	assert_true(web_of(w)->down_bytes - before < 4 * PIECE);
	site_close(&s);
}

static bool is_banned(void *arg)
{
	return web_of(arg)->is_banned;
}

/* Wrong bytes ban it, and the piece comes from a peer. */
static void a_lying_site_is_banned(void **state)
{
	struct world *w = *state;
	struct reading r;
	struct site s;
	unsigned n;

	with_site(&s, w, LIES);
	reading_start(&r, &w->nodes[0], 0, 100);
	world_run(w, is_banned, w);
	n = s.srv.requests;
	assert_false(r.is_done);
	node_seed(w, 1, HOLDS_ALL);
	node_meet(&w->nodes[0], &w->nodes[1]);
	world_run(w, reading_is_done, &r);
	assert_int_equal(r.err, 0);
	node_read(&w->nodes[0], 0, TOTAL);
	assert_int_equal(s.srv.requests, n);
	site_close(&s);
}

static bool has_failed(void *arg)
{
	return web_of(arg)->n_fails > 0;
}

/* A failing site is left alone, then asked again, and can serve. */
static void a_failing_site_is_asked_again(void **state)
{
	struct world *w = *state;
	struct reading r;
	struct site s;
	unsigned n;

	with_site(&s, w, MISSING);
	reading_start(&r, &w->nodes[0], 0, 2 * PIECE);
	world_run(w, has_failed, w);
	assert_non_null(strstr(torrent_read_why(r.rd), "404"));
	n = s.srv.requests;
	assert_true(n <= WEBSEED_RANGES_MAX);
	assert_int_equal(web_of(w)->n_fails, 1);
	spin_ms(w->loop, 50);
	assert_int_equal(s.srv.requests, n);
	s.manner = RIGHT;
	world_run(w, reading_is_done, &r);
	assert_int_equal(r.err, 0);
	assert_int_equal(web_of(w)->n_fails, 0);
	site_close(&s);
}

static bool was_heard(void *arg)
{
	return web_of(arg)->down_bytes > 0;
}

static bool owes_nothing(void *arg)
{
	return webseed_blocks(web_of(arg), 0) == 0;
}

/* When the reader goes, so does the request; and an engine can be stopped with
 * one under way. */
static void requests_end_with_their_reader(void **state)
{
	struct world *w = *state;
	struct reading r;
	struct site s;

	with_site(&s, w, SILENT);
	reading_start(&r, &w->nodes[0], 0, 100);
	world_run(w, was_heard, w);
	assert_non_null(strstr(torrent_read_why(r.rd), "web seed"));
	torrent_read_cancel(r.rd);
	world_run(w, owes_nothing, w);
	assert_int_equal(web_of(w)->n_fails, 0);
	reading_start(&r, &w->nodes[0], 4 * PIECE, 100);
	spin_ms(w->loop, 20);
	assert_int_equal(s.srv.requests, 2);
	site_close(&s);
	assert_true(r.is_done);
}

static bool has_half(void *arg)
{
	return web_of(arg)->down_bytes == PIECE / 2;
}

/* As if so much came within three delays. */
static void pretend_far(struct world *w, uint32_t delay_us, uint64_t bytes)
{
	web_of(w)->window.delay_us = delay_us;
	web_of(w)->window.rate_Bps = bytes * 1000000 / 3 / delay_us;
}

static bool was_asked_twice(void *arg)
{
	return ((struct site *)arg)->srv.requests == 2;
}

/* What nobody wants any more and comes soon is let go on, and what is wanted
 * next waits for its connection; but not for long. */
static void a_short_tail_is_let_go_on(void **state)
{
	struct world *w = *state;
	struct reading r, next;
	struct site s;

	with_site(&s, w, SILENT);
	reading_start(&r, &w->nodes[0], 0, 100);
	world_run(w, has_half, w);
	pretend_far(w, 300000, PIECE);
	torrent_read_cancel(r.rd);
	spin_ms(w->loop, 5);
	assert_false(owes_nothing(w));
	reading_start(&next, &w->nodes[0], 4 * PIECE, 100);
	spin_ms(w->loop, 5);
	assert_int_equal(s.srv.requests, 1);
	s.manner = RIGHT;
	world_run(w, was_asked_twice, &s);
	world_run(w, owes_nothing, w);
	assert_int_equal(s.srv.accepted, 2);
	world_run(w, reading_is_done, &next);
	assert_int_equal(next.err, 0);
	assert_int_equal(web_of(w)->n_fails, 0);
	site_close(&s);
}

/* What would take longer ends, and its connection. */
static void a_long_tail_ends(void **state)
{
	struct world *w = *state;
	struct reading r;
	struct site s;

	with_site(&s, w, SILENT);
	reading_start(&r, &w->nodes[0], 0, 100);
	world_run(w, has_half, w);
	pretend_far(w, 10000000, PIECE / 4);
	torrent_read_cancel(r.rd);
	world_run(w, owes_nothing, w);
	assert_int_equal(web_of(w)->n_lines, 0);
	site_close(&s);
}

/* Who goes elsewhere all the time is served by the connections that exist. */
static void seeks_keep_their_connections(void **state)
{
	static const uint32_t pieces[] = {0, 5, 2, 7, 1, 6};
	struct world *w = *state;
	struct site s;
	unsigned i;

	with_site(&s, w, RIGHT);
	for (i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++)
		node_read(&w->nodes[0], (uint64_t)pieces[i] * PIECE, 100);
	assert_int_equal(s.srv.requests, 6);
	assert_int_equal(s.srv.accepted, 1);
	site_close(&s);
}

/* A script that hands out pieces (BEP 17) will do alone, too: a whole
 * piece without a range, over kept connections. */
static void a_script_alone_will_do(void **state)
{
	struct world *w = *state;
	struct site s;

	with_site_of(&s, w, WEBSEED_PIECES, RIGHT);
	node_read(&w->nodes[0], PIECE + 5, 100);
	assert_int_equal(s.srv.requests, 1);
	assert_non_null(strstr(s.last, "/f.bin?info_hash="));
	assert_non_null(strstr(s.last, "&piece=1 HTTP/1.1"));
	node_read(&w->nodes[0], 0, TOTAL);
	assert_true(s.srv.requests <= 12);
	assert_true(s.srv.accepted <= WEBSEED_REQUESTS_MAX);
	assert_int_equal(node_view(&w->nodes[0]).down_bytes, TOTAL);
	assert_int_equal(node_view(&w->nodes[0]).waste_bytes, 0);
	site_close(&s);
}

/* Wrong bytes ban a script as they ban a server of files, and the read says why
 * it still waits. */
static void a_lying_script_is_banned(void **state)
{
	struct world *w = *state;
	struct reading r;
	struct site s;

	with_site_of(&s, w, WEBSEED_PIECES, LIES);
	reading_start(&r, &w->nodes[0], 0, 100);
	world_run(w, is_banned, w);
	assert_non_null(strstr(torrent_read_why(r.rd), "hash was wrong"));
	torrent_read_cancel(r.rd);
	site_close(&s);
}

static bool is_held(void *arg)
{
	return web_of(arg)->hold_until_us > 0;
}

/* Who is busy is left alone for as long as he asks, in either way of saying it,
 * and that is no failure. */
static void the_busy_are_left_alone(void **state)
{
	static const struct {
		enum webseed_kind kind;
		enum manner manner;
	} rows[] = {
		{WEBSEED_PIECES, BUSY},
		{WEBSEED_PIECES, AFTER},
		{WEBSEED_FILES, AFTER},
	};
	struct world *w = *state;
	struct reading r;
	struct site s;
	uint64_t us;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		with_site_of(&s, w, rows[i].kind, rows[i].manner);
		reading_start(&r, &w->nodes[0], 0, 100);
		world_run(w, is_held, w);
		us = web_of(w)->hold_until_us - loop_now_us(w->loop);
		assert_true(us > 50000000 && us <= 60000000);
		assert_int_equal(web_of(w)->n_fails, 0);
		assert_non_null(strstr(torrent_read_why(r.rd), "60 seconds"));
		s.manner = RIGHT;
		web_of(w)->hold_until_us = 0; /* it is over */
		swarm_kick(w->nodes[0].t->swarm);
		world_run(w, reading_is_done, &r);
		assert_int_equal(r.err, 0);
		site_close(&s);
		world_forget_torrent(w);
	}
}

/* Without memory for the queue it is left alone, which sets the time at which
 * it is asked again. */
static void memory_may_be_short(void **state)
{
	const struct wire_block b = {.len_bytes = WIRE_BLOCK_BYTES};
	struct world *w = *state;
	struct swarm *sw;
	struct site s;

	with_site(&s, w, RIGHT);
	sw = w->nodes[0].t->swarm;
	mem_fail_after(0, 0);
	webseed_ask(web_of(w), &b);
	mem_fail_after(UINT64_MAX, 0);
	assert_int_equal(web_of(w)->n_queue, 0);
	assert_false(webseed_is_usable(web_of(w)));
	assert_true(webseed_wake_us(sw, loop_now_us(w->loop)) != UINT64_MAX);
	node_read(&w->nodes[0], 0, 100);
	site_close(&s);
}

/* The reading is over; what was left alone is asked again at once. */
static bool is_over(void *arg)
{
	const struct reading *r = arg;
	struct webseed *ws = web_of(r->w);

	if (ws->hold_until_us > 0) {
		ws->hold_until_us = 0;
		swarm_kick(ws->sw);
	}
	return r->is_done;
}

/* Whatever allocation fails in a read, it ends with its bytes: a request, a
 * socket or a block that was lost to it is made anew, and at once, not by the
 * deadline of some request. */
static void every_allocation_may_fail(void **state)
{
	struct world *w = *state;
	unsigned at, n_reads = 0;
	struct reading r;
	struct site s;

	for (at = 0; at < 40; at++) {
		with_site(&s, w, RIGHT);
		r = (struct reading){.w = w, .len = 2 * PIECE};
		mem_fail_after(at, 0);
		if (torrent_read_start(w->nodes[0].t, 0, r.len, reading_on_done,
				       &r, &r.rd) == 0) {
			world_run(w, is_over, &r);
			assert_int_equal(r.err, 0);
			assert_true(w->waited_ms < WEBSEED_SILENCE_S * 1000);
			n_reads++;
		}
		mem_fail_after(UINT64_MAX, 0);
		site_close(&s);
		world_forget_torrent(w);
	}
	assert_true(n_reads > 30);
}

/* What has a query is of use to a torrent of one file; which that is, a magnet
 * says later. */
static void queries_fit_single_files(void **state)
{
	static const struct {
		enum webseed_kind kind;
		const char *url;
		bool may_be, one, many;
	} rows[] = {
		{WEBSEED_FILES, "http://h/d/", true, true, true},
		{WEBSEED_FILES, "http://h/get?f=", true, true, false},
		{WEBSEED_FILES, "http://h/#d", false, false, false},
		{WEBSEED_PIECES, "http://h/s", true, true, true},
		{WEBSEED_PIECES, "http://h/s?a=b", true, true, true},
		{WEBSEED_PIECES, "http://h/s#a", false, false, false},
		{WEBSEED_PIECES, "http://h/s?a&Piec%65=1", false, false, false},
		{WEBSEED_PIECES, "http://h/s?info_hash=", false, false, false},
	};
	struct metainfo *one = parsed(*state, ONE_FILE);
	struct metainfo *many = parsed(*state, MANY_FILES);
	struct world *w = *state;
	struct swarm *sw;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(webseed_url_may_be(rows[i].kind, rows[i].url),
				 rows[i].may_be);
		assert_int_equal(
			webseed_url_fits(rows[i].kind, rows[i].url, one),
			rows[i].one);
		assert_int_equal(
			webseed_url_fits(rows[i].kind, rows[i].url, many),
			rows[i].many);
	}
	metainfo_free(one);
	node_start(w, 0, HOLDS_NONE, NULL, 0, false);
	assert_int_equal(engine_add(w->nodes[0].engine,
				    (struct engine_source){.mi = many},
				    &w->nodes[0].t),
			 0);
	sw = w->nodes[0].t->swarm;
	assert_int_equal(webseed_add(sw, WEBSEED_FILES, rows[1].url), 0);
	assert_int_equal(sw->n_webs, 0);
	assert_int_equal(webseed_add(sw, WEBSEED_FILES, rows[0].url), 0);
	assert_int_equal(sw->n_webs, 1);
	/* As if it had come before the metadata. */
	memcpy(TAILQ_FIRST(&sw->webs)->url, "http://h/?", 11);
	webseed_on_ready(sw);
	assert_int_equal(sw->n_webs, 0);
}

/* A magnet's `ws` and a torrent's lists become web seeds, once each of a kind,
 * up to the limit. */
static void sources_name_web_seeds(void **state)
{
	static const char link[] =
		"magnet:?xt=urn:btih:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"&ws=http://127.0.0.1:1/f&ws=http://127.0.0.1:1/g%3Fh=1";
	struct engine_source src = {.mi = NULL};
	struct world *w = *state;
	struct mi_error err;
	struct torrent *t;
	char url[64];
	unsigned i;

	world_torrent(w, PIECES, PIECE, TOTAL);
	node_start(w, 0, HOLDS_NONE, NULL, 0, false);
	assert_int_equal(magnet_parse(link, &src.magnet, &err), 0);
	assert_int_equal(src.magnet->n_web_seeds, 2);
	assert_int_equal(engine_add(w->nodes[0].engine, src, &t), 0);
	assert_int_equal(t->swarm->n_webs, 2);
	src = (struct engine_source){
		.mi = parsed(w, "d4:infod6:lengthi1e4:name1:n12:piece length"
				"i16384e6:pieces" P20 "e8:url-listl"
				"12:http://x/a/112:http://x/a/2e"
				"9:httpseedsl12:http://x/a/1"
				"18:http://x/a?piece=1ee")};
	assert_int_equal(engine_add(w->nodes[0].engine, src, &t), 0);
	assert_int_equal(t->swarm->n_webs, 3);
	w->nodes[0].t = t;
	for (i = 0; i < 2 * WEBSEEDS_MAX; i++) {
		(void)snprintf(url, sizeof(url), "http://x/%u", i);
		assert_int_equal(webseed_add(t->swarm, WEBSEED_FILES, url), 0);
	}
	assert_int_equal(t->swarm->n_webs, WEBSEEDS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(takes_only_the_range,
						world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(takes_a_whole_file, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(keeps_the_connection,
						world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(builds_urls, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(cuts_spans, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(a_site_alone_will_do,
						world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(a_peer_goes_first, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(a_lying_site_is_banned,
						world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(a_failing_site_is_asked_again,
						world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(requests_end_with_their_reader,
						world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(a_short_tail_is_let_go_on,
						world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(a_long_tail_ends, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(seeks_keep_their_connections,
						world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(memory_may_be_short,
						world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(every_allocation_may_fail,
						world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(a_script_alone_will_do,
						world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(a_lying_script_is_banned,
						world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(the_busy_are_left_alone,
						world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(queries_fit_single_files,
						world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(sources_name_web_seeds,
						world_setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
