/* announcer: a hybrid's trackers are asked for both of its hashes. */
#include "net/announcer.h"

#include "tests/lib/tiny_http.h"

#include "core/mem.h"
#include "core/worker.h"
#include "net/http.h"
#include "net/tracker_udp.h"

struct fx {
	struct loop *loop;
	struct workers *names;
	struct http *http;
	struct udp_tracker *udp;
	struct tiny_http server;
	char url[64];
	struct torrent_id id;
	struct announcer *a;
	bool refuses_v2;
	unsigned asked[TORRENT_SIDES], started[TORRENT_SIDES],
		stopped[TORRENT_SIDES], completed[TORRENT_SIDES];
	unsigned peers[TORRENT_SIDES];
	unsigned n_done;
};

/* ---- fixture ---- */

static bool answer(void *arg, const char *request, struct buf *out)
{
	struct fx *f = arg;
	enum torrent_side side =
		strstr(request, "info_hash=aaaaaaaaaaaaaaaaaaaa"
				"&") != NULL
			? TORRENT_V1
			: TORRENT_V2;
	static const char yes[] = "d8:intervali1800e5:peers6:\x01\x02\x03\x04"
				  "\x05\x06"
				  "e";
	static const char no[] = "d14:failure reason7:unknowne";

	if (side == TORRENT_V2)
		assert_non_null(
			strstr(request, "info_hash=bbbbbbbbbbbbbbbbbbbb&"));
	f->asked[side]++;
	f->started[side] += strstr(request, "event=started") != NULL;
	f->stopped[side] += strstr(request, "event=stopped") != NULL;
	f->completed[side] += strstr(request, "event=completed") != NULL;
	if (side == TORRENT_V2 && f->refuses_v2)
		tiny_http_body(out, "200 OK", no, sizeof(no) - 1);
	else
		tiny_http_body(out, "200 OK", yes, sizeof(yes) - 1);
	return true;
}

static void facts(void *arg, struct tracker_facts *out)
{
	(void)arg;
	*out = (struct tracker_facts){
		.port = 6881, .left_bytes = 5, .want_peers = 50};
	memset(out->peer_id, 'p', sizeof(out->peer_id));
}

static void on_peers(void *arg, enum torrent_side side,
		     const struct addr *peers, unsigned n)
{
	struct fx *f = arg;

	(void)peers;
	f->peers[side] += n;
}

static const struct announcer_ops ops = {facts, on_peers};

static void on_done(void *arg)
{
	((struct fx *)arg)->n_done++;
}

static int set_up(void **state)
{
	struct fx *f = calloc(1, sizeof(*f));

	(void)setenv("no_proxy", "*", 1);
	assert_int_equal(loop_new(&f->loop), 0);
	assert_int_equal(workers_new(f->loop, 1, "names", &f->names), 0);
	assert_int_equal(http_new(f->loop, &f->http), 0);
	assert_int_equal(udp_tracker_new(f->loop, f->names, &f->udp), 0);
	tiny_http_open(&f->server, f->loop, answer, f);
	(void)snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%u/announce",
		       f->server.port);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fx *f = *state;

	announcer_free(f->a);
	http_free(f->http);
	udp_tracker_free(f->udp);
	tiny_http_close(&f->server);
	workers_free(f->names);
	loop_free(f->loop);
	free(f);
	return 0;
}

static void know(struct fx *f, enum torrent_side side)
{
	struct info_hash *h = side == TORRENT_V1 ? &f->id.v1 : &f->id.v2;

	h->len = side == TORRENT_V1 ? HASH_SHA1_BYTES : HASH_SHA256_BYTES;
	memset(h->bytes, side == TORRENT_V1 ? 'a' : 'b', h->len);
}

static void make(struct fx *f)
{
	char *urls[] = {f->url};
	struct mi_tier tier = {urls, 1};
	struct announcer_cfg cfg = {.trackers = {.loop = f->loop,
						 .http = f->http,
						 .udp = f->udp,
						 .tiers = &tier,
						 .n_tiers = 1},
				    .id = &f->id,
				    .ops = &ops,
				    .arg = f};

	assert_int_equal(announcer_new(&cfg, &f->a), 0);
	announcer_start(f->a);
}

static bool both_have_peers(void *arg)
{
	const struct fx *f = arg;

	return f->peers[TORRENT_V1] > 0 && f->peers[TORRENT_V2] > 0;
}

static bool v1_has_peers(void *arg)
{
	return ((const struct fx *)arg)->peers[TORRENT_V1] > 0;
}

static bool v2_has_failed(void *arg)
{
	const struct fx *f = arg;
	struct tracker_view tv;

	if (announcer_count(f->a) < 2)
		return false;
	announcer_view(f->a, 1, &tv);
	return f->peers[TORRENT_V1] > 0 && tv.state == TRACKER_FAILED;
}

static bool is_done(void *arg)
{
	return ((const struct fx *)arg)->n_done > 0;
}

static bool both_have_completed(void *arg)
{
	const struct fx *f = arg;

	return f->completed[TORRENT_V1] > 0 && f->completed[TORRENT_V2] > 0;
}

static void await(struct fx *f, bool (*holds)(void *arg))
{
	for (unsigned ms = 0; !holds(f); ms++) {
		assert_true(ms < 20000);
		spin_ms(f->loop, 1);
	}
}

/* ---- tests ---- */

/* Each hash has its announces, from `started` to `stopped`; the end is told
 * once. */
static void both_hashes_are_announced(void **state)
{
	struct fx *f = *state;
	struct tracker_view tv;

	know(f, TORRENT_V1);
	know(f, TORRENT_V2);
	make(f);
	await(f, both_have_peers);
	assert_int_equal(announcer_count(f->a), 2);
	announcer_view(f->a, 0, &tv);
	assert_false(tv.is_v2);
	assert_int_equal(tv.state, TRACKER_OK);
	announcer_view(f->a, 1, &tv);
	assert_true(tv.is_v2);
	assert_int_equal(tv.state, TRACKER_OK);
	announcer_completed(f->a);
	await(f, both_have_completed);
	announcer_stop(f->a, on_done, f);
	await(f, is_done);
	assert_int_equal(f->n_done, 1);
	for (unsigned i = 0; i < TORRENT_SIDES; i++) {
		assert_int_equal(f->started[i], 1);
		assert_int_equal(f->stopped[i], 1);
	}
}

/* A tracker that refuses one hash serves the other. */
static void one_may_be_refused(void **state)
{
	struct fx *f = *state;
	struct tracker_view tv;

	know(f, TORRENT_V1);
	know(f, TORRENT_V2);
	f->refuses_v2 = true;
	make(f);
	await(f, v2_has_failed);
	announcer_view(f->a, 0, &tv);
	assert_int_equal(tv.state, TRACKER_OK);
	announcer_view(f->a, 1, &tv);
	assert_string_equal(tv.why, "unknown");
	announcer_stop(f->a, on_done, f);
	await(f, is_done);
	assert_int_equal(f->stopped[TORRENT_V1], 1);
	assert_int_equal(f->stopped[TORRENT_V2], 0);
}

/* A hash that is learned later is announced to the trackers there are, those
 * that came meanwhile too; a tracker that comes later is asked for both. */
static void a_hash_is_learned(void **state)
{
	struct fx *f = *state;

	know(f, TORRENT_V1);
	make(f);
	await(f, v1_has_peers);
	assert_int_equal(announcer_learn(f->a), 0); /* nothing new */
	assert_int_equal(announcer_count(f->a), 1);
	know(f, TORRENT_V2);
	assert_int_equal(announcer_learn(f->a), 0);
	assert_int_equal(announcer_count(f->a), 2);
	await(f, both_have_peers);
	assert_int_equal(announcer_add(f->a, f->url), EEXIST);
	assert_int_equal(announcer_add(f->a, "gopher://x/announce"), EINVAL);
	assert_int_equal(announcer_add(f->a, "http://127.0.0.1:1/announce"), 0);
	assert_int_equal(announcer_count(f->a), 4);
}

/* A torrent of v2 alone has one side. */
static void v2_alone(void **state)
{
	struct fx *f = *state;
	struct tracker_view tv;

	know(f, TORRENT_V2);
	make(f);
	assert_int_equal(announcer_count(f->a), 1);
	announcer_view(f->a, 0, &tv);
	assert_true(tv.is_v2);
	announcer_stop(f->a, on_done, f);
	assert_int_equal(f->n_done, 0);
	await(f, is_done);
	assert_int_equal(f->asked[TORRENT_V1], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(both_hashes_are_announced,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_may_be_refused, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_hash_is_learned, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(v2_alone, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
