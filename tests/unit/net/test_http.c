/* http: what a server may answer, and what it may not do with us. */
#include "tests/lib/tiny_http.h"

#include <dlfcn.h>
#include <netdb.h>
#include <semaphore.h>

#include "net/http.h"
#include "net/net_limits.h"

/* ---- a name server that hangs ---- */

static sem_t hang_begun, hang_on, hang_over;

/* Stands before libc's: libcurl's threads ask it. */
int getaddrinfo(const char *host, const char *service,
		const struct addrinfo *hints, struct addrinfo **out)
{
	int (*real)(const char *, const char *, const struct addrinfo *,
		    struct addrinfo **);

	if (host && strcmp(host, "hang.example") == 0) {
		(void)sem_post(&hang_begun);
		(void)sem_wait(&hang_on);
		(void)sem_post(&hang_over);
		return EAI_AGAIN;
	}
	*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	return real(host, service, hints, out);
}

/* ---- fixture ---- */

struct fx {
	struct loop *loop;
	struct http *http;
	struct tiny_http srv;
	const char *mode;
	const char *local_path;
	enum http_query local_query;
	char request[8192];
	/* of the last get */
	unsigned ended;
	int err, status;
	char body[4096];
	size_t body_len;
	char why[256];
};

static bool answer(void *arg, const char *request, struct buf *out);

static int set_up(void **state)
{
	struct fx *f = calloc(1, sizeof(*f));

	/* A proxy of the machine the tests run on is not under test. */
	(void)setenv("no_proxy", "*", 1);
	assert_int_equal(loop_new(&f->loop), 0);
	assert_int_equal(http_new(f->loop, &f->http), 0);
	tiny_http_open(&f->srv, f->loop, answer, f);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fx *f = *state;

	http_free(f->http);
	tiny_http_close(&f->srv);
	loop_free(f->loop);
	free(f);
	return 0;
}

/* ---- helpers ---- */

/* 64 KiB of zeros, as gzip has them. */
static const uint8_t bomb[] = {
	0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xed, 0xc1,
	0x01, 0x01, 0x00, 0x00, 0x00, 0x80, 0x90, 0xfe, 0xaf, 0xee, 0x08, 0x0a,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x6a, 0xeb, 0x8e, 0x97, 0xd7, 0x00, 0x00, 0x01, 0x00,

};

/* Answers that are the same each time. */
static const struct {
	const char *mode, *text;
} fixed[] = {
	{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		    "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"},
	{"boast", "HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\nx"},
	{"cut", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello"},
	{"tofile", "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n"
		   "Content-Length: 0\r\n\r\n"},
	{"tocloud", "HTTP/1.1 302 Found\r\n"
		    "Location: http://169.254.169.254/latest\r\n"
		    "Content-Length: 0\r\n\r\n"},
	{"once", "HTTP/1.1 301 Moved\r\nLocation: /landed\r\n"
		 "Content-Length: 0\r\nConnection: close\r\n\r\n"},
	{"toquery", "HTTP/1.1 302 Found\r\nLocation: /landed?do=it\r\n"
		    "Content-Length: 0\r\nConnection: close\r\n\r\n"},
	{"stay", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"},
	{"noise", "what do you want?\r\n\r\n"},
};

static void endless_headers(struct buf *out)
{
	buf_add_str(out, "HTTP/1.1 200 OK\r\n");
	for (unsigned i = 0; i < HTTP_HEADERS_MAX / 16; i++)
		buf_addf(out, "X-Header-%06u: abc\r\n", i);
	buf_add_str(out, "Content-Length: 0\r\n\r\n");
}

static bool answer(void *arg, const char *request, struct buf *out)
{
	struct fx *f = arg;
	const char *m = f->mode;

	(void)snprintf(f->request, sizeof(f->request), "%s", request);
	if (strcmp(m, "plain") == 0 || strstr(request, "/landed")) {
		tiny_http_body(out, "200 OK", "hello", 5);
	} else if (strcmp(m, "404") == 0) {
		tiny_http_body(out, "404 Not Found", "gone", 4);
	} else if (strcmp(m, "endless") == 0) {
		buf_add_str(out, "HTTP/1.1 200 OK\r\n\r\n");
		for (unsigned i = 0; i < 8192; i++)
			buf_add_u8(out, 'x');
	} else if (strcmp(m, "headers") == 0) {
		endless_headers(out);
	} else if (strcmp(m, "bomb") == 0) {
		buf_addf(out,
			 "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
			 "Content-Length: %zu\r\n\r\n",
			 sizeof(bomb));
		buf_add(out, bomb, sizeof(bomb));
	} else if (strcmp(m, "loop") == 0) {
		buf_addf(out,
			 "HTTP/1.1 302 Found\r\nLocation: "
			 "http://127.0.0.1:%u/again\r\n"
			 "Content-Length: 0\r\nConnection: close\r\n\r\n",
			 f->srv.port);
	}
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (out->len == 0 && strcmp(m, fixed[i].mode) == 0)
			buf_add_str(out, fixed[i].text);
	return out->len > 0; /* "slow" says nothing */
}

static void on_done(void *arg, int err, int status, struct span body,
		    const char *why)
{
	struct fx *f = arg;

	f->ended++;
	f->err = err;
	f->status = status;
	f->body_len = body.len;
	assert_true(body.len <= sizeof(f->body));
	if (body.len > 0)
		memcpy(f->body, body.ptr, body.len);
	assert_non_null(why);
	(void)snprintf(f->why, sizeof(f->why), "%s", why);
}

static struct http_get *begin(struct fx *f, const char *mode, const char *url,
			      unsigned ms)
{
	char own[128];
	struct http_req req = {.url = url,
			       .max_bytes = 4096,
			       .timeout_ms = ms,
			       .local_path = f->local_path,
			       .local_query = f->local_query};
	struct http_get *g;

	(void)snprintf(own, sizeof(own), "http://127.0.0.1:%u/a?b=c",
		       f->srv.port);
	if (!url)
		req.url = own;
	f->mode = mode;
	f->ended = 0;
	assert_int_equal(http_get_start(f->http, &req, on_done, f, &g), 0);
	assert_int_equal(f->ended, 0);
	return g;
}

static int get(struct fx *f, const char *mode)
{
	(void)begin(f, mode, NULL, 5000);
	assert_true(spin(f->loop, &f->ended, 1));
	assert_int_equal(f->ended, 1);
	return f->err;
}

static int get_url(struct fx *f, const char *url)
{
	(void)begin(f, "plain", url, 5000);
	assert_true(spin(f->loop, &f->ended, 1));
	return f->err;
}

/* ---- tests ---- */

/* A plain answer comes whole, and the request says who we are. */
static void plain(void **state)
{
	struct fx *f = *state;

	assert_int_equal(get(f, "plain"), 0);
	assert_int_equal(f->status, 200);
	assert_int_equal(f->body_len, 5);
	assert_memory_equal(f->body, "hello", 5);
	assert_non_null(strstr(f->request, "GET /a?b=c HTTP/1.1"));
	assert_non_null(strstr(f->request, "User-Agent: shoalfs/"));
	assert_non_null(strstr(f->request, "Accept-Encoding: gzip\r\n"));
}

/* A status other than 200 is no error of ours, and its body is given. */
static void other_status(void **state)
{
	struct fx *f = *state;

	assert_int_equal(get(f, "404"), 0);
	assert_int_equal(f->status, 404);
	assert_memory_equal(f->body, "gone", 4);
}

/* Chunks are put together. */
static void chunked(void **state)
{
	struct fx *f = *state;

	assert_int_equal(get(f, "chunked"), 0);
	assert_int_equal(f->body_len, 5);
	assert_memory_equal(f->body, "hello", 5);
}

/* Too long is EFBIG, whether sent, announced or inflated. */
static void too_long(void **state)
{
	struct fx *f = *state;

	assert_int_equal(get(f, "endless"), EFBIG);
	assert_true(f->body_len <= 4096);
	assert_int_equal(get(f, "boast"), EFBIG);
	assert_int_equal(get(f, "bomb"), EFBIG);
	assert_true(f->body_len <= 4096);
}

/* A body shorter than announced, endless headers and what is not HTTP are the
 * server's fault. */
static void broken(void **state)
{
	struct fx *f = *state;

	assert_int_equal(get(f, "cut"), EPROTO);
	assert_int_equal(get(f, "headers"), EPROTO);
	assert_int_equal(get(f, "noise"), EPROTO);
}

/* A redirect is followed; a ring of them ends. */
static void redirects(void **state)
{
	struct fx *f = *state;
	unsigned before;

	assert_int_equal(get(f, "once"), 0);
	assert_memory_equal(f->body, "hello", 5);
	before = f->srv.requests;
	assert_int_equal(get(f, "loop"), EPROTO);
	assert_int_equal(f->srv.requests - before, HTTP_REDIRECTS_MAX + 1);
}

/* No file, no other protocol, no link-local address, neither asked for nor
 * redirected to. */
static void refused_targets(void **state)
{
	struct fx *f = *state;

	assert_int_equal(get(f, "tofile"), EPROTO);
	assert_int_equal(get(f, "tocloud"), EPROTO);
	assert_non_null(strstr(f->why, "address"));
	assert_int_equal(get_url(f, "file:///etc/passwd"), EPROTO);
	assert_int_equal(get_url(f, "ftp://127.0.0.1/"), EPROTO);
	assert_int_equal(get_url(f, "http://0.0.0.0:1/"), EPROTO);
	assert_int_equal(get_url(f, "http://[::ffff:169.254.1.1]/"), EPROTO);
	assert_int_equal(get_url(f, "http://224.0.0.1/"), EPROTO);
	assert_int_equal(get_url(f, "http://"), EPROTO);
}

/* Asked for a path of its own, this machine is reached by no spelling of its
 * address, by no name, and by no redirect with another path. */
static void local_path(void **state)
{
	static const char *const hosts[] = {
		"127.0.0.1",	 "2130706433",
		"0x7f.1",	 "0177.0.0.1",
		"127.1",	 "127.0.0.2",
		"localhost",	 "LOCALHOST",
		"[::1]",	 "[::ffff:127.0.0.1]",
		"u:p@127.0.0.1", "[0:0:0:0:0:ffff:7f00:1]",
	};
	static const char *const paths[] = {
		"/",	      "/admin/announce",    "/announc",
		"/ANNOUNCE",  "/announce/../admin", "/announce/%2e%2e/admin",
		"//announce", "/?/announce",
	};
	struct fx *f = *state;
	char url[128];

	f->local_path = "/announce";
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		(void)snprintf(url, sizeof(url), "http://%s:%u/admin", hosts[i],
			       f->srv.port);
		assert_int_equal(get_url(f, url), EPROTO);
	}
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u%s",
			       f->srv.port, paths[i]);
		assert_int_equal(get_url(f, url), EPROTO);
		assert_non_null(strstr(f->why, "another path"));
	}
	assert_int_equal(f->srv.requests, 0);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/announce?a",
		       f->srv.port);
	(void)begin(f, "once", url, 5000); /* to /landed */
	assert_true(spin(f->loop, &f->ended, 1));
	assert_int_equal(f->err, EPROTO);
	assert_int_equal(f->srv.requests, 1);
}

/* The path that it must have opens this machine, in any spelling. */
static void local_path_fits(void **state)
{
	static const char *const hosts[] = {
		"127.0.0.1",
		"2130706433",
		"0x7f.1",
		"localhost",
	};
	struct fx *f = *state;
	char url[128];

	f->local_path = "/announce";
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		(void)snprintf(url, sizeof(url), "http://%s:%u/announce.php?k",
			       hosts[i], f->srv.port);
		assert_int_equal(get_url(f, url), 0);
	}
}

/* Of a local address a query is asked if the request says so: any, or the
 * first one and none that a redirect brings, or none. Whoever lives in a
 * private network is not different from this machine, and never gets to be
 * connected to. */
static void local_query(void **state)
{
	struct fx *f = *state;
	char url[128];

	f->local_query = HTTP_QUERY_NONE;
	assert_int_equal(get(f, "plain"), EPROTO);
	assert_non_null(strstr(f->why, "with a query"));
	assert_int_equal(get_url(f, "http://10.0.0.1:1/a?b"), EPROTO);
	assert_non_null(strstr(f->why, "with a query"));
	assert_int_equal(get_url(f, "http://[fd00::1]:1/a?b"), EPROTO);
	assert_int_equal(f->srv.requests, 0);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/a", f->srv.port);
	assert_int_equal(get_url(f, url), 0);
	f->local_query = HTTP_QUERY_FIRST;
	assert_int_equal(get(f, "plain"), 0);
	assert_int_equal(get(f, "once"), 0);
	assert_int_equal(get(f, "toquery"), EPROTO);
	f->local_query = HTTP_QUERY_ANY;
	assert_int_equal(get(f, "toquery"), 0);
}

/* A port nobody listens on is ECONNREFUSED; plain HTTP on an https URL is the
 * protocol's failure, not a fallback. */
static void no_connection(void **state)
{
	struct fx *f = *state;
	char url[64];

	assert_int_equal(get_url(f, "http://127.0.0.1:1/"), ECONNREFUSED);
	(void)snprintf(url, sizeof(url), "https://127.0.0.1:%u/", f->srv.port);
	assert_int_equal(get_url(f, url), EPROTO);
}

/* A server that says nothing costs the time allowed and no more. */
static void slow(void **state)
{
	struct fx *f = *state;

	(void)begin(f, "slow", NULL, 30);
	assert_true(spin(f->loop, &f->ended, 1));
	assert_int_equal(f->err, ETIMEDOUT);
}

/* After a cancel nothing is heard, at once or while the answer is awaited;
 * http_free cancels what is left. */
static void cancel(void **state)
{
	struct fx *f = *state;
	struct http_get *g = begin(f, "plain", NULL, 5000);

	http_get_cancel(g);
	g = begin(f, "slow", NULL, 5000);
	assert_true(spin(f->loop, &f->srv.requests, 1));
	http_get_cancel(g);
	(void)begin(f, "slow", NULL, 5000);
	assert_true(spin(f->loop, &f->srv.requests, 2));
	assert_int_equal(f->ended, 0);
}

/* A name server that hangs holds nobody: not the deadline, not a cancel, not
 * the end. (Were it joined, this test would never end.) */
static void name_hangs(void **state)
{
	struct fx *f = *state;
	struct http_get *g;

	(void)sem_init(&hang_begun, 0, 0);
	(void)sem_init(&hang_on, 0, 0);
	(void)sem_init(&hang_over, 0, 0);
	(void)begin(f, "plain", "http://hang.example/", 30);
	assert_true(spin(f->loop, &f->ended, 1));
	assert_int_equal(f->err, ETIMEDOUT);
	(void)sem_wait(&hang_begun);
	g = begin(f, "plain", "http://hang.example/", 5000);
	while (sem_trywait(&hang_begun) != 0)
		spin_ms(f->loop, 1);
	http_get_cancel(g);
	assert_int_equal(get(f, "plain"), 0);
	for (unsigned i = 0; i < 2; i++)
		(void)sem_post(&hang_on);
	for (unsigned i = 0; i < 2; i++)
		(void)sem_wait(&hang_over);
	spin_ms(f->loop, 10); /* for the threads to be gone */
}

/* Connections of a burst are kept for the next one, all of them: each that is
 * made anew costs its round trips, and starts slowly. */
static void a_burst_uses_the_connections_of_the_last(void **state)
{
	struct fx *f = *state;
	const unsigned n = WEBSEED_REQUESTS_MAX;

	http_keep(f->http, HTTP_KEPT_MAX);
	f->srv.keeps = true;
	for (unsigned burst = 1; burst <= 3; burst++) {
		unsigned ended = 0;

		for (unsigned i = 0; i < n; i++) {
			(void)begin(f, "stay", NULL, 5000);
			ended = f->ended;
		}
		assert_int_equal(ended, 0);
		assert_true(spin(f->loop, &f->ended, n));
		assert_int_equal(f->err, 0);
		assert_int_equal(f->srv.requests, burst * n);
		assert_int_equal(f->srv.accepted, n);
	}
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(plain),
		TEST(other_status),
		TEST(chunked),
		TEST(too_long),
		TEST(broken),
		TEST(redirects),
		TEST(refused_targets),
		TEST(no_connection),
		TEST(slow),
		TEST(cancel),
		TEST(name_hangs),
		TEST(local_path),
		TEST(local_path_fits),
		TEST(local_query),
		TEST(a_burst_uses_the_connections_of_the_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
