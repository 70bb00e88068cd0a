/* Unit tests of dht/answer: what strangers get, and how much of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/hash.h"
#include "dht/node_internal.h"

enum { CONTACTS = 60, HASHES = 30, PEERS = 60, LONG = 900 };

static const char ID[] = "2:id20:aaaaaaaaaaaaaaaaaaaa";

/* A node that knows many of both families and stores all kinds of things. */
struct fixture {
	struct dht_node *node;
	struct hasher *hasher;
	uint64_t now_us;
	uint32_t n_strangers;
	struct dht_id swarm, link, item; /* peers; of BEP 46; a long one */
	/* what was sent to the stranger */
	struct addr to;
	size_t n_bytes;
	uint32_t n_questions;
	uint8_t answer[DHT_DATAGRAM_MAX];
	size_t answer_len;
};

static struct fixture f;

/* ---- fixture ---- */

static void on_send(void *arg, const struct addr *to, const void *bytes,
		    size_t len)
{
	struct krpc_msg m;

	(void)arg;
	assert_in_range(len, 1, DHT_DATAGRAM_MAX);
	if (!addr_eq(to, &f.to))
		return;
	f.n_bytes += len;
	assert_int_equal(krpc_decode(&m, bytes, len), 0);
	if (m.kind == KRPC_QUERY) {
		f.n_questions++;
		return;
	}
	memcpy(f.answer, bytes, len);
	f.answer_len = len;
}

static struct addr numbered(uint32_t i, bool is_6)
{
	char text[ADDR_TEXT_BYTES];
	struct addr a;

	(void)snprintf(text, sizeof(text),
		       is_6 ? "[2a00:%x:%x::1]:6881" : "%u.%u.7.7:6881",
		       20 + i / 250, i % 250);
	assert_int_equal(addr_parse(&a, text), 0);
	return a;
}

static void random_id(struct dht_id *out)
{
	node_random_id(f.node, out);
}

static void meet(bool is_6)
{
	enum dht_family family = is_6 ? DHT_IPV6 : DHT_IPV4;

	for (uint32_t i = 0; i < CONTACTS; i++) {
		struct addr a = numbered(i, is_6);
		struct dht_id id;

		random_id(&id);
		(void)routing_on_answer(&f.node->half[family].routing, &id, &a,
					50000, node_tick(f.node, f.now_us));
	}
}

static void announce(const struct dht_id *hash, uint32_t i, bool is_6)
{
	struct addr a = numbered(1000 + i, is_6);

	assert_int_equal(peerstore_announce(&f.node->peers, f.now_us, f.hasher,
					    hash, &a, i % 2 == 0),
			 0);
}

static void put(const struct dht_item *item, struct dht_id *target)
{
	struct addr a = numbered(2000, false);

	item_target(f.hasher, item, target);
	assert_int_equal(
		items_put(&f.node->items, f.now_us, f.hasher, &a, item, NULL),
		ITEM_GOOD);
}

static void put_items(void)
{
	static const uint8_t seed[32] = {1};
	static uint8_t text[LONG + 4] = "900:";
	uint8_t key[32], sig[64];
	struct dht_item item = {
		.value = span_str("d2:ih20:bbbbbbbbbbbbbbbbbbbbe"),
		.is_mutable = true,
		.key = key,
		.sig = sig,
		.seq = 1234567,
	};

	assert_int_equal(item_sign(&item, seed, key, sig), 0);
	put(&item, &f.link);
	memset(text + 4, 'x', LONG);
	item = (struct dht_item){.value = span_of(text, sizeof(text))};
	put(&item, &f.item);
}

static int set_up(void **state)
{
	struct addr self4 = numbered(5000, false), self6 = numbered(5000, true);
	struct dht_cfg cfg = {
		.send = on_send,
		.has = {true, true},
		.external = {&self4, &self6},
		.is_unlimited = true,
	};

	(void)state;
	f = (struct fixture){.now_us = 1000000};
	assert_int_equal(hasher_new(&f.hasher), 0);
	cfg.hasher = f.hasher;
	assert_int_equal(dht_node_new(&cfg, f.now_us, &f.node), 0);
	meet(false);
	meet(true);
	random_id(&f.swarm);
	for (uint32_t i = 0; i < PEERS; i++) {
		announce(&f.swarm, i, false);
		announce(&f.swarm, i, true);
	}
	for (uint32_t i = 0; i < HASHES; i++) {
		struct dht_id hash;

		random_id(&hash);
		announce(&hash, i, false);
	}
	put_items();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	dht_node_check(f.node);
	dht_node_free(f.node);
	hasher_free(f.hasher);
	return 0;
}

/* ---- helpers ---- */

/* Somebody never seen asks; `args` stands behind his id, `pad` bytes that mean
 * nothing behind that. Returns the bytes he sent. */
static size_t ask_padded(bool is_6, const char *method, const char *args,
			 const struct dht_id *target, size_t pad)
{
	uint8_t bytes[DHT_DATAGRAM_IN_MAX];
	size_t n;

	f.to = numbered(10000 + f.n_strangers++, is_6);
	f.n_bytes = f.answer_len = f.n_questions = 0;
	n = (size_t)snprintf((char *)bytes, sizeof(bytes), "d1:ad%s%s", ID,
			     args);
	if (target) {
		n += (size_t)snprintf((char *)bytes + n, sizeof(bytes) - n,
				      "6:target20:");
		memcpy(bytes + n, target->b, DHT_ID_BYTES);
		n += DHT_ID_BYTES;
	}
	if (pad > 0) {
		n += (size_t)snprintf((char *)bytes + n, sizeof(bytes) - n,
				      "2:zz%zu:", pad);
		memset(bytes + n, 'z', pad);
		n += pad;
	}
	n += (size_t)snprintf((char *)bytes + n, sizeof(bytes) - n,
			      "e1:q%zu:%s1:t4:tttt1:y1:qe", strlen(method),
			      method);
	/* A look at him is not too much upkeep. */
	f.node->upkeep_credit_us = 0;
	flights_fini(&f.node->flights);
	f.now_us += 1000;
	assert_true(dht_node_receive(f.node, f.now_us, &f.to, bytes, n));
	return n;
}

static struct krpc_msg ask(bool is_6, const char *method,
			   const struct dht_id *target)
{
	struct krpc_msg m;

	(void)ask_padded(is_6, method, "", target, 0);
	assert_true(f.answer_len > 0);
	assert_int_equal(krpc_decode(&m, f.answer, f.answer_len), 0);
	assert_int_equal(m.kind, KRPC_ANSWER);
	return m;
}

/* ---- tests ---- */

/* Whatever a stranger asks, rightly or wrongly, and of whatever length: all
 * that leaves for his address, the question whether he is a node included, is
 * three times what came at most. */
static void never_more_than_three_times(void **state)
{
	static const struct {
		const char *method, *args;
		bool has_target;
	} asked[] = {
		{"ping", "", false},
		{"find_node", "", true},
		{"find_node", "4:wantl2:n42:n6e", true},
		{"find_node", "", false},
		{"get_peers", "", true},
		{"get_peers", "6:scrapei1e4:wantl2:n42:n6e", true},
		{"get", "", true},
		{"get", "4:wantl2:n42:n6e", true},
		{"sample_infohashes", "", true},
		{"sample_infohashes", "4:wantl2:n42:n6e", true},
		{"announce_peer", "4:porti1e5:token8:xxxxxxxx", true},
		{"announce_peer", "", true},
		{"put", "5:token8:xxxxxxxx1:v1:x", false},
		{"put", "1:v1:x", false},
		{"put", "", false},
		{"q", "", false},
		{"q", "4:wantl2:n42:n6e", true},
	};
	const struct dht_id *targets[] = {&f.swarm, &f.link, &f.item};
	uint32_t n_answered = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(asked) / sizeof(*asked); i++)
		for (size_t at = 0; at < 2 * 3 * 200; at++) {
			size_t pad = at / 6 * 7;
			const struct dht_id *target = targets[at / 2 % 3];
			size_t len;

			if (pad > 1250)
				continue;
			len = ask_padded(at % 2, asked[i].method, asked[i].args,
					 asked[i].has_target ? target : NULL,
					 pad);
			assert_true(f.n_bytes <= DHT_AMPLIFY_MAX * len);
			n_answered += f.answer_len > 0;
		}
	assert_true(n_answered > 15000);
	assert_int_equal(f.node->out_answers + f.node->out_errors, n_answered);
}

/* A link of BEP 46 is told to who comes for the first time. */
static void a_link_is_told_to_strangers(void **state)
{
	struct krpc_msg m;

	(void)state;
	for (int is_6 = 0; is_6 < 2; is_6++) {
		m = ask(is_6, "get", &f.link);
		assert_true(
			span_is(m.args.value, "d2:ih20:bbbbbbbbbbbbbbbbbbbbe"));
		assert_true(m.args.key && m.args.sig && m.args.has_seq);
		assert_non_null(m.args.token.ptr);
	}
}

/* What is too long for a stranger is left out: he gets nodes, and is asked
 * where he is; when he has shown that, he gets it. */
static void a_long_item_waits_for_proof(void **state)
{
	struct krpc_msg m = ask(false, "get", &f.item);
	uint8_t bytes[128];
	size_t len;

	(void)state;
	assert_null(m.args.value.ptr);
	assert_true(m.args.nodes.len > 0);
	assert_non_null(m.args.token.ptr);
	assert_int_equal(f.n_questions, 1);
	hostset_add(&f.node->proven, node_host_hash(f.node, &f.to),
		    node_tick(f.node, f.now_us));
	len = (size_t)snprintf((char *)bytes, sizeof(bytes),
			       "d1:ad%s6:target"
			       "20:",
			       ID);
	memcpy(bytes + len, f.item.b, DHT_ID_BYTES);
	len += DHT_ID_BYTES;
	len += (size_t)snprintf((char *)bytes + len, sizeof(bytes) - len,
				"e1:q3:get1:t1:t1:y1:qe");
	f.answer_len = 0;
	assert_true(dht_node_receive(f.node, f.now_us, &f.to, bytes, len));
	assert_int_equal(krpc_decode(&m, f.answer, f.answer_len), 0);
	assert_int_equal(m.args.value.len, LONG + 4);
	assert_int_equal(m.args.nodes.len, 8 * KRPC_NODE4_BYTES);
}

/* Who asks for samples for the first time gets some, and nodes to go on with
 * (BEP 51). */
static void samples_are_told_to_strangers(void **state)
{
	struct krpc_msg m = ask(false, "sample_infohashes", &f.swarm);

	(void)state;
	assert_true(m.args.has_samples && m.args.has_num);
	assert_int_equal(m.args.num, HASHES + 1);
	assert_true(m.args.samples.len >= 5 * DHT_ID_BYTES);
	assert_true(m.args.nodes.len >= 2 * KRPC_NODE4_BYTES);
}

/* Who asks for peers for the first time gets at least one, and a token. */
static void peers_are_told_to_strangers(void **state)
{
	(void)state;
	for (int is_6 = 0; is_6 < 2; is_6++) {
		struct krpc_msg m = ask(is_6, "get_peers", &f.swarm);
		struct addr peer;
		size_t at = 0;

		assert_true(krpc_next_peer(m.args.values, &at, &peer));
		assert_int_equal(peer.sa.sa_family, is_6 ? AF_INET6 : AF_INET);
		assert_non_null(m.args.token.ptr);
	}
}

/* BEP 32: who says which nodes he wants gets those, and who says nothing those
 * of his own network. */
static void nodes_of_the_family_that_is_wanted(void **state)
{
	static const struct {
		const char *args;
		bool is_6, has_4, has_6;
	} cases[] = {
		{"", false, true, false},
		{"", true, false, true},
		{"4:wantl2:n4e", true, true, false},
		{"4:wantl2:n6e", false, false, true},
		{"4:wantl2:n42:n6e", false, true, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct krpc_msg m;

		/* With room enough for all. */
		(void)ask_padded(cases[i].is_6, "find_node", cases[i].args,
				 &f.swarm, 400);
		assert_int_equal(krpc_decode(&m, f.answer, f.answer_len), 0);
		assert_int_equal(m.args.nodes.len,
				 cases[i].has_4 ? 8 * KRPC_NODE4_BYTES : 0);
		assert_int_equal(m.args.nodes6.len,
				 cases[i].has_6 ? 8 * KRPC_NODE6_BYTES : 0);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(never_more_than_three_times),
		TEST(a_link_is_told_to_strangers),
		TEST(a_long_item_waits_for_proof),
		TEST(samples_are_told_to_strangers),
		TEST(peers_are_told_to_strangers),
		TEST(nodes_of_the_family_that_is_wanted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
