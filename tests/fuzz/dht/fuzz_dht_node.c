/* A node with two families, a search of each kind under way, and a script of
 * what comes: records of an operation, a length and bytes.
 *
 *   0  the bytes are a datagram of a stranger
 *   1  they are the `r` of an answer to the last query, from whom it went to
 *   2  they are `e` and what else stands beside it, of the same
 *   3  time passes: the first byte in tenths of a second
 *
 * Whatever comes, the invariants hold. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "dht/node.h"
#include "dht/node_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct wire {
	struct addr to;
	uint32_t tid;
	bool has;
};

static void on_send(void *arg, const struct addr *to, const void *bytes,
		    size_t len)
{
	struct wire *w = arg;
	struct krpc_msg m;

	if (len > DHT_DATAGRAM_MAX || krpc_decode(&m, bytes, len) != 0)
		abort();
	if (m.kind == KRPC_QUERY && krpc_tid(m.tid, &w->tid)) {
		w->to = *to;
		w->has = true;
	}
}

static void on_peers(void *arg, const struct addr *peers, size_t n)
{
	(void)arg;
	for (size_t i = 0; i < n; i++)
		if (!addr_can_dial(&peers[i]))
			abort();
}

static void on_item(void *arg, const struct dht_item *item)
{
	(void)arg;
	if (item->value.len > DHT_ITEM_MAX)
		abort();
}

static void on_samples(void *arg, const struct dht_samples *samples)
{
	(void)arg;
	if (samples->interval_s > DHT_SAMPLE_INTERVAL_MAX_S)
		abort();
}

static struct addr at(const char *text)
{
	struct addr a;

	if (addr_parse(&a, text) != 0)
		abort();
	return a;
}

static void begin(struct dht_node *n, uint64_t now_us)
{
	static const uint8_t key[KRPC_KEY_BYTES];
	struct addr a4 = at("44.1.2.3:4444");
	struct addr a6 = at("[2a00::1]:6666");
	struct dht_search_cfg cfg = {
		.on_peers = on_peers,
		.on_item = on_item,
		.on_samples = on_samples,
		.announce_port = 1,
		.is_scrape = true,
	};

	dht_node_endpoint(n, now_us, &a4);
	dht_node_endpoint(n, now_us, &a6);
	for (int ask = DHT_ASK_NODES; ask <= DHT_ASK_SAMPLES; ask++) {
		cfg.ask = (enum dht_ask)ask;
		cfg.key = ask == DHT_ASK_ITEM ? key : NULL;
		(void)dht_search_start(n, now_us, &cfg, NULL);
	}
}

static void reply(struct dht_node *n, uint64_t now_us, const struct wire *w,
		  int op, struct span body)
{
	uint8_t bytes[DHT_DATAGRAM_IN_MAX + 32];
	uint8_t *p = bytes;
	struct wire was = *w;

	if (!w->has || body.len > DHT_DATAGRAM_IN_MAX)
		return;
	memcpy(p, op == 1 ? "d1:r" : "d1:e", 4);
	p += 4;
	if (body.len > 0)
		memcpy(p, body.ptr, body.len);
	p += body.len;
	memcpy(p, "1:t4:", 5);
	be32_put(p + 5, was.tid);
	memcpy(p + 9, op == 1 ? "1:y1:re" : "1:y1:ee", 7);
	p += 16;
	(void)dht_node_receive(n, now_us, &was.to, bytes, (size_t)(p - bytes));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct hasher *hasher;
	struct wire w = {0};
	struct dht_cfg cfg = {
		.send = on_send,
		.arg = &w,
		.has = {true, true},
		.widest_bucket = 16,
	};
	struct addr stranger = at("55.5.5.5:55");
	uint64_t now_us = 1000000;
	struct dht_node *n;

	if (!hasher && hasher_new(&hasher) != 0)
		abort();
	cfg.hasher = hasher;
	if (dht_node_new(&cfg, now_us, &n) != 0)
		return 0;
	begin(n, now_us);
	while (len >= 3) {
		int op = data[0] & 3;
		size_t size = (size_t)data[1] << 8 | data[2];
		struct span body;

		data += 3;
		len -= 3;
		size = size < len ? size : len;
		body = span_of(data, size);
		data += size;
		len -= size;
		now_us += 1000;
		if (op == 0)
			(void)dht_node_receive(n, now_us, &stranger, body.ptr,
					       body.len);
		else if (op == 3)
			now_us += body.len > 0 ? body.ptr[0] * UINT64_C(100000)
					       : 0;
		else
			reply(n, now_us, &w, op, body);
		if (dht_node_next_us(n) <= now_us)
			dht_node_wake(n, now_us);
		dht_node_check(n);
	}
	dht_node_free(n);
	return 0;
}
