/* Unit tests of dht/krpc and dht/pull. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>

#include "dht/dht_limits.h"
#include "dht/krpc.h"

#define ID_A "aaaaaaaaaaaaaaaaaaaa"
#define ID_B "bbbbbbbbbbbbbbbbbbbb"

static struct krpc_msg m;

static int decode(const char *text)
{
	return krpc_decode(&m, text, strlen(text));
}

/* The messages that BEP 5 prints are read as it says. */
static void published_messages(void **state)
{
	(void)state;
	assert_int_equal(decode("d1:ad2:id20:abcdefghij0123456789e1:q4:ping"
				"1:t2:aa1:y1:qe"),
			 0);
	assert_int_equal(m.kind, KRPC_QUERY);
	assert_int_equal(m.method, KRPC_PING);
	assert_true(span_is(m.tid, "aa"));
	assert_memory_equal(m.args.id, "abcdefghij0123456789", 20);
	assert_int_equal(
		decode("d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrst"
		       "uvwxyz1234564:porti6881e5:token8:aoeusnthe1:q13:"
		       "announce"
		       "_peer1:t2:aa1:y1:qe"),
		0);
	assert_int_equal(m.method, KRPC_ANNOUNCE_PEER);
	assert_memory_equal(m.args.target, "mnopqrstuvwxyz123456", 20);
	assert_true(m.args.has_port);
	assert_int_equal(m.args.port, 6881);
	assert_true(span_is(m.args.token, "aoeusnth"));
	assert_false(m.args.is_port_implied);
	assert_int_equal(decode("d1:eli201e23:A Generic Error Ocurrede1:t2:aa"
				"1:y1:ee"),
			 0);
	assert_int_equal(m.kind, KRPC_ERROR);
	assert_int_equal(m.code, 201);
	assert_true(span_is(m.text, "A Generic Error Ocurred"));
	assert_int_equal(
		decode("d1:rd2:id20:abcdefghij01234567895:token8:aoeu"
		       "snth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re"),
		0);
	assert_int_equal(m.kind, KRPC_ANSWER);
	{
		struct addr a;
		size_t at = 0;

		assert_true(krpc_next_peer(m.args.values, &at, &a));
		assert_int_equal(addr_port(&a), ('.' << 8) | 'u');
		assert_true(krpc_next_peer(m.args.values, &at, &a));
		assert_false(krpc_next_peer(m.args.values, &at, &a));
	}
}

/* Each of these is malformed, and refused. */
static void malformed(void **state)
{
	static const char *const bad[] = {
		"",
		"d",
		"de",
		"le",
		"i5e",
		"d1:y1:qe",
		"d1:t2:aa1:y1:qe",			 /* no q, no a */
		"d1:ad2:id20:" ID_A "e1:t2:aa1:y1:qe",	 /* no q */
		"d1:q4:ping1:t2:aa1:y1:qe",		 /* no a */
		"d1:ad2:id20:" ID_A "e1:q4:ping1:y1:qe", /* no t */
		"d1:ad2:id20:" ID_A "e1:q4:ping1:t0:1:y1:qe",
		"d1:ad2:id20:" ID_A "e1:q4:ping1:t17:aaaaaaaaaaaaaaaaa1:y1:qe",
		"d1:ad2:id20:" ID_A "e1:q4:ping1:t2:aae", /* no y */
		"d1:ad2:id20:" ID_A "e1:q4:ping1:t2:aa1:y1:xe",
		"d1:ad2:id20:" ID_A "e1:q4:ping1:t2:aa1:y2:qqe",
		"d1:t2:aa1:y1:re", /* no r */
		"d1:ade1:rde1:t2:aa1:y1:re",
		"d1:ad2:id20:" ID_A "2:id20:" ID_A "e1:q4:ping1:t2:aa1:y1:qe",
		"d1:ade1:ade1:q4:ping1:t2:aa1:y1:qe",
		"d1:ad6:target20:" ID_A "9:info_hash20:" ID_B
		"e1:q4:ping1:t2:aa1:y1:qe",
		"d1:ale1:q4:ping1:t2:aa1:y1:qe",
		"d1:ad4:porti01ee1:q4:ping1:t2:aa1:y1:qe",
		"d1:ad4:porti-0ee1:q4:ping1:t2:aa1:y1:qe",
		"d1:ad4:portiee1:q4:ping1:t2:aa1:y1:qe",
		"d1:ad4:porti9223372036854775808ee1:q4:ping1:t2:aa1:y1:qe",
		"d1:ad02:id20:" ID_A "e1:q4:ping1:t2:aa1:y1:qe",
		"d1:ad1:xd1:kee1:q4:ping1:t2:aa1:y1:qe",
		"d1:ad1:xdi5e1:kee1:q4:ping1:t2:aa1:y1:qe",
		"d1:ad1:xl1:kee1:q4:ping1:t2:aa1:y1:q",
		"d1:ad1:x99:kee1:q4:ping1:t2:aa1:y1:qe",
		"d1:ad1:xee1:q4:ping1:t2:aa1:y1:qe",
		"d1:ad4:wantl2:n41:q4:ping1:t2:aa1:y1:qe",
		"d1:eli201e",
		"d1:el",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(decode(bad[i]), EBADMSG);
}

/* Depth, values and length have limits. */
static void limits(void **state)
{
	char text[4096] = "d1:ad1:x";
	size_t at = strlen(text);

	(void)state;
	for (int depth = 8; depth <= 12; depth++) {
		char *p = text + at;

		memset(p, 'l', (size_t)depth);
		memset(p + depth, 'e', (size_t)depth);
		memcpy(p + 2 * depth, "e1:q4:ping1:t2:aa1:y1:qe", 25);
		assert_int_equal(decode(text),
				 depth > DHT_DEPTH_MAX ? EFBIG : 0);
	}
	text[at++] = 'l';
	for (int i = 0; i < DHT_VALUES_MAX; i++, at += 2)
		memcpy(text + at, "0:", 2);
	memcpy(text + at, "ee1:q4:ping1:t2:aa1:y1:qe", 26);
	assert_int_equal(decode(text), EFBIG);
	memset(text, 'd', sizeof(text));
	assert_int_equal(krpc_decode(&m, text, DHT_DATAGRAM_IN_MAX + 1), EFBIG);
}

/* A field of a wrong type or length is as if it were not there; keys in any
 * order are read; unknown ones are passed over, whatever they hold. */
static void mild(void **state)
{
	(void)state;
	assert_int_equal(decode("d1:ad2:idi5e6:target19:bbbbbbbbbbbbbbbbbbb"
				"4:want2:n44:portl1:xe5:token0:e1:q4:ping"
				"1:t2:aa1:y1:qe"),
			 0);
	assert_null(m.args.id);
	assert_null(m.args.target);
	assert_int_equal(m.args.want, 0);
	assert_false(m.args.has_port);
	assert_null(m.args.token.ptr);
	assert_int_equal(decode("d1:y1:q1:t2:aa1:q9:find_node1:zld1:al1:beei-5e"
				"e1:ad6:target20:" ID_B "2:id20:" ID_A "ee"),
			 0);
	assert_int_equal(m.method, KRPC_FIND_NODE);
	assert_memory_equal(m.args.target, ID_B, 20);
	assert_int_equal(decode("d1:rd2:id20:" ID_A "5:nodes27:"
				"xxxxxxxxxxxxxxxxxxxxxxxxxxx7:samples3:abce"
				"1:t2:aa1:y1:re"),
			 0);
	assert_null(m.args.nodes.ptr);
	assert_false(m.args.has_samples);
	assert_int_equal(decode("d1:ad4:wantl2:n4i5e2:n62:zze2:roi1ee1:q4:fish"
				"2:roi1e1:t2:aa1:v4:LT011:y1:qe"),
			 0);
	assert_int_equal(m.args.want, KRPC_WANT4 | KRPC_WANT6);
	assert_int_equal(m.method, KRPC_UNKNOWN);
	assert_true(m.is_read_only);
	assert_true(span_is(m.version, "LT01"));
}

/* Every query that is encoded is decoded as the same. */
static void queries_return(void **state)
{
	struct dht_id self, target;
	uint8_t key[KRPC_KEY_BYTES] = {1}, sig[KRPC_SIG_BYTES] = {2};
	uint8_t bytes[DHT_DATAGRAM_MAX];

	(void)state;
	memset(&self, 1, sizeof(self));
	memset(&target, 2, sizeof(target));
	for (int i = KRPC_PING; i < KRPC_UNKNOWN; i++) {
		struct krpc_query q = {
			.method = (enum krpc_method)i,
			.tid = 0xdeadbeef,
			.is_read_only = i % 2,
			.self = &self,
			.target = &target,
			.want = KRPC_WANT4 | KRPC_WANT6,
			.token = span_str("token"),
			.port = 6881,
			.is_port_implied = true,
			.is_seed = true,
			.is_scrape = true,
			.has_seq = true,
			.has_cas = true,
			.seq = -5,
			.cas = INT64_MAX,
			.value = span_str("li1e1:ae"),
			.salt = span_str("salt"),
			.key = key,
			.sig = sig,
		};
		size_t len = krpc_encode_query(bytes, sizeof(bytes), &q);
		const struct krpc_args *a = &m.args;
		uint32_t tid;

		assert_int_equal(krpc_decode(&m, bytes, len), 0);
		assert_int_equal(m.method, i);
		assert_int_equal(m.is_read_only, i % 2);
		assert_true(krpc_tid(m.tid, &tid) && tid == 0xdeadbeef);
		assert_true(nodeid_eq(a->id, &self));
		if (i != KRPC_PING && i != KRPC_PUT)
			assert_true(nodeid_eq(a->target, &target));
		if (i == KRPC_ANNOUNCE_PEER)
			assert_true(a->port == 6881 && a->is_port_implied &&
				    a->is_seed && span_is(a->token, "token"));
		if (i == KRPC_GET)
			assert_true(a->has_seq && a->seq == -5);
		if (i == KRPC_PUT)
			assert_true(a->has_cas && a->cas == INT64_MAX &&
				    span_is(a->value, "li1e1:ae") &&
				    span_is(a->salt, "salt") &&
				    memcmp(a->key, key, sizeof(key)) == 0 &&
				    memcmp(a->sig, sig, sizeof(sig)) == 0);
		/* Room for one byte less: nothing, and nothing behind it. */
		bytes[len - 1] = 0xa5;
		assert_int_equal(krpc_encode_query(bytes, len - 1, &q), 0);
		assert_int_equal(bytes[len - 1], 0xa5);
	}
}

/* So is every answer, and every error. */
static void answers_return(void **state)
{
	uint8_t filter[KRPC_FILTER_BYTES] = {3};
	uint8_t key[KRPC_KEY_BYTES] = {1}, sig[KRPC_SIG_BYTES] = {2};
	uint8_t nodes[2 * KRPC_NODE4_BYTES] = {0};
	uint8_t peers[3 * ADDR_COMPACT6] = {0x2a, 1};
	uint8_t bytes[DHT_DATAGRAM_MAX];
	struct dht_id self;
	struct addr to, a;
	const struct dht_id *id;
	size_t len, at = 0;
	struct krpc_answer w = {
		.tid = span_str("0123456789abcdef"),
		.to = &to,
		.self = &self,
		.nodes = span_of(nodes, sizeof(nodes)),
		.token = span_str("token"),
		.peers = peers,
		.n_peers = 3,
		.peer_bytes = ADDR_COMPACT6,
		.filter_seeds = filter,
		.filter_peers = filter,
		.has_samples = true,
		.num = 7,
		.interval = 60,
		.has_seq = true,
		.seq = 9,
		.value = span_str("3:abc"),
		.key = key,
		.sig = sig,
	};

	(void)state;
	memset(&self, 1, sizeof(self));
	assert_int_equal(addr_parse(&to, "1.2.3.4:5"), 0);
	len = krpc_encode_answer(bytes, sizeof(bytes), &w);
	assert_int_equal(krpc_decode(&m, bytes, len), 0);
	assert_int_equal(m.kind, KRPC_ANSWER);
	assert_true(span_is(m.tid, "0123456789abcdef"));
	assert_int_equal(m.ip.len, ADDR_COMPACT4);
	assert_memory_equal(m.ip.ptr, "\1\2\3\4\0\5", 6);
	assert_int_equal(m.args.nodes.len, sizeof(nodes));
	assert_true(krpc_next_node(m.args.nodes, false, &at, &id, &a));
	assert_true(m.args.has_samples && m.args.samples.len == 0);
	assert_true(m.args.num == 7 && m.args.interval == 60);
	assert_true(span_is(m.args.value, "3:abc") && m.args.seq == 9);
	assert_memory_equal(m.args.seeds, filter, sizeof(filter));
	for (at = 0, len = 0; krpc_next_peer(m.args.values, &at, &a);)
		len++;
	assert_int_equal(len, 3);
	len = krpc_encode_error(bytes, sizeof(bytes), w.tid, &to,
				KRPC_ERR_METHOD, "method unknown");
	assert_int_equal(krpc_decode(&m, bytes, len), 0);
	assert_int_equal(m.kind, KRPC_ERROR);
	assert_int_equal(m.code, 204);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_messages),
		cmocka_unit_test(malformed),
		cmocka_unit_test(limits),
		cmocka_unit_test(mild),
		cmocka_unit_test(queries_return),
		cmocka_unit_test(answers_return),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
