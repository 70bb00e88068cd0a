/* tracker: which tracker is asked when, and what it is told. */
#include "tests/lib/tiny_http.h"
#include "tests/lib/tiny_udp.h"

#include "core/clock.h"
#include "core/core_limits.h"
#include "core/mem.h"
#include "core/worker.h"
#include "net/http.h"
#include "net/tracker_internal.h"
#include "net/tracker_udp.h"

/* ---- fixture ---- */

enum { SERVERS = 3, SECOND_US = 200 };

struct server {
	struct tiny_http http;
	bool fail, refuse, mute;
	const char *min; /* more of the answer, before `peers` */
	char last[2048]; /* request line */
	unsigned started, completed, stopped, plain;
};

struct fx {
	struct loop *loop;
	struct workers *names;
	struct http *http;
	struct udp_tracker *udp;
	struct tiny_udp utp;
	struct server srv[SERVERS];
	char url[SERVERS][64];
	char uurl[64];
	struct trackers *t;
	uint64_t left;
	unsigned peers, external, stopped;
	char external_text[ADDR_TEXT_BYTES];
};

static bool answer(void *arg, const char *request, struct buf *out)
{
	struct server *s = arg;
	struct buf body = {0};

	(void)snprintf(s->last, sizeof(s->last), "%.*s",
		       (int)strcspn(request, "\r"), request);
	if (strstr(s->last, "event=started"))
		s->started++;
	else if (strstr(s->last, "event=completed"))
		s->completed++;
	else if (strstr(s->last, "event=stopped"))
		s->stopped++;
	else
		s->plain++;
	if (s->mute)
		return false;
	if (s->fail) {
		tiny_http_body(out, "503 Busy", "x", 1);
		return true;
	}
	if (s->refuse)
		buf_add_str(&body, "d14:failure reason5:nope\x1b"
				   "e");
	else
		buf_addf(&body,
			 "d11:external ip4:\x05\x06\x07\x08"
			 "8:intervali60e%s5:peers6:!!!!!!"
			 "10:tracker id3:a&be",
			 s->min);
	tiny_http_body(out, "200 OK", body.data, body.len);
	buf_fini(&body);
	return true;
}

static void facts(void *arg, struct tracker_facts *out)
{
	struct fx *f = arg;

	for (unsigned i = 0; i < 20; i++)
		out->info_hash[i] = (uint8_t)(i * 13);
	memcpy(out->peer_id, "-SH0100-abcdefghijkl", 20);
	out->port = 6881;
	out->uploaded_bytes = 1;
	out->downloaded_bytes = 2;
	out->left_bytes = f->left;
	out->want_peers = 50;
}

static void on_peers(void *arg, const struct addr *peers, unsigned n)
{
	struct fx *f = arg;

	f->peers += n;
}

static void on_external(void *arg, const struct addr *a)
{
	struct fx *f = arg;

	f->external++;
	(void)addr_format(a, f->external_text);
}

static void on_stopped(void *arg)
{
	struct fx *f = arg;

	f->stopped++;
}

static const struct trackers_ops ops = {facts, on_peers, on_external};

static int set_up(void **state)
{
	struct fx *f = calloc(1, sizeof(*f));

	(void)setenv("no_proxy", "*", 1);
	f->left = 1000;
	assert_int_equal(loop_new(&f->loop), 0);
	assert_int_equal(workers_new(f->loop, 1, "names", &f->names), 0);
	assert_int_equal(http_new(f->loop, &f->http), 0);
	assert_int_equal(udp_tracker_new(f->loop, f->names, &f->udp), 0);
	assert_true(tiny_udp_open(&f->utp, f->loop, AF_INET, 0));
	(void)snprintf(f->uurl, sizeof(f->uurl), "udp://127.0.0.1:%u/announce",
		       f->utp.port);
	for (unsigned i = 0; i < SERVERS; i++) {
		f->srv[i].min = "";
		tiny_http_open(&f->srv[i].http, f->loop, answer, &f->srv[i]);
		(void)snprintf(f->url[i], sizeof(f->url[i]),
			       "http://127.0.0.1:%u/announce",
			       f->srv[i].http.port);
	}
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fx *f = *state;

	trackers_free(f->t);
	http_free(f->http);
	udp_tracker_free(f->udp);
	tiny_udp_close(&f->utp);
	for (unsigned i = 0; i < SERVERS; i++)
		tiny_http_close(&f->srv[i].http);
	workers_free(f->names);
	loop_free(f->loop);
	free(f);
	return 0;
}

/* ---- helpers ---- */

/* A tracker's second lasts SECOND_US, so that its minute is 12 ms. */
static const struct tracker_times quick = {
	.second_us = SECOND_US,
	.retry_us = 2000,
	.retry_max_us = 16000,
	.timeout_us = 2000000,
	.stop_us = 40000,
};

/* The tiers of `spec`, as "01,2": a digit is a server, 'u' the UDP one. */
static void make(struct fx *f, const char *spec)
{
	char *urls[16];
	struct mi_tier tiers[8] = {{urls, 0}};
	struct trackers_cfg cfg = {.loop = f->loop,
				   .http = f->http,
				   .udp = f->udp,
				   .tiers = tiers,
				   .ops = &ops,
				   .arg = f};
	uint32_t n = 0;

	for (unsigned i = 0; spec[i]; i++) {
		if (spec[i] == ',') {
			tiers[++cfg.n_tiers] = (struct mi_tier){urls + n, 0};
			continue;
		}
		urls[n++] = spec[i] == 'u' ? f->uurl : f->url[spec[i] - '0'];
		tiers[cfg.n_tiers].n++;
	}
	cfg.n_tiers++;
	assert_int_equal(trackers_new(&cfg, &f->t), 0);
	trackers_set_times(f->t, &quick);
}

static struct tracker_view view_of(struct fx *f, const char *url)
{
	struct tracker_view v = {0};

	for (uint32_t i = 0; i < trackers_count(f->t); i++) {
		trackers_view(f->t, i, &v);
		if (strcmp(v.url, url) == 0)
			return v;
	}
	fail_msg("no such tracker");
	return v;
}

static void stop(struct fx *f)
{
	f->stopped = 0;
	trackers_stop(f->t, on_stopped, f);
	assert_int_equal(f->stopped, 0);
	assert_true(spin(f->loop, &f->stopped, 1));
	spin_ms(f->loop, 2);
	assert_int_equal(f->stopped, 1);
}

/* ---- tests ---- */

/* The first announce is `started` and says all BEP 3, 7 and 23 want, every
 * byte escaped; the later ones carry the tracker id and no event. */
static void first_and_next(void **state)
{
	struct fx *f = *state;
	const char *q = f->srv[0].last;

	f->left = UINT64_MAX;
	make(f, "0");
	assert_int_equal(view_of(f, f->url[0]).state, TRACKER_IDLE);
	trackers_start(f->t);
	assert_int_equal(view_of(f, f->url[0]).state, TRACKER_ASKING);
	assert_true(spin(f->loop, &f->peers, 1));
	assert_non_null(strstr(
		q, "/announce?info_hash="
		   "%00%0D%1A%274AN%5Bhu%82%8F%9C%A9%B6%C3%D0%DD%EA%F7"));
	assert_non_null(strstr(q, "&peer_id=-SH0100-abcdefghijkl&port=6881"
				  "&uploaded=1&downloaded=2&left=16384"
				  "&numwant=50&key="));
	assert_non_null(strstr(q, "&compact=1&no_peer_id=1&event=started "));
	assert_string_equal(f->external_text, "5.6.7.8:0");
	assert_int_equal(view_of(f, f->url[0]).state, TRACKER_OK);
	assert_int_equal(view_of(f, f->url[0]).peers, 1);
	assert_true(spin(f->loop, &f->srv[0].plain, 2));
	assert_int_equal(f->srv[0].started, 1);
	assert_null(strstr(q, "event="));
	assert_non_null(strstr(q, "&trackerid=a%26b "));
}

/* All tiers that never answered are asked at once: a dead first one costs
 * nothing. Afterwards only the first that works is. */
static void tiers(void **state)
{
	struct fx *f = *state;

	f->srv[0].mute = true;
	make(f, "0,1,2");
	trackers_start(f->t);
	assert_true(spin(f->loop, &f->peers, 2));
	assert_int_equal(f->srv[0].started, 1);
	assert_int_equal(f->srv[1].started, 1);
	assert_int_equal(f->srv[2].started, 1);
	assert_true(spin(f->loop, &f->srv[1].plain, 2));
	assert_int_equal(f->srv[2].plain, 0);
	assert_true(view_of(f, f->url[1]).next_us != 0 ||
		    view_of(f, f->url[1]).state == TRACKER_ASKING);
	assert_true(view_of(f, f->url[2]).next_us == 0);
}

/* When the first tier that worked fails, the next one takes over. */
static void tier_takes_over(void **state)
{
	struct fx *f = *state;

	make(f, "0,1");
	trackers_start(f->t);
	assert_true(spin(f->loop, &f->peers, 2));
	assert_true(spin(f->loop, &f->srv[0].plain, 1));
	f->srv[0].fail = true;
	assert_true(spin(f->loop, &f->srv[1].plain, 1));
	/* Failed, or being asked again after 2 ms. */
	assert_int_not_equal(view_of(f, f->url[0]).state, TRACKER_OK);
	assert_string_equal(view_of(f, f->url[0]).why, "HTTP status 503");
}

/* In a tier one is asked after the other until one answers; that one is first
 * from then on, and the others are left alone. */
static void within_tier(void **state)
{
	struct fx *f = *state;
	struct tracker_view v;

	f->srv[0].fail = true;
	f->srv[1].refuse = true;
	make(f, "012");
	trackers_start(f->t);
	assert_true(spin(f->loop, &f->srv[2].plain, 2));
	assert_int_equal(f->srv[2].started, 1);
	assert_true(f->srv[0].started <= 1);
	assert_true(f->srv[1].started <= 1);
	trackers_view(f->t, 0, &v);
	assert_string_equal(v.url, f->url[2]);
	if (f->srv[1].started)
		assert_string_equal(view_of(f, f->url[1]).why, "nope?");
}

/* A dead tracker is asked ever more rarely, one that refuses not within its
 * minute; either answers again when it works. */
static void backs_off(void **state)
{
	struct fx *f = *state;
	uint64_t begun_us = clock_mono_us(), passed_ms;

	f->srv[0].fail = true;
	f->srv[1].refuse = true;
	make(f, "0,1");
	trackers_start(f->t);
	assert_true(spin(f->loop, &f->srv[0].started, 3));
	assert_int_equal(view_of(f, f->url[1]).state, TRACKER_FAILED);
	spin_ms(f->loop, 60);
	/* 2 + 4 + 8 + 16 + 16 + 16 … ms, and a refusal's 12 at least; a quarter
	 * more or less. However late everything is, no more of them fit. */
	passed_ms = (clock_mono_us() - begun_us) / 1000;
	assert_true(f->srv[0].started <= 4 + (unsigned)(passed_ms / 12));
	assert_true(f->srv[1].started <= 2 + (unsigned)(passed_ms / 9));
	assert_int_equal(f->peers, 0);
	f->srv[0].fail = false;
	assert_true(spin(f->loop, &f->peers, 1));
}

/* `stopped` goes to those that answered a `started`, and to nobody else; then
 * all is quiet, and a new start begins anew. */
static void stops(void **state)
{
	struct fx *f = *state;

	f->srv[0].mute = true;
	f->srv[1].fail = true;
	make(f, "0,1,2,u");
	trackers_start(f->t);
	assert_true(spin(f->loop, &f->peers, 2));
	stop(f);
	assert_int_equal(f->srv[0].stopped, 0);
	assert_int_equal(f->srv[1].stopped, 0);
	assert_int_equal(f->srv[2].stopped, 1);
	assert_int_equal(f->utp.stopped, 1);
	assert_non_null(strstr(f->srv[2].last, "numwant=0"));
	f->srv[2].plain = f->srv[1].started = 0;
	spin_ms(f->loop, 20);
	assert_int_equal(f->srv[2].plain, 0);
	assert_int_equal(f->srv[1].started, 0);
	trackers_start(f->t);
	assert_true(spin(f->loop, &f->srv[2].started, 2));
}

/* A tracker that hangs holds the stop for its limit and no longer; with none
 * announced to it ends at once; trackers_free ends it for good. */
static void stop_hangs(void **state)
{
	struct fx *f = *state;

	make(f, "0,u");
	stop(f);
	trackers_start(f->t);
	assert_true(spin(f->loop, &f->peers, 2));
	f->srv[0].mute = true;
	f->utp.mute = true;
	stop(f);
	assert_int_equal(f->srv[0].stopped, 1);
	f->srv[0].mute = false;
	trackers_start(f->t);
	assert_true(spin(f->loop, &f->peers, 3));
	trackers_stop(f->t, on_stopped, f);
	f->stopped = 0;
	trackers_free(f->t);
	f->t = NULL;
	spin_ms(f->loop, 3);
	assert_int_equal(f->stopped, 0);
}

/* `completed` goes once, at once, to all that heard `started` before, and
 * again to one that failed to answer it. */
static void completes(void **state)
{
	struct fx *f = *state;

	make(f, "0,1");
	trackers_start(f->t);
	assert_true(spin(f->loop, &f->peers, 2));
	f->srv[1].fail = true;
	f->left = 0;
	trackers_completed(f->t);
	assert_true(spin(f->loop, &f->srv[1].completed, 2));
	f->srv[1].fail = false;
	assert_true(spin(f->loop, &f->srv[1].completed, 3));
	assert_true(spin(f->loop, &f->srv[0].plain, 2));
	assert_int_equal(f->srv[0].completed, 1);
	assert_true(f->srv[1].completed >= 3);
}

/* Complete before the first announce: that is `started` with nothing left, and
 * no `completed` is due. */
static void complete_from_the_start(void **state)
{
	struct fx *f = *state;

	make(f, "0");
	f->left = 0;
	trackers_completed(f->t);
	trackers_start(f->t);
	assert_true(spin(f->loop, &f->srv[0].plain, 2));
	assert_int_equal(f->srv[0].completed, 0);
}

/* Peers short: asked again before the interval is over, all tiers, but not
 * before the tracker's own minimum, and ever more rarely. */
static void want_more(void **state)
{
	struct fx *f = *state;

	f->srv[1].min = "12:min intervali7200e";
	make(f, "0,1");
	trackers_start(f->t);
	assert_true(spin(f->loop, &f->peers, 2));
	for (unsigned i = 0; i < 40; i++) {
		trackers_want_more(f->t);
		spin_ms(f->loop, 1);
	}
	/* 15, 30, then 60 seconds of 0.2 ms: not one each turn */
	assert_true(f->srv[0].plain >= 2);
	assert_true(f->srv[0].plain <= 14);
	/* behind the first tier it is asked only out of hunger, and then not
	 * before its interval: a minimum above that means nothing */
	assert_true(f->srv[1].plain <= 4);
}

/* UDP trackers take part like others. */
static void udp(void **state)
{
	struct fx *f = *state;

	make(f, "u");
	trackers_start(f->t);
	assert_true(spin(f->loop, &f->peers, 1));
	assert_int_equal(view_of(f, f->uurl).state, TRACKER_OK);
	f->utp.refuse = true;
	trackers_completed(f->t);
	while (view_of(f, f->uurl).state != TRACKER_FAILED)
		spin_ms(f->loop, 1);
	assert_string_equal(view_of(f, f->uurl).why, "go away");
}

/* What may be added, and that it is asked at once. */
static void adds(void **state)
{
	struct fx *f = *state;
	char url[METAINFO_MAX_URL_BYTES + 2];
	unsigned n = 0;
	int err;

	make(f, "0,0");
	assert_int_equal(trackers_count(f->t), 1);
	trackers_start(f->t);
	assert_int_equal(trackers_add(f->t, f->url[0]), EEXIST);
	assert_int_equal(trackers_add(f->t, "wss://t.example/"), EINVAL);
	assert_int_equal(trackers_add(f->t, "file:///etc/passwd"), EINVAL);
	assert_int_equal(trackers_add(f->t, ""), EINVAL);
	(void)snprintf(url, sizeof(url), "http://%0*d",
		       METAINFO_MAX_URL_BYTES - 6, 0);
	assert_int_equal(trackers_add(f->t, url), E2BIG);
	assert_int_equal(trackers_add(f->t, f->url[1]), 0);
	assert_true(spin(f->loop, &f->srv[1].started, 1));
	assert_int_equal(trackers_count(f->t), 2);
	do {
		(void)snprintf(url, sizeof(url), "udp://127.0.0.1:1/%u", n++);
		err = trackers_add(f->t, url);
	} while (!err);
	assert_int_equal(err, E2BIG);
	assert_int_equal(trackers_count(f->t), METAINFO_MAX_TRACKERS);
}

/* A URL that has an info_hash of its own is never asked. */
static void own_info_hash(void **state)
{
	struct fx *f = *state;

	make(f, "0");
	(void)snprintf(f->url[1] + strlen(f->url[1]), 24, "?x=1&INFO_HASH=z");
	assert_int_equal(trackers_add(f->t, f->url[1]), 0);
	trackers_start(f->t);
	assert_true(spin(f->loop, &f->peers, 1));
	assert_int_equal(f->srv[1].started, 0);
	assert_int_equal(view_of(f, f->url[1]).state, TRACKER_FAILED);
}

/* Whichever one allocation fails, nothing is lost but time: the announce is
 * made in the end, the stop is done, and no memory is left behind. */
static void no_memory(void **state)
{
	struct fx *f = *state;
	char *urls[] = {f->url[0], f->uurl};
	const struct mi_tier tier[] = {{urls, 1}, {urls + 1, 1}};
	const struct trackers_cfg cfg = {.loop = f->loop,
					 .http = f->http,
					 .udp = f->udp,
					 .tiers = tier,
					 .n_tiers = 2,
					 .ops = &ops,
					 .arg = f};

	for (unsigned n = 0; n < 60; n++) {
		int err;

		f->peers = 0;
		f->stopped = 0;
		mem_fail_after(n, 0);
		err = trackers_new(&cfg, &f->t);
		if (err) {
			assert_int_equal(err, ENOMEM);
			f->t = NULL;
			continue;
		}
		trackers_set_times(f->t, &quick);
		trackers_start(f->t);
		assert_true(spin(f->loop, &f->peers, 2));
		trackers_stop(f->t, on_stopped, f);
		assert_true(spin(f->loop, &f->stopped, 1));
		trackers_free(f->t);
		f->t = NULL;
	}
	mem_fail_after(UINT64_MAX, 0);
}

/* The query goes where the URL has room for it. */
static void urls(void **state)
{
	static const struct {
		const char *url, *start;
	} cases[] = {
		{"http://t/a", "http://t/a?info_hash="},
		{"http://t/a?k=1", "http://t/a?k=1&info_hash="},
		{"http://t/a?", "http://t/a?info_hash="},
		{"http://t/a?k&", "http://t/a?k&info_hash="},
		{"http://t/a#f?g", "http://t/a?info_hash="},
	};
	struct tracker_ask ask = {0};
	struct buf b = {0};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_reset(&b);
		assert_int_equal(tracker_http_url(&b, cases[i].url, &ask), 0);
		assert_memory_equal(buf_cstr(&b), cases[i].start,
				    strlen(cases[i].start));
	}
	ask.facts.ipv6.in6.sin6_family = AF_INET6;
	ask.facts.ipv6.in6.sin6_addr.s6_addr[0] = 0x20;
	buf_reset(&b);
	assert_int_equal(tracker_http_url(&b, "http://t/", &ask), 0);
	assert_non_null(strstr(buf_cstr(&b), "&ipv6=2000%3A%3A"));
	buf_fini(&b);
}

/* A URL that says what an announce says is refused, however it spells that; one
 * that only resembles it is not. */
static void own_fields(void **state)
{
	static const char *const bad[] = {
		"http://t/a?info_hash=x",  "http://t/a?k=1&INFO_HASH",
		"http://t/a?info%5fhash=", "http://t/a?%69nfo_hash=x",
		"http://t/a?k;peer_id=x",  "http://t/a?event=stopped",
		"http://t/a?port=1",	   "http://t/a?&&left=0",
		"http://t/a?uploaded=9",   "http://t/a?downloaded=9",
	};
	static const char *const good[] = {
		"http://t/a?info_hash2=x", "http://t/a?key=info_hash=x",
		"http://t/a?x=event",	   "http://t/a?k#&port=1",
		"http://t/a?por%74s=1",	   "http://t/info_hash=/a?%",
	};
	struct tracker_ask ask = {0};
	struct buf b = {0};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(tracker_http_url(&b, bad[i], &ask), EINVAL);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(tracker_http_url(&b, good[i], &ask), 0);
	buf_fini(&b);
	(void)state;
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(first_and_next),
		TEST(tiers),
		TEST(tier_takes_over),
		TEST(within_tier),
		TEST(backs_off),
		TEST(stops),
		TEST(stop_hangs),
		TEST(completes),
		TEST(complete_from_the_start),
		TEST(want_more),
		TEST(udp),
		TEST(adds),
		TEST(own_info_hash),
		TEST(no_memory),
		cmocka_unit_test(urls),
		cmocka_unit_test(own_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
