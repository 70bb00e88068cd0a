/* tracker_udp: BEP 15 against a tracker that loses, lies and forgets. */
#include "tests/lib/tiny_http.h"
#include "tests/lib/tiny_udp.h"

#include "core/worker.h"
#include "net/tracker_internal.h"
#include "net/tracker_udp.h"

struct fx {
	struct loop *loop;
	struct workers *names;
	struct udp_tracker *udp;
	struct tiny_udp srv;
	struct tracker_ask ask;
	char url[128];
	unsigned replies, ended;
	int err;
	char why[TRACKER_WHY_BYTES];
	bool refused;
	uint32_t interval_s, n_peers;
	char peer[ADDR_TEXT_BYTES];
};

static int set_up(void **state)
{
	static const struct udp_tracker_times times = {.first_us = 4000,
						       .grace_us = 8000};
	struct fx *f = calloc(1, sizeof(*f));

	assert_int_equal(loop_new(&f->loop), 0);
	assert_int_equal(workers_new(f->loop, 1, "names", &f->names), 0);
	assert_int_equal(udp_tracker_new(f->loop, f->names, &f->udp), 0);
	udp_tracker_set_times(f->udp, &times);
	assert_true(tiny_udp_open(&f->srv, f->loop, AF_INET, 0));
	(void)snprintf(f->url, sizeof(f->url), "udp://127.0.0.1:%u/announce",
		       f->srv.port);
	memset(f->ask.facts.info_hash, 0xaa, 20);
	memset(f->ask.facts.peer_id, 0xbb, 20);
	f->ask.facts.port = 0x1234;
	f->ask.facts.uploaded_bytes = 1;
	f->ask.facts.downloaded_bytes = 2;
	f->ask.facts.left_bytes = UINT64_MAX;
	f->ask.facts.want_peers = 77;
	f->ask.event = TRACKER_EVENT_STARTED;
	f->ask.key = 0xdeadbeef;
	f->ask.timeout_us = 5000000;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fx *f = *state;

	udp_tracker_free(f->udp);
	tiny_udp_close(&f->srv);
	workers_free(f->names);
	loop_free(f->loop);
	free(f);
	return 0;
}

static void on_reply(void *arg, const struct tracker_reply *r)
{
	struct fx *f = arg;

	f->replies++;
	f->refused = r->refused;
	f->interval_s = r->interval_s;
	f->n_peers = r->n_peers;
	if (r->n_peers > 0)
		(void)addr_format(&r->peers[0], f->peer);
	if (r->refused)
		(void)snprintf(f->why, sizeof(f->why), "%s", r->why);
}

static void on_done(void *arg, int err, const char *why)
{
	struct fx *f = arg;

	f->ended++;
	f->err = err;
	if (why)
		(void)snprintf(f->why, sizeof(f->why), "%s", why);
}

static struct udp_announce *begin(struct fx *f, const char *url)
{
	const struct tracker_sink sink = {on_reply, on_done, f};
	struct udp_announce *a;

	f->replies = f->ended = 0;
	assert_int_equal(udp_tracker_announce(f->udp, url, &f->ask, &sink, &a),
			 0);
	assert_int_equal(f->ended, 0);
	return a;
}

static int announce(struct fx *f, const char *url)
{
	(void)begin(f, url);
	assert_true(spin(f->loop, &f->ended, 1));
	assert_int_equal(f->ended, 1);
	return f->err;
}

/* Connect, then an announce whose every field is where BEP 15 wants it, with
 * the path as BEP 41's option; the peers come back. */
static void whole(void **state)
{
	struct fx *f = *state;
	const uint8_t *p = f->srv.last;

	assert_int_equal(announce(f, f->url), 0);
	assert_int_equal(f->replies, 1);
	assert_int_equal(f->interval_s, 900);
	assert_string_equal(f->peer, "33.33.33.33:8481");
	assert_int_equal(f->srv.last_len, 98 + 2 + 9);
	assert_true(be64_get(p) == f->srv.conn_id);
	assert_int_equal(be32_get(p + 8), 1);
	assert_memory_equal(p + 16, f->ask.facts.info_hash, 20);
	assert_memory_equal(p + 36, f->ask.facts.peer_id, 20);
	assert_true(be64_get(p + 56) == 2);
	assert_true(be64_get(p + 64) == TRACKER_LEFT_UNKNOWN);
	assert_true(be64_get(p + 72) == 1);
	assert_int_equal(be32_get(p + 80), 2);
	assert_int_equal(be32_get(p + 84), 0);
	assert_true(be32_get(p + 88) == 0xdeadbeef);
	assert_int_equal(be32_get(p + 92), 77);
	assert_int_equal(be16_get(p + 96), 0x1234);
	assert_memory_equal(p + 98, "\x02\x09/announce", 11);
}

/* A path longer than an option can tell goes into several. */
static void long_path(void **state)
{
	struct fx *f = *state;
	char url[512];

	(void)snprintf(url, sizeof(url), "%s?%0300d#fragment", f->url, 0);
	assert_int_equal(announce(f, url), 0);
	assert_int_equal(f->srv.last_len, 98 + 2 + 255 + 2 + 55);
	assert_int_equal(f->srv.last[98 + 1], 255);
	assert_int_equal(f->srv.last[98 + 2 + 255], 2);
	assert_int_equal(f->srv.last[98 + 2 + 255 + 1], 55);
}

/* Lost datagrams are sent again; when all are lost the announce ends. */
static void lost(void **state)
{
	struct fx *f = *state;

	f->srv.lose = 2;
	assert_int_equal(announce(f, f->url), 0);
	assert_int_equal(f->srv.connects, 1);
	f->srv.mute = true;
	f->srv.conn_id++;
	assert_int_equal(announce(f, f->url), ETIMEDOUT);
	assert_int_equal(f->replies, 0);
}

/* The deadline ends what the retransmissions would not. */
static void deadline(void **state)
{
	struct fx *f = *state;
	static const struct udp_tracker_times never = {.first_us = 1000000000,
						       .grace_us = 1000000000};

	udp_tracker_set_times(f->udp, &never);
	f->srv.mute = true;
	f->ask.timeout_us = 10000;
	assert_int_equal(announce(f, f->url), ETIMEDOUT);
}

/* A wrong transaction id, source, action or length is not there: the truth
 * that follows is what counts. */
static void lies(void **state)
{
	struct fx *f = *state;

	f->srv.wrong_tid = true;
	f->srv.wrong_source = true;
	f->srv.wrong_action = true;
	f->srv.cut = true;
	assert_int_equal(announce(f, f->url), 0);
	assert_int_equal(f->srv.connects, 1);
	assert_int_equal(f->srv.announces, 1);
	assert_int_equal(f->replies, 1);
	assert_false(f->refused);
	assert_int_equal(f->interval_s, 900);
	assert_string_equal(f->peer, "33.33.33.33:8481");
}

/* A connection id serves the next announce too. */
static void id_reused(void **state)
{
	struct fx *f = *state;

	assert_int_equal(announce(f, f->url), 0);
	assert_int_equal(announce(f, f->url), 0);
	assert_int_equal(f->srv.connects, 1);
	assert_int_equal(f->srv.announces, 2);
}

/* A remembered id that the tracker forgot, refused or dropped in silence,
 * costs one more round, not the announce. */
static void id_forgotten(void **state)
{
	struct fx *f = *state;

	assert_int_equal(announce(f, f->url), 0);
	f->srv.conn_id++;
	assert_int_equal(announce(f, f->url), 0);
	assert_int_equal(f->srv.connects, 2);
	assert_false(f->refused);
	f->srv.conn_id++;
	f->srv.stale = true;
	assert_int_equal(announce(f, f->url), 0);
	assert_int_equal(f->srv.connects, 3);
}

/* A refusal is an answer, with its text. */
static void refused(void **state)
{
	struct fx *f = *state;

	f->srv.refuse = true;
	assert_int_equal(announce(f, f->url), 0);
	assert_int_equal(f->replies, 1);
	assert_true(f->refused);
	assert_string_equal(f->why, "go away");
}

/* What is no tracker's address fails later, not at the start. */
static void bad_urls(void **state)
{
	struct fx *f = *state;
	char url[400];

	assert_int_equal(announce(f, "udp://127.0.0.1/"), EINVAL);
	assert_int_equal(announce(f, "udp://:80"), EINVAL);
	assert_int_equal(announce(f, "udp://"), EINVAL);
	(void)snprintf(url, sizeof(url), "udp://%0300d:1", 0);
	assert_int_equal(announce(f, url), EINVAL);
	assert_int_equal(announce(f, "udp://224.0.0.1:80"), ENOENT);
	assert_int_equal(announce(f, "udp://169.254.169.254:80"), ENOENT);
	assert_int_not_equal(announce(f, "udp://not a name:80"), 0);
}

/* This machine and its network are asked only for what looks like a tracker's
 * path, whatever led there; and a name that leads elsewhere now is judged by
 * that. */
static void local_addresses(void **state)
{
	static const char *const refused[] = {
		"udp://127.0.0.1:80",	      "udp://127.0.0.1:80/",
		"udp://127.0.0.1:80/admin",   "udp://[::1]:80/x/announce",
		"udp://[::ffff:127.0.0.1]:1", "udp://10.1.2.3:80/?/announce",
		"udp://192.168.0.1:80",	      "udp://[fd00::1]:80/a",
		"udp://0.0.0.0:80/announce",  "udp://t.example:80/admin",
	};
	struct fx *f = *state;
	struct addr host;
	char text[64];

	(void)snprintf(text, sizeof(text), "127.0.0.1:%u", f->srv.port);
	assert_int_equal(addr_parse(&host, text), 0);
	udp_tracker_set_hosts(f->udp, &host, 1);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		assert_int_equal(announce(f, refused[i]), ENOENT);
		assert_string_equal(f->why, "the host has no address to ask");
	}
	assert_int_equal(f->srv.announces, 0);
	assert_int_equal(announce(f, "udp://t.example:80/announce/key"), 0);
}

/* A tracker over IPv6 answers with 18-byte addresses. */
static void ipv6(void **state)
{
	struct fx *f = *state;
	struct tiny_udp six;
	char url[64];

	if (!tiny_udp_open(&six, f->loop, AF_INET6, 0))
		skip();
	(void)snprintf(url, sizeof(url), "udp://[::1]:%u/announce", six.port);
	assert_int_equal(announce(f, url), 0);
	assert_int_equal(six.last_len, 98 + 2 + 9);
	assert_string_equal(f->peer,
			    "[2121:2121:2121:2121:2121:2121:2121:2121]:8481");
	tiny_udp_close(&six);
}

/* A host with both families is announced to over both; one that hangs does not
 * hold the other's peers, nor the end for longer than the grace. */
static void both_families(void **state)
{
	struct fx *f = *state;
	const char *url = "udp://t.example:80/announce";
	struct tiny_udp six;
	struct addr hosts[2];
	char text[64];

	if (!tiny_udp_open(&six, f->loop, AF_INET6, 0))
		skip();
	(void)snprintf(text, sizeof(text), "[::1]:%u", six.port);
	assert_int_equal(addr_parse(&hosts[0], text), 0);
	(void)snprintf(text, sizeof(text), "127.0.0.1:%u", f->srv.port);
	assert_int_equal(addr_parse(&hosts[1], text), 0);
	udp_tracker_set_hosts(f->udp, hosts, 2);
	assert_int_equal(announce(f, url), 0);
	assert_int_equal(f->replies, 2);
	assert_int_equal(six.announces, 1);
	assert_int_equal(f->srv.announces, 1);
	six.mute = true;
	six.conn_id++;
	assert_int_equal(announce(f, url), 0);
	assert_int_equal(f->replies, 1);
	tiny_udp_close(&six);
}

/* After a cancel, at any stage, nothing is heard; freeing cancels the rest. */
static void cancel(void **state)
{
	struct fx *f = *state;

	f->srv.mute = true;
	udp_tracker_cancel(begin(f, f->url));
	udp_tracker_cancel(begin(f, "udp://localhost:1"));
	udp_tracker_cancel(NULL);
	(void)begin(f, "udp://localhost:1");
	(void)begin(f, f->url);
	spin_ms(f->loop, 3);
	(void)begin(f, f->url);
	assert_int_equal(f->replies, 0);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(whole),	       TEST(long_path), TEST(lost),
		TEST(deadline),	       TEST(lies),	TEST(id_reused),
		TEST(id_forgotten),    TEST(refused),	TEST(bad_urls),
		TEST(local_addresses), TEST(ipv6),	TEST(both_families),
		TEST(cancel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
